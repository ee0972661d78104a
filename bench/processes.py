"""Runs clients as processes of their own, and tells how they ended and what memory they took."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

from bench.environments import OWN, Environments
from bench.lofty import Lofty
from bench.places import CLIENTS, ROOT

POLL_SECONDS = 0.01
_T = TypeVar("_T")
_R = TypeVar("_R")
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Client:
    """
    One way to send rows.

    :param name: how tables call it
    :param script: in ``bench/clients``, without ``.py``
    :param environment: which it runs in
    :param arguments: of the script
    """

    name: str
    script: str
    environment: str
    arguments: tuple[str, ...] = ()

    @property
    def is_provider(self) -> bool:
        """Whether it is this project's provider."""
        return self.environment == OWN


@dataclass
class Ended:
    """
    How a client ended.

    :param status: exit status; negative: the signal that killed it; None: it was stopped when its time was over
    :param seconds: from start to end
    :param cpu_seconds: what it and all that it started and waited for worked, by the kernel's count
    :param peak_mb: the most memory that it had at once, in MB (10**6 bytes)
    :param delivered: rows that it calls delivered; None when it does not say
    :param failed: rows that it names or counts as not delivered; None when it does not say
    :param read: rows that it has read; None when it does not say
    """

    status: int | None
    seconds: float
    cpu_seconds: float
    peak_mb: float
    delivered: int | None = None
    failed: int | None = None
    read: int | None = None

    @property
    def is_green(self) -> bool:
        """Whether an orchestrator would call it a success."""
        return self.status == 0


@dataclass
class Running:
    """
    A client that runs, in a session of its own, so that what it starts ends with it.

    :param client: which one
    :param python: its interpreter
    :param lofty: where it sends to
    :param rows: its CSV file
    :param home: a folder for what it keeps on its own disk
    :param arguments: further ones
    """

    client: Client
    python: Path
    lofty: Lofty
    rows: Path
    home: Path
    arguments: Sequence[str] = ()
    ended: Ended | None = field(default=None, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __enter__(self) -> Running:
        self.home.mkdir(parents=True, exist_ok=True)
        self._told = self.home / "told.json"
        self._told.unlink(missing_ok=True)
        self._log = (self.home / "output.log").open("ab")
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [str(self.python), str(CLIENTS / f"{self.client.script}.py"), *self._options()],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True,
            cwd=self.home, env=self._environment(),
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_hash: TracebackType | None
    ) -> None:
        if self.ended is None:
            self.kill()
        self._log.close()

    def _options(self) -> list[str]:
        given = {"rows": self.rows, "url": self.lofty.url, "key": self.lofty.key, "home": self.home, "told": self._told}
        named = [part for name, value in given.items() for part in (f"--{name}", str(value))]
        return [*named, *self.client.arguments, *self.arguments]

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        own = {"PYTHONPATH": str(ROOT)} if self.client.is_provider else {}
        return {**kept, **own, "HOME": str(self.home), "PYTHONWARNINGS": "ignore", "NO_PROXY": "127.0.0.1"}

    def poll(self) -> bool:
        """Say whether it has ended."""
        if self.ended is None:
            self._reap(os.WNOHANG)
        return self.ended is not None

    def strike(self) -> None:
        """Send it, and all it started, what ``kill -9`` sends; do not wait for its end."""
        if self._process is not None and self.ended is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> Ended:
        """Kill it with all it started, unless it has ended."""
        self.strike()
        if self.ended is None:
            self._reap(0)
        if self.ended is None:
            raise RuntimeError(f"{self.client.name} could not be stopped")
        return self.ended

    def wait(self, seconds: float) -> Ended:
        """Wait for its end; after so many seconds stop it."""
        deadline = self._started + seconds
        while not self.poll():
            if time.monotonic() > deadline:
                self.kill().status = None
                break
            time.sleep(POLL_SECONDS)
        return self.kill()

    def _reap(self, how: int) -> None:
        if self._process is None:
            raise RuntimeError(f"{self.client.name} was not started")
        pid, status, usage = os.wait4(self._process.pid, how)
        if pid == 0:
            return
        self._process.returncode = os.waitstatus_to_exitcode(status)
        told = json.loads(self._told.read_text(encoding="utf-8")) if self._told.exists() else {}
        seconds = time.monotonic() - self._started
        worked = usage.ru_utime + usage.ru_stime
        self.ended = Ended(self._process.returncode, seconds, worked, usage.ru_maxrss * 1024 / 1e6, **told)


class Runner:
    """
    Starts clients in their environments. When the bench is told to stop, all that runs is killed.

    :param folder: where their files go; emptied
    """

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder
        self.environments = Environments()
        self._numbers = itertools.count(1)
        self._started: list[Running] = []
        self._is_stopped = False

    def __enter__(self) -> Runner:
        self._before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_hash: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopped = True
        for running in self._started:
            running.strike()
        sys.exit(128 + number)

    def can_run(self, client: Client) -> str:
        """Say why a client cannot run, or nothing."""
        self.environments.python(client.environment)
        return self.environments.missing.get(client.environment, "")

    def new(self, what: str) -> Path:
        """Give a path where nothing is yet."""
        return self.folder / f"{what}-{next(self._numbers)}"

    def start(self, client: Client, lofty: Lofty, rows: Path, *arguments: Any, home: Path | None = None) -> Running:
        """Prepare a client; it starts when it is entered."""
        python = self.environments.python(client.environment)
        if python is None or self._is_stopped:
            raise RuntimeError(self.can_run(client) or "the bench was told to stop")
        where = home or self.new("home")
        running = Running(client, python, lofty, rows, where, [str(argument) for argument in arguments])
        self._started.append(running)
        return running


def at_once(work: Callable[[_T], _R], items: Sequence[_T], most: int) -> list[_R]:
    """Do the same with each of some items, a few of them at once; give what came of them, in their order."""
    with ThreadPoolExecutor(most) as pool:
        return list(pool.map(work, items))
