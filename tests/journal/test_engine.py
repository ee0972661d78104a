"""From an Airflow connection to the engine of a shared journal: what is refused, warned of and set first."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.engine import Engine
from support.practice import Log
from support.shared_journal import ONE, Database, Parties, closed, lite, made

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.journal.engine import TESTED, WITHOUT_KEYS, journal_engine
from airflow_provider_lofty.journal.journal import JournalUnusable
from airflow_provider_lofty.spool.history import JournalState

TWO = made(2)


def named(database: Database, dialect: str) -> Database:
    """Let a database pass for one of another kind."""

    def rename(engine: Engine) -> None:
        engine.dialect.name = dialect

    database.on_engine = rename
    return database


@pytest.mark.parametrize(
    "dialect", ["snowflake", "bigquery", "redshift", "databricks", "clickhouse", "trino", "awsathena"]
)
def test_a_database_that_enforces_no_keys_is_refused_before_it_is_connected_to(tmp_path: Path, dialect: str) -> None:
    with closing(named(lite(tmp_path), dialect)) as database:
        with pytest.raises(LoftyConfigurationError, match=f"kept in {dialect}.*primary keys.*PostgreSQL.*nothing was"):
            journal_engine(database, Log())
        assert database.connections == []
    assert not {*TESTED} & {*WITHOUT_KEYS}


@pytest.mark.parametrize("dialect", ["oracle", "mssql", "duckdb"])
def test_of_one_that_nobody_tested_it_warns_once(tmp_path: Path, dialect: str) -> None:
    log = Log()
    with closing(named(lite(tmp_path), dialect)) as database:
        journal_engine(database, log)
    assert [dialect in line and "nobody has tested" in line for line in log.lines] == [True]


@pytest.mark.parametrize("dialect", TESTED)
def test_of_the_tested_ones_nothing_is_said(tmp_path: Path, dialect: str) -> None:
    log = Log()
    with closing(named(lite(tmp_path), dialect)) as database:
        journal_engine(database, log)
    assert log.lines == []


def test_one_whose_hook_has_no_engine_is_refused_for_what_it_is() -> None:
    hook: Any = SimpleNamespace(conn_type="snowflake")
    with pytest.raises(LoftyConfigurationError, match="snowflake, which does not enforce primary keys"):
        journal_engine(hook, Log())


def test_a_hook_without_an_engine_is_a_wrong_connection() -> None:
    class Hook:
        def get_conn(self) -> Any: ...

        def get_sqlalchemy_engine(self, engine_kwargs: dict[str, Any] | None = None) -> Engine:
            raise NotImplementedError("made-up-password")

    with pytest.raises(LoftyConfigurationError, match="no SQLAlchemy engine") as caught:
        journal_engine(Hook(), Log())
    assert "made-up" not in str(caught.value)


@pytest.mark.parametrize("driver", ["psycopg2", "pymysql"])
def test_a_scheme_for_another_driver_than_the_hooks_is_a_wrong_connection(tmp_path: Path, driver: str) -> None:
    database = lite(tmp_path)
    database.url = {"psycopg2": "postgresql+psycopg2://", "pymysql": "mysql+pymysql://"}[driver]
    with closing(database), pytest.raises(JournalUnusable, match=f"with sqlite3.* for {driver}: correct sqlalchemy_s"):
        Parties(database).journal().begin(is_later_try=False)


class Numbering(sqlite3.Connection):
    """A connection whose parameters are numbered, as those of some drivers are: SQLite knows numbers as names only."""

    statements: list[str]

    def cursor(self, *_: Any) -> Any:
        connection = self

        def named(values: Any) -> dict[str, Any]:
            return {str(number): value for number, value in enumerate(values, 1)}

        class Cursor(sqlite3.Cursor):
            def execute(self, statement: str, values: Any = ()) -> Any:
                connection.statements.append(statement)
                return super().execute(statement, named(values))

            def executemany(self, statement: str, rows: Any) -> Any:
                connection.statements.append(statement)
                return super().executemany(statement, map(named, rows))

        return super().cursor(Cursor)


def test_a_driver_that_numbers_its_parameters_keeps_the_same_journal(tmp_path: Path) -> None:
    statements: list[str] = []

    def numbering() -> Any:
        connection = sqlite3.connect(tmp_path / "journal.db", factory=Numbering)
        connection.statements = statements
        return connection

    def number(engine: Engine) -> None:
        engine.dialect.paramstyle = "numeric"

    database = Database("sqlite://", numbering)
    database.on_engine = number
    with closing(database):
        parties = Parties(database)
        journal = parties.started()
        journal.commit([ONE, TWO], ())
        journal.commit((), closed("delivered", ONE))
        journal.close()
        later = parties.journal()
        learned = parties.learn(later, (1, 2), is_later_try=True)
        later.close()
    assert learned.states == {ONE.row_key: JournalState.DELIVERED, TWO.row_key: JournalState.INTENDED}
    asked = [statement for statement in statements if "lofty_journal" in statement]
    assert any(":2" in statement for statement in asked)
    assert not any("?" in statement for statement in asked)


class Noting(sqlite3.Connection):
    """A connection that notes what it is asked, and knows no settings of a session."""

    asked: list[str]

    def cursor(self, *_: Any) -> Any:
        connection = self

        class Cursor(sqlite3.Cursor):
            def execute(self, statement: str, *values: Any) -> Any:
                connection.asked.append(statement)
                return self if statement.startswith("SET ") else super().execute(statement, *values)

        return super().cursor(Cursor)


@pytest.mark.parametrize(
    ("dialect", "setting"),
    [
        ("postgresql", "SET lock_timeout = '5s'"),
        ("mysql", "SET SESSION innodb_lock_wait_timeout = 5"),
        ("mariadb", "SET SESSION innodb_lock_wait_timeout = 5"),
        ("mssql", "SET LOCK_TIMEOUT 5000"),
        ("sqlite", None),
        ("oracle", None),
    ],
)
def test_where_locks_are_waited_for_without_end_every_connection_sets_a_limit_first(
    tmp_path: Path, dialect: str, setting: str | None
) -> None:
    asked: list[list[str]] = []

    def noted() -> Any:
        connection = sqlite3.connect(tmp_path / "journal.db", factory=Noting)
        asked.append([])
        connection.asked = asked[-1]
        return connection

    with closing(Database("sqlite://", noted)) as database:
        # The name is changed only where settings are chosen: SQLite has to understand the statements.
        def rename(engine: Engine) -> None:
            engine.dialect.name = dialect

        database.on_engine = rename
        parties = Parties(database)
        journal = parties.journal()
        journal._tables.engine.dialect.name = "sqlite"
        parties.learn(journal)
        journal.close()
        journal.commit([ONE], ())
    assert len(asked) >= 2
    for statements in asked:
        assert [statement for statement in statements if statement.startswith("SET ")] == ([setting] if setting else [])
        first = next(number for number, statement in enumerate(statements) if "lofty_journal" in statement)
        assert setting is None or statements.index(setting) < first
