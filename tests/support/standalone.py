"""A whole Airflow in processes of its own: scheduler, API server, LocalExecutor."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psutil

from support.airflow_api import WAIT_SECONDS, AirflowApi
from support.guard import guarded

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


@contextmanager
def suspended(processes: Sequence[psutil.Process], database: Path) -> Iterator[None]:
    """Suspend them for a while, but not in the middle of a write: that would keep all others from SQLite's file."""
    try:
        for _ in range(50):
            for process in processes:
                process.suspend()
            if can_be_written(database):
                break
            for process in processes:
                process.resume()
            time.sleep(random.uniform(0.0, 0.2))  # noqa: S311
        else:
            raise AssertionError(f"whenever they were suspended {database} was locked")
        yield
    finally:
        for process in processes:
            process.resume()


def can_be_written(database: Path) -> bool:
    """Whether nobody else keeps this file of SQLite for longer than a write takes."""
    with closing(sqlite3.connect(database, timeout=0.5, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
    return True


class Standalone(AirflowApi):
    """
    ``airflow standalone`` with a home and a Dag folder of its own; no login is asked for.

    :param home: an empty folder
    :param environment: further variables, such as connections
    """

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.dags = home / "dags"
        self.dags.mkdir()
        port = free_port()
        super().__init__(f"http://127.0.0.1:{port}")
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
            if self.is_healthy():
                return
            time.sleep(0.5)
        raise AssertionError(f"airflow standalone did not become healthy: {self._last_said()}")

    def _said(self) -> str:
        return (self.dags.parent / "standalone.log").read_text(encoding="utf-8", errors="replace")

    def _last_said(self) -> str:
        return self._said()[-5000:]

    @contextmanager
    def api_server_away(self) -> Iterator[None]:
        """Let nobody get an answer from the API server for a while."""
        assert self._process is not None
        servers = [each for each in psutil.Process(self._process.pid).children() if _serves_the_api(each)]
        assert servers
        with suspended(servers, self.dags.parent / "airflow.db"):
            yield

    def log_of_try(self, dag_id: str, run_id: str, task_id: str, number: int) -> str:
        """What a try has logged so far."""
        folder = self.dags.parent / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        return (folder / f"attempt={number}.log").read_text(encoding="utf-8")

    def has_logged(self, *words: str) -> bool:
        """Whether the scheduler or the API server has logged a line with all of these."""
        return any(all(word in line for word in words) for line in self._said().splitlines())


def _serves_the_api(process: psutil.Process) -> bool:
    return "airflow api_server" in str(process.cmdline())
