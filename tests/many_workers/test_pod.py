"""A task in a pod that is evicted while it sends: its retry, in another pod, goes on from there."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import psutil
import pytest
from support.cluster import Cluster
from support.pods import UID, can_make_pods

from airflow_provider_lofty.sandbox import Sandbox

ROWS = 400
DAG = """
from datetime import timedelta
from airflow.sdk import DAG
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator

with DAG("in_a_pod", schedule=None):
    LoftyAddActivityOperator(
        task_id="send",
        executor="PodExecutor",
        path={path!r},
        lofty_conn_id="lofty_of_pods",
        defaults={{"type": "Browse", "picture": "", "link": ""}},
        retries=5,
        retry_delay=timedelta(seconds=1),
    )
"""


@pytest.fixture
def dag(celery: None, starts_program: None, airflow: Cluster, folder: Path) -> None:
    """A Dag that reads a file, and keeps its journal in Airflow's task state store."""
    if not can_make_pods():
        pytest.skip("NOTHING WAS TESTED as in a pod: that takes root, and util-linux's unshare and setpriv")
    path = folder / "rows.csv"
    lines = [f"{1 + n % 90},Viewed home {n},{1763290000000 + n}" for n in range(ROWS)]
    path.write_text("\n".join(["lead_id,text,created", *lines]), encoding="utf-8")
    (airflow.dags / "in_a_pod.py").write_text(DAG.format(path=str(path)), encoding="utf-8")


def running_pod(airflow: Cluster) -> psutil.Process:
    """The process that a pod was started with; Airflow names it."""
    (pod,) = [each for each in airflow.scheduler.children() if "airflow supervisor: " in str(each.cmdline())]
    return pod


def is_confined(process: psutil.Process) -> bool:
    """Whether it is nobody's, and cannot write where it likes."""
    mounts = [line.split() for line in Path(f"/proc/{process.pid}/mounts").read_text(encoding="utf-8").splitlines()]
    root = [options.split(",")[0] for _, where, _, options, *_ in mounts if where == "/"]
    return root[-1] == "ro" and process.uids().effective == int(UID)


def test_an_evicted_pod_and_a_new_api_server_lose_nothing_and_send_nothing_twice(
    airflow: Cluster, lofty_of_pods: Sandbox, dag: None
) -> None:
    airflow.trigger("in_a_pod", "first")
    airflow.wait_for_rows(lofty_of_pods, 50)
    pod = running_pod(airflow)
    assert is_confined(pod)
    pod.send_signal(signal.SIGTERM)
    airflow.wait_for_rows(lofty_of_pods, 50)
    airflow.api_server.kill()
    airflow.api_server.start()
    airflow.wait_until(airflow.is_healthy, "the API server is back")
    airflow.wait_until(lambda: airflow.state("in_a_pod", "first") in ("success", "failed"), "the run ends")

    assert airflow.state("in_a_pod", "first") == "success"
    assert airflow.task("in_a_pod", "first", "send")["try_number"] > 1
    summary = airflow.returned("in_a_pod", "first", "send")
    assert summary["delivered"] + summary["already_delivered"] == summary["read"] == ROWS
    assert Counter(activity.body["text"] for activity in lofty_of_pods.activities) == {
        f"Viewed home {n}": 1 for n in range(ROWS)
    }
