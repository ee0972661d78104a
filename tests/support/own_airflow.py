"""One Dag run by an Airflow of its own, in a process of its own with an empty home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

_PROGRAM = """
import importlib, json, sys
from airflow.utils.db import initdb
initdb()
sys.path.insert(0, sys.argv[1])
run = importlib.import_module(sys.argv[2]).made.test()
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import select
with create_session() as session:
    rendered = [[f.task_id, f.map_index, f.rendered_fields] for f in session.scalars(select(RenderedTaskInstanceFields))]
    xcoms = [[x.task_id, x.map_index, x.key, x.value] for x in session.scalars(select(XComModel))]
    states = {ti.task_id: [str(ti.state), ti.operator] for ti in run.get_task_instances()}
print("RESULT" + json.dumps({"state": str(run.state.value), "states": states, "rendered": rendered, "xcoms": xcoms}))
"""


class Ran(NamedTuple):
    """
    What a Dag run left behind.

    :param state: of the run
    :param states: task → state and operator
    :param rendered: task, map index, and the fields shown under Rendered Templates
    :param xcoms: task, map index, key and value
    :param log: everything that was printed
    """

    state: str
    states: dict[str, tuple[str, str]]
    rendered: list[tuple[str, int, dict[str, Any]]]
    xcoms: list[tuple[str, int, str, Any]]
    log: str


def run_dag(folder: Path, module: str, home: Path, **environment: str) -> Ran:
    """
    Run the Dag that a module calls ``made``.

    :param folder: where the module lies
    :param home: an empty folder
    :param environment: further variables, such as connections
    """
    settings = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": str(folder), **environment}
    command = [sys.executable, "-c", _PROGRAM, str(folder), module]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert found, done.stdout[-3000:] + done.stderr[-3000:]
    return Ran(**json.loads(found[0].removeprefix("RESULT")), log=done.stdout + done.stderr)
