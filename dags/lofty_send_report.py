"""
What failed in a report, sent once more by whoever triggers this Dag: no file of a Dag is edited.

Trigger it with the report's path, as the failed task's error, log and summary show it. Correct the report before that,
in its place, if its rows were at fault. Only a report in ``[lofty] report_folder`` is read, and no link in it is
followed. What the report calls delivered is not sent again, and every lead is read before anything is sent to it, so a
report that is sent twice sends nothing twice.

``[lofty] send_report_dag_id = lofty_send_report`` lets the error of a task whose rows failed lead here.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import Param, dag

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.report.again import report_in_folder


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,  # two of the same report would not see what the other one sends
    params={"report": Param(type="string", minLength=1, title="Report", description="Its path or URL, or its name")},
    user_defined_macros={"report_in_folder": report_in_folder},
    tags=["lofty"],
)
def lofty_send_report() -> None:
    LoftyAddActivityOperator(
        task_id="send_to_lofty",
        path="{{ report_in_folder(params.report) }}",
        # What the rows needed when they were first sent: mapping, defaults, unique_key, match_by, timezone, and
        # file_options={"decimal": …}.
        defaults={"type": "Browse", "picture": ""},
        check_existing="always",
        retries=3,
        retry_delay=timedelta(minutes=5),
    )


lofty_send_report()
