"""Mapped tasks on both sides of the operator, run by an Airflow of its own with an empty home."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.own_airflow import Ran, run_dag

from airflow_provider_lofty.sandbox import Sandbox

FOLDER = Path(__file__).resolve().parent / "mapped"


@pytest.fixture
def result(lofty: Sandbox, connect: Callable[..., None], tmp_path: Path) -> Ran:
    connect(lofty)
    with closing(sqlite3.connect(tmp_path / "lite.db")) as database, database:
        database.execute("CREATE TABLE visits (lead_id, text, created)")
        kinds = {700: "sql", 701: "sql", 702: "sql", 703: "other"}
        rows = [(lead_id, f"private-{kind}", "2026-03-01") for lead_id, kind in kinds.items()]
        database.executemany("INSERT INTO visits VALUES (?, ?, ?)", rows)
    lite = {"conn_type": "sqlite", "host": str(tmp_path / "lite.db")}
    return run_dag(FOLDER, "mapped_rows", tmp_path, AIRFLOW_CONN_LITE=json.dumps(lite))


def test_mapped_tasks_deliver_and_show_no_row(lofty: Sandbox, result: Ran) -> None:
    assert result.state == "success"
    arrived = sorted(activity.lead_id for activity in lofty.activities)
    shards = [100, 101, 200, 201, 300, 301]
    assert arrived == sorted([*shards, *shards, 400, 500, 600, 701, 702])  # each way once
    shown = [fields for task_id, _, fields in result.rendered if task_id != "shard"]
    assert len(shown) == 1 + 3 + 2 + 1 + 1
    assert "private-" not in json.dumps([fields["rows"] for fields in shown])
    pushed = {
        (task_id, index)
        for task_id, index, key, _ in result.xcoms
        if task_id != "shard" and not key.startswith("_link_")  # which Airflow pushes by itself
    }
    assert pushed == {
        ("all_shards", -1),
        ("sql_file", -1),
        *(("each_shard", i) for i in range(3)),
        *(("each_row", i) for i in range(2)),
    }
