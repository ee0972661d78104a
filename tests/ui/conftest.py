"""Airflow's own web server with the provider's pages, and a task instance that really ran."""

from __future__ import annotations

import csv
import importlib
import io
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import pytest

from airflow_provider_lofty.rows.report_format import REPORT_COLUMNS
from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

DAGS = Path(__file__).resolve().parents[2] / "dags"


class Ran(NamedTuple):
    """A task that ran: its ids, and where its report lies."""

    dag_id: str
    run_id: str
    task_id: str
    report: Path

    def url(self, rest: str = "", *, map_index: str = "-1", **ids: str) -> str:
        """The address of its page, or of what the page asks for."""
        known = {"dag_id": self.dag_id, "run_id": self.run_id, "task_id": self.task_id, **ids}
        return "/lofty/rows/" + "/".join(quote(one, safe="") for one in (*known.values(), map_index)) + rest


@pytest.fixture(scope="session")
def airflow_database(starts_server: None) -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(scope="session")
def web_server(airflow_database: None) -> Any:
    """The web server as Airflow makes it, plugins included."""
    from airflow.api_fastapi.app import create_app

    return create_app(apps="core")


@pytest.fixture
def client(web_server: Any) -> Iterator[TestClient]:
    """Somebody without a session."""
    with warnings.catch_warnings():  # starlette's client uses a name that anyio has renamed
        warnings.simplefilter("ignore")
        from fastapi.testclient import TestClient
    with TestClient(web_server, follow_redirects=False) as nobody:
        yield nobody


def token(role: str | None) -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="somebody", role=role))


@pytest.fixture
def viewer(client: TestClient) -> TestClient:
    """Somebody who may look at every Dag."""
    client.headers["Authorization"] = f"Bearer {token('VIEWER')}"
    return client


@pytest.fixture(scope="session")
def report_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(autouse=True)
def configured_folder(report_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__LOFTY__REPORT_FOLDER", str(report_folder))


@pytest.fixture(autouse=True)
def indexes(web_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The indexes of reports, in a folder of their own."""
    from airflow_provider_lofty.ui import app
    from airflow_provider_lofty.ui.indexes import Indexes

    (tmp_path / "indexes").mkdir(mode=0o700)
    made = Indexes(tmp_path / "indexes")
    monkeypatch.setattr(app.desk, "_indexes", made)
    return made


def run_from_task(report_folder: Path) -> Ran:
    """Run the example Dag ``lofty_from_task``: of three rows two are delivered and one is unmatched."""
    before = {*report_folder.iterdir()}
    with Sandbox(SandboxSettings(known_leads="listed")) as lofty, pytest.MonkeyPatch.context() as patch:
        lofty.add_lead(4711, emails=["ada.sample@example.com"])
        connection = {"conn_type": "lofty", "host": lofty.url, "password": lofty.settings.api_key}
        connection["extra"] = json.dumps({"requests_per_minute": 60_000})
        patch.setenv("AIRFLOW_CONN_LOFTY_DEFAULT", json.dumps(connection))
        patch.setenv("AIRFLOW__LOFTY__REPORT_FOLDER", str(report_folder))
        patch.syspath_prepend(str(DAGS))
        sys.modules.pop("lofty_from_task", None)
        run = importlib.import_module("lofty_from_task").lofty_from_task().test()
    (report,) = {*report_folder.iterdir()} - before
    return Ran("lofty_from_task", run.run_id, "send_to_lofty", report)


@pytest.fixture(scope="session")
def ran(airflow_database: None, report_folder: Path) -> Ran:
    """A task that ran: see :func:`run_from_task`."""
    return run_from_task(report_folder)


@pytest.fixture
def report_at(ran: Ran) -> Any:
    """Put something else in the place of the task's report, and the report back in the end."""
    kept = ran.report.read_bytes()

    def put(content: bytes | None) -> Path:
        remove()
        if content is not None:
            ran.report.write_bytes(content)
        return ran.report

    def remove() -> None:
        if ran.report.is_dir() and not ran.report.is_symlink():
            ran.report.rmdir()
        ran.report.unlink(missing_ok=True)

    yield put
    put(kept)


def report_of(rows: list[dict[str, Any]], own: tuple[str, ...] = ("lead", "note")) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, [*own, *REPORT_COLUMNS], restval="")
    writer.writeheader()
    writer.writerows({**row, **{name: row.get(name, "") for name in own}} for row in rows)
    return stream.getvalue().encode("utf-8", "surrogatepass")


def fate(number: int, outcome: str = "invalid", error: str = "text must be text", **more: Any) -> dict[str, Any]:
    return {"lofty_source": "rows", "lofty_row_number": number, "lofty_outcome": outcome, "lofty_error": error, **more}
