"""
Every row exactly once across tries, runs and Dags: a shared journal, and a retry delay that depends on the cause.

``journal_conn_id`` records what was sent in a table of the database ``lofty_journal_db``, so that the next run, or
another Dag, skips what this one has delivered. A retry continues where the last try stopped: a quarter of an hour
after an outage of Lofty, five minutes later when a file is not there yet. What a retry cannot fix (invalid rows, a
refused key) fails at once, without one. ``retry_policy`` needs Airflow 3.3.
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
