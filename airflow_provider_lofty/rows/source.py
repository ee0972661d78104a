"""
Where rows come from: an upstream task, files, a database.

Each module has one function that opens what it is told to read and hands it over as :class:`Source` objects, one at
a time, to the function ``take``. When ``take`` returns, the file or cursor behind the source is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

OUTCOME_COLUMN = "lofty_outcome"


def outcome_place(columns: Sequence[str]) -> int | None:
    """
    Where the outcome stands if the source is a report, given back; else None.

    In any case: a report that was loaded into a warehouse may come back in capitals.
    """
    return next((place for place, column in enumerate(columns) if column.casefold() == OUTCOME_COLUMN), None)


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
