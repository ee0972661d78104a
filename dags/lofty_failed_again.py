"""
Rows that failed for good, once more: every Monday, the reports that ``lofty_only_new`` wrote in the week before.

Rows that were delivered are in these reports, too, and are not sent again: the reports say so, and so does the journal,
which both Dags share. A row that was repaired at the source and delivered since is known by its ``event_id``.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import dag

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator

A_WEEK_BEFORE = "{{ (dag_run.run_after - macros.timedelta(days=7)).strftime('%G-W%V') }}"


@dag(
    schedule="0 7 * * 1",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    tags=["lofty"],
)
def lofty_failed_again() -> None:
    LoftyAddActivityOperator(
        task_id="send_to_lofty",
        path=f"{{{{ var.value.lofty_reports }}}}/{A_WEEK_BEFORE}/*.csv",
        unique_key="event_id",
        journal_conn_id="lofty_journal_db",
        report_path="{{ var.value.lofty_reports }}/failed_again/",
        retries=3,
        retry_delay=timedelta(minutes=15),
    )


lofty_failed_again()
