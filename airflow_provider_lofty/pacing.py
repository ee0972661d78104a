"""
When the next request may go.

Requests leave evenly spaced, never in bursts. The pace starts at the author's cap, else at 60 a minute, and follows
``X-RateLimit-Limit`` when Lofty sends one, though never above the cap. After a refusal for its rate nothing goes
until Lofty's window turns.

All times are in seconds; the clock is an argument.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

START_REQUESTS_PER_MINUTE = 60.0
WINDOW_SECONDS = 60.0

_EPOCH_MILLISECONDS = 10**12
_EPOCH_SECONDS = 10**9
_MOST_SECONDS_LEFT = 120


def seconds_until_reset(value: str | None, now: float) -> float:
    """
    Read ``X-RateLimit-Reset``, whose unit Lofty's page contradicts itself about.

    From 10**12 on it is taken for epoch milliseconds, from 10**9 on for epoch seconds, above 120 for milliseconds
    left, else for seconds left. Missing or unreadable means a whole window.

    :param value: the header
    :param now: the present, as seconds since the epoch, by the clock of the server that sent it where known
    :return: 0 to 60 seconds
    """
    try:
        number = float(value or "")
    except ValueError:
        return WINDOW_SECONDS
    if not 0 <= number < 10**15:  # also not-a-number
        return WINDOW_SECONDS
    if number >= _EPOCH_MILLISECONDS:
        number = number / 1000 - now
    elif number >= _EPOCH_SECONDS:
        number -= now
    elif number > _MOST_SECONDS_LEFT:
        number /= 1000
    return min(max(number, 0.0), WINDOW_SECONDS)


class Pacer:
    """
    Hands out the times at which requests may go. Safe to share between threads.

    :param requests_per_minute: the author's cap; None when there is none
    :param clock: monotonic seconds
    """

    def __init__(self, requests_per_minute: float | None, clock: Callable[[], float]) -> None:
        self._cap = requests_per_minute
        self._pace = requests_per_minute or START_REQUESTS_PER_MINUTE
        self._clock = clock
        self._lock = threading.Lock()
        self._next = clock()

    @property
    def requests_per_minute(self) -> float:
        """The pace in force."""
        return self._pace

    def delay(self) -> float:
        """Seconds until a request may go; zero or less means now. Reserves nothing."""
        with self._lock:
            return self._next - self._clock()

    def reserve(self) -> float:
        """Take the next turn; tell how many seconds away it is."""
        with self._lock:
            now = self._clock()
            turn = max(self._next, now)
            self._next = turn + 60.0 / self._pace
            return turn - now

    def hold(self, seconds: float) -> None:
        """Let nothing go for this long."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)

    def observe(self, headers: Mapping[str, str]) -> None:
        """
        Follow the limit that Lofty names.

        :param headers: of an answer, names in lower case
        """
        try:
            limit = float(headers.get("x-ratelimit-limit", ""))
        except ValueError:
            return
        if not 1 <= limit <= 10**6:
            return
        with self._lock:
            self._pace = min(limit, self._cap) if self._cap else limit
