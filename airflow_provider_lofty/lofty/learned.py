"""
The limit of a server that does not state it, learned from its refusals.

Until the first refusal the pace rises with what is accepted, and doubles in less than half a minute. From then on this
is congestion control as TCP's.

Of many requests a minute, as its CUBIC does it: remember the ceiling at which a request was refused, return close below
it quickly, stay there for long, and only then probe beyond it, slowly at first. Growth is counted in accepted requests,
not in time: a probe costs a refusal, and with many requests between two of them little is wasted.

Of few requests a minute the last minute's number says little, and each refusal is a large part. So there each request
that is accepted adds a little to the pace, and each refusal takes a part of it. What is added falls behind what is
taken as the pace grows: whoever sends more than others at the same limit gives way to them, and of workers that know
nothing of each other each comes to roughly its share.

No sixty seconds ever get more requests than the pace allows. So it does not matter whether the server counts by the
clock's minute, by the last sixty seconds or with a bucket of tokens.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

MINUTE = 60.0
MOST_WITHOUT_HEADERS = 1200.0  # requests a minute; the largest limit that Lofty's page names is 500
_LEAST_PACE = 1.0
_SPREAD = 0.1  # of an interval: who keeps in step with others, or with the clock's minute, is refused every time
_LEAST_AT_FIRST = 4.0  # a run that has just begun has sent too little to conclude on less
_RISE = 2.0  # requests a minute, for each that was accepted in the last one

_FIRST_STEP = 0.8  # of the pace at the first refusal: it went on rising until the answer came
_STEP = 0.9  # of the ceiling, after a refusal
_STEP_WHEN_CONFIRMED = 0.95
_CONFIRMED = 0.8, 1.3  # of the ceiling: a refusal between these shows that it is one

_SMALL = 60.0  # requests a minute, below which a pace is not counted
_SHARE_REFUSED = 0.014  # of the requests, at a pace of one a minute; it falls with the root of the pace
_OVERDUE = 3.0  # without a refusal for long, a pace grows faster: the limit may have been raised
_SMALL_STEP = 0.15  # of a small pace, after a refusal
_SMALL_STEP_UNTIL = 5.0  # requests a minute, from which on the step falls with the root of the pace
_GUESS_STEP = 0.2  # of a pace that was guessed, after the first refusals; and
_FULL_STEP, _FULL_ROW = 0.5, 3  # when so many in a row show that the server is full
_SURE = 10  # accepted requests, and the pace is no guess

# Accepted requests on the way from below the ceiling back to it; then as many again until it is passed noticeably.
_LEAST_WAY = 3.0
_LONG_WAY = 80.0
_LONG_MINUTES = 4.0
_LONGEST_MINUTES = 8.0
_MOST_DOUBLINGS = 6

_HOLD_SECONDS = 0.8
_HOLD_GROWTH = 5.0  # with each refusal in a row
_MOST_HOLD_GROWTHS = 3
_HOLD_JITTER = 0.5
_SMALL_HOLD_GROWTH = 2.0  # of the time between two requests
_LONGEST_HOLD = 4 * MINUTE
_FALLEN = 0.95  # of what was counted at the refusal before: less than that, and the server does not count
_ENOUGH = 30  # accepted requests, to tell a rate
_FEW = 20.0  # requests a minute; of so few no more than two may be refused


class LearnedLimit:
    """
    What refusals have taught. Not safe to share between threads.

    :param start: requests a minute to begin with
    :param most: requests a minute that are never exceeded
    :param clock: monotonic seconds
    :param chance: gives a number from 0 to 1
    """

    def __init__(self, start: float, most: float, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        self._start = start
        self._most = most
        self._clock = clock
        self._chance = chance
        self._turns: deque[float] = deque()  # of the last minute, and those to come
        self._ceiling: float | None = None  # a small one is itself the pace
        self._refused_pace: float | None = None
        self._spread = 1.0
        self._step = _STEP
        self._accepted = 0  # since the last refusal
        self._doublings = 0
        self._refused_at: deque[float] = deque([-math.inf] * 2, maxlen=2)
        self._refused_in_a_row = 0
        self._held_until = -math.inf
        self._has_measured = False
        self._counted = 0.0  # at the last refusal

    @property
    def limit(self) -> float | None:
        """Requests a minute that were accepted before one was refused; None until that was measured."""
        return self._refused_pace if self._has_measured else None

    @property
    def is_refused(self) -> bool:
        """Whether nothing has been accepted since a refusal: one request at a time shows when that is over."""
        return self._refused_in_a_row > 0

    def begin_at(self, pace: float) -> None:
        """Begin no slower than this, as long as nothing was refused."""
        self._start = max(self._start, pace)
        self._most = max(self._most, pace)

    def recall(self, limit: float) -> None:
        """Begin close below a limit that was learned before."""
        self._ceiling = self._refused_pace = max(limit, _LEAST_PACE)
        self._has_measured = True
        if self._is_small:
            self._ceiling = max(limit * (1 - _small_step(limit)), _LEAST_PACE)

    # Turns

    @property
    def pace(self) -> float:
        """Requests a minute, now."""
        self._forget_old()
        risen = self._start + _RISE * min(len(self._turns), self._accepted)
        if self._ceiling is None:
            return min(risen, self._most)
        if self._is_small:
            return min(self._ceiling, self._most)
        way: float = self._accepted / self._way_back - 1
        grown = self._ceiling * (1 + (1 - self._step) * way * way * way)
        return max(min(grown, max(risen, self._ceiling), self._most), _LEAST_PACE)

    @property
    def _is_small(self) -> bool:
        return self._ceiling is not None and self._ceiling < _SMALL

    def _forget_old(self) -> None:
        oldest = self._clock() - MINUTE
        while self._turns and self._turns[0] <= oldest:
            self._turns.popleft()

    @property
    def _way_back(self) -> float:
        ceiling = self._ceiling or 0.0
        way = max(ceiling, _LEAST_WAY) * 2.0**self._doublings
        return min(way, max(ceiling * _LONG_MINUTES, min(_LONG_WAY, ceiling * _LONGEST_MINUTES), _LEAST_WAY))

    def took(self, turn: float) -> None:
        """Note when a request leaves."""
        self._forget_old()
        self._turns.append(turn)
        if self._ceiling is not None:
            self._spread = 1 + _SPREAD * (self._chance() - 0.5)

    def gave_back(self) -> None:
        """Note that the last of them does not leave."""
        if self._turns:
            self._turns.pop()

    def next_turn(self, turn: float) -> float:
        """
        Say when the next request may leave.

        :param turn: when the newest one leaves
        """
        pace = self.pace
        turn = max(turn + self._spread * MINUTE / pace, self._held_until)
        return turn if self._ceiling is None or self.is_refused else max(turn, self._room_at(pace))

    def _room_at(self, pace: float) -> float:
        """When the last sixty seconds hold fewer requests than this pace allows."""
        surplus = len(self._turns) - math.ceil(pace)
        return self._turns[surplus] + MINUTE if surplus >= 0 else -math.inf

    # Answers

    def accepted(self, sent: float) -> None:
        """
        Learn that a request was not refused.

        :param sent: when it left
        """
        self._accepted += 1
        if sent <= self._refused_at[-1]:
            return
        self._refused_in_a_row = 0
        if self._ceiling is not None and self._is_small and len(self._turns) >= self._ceiling / 2:
            self._ceiling += self._growth(self._ceiling)  # whoever sends less has not tried this pace

    def _growth(self, pace: float) -> float:
        """What each accepted request adds to a small pace: together as much as a refusal takes, when one is due."""
        share = _SHARE_REFUSED / math.sqrt(pace)
        overdue = _OVERDUE * self._accepted * share
        return share * pace * _small_step(pace) * (1 + overdue * overdue)

    def refused(self, sent: float, in_flight: int) -> None:
        """
        Learn that a request was refused for the rate.

        :param sent: when it left
        :param in_flight: how many others are on their way
        """
        self.gave_back()
        if sent <= self._refused_at[-1]:
            return  # one of several that were refused together
        self._refused_in_a_row += 1
        now = self._clock()
        self._held_until = now + (
            self._learn_of_few(in_flight) if self._is_small else self._learn_of_many(self.pace, in_flight)
        )
        self._refused_at.append(now)
        if (self._ceiling or 0.0) < _FEW:
            self._held_until = max(self._held_until, self._refused_at[0] + MINUTE * (1 + _HOLD_JITTER / 10))

    def _learn_of_few(self, in_flight: int) -> float:
        """
        Take a part of a small pace.

        :return: seconds to send nothing
        """
        pace = self.pace
        self._ceiling, self._refused_pace = max(self._lowered(pace, in_flight), _LEAST_PACE), pace
        self._accepted = 0
        if not self._has_measured:
            return self._pause()
        growths = min(self._refused_in_a_row - 1, _MOST_HOLD_GROWTHS)
        pause = MINUTE / self._ceiling * _SMALL_HOLD_GROWTH**growths
        return min(pause * (1 + _HOLD_JITTER * self._chance()), _LONGEST_HOLD)

    def _lowered(self, pace: float, in_flight: int) -> float:
        row = self._refused_in_a_row
        if self._has_measured:
            return pace if row > 1 else pace * (1 - _small_step(pace))  # later ones say only that it is still full
        if row < _FULL_ROW:
            self._has_measured = self._accepted >= _SURE
            return pace * (1 - _GUESS_STEP)
        counted = max(self._counted_now(in_flight), _LEAST_AT_FIRST)
        found = max(min(pace, counted), pace * _FULL_STEP)
        self._has_measured = found <= counted
        return found

    def _learn_of_many(self, pace: float, in_flight: int) -> float:
        """
        Learn the ceiling, and how far below it to go on.

        :return: seconds to send nothing
        """
        is_confirmed = self._learn(pace, in_flight)
        self._step = _STEP_WHEN_CONFIRMED if is_confirmed else _STEP
        self._accepted = 0  # the pace falls to this step
        return self._hold(is_confirmed)

    def _learn(self, pace: float, in_flight: int) -> bool:
        """Take the ceiling from this refusal; tell whether it is about where it was."""
        before = self._ceiling
        if before is None:
            self._ceiling = max(pace * _FIRST_STEP, _LEAST_PACE)
            return False
        least = max(before / 2, _LEAST_PACE) if self._has_measured else _LEAST_AT_FIRST
        self._ceiling = self._refused_pace = found = max(self._measured(pace, in_flight), least)
        self._has_measured = True
        if self._refused_in_a_row > 1:
            return False
        lowest, highest = min(_CONFIRMED[0] * before, before - 1), max(_CONFIRMED[1] * before, before + 1)
        self._doublings = min(self._doublings + 1, _MOST_DOUBLINGS) if lowest <= found < highest else 0
        return found >= lowest

    def _measured(self, pace: float, in_flight: int) -> float:
        """
        Say how many a minute were accepted: in the last one, or since the refusal before.

        A server that counts has taken as many in the last minute as it takes, or in a part of it; one that refuses
        bursts may have taken fewer, but at the right pace since it refused one. A bucket of tokens that was full takes
        more in its first minutes than it ever will again: each refusal counts fewer, and the pace since is right.
        """
        now, counted = self._clock(), self._counted_now(in_flight)
        has_fallen, self._counted = counted < _FALLEN * self._counted, counted
        since = now - self._refused_at[-1]
        if self._refused_in_a_row > 1 or since >= MINUTE:
            return counted
        at_rate = min(self._accepted * MINUTE / since, pace)
        return min(counted, at_rate) if has_fallen and self._accepted >= _ENOUGH else max(counted, at_rate)

    def _counted_now(self, in_flight: int) -> float:
        """How many were accepted in the last minute."""
        now = self._clock()
        return float(max(sum(turn <= now for turn in self._turns) - in_flight, 0))

    def _hold(self, is_confirmed: bool) -> float:
        """
        Say for how many seconds to send nothing, until the server should accept again.

        That is certain when the last sixty seconds hold few enough. While the ceiling is a guess, it is tried earlier.
        """
        pause, room = self._pause(), self._room_at(self.pace) - self._clock()
        if is_confirmed:
            return max(pause, room)
        return min(pause, max(room, _HOLD_SECONDS)) if self._refused_in_a_row > 1 else pause

    def _pause(self) -> float:
        growths = min(self._refused_in_a_row - 1, _MOST_HOLD_GROWTHS)
        return _HOLD_SECONDS * _HOLD_GROWTH**growths * (1 + _HOLD_JITTER * self._chance())


def _small_step(pace: float) -> float:
    """What part of a small pace a refusal takes."""
    return _SMALL_STEP * min(math.sqrt(_SMALL_STEP_UNTIL / pace), 1.0)
