"""The watch on what tests start: a forgotten mark fails the test, and fixtures mark those that use them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import os, socket, sqlite3, subprocess, sys
import pytest

def listen():
    socket.create_server(("127.0.0.1", 0)).close()

def ask_airflow():
    sqlite3.connect(os.environ["AIRFLOW_HOME"] + "/airflow.db").close()

def call():
    assert subprocess.call([sys.executable, "-c", ""]) == 0

@pytest.fixture
def listening(starts_server):
    listen()

@pytest.fixture(scope="module")
def called(starts_program):
    call()

def test_unmarked_server(): listen()
def test_unmarked_airflow(): ask_airflow()
def test_unmarked_program(): call()
@pytest.mark.program
def test_server_marked_as_a_program(): listen()
def test_swallowing(): pytest.raises(ZeroDivisionError, lambda: [listen(), 1 / 0])

@pytest.mark.server
def test_right_server(): listen(), ask_airflow(), call()
@pytest.mark.program
def test_right_program(): call()
def test_right_fixture(listening): pass
def test_right_module_fixture(called): pass
def test_right_nothing(): pass
"""


@pytest.mark.program
@pytest.mark.parametrize(
    ("chosen", "ended"), [([], "5 failed, 5 passed"), (["-m", "not server"], "5 failed, 3 passed, 2 deselected")]
)
def test_a_test_says_what_it_starts(tmp_path: Path, chosen: list[str], ended: str) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    server\n    program\n", encoding="utf-8")
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "pytest", "--strict-markers", "-p", "support.watch", *chosen]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended in done.stdout.splitlines()[-1], done.stdout + done.stderr
    assert done.stdout.count("FAILED test_it.py::test_unmarked_") == 3
