"""A whole Airflow of many machines, each played by processes of their own: Celery workers that know no database."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil

from airflow_provider_lofty.sandbox import Sandbox
from support.airflow_api import WAIT_SECONDS, AirflowApi
from support.guard import guarded, kill_session
from support.standalone import free_port

TESTS = Path(__file__).resolve().parents[1]
TASK = "airflow worker -- "  # what Airflow calls the process in which a task runs; a worker's own is without the dashes
SLOTS = 3


class Member:
    """
    A process of the cluster, the leader of a session, with a home and a temporary folder of its own.

    :param home: a folder that does not exist yet
    :param command: what to run, with its arguments
    :param environment: all that it knows
    """

    def __init__(self, home: Path, command: list[str], environment: dict[str, str]) -> None:
        (home / "tmp").mkdir(parents=True)
        self.home = home
        self._command = command
        self._environment = {**environment, "AIRFLOW_HOME": str(home), "TMPDIR": str(home / "tmp"), "HOME": str(home)}
        self._guard = ExitStack()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Member:
        """Start it, or start it again."""
        self._guard.close()
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=self.home, env=self._environment, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self._guard.enter_context(guarded("session", self.process.pid))
        return self

    def run(self) -> None:
        """Run it to its end."""
        assert self.start().wait() == 0, self.last_said()

    def wait(self) -> int:
        """Wait for its end; give its exit code."""
        assert self.process is not None
        return self.process.wait(WAIT_SECONDS)

    def kill(self) -> None:
        """Kill it and all that it has started, as a machine that goes down does."""
        if self.process is not None:
            kill_session(str(self.process.pid))
            self.process.wait()
        self._guard.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it alone."""
        assert self.process is not None
        self.process.send_signal(number)

    def tasks(self) -> list[psutil.Process]:
        """The processes in which it runs tasks; the parent of each is its supervisor."""
        return [each for each in self.children() if _runs_a_task(each)]

    def children(self) -> list[psutil.Process]:
        """All that it has started, and that these have started."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def last_said(self) -> str:
        """The end of its log."""
        return (self.home / "log").read_text(encoding="utf-8", errors="replace")[-5000:]


def _runs_a_task(process: psutil.Process) -> bool:
    try:
        return "".join(process.cmdline()[:1]).startswith(TASK)
    except psutil.Error:
        return False


class Cluster(AirflowApi):
    """
    Redis, API server, scheduler, Dag processor and three Celery workers.

    :param folder: an empty folder
    :param metadata: URL of Airflow's own database, which workers are not told
    :param environment: what all of them are told, such as connections
    """

    def __init__(self, folder: Path, metadata: str, environment: dict[str, str]) -> None:
        port, redis = free_port(), free_port()
        super().__init__(f"http://127.0.0.1:{port}")
        self.dags = folder / "dags"
        self.dags.mkdir()
        self._folder = folder
        self._known_to_all = {**_settings(self.url, f"redis://127.0.0.1:{redis}", self.dags), **environment}
        self._of_the_center = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata}
        self.redis = Member(folder / "redis", _redis_command(redis), dict(os.environ))
        self.api_server = self._member("api-server", "--host", "127.0.0.1", "--port", str(port))
        self.scheduler = self._member("scheduler", "--skip-serve-logs")
        self.dag_processor = self._member("dag-processor")
        self.workers = [self._worker(f"worker{number}") for number in (1, 2, 3)]

    def _member(self, *command: str) -> Member:
        known = {**self._known_to_all, **self._of_the_center}
        return Member(self._folder / command[0], [sys.executable, "-m", "airflow", *command], known)

    def _worker(self, name: str) -> Member:
        command = ["celery", "worker", "--concurrency", str(SLOTS), "--celery-hostname", name, "--skip-serve-logs"]
        return Member(
            self._folder / name, [sys.executable, "-m", "airflow", *command, "--without-gossip"], self._known_to_all
        )

    def _all(self) -> Iterator[Member]:
        yield from (*self.workers, self.dag_processor, self.scheduler, self.api_server, self.redis)

    def __enter__(self) -> Cluster:
        try:
            self.redis.start()
            self._member("db", "migrate").run()
            for member in (self.api_server, self.scheduler, self.dag_processor, *self.workers):
                member.start()
            self.wait_until(self.is_healthy, "it is healthy")
            self.wait_until(lambda: all(_is_ready(worker) for worker in self.workers), "its workers are ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for member in self._all():
            member.kill()

    def wait_until(self, happens: Callable[[], bool], what: str) -> None:
        """
        Wait for something, while everything that should run does.

        :param happens: a function
        :param what: what is waited for, for the error
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while not happens():
            assert time.monotonic() < deadline, f"waited in vain until {what}: {self.scheduler.last_said()}"
            for member in (self.scheduler, self.dag_processor):
                assert member.process is not None
                assert member.process.poll() is None, member.last_said()
            time.sleep(0.2)

    def wait_for_rows(self, lofty: Sandbox, more: int) -> None:
        """Wait until so many more rows have arrived."""
        wanted = len(lofty.activities) + more
        self.wait_until(lambda: len(lofty.activities) >= wanted, f"{more} more rows arrive")

    def running_tasks(self) -> int:
        """How many tasks the workers run."""
        return sum(len(worker.tasks()) for worker in self.workers)


def _is_ready(worker: Member) -> bool:
    assert worker.process is not None
    assert worker.process.poll() is None, worker.last_said()
    return " ready." in worker.last_said()


def _redis_command(port: int) -> list[str]:
    program = shutil.which("redis-server")
    assert program is not None
    return [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]


def _settings(url: str, redis: str, dags: Path) -> dict[str, str]:
    """What each process is told; the secrets are the same for all."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return {
        **inherited,
        "PYTHONPATH": str(TESTS),
        "PYTHONWARNINGS": "ignore",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor,PodExecutor:support.pods.PodExecutor",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__CELERY__BROKER_URL": f"{redis}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"{redis}/1",
        "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    }
