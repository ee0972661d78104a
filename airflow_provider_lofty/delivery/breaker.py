"""
When to stop sending for a while, and when going on is useless.

All times are in seconds; the clock is an argument.
"""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_lofty.lofty.answers import Verdict

TROUBLE_IN_A_ROW = 5
OUTAGE_SECONDS = 600.0
EARLY_OUTAGE_SECONDS = 20.0  # before anything was sent the task's own retries wait better
_LONGEST_PROBE_WAIT = 30.0
_MOST_SIGNATURES = 100


class CircuitBreaker:
    """
    Requests that get no usable answer, one after the other.

    After :data:`TROUBLE_IN_A_ROW` of them nothing more is posted until something that stores nothing is answered;
    then one row is tried, and its failure suspends the run again, for longer.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._count = 0
        self._since: float | None = None
        self._throttled_since: float | None = None
        self._probe_at = 0.0
        self._probe_wait = 1.0
        self.is_proven = False
        self.is_probing = False
        self.last = ""

    @property
    def is_open(self) -> bool:
        return self._count >= TROUBLE_IN_A_ROW

    def record_failure(self, why: str) -> None:
        now = self._clock()
        self._count += 1
        self._since = now if self._since is None else self._since
        self.is_proven = False
        self.last = why
        if self._count == TROUBLE_IN_A_ROW:
            self._wait_longer()

    def record_throttled(self) -> None:
        self._count, self._since = 0, None
        self.last = "every request was refused for its rate"
        self._throttled_since = self._throttled_since or self._clock()

    def record_answer(self) -> None:
        self._count, self._since, self._throttled_since, self._probe_wait = 0, None, None, 1.0

    def record_success(self) -> None:
        self.record_answer()
        self.is_proven = True

    def may_probe(self) -> bool:
        return self._clock() >= self._probe_at

    def probed(self, answered: bool) -> None:
        self.is_probing = False
        if answered:
            self._count = TROUBLE_IN_A_ROW - 1
        else:
            self._wait_longer()

    def _wait_longer(self) -> None:
        self._probe_at = self._clock() + self._probe_wait
        self._probe_wait = min(self._probe_wait * 2, _LONGEST_PROBE_WAIT)

    def seconds(self) -> float:
        since = self._throttled_since if self._since is None else self._since
        return 0.0 if since is None else self._clock() - since

    def is_outage(self, anything_sent: bool) -> bool:
        if self._since is None:
            return self.seconds() > OUTAGE_SECONDS
        return self.is_open and self.seconds() > (OUTAGE_SECONDS if anything_sent else EARLY_OUTAGE_SECONDS)


class RejectionLimit:
    """Counts the different leads that were refused alike before any success."""

    def __init__(self, height: int) -> None:
        self.height = height
        self._leads: dict[object, set[int]] | None = {}

    def record_success(self) -> None:
        self._leads = None

    def is_reached(self, lead_id: int, verdict: Verdict) -> bool:
        if self._leads is None or len(self._leads) > _MOST_SIGNATURES:
            return False
        words = "".join(c for c in verdict.message if not c.isdigit())[:60]
        leads = self._leads.setdefault((verdict.status, verdict.code or words), set())
        leads.add(lead_id)
        return len(leads) >= self.height
