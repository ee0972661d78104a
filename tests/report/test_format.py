"""A report of another format stops the run with nothing sent; one of this format stays readable."""

from __future__ import annotations

import csv
import json
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
        None, "", "ab" * 16, f"v2.3:{'ab' * 16}", "v1.1:", "v1.2:", "v1.4:", "v1.30:ab", "v11.3:ab", f" {FORMAT_MARK}", 1.2,
        True,
    ],
)  # fmt: skip
def test_what_has_another_mark_or_none_is_of_another_format(cell: object) -> None:
    assert fingerprint_in(cell) is None


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("kept", ["without_format", "v1.1", "v1.2"])
def test_a_report_of_another_version_is_refused_with_nothing_sent(lofty: Sandbox, kept: str, ending: str) -> None:
    ended = run(path=str(KEPT / f"{kept}.{ending}"))
    assert type(ended.error) is LoftyConfigurationError
    for said in ("row 1 (line ", "another format", "Nothing was sent", "clear the task", "check_existing='always'"):
        assert said in str(ended.error)
    assert [request for request in lofty.requests if request.method == "POST"] == []


@pytest.mark.parametrize("fingerprint", ["v2.3:" + "ab" * 16, "v1.4:" + "ab" * 16, ""])
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
    ended = run(path=str(KEPT / f"v1.3.{ending}"), report_path=str(report), max_failed_rows=1, on_unknown="report")
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


def test_rows_that_were_added_to_a_report_need_no_format(lofty: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    run(rows=[row(1)], report_path=str(path))
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row(2)) + "\n")
        stream.write(json.dumps({**row(3), "lofty_outcome": None, "lofty_fingerprint": None}) + "\n")
    assert run(path=str(path)).counts == {"already_delivered": 1, "delivered": 2}
