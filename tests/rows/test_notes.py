"""What spreadsheets' users put around a cell is taken off, and counted in the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.files import read
from support.practice import Log, write_csv

from airflow_provider_lofty.rows.notes import Notes, undressed


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('="02134"', "02134"),
        ('=""', ""),
        ('="say ""hi"""', 'say "hi"'),
        ("'02134", "02134"),
        ("'=SUM(A1)", "=SUM(A1)"),
        ("'+1 602 555", "+1 602 555"),
        ("'@handle", "@handle"),
        ("'+1 for the neighbour's garden", "+1 for the neighbour's garden"),
        ("''=x", "'=x"),
    ],
)
def test_dress_is_taken_off(cell: str, expected: str) -> None:
    assert undressed(cell, 1, Notes()) == expected


@pytest.mark.parametrize(
    "cell",
    ['="02134" and more', '="a"&"b"', "=02134", '=""a""', "'tis nice", "'", "'0213a", "'٣", "02134", "'-5", "'90s", "",
     "'@home' was his question", "'-- no thanks'", "'+1' she wrote, twice", "'=)\nor\n'=(' ?"],
)  # fmt: skip
def test_whatever_else_begins_like_dress_stays(cell: str) -> None:
    assert undressed(cell, 1, Notes()) == cell


@pytest.mark.parametrize("texts", [["'02134", "plain"], ['="02134"', "plain"]])
@pytest.mark.parametrize("settings", [{}, {"quoting": 1}, {"delimiter": ";"}, {"lineterminator": "\r"}])
@pytest.mark.parametrize("is_first", [True, False])
def test_each_kind_is_logged_once(
    tmp_path: Path, texts: list[str], settings: dict[str, object], *, is_first: bool
) -> None:
    names = ["zip", "lead"] if is_first else ["lead", "zip"]
    rows = [{name: text if name == "zip" else "x" for name in names} for text in texts * 3]
    log = Log()
    found = read(write_csv(tmp_path / "a.csv", rows, **settings), log=log)
    assert [cells["zip"] for cells in found.dicts] == ["02134", "plain"] * 3
    (line,) = log.lines
    assert "3 of them; the first: line 2 of " in line
    assert "02134" not in line
