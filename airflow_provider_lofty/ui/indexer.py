"""
The program that reads a report once and writes an index of it, from which its rows are then found and shown.

It runs in a process of its own: the work and the memory it takes are not the web server's, whatever the report holds.
It needs the standard library only, and so starts at once. :mod:`airflow_provider_lofty.ui.indexes` starts it.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from hashlib import blake2b
from itertools import islice
from typing import IO, NamedTuple, TypedDict

CELL_MARK = "\udcff"  # between cells: encoded, a byte that never occurs in UTF-8, so that no search can match it
PACKED = {"encoding": "utf-8", "errors": "surrogateescape"}
FORMAT = 2  # raised when the tables change
REFUSED, NO_ROOM = 3, 4  # how the program ends: it is the report's fault, or that of the disk or the memory
_HEADER_BYTES = 2**20
_ROW_BYTES = 2**23  # a longer row counts as one that never ends
_MEMORY_BYTES = 2**30
_LONGEST_SHOWN = 2000
_SHORTENED = 100  # the cells of a row that is too long even so
_SHOWN_BYTES = 2**18
_BATCH_ROWS = 1000
_PAGE_BYTES = 2**15
_MOST_DIGITS = 19  # of a lead's id

_SETTINGS = ("journal_mode = OFF", "synchronous = OFF")  # an index that is left half written is never looked at
# In several tables: each question reads as little as it can. Rows are numbered from 1, in the report's order; "starts"
# and "ends" are their places in the file, in bytes. What went wrong alike has the same hash.
_TABLES = """
CREATE TABLE header (cells BLOB, ends INTEGER);
CREATE TABLE fates (id INTEGER PRIMARY KEY, outcome TEXT, lead INTEGER, alike INTEGER, starts INTEGER, ends INTEGER);
CREATE TABLE kinds (alike INTEGER PRIMARY KEY, field TEXT, error TEXT, code TEXT);
CREATE TABLE texts (id INTEGER PRIMARY KEY, folded BLOB);
CREATE TABLE shown (id INTEGER PRIMARY KEY, cells BLOB);
"""
_SUMS = """
CREATE TABLE outcomes AS SELECT outcome, count(*) AS rows FROM fates GROUP BY outcome ORDER BY rows DESC LIMIT 50;
CREATE TABLE groups AS
    SELECT alike, count(*) AS rows, min(id) AS example FROM fates WHERE alike IS NOT NULL
    GROUP BY alike ORDER BY rows DESC, example;
"""


class Task(TypedDict):
    """
    What the program is asked to do.

    :param index: the file to write, empty until now
    :param index_bytes: how large it may become
    :param columns: the columns that a report ends with
    :param failed: outcomes of rows that failed or are unmatched
    """

    index: str
    index_bytes: int
    columns: list[str]
    failed: list[str]


class _Row(NamedTuple):
    """One row, as the tables take it apart."""

    fate: tuple[str, int | None, int | None, int, int]
    kind: tuple[int, str, str, str] | None
    folded: bytes
    shown: bytes


class RefusedReportError(Exception):
    """The report cannot be shown; the text says why, for people."""


class _Records:
    """
    The records of a CSV file of which none is without an end.

    :param stream: the file
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = _HEADER_BYTES
        self._read = 0
        self._reader = csv.reader(self._lines())

    def _lines(self) -> Iterator[str]:
        while line := self._stream.readline(self._left + 1):
            self._left -= len(line)
            self._read += len(line)
            if self._left < 0:
                raise RefusedReportError("the report is damaged: a row does not end")
            yield line.decode("utf-8", "replace")

    @property
    def place(self) -> int:
        """Where in the file the last record has ended: no line is read before its record is asked for."""
        return self._read

    def header(self) -> list[str]:
        """Give the first record; nothing where it is not one of a report."""
        try:
            return next(self._reader, [])
        except RefusedReportError:
            return []

    def rows(self, width: int) -> Iterator[list[str]]:
        """Give the others, each with as many cells as the header."""
        self._left = _ROW_BYTES
        for cells in self._reader:
            if len(cells) != width:
                raise RefusedReportError("the report is damaged: a row has too few or too many cells")
            yield cells
            self._left = _ROW_BYTES


