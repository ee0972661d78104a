"""Airflow's own pages for the demo: everything that Airflow is made of, until Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_SECONDS = 300
_PORT = 8080  # Airflow's own


@contextmanager
def airflow(home: Path) -> Iterator[Airflow]:
    """Run ``airflow standalone``, without a login and for this machine alone, and end it with all that it started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # what was started must not outlive this process
    running = Airflow(home)
    try:
        running.wait()
        yield running
    finally:
        running.stop()


class Airflow:
    """
    A whole Airflow in processes of its own.

    :param home: where it keeps its database and its log
    """

    def __init__(self, home: Path) -> None:
        port = _free(_PORT)
        self.url = f"http://127.0.0.1:{port}"
        self.log = home / "standalone.log"
        settings = {
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(_free()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(_free()),
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),  # it calls "airflow"
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow", "standalone"],
                cwd=home, env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        """Wait until it can run a Dag."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                health = self.ask("GET", "/api/v2/monitor/health")
                if all((health[part] or {}).get("status") == "healthy" for part in ("scheduler", "dag_processor")):
                    return
            except (OSError, KeyError):
                pass
            time.sleep(0.5)
        sys.exit(f"==> Airflow did not start; its output is in {self.log}")

    def stop(self) -> None:
        """End it and everything that it started."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, how)
                self._process.wait(15)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue

    def trigger(self, dag_id: str) -> str:
        """Run a Dag, as soon as Airflow has found it, and no other; gives the run's id."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.ask("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})
                return str(self.ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"])
            except urllib.error.HTTPError as error:
                if error.code != 404 or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Make a request to Airflow's API."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token()}"}
        data = None if body is None else json.dumps(body).encode()
        return _answer(urllib.request.Request(f"{self.url}{path}", data, headers, method=method))  # noqa: S310

    def _token(self) -> str:
        return str(_answer(urllib.request.Request(f"{self.url}/auth/token"))["access_token"])  # noqa: S310


def _answer(request: urllib.request.Request) -> Any:
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.loads(answer.read())


def _free(port: int = 0) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return _free()
        return int(probe.getsockname()[1])
