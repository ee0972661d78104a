"""What every test may use: a practice Lofty, and a connection to it. Airflow is told where it lives before it wakes."""

from __future__ import annotations

import gc
import json
import os
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

pytest_plugins = ["support.watch"]
# They need what only the environment of "make test-databases" has, which says so where nothing is tested.
collect_ignore = [] if find_spec("moto") else ["databases"]

REPOSITORY = Path(__file__).resolve().parents[1]

# Read when Airflow is first imported, so before any test module is. Each worker of pytest-xdist has a home of its own.
HOME = os.environ.get("AIRFLOW_HOME", str(REPOSITORY / ".work" / "test"))
os.environ["AIRFLOW_HOME"] = str(Path(HOME, os.environ.get("PYTEST_XDIST_WORKER", "")))
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(REPOSITORY / "dags")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = "made up " * 8  # as long as its algorithm asks for, unlike Airflow's own

with warnings.catch_warnings():  # Airflow 3.1 warns about its own models, and takes that for a missing connection
    warnings.simplefilter("ignore")
    import airflow.models.connection
    import airflow.models.dag  # noqa: F401
    from sqlalchemy.orm import configure_mappers

    configure_mappers()

from support.emitted import Emitted  # noqa: E402 - Airflow must wake in its own home
from support.mariadb import mariadb, mariadb_url  # noqa: E402 - Airflow must wake in its own home
from support.warehouse import postgres_uri  # noqa: E402 - Airflow must wake in its own home

from airflow_provider_lofty.journal import retrying  # noqa: E402 - Airflow must wake in its own home
from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings  # noqa: E402 - Airflow must wake in its own home

__all__ = ["mariadb", "mariadb_url", "postgres_uri"]

# The same examples on every run: who changes the code learns of their own faults only. "search" looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

CONNECTION = "AIRFLOW_CONN_LOFTY_DEFAULT"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


# Minutes each, most of them waiting for an Airflow that a module's tests share.
LONGEST = ("test_killed.py", "test_approval.py", "test_decorated.py", "test_mapped.py", "test_lineage.py")


def pytest_configure(config: pytest.Config) -> None:
    """
    Let the mark "no_cover" stop the counting of lines in the processes of pytest-xdist, too.

    There pytest-cov starts two counters, and stops one: the other, whose lines nobody reads, goes on in its place.
    """
    counting = Coverage.current()
    if counting and hasattr(config, "workerinput"):
        counting.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Begin with the longest, spread over the processes: begun last, they have one busy and leave the others idle.

    Nor does a process that has run out of tests take over a part of them, and start the Airflow they share once more.
    pytest-xdist gives each process an equal part of the list to begin with.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ordered = [item for item in items if item.path.name not in LONGEST]
    for number, name in enumerate(LONGEST):
        begins = number % processes * (len(items) // processes)
        ordered[begins:begins] = [item for item in items if item.path.name == name]
    items[:] = ordered


def pytest_collection_finish() -> None:
    """What is there now stays until the end: no collecting of garbage looks at it again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep proxies, certificates and connections of whoever runs the tests out of them."""
    for name in (*PROXIES, *map(str.upper, PROXIES), "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv(CONNECTION, raising=False)


@pytest.fixture(autouse=True)
def emitted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emitted]:
    """Whatever a test is about: each try of the operator emits what its summary says, once."""
    emitted = Emitted(monkeypatch)
    yield emitted
    assert emitted.faults == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that does not answer is given up at once."""
    for name in ("PATIENCE_SECONDS", "FIRST_PATIENCE_SECONDS"):
        monkeypatch.setattr(retrying, name, 0.0)


@pytest.fixture
def lofty(starts_server: None) -> Iterator[Sandbox]:
    """Run a practice Lofty whose rate limit is never reached."""
    with Sandbox(SandboxSettings(requests_per_minute=600_000)) as sandbox:
        yield sandbox


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """
    Give a function that points the connection ``lofty_default`` to a practice Lofty, or to any URL.

    ``connect(lofty)`` uses its API key, without a pace to wait for. Further arguments replace parts of the
    connection; what ``extra`` holds is laid over the extra that is there.
    """

    def connect(server: Sandbox | str, *, extra: dict[str, Any] | None = None, **overrides: Any) -> None:
        url = server if isinstance(server, str) else server.url
        password = "made-up-api-key" if isinstance(server, str) else server.settings.api_key
        connection = {
            "conn_type": "lofty",
            "host": url,
            "password": password,
            **overrides,
            "extra": {"requests_per_minute": 600_000, "timeout_seconds": 5, "settle_seconds": 0.05, **(extra or {})},
        }
        monkeypatch.setenv(CONNECTION, json.dumps(connection))

    return connect
