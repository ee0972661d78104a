"""A whole Airflow in processes of its own: scheduler, API server, LocalExecutor."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from support.guard import guarded

WAIT_SECONDS = 300.0  # for Airflow to start, or to do what it was asked to
# Below the system's ephemeral ports: one of those could go to another test before Airflow binds it.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Pick a port on which nothing listens."""
    while True:
        port = random.choice(PORTS)  # noqa: S311
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


@contextmanager
def one_at_a_time(file: Path) -> Iterator[None]:
    """Wait until no other process is in here with the same file."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Standalone:
    """
    ``airflow standalone`` with a home and a Dag folder of its own; no login is asked for.

    :param home: an empty folder
    :param environment: further variables, such as connections
    """

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.dags = home / "dags"
        self.dags.mkdir()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._environment = {
            **os.environ,
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),  # it calls "airflow"
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "PYTHONWARNINGS": "ignore",
            **environment,
        }
        self._log = (home / "standalone.log").open("wb")
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = ExitStack()
        self._token = ""

    def __enter__(self) -> Standalone:
        # Several starts at once would slow each other past the limit.
        with one_at_a_time(Path(tempfile.gettempdir(), f"airflow-starts-{os.getuid()}")):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow", "standalone"], cwd=self.dags.parent,  # not where the package lies
                env=self._environment, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._guard.enter_context(guarded("session", self._process.pid))
            try:
                self._wait_until_healthy()
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process is not None
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, how)
                self._process.wait(15)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self._guard.close()
        self._log.close()

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, f"airflow standalone has exited: {self._last_said()}"
            try:
                health = self._ask("GET", "/api/v2/monitor/health")
                if all((health[part] or {}).get("status") == "healthy" for part in ("scheduler", "dag_processor")):
                    self._token = self._ask("GET", "/auth/token", None)["access_token"]
                    return
            except (OSError, KeyError):
                pass
            time.sleep(0.5)
        raise AssertionError(f"airflow standalone did not become healthy: {self._last_said()}")

    def _said(self) -> str:
        return (self.dags.parent / "standalone.log").read_text(encoding="utf-8", errors="replace")

    def _last_said(self) -> str:
        return self._said()[-5000:]

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Make a request to the public API; wait while it answers 404."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return self._ask(method, path, body)
            except urllib.error.HTTPError as error:
                if error.code != 404 or time.monotonic() > deadline:
                    raise AssertionError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from None
                time.sleep(0.5)

    def trigger(self, dag_id: str, run_id: str) -> None:
        """Start a Dag run."""
        self.ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None})

    def clear(self, dag_id: str, run_id: str) -> None:
        """Clear all tasks of a Dag run, so that they run again."""
        self.ask(
            "POST", f"/api/v2/dags/{dag_id}/clearTaskInstances",
            {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True},
        )  # fmt: skip

    def state(self, dag_id: str, run_id: str) -> str:
        """The state of a Dag run."""
        return str(self.ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """A task instance."""
        found: dict[str, Any] = self.ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")
        return found

    def has_logged(self, *words: str) -> bool:
        """Whether the scheduler or the API server has logged a line with all of these."""
        return any(all(word in line for word in words) for line in self._said().splitlines())

    def returned(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What a task returned."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        value = self.ask("GET", path)["value"]
        return json.loads(value) if isinstance(value, str) else value
