"""
When the next request may go, and how many may be on their way.

Requests leave evenly spaced, never in bursts. The pace starts at the author's cap, at what is known of the account, or
at 60 a minute. Where Lofty states its limit, each window is used to its end and shared with whoever else uses it
(:mod:`window <airflow_provider_lofty.lofty.window>`), and after a refusal for the rate nothing is sent until the window
turns; where it does not, refusals teach it (:mod:`learned <airflow_provider_lofty.lofty.learned>`). Nothing ever makes
the pace faster than the cap.

All times are in seconds; clock and chance are arguments.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from airflow_provider_lofty.lofty.learned import MOST_WITHOUT_HEADERS, LearnedLimit
from airflow_provider_lofty.lofty.window import WINDOW_SECONDS, ResetUnit, Window, number_in

START_REQUESTS_PER_MINUTE = 60.0
MOST_LIMIT = 10**6  # requests a minute; no client is faster
_LARGEST_SENSE = 10**9
_LEAST_HOLD = 0.01  # of a window, after a refusal; doubled by each that follows
_JITTER_SHARE = 0.02  # the same
_JITTER_SHARE_WITHOUT_HEADERS = 0.2
_CROWD_SECONDS = 1.0
_LONGEST_RETRY_AFTER = 300.0  # whoever asks for more is asked again all the same
_ANSWERS_TO_WIDEN = 200
_MOST_ANSWERS_TO_WIDEN = 1600


class Ticket(NamedTuple):
    """
    A request on its way.

    :param number: counted from 0
    :param sent: when it left
    :param ahead: how many others were on their way then
    """

    number: int
    sent: float
    ahead: int


class Pacer:
    """
    Hands out the times at which requests to one endpoint may leave. Safe to share between threads.

    :param requests_per_minute: the author's cap; None when there is none
    :param clock: monotonic seconds
    :param unit: of the host's Reset header
    :param chance: gives a number from 0 to 1
    :param first: requests a minute to begin with; by default the cap, or 60 without one
    """

    def __init__(
        self,
        requests_per_minute: float | None,
        clock: Callable[[], float],
        unit: ResetUnit | None = None,
        chance: Callable[[], float] = random.random,
        first: float | None = None,
    ) -> None:
        self._cap = requests_per_minute
        start = first or self._cap or START_REQUESTS_PER_MINUTE
        most = self._cap or max(start, MOST_WITHOUT_HEADERS)
        self._learned = LearnedLimit(start, most, clock, chance)
        self._clock = clock
        self._unit = unit or ResetUnit()
        self._chance = chance
        self._lock = threading.Lock()
        self._window = Window()
        self._turn = clock() - 60.0 / start
        self._held_until = self._turn
        self._taken = self._begun = self._ended = 0
        self._refused_at = self._narrowed_at = float("-inf")
        self._refusals_in_a_row = self._unexpected = 0
        self._most_in_flight = float("inf")
        self._answers_to_widen = self._answers_since = _ANSWERS_TO_WIDEN

    @property
    def requests_per_minute(self) -> float:
        """The pace in force, in requests a minute."""
        with self._lock:
            return self._learned.pace if self._window.limit is None else 60.0 / max(self._interval(), 60.0 / MOST_LIMIT)

    @property
    def knows_limit(self) -> bool:
        """Whether Lofty has stated its limit."""
        return self._window.limit is not None

    @property
    def limit(self) -> float | None:
        """The limit that Lofty has stated, in requests a minute; None until it has."""
        limit = self._window.limit
        return None if limit is None else limit * WINDOW_SECONDS / self._window.length

    @property
    def learned_limit(self) -> float | None:
        """The limit that refusals have shown, in requests a minute; None where Lofty states it, or refused nothing."""
        return self._learned.limit if self._window.limit is None else None

    @property
    def most_in_flight(self) -> float:
        """How many requests the server takes at once, as far as is known."""
        return 1.0 if self._window.limit is None and self._learned.is_refused else self._most_in_flight

    @property
    def is_full(self) -> bool:
        """Whether as many are on their way as the server takes at once, as far as is known."""
        return self._begun - self._ended >= self.most_in_flight

    def delay(self) -> float:
        """Seconds until a request may go; zero or less means now. Reserves nothing."""
        with self._lock:
            return self._next_turn() - self._clock()

    def reserve(self) -> float:
        """Take the next turn, and say how many seconds away it is."""
        with self._lock:
            now = self._clock()
            self._turn = max(self._next_turn(), now)
            self._taken += 1
            self._learned.took(self._turn)
            return self._turn - now

    def give_back(self) -> None:
        """Return a turn that was taken: no request leaves."""
        with self._lock:
            self._taken -= 1
            self._learned.gave_back()

    def _next_turn(self) -> float:
        if self._window.limit is None:
            return max(self._learned.next_turn(self._turn), self._held_until)
        return max(self._turn + self._interval(), self._held_until)

    def _interval(self) -> float:
        capped = 60.0 / self._cap if self._cap else 0.0
        return max(self._window.interval(self._turn, self._taken), capped)

    def guess(self, limit: float) -> None:
        """Without a cap begin as fast as another endpoint allows, until this one's limit is known; never slower."""
        with self._lock:
            if self._cap is None:
                self._learned.begin_at(limit)

    def recall(self, limit: float) -> None:
        """Begin close below a limit that refusals have shown before, and go on learning from there."""
        with self._lock:
            self._learned.recall(limit)

    def begin(self) -> Ticket:
        """Note that a request leaves now, in its turn."""
        with self._lock:
            self._begun += 1
            return Ticket(self._begun - 1, self._clock(), self._begun - 1 - self._ended)

    def passed(self, ticket: Ticket) -> None:
        """Note that a request is over whose answer says nothing of this endpoint, or that got none."""
        with self._lock:
            self._ended += 1
            self._window.unanswered()

    def ended(
        self, ticket: Ticket, headers: Mapping[str, str], server_time: float, *, is_refused: bool
    ) -> float | None:
        """
        Learn from a request's answer.

        :param headers: of the answer, names in lower case
        :param server_time: seconds since the epoch, by the server's clock where it says so
        :param is_refused: for the rate
        :return: the limit that the answer states, in requests a window
        """
        limit = number_in(headers.get("x-ratelimit-limit"))
        limit = min(limit, MOST_LIMIT) if limit is not None and 1 <= limit <= _LARGEST_SENSE else None
        with self._lock:
            in_flight = self._begun - self._ended - 1
            self._ended += 1
            if is_refused and self._is_crowd(ticket):
                self._narrow(ticket)
            elif is_refused:
                self._refused(ticket, headers, limit, server_time)
            else:
                self._learned.accepted(ticket.sent)
            if limit is not None and not is_refused:
                remaining = number_in(headers.get("x-ratelimit-remaining"))
                left = self._unit.seconds_left(headers.get("x-ratelimit-reset"), ticket.sent, server_time)
                self._window.answered(ticket.number, ticket.sent, limit, remaining, left, in_flight)
            if not is_refused:
                self._refusals_in_a_row = 0
                self._widen()
        return limit

    # Refusals

    def _is_crowd(self, ticket: Ticket) -> bool:
        """
        Whether it was refused for the number on their way: the window held more than others can have taken.

        Where a new window was only expected it may not have begun, so this has to come twice.
        """
        limit = self._window.limit
        if limit is None or not ticket.ahead:
            return False
        if self._window.budget(ticket.sent, ticket.number) <= max(limit / 10, ticket.ahead + 1):
            return False
        if self._window.is_certain:
            return True
        self._unexpected += ticket.sent > self._refused_at
        return self._unexpected > 1

    def _narrow(self, ticket: Ticket) -> None:
        self._most_in_flight = min(self._most_in_flight, ticket.ahead)
        self._held_until = max(self._held_until, self._clock() + _CROWD_SECONDS * self._chance())
        if ticket.sent <= self._narrowed_at:
            return  # one of several that were refused together
        if self._narrowed_at > float("-inf"):
            self._answers_to_widen = min(self._answers_to_widen * 2, _MOST_ANSWERS_TO_WIDEN)
        self._narrowed_at = self._clock()
        self._unexpected = 0
        self._answers_since = 0

    def _widen(self) -> None:
        """Try whether one more is taken by now."""
        self._answers_since += 1
        if self._answers_since >= self._answers_to_widen:
            self._most_in_flight += 1
            self._answers_since = self._unexpected = 0

    def _refused(self, ticket: Ticket, headers: Mapping[str, str], limit: float | None, server_time: float) -> None:
        left = self._unit.seconds_to_wait(headers.get("x-ratelimit-reset"), ticket.sent, server_time)
        if left is None and (asked := number_in(headers.get("retry-after"))) is not None:
            left = min(asked, _LONGEST_RETRY_AFTER)  # Lofty's pages know no such header, gateways before a server do
        if limit is None and self._window.limit is None:
            self._learned.refused(ticket.sent, self._begun - self._ended)
            if left is None:
                return
        length = self._window.length
        now = self._clock()
        if limit is not None:
            self._window.refused(ticket.number, ticket.sent, limit, left)
        until = now + length if left is None else max(ticket.sent + left, now)
        is_first = ticket.sent > self._refused_at  # of several that were refused together
        if is_first:
            self._refused_at = now
            self._refusals_in_a_row += 1
        until = max(until, now + length * _LEAST_HOLD * 2 ** min(self._refusals_in_a_row - 1, 6))
        jitter = _JITTER_SHARE if limit is not None else _JITTER_SHARE_WITHOUT_HEADERS
        self._held_until = max(self._held_until, until + self._chance() * jitter * length)


__all__ = ["START_REQUESTS_PER_MINUTE", "WINDOW_SECONDS", "Pacer", "Ticket"]
