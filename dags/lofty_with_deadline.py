"""
Word of a delivery that is late: an e-mail when a run is not over two hours after it was queued, by Airflow's deadlines.

Lofty's limit decides how long many rows take, and a retry waits out an outage of Lofty: neither is a failure, and both
may be too late for whoever works with the leads. The triggerer sends the e-mail, by the connection ``smtp_default``.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import dag
from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator

MESSAGE = {
    "from_email": "airflow@example.com",
    "to": "data@example.com",
    "subject": "Lofty deliveries are late",
    "html_content": "The run {{ dag_run.dag_run_id }} is not over two hours after it was queued.",
}


@dag(
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=2),
        callback=AsyncCallback(SmtpNotifier, kwargs=MESSAGE),
    ),
    tags=["lofty"],
)
def lofty_with_deadline() -> None:
    LoftyAddActivityOperator(
        task_id="send_to_lofty",
        path="{{ var.value.lofty_folder }}/*.csv",
        defaults={"type": "Browse", "picture": ""},
        retries=8,
        retry_delay=timedelta(minutes=15),
    )


lofty_with_deadline()
