"""A Dag of the tests: mapped tasks before the operator, the operator mapped itself, and a query in a file."""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task, task_group

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator


def row(number: int) -> dict[str, Any]:
    return {"leadId": number, "text": f"private-{number}", "created": 1763290000000 + number}


TEXTS = ["private-{{ conn.lofty_default.password }}", "private-{{first_name}}", "private-offer.sql"]
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

    @task
    def by_lead(first: int) -> list[dict[str, Any]]:
        return [{"rows": [{**row(first + n), "text": text}]} for n, text in enumerate(TEXTS)]

    by_kwargs = LoftyAddActivityOperator.partial(task_id="by_kwargs", defaults=DEFAULTS, check_existing="never")
    by_kwargs.expand_kwargs(by_lead.override(task_id="leads_of_kwargs")(800))

    @task.lofty_add_activity(defaults=DEFAULTS, check_existing="never")
    def decorated(rows: Any) -> Any:
        return rows

    decorated.expand_kwargs(by_lead.override(task_id="leads_of_decorated")(900))

    @task_group
    def group(rows: Any) -> None:
        LoftyAddActivityOperator(task_id="send", rows=rows, defaults=DEFAULTS, check_existing="never")

    group.expand(rows=[[{**row(950), "text": TEXTS[0]}], [row(951)]])


made = mapped_rows()
