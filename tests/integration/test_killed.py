"""A task under a real scheduler, killed again and again with SIGKILL: nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.standalone import Standalone
from support.statsd import StatsdListener

from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings

ROWS = 600
# Before 3.3 there is no store for a journal, and each try reads every lead: three kills show it.
KILLS = 10 if find_spec("airflow.sdk.definitions.retry_policy") else 3
SECONDS = 900.0

DAG = '''
import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator


def link(row):
    """Tell who to kill."""
    Path({folder!r}, "pid").write_text(str(os.getpid()))
    return "https://homes.example.com/" + str(row["n"])


with DAG("killed", schedule=None):
    LoftyAddActivityOperator(
        task_id="send",
        path={path!r},
        mapping={{"leadId": "lead", "link": link}},
        defaults={{"type": "Browse", "picture": ""}},
        retries=30,
        retry_delay=timedelta(seconds=1),
    )
'''


@pytest.fixture
def lofty(starts_server: None) -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(requests_per_minute=6000, latency_seconds=0.05)) as sandbox:
        yield sandbox


@pytest.fixture
def statsd() -> Iterator[StatsdListener]:
    with StatsdListener() as listener:
        yield listener


@pytest.fixture
def airflow(lofty: Sandbox, statsd: StatsdListener, tmp_path: Path) -> Iterator[Standalone]:
    connection = {
        "conn_type": "lofty",
        "host": lofty.url,
        "password": lofty.settings.api_key,
        "extra": {"requests_per_minute": 3000, "max_in_flight": 8, "timeout_seconds": 1, "settle_seconds": 2},
    }
    path = tmp_path / "rows.csv"
    lines = [f"{1 + n % 90},{n},Viewed home {n},{1763290000000 + n}" for n in range(ROWS)]
    path.write_text("\n".join(["lead,n,text,created", *lines]), encoding="utf-8")
    home = tmp_path / "airflow"
    home.mkdir()
    with Standalone(home, {"AIRFLOW_CONN_LOFTY_DEFAULT": json.dumps(connection), **statsd.environment}) as standalone:
        (standalone.dags / "killed.py").write_text(DAG.format(folder=str(tmp_path), path=str(path)), encoding="utf-8")
        yield standalone


def kill(pid_file: Path) -> bool:
    """Kill whoever reads the rows now."""
    with suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid = int(pid_file.read_text())
        pid_file.unlink()
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def test_kills_and_a_clear_lose_nothing_and_send_nothing_twice(
    lofty: Sandbox, airflow: Standalone, statsd: StatsdListener, tmp_path: Path
) -> None:
    chance = random.Random(4)  # noqa: S311 - repeatable is what it must be
    airflow.trigger("killed", "first")
    pid_file = tmp_path / "pid"
    kills, deadline = 0, time.monotonic() + SECONDS
    next_kill = chance.randint(1, 60)  # counted in rows that arrived; the first may be the first of a try
    while airflow.state("killed", "first") not in ("success", "failed"):
        assert time.monotonic() < deadline, "the task did not end"
        if kills < KILLS and len(lofty.activities) >= next_kill and kill(pid_file):
            kills, next_kill = kills + 1, len(lofty.activities) + chance.randint(1, 60)
        time.sleep(chance.uniform(0.0, 0.2))
    assert airflow.state("killed", "first") == "success"
    assert kills == KILLS
    arrived = Counter(activity.body["text"] for activity in lofty.activities)
    assert len(arrived) == ROWS
    assert set(arrived.values()) == {1}
    summary = airflow.returned("killed", "first", "send")
    assert summary["delivered"] + summary["already_delivered"] == ROWS
    # A try that was killed has told nothing; what it delivered, the last one met again.
    tags = {"dag_id": "killed", "task_id": "send", "state": "success"}
    rows = {outcome: summary[outcome] for outcome in ("read", "delivered", "already_delivered", "invalid")}
    assert {name: statsd.counted(f"airflow.lofty.rows.{name}", tags) for name in rows} == rows
    assert statsd.counted("airflow.lofty.requests", tags) == summary["requests"]

    posts = len([request for request in lofty.requests if request.method == "POST"])
    tries = airflow.task("killed", "first", "send")["try_number"]
    assert tries > KILLS
    airflow.clear("killed", "first")
    while airflow.task("killed", "first", "send")["try_number"] == tries or (
        airflow.state("killed", "first") not in ("success", "failed")
    ):
        assert time.monotonic() < deadline, "the cleared task did not end"
        time.sleep(0.3)
    assert airflow.state("killed", "first") == "success"
    assert airflow.returned("killed", "first", "send")["already_delivered"] == ROWS
    assert statsd.counted("airflow.lofty.rows.already_delivered", tags) == summary["already_delivered"] + ROWS
    assert len([request for request in lofty.requests if request.method == "POST"]) == posts
