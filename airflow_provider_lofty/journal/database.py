"""
The journal in a table: shared by runs, Dags, mapped tasks and Airflow versions, and an audit of every row sent.

A row is claimed by inserting its key, which the database allows once, so two runs never send the same row at once. A
claim is its owner's as long as the owner shows signs of life; whoever meets it waits. When they stay away, it is taken
over and is in doubt: only Lofty can tell whether its row was sent. No clock is compared with another machine's: a
sign of life is a value that changes, and each claim says how long its owner may go without one.

The statements are plain SQL for any ``DbApiHook`` whose database enforces primary keys; a warehouse such as Snowflake
or BigQuery does not, and is refused.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from airflow_provider_lofty.journal.journal import (
    ABANDONED,
    DELIVERED,
    DOUBTED,
    INTENDED,
    KEY_CONFLICT,
    REJECTED,
    WITHDRAWN,
    Closing,
    Intent,
    JournalError,
    JournalUnusable,
    Loaded,
    Released,
    utc_now,
)
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.spool.history import CLAIMED, PastRow
from airflow_provider_lofty.spool.sample import InputSample
from airflow_provider_lofty.spool.spool import Spool

TABLE = "lofty_journal"
RUNS_TABLE = "lofty_journal_runs"
_COLUMNS = {
    "scope": "CHAR(16) NOT NULL",  # which Lofty, and what identifies a row
    "row_key": "CHAR(24) NOT NULL",  # the identity
    "fingerprint": "VARCHAR(8) NOT NULL",
    "trace": "CHAR(24) NOT NULL",
    "lead_id": "BIGINT NOT NULL",
    "activity_type": "VARCHAR(16) NOT NULL",
    "created_ms": "BIGINT NOT NULL",
    "text_mark": "VARCHAR(8) NOT NULL",
    "link_mark": "VARCHAR(8) NOT NULL",
    "state": "VARCHAR(16) NOT NULL",  # intended, delivered, rejected
    "attempts": "INTEGER NOT NULL",
    "dag_id": "VARCHAR(250) NOT NULL",
    "run_id": "VARCHAR(250) NOT NULL",
    "task_id": "VARCHAR(250) NOT NULL",
    "map_index": "INTEGER NOT NULL",
    "task_key": "CHAR(16) NOT NULL",  # a hash of the four before
    "owner": "CHAR(32) NOT NULL",  # the process that claimed it
    "sign_of_life": "VARCHAR(32) NOT NULL",
    "stale_seconds": "INTEGER NOT NULL",  # without one for so long, the owner is taken for dead
    "intended_at": "VARCHAR(32) NOT NULL",
    "closed_at": "VARCHAR(32)",
    "http_status": "INTEGER",
    "error_code": "INTEGER",
    "error": "VARCHAR(500)",
}
_RUN_COLUMNS = {
    "task_key": "CHAR(16) NOT NULL PRIMARY KEY",
    "dag_id": "VARCHAR(250) NOT NULL",
    "run_id": "VARCHAR(250) NOT NULL",
    "task_id": "VARCHAR(250) NOT NULL",
    "map_index": "INTEGER NOT NULL",
    "source": "VARCHAR(32) NOT NULL",
    "max_tries": "INTEGER",
    "row_count": "BIGINT NOT NULL",
    "lowest": "VARCHAR(2500) NOT NULL",  # a sketch of the input
    "is_blind": "INTEGER NOT NULL",  # 1: earlier tries may have sent rows that nobody wrote down
    "has_claimed": "INTEGER NOT NULL",  # 1: its rows must be in the other table
    "started_at": "VARCHAR(32) NOT NULL",
}
_SCHEMA = (
    f"CREATE TABLE {TABLE} (" + ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    + ", PRIMARY KEY (scope, row_key))",
    f"CREATE INDEX {TABLE}_lead ON {TABLE} (scope, lead_id)",
    f"CREATE INDEX {TABLE}_task ON {TABLE} (task_key, state)",
    f"CREATE TABLE {RUNS_TABLE} (" + ", ".join(f"{name} {kind}" for name, kind in _RUN_COLUMNS.items()) + ")",
)  # fmt: skip
_FOUND = (
    "row_key, fingerprint, trace, lead_id, activity_type, created_ms, text_mark, link_mark, state, attempts, task_key,"
    " dag_id, task_id, owner, sign_of_life, stale_seconds, http_status, error_code, error"
)
# A peer that stopped between INSERT and COMMIT must not be waited for without end.
_LOCK_TIMEOUTS = {
    "postgresql": "SET lock_timeout = '5s'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 5",
    "mssql": "SET LOCK_TIMEOUT 5000",
}
_REOPENED = "reopened"  # was rejected, and the task was cleared since
_CLAIMABLE = (REJECTED, _REOPENED)
_MOST_KEYS = 400  # in one statement; databases allow from 999 parameters on
_ROWS_AT_ONCE = 40
_ERROR_LENGTH = 500
_LIFE_SECONDS = 10.0


class Database(Protocol):
    """What is needed of a ``DbApiHook``."""

    @property
    def placeholder(self) -> str: ...

    def get_conn(self) -> Any: ...


class TaskPlace(NamedTuple):
    """Which task instance this is."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @property
    def key(self) -> str:
        """A short name of it."""
        return blake2b("\n".join(map(str, self)).encode(), digest_size=8).hexdigest()


