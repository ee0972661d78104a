"""
The row log: what became of each row, in a table of the warehouse, which can be asked what failed this week and why.

Each try leaves its report in the folder of its run. They are loaded however the sending ended, which does not make the
run green; loading one again changes nothing, as its rows have a key. The rows' own columns stay in the report.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLInsertRowsOperator
from airflow.sdk import ObjectStoragePath, Variable, dag

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator

KEY = ("task_instance", "try_number", "report_row")
COPIED = ("source", "row_number", "line", "outcome", "lead_id", "http_status", "error_code", "error_field", "error",
          "attempts", "sent_at", "fingerprint", "matched_by")  # fmt: skip


def rows_of_reports(_: Any, *, dag_run: Any, **context: Any) -> Iterator[tuple[Any, ...]]:
    for report in ObjectStoragePath(f"{Variable.get('lofty_reports')}/{dag_run.run_id}/").glob("*.csv"):
        try_number, instance = report.stem.rpartition("__try_")[2].split("__")
        with report.open(newline="", encoding="utf-8", errors="replace") as stream:
            for number, row in enumerate(csv.DictReader(stream), 1):
                row["lofty_fingerprint"] = row["lofty_fingerprint"].partition(" ")[0]  # behind it may be cells
                yield (instance, int(try_number), number, dag_run.dag_id, dag_run.run_id, dag_run.run_after,
                       *(row[f"lofty_{name}"] or None for name in COPIED))  # fmt: skip


@dag(schedule=None, catchup=False, tags=["lofty"])
def lofty_row_log() -> None:
    send_to_lofty = LoftyAddActivityOperator(
        task_id="send_to_lofty", path="{{ var.value.lofty_folder }}/*.csv", defaults={"type": "Browse", "picture": ""},
        report_path="{{ var.value.lofty_reports }}/{{ run_id }}/",
    )  # fmt: skip
    load_row_log = SQLInsertRowsOperator(
        task_id="load_row_log", conn_id="warehouse", preoperator="lofty_row_log.sql", table_name="lofty_row_log",
        columns=[*KEY, "dag_id", "run_id", "run_at", *(f"lofty_{name}" for name in COPIED)],
        rows=["all that the processor finds"], rows_processor=rows_of_reports,
        insert_args={"replace": True, "replace_index": KEY, "executemany": True}, retries=3,
    )  # fmt: skip
    send_to_lofty >> load_row_log.as_teardown()


lofty_row_log()
