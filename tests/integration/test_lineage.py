"""What Airflow's OpenLineage provider tells of our tasks: events of a whole Airflow, read from a file."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from support.practice import row, write_csv
from support.standalone import WAIT_SECONDS, Standalone, one_at_a_time

from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings

PRIVATE = "Marigold Quillfeather"
KEY = "made-up-snapdragon-key"
MISSING_LEAD = 900199999999999

DAG_FILE = """
from airflow.sdk import DAG, task
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator

PRIVATE = {private!r}
SOURCES = {{
    "one_file": {{"path": "{folder}/one.csv"}},
    "many_files": {{"path": "{folder}/many/*.csv"}},
    "table": {{"source_conn_id": "warehouse", "table": "leads"}},
    "quoted_table": {{"source_conn_id": "warehouse", "table": '"Mart".leads'}},
    "query": {{
        "source_conn_id": "warehouse",
        "sql": 'SELECT l.* FROM leads l JOIN "Mart".leads m ON true WHERE l.text <> %(text)s',
        "parameters": {{"text": PRIVATE}},
    }},
    "query_the_parser_does_not_know": {{"source_conn_id": "warehouse", "sql": "TABLE leads"}},
    "rejected": {{"path": "{folder}/rejected.csv"}},
    "preview": {{"path": "{folder}/one.csv", "preview": True}},
    "no_file": {{"path": "{folder}/none.csv"}},
    "no_table": {{"source_conn_id": "warehouse", "table": "public.none"}},
}}
for name, source in SOURCES.items():
    with DAG(name, schedule=None):
        LoftyAddActivityOperator(task_id="send", check_existing="never", **source)

with DAG("mapped", schedule=None):

    @task
    def shards():
        return [[{row!r} | {{"lead_id": n, "text": PRIVATE}} for n in range(10 * m, 10 * m + m)] for m in (1, 2)]

    LoftyAddActivityOperator.partial(task_id="send", check_existing="never").expand(rows=shards())
"""
DAGS = {
    "one_file": 1, "many_files": 1, "table": 1, "quoted_table": 1, "query": 1, "query_the_parser_does_not_know": 1,
    "rejected": 1, "preview": 1, "no_file": 1, "no_table": 1, "mapped": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the processes of pytest-xdist share: the rows, and what was told of them."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "lineage"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def told(folder: Path, postgres_uri: str) -> str:
    """All events of a run of each Dag, a line each, with all that can be asked of OpenLineage's provider."""
    all_events = folder / "all.jsonl"
    with one_at_a_time(folder / "lock"):
        if not all_events.exists():
            events = run_dags(folder, postgres_uri)
            all_events.write_text(events, encoding="utf-8")
        return all_events.read_text(encoding="utf-8")


def write_rows(folder: Path) -> None:
    write_csv(folder / "one.csv", [row(n, text=PRIVATE) for n in (1, 2, 3)])
    write_csv(folder / "rejected.csv", [row(n, text=PRIVATE) for n in (1, 2, MISSING_LEAD)])
    (folder / "many").mkdir(exist_ok=True)
    for n in range(1, 52):
        write_csv(folder / "many" / f"{n}.csv", [row(n, text=PRIVATE)])


def run_dags(folder: Path, postgres_uri: str) -> str:
    write_rows(folder)
    home = Path(tempfile.mkdtemp(dir=folder))
    events = home / "events.jsonl"
    settings = SandboxSettings(api_key=KEY, requests_per_minute=600_000, missing_leads=frozenset((MISSING_LEAD,)))
    with Sandbox(settings) as lofty:
        connection = {"conn_type": "lofty", "host": lofty.url, "password": KEY, "extra": {"max_in_flight": 4}}
        transport = {"type": "file", "log_file_path": str(events), "append": True}
        environment = {
            "AIRFLOW_CONN_LOFTY_DEFAULT": json.dumps(connection),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
            "AIRFLOW__OPENLINEAGE__INCLUDE_FULL_TASK_INFO": "True",
        }
        with Standalone(home, environment) as airflow:
            source = DAG_FILE.format(private=PRIVATE, folder=folder, row=row())
            (airflow.dags / "lineage.py").write_text(source, encoding="utf-8")
            # In Airflow's database, so that the process that tells has to ask Airflow for it.
            host = postgres_uri.partition("host=")[2]
            warehouse = {"conn_type": "postgres", "login": "postgres", "schema": "postgres", "host": host}
            airflow.ask("POST", "/api/v2/connections", {"connection_id": "warehouse", **warehouse})
            for dag_id in DAGS:
                airflow.trigger(dag_id, "a_run")
            deadline = time.monotonic() + WAIT_SECONDS
            while any(len(ends_of(dag_id, read(events))) < ends for dag_id, ends in DAGS.items()):
                assert time.monotonic() < deadline, f"not all tasks have told: {read(events)}"
                time.sleep(0.5)
    return read(events)


