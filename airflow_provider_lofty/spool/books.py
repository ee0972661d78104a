"""
What came of the rows: counts, failures alike, and every row with its outcome, as reports and summaries need them.

Closing the books gives every row that has no outcome its last one, so that they add up to the rows read.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from airflow_provider_lofty.outcomes import OUTCOMES, Outcome
from airflow_provider_lofty.rows.columns import repeated_in
from airflow_provider_lofty.spool.codec import decode_cells
from airflow_provider_lofty.spool.history import CONTENT_HAS_CHANGED, HELD_BY_ANOTHER
from airflow_provider_lofty.spool.schema import FAILED_SQL, IS_ASIDE, IS_WAITING, MAY_BE_STORED, MAY_FAIL

# A duplicate shares the fate of the row it repeats.
_IS_WRONG = (
    f"r.{MAY_FAIL} AND (r.outcome != '{Outcome.DUPLICATE}' OR EXISTS"
    f" (SELECT 1 FROM rows o WHERE o.n = r.duplicate_of AND o.outcome IN ({FAILED_SQL})))"
)
_IS_FAILED = f"{_IS_WRONG} AND r.outcome != '{Outcome.UNMATCHED}'"  # which is counted by itself
# Ids, and texts of Lofty, would make a kind of failure of each row.
_KIND_OF_ERROR = (
    f"CASE WHEN r.error_code IS NOT NULL OR r.outcome = '{Outcome.DUPLICATE}' THEN ''"
    f" WHEN r.outcome = '{Outcome.UNMATCHED}' THEN substr(r.error, 1, instr(r.error || ':', ':')) ELSE r.error END"
)
_ERROR = (
    f"CASE WHEN r.outcome = '{Outcome.DUPLICATE}' THEN r.error || coalesce((SELECT ', which ended ' || o.outcome"
    f" FROM rows o WHERE o.n = r.duplicate_of AND o.outcome IN ({FAILED_SQL})), '') ELSE r.error END"
)
# What a row's fate is about: its content, or the one that was sent in its place, which may not be known.
_SENT = (
    f"CASE WHEN r.error = '{CONTENT_HAS_CHANGED}' THEN r.sent_fingerprint"
    " ELSE coalesce(r.sent_fingerprint, r.fingerprint) END"
)


class ReportRow(NamedTuple):
    """One row with its outcome, as a report shows it."""

    columns: tuple[str, ...]
    cells: list[object]
    source: int
    row_number: int
    line: int | None
    outcome: str
    lead_id: int | None
    http_status: int | None
    error_code: int | None
    error_field: str | None
    error: str | None
    attempts: int
    sent_at: str | None
    fingerprint: str | None
    matched_by: str | None
    notes: str | None = None


class FailureGroup(NamedTuple):
    """Failed rows that failed alike, with the first of them as the example."""

    rows: int
    outcome: str
    http_status: int | None
    error_code: int | None
    error_field: str | None
    error: str | None
    source: int
    row_number: int
    line: int | None
    lead_id: int | None


class Books:
    """
    The outcomes of a spool's rows.

    :param db: the spool's database
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def close(self, outcome: str, error: str | None = None) -> None:
        """Give every row that still waits this outcome; what may be stored stays ``unknown``."""
        self._db.execute(
            f"UPDATE rows SET outcome = '{Outcome.UNKNOWN}', error = coalesce(error, ?) WHERE {MAY_BE_STORED}", (error,)
        )
        self._db.execute(
            f"UPDATE rows SET outcome = '{Outcome.UNKNOWN}', error = ?"
            " WHERE outcome IS NULL AND row_key IN (SELECT row_key FROM held_rows)",
            (HELD_BY_ANOTHER,),
        )
        self._db.execute("UPDATE rows SET outcome = ?, error = ? WHERE outcome IS NULL", (outcome, error))

    def close_unread(self, error: str, proved: Mapping[str, float]) -> None:
        """
        Give the rows that wait the outcome ``unknown``, but those that Lofty does not show and would show.

        :param proved: type of activity → since when pages count for it, by the run's clock
        """
        was_read = "lead_id IN (SELECT lead_id FROM leads_read WHERE asked >= ?)"
        ruled_out = f"lead_id IS NOT NULL AND substr(body, 1, ?) = ? AND {was_read}"
        values: list[object] = [error]
        for kind, at in proved.items():
            start = b'{"type":"%b"' % kind.encode()
            values += [len(start), start, at]
        self._db.execute(
            f"UPDATE rows SET outcome = '{Outcome.UNKNOWN}', error = ? WHERE ({IS_WAITING} OR {IS_ASIDE})"
            + f" AND NOT ({ruled_out})" * len(proved),
            values,
        )

    def counts(self) -> dict[str, int]:
        """Rows by outcome, all of them; rows without one are left out."""
        found = dict(self._db.execute("SELECT outcome, COUNT(*) FROM rows GROUP BY outcome"))
        return {outcome.value: found.get(outcome, 0) for outcome in OUTCOMES}

    def count_failed(self) -> int:
        """How many rows count as failed, duplicates of failed rows included."""
        return int(self._db.execute(f"SELECT COUNT(*) FROM rows r WHERE {_IS_FAILED}").fetchone()[0])

    def failure_groups(self, limit: int) -> list[FailureGroup]:
        """
        Failed and unmatched rows grouped by what went wrong, the largest group first.

        Rows that Lofty refused are alike when status and code are; its texts may name single leads.
        """
        found = self._db.execute(
            f"SELECT COUNT(*) AS count, r.outcome, r.http_status, r.error_code, r.error_field, {_ERROR}, r.source,"
            f" r.row_number, r.line, r.lead_id, MIN(r.n) FROM rows r WHERE {_IS_WRONG}"
            f" GROUP BY r.outcome, r.http_status, r.error_code, r.error_field, {_KIND_OF_ERROR}"
            " ORDER BY count DESC, MIN(r.n) LIMIT ?",
            (limit,),
        )
        return [FailureGroup(*row[:10]) for row in found]

    def rows(self) -> Iterator[ReportRow]:
        """Every row in input order."""
        return self._rows("ORDER BY r.n")

    def _rows(self, which: str) -> Iterator[ReportRow]:
        found = self._db.execute(
            "SELECT r.layout, r.cells, r.source, r.row_number, r.line, r.outcome, r.lead_id, r.http_status,"
            f" r.error_code, r.error_field, {_ERROR}, r.attempts, r.sent_at,"
            f" nullif(lower(hex({_SENT})), ''), r.matched_by, r.notes FROM rows r {which}"
        )
        layout_id: int | None = None
        columns: tuple[str, ...] = ()
        for row in found:
            if row[0] != layout_id:
                layout_id, columns = row[0], self._columns(row[0])
            cells = [] if row[1] is None else decode_cells(row[1])
            yield ReportRow(columns, cells, *row[2:])

    def _columns(self, layout_id: int | None) -> tuple[str, ...]:
        found = self._db.execute("SELECT columns FROM layouts WHERE id = ?", (layout_id,)).fetchone()
        return tuple(json.loads(found[0])) if found else ()

    def columns(self) -> list[str]:
        """Every column of the input, in the order they first came, but for those that a source has more than once."""
        names: dict[str, None] = {}
        repeated: set[str] = set()
        for (encoded,) in self._db.execute("SELECT columns FROM layouts ORDER BY id"):
            layout = json.loads(encoded)
            names.update(dict.fromkeys(layout))
            repeated.update(repeated_in(layout))
        return [name for name in names if name not in repeated]
