"""Rows from text whose cells are separated by a delimiter: CSV and TSV, reports that came back among them."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from airflow_provider_lofty.rows.report_format import NUL_STAND_IN, outcome_place, restored, typed
from airflow_provider_lofty.rows.source import DamagedFile, SourceRow

_DELIMITERS = ",;\t|"
_LONGEST_CELL = 2**26  # characters; csv's own default of 131 072 would refuse honest texts


def delimited_rows(stream: IO[str], delimiter: str | None) -> tuple[tuple[str, ...] | None, Iterator[SourceRow]]:
    """
    Read the header; the rows follow on demand.

    :param delimiter: None: the one that splits the first line into most cells
    :raises DamagedFile: when it is not text, or a quote is never closed
    """
    first = next((line for line in stream if line.strip()), "")
    if "\0" in first:
        raise DamagedFile("it is not UTF-8 text (UTF-16, or binary)")
    with _long_cells():
        delimiter = delimiter or max(_DELIMITERS, key=lambda mark: _cells_in(first, mark))
        records = _records(first, stream, delimiter)
        header = next((tuple(cells) for cells in records if cells), None)
    if header is None:
        return None, iter(())
    outcome = outcome_place(header)
    if outcome is None:
        return header, _cell_rows(records, header)
    columns = tuple(map(restored, header))
    return columns, typed(_cell_rows((list(map(restored, cells)) for cells in records), columns), outcome)


def _records(first: str, rest: IO[str], delimiter: str) -> Iterator[list[str]]:
    """
    Split lines into cells.

    :raises DamagedFile: when a quote is never closed; ``csv`` would take all that follows, rows of other people, for
        one cell
    """
    is_read = False

    def lines() -> Iterator[str]:
        nonlocal is_read
        yield first
        yield from rest if sys.version_info >= (3, 11) else (line.replace("\0", NUL_STAND_IN) for line in rest)
        is_read = True

    for number, cells in enumerate(csv.reader(lines(), delimiter=delimiter)):
        if is_read:  # the reader had asked for more
            raise DamagedFile(f"a quote in row {number} is never closed")
        yield cells


def _cells_in(line: str, delimiter: str) -> int:
    return len(next(csv.reader([line], delimiter=delimiter), ()))


@contextmanager
def _long_cells() -> Iterator[None]:
    """Lift csv's limit on a cell's length, which is global, only while we read."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _cell_rows(records: Iterator[list[str]], columns: tuple[str, ...]) -> Iterator[SourceRow]:
    width, number = len(columns), 0
    with _long_cells():
        for cells in records:
            if not cells:
                continue
            number += 1
            values: Sequence[str | None] = [cell or None for cell in cells]
            if len(values) == width:
                yield SourceRow(number, columns, values)
            else:
                problem = f"has {len(cells)} cells where the header has {width}"
                yield SourceRow(number, columns, [*values, *[None] * width][:width], problem)
