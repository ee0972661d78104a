"""
What a try has counted, as metrics and on its OpenTelemetry span.

Metrics leave through Airflow's own stats, to wherever its operators send them. They are emitted once, when a try has
ended, and are that try's own: its summary in numbers. So nothing is counted twice by a retry; what earlier tries
delivered is ``already_delivered`` then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b

from opentelemetry import trace

from airflow_provider_lofty.exceptions import AirflowFailException
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.outcomes import OUTCOMES, Outcome
from airflow_provider_lofty.report.summary import Summary
from airflow_provider_lofty.task_key import TaskKey

try:
    from airflow.sdk.observability.stats import Stats
except ImportError:  # Airflow before 3.2 has it elsewhere
    from airflow.stats import Stats

COUNTERS = {
    **{f"lofty.rows.{name}": str(name) for name in ("read", *OUTCOMES) if name != Outcome.WOULD_SEND},
    **{f"lofty.{name}": name for name in ("requests", "throttled", "read_backs", "seconds_in_doubt")},
}  # name → where it stands in the summary
GAUGES = {"lofty.quota_share": "quota_share"}

_MOST_OF_A_NAME = 80  # StatsD with tags in InfluxDB's style drops what is longer than 250 characters in all
_NO_NAME = re.compile(r"[^\w.-]", re.ASCII)  # what Airflow allows in an id and StatsD does not in a tag


@contextmanager
def measured(
    summary: Callable[[], Summary | None], key: TaskKey, log: Log, *, may_retry: bool, is_preview: bool = False
) -> Iterator[None]:
    """
    Emit what a try has counted, however it ends.

    :param summary: called when it has ended; gives nothing where nothing was read
    :param key: the try
    :param log: gets a warning when that fails
    :param may_retry: another try will follow, should this one fail and a retry can help
    :param is_preview: nothing is sent: its rows are counted when they are
    """
    state = "success"
    try:
        yield
    except BaseException as error:
        state = "up_for_retry" if may_retry and not isinstance(error, AirflowFailException) else "failed"
        raise
    finally:
        counted = summary()
        if counted is not None and not is_preview:
            _emit(counted, {"dag_id": _named(key.dag_id), "task_id": _named(key.task_id)}, state, log)


def _emit(summary: Summary, tags: Mapping[str, str], state: str, log: Log) -> None:
    try:
        trace.get_current_span().set_attributes(_attributes(summary))
        for name, key in COUNTERS.items():
            Stats.incr(name, getattr(summary, key), tags={**tags, "state": state})
        for name, key in GAUGES.items():
            if (value := getattr(summary, key)) is not None:
                Stats.gauge(name, value, tags=dict(tags))
    except Exception as error:  # noqa: BLE001 - of whatever client the operators chose; a metric never fails a task
        log.warning("the metrics of this try are not complete (%s)", type(error).__name__)


def _attributes(summary: Summary) -> dict[str, float]:
    found = {name: getattr(summary, key) for name, key in {**COUNTERS, **GAUGES}.items()}
    return {name: value for name, value in found.items() if value is not None}


def _named(name: str) -> str:
    """A Dag's or task's id as the value of a tag: itself, or short, plain and still its own."""
    plain = _NO_NAME.sub("_", name)[:_MOST_OF_A_NAME]
    return name if plain == name else f"{plain[:-9]}_{blake2b(name.encode(), digest_size=4).hexdigest()}"
