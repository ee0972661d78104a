"""From an Airflow connection to the engine of a shared journal: one connection, made as the connection's hook does."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.journal.journal import JournalUnusable
from airflow_provider_lofty.log import Log

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

TESTED = ("postgresql", "mysql", "mariadb", "sqlite")
# They take a primary key for a hint to their planner, and let in the same key twice.
WITHOUT_KEYS = (
    "athena", "awsathena", "bigquery", "clickhouse", "clickhousedb", "databricks", "doris", "drill", "druid", "exa",
    "firebolt", "hive", "impala", "netezza", "pinot", "presto", "redshift", "snowflake", "spark", "starrocks", "trino",
    "vertica",
)  # fmt: skip
# A peer that stopped between INSERT and COMMIT must not be waited for without end.
_LOCK_TIMEOUTS = {
    "postgresql": "SET lock_timeout = '5s'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 5",
    "mariadb": "SET SESSION innodb_lock_wait_timeout = 5",
    "mssql": "SET LOCK_TIMEOUT 5000",
}
_DRIVERS = ("MySQLdb", "mysql", "pg8000", "psycopg", "psycopg2", "pymysql", "sqlite3")


class Hook(Protocol):
    """What is needed of a ``DbApiHook``."""

    def get_conn(self) -> Any: ...

    def get_sqlalchemy_engine(self, engine_kwargs: dict[str, Any] | None = None) -> Engine: ...


def journal_engine(hook: Hook, log: Log) -> Engine:
    """
    Make the engine of a journal.

    :param hook: of the database
    :param log: told when nobody has tested a journal there
    :raises LoftyConfigurationError: when no journal can be kept there
    """
    engine = _engine(hook)
    name = engine.dialect.name
    if name in WITHOUT_KEYS:
        raise LoftyConfigurationError(
            f"the journal cannot be kept in {name}, which does not enforce primary keys: two runs could send the same "
            "row. Let journal_conn_id name a PostgreSQL, MySQL, MariaDB or SQLite database; nothing was sent"
        )
    if name not in TESTED:
        log.warning(
            "the journal is kept in %s, where nobody has tested it; tested are PostgreSQL, MySQL, MariaDB and SQLite",
            name,
        )
    driver = getattr(engine.dialect.dbapi, "__name__", "").partition(".")[0]
    event.listen(engine, "connect", partial(_refuse_another_driver, driver), insert=True)  # before its dialect is
    event.listen(engine, "connect", partial(_set_up, _LOCK_TIMEOUTS.get(name)))
    return engine


def _engine(hook: Hook) -> Engine:
    """
    Make an engine with one connection, for one thread.

    The hook makes the connection itself: the URL that it gives to SQLAlchemy lacks what the extra of an Airflow
    connection says, TLS among it, and an access token in it expires. The ping replaces a connection that a server or
    a firewall has closed while it was not used, where nothing can be lost. Errors must not show a row's values.
    """
    try:
        return hook.get_sqlalchemy_engine(
            engine_kwargs={
                "creator": hook.get_conn,
                "poolclass": QueuePool,
                "pool_size": 1,
                "max_overflow": 0,
                "pool_pre_ping": True,
                "pool_reset_on_return": None,  # every use is a transaction, which ends itself
                "hide_parameters": True,
            }
        )
    except Exception as error:  # each hook says "not supported" in its own way
        raise LoftyConfigurationError(
            f"journal_conn_id: its hook gives no SQLAlchemy engine ({type(error).__name__}); nothing was sent"
        ) from None


def _refuse_another_driver(driver: str, connection: Any, _: object) -> None:
    """The dialect is chosen by the connection's extra, and the driver by its hook."""
    found = {kind.__module__.partition(".")[0] for kind in type(connection).__mro__}.intersection(_DRIVERS)
    if found and driver not in found:
        raise JournalUnusable(
            f"its hook connects with {min(found)}, and its SQLAlchemy engine is one for {driver}: correct "
            "sqlalchemy_scheme in the extra of the connection that journal_conn_id names, or remove it"
        )


def _set_up(lock_timeout: str | None, connection: Any, _: object) -> None:
    """Set what lasts as long as a connection, before anything is asked of it."""
    if hasattr(connection, "prepare_threshold"):
        # psycopg prepares what it has sent five times. PostgreSQL then plans it for any keys, and while it has no
        # statistics of a new table, that reads all rows of the scope: a look-up of 400 keys took twelve times as long.
        connection.prepare_threshold = None
    if hasattr(connection, "set_character_set"):  # MySQL's drivers: as the tables, whatever the server's settings are
        connection.set_character_set("utf8mb4")
    if lock_timeout:
        with closing(connection.cursor()) as cursor:
            cursor.execute(lock_timeout)
        connection.commit()
