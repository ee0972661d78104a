"""
Only what is new: every morning, the rows of a view that have come or changed since the day before.

``updated_at`` is the cursor: the watermark lies in the database ``lofty_journal_db`` and never passes a row that still
has to be sent. Rows that failed for good lie behind it. Each week's reports have a folder of their own, from which
``lofty_failed_again`` sends them once more; what is repaired at the source comes by itself, with a new ``updated_at``.
The view's columns are named as Lofty's fields are.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import dag

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator


@dag(
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    tags=["lofty"],
)
def lofty_only_new() -> None:
    LoftyAddActivityOperator(
        task_id="send_to_lofty",
        source_conn_id="warehouse",
        table="crm.lofty_activities",
        cursor="updated_at",
        cursor_lag=timedelta(minutes=15),
        unique_key="event_id",
        journal_conn_id="lofty_journal_db",
        report_path="{{ var.value.lofty_reports }}/{{ dag_run.run_after.strftime('%G-W%V') }}/",
        max_failed_rows="5%",
        retries=3,
        retry_delay=timedelta(minutes=15),
    )


lofty_only_new()
