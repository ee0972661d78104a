"""The cursor's value of each row, beside the rows: what was not sent says how far the next run has to go back."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from typing import NamedTuple

from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.rows.cursor import CursorValue, Kind
from airflow_provider_lofty.spool.history import HELD_BY_ANOTHER

_BATCH = 500
_TABLE = "CREATE TABLE cursor_values (n INTEGER PRIMARY KEY, kind TEXT, text TEXT)"
_WITH_VALUES = "FROM rows r JOIN cursor_values c ON c.n = r.n WHERE"


class HeldBack(NamedTuple):
    """
    What keeps a watermark back.

    :param counts: rows by outcome
    :param values: their cursors in input order; None of a row without one
    """

    counts: dict[str, int]
    values: Iterator[CursorValue | None]


class CursorColumn:
    """
    The values of one cursor.

    :param db: the spool's database
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._batch: list[tuple[int, str | None, str | None]] = []
        db.execute(_TABLE)

    def add(self, n: int, value: CursorValue | None) -> None:
        """Keep the value of a row, by its number within the run."""
        self._batch.append((n, None, None) if value is None else (n, value.kind.value, value.text))
        if len(self._batch) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is still held in memory."""
        self._db.executemany("INSERT INTO cursor_values VALUES (?, ?, ?)", self._batch)
        self._batch.clear()

    def held_back(self, *, with_doubts: bool) -> HeldBack:
        """
        Find the rows that a later run has to read again.

        :param with_doubts: whether rows whose outcome is ``unknown`` may still be settled, all of them
        """
        which = f"(r.outcome = '{Outcome.NOT_ATTEMPTED}' OR (r.outcome = '{Outcome.UNKNOWN}' AND (? OR r.error = ?)))"
        given = (with_doubts, HELD_BY_ANOTHER)
        counts = dict(self._db.execute(f"SELECT r.outcome, COUNT(*) {_WITH_VALUES} {which} GROUP BY 1", given))
        return HeldBack(counts, self._values(f"{which} ORDER BY r.n", *given))

    def values_of(self, outcomes: Collection[str]) -> Iterator[CursorValue | None]:
        """The cursors of the rows with one of these outcomes."""
        places = ", ".join("?" * len(outcomes))
        return self._values(f"r.outcome IN ({places}) ORDER BY r.n", *outcomes)

    def _values(self, which: str, *given: object) -> Iterator[CursorValue | None]:
        found = self._db.execute(f"SELECT c.kind, c.text {_WITH_VALUES} {which}", given)
        return (None if kind is None else CursorValue(Kind(kind), text) for kind, text in found)
