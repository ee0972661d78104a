"""A real PostgreSQL and a SQLite database for tests of the SQL source."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.practice import COLUMNS


@pytest.fixture
def postgres(postgres_uri: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the id of a connection to PostgreSQL."""
    host = postgres_uri.partition("host=")[2]
    connection = {"conn_type": "postgres", "login": "postgres", "schema": "postgres", "host": host}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    return "warehouse"


@pytest.fixture
def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Any]:
    """Give the id of a connection to SQLite, and the database to fill."""
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_LITE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"CREATE TABLE leads ({', '.join(COLUMNS)})")
    database.executemany(
        "INSERT INTO leads VALUES (?, 'Browse', ?, 'l', '', '2026-03-01')",
        [(2**53 + 1, "a home"), (2, "a house"), (3, "b home")],
    )
    yield "lite", database
    database.close()
