"""
Nothing that the tests start outlives them, even when they are killed.

A process that gets SIGKILL cannot clean up. A guard does it instead: a process that waits at a pipe of which only the
tests hold the other end, so that its closing says that they are gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


def stop_postgres(folder: str) -> None:
    """Stop the PostgreSQL server whose data lie in a folder, and remove the folder."""
    with contextlib.suppress(OSError, ValueError, IndexError):  # it may not have started yet
        pid = int(Path(folder, "postmaster.pid").read_text(encoding="utf-8").split()[0])
        os.kill(pid, signal.SIGQUIT)  # PostgreSQL's immediate shutdown
        for _ in range(200):  # as long as it runs it writes into the folder
            os.kill(pid, 0)
            time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def stop_mariadb(folder: str) -> None:
    """Stop the MariaDB server that was started in a folder, and remove the folder."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(Path(folder, "pid").read_text(encoding="utf-8"))
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def kill_session(leader: str) -> None:
    """Kill a process that leads a session and all that it has started; Airflow's tasks are groups of their own."""
    for _ in range(2):  # once more, for what was started meanwhile
        for pid in [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]:
            with contextlib.suppress(OSError):
                if os.getsid(pid) == int(leader):
                    os.kill(pid, signal.SIGKILL)


_ENDS = {"mariadb": stop_mariadb, "postgres": stop_postgres, "session": kill_session}


@contextlib.contextmanager
def guarded(kind: str, target: object) -> Iterator[None]:
    """
    Have something ended if this process dies in here; whoever leaves alive does it without help.

    :param kind: "postgres" or "mariadb" (target: its folder) or "session" (target: the pid of its leader)
    """
    command = [sys.executable, "-I", __file__, kind, str(target)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as guard:
        try:
            yield
        finally:
            guard.kill()


@contextlib.contextmanager
def guarded_folder(kind: str) -> Iterator[Path]:
    """
    Give a folder for a database server's data. It is guarded, and removed in the end.

    It lies in memory, where there is room: what a commit or a table costs on a disk is not what tests are about. And
    pytest's own folders may be too deep for a socket's path.
    """
    memory = Path("/dev/shm")  # noqa: S108 - what lies there has a name that nobody can foresee
    where = memory if memory.is_dir() and shutil.disk_usage(memory).free > 2**30 else None
    with tempfile.TemporaryDirectory(dir=where, ignore_cleanup_errors=True) as folder, guarded(kind, folder):
        yield Path(folder)


if __name__ == "__main__":
    sys.stdin.buffer.read()  # ends when the tests do
    _ENDS[sys.argv[1]](sys.argv[2])
