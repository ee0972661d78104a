"""
Where rows come from: an upstream task, files, a database.

Each module has one function that opens what it is told to read and hands it over as :class:`Source` objects, one at
a time, to the function ``take``. When ``take`` returns, the file or cursor behind the source is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

OUTCOME_COLUMN = "lofty_outcome"  # a source that has it is a report, given back


class SourceRow(NamedTuple):
    """
    One row as its source gave it.

    :param row_number: from 1 within the source
    :param problem: what is wrong with the row itself, whatever its values
    """

    row_number: int
    columns: tuple[str, ...]
    cells: Sequence[Any]
    problem: str | None = None


class Source(NamedTuple):
    """
    One file, query or upstream output.

    :param name: names it for people
    :param columns: what every row has; None where each row is an object of its own
    :param rows: the rows, read when asked for and once only
    """

    name: str
    columns: tuple[str, ...] | None
    rows: Iterator[SourceRow]


Take = Callable[[Source], None]
