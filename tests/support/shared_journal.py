"""What tests of the journal in a table share: a database, runs that use it at once, and rows that differ."""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import create_engine
from sqlalchemy.engine import Engine

from airflow_provider_lofty.journal.database import SqlJournal
from airflow_provider_lofty.journal.engine import journal_engine
from airflow_provider_lofty.journal.journal import Closing, Intent, Loaded
from airflow_provider_lofty.journal.owner import TaskPlace
from airflow_provider_lofty.journal.tables import JOURNAL
from airflow_provider_lofty.lofty.fields import ACTIVITY_TYPES
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.spool.history import History, JournalState, PastRow
from airflow_provider_lofty.spool.leads import Leads
from airflow_provider_lofty.spool.sample import SAMPLE_ROWS, InputSample
from support.practice import Log

STALE_SECONDS = 60.0


class Database:
    """
    A database as its hook shows it to a journal, and as a test sees it.

    :param url: names dialect and driver
    :param connect: makes a connection
    :ivar connections: all that journals were given
    :ivar on_engine: called with every engine that a journal is given
    """

    def __init__(self, url: str, connect: Callable[[], Any]) -> None:
        self.url = url
        self.connect = connect
        self.connections: list[Any] = []
        self.on_engine: Callable[[Engine], object] = lambda engine: None

    def get_conn(self) -> Any:
        self.connections.append(self.connect())
        return self.connections[-1]

    def get_sqlalchemy_engine(self, engine_kwargs: dict[str, Any] | None = None) -> Engine:
        engine = create_engine(self.url, **(engine_kwargs or {}))
        self.on_engine(engine)
        return engine

    def close(self) -> None:
        for connection in self.connections:
            with suppress(Exception):  # each driver says in its own way that it is closed already
                connection.close()

    def do(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            found = cursor.fetchall() if cursor.description else []
            connection.commit()
            return list(found)

    def rows(self, columns: str) -> list[tuple[Any, ...]]:
        return sorted(self.do(f"SELECT {columns} FROM {JOURNAL}"))


def postgres(uri: str, driver: str = "psycopg2") -> Database:
    """Give a schema of its own on a PostgreSQL."""
    module = importlib.import_module(driver)
    schema = f"s{uuid4().hex}"
    Database("", lambda: module.connect(uri)).do(f"CREATE SCHEMA {schema}")
    options = f"-c search_path={schema} -c statement_timeout=10s"  # no test hangs, whatever is broken
    return Database(f"postgresql+{driver}://", lambda: module.connect(uri, options=options))


def lite(folder: Path) -> Database:
    """Give a SQLite file."""
    return Database("sqlite://", lambda: sqlite3.connect(folder / "journal.db", timeout=5, check_same_thread=False))


class Memory:
    """Stands in for a spool: the rows of an input, and what a journal says of them."""

    def __init__(self, rows: Iterable[bytes] = ()) -> None:
        self._rows = list(rows)
        self._db = sqlite3.connect(":memory:")
        self.history, self.leads = History(self._db), Leads(self._db)

    def row_keys(self) -> Iterator[bytes]:
        return iter(self._rows)

    def close(self) -> None:
        self._db.close()

    def read(self) -> dict[bytes, PastRow]:
        return {row[0]: PastRow(*row) for row in self._db.execute("SELECT * FROM past_rows")}


class Learned(NamedTuple):
    """What a journal knew when a run began."""

    has_gaps: bool
    loaded: Loaded
    rows: dict[bytes, PastRow]

    @property
    def states(self) -> dict[bytes, str]:
        return {row_key: row.state for row_key, row in self.rows.items()}


class Parties:
    """Runs that share a database and a clock."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.log = Log()
        self.now = 0.0

    def journal(
        self, run: str = "r", *, dag: str = "d", task: str = "send", index: int = -1, **settings: Any
    ) -> SqlJournal:
        given = {"scope": "lofty", "source": "s", "max_tries": 0, "stale_seconds": STALE_SECONDS, **settings}
        place = TaskPlace(dag, run, task, index)
        return SqlJournal(journal_engine(self.database, self.log), place=place, clock=lambda: self.now, **given)

    def learn(self, journal: SqlJournal, rows: Iterable[int] = (), *, is_later_try: bool = False) -> Learned:
        has_gaps = journal.begin(is_later_try=is_later_try)
        with closing(Memory(made(n).row_key for n in rows)) as memory:
            loaded = journal.load(memory)
            return Learned(has_gaps, loaded, memory.read())

    def started(self, run: str = "r", **settings: Any) -> SqlJournal:
        """A journal as it is when sending begins."""
        journal = self.journal(run, **settings)
        self.learn(journal)
        journal.start(input_sample(0))
        return journal


def made(n: int, attempts: int = 0) -> Intent:
    """Make an intent that differs from others in every part."""
    kind = ACTIVITY_TYPES[n % len(ACTIVITY_TYPES)]
    marks = b"x%02d" % (n % 100), b"l%02d" % (n % 100)
    wanted = Trace(2**63 - 1 - n, b"t%011d" % n, kind, 1_772_359_200_000 + n, *marks)
    return Intent(b"i%011d" % n, b"f%03d" % (n % 1000), wanted, attempts)


def sent(n: int, attempts: int = 0) -> Intent:
    """The intent of one that was sent, or was about to be: what is known of it in another process."""
    return made(n, attempts)._replace(may_be_answered=True)


def input_sample(rows: int) -> InputSample:
    """Sum up an input of so many rows."""
    return InputSample(rows, b"".join(b"%06d" % n for n in range(min(rows, SAMPLE_ROWS))))


ONE = made(1)
SAID = {
    JournalState.DELIVERED: (200,),
    JournalState.REJECTED: (400, 20012, "Lofty refused it"),
    JournalState.DOUBTED: (None, None, "no answer came"),
    JournalState.ABANDONED: (None, None, "no answer came"),
    JournalState.WITHDRAWN: (),
}


def closed(state: str, *intents: Intent) -> list[Closing]:
    """What came of rows that were sent once more."""
    is_answered = state == JournalState.DELIVERED
    return [
        Closing(intent, state, *SAID[state])._replace(attempts=intent.attempts + 1, is_answered=is_answered)
        for intent in intents
    ]


def committing(connect: Callable[[], Any]) -> Callable[[], Any]:
    """Give connections on which every statement is committed at once."""

    def connect_so() -> Any:
        connection = connect()
        if isinstance(connection, sqlite3.Connection):
            connection.isolation_level = None
        else:
            connection.autocommit = True
        return connection

    return connect_so
