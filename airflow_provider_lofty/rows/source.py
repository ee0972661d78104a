"""
Where rows come from: an upstream task, files, a database.

Each kind of source has a module with one function, which opens what it is given and hands it over as :class:`Source`
objects, one at a time, to the function ``take``. When ``take`` returns, the file or cursor behind the source is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from airflow_provider_lofty.rows.file_options import FileOptions


class SourceRow(NamedTuple):
    """
    One row as its source gave it.

    :param row_number: from 1 within the source
    :param problem: what is wrong with the row itself, whatever its values
    :param line: of a file that has lines: the one where the row begins, from 1
    """

    row_number: int
    columns: tuple[str, ...]
    cells: Sequence[object]
    problem: str | None = None
    line: int | None = None


class Source(NamedTuple):
    """
    One file, query or upstream output.

    :param name: its name for people
    :param columns: what every row has; None where each row is an object of its own
    :param rows: the rows, read on demand and only once
    :param file: what the author said of the file; None where the source is not one
    """

    name: str
    columns: tuple[str, ...] | None
    rows: Iterator[SourceRow]
    file: FileOptions | None = None


def row_name(row_number: int, line: int | None) -> str:
    """Name a row for people: by its number, and by its line where it has one."""
    return f"row {row_number}" if line is None else f"row {row_number} (line {line})"


Take = Callable[[Source], None]


class RefusedFile(Exception):
    """A file as a whole is not read; the text says why, and how it would be."""


class DamagedFile(RefusedFile):
    """A file as a whole cannot be read; the text says why."""
