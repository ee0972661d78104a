"""How far a run is, told from time to time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from airflow_provider_lofty.logs import PROGRESS_SECONDS, Log


class Progress:
    """Tells how far the run is, every :data:`PROGRESS_SECONDS`."""

    def __init__(self, total: int, log: Log, clock: Callable[[], float]) -> None:
        self._total = total
        self._log = log
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._started = self._told = clock()

    def plan(self, requests_per_minute: float, is_told: bool, seconds_allowed: float) -> None:
        """
        Say how long it will take, before the first row is sent.

        :param is_told: whether Lofty has named its limit, so that the pace is known
        :param seconds_allowed: until the run has to stop
        """
        rows = self._total - sum(self._counts.values())
        seconds = rows * 60 / requests_per_minute
        pace = f"{requests_per_minute:,.0f} requests/min" + ("" if is_told else ", until Lofty names its limit")
        self._log.info("%d rows to send at %s: about %s", rows, pace, duration(seconds))
        if seconds > seconds_allowed:
            self._log.warning(
                "sending takes about %s at this pace, and execution_timeout leaves %s: the run stops in time, and a "
                "retry goes on from there; raise execution_timeout, or allow enough retries",
                duration(seconds), duration(seconds_allowed),
            )  # fmt: skip

    def count(self, outcome: str, rows: int = 1) -> None:
        self._counts[outcome] += rows

    def tell(self) -> None:
        now = self._clock()
        if now - self._told < PROGRESS_SECONDS:
            return
        self._told = now
        done = sum(self._counts.values())
        rate = done * 60 / (now - self._started)
        eta = f"about {(self._total - done) / rate:.0f} min left" if rate else "no row done yet"
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in self._counts.items())
        self._log.info("%d of %d rows done (%s), %.0f rows/min, %s", done, self._total, outcomes or "none", rate, eta)


def duration(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
