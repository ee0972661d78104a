"""Memory does not grow with the input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FEW, MANY = 10_000, 300_000

RUN = """
import json, sys
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from support.memory import peak_kilobytes
arguments = json.loads(sys.argv[1])
summary = LoftyAddActivityOperator(task_id="send", preview=True, **arguments).execute({})
sys.stderr.write("\\n" + json.dumps([summary["would_send"], peak_kilobytes()]))
"""

QUERY = """
SELECT n AS lead_id, 'Browse' AS type, 'Viewed home ' || n || repeat('x', 60) AS text, 'https://homes.example.com' AS link,
    '' AS picture, timestamptz '2026-03-01' AS created FROM generate_series(1, {rows}) AS n
"""


def peak_kilobytes(rows: int, **arguments: str | None) -> int:
    """Preview in a process of its own; give the most memory it ever had."""
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN, json.dumps(arguments)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=600, check=False,
        cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-2000:]
    would_send, peak = json.loads(finished.stderr.splitlines()[-1])
    assert would_send == rows
    return int(peak)


def write(path: Path, rows: int) -> str:
    with path.open("w", encoding="utf-8") as stream:
        stream.write("lead_id,type,text,link,picture,created\n")
        for n in range(1, rows + 1):
            stream.write(f"{n},Browse,Viewed home {n}{'x' * 60},https://homes.example.com,p,2026-03-01T10:00:00Z\n")
    return str(path)


@pytest.mark.once
@pytest.mark.program
def test_thirty_times_the_rows_of_a_file_take_no_more_memory(tmp_path: Path) -> None:
    few, many = (peak_kilobytes(rows, path=write(tmp_path / f"{rows}.csv", rows)) for rows in (FEW, MANY))
    assert many <= 1.2 * few


def test_thirty_times_the_rows_of_a_query_take_no_more_memory(
    postgres_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = postgres_uri.partition("host=")[2]
    connection = {"conn_type": "postgres", "login": "postgres", "schema": "postgres", "host": host}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    few, many = (peak_kilobytes(rows, sql=QUERY.format(rows=rows), source_conn_id="warehouse") for rows in (FEW, MANY))
    assert many <= 1.2 * few
