"""The rate limit: a fixed window, and three headers whose unit Lofty's own page leaves open."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_lofty.profile.profile import ResetReading


@dataclass(frozen=True, slots=True)
class Reading:
    """
    Where a window stands after a request.

    :param limit: Requests that the window holds.
    :param remaining: Requests that it still holds.
    :param left_seconds: How long it still lasts.
    :param refused: Whether the request came when nothing remained.
    """

    limit: int
    remaining: int
    left_seconds: float
    refused: bool

    def headers(self, reset_reading: ResetReading, epoch_seconds: float) -> dict[str, str]:
        """
        Write the three headers named by Lofty's rate limit page.

        :param reset_reading: What the Reset header means.
        :param epoch_seconds: The time by the server's clock.
        """
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-reset": _reset(reset_reading, self.left_seconds, epoch_seconds),
        }


def _reset(reading: ResetReading, left_seconds: float, epoch_seconds: float) -> str:
    # Rounded up, so that whoever waits that long comes after the end of the window.
    if reading == "milliseconds_left":
        return str(math.ceil(left_seconds * 1000))
    if reading == "seconds_left":
        return str(math.ceil(left_seconds))
    if reading == "epoch_seconds":
        return str(math.ceil(epoch_seconds + left_seconds))
    if reading == "epoch_milliseconds":
        return str(math.ceil((epoch_seconds + left_seconds) * 1000))
    return "soon"


class FixedWindow:
    """
    Counts requests in a window that opens with the first request after the last one ended.

    :param clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = -math.inf
        self._taken = 0

    def take(self, requests_per_minute: float, window_seconds: float) -> Reading:
        """
        Count a request.

        :param requests_per_minute: The limit, which is scaled to the window and holds at least one request.
        :param window_seconds: How long a window lasts that opens now.
        """
        now = self._clock()
        if now >= self._ends_at:
            self._ends_at, self._taken = now + window_seconds, 0
        limit = max(1, math.floor(requests_per_minute * window_seconds / 60))
        refused = self._taken >= limit
        if not refused:
            self._taken += 1
        # Rounded: (now + 60) - now may be a hair more than 60, which rounded up would be 60001 ms.
        left_seconds = round(self._ends_at - now, 6)
        return Reading(limit, limit - min(self._taken, limit), left_seconds, refused)
