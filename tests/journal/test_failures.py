"""Which failures of a database are worth asking again for."""

from __future__ import annotations

import importlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.practice import Log
from support.shared_journal import Database, Parties

from airflow_provider_lofty.journal.failures import may_pass
from airflow_provider_lofty.journal.journal import JournalUnusable


def failure(path: Path, statement: str) -> sqlite3.Error:
    with closing(sqlite3.connect(path)) as database, pytest.raises(sqlite3.Error) as caught:
        database.execute(statement)
    return caught.value


@pytest.mark.parametrize(
    "statement", ["SELECT 1 FROM t", "INSERT INTO u (b) VALUES (1)", "SELECT b FROM u", "SELEKT", "PRAGMA journal_mode"]
)
@pytest.mark.parametrize("has_code", [True, False], ids=["", "before 3.11"])
def test_what_is_wrong_with_a_sqlite_file_does_not_pass(tmp_path: Path, statement: str, has_code: bool) -> None:
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE u (a)")
    if statement.startswith("PRAGMA"):
        path.write_bytes(b"x" * 2000)
    error = failure(path, statement)
    assert not may_pass(error if has_code else type(error)(str(error)))


@pytest.mark.parametrize("words", ["database is locked", "disk I/O error", "unable to open database file"])
def test_a_file_that_is_busy_or_away_is_asked_again(words: str) -> None:
    assert may_pass(sqlite3.OperationalError(words))


@pytest.mark.parametrize(
    ("words", "passes"),
    [
        ('connection to server at "db" (10.0.0.1), port 5432 failed: Connection refused', True),
        ("FATAL:  the database system is starting up", True),
        ("server closed the connection unexpectedly", True),
        ('FATAL:  password authentication failed for user "airflow"', False),
        ("fe_sendauth: no password supplied", False),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "airflow"', False),
        ('FATAL:  database "journal" does not exist', False),
    ],
)
@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_connection_that_postgres_refuses_is_not_asked_for_again(driver: str, words: str, passes: bool) -> None:
    assert may_pass(importlib.import_module(driver).OperationalError(words)) is passes


@pytest.mark.server
@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_login_that_is_unknown_is_a_matter_of_configuration(postgres_uri: str, driver: str) -> None:
    pytest.importorskip(f"sqlalchemy.dialects.postgresql.{driver}", reason="SQLAlchemy 1.4 does not know psycopg 3")
    module = importlib.import_module(driver)
    database = Database(f"postgresql+{driver}://", lambda: module.connect(postgres_uri, user="nobody"))
    parties = Parties(database)
    assert isinstance(parties.log, Log)
    with pytest.raises(JournalUnusable, match="journal_conn_id") as caught:
        parties.journal().begin(is_later_try=False)
    assert "nobody" not in str(caught.value)
