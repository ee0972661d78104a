"""
The rows of one run and their outcomes, on local disk.

Sources are read once into a SQLite file and closed; from then on the spool is all there is. Memory stays flat
whatever the input: rows come and go in batches, and duplicates are found with an index, not with a set.

The file is readable by its owner only and unlinked as soon as it is open, so a crash leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from airflow_provider_lofty.lofty.trace import content_of_body, trace_of_body
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.rows.source import row_name
from airflow_provider_lofty.spool.books import Books
from airflow_provider_lofty.spool.codec import encode_cells
from airflow_provider_lofty.spool.cursor import CursorColumn
from airflow_provider_lofty.spool.duplicates import mark_duplicates
from airflow_provider_lofty.spool.history import History
from airflow_provider_lofty.spool.input_digest import InputDigest
from airflow_provider_lofty.spool.lead_book import LeadBook
from airflow_provider_lofty.spool.leads import Leads
from airflow_provider_lofty.spool.sample import ROW_KEY_BYTES, SAMPLE_ROWS, InputSample
from airflow_provider_lofty.spool.schema import (
    INDEX_ASIDE,
    INDEX_LEADS,
    INDEX_OPEN_KINDS,
    INDEX_OPEN_LEADS,
    INDEX_ROW_TRACES,
    IS_ASIDE,
    IS_IN_DOUBT,
    IS_WAITING,
    KIND,
    LOOKS_FOR_LEAD,
    SCHEMA,
    RowState,
)

FOUND_BY_READING = "found by reading back"
FOUND_BEFORE = "Lofty has it already"
_INSERT = (
    "INSERT INTO rows (source, row_number, layout, cells, lead_id, body, row_key, fingerprint, trace_hash,"
    " outcome, error_field, error, attempts, state, sent_fingerprint, line, email, phone, notes)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
_RECORD = (
    "UPDATE rows SET outcome = ?, http_status = ?, error_code = ?, error = ?, attempts = ?, sent_at = ? WHERE n = ?"
)
_IS_CONTROL = (
    f"body IS NOT NULL AND outcome IN ('{Outcome.DELIVERED}', '{Outcome.ALREADY_DELIVERED}') AND error IS NULL"
)
_IS_SHOWN = (
    f"(outcome = '{Outcome.DELIVERED}' AND (error IS NULL OR error = '{FOUND_BY_READING}')"
    f" OR outcome = '{Outcome.ALREADY_DELIVERED}' AND error IN ('{FOUND_BY_READING}', '{FOUND_BEFORE}'))"
)
_BATCH = 500
_BATCH_BYTES = 2**22  # of rows that are long


class SpoolRow(NamedTuple):
    """One row as it is read: its place, its own cells, and either an activity's parts or an outcome."""

    source: int
    row_number: int
    columns: tuple[str, ...]
    cells: Sequence[object]
    lead_id: int | None = None
    body: bytes | None = None
    row_key: bytes | None = None
    fingerprint: bytes | None = None
    trace_hash: bytes | None = None
    outcome: str | None = None
    error_field: str | None = None
    error: str | None = None
    attempts: int = 0
    state: int = RowState.WAITING.value  # an enum's member would cost the database 1 µs a row
    sent_fingerprint: bytes | None = None
    line: int | None = None
    email: str | None = None
    phone: str | None = None
    notes: str | None = None


class PendingRow(NamedTuple):
    """
    A checked row that waits to be sent.

    :param n: its number within the run
    :param may_move: its lead was looked for, so that another try may find another one
    """

    n: int
    row_number: int
    lead_id: int
    body: bytes
    row_key: bytes
    fingerprint: bytes
    trace_hash: bytes
    attempts: int = 0
    line: int | None = None
    may_move: bool = False

    @property
    def kind(self) -> str:
        """The activity's type."""
        return _kind_of(self.body)


def _kind_of(body: bytes) -> str:
    """The activity's type: a body begins with it."""
    return body.split(b'"', 4)[3].decode()


