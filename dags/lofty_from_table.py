"""
Rows of a warehouse table: every day, those of the day before.

The window is the run's data interval. ``CronDataIntervalTimetable`` gives a scheduled run one; with a plain
``schedule="@daily"`` Airflow 3 sets both of its ends to the same instant, and the query would find nothing. A run that
is triggered by hand has no interval and takes the last 24 hours.
"""

from __future__ import annotations

from datetime import datetime, timezone

from airflow.sdk import dag
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator


@dag(
    schedule=CronDataIntervalTimetable("0 6 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["lofty"],
)
def lofty_from_table() -> None:
    LoftyAddActivityOperator(
        task_id="send_to_lofty",
        source_conn_id="warehouse",
        sql="""
            SELECT lead_id, activity_type AS type, summary AS text, page_url AS link, picture_url AS picture,
                   happened_at AS created, mls_id AS "listing.listingId", list_price AS "listing.price"
            FROM crm.lead_activities
            WHERE happened_at >= %(window_start)s AND happened_at < %(window_end)s
        """,
        parameters={
            "window_start": "{{ dag_run.data_interval_start or dag_run.run_after - macros.timedelta(days=1) }}",
            "window_end": "{{ dag_run.data_interval_end or dag_run.run_after }}",
        },
        unique_key=["lead_id", "created"],
        max_rows=100_000,
        max_invalid_rows="10%",
    )


lofty_from_table()
