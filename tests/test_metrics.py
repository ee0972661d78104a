"""Metrics of a try: what is emitted, under which names and tags, and that it never does harm."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.documents import table_below
from support.emitted import Emitted, counters_of, gauges_of
from support.practice import Log, Store, row, run, task_instance

from airflow_provider_lofty import metrics
from airflow_provider_lofty.exceptions import LoftyDeliveryIncomplete, LoftyRowsFailed
from airflow_provider_lofty.metrics import COUNTERS, GAUGES, measured
from airflow_provider_lofty.report.summary import Summary
from airflow_provider_lofty.sandbox import Sandbox
from airflow_provider_lofty.task_key import TaskKey

DOCS = Path(__file__).resolve().parents[1] / "docs"
KEY = TaskKey("a_dag", "a_run", "send")
PRIVATE = "Marigold Quillfeather"


def end(error: BaseException | None = None, *, may_retry: bool = True, key: TaskKey = KEY) -> None:
    """Play a try that ends in this way."""
    with measured(lambda: Summary(read=1, delivered=1), key, Log(), may_retry=may_retry):
        if error is not None:
            raise error


@pytest.mark.parametrize(
    ("error", "may_retry", "state"),
    [
        (None, True, "success"),
        (LoftyDeliveryIncomplete("an outage"), True, "up_for_retry"),
        (LoftyDeliveryIncomplete("an outage"), False, "failed"),
        (LoftyRowsFailed("3 rows failed"), True, "failed"),
        (KeyboardInterrupt(), True, "up_for_retry"),
    ],
    ids=["green", "retried", "last_try", "not_retried", "interrupted"],
)
def test_the_state_says_what_follows(
    emitted: Emitted, error: BaseException | None, may_retry: bool, state: str
) -> None:
    if error is None:
        end()
    else:
        with pytest.raises(type(error)):
            end(error, may_retry=may_retry)
    assert [each.tags["state"] for each in emitted] == [state]


@pytest.mark.parametrize(
    "name", ["größe", "a" * 250, "b" * 79 + "ö", "line\nbreak,and=comma"], ids=lambda name: name[:3]
)
def test_tags_are_short_and_plain_and_still_their_own(emitted: Emitted, name: str) -> None:
    end(key=TaskKey(name, "a_run", "send.with-a_group"))
    end(key=TaskKey(name + "2", "a_run", "send"))
    first, second = emitted
    assert re.fullmatch(r"[\w.-]{1,80}", first.tags["dag_id"], re.ASCII)
    assert first.tags["dag_id"] != second.tags["dag_id"]
    assert first.tags["task_id"] == "send.with-a_group"
    longest = max(map(len, COUNTERS))
    assert longest + sum(len(f",{key}=") for key in first.tags) + 80 + 80 + len("up_for_retry") <= 250


def test_a_client_that_fails_does_no_harm(emitted: Emitted, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def incr(self, *args: object, **settings: object) -> None:
            raise ValueError(PRIVATE)

    log = Log()
    monkeypatch.setattr(metrics, "Stats", Broken())
    emitted.emit(Summary(), {}, "success", log)
    assert log.lines == ["the metrics of this try are not complete (ValueError)"]


def test_a_preview_emits_nothing(emitted: Emitted, connect: Callable[..., None]) -> None:
    connect("http://127.0.0.1:9")
    assert run(rows=[row(1), row("none")], preview=True).counts == {"would_send": 1, "invalid": 1}
    assert emitted == []


def test_what_a_retry_meets_again_is_not_counted_twice(
    emitted: Emitted, lofty: Sandbox, connect: Callable[..., None]
) -> None:
    connect(lofty)
    store, rows = Store(), [row(n) for n in (1, 2, 3)]
    run(store=store, rows=rows)
    run(task_instance(try_number=2, max_tries=1), store=store, rows=[*rows, row(4)])
    assert [each.counters["lofty.rows.delivered"] for each in emitted] == [3, 1]
    assert [each.counters["lofty.rows.already_delivered"] for each in emitted] == [0, 3]
    assert sum(each.counters["lofty.requests"] for each in emitted) == len(lofty.requests)


def test_seconds_in_doubt_and_the_share_of_the_quota(
    emitted: Emitted, lofty: Sandbox, connect: Callable[..., None]
) -> None:
    connect(lofty, extra={"settle_seconds": 0.1})
    lofty.change(scripted_faults=[None, "drop_before_storing"])
    summary = run(rows=[row(n) for n in range(1, 61)]).summary
    assert 0 < summary["seconds_in_doubt"] <= math.ceil(summary["seconds"])
    assert 0 <= summary["quota_share"] <= 1
    assert emitted[0].gauges == {"lofty.quota_share": summary["quota_share"]}


def test_the_span_of_the_task_gets_the_counts(lofty: Sandbox, connect: Callable[..., None]) -> None:
    connect(lofty)
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    with provider.get_tracer("airflow").start_as_current_span("worker.send"):
        summary = run(rows=[row(1, text=PRIVATE), row(1, text=PRIVATE), row(None, text=PRIVATE)]).summary
    (span,) = spans.get_finished_spans()
    found = dict(span.attributes or {})
    assert {name: found[name] for name in ("lofty.rows.read", "lofty.rows.duplicate")} == {
        "lofty.rows.read": 3, "lofty.rows.duplicate": 1,
    }  # fmt: skip
    assert found == {**counters_of(Summary(**summary)), **gauges_of(Summary(**summary))}


def test_table_of_metrics_is_complete() -> None:
    shown = {row[0].strip("`"): row[1] for row in table_below("Metrics")}
    assert shown == {**dict.fromkeys(COUNTERS, "counter"), **dict.fromkeys(GAUGES, "gauge")}


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return found


def queries_of(dashboard: dict[str, Any]) -> list[str]:
    variables = [each["definition"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    return [*variables, *(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])]


def test_every_query_of_the_dashboard_names_metrics_that_exist_and_none_is_forgotten(dashboard: dict[str, Any]) -> None:
    known = {f"airflow_{name.replace('.', '_')}": name for name in (*COUNTERS, *GAUGES)}
    named = [re.findall(r'__name__=~"(\w+)\(_total\)\?"', query) for query in queries_of(dashboard)]
    assert all(named)
    assert {name for names in named for name in names} == set(known)


def test_every_query_of_the_dashboard_selects_by_tags_that_exist(dashboard: dict[str, Any]) -> None:
    labels = {label for query in queries_of(dashboard) for label in re.findall(r"(\w+)(?:=~|!=|=)\"", query)}
    assert labels == {"__name__", "dag_id", "task_id", "state"}
    counted = [each for query in queries_of(dashboard) for each in re.findall(r"increase\(\{([^}]*)\}", query)]
    of_last_tries = [each for each in counted if "_rows_" in each and "_rows_delivered" not in each]
    assert all('state!="up_for_retry"' in each for each in of_last_tries)  # or each retry counts a failed row again


def test_the_dashboard_can_be_imported(dashboard: dict[str, Any]) -> None:
    """What Grafana asks of a dashboard: an id only where it was saved, panels that do not overlap, known variables."""
    assert dashboard["id"] is None
    assert {"title", "uid", "schemaVersion", "templating", "time"} <= set(dashboard)
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    for panel in panels:
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard)))
    own = {each["name"] for each in dashboard["templating"]["list"]}
    assert used - {name for name in used if name.startswith("__")} == own
