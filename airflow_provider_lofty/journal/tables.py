"""
The tables of a shared journal: every column once, and the statements that read and write them.

Each statement runs in a transaction of its own or in one that the caller holds open. A transaction that fails is
rolled back and never repeated here: whether a commit whose acknowledgement was lost has taken effect, only its rows
can tell, and that is for the claims to find out. After a pause the pool replaces a connection that was lost.

What is executed for every few rows is text: to compose and look up such a statement in SQLAlchemy Core takes two to
four times as long as to execute it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from airflow_provider_lofty.journal.failures import may_pass
from airflow_provider_lofty.journal.journal import Intent, JournalError, JournalUnavailable, JournalUnusable
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.spool.history import JournalState, PastRow
from airflow_provider_lofty.spool.leads import MOST_ALIKE, Link

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, CursorResult, Engine

METADATA = MetaData()
# Where MySQL or MariaDB is set up for less than all characters, a word of Lofty's or a Dag's name would be refused.
ANY_TEXT: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in {"charset": "utf8mb4", "collate": "utf8mb4_bin"}.items()
}
JOURNAL = Table(
    "lofty_journal",
    METADATA,
    Column("scope", String(16), primary_key=True),  # which Lofty, and what identifies a row
    Column("row_key", String(24), primary_key=True),
    Column("fingerprint", String(8), nullable=False),
    Column("trace", String(24), nullable=False),
    Column("lead_id", BigInteger, nullable=False),
    Column("activity_type", String(16), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("text_mark", String(8), nullable=False),
    Column("link_mark", String(8), nullable=False),
    Column("state", String(16), nullable=False),  # intended, delivered, rejected, reopened
    Column("attempts", Integer, nullable=False),
    Column("dag_id", String(250), nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("task_id", String(250), nullable=False),
    Column("map_index", Integer, nullable=False),
    Column("task_key", String(16), nullable=False),  # a hash of the four before
    Column("owner", String(32), nullable=False),  # the process that claimed it
    Column("sign_of_life", String(32), nullable=False),
    Column("stale_seconds", Integer, nullable=False),  # without one for so long, the owner is taken for dead
    Column("intended_at", String(32), nullable=False),
    Column("closed_at", String(32)),
    Column("http_status", Integer),
    Column("error_code", Integer),
    Column("error", String(500)),
    Column("answered_lead", BigInteger),  # another lead, with whose id Lofty answered
    **ANY_TEXT,
)
Index("lofty_journal_created", JOURNAL.c.scope, JOURNAL.c.created_ms)
Index("lofty_journal_lead", JOURNAL.c.scope, JOURNAL.c.lead_id)
Index("lofty_journal_task", JOURNAL.c.task_key, JOURNAL.c.state)
RUNS = Table(
    "lofty_journal_runs",
    METADATA,
    Column("task_key", String(16), primary_key=True),
    Column("dag_id", String(250), nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("task_id", String(250), nullable=False),
    Column("map_index", Integer, nullable=False),
    Column("source", String(32), nullable=False),
    Column("max_tries", Integer),
    Column("row_count", BigInteger, nullable=False),
    Column("lowest", String(2500), nullable=False),  # a sample of the input
    Column("is_blind", Integer, nullable=False),  # 1: earlier tries may have sent rows that nobody wrote down
    Column("journal_rows", BigInteger, nullable=False),  # of it: so many must be in the other table
    Column("started_at", String(32), nullable=False),
    **ANY_TEXT,
)
# Made before the others and filled before them, so that whoever meets their rows meets their format.
FORMAT = Table(
    "lofty_journal_format",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1: there is one row
    Column("format", Integer, nullable=False),  # of the tables
    Column("key_rules", Integer, nullable=False),  # by which row_key, fingerprint and trace were formed
)

Value = str | int | None
Values = Mapping[str, Value]
_ERROR_LENGTH = 500
_MOST_KEYS = 400  # in one statement; databases allow from 999 parameters on
_ROWS_AT_ONCE = 40
_IDLE_SECONDS = 1.0  # without use; after so long a server or a firewall may have closed the connection


class ConnectionLost(JournalUnavailable):
    """The connection broke within a transaction: it may have taken effect or not."""


class KeyTaken(JournalError):
    """A row is there already; nothing of the transaction has taken effect."""


class JournalRow(NamedTuple):
    """What claims and look-ups need of a row, by the names of its columns."""

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
    closed_at: str | None
    answered_lead: int | None

    @property
    def intent(self) -> Intent:
        """What its owner intended."""
        row_key, fingerprint = bytes.fromhex(self.row_key), bytes.fromhex(self.fingerprint)
        may_be_answered = self.state == JournalState.INTENDED and self.error is None
        return Intent(
            row_key, fingerprint, self.wanted, self.attempts, self.answered_lead, may_be_answered=may_be_answered
        )

    @property
    def wanted(self) -> Trace:
        """What it reads back as."""
        return Trace(
            self.lead_id, bytes.fromhex(self.trace), self.activity_type, self.created_ms,
            bytes.fromhex(self.text_mark), bytes.fromhex(self.link_mark),
        )  # fmt: skip

    @property
    def link(self) -> Link | None:
        """What Lofty's answer said of its lead, if it named another one."""
        other = self.answered_lead
        return None if other is None else Link(self.lead_id, other, self.state == JournalState.DELIVERED)

    @property
    def past(self) -> PastRow:
        """What a later run knows of it."""
        return PastRow(
            bytes.fromhex(self.row_key), JournalState(self.state), bytes.fromhex(self.fingerprint),
            bytes.fromhex(self.trace), self.http_status, self.error_code, self.error, self.attempts, self.lead_id,
        )  # fmt: skip


