"""The hook of a database, which comes with another provider; where it does not come, what to install."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.sql.hooks.sql import DbApiHook

from airflow_provider_lofty.config import named_connection
from airflow_provider_lofty.exceptions import AirflowException, LoftyConfigurationError

# Connection type → the end of its provider's name, where that is another word.
_PROVIDERS = {
    "athena": "amazon",
    "aws": "amazon",
    "clickhouse": "clickhousedb",
    "drill": "apache-drill",
    "druid": "apache-druid",
    "gcpbigquery": "google",
    "gcpcloudsql": "google",
    "gcpcloudsqldb": "google",
    "google_cloud_platform": "google",
    "hive_cli": "apache-hive",
    "hiveserver2": "apache-hive",
    "impala": "apache-impala",
    "kylin": "apache-kylin",
    "mssql": "microsoft-mssql",
    "pinot": "apache-pinot",
    "redshift": "amazon",
}
_NAMED_ALIKE = frozenset(
    ("databricks", "elasticsearch", "exasol", "jdbc", "mysql", "odbc", "oracle", "postgres", "presto", "snowflake",
     "sqlite", "teradata", "trino", "vertica", "ydb")
)  # fmt: skip


def database_hook(conn_id: str, hook_params: dict[str, object] | None = None) -> DbApiHook:
    """
    Make the hook of a database.

    :raises LoftyConfigurationError: when the connection is missing or leads to no ``DbApiHook``
    """
    connection = named_connection(conn_id)
    hook = _hook(connection, conn_id, hook_params)
    if not isinstance(hook, DbApiHook):
        raise LoftyConfigurationError(
            f"the connection {conn_id!r} is of type {connection.conn_type!r}, which is not an SQL database (DbApiHook)"
        )
    hook.log_sql = False  # the statement's parameters may be personal
    return hook


def _hook(connection: Any, conn_id: str, hook_params: dict[str, object] | None) -> object:
    try:
        return connection.get_hook(hook_params=hook_params)
    except (AirflowException, AttributeError):  # the latter of a type that has a form and no hook
        fault = _advice_on(connection.conn_type or "")
    except ImportError as error:
        fault = f"its provider lacks a package: {error}"
    except TypeError as error:
        fault = f"its hook takes no such source_hook_params: {error}" if hook_params else type(error).__name__
    raise LoftyConfigurationError(f"the connection {conn_id!r} cannot be used: {fault}; nothing was sent") from None


def _advice_on(conn_type: str) -> str:
    """Say what a connection needs for whose type Airflow has no hook."""
    name = conn_type.strip().lower().replace("-", "_")
    known = f"apache-airflow-providers-{_PROVIDERS.get(name, name)}"
    if name not in _PROVIDERS and name not in _NAMED_ALIKE:
        return (
            f"its type {conn_type!r} has no hook here: set the type of its database, such as 'postgres', and install "
            "the provider that brings it, such as apache-airflow-providers-postgres"
        )
    misspelt = f", and its type is written {name!r}, not {conn_type!r}" if name != conn_type else ""
    return f"it needs the package {known}, which is not installed or was not found by Airflow{misspelt}"
