"""A report given back sends what its source would have sent: its cells are of the same kinds, whatever text shows."""

from __future__ import annotations

import csv
import json
import math
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
    assert all(line["lofty_fingerprint"].count(" ") == 1 for line in read_report(report))  # the seals alone


def test_what_is_broken_is_passed_over(lofty: Sandbox, tmp_path: Path) -> None:
    report = tmp_path / "r.csv"
    run(rows=[{**row(7), "created": LOCAL}], report_path=str(report), preview=True)
    lines = read_report(report)
    for broken in ("{", "[1]", '{"created": 1}', '{"created": "nothing known"}'):
        lines[0]["lofty_fingerprint"] = f"{lines[0]['lofty_fingerprint'].partition(' ')[0]} a.b {broken}"
        assert run(path=write_csv(tmp_path / "b.csv", lines), preview=True).counts == {"would_send": 1}


def ns(zone: str | None = None) -> pd.Timestamp:
    return pd.Timestamp("2026-03-01T10:00:07.123456789", tz=zone)


def name_of_page(cells: Mapping[str, Any]) -> str:
    return "p"


class TestWhatAReportCannotShow:
    """Where it is not sure that a row is what it was, it is not sent: its source is."""

    @pytest.mark.parametrize(
        ("rows", "arguments"),
        [
            (pd.DataFrame([{**row(7), "k": math.nan}]), {"mapping": {"type": flag}}),
            (pd.DataFrame([{**row(7), "k": math.nan}]), {"mapping": {"text": words}}),
            (pd.DataFrame([{**row(7), "k": pd.NaT}]), {"mapping": {"text": words}}),
            (pd.DataFrame([{**row(7), "k": ns("UTC")}]), {"unique_key": "k", "mapping": {"pageName": name_of_page}}),
            (pd.DataFrame([{**row(7), "k": ns()}]), {"mapping": {"text": words}}),
            (pd.DataFrame([{**row(7), "scheduledDate": ns()}]), PHOENIX),
            (pd.DataFrame([{**row(7), "listing.lotSize": 1.125}]), {"file_options": {"decimal": ","}}),
            ([{**row(7), "listing": {"lotSize": Decimal("1.125")}}], {"file_options": {"decimal": ","}}),
            ([row(7, text=0)], {"file_options": {"null_values": ["0"]}, "defaults": {"text": "a default"}}),
            ([{**row(7), "listing.bedrooms": 0}], {"file_options": {"null_values": ["0"]}}),
            ([row(7, text="")], {"file_options": {"null_values": [""]}, "defaults": {"text": "a default"}}),
            ([{**row(7), "k": {"price": Decimal("450.50")}}], {"mapping": {"text": lambda r: str(r["k"]["price"] * 2)}}),
            ([{**row(7), "k": timedelta(seconds=90)}], {"mapping": {"text": words}}),
            ([{**row(7), "k": set()}], {"mapping": {"type": flag}}),
            ([row(8), {**row(7), "x": "y"}], {"mapping": {"text": lambda r: f"from {r.get('x', 'web')}"}}),
            ([{**row(7), "lofty_source": "mls"}], {"mapping": {"text": "lofty_source"}}),
            ([{**row(7), "K": "true", "k": True}], {"unique_key": ["lead_id", "K"]}),
            ([{**row(7), "Created_At": LOCAL, "created_at": "2026-03-01T10:00:07+00:00"}],
             {"mapping": {"created": "created_at"}, **PHOENIX}),
            ([{**row(7, text=None), "TEXT2": None, "text2": ""}],
             {"mapping": {"text": "TEXT2"}, "defaults": {"text": "a default"}}),
            ([{**row(7), "": True}], {"mapping": {"text": lambda r: f"p {r['']}"}}),
        ],
        ids=range(20),
    )  # fmt: skip
    def test_is_sent_as_it_was_or_not_from_the_report(
        self, lofty: Sandbox, report: str, rows: Any, arguments: dict[str, Any]
    ) -> None:
        lofty.change(missing_leads={7, 8})
        assert set(send("1", report_path=report, rows=rows, **arguments).counts) == {"rejected"}
        lofty.change(missing_leads=set())
        again = send("2", path=report, **arguments)
        send("3", rows=rows, **arguments)
        sent = [json.dumps(body) for body in bodies(lofty)]
        assert len(sent) == 2 * len(rows)
        assert set(sent[: len(rows)]) == set(sent[len(rows) :])
        assert set(again.counts) <= {"delivered", "invalid"}

    @pytest.mark.parametrize(
        ("rows", "arguments"),
        [
            (pd.DataFrame([{**row(7), "listing.price": 16777217.0}]).astype({"listing.price": "float32"}),
             {"mapping": {"pageName": name_of_page}}),
            (pd.DataFrame([row(7, created=1772359207000.0)]).astype({"created": "float32"}),
             {"mapping": {"pageName": name_of_page}}),
            ([row(7, text=np.float32("inf"))], {}),
            ([row(7, listing={"note": np.float32("inf")})], {}),
        ],
        ids=range(4),
    )  # fmt: skip
    def test_is_refused_again_where_it_was(
        self, lofty: Sandbox, report: str, rows: Any, arguments: dict[str, Any]
    ) -> None:
        assert run(rows=rows, report_path=report, **arguments).counts == {"invalid": 1}
        assert run(path=report, **arguments).counts == {"invalid": 1}
        assert lofty.activities == []

    def test_is_refused_again_where_it_could_be_two_numbers(self, lofty: Sandbox, tmp_path: Path, report: str) -> None:
        cells = [{**row(7), "listing": '{"lotSize": "1,850"}'}]
        source = write_csv(tmp_path / "s.csv", cells, delimiter=";")
        assert run(path=source, report_path=report).counts == {"invalid": 1}
        assert run(path=report).counts == {"invalid": 1}
        assert lofty.activities == []

    def test_is_sent_when_somebody_says_so(self, lofty: Sandbox, tmp_path: Path) -> None:
        report, arguments = tmp_path / "r.csv", {"mapping": {"text": words}}
        run(rows=[{**row(7), "k": {1}}], report_path=str(report), preview=True, **arguments)
        refused = run(path=str(report), **arguments)
        assert refused.counts == {"invalid": 1}
        assert "does not show all that the row was" in refused.summary["errors"][0]["error"]
        lines = read_report(report)
        lines[0]["lofty_outcome"] = ""
        assert run(path=write_csv(tmp_path / "said.csv", lines), **arguments).counts == {"delivered": 1}

    def test_is_no_matter_where_the_author_has_changed_something(self, lofty: Sandbox, report: str) -> None:
        arguments = {"mapping": {"text": lambda r: f"{r['k'] / 0}"}}
        assert run(rows=[{**row(7), "k": 1}], report_path=report, **arguments).counts == {"invalid": 1}
        mended = {"mapping": {"text": lambda r: f"{r['k'] / 1}"}}
        assert run(path=report, **mended).counts == {"delivered": 1}


