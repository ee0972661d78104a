"""
Lofty's rate window, as three headers of its answers show it: how many requests are left, and when it turns.

The headers are ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset`` (Lofty's page "Rate limits"). The page contradicts
itself about the unit of Reset, so the unit is learned. Reset says when a window turns; that Remaining goes up says it
better. All times are in seconds of a monotonic clock, and are the times at which requests left here: their way to Lofty
takes about equally long for all of them, so its length need not be known.
"""

from __future__ import annotations

import math

WINDOW_SECONDS = 60.0

_EPOCH_MILLISECONDS = 10**12
_EPOCH_SECONDS = 10**9
_MOST_SECONDS_LEFT = 120
_CLOCKS_APART = 5.0  # a Reset that lies so far back still means now
_LONG_ENOUGH = 1.5  # between two values, to see whether they count seconds or milliseconds
_LONGEST_BIAS = 2.0
_SHORTEST_WINDOW = 0.5
_PERIODS_APART = 0.2
_MOST_EMPTY = 3  # successes in a row with nothing left; after more of them Remaining is not believed
_SPARE_SHARE = 0.01  # of a window, left unused: the clocks are never quite right
_SPARE_SHARE_AMONG_OTHERS = 0.02
_MEMORY_SHARE = 0.1  # of a window: how long others' requests are remembered
_LEAST_SHARE = 1 / 32  # of the requests: others never crowd this process out


def number_in(value: str | None) -> float | None:
    """Read a header that should be a number."""
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if 0 <= number < 10**15 else None  # also not-a-number


class ResetUnit:
    """
    Learns in what unit a host writes Reset: time since the epoch or time left, in seconds or milliseconds.

    From 10**12 on it is epoch milliseconds, from 10**9 on epoch seconds, above 120 milliseconds left. A smaller number
    may be either, until a larger one has been seen, or two that differ by as much as the clock does.
    """

    def __init__(self) -> None:
        self._is_milliseconds: bool | None = None
        self._seen: tuple[float, float] | None = None
        self._has_tried_short = False

    def seconds_left(self, value: str | None, sent: float, server_time: float) -> float | None:
        """
        Read the header.

        :param sent: when its request left
        :param value: the header, if there is one
        :param server_time: seconds since the epoch by the server's clock, or by ours where it does not say
        :return: None when it makes no sense, or its unit is not known yet
        """
        number = number_in(value)
        if number is None:
            return None
        if number >= _EPOCH_SECONDS:
            left = (number / 1000 if number >= _EPOCH_MILLISECONDS else number) - server_time
            return max(left, 0.0) if -_CLOCKS_APART < left <= _MOST_SECONDS_LEFT else None
        self._learn(number, sent)
        if self._is_milliseconds is None:
            return None
        left = number / 1000 if self._is_milliseconds else number
        return left if left <= _MOST_SECONDS_LEFT else None

    def _learn(self, number: float, sent: float) -> None:
        if number > _MOST_SECONDS_LEFT:
            self._is_milliseconds = True
        elif self._is_milliseconds is None and self._seen is not None:
            before, then = self._seen
            if sent - then >= _LONG_ENOUGH and number < before:
                self._is_milliseconds = (before - number) / (sent - then) > 30
        if self._seen is None or number > self._seen[0]:
            self._seen = number, sent

    def seconds_to_wait(self, value: str | None, sent: float, server_time: float) -> float | None:
        """
        Read the header of a refusal, after which one has to wait for something.

        While the unit is unknown milliseconds are tried: too short a wait costs one more refusal, too long a one a
        minute. A second refusal shows that it was seconds.
        """
        left = self.seconds_left(value, sent, server_time)
        number = number_in(value)
        if left is not None or number is None or number > _MOST_SECONDS_LEFT:
            return left
        if self._has_tried_short:
            self._is_milliseconds = False
            return number
        self._has_tried_short = True
        return number / 1000


