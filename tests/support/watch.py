"""
Which tests start a server, an Airflow or a program, and a watch that none does so without its mark.

``make test-pythons`` leaves out the tests with the mark ``server``. A fixture that starts a server takes the fixture
``starts_server``, and with that all tests that use it are marked; a test that starts one itself carries the mark. It is
the same with ``starts_program`` and ``program``. Whoever forgets it learns so from the test, on every run: the marks
are compared with what Python reports of sockets, processes and databases (PEP 578).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from typing import Any

import pytest

SERVER, PROGRAM = "server", "program"
_FIXTURES = {"starts_server": SERVER, "starts_program": PROGRAM}
_PROGRAM_EVENTS = frozenset(("subprocess.Popen", "os.fork", "os.posix_spawn", "os.system"))


@pytest.fixture(scope="session")
def starts_server() -> None:
    """Taken by fixtures that start a server or an Airflow."""


@pytest.fixture(scope="session")
def starts_program() -> None:
    """Taken by fixtures that start a program which ends by itself."""


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Watch())


class Watch:
    """Marks tests by the fixtures they use, and fails those that start what their marks do not say."""

    def __init__(self) -> None:
        self._allowed: set[str] | None = None  # None between tests
        self._unmarked: list[str] = []
        sys.addaudithook(self._heard)

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if self._allowed is not None and (mark := _mark_for(event, args)) and mark not in self._allowed:
            self._unmarked.append(f"{mark!r} ({event} {str(args[:2])[:200]})")

    @pytest.hookimpl(tryfirst=True)  # before -m chooses by marks
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for fixture in _FIXTURES.keys() & getattr(item, "fixturenames", ()):
                item.add_marker(_FIXTURES[fixture])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        marks = {mark.name for mark in item.iter_markers()}
        self._allowed = marks | {PROGRAM} if SERVER in marks else marks
        self._unmarked.clear()
        try:
            return (yield)
        finally:
            self._allowed = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        result = yield
        if self._unmarked:
            pytest.fail(f"this test lacks the mark {self._unmarked[0]}: see {__file__}", pytrace=False)
        return result


def _mark_for(event: str, args: tuple[Any, ...]) -> str:
    """The mark that a test needs for this; nothing, when none."""
    if event == "socket.bind" or (event == "sqlite3.connect" and os.fsdecode(args[0]) == _airflow_database()):
        return SERVER
    return PROGRAM if event in _PROGRAM_EVENTS else ""


def _airflow_database() -> str:
    return f"{os.environ['AIRFLOW_HOME']}/airflow.db"
