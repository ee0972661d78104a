"""
Nothing is sent before somebody has approved it, and nothing but that: preview → approval → send.

The preview reads and checks all rows. Its log shows the first requests as they would be sent, and its tab "Lofty rows"
what is wrong with which row. Somebody answers in Airflow (the task "approve", Required Actions); a refusal skips the
sending. The files are read again when they are sent: if any row of them has come, gone or changed since the preview,
nothing is sent, and the error counts such rows where the preview has written its report to [lofty] report_folder.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import dag

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator

ROWS: dict[str, Any] = {
    "path": "{{ var.value.lofty_folder }}/*.csv",
    "defaults": {"type": "Browse", "picture": ""},
    "max_failed_rows": "10%",
}


@dag(schedule=None, catchup=False, tags=["lofty"])
def lofty_with_approval() -> None:
    preview = LoftyAddActivityOperator(task_id="preview", preview=True, **ROWS)
    approve = ApprovalOperator(
        task_id="approve",
        subject="Send {{ ti.xcom_pull('preview')['would_send'] }} activities to Lofty?",
        body="{{ ti.xcom_pull('preview')['read'] }} rows were read, {{ ti.xcom_pull('preview')['invalid'] }} of them "
        "are invalid and will not be sent. What has been sent cannot be undone.",
    )
    send = LoftyAddActivityOperator(
        task_id="send_to_lofty",
        expect_digest="{{ ti.xcom_pull('preview')['digest'] }}",
        **ROWS,
    )
    preview >> approve >> send


lofty_with_approval()