_COLUMNS = ", ".join(JOURNAL.columns.keys())
_ROW = f"({', '.join('?' * len(JOURNAL.columns))})"
_values_of = itemgetter(*JOURNAL.columns.keys())
_SELECT = f"SELECT {', '.join(JournalRow._fields)} FROM {JOURNAL}"


class Tables:
    """
    The tables of one database, and of them the rows of one scope.

    Conditions are given as columns and what they must be equal to.

    :param engine: makes connections; see :func:`~airflow_provider_lofty.journal.engine.journal_engine`
    :param scope: names what row keys are told apart by: which Lofty, which ``unique_key``, and whose leads are
        looked for
    :param clock: monotonic seconds
    """

    def __init__(self, engine: Engine, scope: str, clock: Callable[[], float]) -> None:
        self.engine = engine
        self.scope = scope
        self._clock = clock
        self._driver: Any = engine.dialect.dbapi
        self._connection: Connection | None = None
        self._used = 0.0

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """
        Do several things at once, or none of them.

        :raises ConnectionLost: when the connection broke: it is unknown whether they were done
        :raises KeyTaken: when a row was to be inserted that is there already
        :raises JournalUnavailable: when the database did not answer or was too busy; nothing was done
        :raises JournalError: when it refused
        """
        try:
            connection = self._connected()
            with connection.begin():
                yield connection
        except JournalError:  # the engine's, when it connects
            self.close()
            raise
        except Exception as error:  # drivers raise errors that SQLAlchemy does not know, too
            cause = _cause_of(error)
            if isinstance(error, IntegrityError):
                raise KeyTaken(f"the journal's database refused a row: {cause}") from error
            self.close()  # whatever state its connection is in, the next one is new
            raise _kind_of(error)(f"the journal's database failed: {cause}") from error

    def _connected(self) -> Connection:
        """One connection for all; after a pause it goes back to the pool, which tries it before it is used again."""
        now = self._clock()
        if self._connection is not None and now - self._used >= _IDLE_SECONDS:
            self._connection.close()
            self._connection = None
        self._used = now
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> Connection:
        try:
            return self.engine.connect()
        except JournalError:
            raise
        except Exception as error:
            if may_pass(error):
                raise
            raise JournalUnusable(
                f"its database refused the connection ({_cause_of(error)}): correct host, login, password and schema "
                "of the connection that journal_conn_id names"
            ) from error

    def close(self) -> None:
        """Close the connection; whatever is asked next opens another one."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
        self.engine.dispose()

    # The journal

    def insert(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Insert all of these rows, or none when one of them is there already."""
        statement = f"INSERT INTO {JOURNAL} ({_COLUMNS}) VALUES "
        values = list(map(_values_of, rows))
        if values and self._inserts_each:
            self._execute(connection, statement + _ROW, values)
            return
        for start in range(0, len(values), _ROWS_AT_ONCE):
            part = values[start : start + _ROWS_AT_ONCE]
            text = statement + ", ".join([_ROW] * len(part))
            self._execute(connection, text, tuple(value for row in part for value in row))

    @property
    def _inserts_each(self) -> bool:
        """Whether each row is a statement of its own: psycopg sends these together, and a long one is planned long."""
        return self.engine.driver == "psycopg" or not self.engine.dialect.supports_multivalues_insert

    def update(
        self, connection: Connection, values: Values, row_keys: Sequence[bytes] | None = None, **equal: Value
    ) -> int:
        """Change rows; tell how many fulfilled the conditions."""
        where, conditions = self._where(row_keys, equal)
        text = f"UPDATE {JOURNAL} SET {', '.join(f'{name} = ?' for name in values)}{where}"
        return self._execute(connection, text, (*map(_bare, values.values()), *conditions)).rowcount

    def delete(self, connection: Connection, row_keys: Sequence[bytes], **equal: Value) -> int:
        """Delete the rows that fulfil these conditions; tell how many."""
        where, conditions = self._where(row_keys, equal)
        return self._execute(connection, f"DELETE FROM {JOURNAL}{where}", conditions).rowcount

    def find(self, row_keys: Sequence[bytes] | None = None, **equal: Value) -> list[JournalRow]:
        """
        Read the rows that fulfil these conditions.

        :param row_keys: only those that have one of these; a few hundred at most
        """
        where, conditions = self._where(row_keys, equal)
        return self._read(_SELECT + where, conditions)

    def find_others(self, lead_id: int, owner: str) -> list[JournalRow]:
        """Read what anybody but this owner delivered to a lead, or may be sending to it."""
        where, conditions = self._where(None, {"lead_id": lead_id})
        states = JournalState.DELIVERED.value, JournalState.INTENDED.value
        return self._read(f"{_SELECT}{where} AND state IN (?, ?) AND owner <> ?", (*conditions, *states, owner))

    def find_answered(self, task_key: str) -> list[JournalRow]:
        """Read the rows of a task for which Lofty named another lead."""
        where, conditions = self._where(None, {"task_key": task_key})
        return self._read(f"{_SELECT}{where} AND answered_lead IS NOT NULL", conditions)

    def find_alike(self, trace: Trace, owner: str, but: Collection[int]) -> list[JournalRow]:
        """
        Read what anybody but this owner sent to other leads that says the same.

        :param but: leads that are left out
        :return: all rows for which Lofty named another lead, and one of each lead, of as many as Lofty is asked about
        """
        same: dict[str, Value] = {
            "created_ms": trace.created, "activity_type": trace.type, "text_mark": trace.text_mark.hex(),
            "link_mark": trace.link_mark.hex(),
        }  # fmt: skip
        where, conditions = self._where(None, same)
        states = JournalState.DELIVERED.value, JournalState.INTENDED.value
        where += f" AND state IN (?, ?) AND owner <> ? AND lead_id NOT IN ({', '.join('?' * len(but))})"
        conditions = (*conditions, *states, owner, *but)
        found = self._read(f"{_SELECT}{where} AND answered_lead IS NOT NULL", conditions)
        one_of_each = f"SELECT MIN(row_key) FROM {JOURNAL}{where} GROUP BY lead_id ORDER BY lead_id"
        with self.transaction() as connection:
            row_keys = self._execute(connection, one_of_each, conditions).scalars().fetchmany(MOST_ALIKE + 1)
        return found + (self.find([bytes.fromhex(row_key) for row_key in row_keys]) if row_keys else [])

    def count(self, **equal: Value) -> int:
        """Count the rows that fulfil these conditions."""
        where, conditions = self._where(None, equal)
        with self.transaction() as connection:
            found = self._execute(connection, f"SELECT COUNT(*) FROM {JOURNAL}{where}", conditions)
            return int(found.scalar_one())

    def _where(self, row_keys: Sequence[bytes] | None, equal: Values) -> tuple[str, tuple[Value, ...]]:
        """Write conditions; of all rows they hold for those of the scope only."""
        text = "".join([" WHERE scope = ?", *(f" AND {name} = ?" for name in equal)])
        if row_keys is not None:
            text += f" AND row_key IN ({', '.join('?' * len(row_keys))})"
        return text, (self.scope, *map(_bare, equal.values()), *(row_key.hex() for row_key in row_keys or ()))

    def _read(self, text: str, values: tuple[Value, ...]) -> list[JournalRow]:
        """Read rows with the driver's own cursor: to make SQLAlchemy's of them costs as much as to read them."""
        with self.transaction() as connection, closing(connection.connection.cursor()) as cursor:
            try:
                cursor.execute(_in_style(text, self.engine.dialect.paramstyle), values)
                return list(map(JournalRow._make, cursor.fetchall()))
            except self._driver.Error as error:
                is_lost = self.engine.dialect.is_disconnect(error, connection.connection, cursor)
                raise DBAPIError.instance(
                    text, None, error, self._driver.Error, hide_parameters=True, connection_invalidated=is_lost
                ) from error

    def _execute(
        self, connection: Connection, text: str, values: tuple[Value, ...] | list[tuple[Value, ...]]
    ) -> CursorResult[Any]:
        return connection.exec_driver_sql(_in_style(text, self.engine.dialect.paramstyle), values)

    # What is written of a task

    def insert_run(self, values: Values) -> None:
        """Write down a task that is new."""
        with self.transaction() as connection:
            connection.execute(insert(RUNS), [values])

    def update_run(self, task_key: str, values: Values) -> None:
        """Change what is written of a task."""
        with self.transaction() as connection:
            connection.execute(update(RUNS).where(RUNS.c.task_key == task_key).values(**values))

    def add_to_run(self, connection: Connection, task_key: str, rows: int) -> None:
        """Count rows of a task that have come into the journal, or out of it."""
        text = f"UPDATE {RUNS} SET journal_rows = journal_rows + ? WHERE task_key = ?"
        if rows:
            self._execute(connection, text, (rows, task_key))

    def find_run(self, task_key: str) -> Any:
        """Read what is written of a task, with the columns as attributes; None when it is new."""
        with self.transaction() as connection:
            return connection.execute(select(RUNS).where(RUNS.c.task_key == task_key)).one_or_none()


