"""A report of another format stops the run with nothing sent; one of this format stays readable."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.practice import read_report, row, run, write_csv

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.report.format import FORMAT_MARK, fingerprint_in, marked
from airflow_provider_lofty.sandbox import Sandbox

KEPT = Path(__file__).with_name("reports")


@pytest.fixture(autouse=True)
def connected(lofty: Sandbox, connect: Callable[..., None]) -> None:
    connect(lofty)


@pytest.mark.parametrize("fingerprint", ["ab" * 16, "1" * 32, "", None])
def test_what_is_marked_is_read_back(fingerprint: str | None) -> None:
    assert fingerprint_in(marked(fingerprint)) == (fingerprint or "")


@pytest.mark.parametrize(
    "cell",
    [
        None, "", "ab" * 16, f"v1.3:{'ab' * 16}", "v1.1:", "v2.2:", "v2.4:", "v2.30:ab", "v12.3:ab", f" {FORMAT_MARK}", 1.2,
        True,
    ],
)  # fmt: skip
def test_what_has_another_mark_or_none_is_of_another_format(cell: object) -> None:
    assert fingerprint_in(cell) is None


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("kept", ["without_format", "v1.1", "v1.2", "v1.3"])
def test_a_report_of_another_version_is_refused_with_nothing_sent(lofty: Sandbox, kept: str, ending: str) -> None:
    ended = run(path=str(KEPT / f"{kept}.{ending}"))
    assert type(ended.error) is LoftyConfigurationError
    for said in ("row 1 (line ", "another format", "Nothing was sent", "clear the task", "check_existing='always'"):
        assert said in str(ended.error)
    assert [request for request in lofty.requests if request.method == "POST"] == []


@pytest.mark.parametrize("fingerprint", ["v1.3:" + "ab" * 16, "v2.4:" + "ab" * 16, ""])
@pytest.mark.parametrize("before", [0, 3])
def test_one_row_of_another_format_is_enough(lofty: Sandbox, tmp_path: Path, fingerprint: str, before: int) -> None:
    rows = [{**row(n), "lofty_outcome": "not_attempted", "lofty_fingerprint": FORMAT_MARK} for n in range(1, 5)]
    rows[before]["lofty_fingerprint"] = fingerprint
    ended = run(path=write_csv(tmp_path / "mixed.csv", rows))
    assert type(ended.error) is LoftyConfigurationError
    assert f"row {before + 1} (line {before + 2}) of" in str(ended.error)
    assert [request for request in lofty.requests if request.method == "POST"] == []


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_report_of_this_format_is_understood_for_good(lofty: Sandbox, tmp_path: Path, ending: str) -> None:
    """It was kept as it was once written: where the key rules change unnoticed, its rows have changed, too."""
    report = tmp_path / "r.csv"
    ended = run(path=str(KEPT / f"v2.3.{ending}"), report_path=str(report), max_failed_rows=1, on_unknown="report")
    lines = read_report(report)
    assert [(line["lofty_outcome"], line["lofty_error"]) for line in lines[:2]] == [("already_delivered", "")] * 2
    assert [line["lofty_outcome"] for line in lines] == [
        "already_delivered", "already_delivered", "unknown", "delivered", "delivered", "delivered",
        "duplicate", "invalid",
    ]  # fmt: skip
    assert ended.summary["read"] == 8
    assert sorted(activity.lead_id for activity in lofty.activities) == [4, 5, 6]


def test_a_spreadsheet_may_drop_rows_and_columns_and_change_quotes_and_delimiters(
    lofty: Sandbox, tmp_path: Path
) -> None:
    run(rows=[row(1), row("x"), row(3)], report_path=str(tmp_path / "r.csv"))
    lines = read_report(tmp_path / "r.csv")
    lines[1]["lead_id"] = "2"
    kept = [name for name in lines[0] if name in row() or name in ("lofty_outcome", "lofty_fingerprint")]
    corrected: list[dict[str, Any]] = [{name: line[name] for name in kept} for line in lines[:2]]
    again = run(path=write_csv(tmp_path / "saved.csv", corrected, delimiter=";", quoting=csv.QUOTE_ALL))
    assert again.counts == {"already_delivered": 1, "delivered": 1}
    assert sorted(activity.lead_id for activity in lofty.activities) == [1, 2, 3]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "lead_id,type,link,picture,created,text\n7,Browse,l,p,2026-11-01,Hello, please do NOT call\n"),
        ("a.csv", "lead_id,type,link,picture,created,text,zip\n7,Browse,l,p,2026-11-01,Hello\n"),
        ("a.jsonl", json.dumps(row(7))[:-1] + ', "text": "second"}\n'),
    ],
)
def test_a_row_that_did_not_add_up_is_sent_only_when_somebody_says_so(
    lofty: Sandbox, tmp_path: Path, name: str, content: str, ending: str
) -> None:
    (tmp_path / name).write_text(content)
    reports = [tmp_path / f"r{number}.{ending}" for number in range(3)]
    assert run(path=str(tmp_path / name), report_path=str(reports[0])).counts == {"invalid": 1}
    for before, report in itertools.pairwise(reports):
        again = run(path=str(before), report_path=str(report))
        assert again.counts == {"invalid": 1}
        assert again.summary["errors"][0]["error_field"] == "row"
    written = reports[-1].read_text(encoding="utf-8")
    assert written.count("empty its lofty_outcome") == 1
    assert lofty.activities == []
    freed = tmp_path / f"freed.{ending}"
    freed.write_text(re.sub('(?<="lofty_outcome": )"invalid"', "null", written).replace(",invalid,", ",,"))
    assert run(path=str(freed)).counts == {"delivered": 1}


def test_a_report_has_no_escapes_whatever_is_said_of_its_source(lofty: Sandbox, tmp_path: Path) -> None:
    report, text = str(tmp_path / "r.csv"), r'in \\srv\new, "quoted"'
    assert run(rows=[row(1, text=text)], preview=True, report_path=report).counts == {"would_send": 1}
    assert run(path=report, file_options={"escape": "\\"}).counts == {"delivered": 1}
    assert lofty.activities[0].body["text"] == text


def test_a_row_whose_key_another_one_has_is_sent_only_when_somebody_says_so(lofty: Sandbox, tmp_path: Path) -> None:
    report, given = tmp_path / "r.csv", {"unique_key": "k"}
    rows = [{**row(1), "k": 1}, {**row(2, text="another"), "k": 1}]
    assert run(rows=rows, report_path=str(report), **given).counts == {"delivered": 1, "invalid": 1}
    assert run(path=str(report), **given).counts == {"already_delivered": 1, "invalid": 1}
    lines = read_report(report)
    assert run(path=write_csv(tmp_path / "failed.csv", lines[1:]), **given).counts == {"invalid": 1}
    lines[1].update(k="2", lofty_outcome="")
    corrected = write_csv(tmp_path / "corrected.csv", lines)
    assert run(path=corrected, **given).counts == {"already_delivered": 1, "delivered": 1}
    assert sorted(activity.lead_id for activity in lofty.activities) == [1, 2]


def test_rows_that_were_added_to_a_report_need_no_format(lofty: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    run(rows=[row(1)], report_path=str(path))
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row(2)) + "\n")
        stream.write(json.dumps({**row(3), "lofty_outcome": None, "lofty_fingerprint": None}) + "\n")
    assert run(path=str(path)).counts == {"already_delivered": 1, "delivered": 2}