@pytest.mark.parametrize(
    ("before", "after", "arguments", "sent"),
    [
        ({"text": "n/a"}, {"text": "Visited"}, {"file_options": {"null_values": ["n/a"]}}, {"text": "Visited"}),
        ({"created": LOCAL}, {"created": "2026-03-01T10:00:07+02:00"}, PHOENIX, {"created": 1772352007000}),
        ({"text": LOCAL}, {"text": "2026-03-01T10:00:07 visited"}, PHOENIX, {"text": "2026-03-01T10:00:07 visited"}),
        ({"listing.zipCode": 2134}, {"listing.zipCode": "02134"}, {}, {"listing": {"zipCode": "02134"}}),
        ({"listing.zipCode": 2134.0}, {"listing.zipCode": "02134"}, {}, {"listing": {"zipCode": "02134"}}),
        ({"text": [1]}, {"text": '"Great!"'}, {}, {"text": '"Great!"'}),
        ({"text": [1]}, {"text": "450.50"}, {}, {"text": "450.50"}),
    ],
    ids=range(7),
)  # fmt: skip
def test_a_correction_is_never_undone(
    lofty: Sandbox, tmp_path: Path, before: dict[str, Any], after: dict[str, str], arguments: dict[str, Any],
    sent: dict[str, Any],
) -> None:  # fmt: skip
    report, given = tmp_path / "r.csv", {"mapping": {"pageName": name_of_page}, **arguments}
    run(rows=[{**row(7), **before}], report_path=str(report), preview=True, **given)
    lines = read_report(report)
    lines[0].update(after)
    assert run(path=write_csv(tmp_path / "corrected.csv", lines), **given).counts == {"delivered": 1}
    body = lofty.activities[0].body
    assert {name: body[name] for name in sent} == sent


@pytest.mark.parametrize(
    ("one", "other"), [("UTC", "Etc/UTC"), ("Zulu", "UTC"), ("US/Arizona", "America/Phoenix"), ("GMT", "UTC")]
)
def test_a_zone_by_another_name_is_the_same(lofty: Sandbox, report: str, one: str, other: str) -> None:
    run(rows=[row(7, created=LOCAL)], report_path=report, preview=True, timezone=one)
    assert run(path=report, timezone=other).counts == {"delivered": 1}


def test_quotes_that_are_no_quotes_in_its_source_are_some_in_the_report(lofty: Sandbox, tmp_path: Path) -> None:
    source, report = write_csv(tmp_path / "s.tsv", [row(7, text='say "hi"')], delimiter="\t",
                               quoting=csv.QUOTE_NONE, quotechar=None), str(tmp_path / "r.csv")  # fmt: skip
    said = {"file_options": {"quoting": "none"}}
    assert run(path=source, report_path=report, preview=True, **said).counts == {"would_send": 1}
    ended = run(path=report, **said)
    assert type(ended.error) is LoftyConfigurationError
    assert "leave quoting out of file_options" in str(ended.error)
    assert run(path=report).counts == {"delivered": 1}
    assert lofty.activities[0].body["text"] == 'say "hi"'
