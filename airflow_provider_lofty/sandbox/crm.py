"""What arrived, and what was stored of it."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StoredActivity:
    """
    One activity as it was stored.

    :param lead_id: The lead.
    :param body: The body, as it was sent.
    :param received_at: When it was stored, in seconds since the epoch.
    :param duplicate: An earlier one has the same lead, type, created, text and link.
    """

    lead_id: int
    body: dict[str, Any]
    received_at: float
    duplicate: bool


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """
    One request as it arrived, and its answer.

    :param method: The HTTP method.
    :param path: The path, without the query.
    :param query: The query's parameters; of a repeated one, the last.
    :param headers: The headers, their names in lower case.
    :param body: The body, as bytes.
    :param at: When it arrived, by `time.monotonic()`.
    :param status: The status that was answered; None when the connection was dropped.
    :param note: What Lofty does not say: the field, the header, the fault.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float
    status: int | None = None
    note: str = ""


class Store:
    """
    Activities and requests, with the counts that a page over many thousands of them needs. Not thread-safe.

    :param kept_requests: How many requests are remembered.
    """

    def __init__(self, kept_requests: int) -> None:
        self.activities: list[StoredActivity] = []
        self.by_lead: dict[int, list[StoredActivity]] = {}
        self.requests: deque[ReceivedRequest] = deque(maxlen=kept_requests)
        self.statuses: Counter[int | None] = Counter()
        self.duplicates = 0
        # Differs between two sandboxes on one port, so that an open page notices a restart.
        self.version = time.time_ns()
        self._identities: set[tuple[Any, ...]] = set()

    def has(self, lead_id: int, body: dict[str, Any]) -> bool:
        """Say whether the same activity was stored before."""
        return _identity(lead_id, body) in self._identities

    def add(self, lead_id: int, body: dict[str, Any], received_at: float) -> None:
        """Store an activity; its lead becomes the newest one."""
        activity = StoredActivity(lead_id, body, received_at, self.has(lead_id, body))
        self._identities.add(_identity(lead_id, body))
        self.activities.append(activity)
        self.by_lead[lead_id] = self.by_lead.pop(lead_id, [])
        self.by_lead[lead_id].append(activity)
        self.duplicates += activity.duplicate
        self.version += 1

    def record(self, request: ReceivedRequest) -> None:
        """Remember a request."""
        self.requests.append(request)
        self.statuses[request.status] += 1
        self.version += 1

    def clear(self) -> None:
        """Forget everything that arrived."""
        self.activities.clear()
        self.by_lead.clear()
        self.requests.clear()
        self.statuses.clear()
        self.duplicates = 0
        self._identities.clear()
        self.version += 1


def _identity(lead_id: int, body: dict[str, Any]) -> tuple[Any, ...]:
    # What reading back shows of an activity: two that agree in it cannot be told apart afterwards.
    return lead_id, body["type"], body["created"], body["text"], body["link"]
