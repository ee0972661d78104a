"""
The tables of a shared journal: every column once, and the statements that read and write them.

Each statement runs in a transaction of its own or in one that the caller holds open. A transaction that fails is
rolled back and never repeated here: whether a commit whose acknowledgement was lost has taken effect, only its rows
can tell, and that is for the claims to find out. Between transactions the pool replaces a connection that was lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.types import TypeDecorator

from airflow_provider_lofty.journal.journal import Intent, JournalError
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.spool.history import JournalState, PastRow

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.sql.elements import ColumnElement


class _State(TypeDecorator[JournalState]):
    """A state as its bare value: some drivers write the name of an Enum's member."""

    impl = String(16)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:
        return None if value is None else JournalState(value).value

    def process_result_value(self, value: str | None, dialect: object) -> JournalState | None:
        return None if value is None else JournalState(value)


METADATA = MetaData()
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
    Column("state", _State, nullable=False),  # intended, delivered, rejected, reopened
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
)
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
    Column("has_claimed", Integer, nullable=False),  # 1: its rows must be in the other table
    Column("started_at", String(32), nullable=False),
)
# Made before the others and filled before them, so that whoever meets their rows meets their format.
FORMAT = Table(
    "lofty_journal_format",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1: there is one row
    Column("format", Integer, nullable=False),  # of the tables
    Column("key_rules", Integer, nullable=False),  # by which row_key, fingerprint and trace were formed
)

Values = Mapping[str, str | int | None]
_ERROR_LENGTH = 500
_MOST_KEYS = 400  # in one statement; databases allow from 999 parameters on


class ConnectionLost(JournalError):
    """The connection broke within a transaction: it may have taken effect or not."""


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
    state: JournalState
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
        """What its owner intended."""
        trace = Trace(
            self.lead_id, bytes.fromhex(self.trace), self.activity_type, self.created_ms,
            bytes.fromhex(self.text_mark), bytes.fromhex(self.link_mark),
        )  # fmt: skip
        return Intent(bytes.fromhex(self.row_key), bytes.fromhex(self.fingerprint), trace, self.attempts)

    @property
    def past(self) -> PastRow:
        """What a later run knows of it."""
        return PastRow(
            bytes.fromhex(self.row_key), self.state, bytes.fromhex(self.fingerprint), bytes.fromhex(self.trace),
            self.http_status, self.error_code, self.error, self.attempts, self.lead_id,
        )  # fmt: skip


_READ = [JOURNAL.c[name] for name in JournalRow._fields]


class Tables:
    """
    The tables of one database, and of them the rows of one scope.

    :param engine: makes connections; see :func:`~airflow_provider_lofty.journal.engine.journal_engine`
    :param scope: names what row keys are told apart by: which Lofty, and which ``unique_key``
    """

    def __init__(self, engine: Engine, scope: str) -> None:
        self.engine = engine
        self.scope = scope

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """
        Do several things at once, or none of them.

        :raises ConnectionLost: when the connection broke, so that it is unknown which
        :raises JournalError: when the database refused; it is none of them
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except Exception as error:  # drivers raise errors that SQLAlchemy does not know, too
            if not isinstance(error, IntegrityError):
                self.engine.dispose()  # whatever state its connection is in, the next one is new
            is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
            cause = getattr(error, "orig", None) or error
            failed = ConnectionLost if is_lost else JournalError
            raise failed(f"the journal's database failed: {type(cause).__name__}") from error

    def close(self) -> None:
        """Close the connection; whatever is asked next opens another one."""
        self.engine.dispose()

    def insert(self, rows: Sequence[Values], table: Table = JOURNAL) -> None:
        """Insert all of these rows, or none when one of them is there already."""
        with self.transaction() as connection:
            connection.execute(insert(table), rows)

    def update(self, connection: Connection, values: Values, *conditions: ColumnElement[bool]) -> int:
        """Change rows; tell how many fulfilled the conditions."""
        statement = update(JOURNAL).where(JOURNAL.c.scope == self.scope, *conditions).values(**values)
        return int(connection.execute(statement).rowcount)

    def delete(self, connection: Connection, *conditions: ColumnElement[bool]) -> None:
        """Delete the rows that fulfil these conditions."""
        connection.execute(delete(JOURNAL).where(JOURNAL.c.scope == self.scope, *conditions))

    def update_run(self, task_key: str, values: Values) -> None:
        """Change what is written of a task."""
        with self.transaction() as connection:
            connection.execute(update(RUNS).where(RUNS.c.task_key == task_key).values(**values))

    def find(self, *conditions: ColumnElement[bool]) -> list[JournalRow]:
        """Read the rows that fulfil these conditions."""
        statement = select(*_READ).where(JOURNAL.c.scope == self.scope, *conditions)
        with self.transaction() as connection:
            return list(map(JournalRow._make, connection.execute(statement)))

    def find_keys(self, row_keys: Iterable[bytes]) -> list[JournalRow]:
        """Read the rows that have these keys; a few hundred at once."""
        return self.find(has_key(row_keys))

    def count(self, *conditions: ColumnElement[bool]) -> int:
        """Count the rows that fulfil these conditions."""
        statement = select(func.count()).select_from(JOURNAL).where(JOURNAL.c.scope == self.scope, *conditions)
        with self.transaction() as connection:
            return int(connection.execute(statement).scalar_one())

    def find_run(self, task_key: str) -> Any:
        """Read what is written of a task, with the columns as attributes; None when it is new."""
        with self.transaction() as connection:
            return connection.execute(select(RUNS).where(RUNS.c.task_key == task_key)).one_or_none()


def has_key(row_keys: Iterable[bytes]) -> ColumnElement[bool]:
    """The condition that a row has one of these keys."""
    return JOURNAL.c.row_key.in_([row_key.hex() for row_key in row_keys])


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
