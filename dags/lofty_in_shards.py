"""
One day's rows in four shards, each a task of its own, which share Lofty's quota by reading its answers.

A single task uses the whole quota and is simpler: prefer it. Shards help when the source is too slow for one reader,
or when a failed part should be rerun by itself. Each shard is a half-open window (``start <= t < end``), so that no row
falls into two of them, and the journal is shared, so that none is sent twice even if one did. The pool ``lofty`` limits
how many shards run at once: ``airflow pools set lofty 4 "sends to Lofty"``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from airflow.sdk import dag, get_current_context, task

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator


@dag(schedule=None, catchup=False, tags=["lofty"])
def lofty_in_shards() -> None:
    @task
    def windows() -> list[dict[str, str]]:
        end: datetime = get_current_context()["dag_run"].run_after
        ends = [(end - timedelta(hours=hours)).isoformat() for hours in (24, 18, 12, 6, 0)]
        return [{"start": start, "end": end} for start, end in pairwise(ends)]

    LoftyAddActivityOperator.partial(
        task_id="send_to_lofty",
        source_conn_id="warehouse",
        sql="""
            SELECT lead_id, activity_type AS type, summary AS text, page_url AS link, picture_url AS picture,
                   happened_at AS created
            FROM crm.lead_activities
            WHERE happened_at >= %(start)s AND happened_at < %(end)s
        """,
        unique_key=["lead_id", "created"],
        journal_conn_id="lofty_journal_db",
        pool="lofty",
        execution_timeout=timedelta(hours=6),
        retries=8,
        retry_delay=timedelta(minutes=15),
    ).expand(parameters=windows())


lofty_in_shards()
