"""Cells that a spreadsheet would run are defused in a report, and come back exactly as they were."""

from __future__ import annotations

import csv
import io
import sys

import pytest
from hypothesis import assume, given, strategies as st

from airflow_provider_lofty.rows.report_format import defused, restored

CELLS = st.text() | st.text("'=+-@\t\r\n＝＋－＠0.1eE,;\" a", max_size=8)


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+cmd|' /C calc'!A0", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1a", "－x", "＠x", "-", "+", "-1,5", "+1-555-010-0199", "-1e", "- 1", "'=1"],
)  # fmt: skip
def test_what_a_spreadsheet_would_run_begins_with_an_apostrophe(cell: str) -> None:
    assert defused(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["", "a=1", "-5", "+5", "-1.5", "-1.5e-7", "02134", "it's", "'quoted'", " =1", "''"])
def test_harmless_cells_and_plain_numbers_stay(cell: str) -> None:
    assert defused(cell) == cell


@given(CELLS)
def test_nothing_defused_runs(cell: str) -> None:
    safe = defused(cell)
    assert not safe.startswith(("=", "@", "\t", "\r", "\n")) or safe == ""
    assert not safe.startswith(("+", "-")) or float(safe) is not None


@given(CELLS)
def test_restoring_gives_back_what_was_defused(cell: str) -> None:
    assert restored(defused(cell)) == cell


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=5))
def test_a_csv_file_gives_back_the_same_cells(rows: list[list[str]]) -> None:
    assume(sys.version_info >= (3, 11) or "\0" not in "".join(map("".join, rows)))  # older csv knows no NUL
    written = io.StringIO(newline="")
    csv.writer(written).writerows([defused(cell) for cell in row] for row in rows)
    read = csv.reader(io.StringIO(written.getvalue(), newline=""))
    assert [[restored(cell) for cell in row] for row in read] == rows
