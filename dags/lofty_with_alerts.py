"""
Word of what changes: one e-mail when deliveries begin to fail, and one when they no longer do.

The task stays green up to ten per cent of failed rows, and more than one per cent is worth a word. What was told is not
told again by the run of the next morning. E-mails leave by the connection ``smtp_default``; any other notifier does.
"""

from __future__ import annotations

from datetime import datetime, timezone

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import dag

from airflow_provider_lofty.notifications.lofty import LoftyChangeNotifier
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator


@dag(
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    tags=["lofty"],
)
def lofty_with_alerts() -> None:
    tell_change = LoftyChangeNotifier(
        SmtpNotifier(
            from_email="airflow@example.com",
            to="data@example.com",
            subject="{{ lofty.headline }}",
            html_content="{{ lofty.text | e }}",
        ),
        max_failed_rows="1%",
    )
    LoftyAddActivityOperator(
        task_id="send_to_lofty",
        path="{{ var.value.lofty_folder }}/*.csv",
        defaults={"type": "Browse", "picture": ""},
        max_failed_rows="10%",
        on_success_callback=tell_change,
        on_failure_callback=tell_change,
    )


lofty_with_alerts()
