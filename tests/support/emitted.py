"""What the operator's tries emit as metrics, compared with the summaries that they leave."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from airflow_provider_lofty import metrics
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.report.summary import Summary


class Emission(NamedTuple):
    """
    What one try emitted.

    :param counters: name → value
    :param gauges: the same
    :param tags: of the counters
    """

    summary: Summary
    counters: dict[str, float]
    gauges: dict[str, float]
    tags: dict[str, str]


class _Stats:
    """Takes the place of Airflow's stats."""

    def __init__(self) -> None:
        self.counters: dict[str, float] = {}
        self.gauges: dict[str, float] = {}
        self.tags: dict[str, str] = {}

    def incr(self, stat: str, count: int = 1, *, tags: dict[str, str]) -> None:
        self.counters[stat] = self.counters.get(stat, 0) + count
        self.tags = tags

    def gauge(self, stat: str, value: float, *, tags: dict[str, str]) -> None:
        self.gauges[stat] = value


class Emitted(list[Emission]):
    """
    All that tries emitted.

    :ivar faults: what differed from the summaries
    :ivar emit: emits as tasks do
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.emit = emit = metrics._emit
        delivered = LoftyAddActivityOperator._delivered

        def emit_and_keep(summary: Summary, *args: Any) -> None:
            stats = _Stats()
            monkeypatch.setattr(metrics, "Stats", stats)
            emit(summary, *args)
            self.append(Emission(summary, stats.counters, stats.gauges, stats.tags))

        def deliver_and_compare(operator: LoftyAddActivityOperator, *args: Any) -> Any:
            try:
                return delivered(operator, *args)
            finally:
                self._compare(operator)

        monkeypatch.setattr(metrics, "_emit", emit_and_keep)
        monkeypatch.setattr(LoftyAddActivityOperator, "_delivered", deliver_and_compare)

    def _compare(self, operator: LoftyAddActivityOperator) -> None:
        summary = operator._run.summary if operator._run is not None else None
        if summary is None:
            return
        found = [(each.counters, each.gauges) for each in self if each.summary is summary]
        expected = [] if operator.preview else [(counters_of(summary), gauges_of(summary))]
        if found != expected:
            self.faults.append(f"emitted {found}, but the summary says {expected}")


def counters_of(summary: Summary) -> dict[str, float]:
    """What a summary's counters are, written down here once more."""
    rows = {f"lofty.rows.{name}": count for name, count in summary.outcomes.items() if name != "would_send"}
    return {
        **rows,
        "lofty.rows.read": summary.read,
        "lofty.requests": summary.requests,
        "lofty.throttled": summary.throttled,
        "lofty.read_backs": summary.read_backs,
        "lofty.seconds_in_doubt": summary.seconds_in_doubt,
    }


def gauges_of(summary: Summary) -> dict[str, float]:
    """The same for its gauges."""
    return {} if summary.quota_share is None else {"lofty.quota_share": summary.quota_share}