def _cause_of(error: Exception) -> str:
    return type(getattr(error, "orig", None) or error).__name__


def _kind_of(error: Exception) -> type[JournalError]:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return ConnectionLost
    return JournalUnavailable if may_pass(error) else JournalError


def _bare(value: Value) -> Value:
    """A state as its value: some drivers write the name of an Enum's member."""
    return value.value if isinstance(value, JournalState) else value


@lru_cache(maxsize=256)
def _in_style(text: str, paramstyle: str) -> str:
    """Write a statement with ``?`` as a driver wants it."""
    if paramstyle == "qmark":
        return text
    if paramstyle in ("format", "pyformat"):
        return text.replace("?", "%s")
    sign, numbers = "$" if paramstyle == "numeric_dollar" else ":", count(1)
    return re.sub(r"\?", lambda _: f"{sign}{next(numbers)}", text)


def batches(row_keys: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Divide keys into as many as go into one statement."""
    batch: list[bytes] = []
    for row_key in row_keys:
        batch.append(row_key)
        if len(batch) == _MOST_KEYS:
            yield batch
            batch = []
    if batch:
        yield batch


def storable(error: str | None) -> str | None:
    """What any database takes: no longer than its column, and without NUL."""
    return None if error is None else error.replace("\0", "")[:_ERROR_LENGTH]