class _Row(NamedTuple):
    """A row of the table, as :data:`_FOUND` names its columns."""

    row_key: str
    fingerprint: str
    trace: str
    lead_id: int
    activity_type: str
    created_ms: int
    text_mark: str
    link_mark: str
    state: str
    attempts: int
    task_key: str
    dag_id: str
    task_id: str
    owner: str
    sign_of_life: str
    stale_seconds: int
    http_status: int | None
    error_code: int | None
    error: str | None

    @property
    def intent(self) -> Intent:
        wanted = Trace(
            int(self.lead_id), bytes.fromhex(self.trace), self.activity_type.strip(), int(self.created_ms),
            bytes.fromhex(self.text_mark), bytes.fromhex(self.link_mark),
        )  # fmt: skip
        return Intent(bytes.fromhex(self.row_key), bytes.fromhex(self.fingerprint), wanted, int(self.attempts))

    @property
    def known(self) -> PastRow:
        return PastRow(
            bytes.fromhex(self.row_key), self.state, bytes.fromhex(self.fingerprint), bytes.fromhex(self.trace),
            self.http_status, self.error_code, self.error, int(self.attempts),
        )  # fmt: skip


class _Held(NamedTuple):
    """A row that another run holds, and the lead that this run has for it."""

    owner: str
    sign_of_life: str
    since: float
    lead_id: int


