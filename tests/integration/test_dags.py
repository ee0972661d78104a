"""Every example Dag, run by a real Airflow against a running practice Lofty."""

from __future__ import annotations

import asyncio
import importlib
import json
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from support.documents import Document
from support.practice import row, run
from support.smtp import MailServer

from airflow_provider_lofty.rows.report_format import REPORT_COLUMNS
from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings

DAGS = Path(__file__).resolve().parents[2] / "dags"
DEMO_DATA = DAGS.parent / "demo" / "data"

pytestmark = [
    # Airflow's own code, which these tests run whole, warns about itself.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="session")
def airflow_database(starts_server: None) -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def lofty(starts_server: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(requests_per_minute=60_000, known_leads="listed")) as server:
        connection = {
            "conn_type": "lofty",
            "host": server.url,
            "password": server.settings.api_key,
            "extra": {"requests_per_minute": 60_000},
        }
        monkeypatch.setenv("AIRFLOW_CONN_LOFTY_DEFAULT", json.dumps(connection))
        yield server


@pytest.fixture
def run_dag(airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def run(name: str, **options: Any) -> Any:
        monkeypatch.syspath_prepend(str(DAGS))
        sys.modules.pop(name, None)
        made = getattr(importlib.import_module(name), name)()
        made.fileloc = str(DAGS / f"{name}.py")  # Airflow takes whoever made it for its file, and looks for .sql there
        return made.test(**options)

    return run


def summary_of(run: Any) -> dict[str, Any]:
    """What the delivering task left in XCom."""
    (task,) = (ti for ti in run.get_task_instances() if ti.task_id == "send_to_lofty")
    summary: dict[str, Any] = task.xcom_pull(task_ids="send_to_lofty")
    return summary


def test_dag_from_task_finds_leads_by_address(lofty: Sandbox, run_dag: Callable[..., Any]) -> None:
    lofty.add_lead(4711, emails=["Ada.Sample@example.com"])
    run = run_dag("lofty_from_task")
    summary = summary_of(run)
    assert run.state == "success"
    assert (summary["read"], summary["delivered"], summary["unmatched"]) == (3, 2, 1)
    assert [activity.lead_id for activity in lofty.activities] == [4711, 4711]
    lookups = [request for request in lofty.requests if request.path == "/v1.0/leads"]
    assert len(lookups) == 1  # all leads are on one page


def test_dag_from_task_names_an_address_of_several_leads(lofty: Sandbox, run_dag: Callable[..., Any]) -> None:
    lofty.add_lead(1, emails=["ada.sample@example.com"])
    lofty.add_lead(2, emails=["ada.sample@example.com"])
    run = run_dag("lofty_from_task")
    assert run.state == "failed"
    assert summary_of(run)["errors"][0]["error"] == "2 leads have this e-mail address: 1, 2"
    assert lofty.activities == []


def rendered_fields_of(run: Any) -> dict[str, Any]:
    """What Airflow shows under Rendered Templates of the delivering task."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(RenderedTaskInstanceFields).where(RenderedTaskInstanceFields.run_id == run.run_id)
        rendered = {found.task_id: found.rendered_fields for found in session.scalars(query)}
    fields: dict[str, Any] = rendered["send_to_lofty"]
    return fields


def test_rows_are_in_no_rendered_template(lofty: Sandbox, run_dag: Callable[..., Any]) -> None:
    lofty.add_lead(4711, emails=["ada.sample@example.com"])
    rendered = rendered_fields_of(run_dag("lofty_from_task"))
    assert rendered["rows"] == "<list, not shown>"
    assert "example.com" not in json.dumps(rendered)


def test_dag_from_files_delivers_the_demo_and_reports_the_rest(
    lofty: Sandbox, run_dag: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in DEMO_DATA.glob("*.csv"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    lofty.change(known_leads="any", missing_leads=frozenset((900199999999999,)))
    monkeypatch.setenv("AIRFLOW_VAR_LOFTY_FOLDER", str(tmp_path))
    run = run_dag("lofty_from_files")
    summary = summary_of(run)
    assert run.state == "failed"
    assert {name: summary[name] for name in ("read", "delivered", "invalid", "rejected", "duplicate")} == {
        "read": 302,
        "delivered": 278,
        "invalid": 18,
        "rejected": 4,
        "duplicate": 2,
    }
    assert len(lofty.activities) == 278
    assert not any(activity.duplicate for activity in lofty.activities)
    assert Path(summary["report_path"]).parent == tmp_path / "reports"


@pytest.fixture
def warehouse(postgres_uri: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The connection ``warehouse`` to PostgreSQL, where the example's table is made."""
    host = postgres_uri.partition("host=")[2]
    connection = {"conn_type": "postgres", "login": "postgres", "schema": "postgres", "host": host}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    with closing(psycopg2.connect(postgres_uri)) as database, database, database.cursor() as cursor:
        cursor.execute(
            "CREATE SCHEMA IF NOT EXISTS crm; DROP TABLE IF EXISTS crm.lead_activities CASCADE;"
            " CREATE TABLE crm.lead_activities (lead_id bigint, activity_type text, summary text, page_url text,"
            " picture_url text, happened_at timestamptz, mls_id text, list_price numeric)"
        )
    return postgres_uri


def test_dag_from_table_takes_the_window_of_its_interval(
    lofty: Sandbox, run_dag: Callable[..., Any], warehouse: str
) -> None:
    fill_table(warehouse, [datetime(2026, 3, day, 12, tzinfo=timezone.utc) for day in (1, 2, 3)])
    lofty.change(known_leads="any")
    run = run_dag("lofty_from_table", logical_date=datetime(2026, 3, 3, 6, tzinfo=timezone.utc))
    assert run.state == "success"
    assert [activity.body["text"] for activity in lofty.activities] == ["Viewed home 1"]  # from 2 March 06:00 on
    shown = rendered_fields_of(run)["parameters"]
    times = {name: value[:16] for name, value in shown.items()}
    assert times == {"window_start": "2026-03-02 06:00", "window_end": "2026-03-03 06:00"}


def test_dag_from_table_run_by_hand_without_a_logical_date_takes_the_last_day(
    lofty: Sandbox, run_dag: Callable[..., Any], warehouse: str
) -> None:
    now = datetime.now(timezone.utc)
    fill_table(warehouse, [now - timedelta(days=2), now - timedelta(hours=3)])
    lofty.change(known_leads="any")
    run = run_dag("lofty_from_table", logical_date=None)
    assert run.state == "success"
    (activity,) = lofty.activities
    assert activity.body["text"] == "Viewed home 1"
    assert activity.body["listing"] == {"price": 450000, "listingId": "MLS-1"}


def test_dag_with_retries_skips_what_another_run_delivered(
    lofty: Sandbox, run_dag: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="retry_policy came with Airflow 3.3")
    lofty.change(known_leads="any")
    monkeypatch.setenv("AIRFLOW_VAR_LOFTY_FOLDER", str(tmp_path))
    journal = {"conn_type": "sqlite", "host": str(tmp_path / "journal.db")}
    monkeypatch.setenv("AIRFLOW_CONN_LOFTY_JOURNAL_DB", json.dumps(journal))
    lines = [f"{n},{n},Viewed home {n},https://www.example.com,1763290000000" for n in (1, 2)]
    (tmp_path / "a.csv").write_text("\n".join(["event_id,lead_id,text,link,created", *lines]), encoding="utf-8")
    first, second = run_dag("lofty_with_retries"), run_dag("lofty_with_retries")
    assert (first.state, second.state) == ("success", "success")
    assert (summary_of(first)["delivered"], summary_of(second)["already_delivered"]) == (2, 2)
    assert len(lofty.activities) == 2


def test_dag_in_shards_sends_each_row_of_each_window_once(
    lofty: Sandbox, run_dag: Callable[..., Any], warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(timezone.utc)
    fill_table(warehouse, [now - timedelta(hours=hours) for hours in (1, 2, 7, 13, 19, 25)])
    lofty.change(known_leads="any")
    journal = {"conn_type": "sqlite", "host": str(tmp_path / "journal.db")}
    monkeypatch.setenv("AIRFLOW_CONN_LOFTY_JOURNAL_DB", json.dumps(journal))
    run = run_dag("lofty_in_shards")
    assert run.state == "success"
    delivered = {ti.map_index: ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index)["delivered"]
                 for ti in run.get_task_instances() if ti.task_id == "send_to_lofty"}  # fmt: skip
    assert delivered == {0: 1, 1: 1, 2: 1, 3: 2}
    assert sorted(activity.body["text"] for activity in lofty.activities) == [f"Viewed home {n}" for n in range(5)]


def test_dags_of_only_what_is_new_send_each_row_once_and_what_failed_a_week_later(
    lofty: Sandbox, run_dag: Callable[..., Any], warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lofty.change(known_leads="any", missing_leads=frozenset((102,)))
    monkeypatch.setenv("AIRFLOW_VAR_LOFTY_REPORTS", str(tmp_path / "reports"))
    journal = {"conn_type": "sqlite", "host": str(tmp_path / "journal.db")}
    monkeypatch.setenv("AIRFLOW_CONN_LOFTY_JOURNAL_DB", json.dumps(journal))
    times = [datetime(2026, 3, 1, 12, minute, tzinfo=timezone.utc) for minute in range(5)]
    fill_table(warehouse, times[:3])
    with closing(psycopg2.connect(warehouse)) as database, database, database.cursor() as cursor:
        cursor.execute(
            "CREATE VIEW crm.lofty_activities AS SELECT mls_id AS event_id, lead_id, activity_type AS type, summary AS"
            " text, page_url AS link, picture_url AS picture, happened_at AS created, happened_at AS updated_at"
            " FROM crm.lead_activities"
        )
    monday = datetime(2026, 3, 2, 6, tzinfo=timezone.utc)
    first = run_dag("lofty_only_new", logical_date=monday, run_after=monday)
    assert summary_of(first)["cursor"]["behind"] == 0  # the row of lead 102 is the last, and is read again
    fill_table(warehouse, times[3:], first=3)
    second = run_dag("lofty_only_new", logical_date=monday + timedelta(1), run_after=monday + timedelta(1))
    counts = {name: summary_of(second)[name] for name in ("read", "delivered", "already_delivered", "rejected")}
    assert counts == {"read": 5, "delivered": 2, "already_delivered": 2, "rejected": 1}
    assert summary_of(second)["cursor"]["to"] == "2026-03-01 12:04:00+00:00"
    lofty.change(missing_leads=frozenset())
    week = monday + timedelta(7, hours=1)
    again = run_dag("lofty_failed_again", logical_date=week, run_after=week)
    assert again.state == "success"
    assert summary_of(again)["delivered"] == 1
    assert sorted(activity.body["text"] for activity in lofty.activities) == [f"Viewed home {n}" for n in range(5)]


def test_dag_of_a_report_sends_what_failed_in_it_once_and_reads_nothing_else(
    lofty: Sandbox, run_dag: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, elsewhere = tmp_path / "reports", tmp_path / "elsewhere"
    monkeypatch.setenv("AIRFLOW__LOFTY__REPORT_FOLDER", str(folder))
    lofty.change(known_leads="any", missing_leads=frozenset((2,)))
    reports = [f"{where}/r.csv" for where in (folder, elsewhere)]
    for report in reports:
        assert run(rows=[row(1), row(2)], check_existing="never", report_path=report).counts["rejected"] == 1
    lofty.change(missing_leads=frozenset())
    before = len(lofty.requests)
    for wrong in (reports[1], f"{folder}/../elsewhere/r.csv", "gone.csv"):
        assert run_dag("lofty_send_report", run_conf={"report": wrong}).state == "failed"  # and is not tried again
    assert len(lofty.requests) == before
    for counts in ({"already_delivered": 1, "delivered": 1}, {"already_delivered": 2, "delivered": 0}):
        again = run_dag("lofty_send_report", run_conf={"report": reports[0]})
        assert again.state == "success"
        assert {name: summary_of(again)[name] for name in counts} == counts
        assert Path(summary_of(again)["report_path"]).parent == folder
    assert sorted(activity.lead_id for activity in lofty.activities) == [1, 1, 2]  # lead 1: once for each of the two


def fill_table(uri: str, times: list[datetime], first: int = 0) -> None:
    rows = [(100 + n, f"Viewed home {n}", happened_at, f"MLS-{n}") for n, happened_at in enumerate(times, first)]
    with closing(psycopg2.connect(uri)) as database, database, database.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO crm.lead_activities VALUES (%s, 'Browse', %s, 'https://www.example.com', '', %s, %s, 450000)",
            rows,
        )


@pytest.mark.parametrize("file", sorted(DAGS.glob("*.py")), ids=lambda file: file.name)
def test_example_dag_is_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) < 50


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with MailServer() as server:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", server.connection)
        yield server


def html_of(message: EmailMessage) -> str:
    (part,) = (part for part in message.walk() if part.get_content_type() == "text/html")
    return str(part.get_content())


@pytest.fixture
def nothing_told(airflow_database: None) -> None:
    """Whatever an earlier session of these tests has left in Airflow's database."""
    from airflow.models.variable import Variable as StoredVariable

    StoredVariable.delete("lofty_failing: lofty_with_alerts, send_to_lofty")


def test_dag_with_alerts_tells_of_each_change_once(
    lofty: Sandbox,
    run_dag: Callable[..., Any],
    nothing_told: None,
    mail: MailServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_LOFTY_FOLDER", str(tmp_path))
    lofty.change(known_leads="any")

    def run_with(leads: list[int | str]) -> str:
        lines = [f"{lead},Viewed home {n},https://www.example.com,{1763290000000 + n}" for n, lead in enumerate(leads)]
        (tmp_path / "a.csv").write_text("\n".join(["lead_id,text,link,created", *lines]), encoding="utf-8")
        return str(run_dag("lofty_with_alerts").state.value)

    some_are_bad = [*range(1, 20), "nobody"]  # five per cent
    states = [run_with(leads) for leads in (some_are_bad, some_are_bad, [*range(1, 20)], ["nobody"])]
    assert states == ["success", "success", "success", "failed"]
    place = "lofty_with_alerts, send_to_lofty"
    assert [message["subject"] for message in mail.messages] == [
        f"{place}: 1 of 20 rows failed, 0 found no lead",
        f"{place} has recovered: 0 of 19 rows failed, 0 found no lead",
        f"{place} failed",
    ]
    texts = [html_of(message) for message in mail.messages]
    assert "19 delivered, 1 invalid" in texts[0]
    assert "1 of 1 rows failed" in texts[2]


def test_deadline_of_the_dag_with_a_deadline_sends_an_e_mail(
    airflow_database: None, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the triggerer does when it is missed; Airflow 3.3's own dag.test() cannot end a Dag that has a deadline."""
    try:
        from airflow.triggers.callback import CallbackTrigger
    except ImportError:  # Airflow 3.1 calls it otherwise
        from airflow.triggers.deadline import DeadlineCallbackTrigger as CallbackTrigger
    monkeypatch.syspath_prepend(str(DAGS))
    deadline = importlib.import_module("lofty_with_deadline").lofty_with_deadline().deadline
    (alert,) = deadline if isinstance(deadline, list) else [deadline]
    context = {"dag_run": {"dag_run_id": "monday's"}}
    trigger = CallbackTrigger(alert.callback.path, {**alert.callback.kwargs, "context": context})

    async def events() -> list[Any]:
        return [event.payload["state"] async for event in trigger.run()]

    assert asyncio.run(events()) == ["running", "success"]
    (message,) = mail.messages
    assert (message["to"], message["subject"]) == ("data@example.com", "Lofty deliveries are late")
    assert "run monday's is not over" in html_of(message)


@pytest.fixture(params=["postgresql", "sqlite"])
def analysts(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """The connection ``warehouse``, without a row log; give a function that asks it."""
    if request.param == "postgresql":
        uri = request.getfixturevalue("warehouse")
        connect: Callable[[], Any] = partial(psycopg2.connect, uri)
    else:
        connect = partial(sqlite3.connect, tmp_path / "warehouse.db")
        connection = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))

    def ask(statement: str) -> Any:
        with closing(connect()) as database, closing(database.cursor()) as cursor:
            cursor.execute(statement)
            found = cursor.fetchall() if cursor.description else []
            database.commit()
            return found

    ask("DROP TABLE IF EXISTS lofty_row_log")
    return ask


def test_dag_of_the_row_log_loads_each_try_once(
    lofty: Sandbox,
    run_dag: Callable[..., Any],
    analysts: Callable[[str], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_LOFTY_FOLDER", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_VAR_LOFTY_REPORTS", str(tmp_path / "reports"))
    lofty.change(known_leads="any", missing_leads=frozenset((13,)))
    lines = [f"{lead},Viewed it,https://www.example.com,{1763290000000}" for lead in (4711, 13, "=nobody")]
    (tmp_path / "a.csv").write_text("\n".join(["lead_id,text,link,created", *lines]), encoding="utf-8")
    run = run_dag("lofty_row_log")
    assert {ti.task_id: str(ti.state) for ti in run.get_task_instances()} == {
        "send_to_lofty": "failed", "load_row_log": "success",
    }  # fmt: skip
    assert run.state == "failed"
    columns = "try_number, report_row, dag_id, run_id, lofty_line, lofty_outcome, lofty_lead_id, lofty_error_code"
    query = f"SELECT {columns} FROM lofty_row_log ORDER BY try_number, report_row"
    place = ("lofty_row_log", run.run_id)
    first = [
        (1, 1, *place, 2, "delivered", 4711),
        (1, 2, *place, 3, "rejected", 13),
        (1, 3, *place, 4, "invalid", None),
    ]
    assert [row[:7] for row in analysts(query)] == first

    # A second try has left its report, too; the loader is cleared, and its first load had not come to its end.
    (report,) = (tmp_path / "reports" / run.run_id).glob("*.csv")
    shutil.copy(report, report.with_name(report.name.replace("__try_1__", "__try_2__")))
    analysts("DELETE FROM lofty_row_log WHERE report_row = 2")
    load = sys.modules["lofty_row_log"].lofty_row_log().get_task("load_row_log")
    load.preoperator = (DAGS / load.preoperator).read_text(encoding="utf-8")
    load.execute({"dag_run": run})
    assert [row[:7] for row in analysts(query)] == first + [(2, *row[1:]) for row in first]

    assert tuple(f"lofty_{name}" for name in sys.modules["lofty_row_log"].COPIED) == REPORT_COLUMNS

    chapter = Document(DAGS.parent / "docs" / "watching.md")
    found = [analysts(block.text) for block in chapter.blocks if block.language == "sql"]
    assert [len(rows) for rows in found] == [2, 2, 1, 2]
    assert {(row[0], row[4]) for row in found[0]} == {("rejected", 1), ("invalid", 1)}  # of the last try