def read(events: Path) -> str:
    return events.read_text(encoding="utf-8") if events.exists() else ""


def ends_of(dag_id: str, told: str) -> list[dict[str, Any]]:
    """The last events of a Dag's sending tasks."""
    events = (json.loads(line) for line in told.splitlines() if line.endswith("}"))
    return [
        event
        for event in events
        if event["job"]["name"] == f"{dag_id}.send" and event["eventType"] in ("COMPLETE", "FAIL")
    ]


def end_of(dag_id: str, told: str) -> dict[str, Any]:
    (event,) = ends_of(dag_id, told)
    return event


def inputs_of(event: dict[str, Any]) -> list[tuple[str, str, int | None]]:
    """Namespace, name and number of rows."""
    return sorted(
        (told["namespace"], told["name"], told.get("inputFacets", {}).get("inputStatistics", {}).get("rowCount"))
        for told in event["inputs"]
    )


def delivered_of(event: dict[str, Any]) -> int | None:
    """Rows of the one output; None when there is no output."""
    if not event["outputs"]:
        return None
    (output,) = event["outputs"]
    assert output["namespace"].startswith("lofty://127.0.0.1:")
    assert output["name"] == "activities"
    delivered: int = output["outputFacets"]["outputStatistics"]["rowCount"]
    return delivered


def test_a_file_is_told_by_its_path(told: str, folder: Path) -> None:
    event = end_of("one_file", told)
    assert event["eventType"] == "COMPLETE"
    assert inputs_of(event) == [("file", str(folder / "one.csv"), 3)]
    assert delivered_of(event) == 3


def test_more_than_50_files_are_told_by_their_folder(told: str, folder: Path) -> None:
    event = end_of("many_files", told)
    assert inputs_of(event) == [("file", str(folder / "many"), 51)]
    assert delivered_of(event) == 51


@pytest.mark.parametrize(
    ("dag_id", "tables", "rows"),
    [
        ("table", {"postgres.public.leads"}, 3),
        ("quoted_table", {"postgres.Mart.leads"}, 1),
        ("query", {"postgres.public.leads", "postgres.Mart.leads"}, 3),
        ("query_the_parser_does_not_know", set(), 3),
    ],
)
def test_tables_are_told_by_database_and_schema(told: str, dag_id: str, tables: set[str], rows: int) -> None:
    event = end_of(dag_id, told)
    inputs = inputs_of(event)
    assert {name for _, name, _ in inputs} == tables
    assert all(namespace.startswith("postgres://") for namespace, _, _ in inputs)
    assert [count for _, _, count in inputs] == ([rows] if len(tables) == 1 else [None] * len(tables))
    assert delivered_of(event) == rows


def test_a_statement_is_told_without_its_parameters(told: str) -> None:
    assert end_of("query", told)["job"]["facets"]["sql"]["query"].endswith("WHERE l.text <> %(text)s")
    assert "sql" not in end_of("table", told)["job"]["facets"]


def test_a_failed_task_tells_what_it_delivered(told: str, folder: Path) -> None:
    event = end_of("rejected", told)
    assert event["eventType"] == "FAIL"
    assert inputs_of(event) == [("file", str(folder / "rejected.csv"), 3)]
    assert delivered_of(event) == 2
    counts = event["run"]["facets"]["lofty_delivery"]
    names = ("read", "delivered", "rejected", "invalid", "not_attempted", "requests", "throttled", "read_backs")
    assert [counts[name] for name in names] == [3, 2, 1, 0, 0, 3, 0, 0]
    assert counts["seconds"] >= 0


def test_a_preview_has_no_output(told: str, folder: Path) -> None:
    event = end_of("preview", told)
    assert inputs_of(event) == [("file", str(folder / "one.csv"), 3)]
    assert delivered_of(event) is None
    assert event["run"]["facets"]["lofty_delivery"]["would_send"] == 3


def test_each_mapped_task_tells_its_own_rows(told: str) -> None:
    events = ends_of("mapped", told)
    assert [inputs_of(event) for event in events] == [[], []]
    assert sorted(delivered_of(event) or 0 for event in events) == [1, 2]


@pytest.mark.parametrize(("dag_id", "inputs"), [("no_file", []), ("no_table", ["postgres.public.none"])])
def test_a_source_that_is_not_there_is_read_in_vain(told: str, dag_id: str, inputs: list[str]) -> None:
    event = end_of(dag_id, told)
    assert event["eventType"] == "FAIL"
    assert [name for _, name, _ in inputs_of(event)] == inputs
    assert delivered_of(event) == 0


@pytest.mark.parametrize("private", [PRIVATE, KEY], ids=["a value of a row or a parameter", "the key"])
def test_no_event_tells_anything_private(told: str, private: str) -> None:
    assert [line for line in told.splitlines() if private in line] == []