class SqlJournal:
    """
    A journal in two tables, which are made on first use.

    :param database: the hook of the database
    :param scope: names what identities are told apart by: which Lofty, and which ``unique_key``
    :param source: names where this task's rows come from
    :param place: which task instance this is
    :param max_tries: the task instance's; it changes when the task is cleared
    :param stale_seconds: a claim whose owner shows no sign of life for so long is taken over
    :param clock: monotonic seconds
    :param now: seconds since 1970
    """

    def __init__(
        self,
        database: Database,
        *,
        scope: str,
        source: str,
        place: TaskPlace,
        max_tries: int | None,
        stale_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._mark = database.placeholder
        self._scope = scope
        self._source = source
        self._place = place
        self._max_tries = max_tries
        self._stale_seconds = stale_seconds
        self._clock = clock
        self._now = now
        self._owner = uuid4().hex
        self._connection: Any = None
        self._before: InputSample | None = None
        self._is_resumed = self._is_cleared = self._is_blind = self._has_claimed = False
        self._mine: set[bytes] = set()
        self._held: dict[bytes, _Held] = {}
        self._next_life = 0.0

    def begin(self, *, is_later_try: bool) -> bool:
        """Make the tables where they are missing; look for earlier tries."""
        self._prepare_tables()
        key = self._place.key
        found = self._query(
            f"SELECT source, max_tries, row_count, lowest, is_blind, has_claimed FROM {RUNS_TABLE} WHERE task_key = ?",
            (key,),
        )
        if not found:
            self._is_blind = is_later_try
            self._insert([self._run_values(key)], RUNS_TABLE, _RUN_COLUMNS)
            self._commit()
            return not self._is_blind
        source, max_tries, rows, lowest, is_blind, has_claimed = found[0]
        self._is_resumed = source.strip() == self._source
        self._is_cleared = max_tries != self._max_tries
        if self._is_resumed and rows:
            self._before = InputSample(int(rows), bytes.fromhex(lowest))
        is_purged = bool(has_claimed) and not self._count("task_key = ?", key)
        self._is_blind = bool(is_blind) or is_purged or not self._is_resumed
        return not self._is_blind

    def load(self, spool: Spool) -> Loaded:
        """Take over what earlier tries of this task left open; look up every row of the input."""
        with self._or_disconnected():
            return self._load_history(spool)

    def _load_history(self, spool: Spool) -> Loaded:
        key = self._place.key
        self._execute(
            f"UPDATE {TABLE} SET owner = ?, sign_of_life = ?, stale_seconds = ?"
            " WHERE scope = ? AND task_key = ? AND state = ?",
            (self._owner, uuid4().hex, math.ceil(self._stale_seconds), self._scope, key, INTENDED),
        )
        if self._is_cleared:
            self._execute(
                f"UPDATE {TABLE} SET state = ? WHERE scope = ? AND task_key = ? AND state = ?",
                (_REOPENED, self._scope, key, REJECTED),
            )
        self._commit()
        doubtful = [row.intent for row in self._rows("owner = ?", (self._owner,))]
        self._mine.update(intent.row_key for intent in doubtful)
        delivered = self._count("task_key = ? AND state = ?", key, DELIVERED)
        there = 0
        for keys in _batches(spool.row_keys()):
            found = self._rows_with(keys)
            there += sum(row.state == DELIVERED and row.task_key == key for row in found)
            spool.history.add(self._known(row) for row in found if self._is_known(row))
        if self._before is None:
            return Loaded(doubtful)
        return Loaded(doubtful, self._before, delivered, delivered - there)

    def _known(self, row: _Row) -> PastRow:
        return row.known._replace(foreign_lead=int(row.lead_id) if self._is_foreign(row) else None)

    def _is_foreign(self, row: _Row) -> bool:
        return (row.dag_id.strip(), row.task_id.strip()) != (self._place.dag_id, self._place.task_id)

    def _is_known(self, row: _Row) -> bool:
        if row.state == REJECTED:  # by this task, which was not cleared since; others may have mended their rows
            return row.task_key == self._place.key and self._is_resumed
        return row.state == DELIVERED or row.owner == self._owner

    def start(self, rows: InputSample) -> None:
        """Write down that sending begins."""
        self._execute(
            f"UPDATE {RUNS_TABLE} SET source = ?, max_tries = ?, row_count = ?, lowest = ?, is_blind = ?,"
            " started_at = ? WHERE task_key = ?",
            (self._source, self._max_tries, rows.rows, rows.lowest.hex(), int(self._is_blind), utc_now(self._now),
             self._place.key),
        )  # fmt: skip
        self._commit()

    def load_lead(self, lead_id: int, spool: Spool) -> None:
        """Look up what was ever delivered to a lead, and what other runs are sending to it now."""
        spool.history.forget_held()
        mine_aside = "lead_id = ? AND state IN (?, ?) AND owner <> ?"
        with self._or_disconnected():
            rows = self._rows(mine_aside, (lead_id, DELIVERED, INTENDED, self._owner))
        spool.history.add(row.known if row.state == DELIVERED else row.known._replace(state=CLAIMED) for row in rows)

    def commit(self, intents: Sequence[Intent], closings: Sequence[Closing]) -> Collection[bytes]:
        """Close rows, claim others, then give claims up; each in a transaction of its own."""
        withdrawn = [closing for closing in closings if closing.state == WITHDRAWN]
        others = [closing for closing in closings if closing.state != WITHDRAWN]
        with self._or_disconnected():
            if others:
                self._close_rows(others)
            refused = self._claim(intents) if intents else ()
            if withdrawn:  # last: a doubt may have been claimed anew, under another identity
                self._withdraw([closing.intent.row_key for closing in withdrawn])
            return refused

    def heartbeat(self) -> Sequence[Released]:
        """Show a sign of life; look at rows that others hold."""
        with self._or_disconnected():
            self._show_life()
            return self._look_at_held()

    def _show_life(self) -> None:
        if self._mine and self._clock() >= self._next_life:
            for keys in _batches(list(self._mine)):
                self._execute(
                    f"UPDATE {TABLE} SET sign_of_life = ? WHERE scope = ? AND owner = ? AND state = ?"
                    f" AND row_key IN ({self._marks(keys)})",
                    (uuid4().hex, self._scope, self._owner, INTENDED, *_hex(keys)),
                )
            self._commit()
            self._next_life = self._clock() + min(_LIFE_SECONDS, self._stale_seconds / 4)

    def _look_at_held(self) -> list[Released]:
        released = []
        for keys in _batches(list(self._held)):
            found = {bytes.fromhex(row.row_key): row for row in self._rows_with(keys)}
            released += [end for key in keys if (end := self._freed(key, found.get(key))) is not None]
        for end in released:
            del self._held[end.row_key]
        return released

    def close(self) -> None:
        """Close the connection."""
        self._disconnect()

    @contextlib.contextmanager
    def _or_disconnected(self) -> Iterator[None]:
        """What follows a failure gets a new connection: claims are known by their owner."""
        try:
            yield
        except JournalError:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(JournalError):
                self._try(connection.close)

    # Claims

    def _claim(self, intents: Sequence[Intent]) -> set[bytes]:
        """Claim rows; tell which ones another run holds."""
        if not self._has_claimed:
            self._mark_claimed(has_claimed=True)
        known = [intent for intent in intents if intent.row_key in self._mine]
        new = [intent for intent in intents if intent.row_key not in self._mine]
        refused = self._renew(known) if known else set()
        if new:
            try:
                self._insert([self._values(intent, INTENDED) for intent in new])
                self._commit()
                self._mine.update(intent.row_key for intent in new)
            except JournalError:  # one of them is there already, or the database is gone
                self._rollback()
                refused |= {intent.row_key for intent in new if not self._claim_one(intent)}
        return refused

    def _renew(self, intents: Sequence[Intent]) -> set[bytes]:
        """Intend anew what is claimed already, perhaps with another content, unless somebody took it over."""
        names = [name for name in _COLUMNS if name not in ("scope", "row_key", "intended_at")]
        lost = {}
        for intent in intents:
            values = dict(zip(_COLUMNS, self._values(intent, INTENDED), strict=True))
            changed = self._execute(
                f"UPDATE {TABLE} SET {', '.join(f'{name} = ?' for name in names)}"
                " WHERE scope = ? AND owner = ? AND state = ? AND row_key = ?",
                (*(values[name] for name in names), self._scope, self._owner, INTENDED, intent.row_key.hex()),
            )
            if changed != 1:
                lost[intent.row_key] = intent.trace.lead_id
        self._commit()
        for row_key, lead_id in lost.items():
            self._mine.discard(row_key)
            self._held[row_key] = _Held("", "", self._clock(), lead_id)
        return set(lost)

    def _claim_one(self, intent: Intent) -> bool:
        """Claim one row that may be there already."""
        found = self._insert_unless_there(intent, INTENDED)
        # The answer to an earlier insert may have been lost.
        is_mine = found is None or (found.owner == self._owner and found.state == INTENDED)
        if is_mine or found is None or (found.state in _CLAIMABLE and self._take_over(found, intent)):
            self._mine.add(intent.row_key)
            return True
        self._held[intent.row_key] = _Held(
            found.owner, found.sign_of_life, self._clock(), intent.trace.lead_id
        )  # fmt: skip
        return False

    def _insert_unless_there(self, intent: Intent, state: str, said: Closing | None = None) -> _Row | None:
        """Insert a row; give the one that is there already instead."""
        found = self._rows_with([intent.row_key])
        if not found:
            try:
                self._insert([self._values(intent, state, said)])
                self._commit()
            except JournalError:  # another run was faster, or the database is gone
                self._rollback()
                found = self._rows_with([intent.row_key])
                if not found:
                    raise
        return found[0] if found else None

    def _take_over(self, row: _Row, intent: Intent, state: str = INTENDED, said: Closing | None = None) -> bool:
        """Make another owner's row this one's, unless it has changed meanwhile."""
        values = dict(zip(_COLUMNS, self._values(intent, state, said), strict=True))
        names = [name for name in values if name not in ("scope", "row_key")]
        changed = self._execute(
            f"UPDATE {TABLE} SET {', '.join(f'{name} = ?' for name in names)}"
            " WHERE scope = ? AND row_key = ? AND owner = ? AND sign_of_life = ? AND state = ?",
            (*(values[name] for name in names), self._scope, row.row_key, row.owner, row.sign_of_life, row.state),
        )
        self._commit()
        return changed == 1

    def _freed(self, key: bytes, row: _Row | None) -> Released | None:
        if row is None or row.state in _CLAIMABLE:
            return Released(key, WITHDRAWN)
        held = self._held[key]
        if self._is_foreign(row) and int(row.lead_id) != held.lead_id:
            return Released(key, KEY_CONFLICT)
        if row.state == DELIVERED:
            return Released(key, DELIVERED)
        if (row.owner, row.sign_of_life) != (held.owner, held.sign_of_life):
            self._held[key] = _Held(row.owner, row.sign_of_life, self._clock(), held.lead_id)
        elif self._clock() - held.since >= max(self._stale_seconds, row.stale_seconds) and self._take_over(
            row, row.intent
        ):
            self._mine.add(key)
            return Released(key, DOUBTED, row.intent)
        return None

    # Results

    def _close_rows(self, closings: Sequence[Closing]) -> None:
        self._tell([closing for closing in closings if closing.state in (DOUBTED, ABANDONED)])
        final = [closing for closing in closings if closing.state in (DELIVERED, REJECTED)]
        lost = self._tell([closing for closing in final if closing.intent.row_key in self._mine])
        self._commit()
        for closing in final:
            if closing.intent.row_key not in self._mine or (closing.state == DELIVERED and lost):
                self._keep_found(closing)
        self._mine.difference_update(c.intent.row_key for c in closings if c.state != DOUBTED)

    def _withdraw(self, row_keys: Sequence[bytes]) -> None:
        for keys in _batches(row_keys):
            self._execute(
                f"DELETE FROM {TABLE} WHERE scope = ? AND owner = ? AND state = ? AND row_key IN ({self._marks(keys)})",
                (self._scope, self._owner, INTENDED, *_hex(keys)),
            )
        self._commit()
        self._mine.difference_update(row_keys)
        if not self._mine and not self._count("task_key = ?", self._place.key):
            self._mark_claimed(has_claimed=False)

    def _mark_claimed(self, *, has_claimed: bool) -> None:
        key = self._place.key
        self._execute(f"UPDATE {RUNS_TABLE} SET has_claimed = ? WHERE task_key = ?", (int(has_claimed), key))
        self._commit()
        self._has_claimed = has_claimed

    def _tell(self, closings: Sequence[Closing]) -> bool:
        """Write what came of claimed rows; tell whether some of them are not there any more."""
        lost = False
        groups: dict[tuple[Any, ...], list[bytes]] = {}
        for c in closings:
            groups.setdefault((c.state, c.attempts, c.status, c.code, c.error), []).append(c.intent.row_key)
        for (state, attempts, status, code, error), row_keys in groups.items():
            is_final = state in (DELIVERED, REJECTED)
            values = (state if is_final else INTENDED, attempts, utc_now(self._now) if is_final else None, status, code,
                      _storable(error))  # fmt: skip
            # A certain delivery counts even when the claim was taken over by somebody who thought this run dead.
            mine: tuple[str, ...] = () if state == DELIVERED else (self._owner, INTENDED)
            for keys in _batches(row_keys):
                changed = self._execute(
                    f"UPDATE {TABLE} SET state = ?, attempts = ?, closed_at = ?, http_status = ?, error_code = ?,"
                    f" error = ? WHERE scope = ?{' AND owner = ? AND state = ?' if mine else ''}"
                    f" AND row_key IN ({self._marks(keys)})",
                    (*values, self._scope, *mine, *_hex(keys)),
                )
                lost = lost or changed != len(keys)
        return lost

    def _keep_found(self, closing: Closing) -> None:
        """Write down a row that is not claimed here: Lofty has it."""
        found = self._insert_unless_there(closing.intent, closing.state, closing)
        if found is not None and found.state in _CLAIMABLE:
            self._take_over(found, closing.intent, closing.state, closing)

    def _values(self, intent: Intent, state: str, said: Closing | None = None) -> tuple[Any, ...]:
        wanted, place = intent.trace, self._place
        end = (None,) * 4 if said is None else (utc_now(self._now), said.status, said.code, _storable(said.error))
        return (
            self._scope, intent.row_key.hex(), intent.fingerprint.hex(), wanted.trace_hash.hex(), wanted.lead_id,
            wanted.type, wanted.created, wanted.text_mark.hex(), wanted.link_mark.hex(), state,
            intent.attempts if said is None else said.attempts, *place, place.key, self._owner, uuid4().hex,
            math.ceil(self._stale_seconds), utc_now(self._now), *end,
        )  # fmt: skip

    def _run_values(self, key: str) -> tuple[Any, ...]:
        return (key, *self._place, self._source, self._max_tries, 0, "", int(self._is_blind), 0, utc_now(self._now))

    # The database

    def _prepare_tables(self) -> None:
        if not self._has_tables():
            for statement in _SCHEMA:
                try:
                    self._execute(statement)
                    self._commit()
                except JournalError:  # another run has just made it
                    self._rollback()
            self._query(f"SELECT COUNT(*) FROM {TABLE} WHERE scope = ?", ("",))
        self._refuse_without_keys()

    def _has_tables(self) -> bool:
        try:
            self._query(f"SELECT COUNT(*) FROM {TABLE} WHERE scope = ?", ("",))
            self._query(f"SELECT COUNT(*) FROM {RUNS_TABLE} WHERE task_key = ?", ("",))
        except JournalError:
            self._rollback()
            return False
        return True

    def _refuse_without_keys(self) -> None:
        """Try whether a key can be inserted twice, and leave nothing of it."""
        probe = self._run_values(uuid4().hex[:16])
        self._insert([probe], RUNS_TABLE, _RUN_COLUMNS)
        try:
            self._insert([probe], RUNS_TABLE, _RUN_COLUMNS)
        except JournalError:
            return
        finally:
            self._rollback()
            self._execute(f"DELETE FROM {RUNS_TABLE} WHERE task_key = ?", probe[:1])  # of a connection that commits
            self._commit()
        raise JournalUnusable("its database does not enforce primary keys, so that two runs could send the same row")

    def _count(self, condition: str, *values: Any) -> int:
        statement = f"SELECT COUNT(*) FROM {TABLE} WHERE scope = ? AND {condition}"
        return int(self._query(statement, (self._scope, *values))[0][0])

    def _rows(self, condition: str, values: tuple[Any, ...]) -> list[_Row]:
        found = self._query(f"SELECT {_FOUND} FROM {TABLE} WHERE scope = ? AND {condition}", (self._scope, *values))
        return [_Row(*row) for row in found]

    def _rows_with(self, keys: Sequence[bytes]) -> list[_Row]:
        return self._rows(f"row_key IN ({self._marks(keys)})", tuple(_hex(keys)))

    @staticmethod
    def _marks(keys: Sequence[bytes]) -> str:
        return ", ".join("?" * len(keys))

    def _insert(
        self, rows: Sequence[tuple[Any, ...]], table: str = TABLE, columns: Iterable[str] = tuple(_COLUMNS)
    ) -> None:
        columns = tuple(columns)
        one = f"({', '.join('?' * len(columns))})"
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            self._execute(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([one] * len(part))}",
                tuple(value for row in part for value in row),
            )

    def _query(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Read, and end the transaction, so that the next look sees what others have written."""
        found: list[tuple[Any, ...]] = self._with_cursor(statement, values, lambda cursor: cursor.fetchall())
        self._rollback()
        return found

    def _execute(self, statement: str, values: tuple[Any, ...] = ()) -> int:
        count: int = self._with_cursor(statement, values, lambda cursor: cursor.rowcount)
        return count

    def _with_cursor(self, statement: str, values: tuple[Any, ...], result: Callable[[Any], Any]) -> Any:
        connection = self._connected()

        def run() -> Any:
            with contextlib.closing(connection.cursor()) as cursor:
                cursor.execute(statement.replace("?", self._mark), values)
                return result(cursor)

        return self._try(run)

    def _commit(self) -> None:
        self._try(self._connected().commit)

    def _rollback(self) -> None:
        self._try(self._connected().rollback)

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = self._try(self._database.get_conn)
            timeout = None
            with contextlib.suppress(Exception):  # a hook may not know its dialect, each in its own way
                timeout = _LOCK_TIMEOUTS.get(getattr(self._database, "dialect_name", ""))
            if timeout:
                self._execute(timeout)
                self._commit()
        return self._connection

    def _try(self, call: Callable[..., Any], *args: Any) -> Any:
        try:
            return call(*args)
        except Exception as error:  # database drivers share no base class of their errors
            raise JournalError(f"the journal's database failed: {type(error).__name__}") from error


def _batches(keys: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for key in keys:
        batch.append(key)
        if len(batch) == _MOST_KEYS:
            yield batch
            batch = []
    if batch:
        yield batch


def _hex(keys: Iterable[bytes]) -> Iterator[str]:
    return (key.hex() for key in keys)


def _storable(error: str | None) -> str | None:
    """What any database takes: no longer than its column, and without NUL."""
    return None if error is None else error.replace("\0", "")[:_ERROR_LENGTH]
