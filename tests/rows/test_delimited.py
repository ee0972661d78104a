"""Rows from CSV and TSV: split exactly, and a file that is not whole sends nothing."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from support.files import HEADER, LINE, read
from support.practice import COLUMNS, Log, row, run, write_csv

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "\x01"])
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


@pytest.mark.parametrize("mark", ["\ufeff", "\ufeff\ufeff"])
def test_byte_order_marks_are_no_part_of_the_header(tmp_path: Path, mark: str) -> None:
    (tmp_path / "a.csv").write_text(f"{mark}lead_id,text\n1,a\n", encoding="utf-8")
    assert read(tmp_path / "a.csv").dicts == [{"lead_id": "1", "text": "a"}]


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;"])
def test_the_line_by_which_a_spreadsheet_names_the_delimiter_is_no_header(tmp_path: Path, first: str) -> None:
    (tmp_path / "a.csv").write_text(f"{first}\r\nlead_id;a,b,c\r\n1;x\r\n", encoding="utf-8")
    assert read(tmp_path / "a.csv").dicts == [{"lead_id": "1", "a,b,c": "x"}]
    with pytest.raises(LoftyConfigurationError, match="names another delimiter"):
        read(tmp_path / "a.csv", delimiter=",")


def test_a_delimiter_that_is_named_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("lead_id~a,b,c\n1~x\n", encoding="utf-8")
    assert read(tmp_path / "a.csv", delimiter="~").dicts == [{"lead_id": "1", "a,b,c": "x"}]


def test_a_delimiter_that_is_not_known_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{HEADER}\n{LINE}\n".replace(",", "~"), encoding="utf-8")
    assert 'say file_options={"delimiter": …}' in str(run(path=str(tmp_path / "a.csv"), preview=True).error)


def test_titles_above_the_header_are_skipped_where_the_author_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('A "report,,\n,,\nlead_id,text,\n1,a,\n', encoding="utf-8")
    found = read(tmp_path / "a.csv", skip_rows=2)
    assert (found.dicts, found.rows[0].line) == ([{"lead_id": "1", "text": "a", "": None}], 4)
    assert read(tmp_path / "a.csv", skip_rows=4).rows == []
    with pytest.raises(LoftyConfigurationError, match=r"fewer lines than file_options says to skip \(5\)"):
        read(tmp_path / "a.csv", skip_rows=5)


@pytest.mark.parametrize("titles", [["Report", ""], ["Report,,,,,", "Made in 2026,,,,,"]])
def test_titles_that_are_taken_for_the_header_are_pointed_out(tmp_path: Path, titles: list[str]) -> None:
    (tmp_path / "a.csv").write_text("\n".join([*titles, HEADER, LINE]), encoding="utf-8")
    ended = run(path=str(tmp_path / "a.csv"), preview=True)
    assert 'line 3 looks like the header, so say how many lines stand above it: file_options={"skip_rows": 2}' in str(
        ended.error
    )


def test_a_file_without_a_header_says_so_itself_or_by_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{LINE}\n{LINE}\n1,2\n", encoding="utf-8")
    assert "columns=[" in str(run(path=str(tmp_path / "a.csv"), preview=True).error)
    found = read(tmp_path / "a.csv", columns=COLUMNS)
    assert [(row["lead_id"], row["text"]) for row in found.dicts[:2]] == [("1", "Viewed home 1")] * 2
    assert [item.line for item in found.rows] == [1, 2, 3]
    assert found.problems == [(3, "has 2 cells where columns names 6")]


def test_columns_help_to_find_the_delimiter(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,a;b;c;d\n", encoding="utf-8")
    assert read(tmp_path / "a.csv", columns=("lead_id", "text")).dicts == [{"lead_id": "1", "text": "a;b;c;d"}]


def test_columns_for_a_file_that_has_a_header_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"\n{HEADER.upper()}\n{LINE}\n", encoding="utf-8")
    with pytest.raises(LoftyConfigurationError, match="line 2 is a header, but columns says that there is none"):
        read(tmp_path / "a.csv", columns=COLUMNS)


def test_padding_is_passed_over_and_counted(tmp_path: Path) -> None:
    lines = ["lead_id,text,,", "1,a,,", "2,b", ",,,", "3,c,,,,", '" "," "', "   ", "4,d,,,e", "5,f,,g"]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    log = Log()
    found = read(tmp_path / "a.csv", log=log)
    assert [tuple(item.cells) for item in found.rows] == [
        ("1", "a", None, None),
        ("2", "b", None, None),
        ("3", "c", None, None),
        ("4", "d", None, None),
        ("5", "f", None, "g"),
    ]
    assert found.problems == [(4, "has 5 cells where the header has 4")]
    assert [(item.row_number, item.line) for item in found.rows] == [(1, 2), (2, 3), (3, 5), (4, 8), (5, 9)]
    assert [line.partition(" (")[0] for line in log.lines] == [
        "a row without a value in any cell was passed over",
        "empty cells beyond those of the header were passed over",
    ]
    assert "(3 of them; the first: line 4 of" in log.lines[0]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_refused_with_the_way_to_name_it(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(f"{HEADER}\n{LINE}\n".encode(encoding))
    with pytest.raises(LoftyConfigurationError, match='it is not UTF-8 text; .* say file_options={"encoding"'):
        read(tmp_path / "a.csv")
    assert read(tmp_path / "a.csv", encoding=encoding).dicts[0]["text"] == "Viewed home 1"


def test_an_empty_cell_is_no_value(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('lead_id,text,link\n1,,""\n', encoding="utf-8")
    assert read(tmp_path / "a.csv").dicts == [{"lead_id": "1", "text": None, "link": None}]


@pytest.mark.parametrize("last", [True, False], ids=["last_column", "first_column"])
def test_a_quote_that_is_never_closed_does_not_swallow_other_rows(tmp_path: Path, *, last: bool) -> None:
    header, opened = ("lead_id,text", '1,"open') if last else ("text,lead_id", '"open,1')
    (tmp_path / "a.csv").write_text(f"{header}\n5,whole\n{opened}\n2,of another lead\n3,too\n", encoding="utf-8")
    with pytest.raises(LoftyConfigurationError, match=r"a\.csv: line 3: a quote is never closed; .*; nothing was sent"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "last", ['3000,Browse,"Cozy nest" here,l,p,2026-03-01', '3000,Browse,"ends in \\",l,p,2026-03-01']
)
def test_a_file_that_is_refused_at_its_end_sends_nothing(tmp_path: Path, lofty: Any, connect: Any, last: str) -> None:
    connect(lofty)
    lines = [HEADER, *(f"{n},Browse,home {n},l,p,2026-03-01" for n in range(1, 3000)), last]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    ended = run(path=str(tmp_path / "a.csv"))
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "a.csv: line 3001: " in str(ended.error)
    assert "nest" not in str(ended.error)
    assert (lofty.requests, ended.counts) == ([], {"not_attempted": 2999})


def test_rows_that_may_be_glued_are_warned_of_in_a_preview_too(tmp_path: Path) -> None:
    lines = [HEADER, '1,Browse,"Cozy nest,l,p,2026-03-01', '2,Browse,6",l,p,2026-03-01', LINE.replace("1,", "3,", 1)]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    ended = run(path=str(tmp_path / "a.csv"), defaults={"picture": ""}, preview=True)
    assert ended.counts == {"would_send": 2}
    (warning,) = [line for line in ended.log if "could be a row by itself" in line]
    assert warning.endswith(f"(1 of them; the first: line 2 of {tmp_path}/a.csv)")


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
    assert 'file_options={"encoding": "cp1252"}' in "\n".join(ended.log)
    assert "row 1 (line 2)" in "\n".join(ended.log)
    again = run(path=str(tmp_path / "a.csv"), file_options={"encoding": "cp1252"}, preview=True)
    assert again.counts == {"would_send": 3}


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
