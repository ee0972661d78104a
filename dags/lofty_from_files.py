"""
Rows of CSV files, all files of a folder in one run.

The folder is the Airflow Variable ``lofty_folder`` (for example ``/data/lofty`` or
``s3://aws_default@bucket/lofty``). Every run writes a report there. To send the rows that failed, correct them in the
report and pass it as ``path``: the others are not sent again.
"""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator


@dag(schedule=None, catchup=False, tags=["lofty"])
def lofty_from_files() -> None:
    LoftyAddActivityOperator(
        task_id="send_to_lofty",
        path="{{ var.value.lofty_folder }}/*.csv",
        mapping={"text": "what_happened", "link": "page_url", "created": "happened_at"},
        defaults={"picture": ""},
        timezone="America/Phoenix",
        report_path="{{ var.value.lofty_folder }}/reports/",
    )


lofty_from_files()
