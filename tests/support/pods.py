"""Tasks as they run in pods: nobody's processes, which may write nowhere but in a temporary folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from airflow.executors.base_executor import BaseExecutor
from airflow.executors.workloads import ExecuteTask

UID = "54321"  # which no passwd file knows
_WITH_MOUNTS_OF_ITS_OWN = ("unshare", "--mount")
# The command of Airflow's executor for Kubernetes.
_COMMAND = (sys.executable, "-m", "airflow.sdk.execution_time.execute_workload", "--json-string")
# All is read-only but "$TMPDIR". Python and the checkout may lie in somebody's home: the process may read what only
# another user may, and write nothing for it.
_IN_A_POD = f"""
mount --bind "$TMPDIR" "$TMPDIR" && mount -o remount,ro,bind / && cd / || exit 1
exec setpriv --reuid {UID} --regid {UID} --clear-groups --no-new-privs \
    --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search "$@"
"""


def can_make_pods() -> bool:
    """Whether this process may give another one a user and mounts of its own."""
    if os.geteuid() != 0:
        return False
    tried = subprocess.run([*_WITH_MOUNTS_OF_ITS_OWN, "setpriv", "--reuid", UID, "true"], check=False)
    return tried.returncode == 0


class PodExecutor(BaseExecutor):
    """Runs each workload in a pod of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pods: dict[Any, subprocess.Popen[bytes]] = {}

    def _process_workloads(self, workload_items: Sequence[ExecuteTask]) -> None:  # type: ignore[override]
        for workload in workload_items:
            del self.queued_tasks[workload.ti.key]
            self.running.add(workload.ti.key)
            self._pods[workload.ti.key] = _start(workload)

    def sync(self) -> None:
        for key, pod in list(self._pods.items()):
            if pod.poll() is not None:
                del self._pods[key]
                (self.success if pod.returncode == 0 else self.fail)(key)

    def end(self) -> None:
        """Leave the pods alone, as Kubernetes does; they end with the scheduler's session."""


def _start(workload: ExecuteTask) -> subprocess.Popen[bytes]:
    folder = tempfile.mkdtemp(prefix="pod-")
    os.chown(folder, int(UID), int(UID))
    return subprocess.Popen(
        [*_WITH_MOUNTS_OF_ITS_OWN, "sh", "-c", _IN_A_POD, "pod", *_COMMAND, workload.model_dump_json()],
        env=_environment(folder),
    )


def _environment(folder: str) -> dict[str, str]:
    """What a pod is told: no home, and nothing of Airflow's database. Without USER, Airflow asks passwd for a name."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__DATABASE")}
    del known["HOME"]
    return {
        **known,
        "AIRFLOW_HOME": "/opt/airflow",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{folder}/logs",
        "TMPDIR": folder,
        "USER": "airflow",
    }
