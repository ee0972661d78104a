"""A Dag of the tests: mapped tasks before the operator, the operator mapped itself, and a query in a file."""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator


def row(number: int) -> dict[str, Any]:
    return {"leadId": number, "text": f"private-{number}", "created": 1763290000000 + number}


DEFAULTS = {"type": "Browse", "link": "https://www.example.com", "picture": ""}


@dag(schedule=None)
def mapped_rows() -> None:
    @task
    def shard(number: int) -> list[dict[str, Any]]:
        return [row(number), row(number + 1)]

    shards = shard.expand(number=[100, 200, 300])
    LoftyAddActivityOperator(task_id="all_shards", rows=shards, defaults=DEFAULTS, check_existing="never")
    each_shard = LoftyAddActivityOperator.partial(
        task_id="each_shard", unique_key="text", defaults=DEFAULTS, check_existing="never"
    )
    each_shard.expand(rows=shards)
    LoftyAddActivityOperator.partial(task_id="each_row", defaults=DEFAULTS).expand(rows=[row(400), row(500)])
    LoftyAddActivityOperator(task_id="silent", rows=[row(600)], defaults=DEFAULTS, do_xcom_push=False)
    LoftyAddActivityOperator(
        task_id="sql_file",
        source_conn_id="lite",
        sql="rows.sql",
        parameters={"least": 700},
        params={"kind": "sql"},
        defaults=DEFAULTS,
    )


made = mapped_rows()
