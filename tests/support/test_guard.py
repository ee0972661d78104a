"""A run of the tests that is killed leaves nothing running."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
WAIT_SECONDS = 60.0
NEEDS_MARIADB = pytest.mark.skipif(not shutil.which("mariadbd"), reason="MariaDB is not installed")

WITH_POSTGRES = """
import time
from contextlib import closing
from pathlib import Path
import psycopg2
from support.warehouse import postgres_uri
from support.watch import starts_server

def test_forever(postgres_uri):
    with closing(psycopg2.connect(postgres_uri)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        folder = Path(cursor.fetchone()[0])
    print("STARTED", (folder / "postmaster.pid").read_text().split()[0], folder, flush=True)
    time.sleep(600)
"""

WITH_MARIADB = """
import time
from pathlib import Path
from support.mariadb import mariadb
from support.watch import starts_program, starts_server

def test_forever(mariadb):
    folder = mariadb.socket.parent
    print("STARTED", (folder / "pid").read_text().strip(), folder, flush=True)
    time.sleep(600)
"""

# The background job of a shell with job control is a process group of its own, as Airflow's tasks are.
WITH_A_SESSION = """
import subprocess, time
from support.guard import guarded

shell = subprocess.Popen(["sh", "-mc", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True, start_new_session=True)
with guarded("session", shell.pid):
    print("STARTED", shell.pid, shell.stdout.readline(), flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run Python until it has said what it started; kill it if it is still there at the end."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("STARTED"):
                break
        try:
            assert "STARTED" in said, said
            yield process, said.partition("STARTED")[2].split()
        finally:
            process.kill()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # dead, but nobody has asked for its exit code yet


def becomes_false(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_SECONDS
    while condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not condition()


@pytest.mark.server
@pytest.mark.parametrize("started", [
    pytest.param(WITH_POSTGRES, id="postgresql"),
    pytest.param(WITH_MARIADB, id="mariadb", marks=NEEDS_MARIADB),
])  # fmt: skip
def test_a_killed_pytest_leaves_no_database(tmp_path: Path, started: str) -> None:
    module = tmp_path / "test_forever.py"
    module.write_text(started, encoding="utf-8")
    with running("-m", "pytest", "-s", "-q", "-p", "no:cacheprovider", str(module)) as (process, (pid, folder)):
        assert is_running(int(pid))
        process.kill()
        process.wait()
        assert becomes_false(lambda: is_running(int(pid)) or Path(folder).exists())


@pytest.mark.server
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "interrupted"])
def test_a_killed_program_leaves_no_process_of_a_guarded_session(*, kill: bool) -> None:
    with running("-c", WITH_A_SESSION) as (process, (leader, job)):
        assert is_running(int(leader))
        assert is_running(int(job))
        process.kill() if kill else process.terminate()
        process.wait()
        assert becomes_false(lambda: is_running(int(leader)) or is_running(int(job)))
