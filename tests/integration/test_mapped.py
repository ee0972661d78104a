"""Mapped tasks on both sides of the operator, run by an Airflow of its own with an empty home."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.own_airflow import Ran, run_dag

from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings

SENDERS = ("all_shards", "each_shard", "each_row", "silent", "sql_file", "by_kwargs", "decorated", "group.send")
TEXTS = ["private-{{ conn.lofty_default.password }}", "private-{{first_name}}", "private-offer.sql"]
FOLDER = Path(__file__).resolve().parent / "mapped"


@pytest.fixture(scope="module")
def done(starts_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Ran]]:
    home = tmp_path_factory.mktemp("mapped")
    with closing(sqlite3.connect(home / "lite.db")) as database, database:
        database.execute("CREATE TABLE visits (lead_id, text, created)")
        kinds = {700: "sql", 701: "sql", 702: "sql", 703: "other"}
        rows = [(lead_id, f"private-{kind}", "2026-03-01") for lead_id, kind in kinds.items()]
        database.executemany("INSERT INTO visits VALUES (?, ?, ?)", rows)
    lite = {"conn_type": "sqlite", "host": str(home / "lite.db")}
    with Sandbox(SandboxSettings(requests_per_minute=600_000)) as lofty:
        extra = {"requests_per_minute": 600_000, "settle_seconds": 0.05}
        connection = {"conn_type": "lofty", "host": lofty.url, "password": lofty.settings.api_key, "extra": extra}
        connections = {"AIRFLOW_CONN_LOFTY_DEFAULT": json.dumps(connection), "AIRFLOW_CONN_LITE": json.dumps(lite)}
        yield lofty, run_dag(FOLDER, "mapped_rows", home, **connections)


def test_mapped_tasks_deliver_and_show_no_row(done: tuple[Sandbox, Ran]) -> None:
    lofty, result = done
    assert result.state == "success"
    arrived = sorted(activity.lead_id for activity in lofty.activities)
    shards = [100, 101, 200, 201, 300, 301]
    ways = [*shards, *shards, 400, 500, 600, 701, 702, 800, 801, 802, 900, 901, 902, 950, 951]  # each way once
    assert arrived == sorted(ways)
    shown = [fields for task_id, _, fields in result.rendered if task_id in SENDERS]
    assert len(shown) == 1 + 3 + 2 + 1 + 1 + 3 + 3 + 2
    assert "private-" not in json.dumps([fields["rows"] for fields in shown])
    pushed = {
        (task_id, index)
        for task_id, index, key, _ in result.xcoms
        if task_id in SENDERS and not key.startswith("_link_")  # which Airflow pushes by itself
    }
    assert pushed == {
        ("all_shards", -1),
        ("sql_file", -1),
        *(("each_shard", i) for i in range(3)),
        *(("each_row", i) for i in range(2)),
        *(("by_kwargs", i) for i in range(3)),
        *(("decorated", i) for i in range(3)),
        *(("group.send", i) for i in range(2)),
    }


def test_no_text_of_a_row_is_run_as_a_template(done: tuple[Sandbox, Ran]) -> None:
    lofty, result = done
    texts = {activity.lead_id: activity.body["text"] for activity in lofty.activities}
    assert [texts[lead_id] for lead_id in (800, 801, 802)] == TEXTS
    assert [texts[lead_id] for lead_id in (900, 901, 902)] == TEXTS
    assert texts[950] == TEXTS[0]
    assert lofty.settings.api_key not in result.log