_PENDING = f"n, row_number, lead_id, body, row_key, fingerprint, trace_hash, attempts, line, {LOOKS_FOR_LEAD}"


class Result(NamedTuple):
    """What came of one row."""

    n: int
    outcome: str
    http_status: int | None = None
    error_code: int | None = None
    error: str | None = None
    attempts: int = 0
    sent_at: str | None = None


class Spool:
    """
    Rows and outcomes of one run.

    :param keep_cells: keep each row's own columns too; only a report needs them
    :param folder: where the file lives for a moment; by default the system's temporary folder
    """

    def __init__(self, *, keep_cells: bool, folder: str | None = None) -> None:
        self.read = 0
        self.sources: list[str] = []
        self.keeps_cells = keep_cells
        self._layout_ids: dict[tuple[str, ...], int] = {}
        self._next_layout = 0
        self._batch: list[tuple[object, ...]] = []
        self._batch_bytes = 0
        self._cursor_column: CursorColumn | None = None
        self._db = _open_unlinked(folder)
        for statement in SCHEMA:
            self._db.execute(statement)
        self.history = History(self._db)
        self.leads = Leads(self._db)
        self.books = Books(self._db)
        self.lead_book = LeadBook(self._db)
        self.input_digest = InputDigest(self._db)

    @property
    def cursor_column(self) -> CursorColumn:
        """The rows' cursors, beside them."""
        if self._cursor_column is None:
            self._cursor_column = CursorColumn(self._db)
        return self._cursor_column

    def close(self) -> None:
        """Free the disk space."""
        self._db.close()

    def add_source(self, name: str, columns: tuple[str, ...] | None = None) -> int:
        """
        Register a file or query; its number goes into each of its rows.

        :param columns: where they are known without a row, for a report that has none
        """
        self.sources.append(name)
        if columns is not None and self.keeps_cells and columns not in self._layout_ids:
            self._layout_id(columns)
        return len(self.sources) - 1

    def add(self, row: SpoolRow) -> None:
        """Keep one row; :meth:`flush` ends the reading."""
        layout = cells = None
        if self.keeps_cells:
            layout = self._layout_ids.get(row.columns) or self._layout_id(row.columns)
            cells = encode_cells(row.cells)
        self.read += 1
        self._batch.append((row.source, row.row_number, layout, cells, *row[4:]))
        self._batch_bytes += len(cells or b"") + len(row.body or b"")
        if len(self._batch) >= _BATCH or self._batch_bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is still held in memory."""
        self._db.executemany(_INSERT, self._batch)
        self._batch.clear()
        self._batch_bytes = 0

    def _layout_id(self, columns: tuple[str, ...]) -> int:
        if len(self._layout_ids) > 500:  # rows of objects may have endlessly many shapes
            self._layout_ids.clear()
        self._next_layout += 1
        self._layout_ids[columns] = self._next_layout
        self._db.execute("INSERT INTO layouts VALUES (?, ?)", (self._next_layout, encode_cells(columns)))
        return self._next_layout

    def find_duplicates(self, identity_name: str) -> None:
        """
        Of rows with the same key keep one; give the others what follows from it.

        Same content: ``duplicate``, naming that row. Other content: ``invalid``. One whose outcome is already known
        stands for the others, before one in doubt, and that before one that waits. What its report calls a duplicate
        is one again, whatever its place; where it repeats nothing, it is in doubt.

        :param identity_name: what to call the key where it is at fault
        """
        mark_duplicates(self._db, self.place, identity_name)

    def place(self, source: int, row_number: int, line: int | None = None) -> str:
        """Name a row for people: its number, its line, and its file where there are several."""
        name = row_name(row_number, line)
        return f"{name} of {self.source(source)}" if len(self.sources) > 1 else name

    def source(self, number: int) -> str:
        """Name a source for people; a file's name need not be text."""
        return self.sources[number].encode("utf-8", "backslashreplace").decode()

    def pending(self, after: int = 0, limit: int = _BATCH) -> list[PendingRow]:
        """The next rows that wait to be sent, in the order they were read; fewer where they are long."""
        rows: list[PendingRow] = []
        size = 0
        for row in self._checked(f"n > ? AND {IS_WAITING} ORDER BY n LIMIT ?", after, limit):
            rows.append(row)
            size += len(row.body)
            if size >= _BATCH_BYTES:
                break
        return rows

    def _checked(self, which: str, *values: int | bytes) -> Iterator[PendingRow]:
        return (PendingRow(*row) for row in self._db.execute(f"SELECT {_PENDING} FROM rows WHERE {which}", values))

    def spread(self, count: int) -> list[PendingRow]:
        """A few of the rows that wait to be sent, spread over all of them."""
        (low, high) = self._db.execute(f"SELECT MIN(n), MAX(n) FROM rows WHERE {IS_WAITING}").fetchone()
        if low is None:
            return []
        steps = [low + (high - low) * step // max(count - 1, 1) for step in range(count)]
        found = {row.n: row for step in steps for row in self.pending(step - 1, 1)}
        return list(found.values())

    def waiting_of_lead(self, lead_id: int, after: int = 0) -> Iterator[PendingRow]:
        """The rows of a lead that wait to be sent; nothing may be written until the last one was taken."""
        self._index_leads()
        return self._checked(f"lead_id = ? AND n > ? AND {IS_WAITING} ORDER BY n", lead_id, after)

    def has_waiting(self, lead_id: int) -> bool:
        """Whether rows of a lead wait to be sent."""
        return next(self.waiting_of_lead(lead_id), None) is not None

    def waiting_like(self, lead_id: int, trace_hashes: Collection[bytes]) -> list[PendingRow]:
        """The rows of a lead that wait to be sent and have one of these traces."""
        self._db.execute(INDEX_ROW_TRACES)
        which = f"trace_hash = ? AND lead_id = ? AND {IS_WAITING} ORDER BY n"
        return [row for trace_hash in set(trace_hashes) for row in self._checked(which, trace_hash, lead_id)]

    def last_of_each_type(self) -> set[int]:
        """The numbers of the rows that are the last of their type of those that wait to be sent."""
        return {n for (n,) in self._db.execute(f"SELECT MAX(n) FROM rows WHERE {IS_WAITING} GROUP BY {KIND}")}

    def of_type(self, lead_id: int, kind: str, after: int) -> Iterator[PendingRow]:
        """The rows of a lead and a type that wait to be sent; nothing may be written until the last one was taken."""
        self._db.execute(INDEX_OPEN_KINDS)
        which = f"lead_id = ? AND {KIND} = ? AND n > ? AND body IS NOT NULL AND {IS_WAITING} ORDER BY n"
        return self._checked(which, lead_id, kind.encode(), after)

    # Aside

    def set_aside(self, n: int) -> None:
        """Let a row wait until Lofty has shown that it would show it."""
        self._db.execute(INDEX_ASIDE)
        self._db.execute(f"UPDATE rows SET state = {RowState.ASIDE:d} WHERE n = ? AND outcome IS NULL", (n,))

    def aside_like(self, lead_id: int, trace_hashes: Collection[bytes]) -> list[PendingRow]:
        """The rows of a lead that were set aside and have one of these traces."""
        self._db.execute(INDEX_ROW_TRACES)
        which = f"trace_hash = ? AND lead_id = ? AND {IS_ASIDE}"
        return [row for trace_hash in set(trace_hashes) for row in self._checked(which, trace_hash, lead_id)]

    def bring_back(self, kind: str, limit: int = _BATCH) -> list[PendingRow]:
        """Let rows of a type that were set aside wait to be sent again, in input order, so many at most."""
        rows = list(self._checked(f"{IS_ASIDE} AND {KIND} = ? ORDER BY n LIMIT ?", kind.encode(), limit))
        waiting = f"UPDATE rows SET state = {RowState.WAITING:d} WHERE n = ?"
        self._db.executemany(waiting, [(row.n,) for row in rows])
        return rows

    def last_aside(self, kind: str) -> PendingRow | None:
        """The last row of a type that was set aside; it waits to be sent again."""
        row = next(self._checked(f"{IS_ASIDE} AND {KIND} = ? ORDER BY n DESC LIMIT 1", kind.encode()), None)
        if row is not None:
            self._db.execute(f"UPDATE rows SET state = {RowState.WAITING:d} WHERE n = ?", (row.n,))
        return row

    def refuse_aside(self, kind: str, error: str) -> int:
        """Give the rows of a type that were set aside their outcome, ``unknown``; return how many."""
        return self._db.execute(
            f"UPDATE rows SET outcome = '{Outcome.UNKNOWN}', error = ? WHERE {IS_ASIDE} AND {KIND} = ?",
            (error, kind.encode()),
        ).rowcount

    def outcome_of(self, n: int) -> str | None:
        """What came of a row; None as long as that is open."""
        (outcome,) = self._db.execute("SELECT outcome FROM rows WHERE n = ?", (n,)).fetchone()
        return None if outcome is None else str(outcome)

    def take_twin(self, trace_hash: bytes, attempts: int) -> PendingRow | None:
        """
        Put into doubt one of the waiting rows with this trace.

        :param attempts: how often it was sent
        """
        self._db.execute(INDEX_ROW_TRACES)
        row = next(self._checked(f"trace_hash = ? AND {IS_WAITING} ORDER BY n LIMIT 1", trace_hash), None)
        if row is None:
            return None
        self.doubt(Result(row.n, Outcome.UNKNOWN, attempts=attempts))
        return row._replace(attempts=attempts)

    def doubtful(self) -> list[PendingRow]:
        """The rows that were sent before and may be stored."""
        return list(self._checked(f"{IS_IN_DOUBT} ORDER BY n"))

    def count_pending(self) -> int:
        """How many rows wait to be sent."""
        (count,) = self._db.execute(f"SELECT COUNT(*) FROM rows WHERE {IS_WAITING}").fetchone()
        return int(count)

    def row_keys(self) -> Iterator[bytes]:
        """Every different row, whatever its outcome."""
        found = self._db.execute("SELECT DISTINCT row_key FROM rows WHERE row_key IS NOT NULL")
        return (row_key for (row_key,) in found)

    def input_sample(self) -> InputSample:
        """Sum up which rows the input has; invalid ones and repeats are not counted."""
        return self._sample(Outcome.INVALID, Outcome.DUPLICATE)

    def unsent_sample(self) -> InputSample:
        """Sum up those of them that nobody is known to have delivered."""
        return self._sample(Outcome.INVALID, Outcome.DUPLICATE, Outcome.ALREADY_DELIVERED)

    def _sample(self, *left_out: Outcome) -> InputSample:
        names = ", ".join(f"'{outcome}'" for outcome in left_out)
        which = f"FROM rows WHERE row_key IS NOT NULL AND coalesce(outcome, '') NOT IN ({names})"
        (count,) = self._db.execute(f"SELECT COUNT(*) {which}").fetchone()
        lowest = self._db.execute(f"SELECT row_key {which} ORDER BY row_key LIMIT {SAMPLE_ROWS}")
        return InputSample(int(count), b"".join(row_key[:ROW_KEY_BYTES] for (row_key,) in lowest))

    def some_leads(self) -> list[int]:
        """Name the leads of a few rows that wait to be sent."""
        found = self._db.execute(f"SELECT lead_id FROM rows WHERE {IS_WAITING} ORDER BY row_key LIMIT {SAMPLE_ROWS}")
        return [lead_id for (lead_id,) in found]

    def doubt(self, result: Result) -> None:
        """Write down that a row was sent and that no trustworthy answer came, unless its outcome is known."""
        self._db.execute(
            f"UPDATE rows SET state = {RowState.IN_DOUBT:d}, http_status = ?, error_code = ?, error = ?,"
            " attempts = ?, sent_at = ? WHERE n = ? AND outcome IS NULL",
            (*result[2:], result.n),
        )

    def move(self, row: PendingRow, lead_id: int) -> PendingRow:
        """Take another lead for a row: the one that it was sent to before."""
        trace_hash = trace_of_body(lead_id, row.body).trace_hash
        moved = "UPDATE rows SET lead_id = ?, trace_hash = ?, matched_by = NULL WHERE n = ?"
        self._db.execute(moved, (lead_id, trace_hash, row.n))
        return row._replace(lead_id=lead_id, trace_hash=trace_hash)

    def undoubt(self, n: int) -> None:
        """Take the doubt from a row: it proved not to be stored, and the caller has it in hand to send it again."""
        self._db.execute(
            f"UPDATE rows SET state = {RowState.RESENDING:d}, http_status = NULL, error_code = NULL, error = NULL"
            " WHERE n = ?",
            (n,),
        )

    def record(self, result: Result) -> str | None:
        """
        Write down what came of a row.

        :return: the outcome that it had before
        """
        values = (*result[1:], result.n)
        if self._db.execute(f"{_RECORD} AND outcome IS NULL", values).rowcount:
            return None
        (before,) = next(self._db.execute("SELECT outcome FROM rows WHERE n = ?", (result.n,)), (None,))
        self._db.execute(_RECORD, values)
        return None if before is None else str(before)

    def delivered_to_lead(self, lead_id: int) -> Iterator[PendingRow]:
        """The rows of a lead that were delivered just as they are now."""
        self._db.execute(INDEX_LEADS)
        return self._checked(f"lead_id = ? AND {_IS_CONTROL} ORDER BY n", lead_id)

    def shown_of_lead(self, lead_id: int) -> Iterator[PendingRow]:
        """
        The rows that Lofty has of this run at a lead: it answered with that lead's id, or showed them there.

        What was assumed, merged or told by a journal or a report is not among them.
        """
        self._db.execute(INDEX_LEADS)
        return self._checked(f"lead_id = ? AND body IS NOT NULL AND {_IS_SHOWN}", lead_id)

    def reject_lead(
        self, lead_id: int, http_status: int | None, code: int | None, error: str, on_their_way: Collection[int]
    ) -> int:
        """
        Reject, unsent, the rows of a lead that does not exist; return how many.

        :param on_their_way: rows that are being sent at this moment, and get an answer of their own
        """
        self._index_leads()
        return self._db.execute(
            f"UPDATE rows SET outcome = '{Outcome.REJECTED}', http_status = ?, error_code = ?, error = ?"
            f" WHERE lead_id = ? AND ({IS_WAITING} OR {IS_ASIDE}) AND n NOT IN ({','.join(map(str, on_their_way))})",
            (http_status, code, error, lead_id),
        ).rowcount

    def _index_leads(self) -> None:
        self._db.execute(INDEX_OPEN_LEADS)


def _open_unlinked(folder: str | None) -> sqlite3.Connection:
    private = tempfile.mkdtemp(prefix="lofty-spool-", dir=folder)  # mode 0700
    try:
        path = Path(private, "rows.sqlite")
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        db = sqlite3.connect(path, isolation_level=None)
        db.create_function("content_of", 1, content_of_body, deterministic=True)
        # Nothing here outlives the process, so there is nothing to make durable or to roll back.
        db.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
            "PRAGMA cache_size = -4000; PRAGMA temp_store = FILE;"
        )
        db.execute("BEGIN EXCLUSIVE")  # never ended: one transaction a row would halve the speed
    finally:
        shutil.rmtree(private)
    return db
