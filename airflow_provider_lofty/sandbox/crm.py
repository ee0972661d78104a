"""Everything that the pretended Lofty knows: what arrived, what was stored, who may call, which leads there are."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from airflow_provider_lofty.sandbox.answers import invalid
from airflow_provider_lofty.sandbox.checks import Body
from airflow_provider_lofty.sandbox.credentials import Credentials
from airflow_provider_lofty.sandbox.faults import Dice
from airflow_provider_lofty.sandbox.leads import Lead, Leads
from airflow_provider_lofty.sandbox.rate import FixedWindow, Reading
from airflow_provider_lofty.sandbox.settings import SandboxSettings

_FIRST_NEWCOMER = 900_000_000  # ids of leads that come by themselves


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
    body: Body
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


class Scroll(NamedTuple):
    """
    Where a list of leads goes on.

    :param position: The first lead that was not given yet.
    :param pages: How many pages it has given.
    """

    position: int
    pages: int


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
        self._identities: set[tuple[object, ...]] = set()

    def has(self, lead_id: int, body: Body) -> bool:
        """Say whether the same activity was stored before."""
        return _identity(lead_id, body) in self._identities

    def add(self, lead_id: int, body: Body, received_at: float) -> None:
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


def _identity(lead_id: int, body: Body) -> tuple[object, ...]:
    # What reading back shows of an activity: two that agree in it cannot be told apart afterwards.
    return lead_id, body["type"], body["created"], body["text"], body["link"]


class Crm:
    """
    The state of a sandbox. Whoever reads or changes it holds `lock`.

    :param settings: What it does.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        self.lock = threading.RLock()
        self.settings = settings
        self.store = Store(settings.kept_requests)
        self.leads = Leads()
        self.credentials = Credentials()
        self._forget_counts()

    def _forget_counts(self) -> None:
        self.dice = Dice(self.settings.seed)
        self._newcomers: dict[int, list[Body]] = {}
        self._window, self._read_window = FixedWindow(), FixedWindow()
        self._scrolls: dict[str, Scroll] = {}
        self._lead_newcomers = 0

    def change(self, changes: dict[str, Any]) -> None:
        """Change settings; faults start anew when they or their seed change."""
        with self.lock:
            self.settings = replace(self.settings, **changes)
            self.store.version += 1
            if changes.keys() & {"seed", "faults", "scripted_faults"}:
                self.dice = Dice(self.settings.seed)

    def reset(self) -> None:
        """Forget what arrived and what was counted or issued; settings and leads stay."""
        with self.lock:
            self.store.clear()
            self.credentials.clear()
            self._forget_counts()

    def count(self, method: str) -> Reading:
        """Count a request in the rate window of its method."""
        settings = self.settings
        if method == "GET" and settings.read_requests_per_minute is not None:
            return self._read_window.take(settings.read_requests_per_minute, settings.window_seconds)
        return self._window.take(settings.requests_per_minute, settings.window_seconds)

    def keep(self, lead_id: int, body: Body, delay_seconds: float = 0.0) -> None:
        """
        Store an accepted activity: once, unless the settings say otherwise.

        :param delay_seconds: How long it takes until reading back can show it.
        """
        if self.settings.ignores_repeats and self.store.has(lead_id, body):
            return
        for _ in range(2 if self.settings.stores_twice else 1):
            self.store.add(lead_id, body, time.time() + delay_seconds)

    def welcome(self, lead_id: int, created: int) -> None:
        """Let an activity of somebody else come to a lead that is being paged, as long as there are newcomers."""
        come = self._newcomers.setdefault(lead_id, [])
        if len(come) < self.settings.newcomers:
            come.append({"type": "Browse", "text": "Viewed by somebody", "link": "", "picture": "", "created": created})

    def scroll(self, position: int, scroll_id: str) -> str:
        """
        Remember where a list of leads goes on, and give the id to ask for that with.

        :param scroll_id: What this page was asked for with; empty for the first one.
        """
        pages = self._scrolls[scroll_id].pages + 1 if scroll_id else 1
        new = scroll_id or f"scroll-{len(self._scrolls) + 1}"
        self._scrolls[new] = Scroll(position, pages)
        return new

    def scrolled_to(self, scroll_id: str) -> int:
        """Give where a list of leads goes on, unless the id has expired."""
        scroll, most = self._scrolls.get(scroll_id), self.settings.scroll_pages
        if scroll is None or (most is not None and scroll.pages > most):
            raise invalid(f"scrollId {scroll_id!r} has expired")
        return scroll.position

    def welcome_lead(self) -> None:
        """Let a lead come while the list of leads is paged, as long as there are newcomers."""
        if self._lead_newcomers < self.settings.lead_newcomers:
            self._lead_newcomers += 1
            lead_id = _FIRST_NEWCOMER + self._lead_newcomers
            self.leads.add(Lead(lead_id, (f"newcomer-{self._lead_newcomers}@example.com",)))

    def visible(self, lead_id: int) -> Iterator[Body]:
        """Give the bodies of a lead's activities that reading back shows by now, last stored first."""
        settings = self.settings
        yield from self._newcomers.get(lead_id, ())
        shown_until = time.time() - settings.read_lag_seconds - settings.lead_lag_seconds.get(lead_id, 0.0)
        for activity in reversed(self.store.by_lead.get(lead_id, [])):
            if activity.received_at <= shown_until:
                yield activity.body
