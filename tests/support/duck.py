"""A hook for DuckDB."""

from __future__ import annotations

from typing import Any

import duckdb
from airflow.providers.common.sql.hooks.sql import DbApiHook


class DuckHook(DbApiHook):
    """A hook for DuckDB, as people write it: the community has one, Airflow has none."""

    conn_name_attr = "duckdb_conn_id"
    conn_type = "duckdb"

    def get_conn(self) -> Any:
        return duckdb.connect()
