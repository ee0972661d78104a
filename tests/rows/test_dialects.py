"""Delimited text as nobody wrote it down: what Python's strict reader takes is read alike, and no row ever holds two."""

from __future__ import annotations

import csv
import io
from typing import Any

from hypothesis import given, settings, strategies as st

from airflow_provider_lofty.rows.file_options import FileOptions
from airflow_provider_lofty.rows.lines import Lines
from airflow_provider_lofty.rows.notes import Notes
from airflow_provider_lofty.rows.records import Records
from airflow_provider_lofty.rows.source import RefusedFile

DELIMITERS = st.sampled_from(",;\t|")
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
CELLS = st.text(st.sampled_from("ab1 \"\\,;\t|\r\n'="), max_size=6)
ROWS = st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=6)


def split(text: str, delimiter: str, **options: Any) -> list[list[str]]:
    lines = Lines(io.StringIO(text, newline=""))
    return [cells for _, cells in Records(lines, delimiter, FileOptions.from_dict(options), Notes())]


def written(rows: list[list[str]], delimiter: str, **settings: Any) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, **settings).writerows(rows)
    return stream.getvalue()


@settings(max_examples=400, deadline=None)
@given(ROWS, DELIMITERS, ENDS, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_was_written_properly_is_read_exactly(
    rows: list[list[str]], delimiter: str, end: str, quoting: Any
) -> None:
    if quoting == csv.QUOTE_MINIMAL:
        end = "\r\n"  # with another, csv leaves a cell bare that holds one of these
    text = written(rows, delimiter, lineterminator=end, quoting=quoting)
    assert split(text, delimiter, escape=None) == rows


@settings(max_examples=400, deadline=None)
@given(ROWS, DELIMITERS, ENDS)
def test_what_was_written_with_escapes_is_read_exactly(rows: list[list[str]], delimiter: str, end: str) -> None:
    text = written(rows, delimiter, lineterminator=end, quoting=csv.QUOTE_ALL, doublequote=False, escapechar="\\")
    assert split(text, delimiter, escape="\\") == rows


@settings(max_examples=400, deadline=None)
@given(ROWS, ENDS)
def test_what_copy_wrote_is_read_exactly(rows: list[list[str]], end: str) -> None:
    letters = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
    lines = ["\t".join("".join(letters.get(c, c) for c in cell) for cell in row) for row in rows]
    found = split(end.join(lines) + end, "\t", quoting="none", escape="\\")
    assert found == [row for row, line in zip(rows, lines, strict=True) if line]


@settings(max_examples=1500, deadline=None)
@given(st.text(st.sampled_from('ab1 "\\,\n\r'), max_size=40))
def test_any_text_is_read_as_a_strict_reader_does_or_refused(text: str) -> None:
    """Beside what is documented: blanks around an enclosed cell, and a backslash before a quote."""
    try:
        found = split(text, ",")
    except RefusedFile:
        return
    if '\\"' in text or ' "' in text or '" ' in text:
        return
    assert found == [cells for cells in csv.reader(io.StringIO(text, newline=""), strict=True) if cells]


@settings(max_examples=800, deadline=None)
@given(st.text(st.sampled_from('ab1 "\\,\n\r'), max_size=40), st.sampled_from([None, "\\", "undecided"]))
def test_nothing_is_dropped(text: str, escape: str | None) -> None:
    """Every letter and digit of a file that is not refused is in some cell, once, in order."""
    options = {} if escape == "undecided" else {"escape": escape}
    try:
        found = split(text, ",", **options)
    except RefusedFile:
        return
    kept = "".join(c for cells in found for cell in cells for c in cell if c.isalnum())
    assert kept == "".join(c for c in text if c.isalnum())


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 99), CELLS), min_size=2, max_size=5), st.sampled_from(["\\", None]))
def test_a_writer_that_escapes_otherwise_than_its_reader_thinks_never_glues_rows(
    rows: list[tuple[int, str]], escape: str | None
) -> None:
    """Written with one habit and read with nothing said: refused, or each row holds its own number and no other."""
    habit: dict[str, Any] = {"doublequote": False, "escapechar": "\\"} if escape else {}
    text = written([[f"#{n}", cell, "x"] for n, cell in rows], ",", quoting=csv.QUOTE_ALL, **habit)
    try:
        found = split(text, ",")
    except RefusedFile:
        return
    assert [cells[0] for cells in found] == [f"#{n}" for n, _ in rows]
    assert all("#" not in cell for cells in found for cell in cells[1:])
