"""The example Dag with an approval, under a real scheduler: nothing is sent before somebody says yes, and only that."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.standalone import WAIT_SECONDS, Standalone

from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings

DAG = Path(__file__).resolve().parents[2] / "dags" / "lofty_with_approval.py"


@pytest.fixture
def fast_lofty(starts_server: None) -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(requests_per_minute=600_000)) as sandbox:
        yield sandbox


@pytest.fixture
def airflow(fast_lofty: Sandbox, tmp_path: Path) -> Iterator[Standalone]:
    lines = [f"{n},Viewed home {n},https://www.example.com,{1763290000000 + n}" for n in range(1, 21)]
    lines.append("x,Viewed home,https://www.example.com,1763290000000")
    (tmp_path / "rows.csv").write_text("\n".join(["lead_id,text,link,created", *lines]), encoding="utf-8")
    connection = {"conn_type": "lofty", "host": fast_lofty.url, "password": fast_lofty.settings.api_key}
    environment = {
        "AIRFLOW_CONN_LOFTY_DEFAULT": json.dumps(connection),
        "AIRFLOW_VAR_LOFTY_FOLDER": str(tmp_path),
        "AIRFLOW__LOFTY__REPORT_FOLDER": str(tmp_path / "reports"),
    }
    home = tmp_path / "airflow"
    home.mkdir()
    with Standalone(home, environment) as standalone:
        shutil.copy(DAG, standalone.dags)
        yield standalone


def wait_for(airflow: Standalone, run_id: str, task_id: str, *states: str) -> str:
    deadline = time.monotonic() + WAIT_SECONDS
    while (state := airflow.task("lofty_with_approval", run_id, task_id)["state"]) not in states:
        assert time.monotonic() < deadline, f"{task_id} of {run_id} is {state}"
        time.sleep(0.5)
    return str(state)


def wait_until_it_is_parked(airflow: Standalone, run_id: str) -> None:
    """Wait for the scheduler to have heard of it, as whoever answers does: an answer before that fails the task."""
    wait_for(airflow, run_id, "approve", "deferred", "awaiting_input")
    deadline = time.monotonic() + WAIT_SECONDS
    while not airflow.has_logged("Received executor event with state", "task_id='approve'", f"run_id='{run_id}'"):
        assert time.monotonic() < deadline, "the scheduler did not hear of it"
        time.sleep(0.5)


def answer(airflow: Standalone, run_id: str, option: str) -> None:
    place = f"/api/v2/dags/lofty_with_approval/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    assert airflow.ask("GET", place)["subject"] == "Send 20 activities to Lofty?"
    airflow.ask("PATCH", place, {"chosen_options": [option], "params_input": {}})


def outcome(airflow: Standalone, run_id: str) -> str:
    return wait_for(airflow, run_id, "send_to_lofty", "success", "failed", "skipped", "upstream_failed")


def test_nothing_is_sent_before_somebody_says_yes_and_nothing_else_after(
    fast_lofty: Sandbox, airflow: Standalone, tmp_path: Path
) -> None:
    run_ids = ("refused", "changed", "approved")
    for run_id in run_ids:
        airflow.trigger("lofty_with_approval", run_id)
    for run_id in run_ids:
        assert wait_for(airflow, run_id, "preview", "success", "failed") == "success"
        wait_until_it_is_parked(airflow, run_id)

    answer(airflow, "refused", "Reject")
    assert outcome(airflow, "refused") == "skipped"

    file = tmp_path / "rows.csv"
    before = file.read_text("utf-8")
    file.write_text(before.replace("Viewed home 7,", "Viewed home 8,"), "utf-8")
    answer(airflow, "changed", "Approve")
    assert outcome(airflow, "changed") == "failed"
    (log,) = (tmp_path / "airflow" / "logs").glob("**/run_id=changed/task_id=send_to_lofty/*.log")
    assert "rows since the preview: 1 new, 1 gone, 0 changed" in log.read_text("utf-8")
    file.write_text(before, "utf-8")

    assert fast_lofty.requests == []
    answer(airflow, "approved", "Approve")
    assert outcome(airflow, "approved") == "success"
    assert sorted(activity.lead_id for activity in fast_lofty.activities) == list(range(1, 21))
