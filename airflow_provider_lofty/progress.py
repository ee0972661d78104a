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
