"""Rows from CSV and TSV: split exactly, and a file that is not whole sends nothing."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from support.files import HEADER, LINE, read
from support.practice import COLUMNS, row, run, write_csv

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_the_delimiter(tmp_path: Path, delimiter: str) -> None:
    path = write_csv(tmp_path / "a.csv", [row(1, text="a,b;c\td|e"), row(2)], delimiter=delimiter)
    assert [cells["text"] for cells in read(path).dicts] == ["a,b;c\td|e", "Viewed home 2"]


def test_a_tsv_is_split_at_tabs_whatever_its_header_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("lead_id\ta,b,c,d\n1\tx\n", encoding="utf-8")
    assert read(path).dicts == [{"lead_id": "1", "a,b,c,d": "x"}]


@pytest.mark.parametrize("blank", ["\n", "\r\n\r\n"])
def test_blank_lines_before_the_header_do_not_hide_the_delimiter(tmp_path: Path, blank: str) -> None:
    (tmp_path / "a.csv").write_bytes(f"{blank}lead_id;text\r\n1;x\r\n".encode())
    assert read(tmp_path / "a.csv").dicts == [{"lead_id": "1", "text": "x"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_known(tmp_path: Path, end: str) -> None:
    (tmp_path / "a.csv").write_bytes(end.join(["lead_id,text", "1,a", "", "2,b", ""]).encode())
    found = read(tmp_path / "a.csv")
    assert [(item.row_number, *item.cells) for item in found.rows] == [(1, "1", "a"), (2, "2", "b")]


@pytest.mark.parametrize("text", ['two\nlines, and "quotes"', "one\r\ntwo", "\n", "a\rb"])
def test_a_quoted_cell_may_hold_anything(tmp_path: Path, text: str) -> None:
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([["lead_id", "text"], ["1", text], ["2", "after"]])
    assert read(tmp_path / "a.csv").dicts == [{"lead_id": "1", "text": text}, {"lead_id": "2", "text": "after"}]


def test_an_empty_cell_is_no_value(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('lead_id,text,link\n1,,""\n', encoding="utf-8")
    assert read(tmp_path / "a.csv").dicts == [{"lead_id": "1", "text": None, "link": None}]


@pytest.mark.parametrize("last", [True, False], ids=["last_column", "first_column"])
def test_a_quote_that_is_never_closed_does_not_swallow_other_rows(tmp_path: Path, *, last: bool) -> None:
    header, opened = ("lead_id,text", '1,"open') if last else ("text,lead_id", '"open,1')
    (tmp_path / "a.csv").write_text(f"{header}\n5,whole\n{opened}\n2,of another lead\n3,too\n", encoding="utf-8")
    with pytest.raises(LoftyConfigurationError, match="a quote in row 2 is never closed; nothing was sent"):
        read(tmp_path / "a.csv")


def test_a_cell_of_300_000_characters_is_read_and_the_limit_of_csv_is_put_back(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    text = "a long story " * 25_000
    path = write_csv(tmp_path / "a.csv", [row(1, text=text)])
    assert read(path).dicts[0]["text"] == text
    assert csv.field_size_limit() == before


def test_ragged_rows_are_bad_rows_among_good_ones(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("lead_id,text,link\n1,a,b\n2,a\n3,a,b,c\n4,a,b\n", encoding="utf-8")
    found = read(tmp_path / "a.csv")
    assert found.problems == [
        (2, "has 2 cells where the header has 3"),
        (3, "has 4 cells where the header has 3"),
    ]
    assert [item.cells for item in found.rows if item.problem is None] == [["1", "a", "b"], ["4", "a", "b"]]


def test_rows_that_are_not_utf8_are_invalid_and_their_field_is_named(tmp_path: Path, lofty: Any, connect: Any) -> None:
    connect(lofty)
    lines = [HEADER, "1,Browse,caf\xe9,l,p,2026-03-01", "2,Browse,fine,l,p,2026-03-01", "3,Browse,t,l\xff,p,2026-03-01"]
    (tmp_path / "a.csv").write_bytes("\n".join(lines).encode("latin-1"))
    ended = run(path=str(tmp_path / "a.csv"))
    assert ended.counts == {"delivered": 1, "invalid": 2}
    assert [(group["error_field"], group["example_row"]) for group in ended.summary["errors"]] == [
        ("text", 1),
        ("link", 3),
    ]
    assert [activity.body["text"] for activity in lofty.activities] == ["fine"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_recognised(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(f"{HEADER}\n{LINE}\n".encode(encoding))
    with pytest.raises(LoftyConfigurationError, match=r"a\.csv is damaged: it is not UTF-8 text"):
        read(tmp_path / "a.csv")


def test_a_row_with_a_nul_is_invalid_and_the_others_are_sent(tmp_path: Path) -> None:
    header = ",".join(COLUMNS)
    lines = [
        header,
        *(",".join(str(value) for value in row(n, text=text).values()) for n, text in ((1, "a"), (2, "b\0c"))),
    ]
    source, report = tmp_path / "rows.csv", tmp_path / "report.csv"
    source.write_text("\n".join(lines), encoding="utf-8")
    operator = LoftyAddActivityOperator(
        task_id="t",
        path=str(source),
        report_path=str(report),
        defaults={"picture": ""},
        preview=True,
        max_failed_rows=1,
    )
    summary = operator.execute({})
    assert (summary["would_send"], summary["invalid"]) == (1, 1)
    assert summary["errors"][0]["error_field"] == "text"
    again = LoftyAddActivityOperator(
        task_id="t", path=str(report), defaults={"picture": ""}, preview=True, max_failed_rows=1
    ).execute({})
    assert again["invalid"] == 1
