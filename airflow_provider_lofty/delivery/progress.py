"""How far a run is, logged from time to time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

from airflow_provider_lofty.log import PROGRESS_SECONDS, Log

_RECENT_SECONDS = 60.0
_STEP_SECONDS = 2.0


class Progress:
    """
    Knows how far the run is and how fast, and logs it every :data:`PROGRESS_SECONDS`.

    :param total: rows to send
    :param clock: monotonic seconds
    """

    def __init__(self, total: int, log: Log, clock: Callable[[], float]) -> None:
        self.total = total
        self._log = log
        self._clock = clock
        self.counts: Counter[str] = Counter()
        self.in_doubt = 0
        self.seconds_in_doubt = 0.0
        self._sent = 0
        self._reported = self._looked = clock()
        self._steps = deque([(self._reported, 0)], maxlen=int(_RECENT_SECONDS / _STEP_SECONDS))

    @property
    def done(self) -> int:
        """Rows whose outcome is known."""
        return sum(self.counts.values())

    @property
    def left(self) -> int:
        """Rows that are still to be sent or settled."""
        return self.total - self.done

    @property
    def rows_per_minute(self) -> float:
        """The rate of the last minute, of rows that were sent: what cost no request says nothing of the others."""
        began, sent = self._steps[0]
        seconds = self._clock() - began
        return (self._sent - sent) * 60 / seconds if seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long it takes at this rate; None while that is unknown, as when only rows in doubt are left."""
        rate, to_send = self.rows_per_minute, self.left - self.in_doubt
        return None if not rate or (self.in_doubt and to_send <= 0) else max(to_send, 0) * 60 / rate

    def plan(
        self,
        requests_per_minute: float,
        knows_limit: bool,
        *,
        settling_seconds: float,
        seconds_allowed: float,
        may_retry: bool = True,
    ) -> None:
        """
        Say how long it will take, before the first row is sent.

        :param knows_limit: whether Lofty has named its limit, so that the pace is known
        :param settling_seconds: how long it may take to settle what becomes doubtful
        :param seconds_allowed: until the run has to stop
        :param may_retry: another try will follow, should this one fail
        """
        rows = self.left
        seconds = rows * 60 / requests_per_minute
        pace = f"{requests_per_minute:,.0f} requests/min" + ("" if knows_limit else ", until Lofty names its limit")
        self._log.info("%d rows to send at %s: about %s", rows, pace, duration(seconds))
        if seconds > seconds_allowed:
            self._log.warning(
                "sending takes about %s at this pace, and execution_timeout leaves %s: the run stops in time, and %s; "
                "raise execution_timeout, or allow enough retries",
                duration(seconds), duration(seconds_allowed),
                "a retry goes on from there" if may_retry else "as it has no retry left, clearing the task goes on",
            )  # fmt: skip
        elif seconds + settling_seconds > seconds_allowed:
            lacking = seconds + settling_seconds - seconds_allowed
            self._log.warning(
                "where an answer is lost, proving what became of its row takes up to %s (ten times settle_seconds), "
                "and execution_timeout leaves %s: make it longer by %.0f s, or such a row is left to a %s",
                duration(settling_seconds), duration(seconds_allowed), lacking,
                "retry" if may_retry else "clear, as this task has no retry left",
            )  # fmt: skip

    def count(self, outcome: str, rows: int = 1, *, before: str | None = None, were_sent: bool = True) -> None:
        """
        Count rows whose outcome is known now.

        :param before: as what the row was counted already
        :param were_sent: this run has sent them
        """
        self.counts[outcome] += rows
        if before is not None:
            self.counts[before] -= rows
        self._sent += rows * were_sent

    def see_doubts(self, rows: int) -> None:
        """
        Note how many rows are in doubt now.

        ``seconds_in_doubt`` grows by the time since the last look, if any row was in doubt then.
        """
        now = self._clock()
        if self.in_doubt:
            self.seconds_in_doubt += now - self._looked
        self.in_doubt, self._looked = rows, now

    def report(self) -> None:
        now = self._clock()
        if now - self._steps[-1][0] >= _STEP_SECONDS:
            self._steps.append((now, self._sent))
        if now - self._reported < PROGRESS_SECONDS:
            return
        self._reported = now
        left = self.seconds_left
        eta = "no row done yet" if not self.done else "" if left is None else f"about {duration(left)} left"
        doubts = f"{self.in_doubt} in doubt, being read back" if self.in_doubt else ""
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items() if count)
        self._log.info(
            "%d of %d rows done (%s), %.0f rows/min%s",
            self.done, self.total, outcomes or "none", self.rows_per_minute,
            "".join(f", {words}" for words in (eta, doubts) if words),
        )  # fmt: skip


def duration(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
