"""XComs in object storage: what the page needs is there, and no object is left behind that nobody knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.own_airflow import Ran, run_dag

from airflow_provider_lofty.sandbox import Sandbox

# Airflow starts in a process of its own.
pytestmark = pytest.mark.filterwarnings("default")

STORE = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
DAG = """
from airflow.sdk import DAG
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator

ROWS = [
    {"lead_id": n, "type": "Browse", "text": "a home", "link": "https://www.example.com", "picture": "",
     "created": 1763290000000 + n}
    for n in range(1, 241)
]
with DAG("stored", schedule=None) as made:
    LoftyAddActivityOperator(task_id="send", rows=ROWS, check_existing="never")
"""


def run_with(lofty: Sandbox, folder: Path, threshold: int) -> tuple[Ran, list[Path]]:
    """Run a Dag that shows for some seconds how far it is; give what it left, and the objects in the store."""
    (folder / "dags").mkdir()
    (folder / "dags" / "stored.py").write_text(DAG, encoding="utf-8")
    lofty.change(latency_seconds=0.5)
    connection = {"conn_type": "lofty", "host": lofty.url, "password": lofty.settings.api_key}
    connection["extra"] = json.dumps({"requests_per_minute": 600_000, "max_in_flight": 16})
    ran = run_dag(
        folder / "dags", "stored", folder,
        AIRFLOW_CONN_LOFTY_DEFAULT=json.dumps(connection),
        AIRFLOW__CORE__XCOM_BACKEND=STORE,
        AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH=(folder / "xcoms").as_uri(),
        AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD=str(threshold),
    )  # fmt: skip
    return ran, [path for path in (folder / "xcoms").rglob("*") if path.is_file()]


def left(ran: Ran) -> dict[str, Any]:
    return {key: value for _, _, key, value in ran.xcoms}


def test_each_object_in_the_store_belongs_to_an_xcom(lofty: Sandbox, tmp_path: Path) -> None:
    ran, objects = run_with(lofty, tmp_path, 0)
    assert ran.state == "success", ran.log[-3000:]
    values = left(ran)
    assert {f"file://{path}" for path in objects} == {values["lofty_progress"], values["return_value"]}
    stored = {f"file://{path}": json.loads(path.read_bytes()) for path in objects}
    assert stored[values["lofty_progress"]]["summary"]["delivered"] == 240
    assert "/lofty/rows/stored/" in values["_link_LoftyReportLink"]


def test_where_the_store_leaves_it_in_the_database_nothing_is_different(lofty: Sandbox, tmp_path: Path) -> None:
    ran, objects = run_with(lofty, tmp_path, 1_000_000)
    assert left(ran)["lofty_progress"]["phase"] == "ended"
    assert objects == []
