"""
Every row exactly once over tries, runs and Dags: a shared journal, and a wait that follows the cause of a failure.

``journal_conn_id`` keeps what was sent in a table of the database ``lofty_journal_db``, so that the next run, or
another Dag, skips what this one has delivered. A retry goes on where the last try stopped: after an outage of Lofty's
in a quarter of an hour, for a file that has not come yet in five minutes. What a retry cannot mend (invalid rows, a
refused key) fails at once by itself. ``retry_policy`` needs Airflow 3.3.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryRule

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator

ERRORS = "airflow_provider_lofty.exceptions"


@dag(schedule=None, catchup=False, tags=["lofty"])
def lofty_with_retries() -> None:
    LoftyAddActivityOperator(
        task_id="send_to_lofty",
        path="{{ var.value.lofty_folder }}/*.csv",
        unique_key="event_id",
        defaults={"type": "Browse", "picture": ""},
        journal_conn_id="lofty_journal_db",
        execution_timeout=timedelta(hours=6),
        retries=8,
        retry_delay=timedelta(minutes=1),
        retry_policy=ExceptionRetryPolicy(
            rules=[
                RetryRule(f"{ERRORS}.LoftyDeliveryIncomplete", retry_delay=timedelta(minutes=15)),
                RetryRule(f"{ERRORS}.LoftySourceNotReady", retry_delay=timedelta(minutes=5)),
            ]
        ),
    )


lofty_with_retries()
