"""Whoever is suspended holds no lock of SQLite's."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from support.standalone import can_be_written, suspended

WRITES_ALL_THE_TIME = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
while True:
    database.execute("BEGIN IMMEDIATE")
    time.sleep(0.1)
    database.execute("ROLLBACK")
    time.sleep(0.1)
"""


@pytest.mark.program
def test_others_can_write_while_one_is_suspended_that_writes_all_the_time(tmp_path: Path) -> None:
    database = tmp_path / "airflow.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE task (n)")
    writing = subprocess.Popen([sys.executable, "-c", WRITES_ALL_THE_TIME, str(database)])
    try:
        time.sleep(0.5)
        for _ in range(3):
            with suspended([psutil.Process(writing.pid)], database):
                assert can_be_written(database)
        assert psutil.Process(writing.pid).status() != psutil.STATUS_STOPPED
    finally:
        writing.kill()
        writing.wait()
