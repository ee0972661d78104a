"""
What an earlier run left behind about rows, beside the rows of this run in the spool's file.

A journal fills it; the rows are then compared with it in one step, whatever their number.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

CONTENT_HAS_CHANGED = "its content has changed since it was delivered"
KEY_OF_ANOTHER = (
    "the journal says that another Dag or task uses this key for another lead: where a journal is shared, unique_key "
    "must tell their rows apart; not sent"
)
CLAIMED = "held"  # intended by another run that is alive
FINGERPRINT_BYTES = 4  # enough to see that a content has changed
_MOST_IN_A_QUERY = 500


class PastRow(NamedTuple):
    """
    What a journal says about one row.

    :param state: ``delivered``, ``rejected``, ``intended`` or :data:`CLAIMED`
    :param fingerprint: the first bytes of the content's; empty when the journal has none
    :param attempts: how often it was sent, as far as is known
    :param foreign_lead: the lead it was delivered to, when another Dag or task did that
    """

    row_key: bytes
    state: str
    fingerprint: bytes = b""
    trace_hash: bytes = b""
    status: int | None = None
    code: int | None = None
    error: str | None = None
    attempts: int = 0
    foreign_lead: int | None = None


class History:
    """
    Rows that a journal knows.

    :param db: the spool's database
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.execute(
            "CREATE TABLE known (identity BLOB PRIMARY KEY, state TEXT NOT NULL, fingerprint BLOB NOT NULL,"
            " trace BLOB NOT NULL, status INTEGER, code INTEGER, error TEXT, attempts INTEGER NOT NULL,"
            " foreign_lead INTEGER) WITHOUT ROWID"
        )
        db.execute(f"CREATE INDEX known_held ON known (trace) WHERE state = '{CLAIMED}'")
        db.execute("CREATE TABLE leads_read (lead_id INTEGER PRIMARY KEY)")

    def add(self, rows: Iterable[PastRow]) -> None:
        """Take these in; what was known of the same rows before is replaced."""
        self._db.executemany("INSERT OR REPLACE INTO known VALUES (?,?,?,?,?,?,?,?,?)", rows)

    def forget_held(self) -> None:
        """Drop what other runs were sending."""
        self._db.execute(f"DELETE FROM known WHERE state = '{CLAIMED}'")

    def count(self, state: str) -> int:
        """How many rows are in this state."""
        return int(self._db.execute("SELECT COUNT(*) FROM known WHERE state = ?", (state,)).fetchone()[0])

    def count_gone(self) -> int:
        """How many delivered rows are not in the input any more."""
        (count,) = self._db.execute(
            "SELECT COUNT(*) FROM known WHERE state = 'delivered'"
            " AND identity NOT IN (SELECT identity FROM rows WHERE identity IS NOT NULL)"
        ).fetchone()
        return int(count)

    def apply(self) -> None:
        """
        Give the rows of the input what is known of them.

        Delivered and rejected ones get their outcome, intended ones are in doubt. A key under which another Dag or
        task has delivered to another lead names two different things: nothing can be said of such a row.
        """
        known = "FROM known k WHERE k.identity = rows.identity"
        self._db.execute(
            "UPDATE rows SET outcome = 'invalid', doubt = 0, error_field = 'unique_key', error = ?"
            f" WHERE outcome IS NULL AND EXISTS (SELECT 1 {known} AND k.foreign_lead <> rows.lead_id)",
            (KEY_OF_ANOTHER,),
        )
        self._db.execute(
            "UPDATE rows SET outcome = 'already_delivered', doubt = 0, error = "
            f"(SELECT CASE WHEN k.fingerprint IN (x'', substr(rows.fingerprint, 1, {FINGERPRINT_BYTES}))"
            f" THEN NULL ELSE ? END {known})"
            " WHERE outcome IS NULL AND identity IN (SELECT identity FROM known WHERE state = 'delivered')",
            (CONTENT_HAS_CHANGED,),
        )
        for outcome, state in (("outcome = 'rejected'", "rejected"), ("doubt = 1", "intended")):
            self._db.execute(
                f"UPDATE rows SET {outcome}, (http_status, error_code, error, attempts) ="
                f" (SELECT status, code, error, max(k.attempts, rows.attempts) {known})"
                " WHERE outcome IS NULL AND identity IN (SELECT identity FROM known WHERE state = ?)",
                (state,),
            )

    def has_row(self, row_key: bytes) -> bool:
        """Whether the input has this row."""
        return self._db.execute("SELECT 1 FROM rows WHERE identity = ? LIMIT 1", (row_key,)).fetchone() is not None

    def delivered_traces(self, trace_hashes: Collection[bytes]) -> Counter[bytes]:
        """
        Count the rows known to be delivered, of this input and of earlier ones, by their trace.

        :param traces: which ones to look for
        """
        self._db.execute("CREATE INDEX IF NOT EXISTS rows_trace ON rows (trace) WHERE trace IS NOT NULL")
        self._db.execute("CREATE INDEX IF NOT EXISTS known_trace ON known (trace)")
        found: Counter[bytes] = Counter()
        asked = list(set(trace_hashes))
        for start in range(0, len(asked), _MOST_IN_A_QUERY):
            part = asked[start : start + _MOST_IN_A_QUERY]
            places = ",".join("?" * len(part))
            # What the journal says counts as it was delivered; the row may have another content now.
            found.update(dict(self._db.execute(
                f"SELECT trace, COUNT(*) FROM known WHERE trace IN ({places}) AND state = 'delivered' GROUP BY trace",
                part,
            ).fetchall()))  # fmt: skip
            found.update(dict(self._db.execute(
                f"SELECT trace, COUNT(DISTINCT identity) FROM rows WHERE trace IN ({places})"
                " AND outcome IN ('delivered', 'already_delivered') AND coalesce(error, '') <> ? AND NOT EXISTS"
                " (SELECT 1 FROM known WHERE known.identity = rows.identity AND known.state = 'delivered')"
                " GROUP BY trace", (*part, CONTENT_HAS_CHANGED),
            ).fetchall()))  # fmt: skip
        return found

    def claimed_traces(self) -> Counter[bytes]:
        """Count what other runs are sending, by its trace."""
        found = self._db.execute(f"SELECT trace, COUNT(*) FROM known WHERE state = '{CLAIMED}' GROUP BY trace")
        return Counter(dict(found))

    def read_lead(self, lead_id: int) -> None:
        """Remember that a lead's activities were read."""
        self._db.execute("INSERT OR IGNORE INTO leads_read VALUES (?)", (lead_id,))

    def has_read(self, lead_id: int) -> bool:
        """Whether a lead's activities were read."""
        return self._db.execute("SELECT 1 FROM leads_read WHERE lead_id = ?", (lead_id,)).fetchone() is not None
