"""A practice Lofty in another process, as the bench sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from types import TracebackType
from typing import Any

from bench.places import ROOT

STOP_SECONDS = 10.0


class Lofty:
    """
    Starts ``bench/server.py``, asks it what arrived, and stops it.

    :param program: another program that speaks as that one does
    :param settings: settings of the sandbox, or of that program
    :ivar url: its base URL
    :ivar key: its API key
    """

    def __init__(self, program: str = "bench.server", /, **settings: Any) -> None:
        self._program = program
        self._settings = settings
        self.url = self.key = ""

    def __enter__(self) -> Lofty:
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._program, json.dumps(self._settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        try:
            greeting = self._read()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.url, self.key = greeting["url"], greeting["key"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_hash: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def ask(self, question: str) -> dict[str, Any]:
        """Ask one of the questions of ``bench/server.py``."""
        stdin = self._process.stdin
        if stdin is None:
            raise RuntimeError("the practice Lofty takes no questions")
        stdin.write(f"{question}\n")
        stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("the practice Lofty did not answer; its message is above")
        answer: dict[str, Any] = json.loads(line)
        return answer