def write_index(stream: IO[bytes], task: Task) -> None:
    """
    Read a report and write its index.

    :raises RefusedReportError: when it is no report, or damaged
    :raises sqlite3.Error: when the index cannot be written
    """
    records = _Records(stream)
    header, columns = records.header(), task["columns"]
    if header[-len(columns) :] != columns:
        raise RefusedReportError("the file is no report")
    header_ends = records.place
    rows = _rows(records, len(header), columns, frozenset(task["failed"]))
    pages = task["index_bytes"] // _PAGE_BYTES
    with closing(sqlite3.connect(task["index"])) as index, index:
        for setting in (f"page_size = {_PAGE_BYTES}", f"max_page_count = {pages}", *_SETTINGS):
            index.execute(f"PRAGMA {setting}")
        index.executescript(_TABLES)
        index.execute("INSERT INTO header VALUES (?, ?)", (_packed(header), header_ends))
        _fill(index, rows)
        index.executescript(_SUMS)


def _fill(index: sqlite3.Connection, rows: Iterator[_Row]) -> None:
    first = 1
    while batch := list(islice(rows, _BATCH_ROWS)):
        numbered = list(enumerate(batch, first))
        index.executemany("INSERT INTO fates VALUES (?, ?, ?, ?, ?, ?)", ((n, *row.fate) for n, row in numbered))
        index.executemany("INSERT OR IGNORE INTO kinds VALUES (?, ?, ?, ?)", (row.kind for row in batch if row.kind))
        index.executemany("INSERT INTO texts VALUES (?, ?)", ((n, row.folded) for n, row in numbered))
        index.executemany("INSERT INTO shown VALUES (?, ?)", ((n, row.shown) for n, row in numbered))
        first += len(batch)


def _rows(records: _Records, width: int, columns: list[str], failed: frozenset[str]) -> Iterator[_Row]:
    outcome, lead, *rest = (
        columns.index(f"lofty_{name}") - len(columns)
        for name in ("outcome", "lead_id", "http_status", "error_code", "error_field", "error")
    )  # counted from the end, for a report's own columns come last
    starts = records.place
    for cells in records.rows(width):
        ends = records.place
        kind = _kind(cells[outcome], *(cells[place] for place in rest)) if cells[outcome] in failed else None
        text = CELL_MARK.join(cells)
        fate = (cells[outcome], _id(cells[lead]), kind and kind[0], starts, ends)
        yield _Row(fate, kind, text.casefold().encode(**PACKED), _shown(cells, text))
        starts = ends


def _kind(outcome: str, status: str, code: str, field: str, error: str) -> tuple[int, str, str, str]:
    """What went wrong, under a hash that is the same whenever it is made: links to such rows hold it."""
    said = error.partition(":")[0] if outcome == "unmatched" else error  # without the leads' ids
    named = CELL_MARK.join((outcome, status, code, field, code or said)).encode(**PACKED)
    return int.from_bytes(blake2b(named, digest_size=8).digest(), "big", signed=True), field, error, code


def _id(cell: str) -> int | None:
    number = int(cell) if cell.isascii() and cell.isdecimal() and len(cell) <= _MOST_DIGITS else None
    return number if number is None or number < 2**63 else None


def _shown(cells: list[str], text: str) -> bytes:
    """Pack the cells as they are shown; what is longer than anybody reads there is cut."""
    for longest in (_LONGEST_SHOWN, _SHORTENED):
        if len(text) > longest:
            text = CELL_MARK.join([cell if len(cell) <= longest else f"{cell[:longest]}…" for cell in cells])
        if len(text) <= _SHOWN_BYTES:
            break
    return text.encode(**PACKED)


def _packed(cells: list[str]) -> bytes:
    return CELL_MARK.join(cells).encode(**PACKED)


def main(task: Task) -> tuple[int, str]:
    """
    Do it, in a process that is of no use afterwards.

    :return: its exit code, and why there is no index
    """
    os.nice(10)  # whoever waits for Airflow itself goes first
    with suppress(ValueError, OSError):  # some systems have no such limit
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    csv.field_size_limit(_ROW_BYTES)
    try:
        write_index(sys.stdin.buffer, task)
    except RefusedReportError as error:
        return REFUSED, str(error)
    except csv.Error as error:
        return REFUSED, f"the report is damaged: {error}"
    except (sqlite3.Error, MemoryError):
        return NO_ROOM, "it is too large to be shown, or the web server's temporary folder is full"
    return 0, ""


if __name__ == "__main__":
    code, why = main(json.loads(sys.argv[1]))
    sys.stdout.write(why)
    sys.exit(code)