class Window:
    """
    What is known of the window in force, from the answers of this process.

    Requests are numbered in the order they leave: an answer says what was left when its request was counted, and those
    that left after it have used more.
    """

    def __init__(self) -> None:
        self.limit: float | None = None
        self.length = WINDOW_SECONDS
        self.ends: float | None = None
        self._remaining = 0.0
        self._number = -1  # of the request whose answer is the newest
        self._sent = -math.inf  # when it left
        self._shown_end: float | None = None
        self._bias = 0.0
        self._expected_end: float | None = None  # when the window was thought to end, and did not
        self._turned_at: float | None = None
        self._has_learned_length = False
        self._period = 0.0
        self._unsure = 0
        self._empty_in_a_row = 0
        self._largest_left = 0.0
        self._begun_at_end: int | None = None  # requests begun when the window ended, as far as is known
        self._mine = self._others = 0.0  # requests a second

    def answered(
        self, number: int, sent: float, limit: float, remaining: float | None, left: float | None, in_flight: int
    ) -> None:
        """
        Learn from an answer.

        :param number: of its request, counted from 0
        :param sent: when its request left
        :param limit: requests a window, as the answer says
        :param remaining: of them, as the answer says
        :param left: seconds until the window turns, as Reset says
        :param in_flight: other requests on their way: Lofty may count them in another order than they left
        """
        self.limit = limit
        if remaining is None or number <= self._number:
            return
        self._empty_in_a_row = 0 if remaining else self._empty_in_a_row + 1
        self._largest_left = max(self._largest_left, left or 0.0)
        if self._empty_in_a_row > _MOST_EMPTY:  # this host always says so
            return
        if self._largest_left < _LONG_ENOUGH:  # this host always says that the window is over
            left = None
        end = None if left is None else sent + left
        if self._number < 0:
            self._shown_end = end
        elif self._has_turned(number, remaining, end, in_flight):
            self._turn(sent, end)
        else:
            self._go_on(number, sent, remaining, end)
        self.length = max(self.length, left or 0.0)
        self._remaining, self._number, self._sent = remaining, number, sent
        self._unsure = 0
        if self._shown_end is not None and self._begun_at_end is None:
            self.ends = self._shown_end + self._bias

    def refused(self, number: int, sent: float, limit: float, left: float | None) -> None:
        """Learn that nothing was left; a refusal does not show whether the window has turned."""
        self.limit = limit
        if number <= self._number:
            return
        self._remaining, self._number, self._sent = 0.0, number, sent
        if left is not None:
            if self._expected_end is None and self.ends is not None and sent >= self.ends:
                self._expected_end = self.ends  # too early
            self._shown_end, self._begun_at_end = sent + left, None
            self.ends = self._shown_end + self._bias

    def unanswered(self) -> None:
        """Learn that a request got no answer that says anything of this window: it may have been counted, or not."""
        self._unsure += 1

    def _has_turned(self, number: int, remaining: float, end: float | None, in_flight: int) -> bool:
        if remaining > self._remaining - (number - self._number) + self._unsure + in_flight:
            return True
        if end is None or self._shown_end is None:
            return False
        return end - self._shown_end > max(_LONG_ENOUGH, self.length / 2)

    def _turn(self, sent: float, end: float | None) -> None:
        """
        A new window began between the newest answer's request and this one.

        Reset is rounded and the clocks differ, so its error is learned as well.
        """
        expected = self.ends if self._expected_end is None else self._expected_end
        if expected is not None and end is not None and (sent < expected or self._sent > expected):
            self._bias = min(max(self._bias + sent - expected, -_LONGEST_BIAS), _LONGEST_BIAS)
        self._expected_end = None
        since = math.inf if self._turned_at is None else sent - self._turned_at
        if end is not None and since > (end - sent) / 2:  # it has just begun, so what is left is all of it
            self._learn_length(end - sent)
        elif end is None and self._turned_at is not None:
            self._learn_length(
                since / max(round(since / self.length), 1)
            )  # windows in which nothing was sent may have passed
        self._turned_at, self._shown_end, self._begun_at_end = sent, end, None
        self.ends = sent + self.length if end is None else None

    def _learn_length(self, period: float) -> None:
        """Believe a period once two in a row agree: the first one seen may have been cut short."""
        if abs(period - self._period) <= _PERIODS_APART * period and period > _SHORTEST_WINDOW:
            self.length, self._has_learned_length = period, True
        self._period = period

    def _go_on(self, number: int, sent: float, remaining: float, end: float | None) -> None:
        """The window is still the same."""
        if self._begun_at_end is not None and self.ends is not None and sent >= self.ends:  # it was not over yet
            self._begun_at_end = max(self._begun_at_end, number + 1)
        elif self._begun_at_end is None:
            self._count_others(number - self._number, self._remaining - remaining, sent - self._sent)
        if end is not None:
            self._shown_end = end if self._shown_end is None else min(self._shown_end, end)

    def _count_others(self, mine: int, taken: float, seconds: float) -> None:
        if seconds <= 0:
            return
        weight = 1.0 if not self._mine else 1 - math.exp(-seconds / (self.length * _MEMORY_SHARE))
        self._mine += weight * (mine / seconds - self._mine)
        self._others += weight * (max(taken - mine, 0.0) / seconds - self._others)

    @property
    def _share(self) -> float:
        """Which part of all requests is sent from here."""
        total = self._mine + self._others
        return max(self._mine / total, _LEAST_SHARE) if total else 1.0

    @property
    def is_certain(self) -> bool:
        """Whether its budget is known from an answer, and not only expected."""
        return self._number >= 0 and self._begun_at_end is None

    def budget(self, now: float, begun: int) -> float:
        """
        How many requests the window still holds.

        :param begun: requests that have left or will leave from here up to now
        """
        if self._begun_at_end is not None:
            return (self.limit or 0.0) - (begun - self._begun_at_end)
        if self._number < 0:
            return self.limit or 0.0
        return self._remaining - (begun - self._number - 1) - self._others * max(now - self._sent, 0.0)

    def _pass(self, turn: float, begun: int) -> None:
        """Start counting anew when the window should be over; the answers will show whether it was."""
        if self.ends is None:
            return
        if self._begun_at_end is None and turn >= self.ends:
            self._begun_at_end = begun - 1
        while self._begun_at_end is not None and turn >= self.ends + self.length:
            self.ends += self.length
            self._begun_at_end = begun - 1

    def interval(self, turn: float, begun: int) -> float:
        """
        Say how long after a turn the next one is, so that the window is used evenly and to its end.

        :param turn: when the newest request leaves
        :param begun: how many there are with it
        :return: seconds
        """
        limit = self.limit or 1.0
        self._pass(turn, begun)
        nominal = self.length / limit
        is_shared = self._others > self._mine * _SPARE_SHARE_AMONG_OTHERS
        spare = math.floor(limit * (_SPARE_SHARE_AMONG_OTHERS if is_shared else _SPARE_SHARE))
        budget = self.budget(turn, begun) - spare
        if self.ends is None:
            left = self._sent + self.length - turn
            return max(nominal * (1 + _SPARE_SHARE_AMONG_OTHERS), left if budget < 1 else 0.0)
        left = self.ends - turn + (self.length if self._begun_at_end is not None else 0.0)
        if budget < 1:
            return max(left + nominal / 2, nominal)
        fastest = nominal / 2 if self._has_learned_length else nominal / 4
        return max(left / ((budget + 0.5) * self._share), fastest)
