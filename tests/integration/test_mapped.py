"""Mapped tasks on both sides of the operator, run by an Airflow of its own with an empty home."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_lofty.sandbox import Sandbox

FOLDER = Path(__file__).resolve().parent / "mapped"

RUN = """
import json, sys
from airflow.utils.db import initdb
initdb()
sys.path.insert(0, sys.argv[1])
from mapped_rows import made
run = made.test()
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import select
with create_session() as session:
    rendered = [[f.task_id, f.map_index, f.rendered_fields] for f in session.scalars(select(RenderedTaskInstanceFields))]
    found = [x for x in session.scalars(select(XComModel)) if not x.key.startswith("_link_")]  # Airflow's own
    xcoms = [[x.task_id, x.map_index, x.value] for x in found]
print("RESULT" + json.dumps({"state": str(run.state.value), "rendered": rendered, "xcoms": xcoms}))
"""


@pytest.fixture
def result(lofty: Sandbox, connect: Callable[..., None], tmp_path: Path) -> dict[str, Any]:
    connect(lofty)
    with closing(sqlite3.connect(tmp_path / "lite.db")) as database, database:
        database.execute("CREATE TABLE visits (lead_id, text, created)")
        kinds = {700: "sql", 701: "sql", 702: "sql", 703: "other"}
        rows = [(lead_id, f"private-{kind}", "2026-03-01") for lead_id, kind in kinds.items()]
        database.executemany("INSERT INTO visits VALUES (?, ?, ?)", rows)
    lite = {"conn_type": "sqlite", "host": str(tmp_path / "lite.db")}
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__DAGS_FOLDER": str(FOLDER)}
    environment["AIRFLOW_CONN_LITE"] = json.dumps(lite)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(FOLDER)], env=environment, capture_output=True, text=True, check=False
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert found, done.stdout[-3000:] + done.stderr[-3000:]
    parsed: dict[str, Any] = json.loads(found[0].removeprefix("RESULT"))
    return parsed


def test_mapped_tasks_deliver_and_show_no_row(lofty: Sandbox, result: dict[str, Any]) -> None:
    assert result["state"] == "success"
    arrived = sorted(activity.lead_id for activity in lofty.activities)
    shards = [100, 101, 200, 201, 300, 301]
    assert arrived == sorted([*shards, *shards, 400, 500, 600, 701, 702])  # each way once
    shown = [fields for task_id, _, fields in result["rendered"] if task_id != "shard"]
    assert len(shown) == 1 + 3 + 2 + 1 + 1
    assert "private-" not in json.dumps([fields["rows"] for fields in shown])
    pushed = {(task_id, index) for task_id, index, _ in result["xcoms"] if task_id != "shard"}
    assert pushed == {
        ("all_shards", -1),
        ("sql_file", -1),
        *(("each_shard", i) for i in range(3)),
        *(("each_row", i) for i in range(2)),
    }
