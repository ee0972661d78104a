"""
What an earlier run left behind about rows, beside the rows of this run in the spool's file.

A journal fills it; the rows are then compared with it in one step, whatever their number.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from airflow_provider_lofty.lofty.trace import TRACE_BYTES, trace_of_body
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.schema import INDEX_ROW_TRACES, LOOKS_FOR_LEAD, RowState

CONTENT_HAS_CHANGED = "its content has changed since it was delivered"
KEY_OF_ANOTHER = (
    "the journal says that this key was sent to another lead, by an earlier try or run, or by another Dag or task that "
    "shares the journal. A unique_key names one row of one lead: give this row one of its own; not sent"
)
HELD_BY_ANOTHER = (
    "another run is sending it or has it in doubt, and this run ended before that was settled: it may be stored; look "
    "at the lead"
)
CONTENT_BYTES = 3  # enough to tell a few rows from each other
FINGERPRINT_BYTES = 4  # enough to see that a content has changed
_MOST_IN_A_QUERY = 500


class JournalState(str, Enum):
    """What a journal says of a row, as it is stored; it stands here because every journal fills the history."""

    INTENDED = "intended"  # about to be sent; when its run is gone, in doubt
    DELIVERED = "delivered"
    REJECTED = "rejected"
    REOPENED = "reopened"  # was rejected, and the task was cleared since
    DOUBTED = "doubted"  # sent, and no trustworthy answer came
    ABANDONED = "abandoned"  # in doubt, and this run has given up settling it
    WITHDRAWN = "withdrawn"  # intended, and certainly not stored
    CLAIMED = "held"  # intended by another run that is alive
    KEY_CONFLICT = "foreign"  # this key is used for a row of another lead

    __str__ = str.__str__  # the value, in f-strings too: Pythons differ in what they make of a str that is an Enum


_IS_DELIVERED = f"state = '{JournalState.DELIVERED}'"
_WAS_SENT = f"state IN ('{JournalState.DELIVERED}', '{JournalState.INTENDED}', '{JournalState.REJECTED}')"
_PAST_ROWS_TABLE = (
    "CREATE TABLE past_rows (row_key BLOB PRIMARY KEY, state TEXT NOT NULL, fingerprint BLOB NOT NULL,"
    " trace_hash BLOB NOT NULL, http_status INTEGER, error_code INTEGER, error TEXT, attempts INTEGER NOT NULL,"
    " lead_id INTEGER, content BLOB NOT NULL) WITHOUT ROWID"
)
_ROWS_OF_OTHERS_TABLE = (
    "CREATE TABLE rows_of_others (row_key BLOB PRIMARY KEY, lead_id INTEGER NOT NULL, trace_hash BLOB NOT NULL,"
    " created INTEGER NOT NULL, closed_at TEXT NOT NULL) WITHOUT ROWID"
)
_SCHEMA = (
    _PAST_ROWS_TABLE,
    f"CREATE INDEX past_rows_claimed ON past_rows (trace_hash) WHERE state = '{JournalState.CLAIMED}'",
    _ROWS_OF_OTHERS_TABLE,
    "CREATE INDEX rows_of_others_by_lead ON rows_of_others (lead_id)",
    "CREATE TABLE held_rows (row_key BLOB PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE leads_read (lead_id INTEGER PRIMARY KEY, asked REAL NOT NULL)",
    "CREATE TABLE first_pages (lead_id INTEGER PRIMARY KEY, asked REAL NOT NULL, marks BLOB NOT NULL)",
)
_INDEX_PAST_TRACES = "CREATE INDEX IF NOT EXISTS past_rows_by_trace ON past_rows (trace_hash)"


class PastRow(NamedTuple):
    """
    What a journal says about one row.

    :param state: delivered, rejected, intended or claimed
    :param fingerprint: the first bytes of the content's; empty when the journal has none
    :param attempts: how often it was sent, as far as is known
    :param lead_id: the lead that it was sent to, where the journal knows
    :param content: the first bytes of the hash of what it says, whatever lead it is of; empty where that is of no use
    """

    row_key: bytes
    state: JournalState
    fingerprint: bytes = b""
    trace_hash: bytes = b""
    http_status: int | None = None
    error_code: int | None = None
    error: str | None = None
    attempts: int = 0
    lead_id: int | None = None
    content: bytes = b""


class OfAnother(NamedTuple):
    """
    A row that another run has delivered to a lead.

    :param created: milliseconds since 1970
    :param closed_at: when, by the clock of the machine that did
    """

    row_key: bytes
    lead_id: int
    trace_hash: bytes
    created: int
    closed_at: str


class History:
    """
    What a journal knows, and which leads were read.

    :param db: the spool's database
    :ivar has_deletions: earlier tries of this task have written rows that somebody has deleted from the journal
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.has_deletions = False
        for statement in _SCHEMA:
            db.execute(statement)

    def add(self, rows: Iterable[PastRow]) -> None:
        """Take these in; what was known of the same rows before is replaced."""
        self._db.executemany("INSERT OR REPLACE INTO past_rows VALUES (?,?,?,?,?,?,?,?,?,?)", rows)

    def is_delivered(self, row_key: bytes) -> bool:
        """Whether the journal calls a row delivered."""
        asked = f"SELECT 1 FROM past_rows WHERE row_key = ? AND {_IS_DELIVERED}"
        return self._db.execute(asked, (row_key,)).fetchone() is not None

    def add_of_others(self, rows: Iterable[OfAnother]) -> None:
        """Take in what other runs have delivered to a lead."""
        self._db.executemany("INSERT OR REPLACE INTO rows_of_others VALUES (?,?,?,?,?)", rows)

    def delivered_by_others(self, lead_id: int) -> Iterator[OfAnother]:
        """What other runs have delivered to a lead; nothing may be written until the last one was taken."""
        found = self._db.execute("SELECT * FROM rows_of_others WHERE lead_id = ?", (lead_id,))
        return map(OfAnother._make, found)

    def add_held(self, row_keys: Iterable[bytes]) -> None:
        """Remember rows that other runs were sending when this one began."""
        self._db.executemany("INSERT OR IGNORE INTO held_rows VALUES (?)", ((row_key,) for row_key in row_keys))

    def forget_held(self, lead_id: int) -> None:
        """Drop what other runs were sending to a lead."""
        self._db.execute(f"DELETE FROM past_rows WHERE state = '{JournalState.CLAIMED}' AND lead_id = ?", (lead_id,))

    def count(self, state: JournalState) -> int:
        """How many rows are in this state."""
        return int(self._db.execute("SELECT COUNT(*) FROM past_rows WHERE state = ?", (state,)).fetchone()[0])

    def count_gone(self) -> int:
        """How many delivered rows are no longer in the input."""
        (count,) = self._db.execute(
            f"SELECT COUNT(*) FROM past_rows WHERE {_IS_DELIVERED}"
            " AND row_key NOT IN (SELECT row_key FROM rows WHERE row_key IS NOT NULL)"
        ).fetchone()
        return int(count)

    def apply(self) -> None:
        """
        Give the rows of the input what is known of them.

        Delivered and rejected ones get their outcome, intended ones are in doubt. A key under which something was sent
        to another lead names two different things: nothing can be said of such a row. A row whose lead is looked for
        has the lead that it was sent to, whatever it would match now.
        """
        self._db.create_function("trace_of", 2, lambda lead_id, body: trace_of_body(lead_id, body).trace_hash)
        past_row = "FROM past_rows p WHERE p.row_key = rows.row_key"
        is_other = f"p.fingerprint NOT IN (x'', substr(rows.fingerprint, 1, {FINGERPRINT_BYTES}))"
        self._db.execute(
            f"UPDATE rows SET outcome = 'invalid', state = {RowState.WAITING:d}, error_field = 'unique_key', error = ?"
            f" WHERE outcome IS NULL AND EXISTS (SELECT 1 {past_row} AND p.lead_id <> rows.lead_id"
            f" AND NOT {LOOKS_FOR_LEAD} AND p.state IN ('{JournalState.DELIVERED}', '{JournalState.INTENDED}'))",
            (KEY_OF_ANOTHER,),
        )
        self._db.execute(
            f"UPDATE rows SET outcome = 'already_delivered', state = {RowState.WAITING:d},"
            " (error, sent_fingerprint) ="
            f" (SELECT CASE WHEN {is_other} THEN ? END, CASE WHEN {is_other} THEN p.fingerprint END {past_row})"
            f" WHERE outcome IS NULL AND row_key IN (SELECT row_key FROM past_rows WHERE {_IS_DELIVERED})",
            (CONTENT_HAS_CHANGED,),
        )
        sent_to = f"coalesce((SELECT p.lead_id {past_row}), lead_id)"
        was_sent = f"row_key IN (SELECT row_key FROM past_rows WHERE {_WAS_SENT})"
        self._db.execute(
            f"UPDATE rows SET lead_id = {sent_to}, trace_hash = trace_of({sent_to}, body)"
            f" WHERE {LOOKS_FOR_LEAD} AND {was_sent} AND {sent_to} IS NOT NULL"
        )
        for outcome, state in (
            (f"outcome = '{Outcome.REJECTED}'", JournalState.REJECTED),
            (f"state = {RowState.IN_DOUBT:d}", JournalState.INTENDED),
        ):
            self._db.execute(
                f"UPDATE rows SET {outcome}, (http_status, error_code, error, attempts) ="
                f" (SELECT p.http_status, p.error_code, p.error, max(p.attempts, rows.attempts) {past_row})"
                " WHERE outcome IS NULL AND row_key IN (SELECT row_key FROM past_rows WHERE state = ?)",
                (state,),
            )

    def has_row(self, row_key: bytes, lead_id: int) -> bool:
        """Whether the input has this row for this lead, or one that is looked for."""
        wanted = f"SELECT 1 FROM rows WHERE row_key = ? AND (lead_id = ? OR {LOOKS_FOR_LEAD}) LIMIT 1"
        return self._db.execute(wanted, (row_key, lead_id)).fetchone() is not None

    def delivered_traces(self, trace_hashes: Collection[bytes]) -> Counter[bytes]:
        """
        Count the rows known to be delivered, of this input and of earlier ones, by their trace.

        :param trace_hashes: which ones to look for
        """
        self._db.execute(INDEX_ROW_TRACES)
        self._db.execute(_INDEX_PAST_TRACES)
        found: Counter[bytes] = Counter()
        asked = list(set(trace_hashes))
        for start in range(0, len(asked), _MOST_IN_A_QUERY):
            part = asked[start : start + _MOST_IN_A_QUERY]
            places = ",".join("?" * len(part))
            # What the journal says counts as it was delivered; the row may have another content now.
            found.update(dict(self._db.execute(
                f"SELECT trace_hash, COUNT(*) FROM past_rows WHERE trace_hash IN ({places}) AND {_IS_DELIVERED}"
                " GROUP BY trace_hash",
                part,
            ).fetchall()))  # fmt: skip
            found.update(dict(self._db.execute(
                f"SELECT trace_hash, COUNT(DISTINCT row_key) FROM rows WHERE trace_hash IN ({places})"
                " AND outcome IN ('delivered', 'already_delivered') AND coalesce(error, '') <> ? AND NOT EXISTS"
                f" (SELECT 1 FROM past_rows p WHERE p.row_key = rows.row_key AND p.{_IS_DELIVERED})"
                " GROUP BY trace_hash", (*part, CONTENT_HAS_CHANGED),
            ).fetchall()))  # fmt: skip
        return found

    def claimed_traces(self) -> Counter[bytes]:
        """Count what other runs are sending, by its trace."""
        found = self._db.execute(
            f"SELECT trace_hash, COUNT(*) FROM past_rows WHERE state = '{JournalState.CLAIMED}' GROUP BY trace_hash"
        )
        return Counter(dict(found))

    def read_lead(self, lead_id: int, asked: float) -> None:
        """
        Remember that a lead's activities were read.

        :param asked: by the run's clock
        """
        self._db.execute("INSERT OR REPLACE INTO leads_read VALUES (?, ?)", (lead_id, asked))

    def lead_read_at(self, lead_id: int) -> float | None:
        """When a lead's activities were last asked for and read; None when they were not."""
        found = self._db.execute("SELECT asked FROM leads_read WHERE lead_id = ?", (lead_id,)).fetchone()
        return None if found is None else float(found[0])

    def keep_first_page(self, lead_id: int, asked: float, marks: Iterable[bytes]) -> None:
        """
        Remember what a lead showed when it was first read.

        :param asked: by the run's clock
        :param marks: a hash of each entry, :data:`~airflow_provider_lofty.lofty.trace.TRACE_BYTES` long
        """
        self._db.execute("INSERT OR IGNORE INTO first_pages VALUES (?, ?, ?)", (lead_id, asked, b"".join(marks)))

    def first_page(self, lead_id: int) -> tuple[float, Counter[bytes]] | None:
        """When a lead was first asked for, and what it showed: how often each hash."""
        found = self._db.execute("SELECT asked, marks FROM first_pages WHERE lead_id = ?", (lead_id,)).fetchone()
        if found is None:
            return None
        asked, marks = found
        return asked, Counter(marks[start : start + TRACE_BYTES] for start in range(0, len(marks), TRACE_BYTES))
