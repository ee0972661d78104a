"""
The limit of a server that does not state it, learned from its refusals.

Until the first refusal the pace rises with what is accepted, and doubles in less than half a minute. From then on this
is congestion control.

Each request that is accepted adds a little to the pace, and each refusal takes a part of it. Both are measured so that
a pace holds when it is refused about as often as is due, and the larger a pace, the smaller the share of its requests
that is due: whoever sends more than others at the same limit is refused more often than that, and gives way to them.
So of workers that know nothing of each other each comes to roughly its share.

With many requests a minute the last one's number says much. Then a refusal also makes the pace dip, and it returns as
with TCP's CUBIC: quickly at first, then slowly, to close below the ceiling at which it was refused.

To share evenly takes hours, as it hangs on few refusals. So the first minutes are another matter: until the limit is
known each refusal takes a good part of the pace, and all are refused until together they fit. They come to about the
same pace if they take as many steps, so everyone goes on asking: who is silent after a refusal leaves room in which
others are not refused. Only the first minute has silence, after many refusals. The limit is known once a pace was
accepted for two minutes, or when a server takes nothing for a while: then it counts, and so many were accepted.

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
_RISE = 2.0  # requests a minute, for each that was accepted in the last one

# Until the limit is known
_FIRST_STEP = 0.2  # of the pace at the first refusal: it went on rising until the answer came
_GUESS_STEP = 0.23  # of a pace that is a guess, after further refusals
_GUESS_STEP_UNTIL = 28.0  # requests a minute, from which on that step falls with the root of the pace
_MOST_AT_FIRST = 8  # refusals in the first minute
_LONG_ROW = 4  # refusals in a row: the limit is no less than what was accepted in the last minute
_CERTAIN_ROW = 6  # refusals in a row: it is just that
_LEAST_COUNT = 8.0  # accepted in the last minute, for both
_KNOWN, _KNOWN_MINUTES = 20.0, 2.0  # requests and minutes that were accepted: the pace is no guess any more

# Once it is known
_DUE = 0.015  # refusals a minute, of one request a minute; more requests make more due, with their root
_OVERDUE_STEP = 0.2  # of the pace, times the square of those overdue: the limit may have been raised
_STEP = 0.08  # of the pace, after a refusal
_STEP_UNTIL = 10.0  # requests a minute, from which on the step falls with the root of the pace
_OTHERS_GUESS = 2.5 * MINUTE  # so long a small pace takes whole steps

# Of fewer requests a minute
_SMALL = 60.0  # requests a minute
_COUNTABLE = 10.0  # requests a minute, and since the last refusal, of which a minute's number says something
_NEAR = 1.5  # times that number: a known pace that is larger was refused by a lower limit
_SMALL_HOLD_GROWTH = 2.0  # of the time between two requests, with each refusal in a row
_LONGEST_HOLD = 4 * MINUTE
_FEW = 20.0  # requests a minute; of so few, once that is known, no more than two a minute may be refused

# Of many requests a minute
_DIP = 0.1  # of the ceiling, after a refusal
_DIP_WHEN_CONFIRMED = 0.05
_CONFIRMED = 0.8, 1.3  # of the ceiling: a refusal between these shows that it is one
_MOST_DOUBLINGS = 3  # of the minute from below the ceiling back to it
_HOLD_SECONDS = 0.8
_HOLD_GROWTH = 5.0  # with each refusal in a row
_MOST_HOLD_GROWTHS = 3
_HOLD_JITTER = 0.5
_FALLEN = 0.95  # of what was counted at the refusal before: less than that, and the server does not count
_ENOUGH = 30  # accepted requests, to tell a rate


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
        self._ceiling: float | None = None  # the pace, except while it dips
        self._refused_pace: float | None = None
        self._spread = 1.0
        self._dip = _DIP
        self._way_back = 0.0  # accepted requests from the last refusal to the ceiling
        self._accepted = 0  # since the last refusal
        self._due = 0.0  # refusals, since the last one
        self._doublings = 0
        self._refused_at: deque[float] = deque([-math.inf] * 2, maxlen=2)
        self._refused_in_a_row = 0
        self._row = 0  # of them, without a long wait between
        self._has_stepped = False  # at the last refusal, while the pace is a guess
        self._proven = 0  # of those accepted since the last refusal, after the first minute
        self._held_until = -math.inf
        self._has_measured = False
        self._counted = 0.0  # at the last refusal
        self._began = math.inf  # with the first request
        self._refusals = 0

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
        self._refused_pace = max(limit, _LEAST_PACE)
        self._has_measured = True
        self._start_over(limit * (1 - _step(limit)) if limit < _SMALL else limit)

    # Turns

    @property
    def pace(self) -> float:
        """Requests a minute, now."""
        self._forget_old()
        if self._ceiling is None:
            return min(self._start + _RISE * min(len(self._turns), self._accepted), self._most)
        left = max(1 - self._accepted / self._way_back, 0.0) if self._way_back else 0.0
        return min(max(self._ceiling * (1 - self._dip * left**3), _LEAST_PACE), self._most)

    @property
    def _is_small(self) -> bool:
        return self._ceiling is not None and self._ceiling < _SMALL

    def _forget_old(self) -> None:
        oldest = self._clock() - MINUTE
        while self._turns and self._turns[0] <= oldest:
            self._turns.popleft()

    @property
    def _is_first_minute(self) -> bool:
        return self._is_within(MINUTE)

    def _is_within(self, seconds: float) -> bool:
        """Whether the first request left less than this ago."""
        return self._clock() < self._began + seconds

    def took(self, turn: float) -> None:
        """Note when a request leaves."""
        self._forget_old()
        self._began = min(self._began, turn)
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
        turn = max(turn + max(self._spread * MINUTE / pace, MINUTE / self._most), self._held_until)
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
        self._refused_in_a_row = self._row = 0
        if self._ceiling is None or self._accepted < self._way_back:
            return
        self._proven += not self._is_first_minute
        if not self._has_measured and self._proven >= max(_KNOWN, _KNOWN_MINUTES * self._ceiling):
            self._has_measured, self._refused_pace = True, self._ceiling
        if len(self._turns) >= self._ceiling / 2:  # whoever sends less has not tried this pace
            self._grow(self._ceiling)

    def _grow(self, pace: float) -> None:
        """
        Add to the pace: with all requests that are accepted until a refusal is due, as much as that takes.

        A refusal that is a little overdue is luck. If luck made a pace grow much, workers would drift apart.
        """
        due = _DUE * math.sqrt(pace)
        self._due += due / pace
        overdue = max(self._due - 1, 0.0)
        self._ceiling = pace + due * (_step(pace) + _OVERDUE_STEP * overdue * overdue)

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
        self._row += 1
        now = self._clock()
        self._held_until = now + (
            self._learn_of_few(in_flight) if self._is_small else self._learn_of_many(self.pace, in_flight)
        )
        self._refused_at.append(now)
        self._refusals += 1
        if self._silent_until > now:
            self._held_until = max(self._held_until, self._silent_until)
            self._row = 0

    @property
    def _silent_until(self) -> float:
        """Until when a further refusal would be one too many."""
        minute = MINUTE * (1 + _HOLD_JITTER / 10)
        if self._is_first_minute:
            return self._began + minute if self._is_small and self._refusals >= _MOST_AT_FIRST else -math.inf
        is_few = self._has_measured and self._ceiling is not None and self._ceiling < _FEW
        return self._refused_at[0] + minute if is_few else -math.inf

    def _learn_of_few(self, in_flight: int) -> float:
        """
        Take a part of a small pace.

        :return: seconds to send nothing
        """
        pace, counted = self.pace, self._counted_now(in_flight)
        if not self._has_measured:
            found = self._guessed(pace, counted)
        elif self._seems_lower(pace, counted):
            found = max(pace / 2, counted)
            self._has_measured = found <= counted * _NEAR
        elif self._refused_in_a_row == 1:
            found = self._gave_way(pace)
        else:
            found = pace  # it says only that the server is still full
        self._refused_pace = pace
        self._start_over(found)
        interval = MINUTE / self.pace
        if not self._has_measured:
            return interval * (1 + _HOLD_JITTER * (self._chance() - 0.5))
        pause = interval * _SMALL_HOLD_GROWTH**self._hold_growths
        return min(pause * (1 + _HOLD_JITTER * self._chance()), _LONGEST_HOLD)

    def _gave_way(self, pace: float) -> float:
        """
        Take a part of a known pace.

        Whoever knows a limit first gives way less than those who still guess, and would keep more than they.
        """
        is_whole = pace < _SMALL and self._is_within(_OTHERS_GUESS)
        return pace * (1 - (_STEP if is_whole else _step(pace)))

    def _seems_lower(self, pace: float, counted: float) -> bool:
        """Whether the limit seems to be much lower than it was."""
        is_countable = min(pace, self._accepted) >= _COUNTABLE and not self._is_first_minute
        return is_countable and counted * _NEAR < pace

    def _guessed(self, pace: float, counted: float) -> float:
        """Lower a pace that is a guess; note when what was counted is the limit."""
        if not self._took_nothing_for(_LONG_ROW, counted):
            return self._stepped_down(pace)
        is_certain = self._took_nothing_for(_CERTAIN_ROW, counted)
        found = counted if is_certain else max(self._stepped_down(pace), counted)
        self._has_measured = found <= counted
        return found

    def _took_nothing_for(self, row: int, counted: float) -> bool:
        """Whether the server refused so many in a row after it had accepted enough to count."""
        return self._row >= row and counted >= _LEAST_COUNT

    def _stepped_down(self, pace: float) -> float:
        """
        Take a good part of a pace that is a guess.

        After the first minute, a refusal straight after one that did so says only the same again.
        """
        self._has_stepped = self._is_first_minute or not self._has_stepped or self._accepted > 0
        return pace * (1 - _falling(_GUESS_STEP, _GUESS_STEP_UNTIL, pace)) if self._has_stepped else pace

    def _learn_of_many(self, pace: float, in_flight: int) -> float:
        """
        Learn the ceiling, and how far below it to go on.

        :return: seconds to send nothing
        """
        found, is_confirmed = self._learn(pace, in_flight)
        self._dip = _DIP_WHEN_CONFIRMED if is_confirmed else _DIP
        if self._has_measured and self._refused_in_a_row == 1:
            found = self._gave_way(found)
        self._start_over(found)
        return self._hold(is_confirmed)

    def _start_over(self, ceiling: float) -> None:
        """Go on from a refusal: of many requests below this ceiling, of few at once with it."""
        self._ceiling = max(ceiling, _LEAST_PACE)
        self._way_back = 0.0 if self._is_small else self._ceiling * 2.0**self._doublings
        self._accepted = self._proven = 0
        self._due = 0.0

    def _learn(self, pace: float, in_flight: int) -> tuple[float, bool]:
        """Take the ceiling from this refusal; tell whether it is about where it was."""
        before = self._ceiling
        if before is None:
            return pace * (1 - _FIRST_STEP), False
        measured = self._measured(pace, in_flight)
        if self._has_measured:
            found = max(measured, before / 2)
        elif self._is_first_minute:
            is_certain = self._took_nothing_for(_CERTAIN_ROW, measured)
            found = measured if is_certain else max(self._stepped_down(before), measured)
            self._has_measured = is_certain or _SMALL <= found <= measured
        else:
            found, self._has_measured = measured, True
        self._refused_pace = found
        if self._refused_in_a_row > 1:
            return found, False
        lowest, highest = _CONFIRMED[0] * before, _CONFIRMED[1] * before
        self._doublings = min(self._doublings + 1, _MOST_DOUBLINGS) if lowest <= found < highest else 0
        return found, found >= lowest

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
        return _HOLD_SECONDS * _HOLD_GROWTH**self._hold_growths * (1 + _HOLD_JITTER * self._chance())

    @property
    def _hold_growths(self) -> int:
        return min(self._refused_in_a_row - 1, _MOST_HOLD_GROWTHS)


def _step(pace: float) -> float:
    """What part of a known pace a refusal takes."""
    return _falling(_STEP, _STEP_UNTIL, pace)


def _falling(step: float, until: float, pace: float) -> float:
    """A step that from a pace on falls with its root."""
    return step * min(math.sqrt(until / pace), 1.0)
