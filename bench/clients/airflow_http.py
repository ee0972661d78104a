"""
Airflow's own ``HttpOperator``, mapped over the rows: one task instance a row.

``dag.test()`` runs it here, task by task in one process; a scheduler runs each in a process of its own, some at once.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from common import body_of, headers, options, path_of, read, tell

DAG = """\
import json
from pathlib import Path

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG

with DAG("rows_to_lofty", schedule=None) as dag:
    HttpOperator.partial(task_id="send", http_conn_id="lofty", method="POST").expand_kwargs(
        json.loads(Path(__file__).with_suffix(".json").read_text())
    )
"""


def prepare(given: Any) -> None:
    """Lay out the Dag, what it is mapped over, and the connection."""
    dags = given.home / "dags"
    dags.mkdir(exist_ok=True)
    (dags / "rows_to_lofty.py").write_text(DAG)
    requests = [{"endpoint": path_of(row["lead_id"]), "data": json.dumps(body_of(row))} for row in read(given.rows)]
    (dags / "rows_to_lofty.json").write_text(json.dumps(requests))
    os.environ.update(
        AIRFLOW_HOME=str(given.home / "airflow"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(dags),
        AIRFLOW_CONN_LOFTY=json.dumps({"conn_type": "http", "host": given.url, "extra": headers(given.key)}),
    )
    sys.path.insert(0, str(dags))


def main() -> None:
    """Run the Dag once."""
    given = options()
    prepare(given)
    from airflow.utils.db import initdb

    initdb()
    from rows_to_lofty import dag

    run = dag.test()
    states = [str(task.state) for task in run.get_task_instances()]
    tell(given.told, delivered=states.count("success"), failed=len(states) - states.count("success"))
    sys.exit(0 if str(run.state) == "success" else 1)


main()
