"""A report given back sends what its source would have sent: its cells are of the same kinds, whatever text shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.practice import Run, read_report, row, run, task_instance, write_csv

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.values import SessionTime
from airflow_provider_lofty.sandbox import Sandbox

LOCAL = datetime(2026, 3, 1, 10, 0, 7)
PHOENIX = {"timezone": "America/Phoenix"}


@pytest.fixture(autouse=True)
def connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lofty: Sandbox, connect: Callable[..., None]) -> None:
    connect(lofty)
    monkeypatch.setenv("AIRFLOW_CONN_JOURNAL", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "j.db")}))


def send(run_id: str, **arguments: Any) -> Run:
    return run(task_instance(run_id=run_id), journal_conn_id="journal", **arguments)


def bodies(lofty: Sandbox) -> list[Mapping[str, Any]]:
    return [json.loads(request.body) for request in lofty.requests if request.method == "POST"]


@pytest.fixture(params=["csv", "jsonl"])
def report(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    return str(tmp_path / f"r.{request.param}")


def flag(cells: Mapping[str, Any]) -> str:
    return "Favorite" if cells["k"] else "Browse"


def words(cells: Mapping[str, Any]) -> str:
    return f"Visited at {cells['k']}"


@pytest.mark.parametrize(
    ("cell", "arguments"),
    [
        *((cell, {"unique_key": ["lead_id", "k"]}) for cell in (
            LOCAL, LOCAL.replace(microsecond=120), pd.Timestamp("2026-03-01T10:00:07.123456789"), pd.Timestamp(LOCAL),
            LOCAL.replace(tzinfo=timezone.utc), LOCAL.astimezone(timezone(timedelta(hours=2))), LOCAL.date(),
            LOCAL.time(), True, False, 0, 7, 7.0, 0.1, Decimal("450.50"), "7.0", "true", "[1]", " x ",
        )),
        *((cell, {"mapping": {"text": "k"}}) for cell in (LOCAL, LOCAL.date(), Decimal("450.50"), 7.0, "007", "true", "[]")),
        *((cell, {"mapping": {"type": flag}}) for cell in (False, True, 0, 1, 0.0, Decimal(0), "", None, "0", [], [0])),
        *((cell, {"mapping": {"text": words}}) for cell in (
            LOCAL, LOCAL.date(), LOCAL.time(), LOCAL.replace(tzinfo=timezone.utc), Decimal("450.50"), Decimal("1E+3"), 7.0,
            1e20, True, None, [1, "a"], {"a": 1.5},
        )),
        *((cell, {"mapping": {"created": "k"}}) for cell in (LOCAL, pd.Timestamp(LOCAL), LOCAL.date())),
        ("", {"mapping": {"text": "k"}, "defaults": {"text": "a default"}}),
        (None, {"mapping": {"text": "k"}, "defaults": {"text": "a default"}}),
        ("", {"mapping": {"picture": "k"}}),
    ],
    ids=lambda given: re.sub(r"<function (\w+).*?>", r"\1", repr(given)),
)  # fmt: skip
def test_a_row_that_failed_is_sent_as_it_would_have_been_and_once(
    lofty: Sandbox, report: str, cell: object, arguments: dict[str, Any]
) -> None:
    source = {"rows": [{**row(7), "k": cell}], **PHOENIX, **arguments}
    lofty.change(missing_leads={7})
    assert send("1", report_path=report, **source).counts == {"rejected": 1}
    lofty.change(missing_leads=set())
    assert send("2", path=report, **PHOENIX, **arguments).counts == {"delivered": 1}
    first, second = bodies(lofty)
    assert second == first
    assert send("3", **source).counts == {"already_delivered": 1}


@pytest.mark.parametrize(
    ("cell", "arguments"),
    [
        (Decimal("1E+16"), {"mapping": {"lead_id": "k"}}),
        (Decimal("9.1E+15"), {"mapping": {"listing.price": "k"}}),
        (Decimal("1E+20"), {"mapping": {"text": "k"}}),
        (datetime(2026, 3, 8, 2, 30), {"mapping": {"scheduledDate": "k"}, "timezone": "America/New_York"}),
        (datetime(2026, 3, 8, 2, 30), {"mapping": {"created": "k"}, "timezone": "America/New_York"}),
        (SessionTime.of(LOCAL), {"mapping": {"scheduledDate": "k"}}),
        ({"price": Decimal("9.1E+15")}, {"mapping": {"listing": "k"}}),
        (True, {"mapping": {"text": "k"}}),
        (b"x", {"mapping": {"text": "k"}}),
        (float("inf"), {"mapping": {"listing.price": "k"}}),
        (1e300, {"mapping": {"text": "k"}}),
        ([1], {"mapping": {"text": "k"}}),
    ],
    ids=lambda given: re.sub(r"<function (\w+).*?>", r"\1", repr(given)),
)  # fmt: skip
def test_what_was_refused_is_refused_until_it_is_corrected(
    lofty: Sandbox, report: str, cell: object, arguments: dict[str, Any]
) -> None:
    assert run(rows=[{**row(7), "k": cell}], report_path=report, **arguments).counts == {"invalid": 1}
    again = f"{report}{Path(report).suffix}"
    assert run(path=report, report_path=again, **arguments).counts == {"invalid": 1}
    assert run(path=again, **arguments).counts == {"invalid": 1}
    assert lofty.activities == []


@pytest.mark.parametrize(("field", "cell"), [("listing.price", "450,000"), ("listing.lotSize", "1,850")])
def test_a_number_that_could_be_two_in_its_file_could_be_in_the_report(
    lofty: Sandbox, tmp_path: Path, report: str, field: str, cell: str
) -> None:
    source = write_csv(tmp_path / "s.csv", [{**row(7, type="wrong"), field: cell}, row(8)], delimiter=";")
    assert run(path=source, report_path=report).counts == {"invalid": 1, "delivered": 1}
    corrected = Path(report).read_text(encoding="utf-8").replace("wrong", "Browse")
    Path(report).write_text(corrected, encoding="utf-8")
    again = run(path=report)
    assert again.counts == {"invalid": 1, "already_delivered": 1}
    assert "is ambiguous" in again.summary["errors"][0]["error"]
    assert run(path=report, file_options={"decimal": "."}).counts == {"delivered": 1, "already_delivered": 1}


@pytest.mark.parametrize(
    "created",
    [LOCAL, LOCAL.date(), LOCAL.isoformat(), "2026-03-01", pd.Timestamp(LOCAL), np.datetime64(LOCAL)],
    ids=repr,
)
def test_another_timezone_is_noticed_before_anything_is_sent(lofty: Sandbox, report: str, created: object) -> None:
    rows = [row(6), row(7, created=created)]
    assert run(rows=rows, report_path=report, preview=True, **PHOENIX).counts == {"would_send": 2}
    ended = run(path=report)
    assert type(ended.error) is LoftyConfigurationError
    assert "row 2" in str(ended.error)
    assert "for one of America/Phoenix: give this task the same timezone" in str(ended.error)
    assert lofty.activities == []
    assert run(path=report, **PHOENIX).counts == {"delivered": 2}
    assert lofty.activities[1].body["created"] in (1772384407000, 1772348400000)


@pytest.mark.parametrize(
    ("before", "after", "sent"),
    [
        (LOCAL, "2026-03-02T10:00:07+00:00", "2026-03-02T10:00:07+00:00"),
        (True, "yes", "yes"),
        (Decimal("1E+16"), "12", "12"),
        ([1], "one", "one"),
        ("", "something", "something"),
    ],
)  # fmt: skip
def test_a_cell_that_was_changed_is_what_it_is_now(
    lofty: Sandbox, tmp_path: Path, before: object, after: str, sent: str
) -> None:
    report = tmp_path / "r.csv"
    run(rows=[{**row(7), "text": before, "type": "wrong"}], report_path=str(report), **PHOENIX)
    lines = read_report(report)
    lines[0].update(text=after, type="Browse")
    assert run(path=write_csv(tmp_path / "corrected.csv", lines), **PHOENIX).counts == {"delivered": 1}
    assert lofty.activities[0].body["text"] == sent


def test_a_spreadsheet_may_write_truth_values_in_capitals_and_order_columns_anew(
    lofty: Sandbox, tmp_path: Path
) -> None:
    report, arguments = tmp_path / "r.csv", {"mapping": {"type": flag}}
    lofty.change(missing_leads={7})
    run(rows=[{**row(7), "k": False}], report_path=str(report), **arguments)
    lofty.change(missing_leads=set())
    lines = [{name: line[name] for name in sorted(line, reverse=True)} for line in read_report(report)]
    lines[0]["k"] = "FALSE"
    assert run(path=write_csv(tmp_path / "saved.csv", lines), **arguments).counts == {"delivered": 1}
    assert lofty.activities[0].body["type"] == "Browse"


def test_what_was_said_of_how_numbers_are_written_has_to_be_said_again(
    lofty: Sandbox, tmp_path: Path, report: str
) -> None:
    source = write_csv(tmp_path / "s.csv", [{**row(7), "listing.lotSize": "1.850"}])
    said = {"file_options": {"decimal": ","}}
    assert run(path=source, report_path=report, preview=True, **said).counts == {"would_send": 1}
    assert run(path=report).counts == {"invalid": 1}
    assert run(path=report, **said).counts == {"delivered": 1}
    assert lofty.activities[0].body["listing"] == {"lotSize": 1850.0}


def test_what_stood_for_no_value_does(lofty: Sandbox, tmp_path: Path, report: str) -> None:
    source = write_csv(tmp_path / "s.csv", [row(7, text=" n/a ")])
    given = {"defaults": {"text": "a default"}}
    said = {"file_options": {"null_values": ["n/a"]}}
    assert run(path=source, report_path=report, preview=True, **given, **said).counts == {"would_send": 1}
    assert run(path=report, **given).counts == {"delivered": 1}
    assert lofty.activities[0].body["text"] == "a default"


def test_a_report_of_a_file_shows_everything(tmp_path: Path) -> None:
    report = tmp_path / "r.csv"
    run(path=write_csv(tmp_path / "s.csv", [row(7, text="true"), row(8)]), report_path=str(report), preview=True)
    assert all(" " not in line["lofty_fingerprint"] for line in read_report(report))


def test_what_is_broken_is_passed_over(lofty: Sandbox, tmp_path: Path) -> None:
    report = tmp_path / "r.csv"
    run(rows=[{**row(7), "created": LOCAL}], report_path=str(report), preview=True)
    lines = read_report(report)
    for broken in ("{", "[1]", '{"created": 1}', '{"created": "nothing known"}'):
        lines[0]["lofty_fingerprint"] = f"{lines[0]['lofty_fingerprint'].partition(' ')[0]} {broken}"
        assert run(path=write_csv(tmp_path / "b.csv", lines), preview=True).counts == {"would_send": 1}
