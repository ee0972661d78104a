"""
Rows of an upstream task that identify people only by their e-mail address.

Each distinct address is looked up in Lofty once, at the connection's pace; where Lofty has fewer leads, all of them are
listed instead. If no lead has an address, or several do, its rows end as ``unmatched``, and the report says which.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from airflow.sdk import dag, task

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator


@dag(schedule=None, catchup=False, tags=["lofty"])
def lofty_from_task() -> None:
    @task
    def read_visits() -> list[dict[str, Any]]:
        seen_at = datetime.now(timezone.utc).isoformat()
        page = {"type": "Browse", "link": "https://www.example.com/homes/12-elm-street", "created": seen_at}
        return [
            {**page, "email": "ada.sample@example.com", "text": "Viewed 12 Elm Street"},
            {**page, "email": "ada.sample@example.com", "text": "Viewed 12 Elm Street again"},
            {**page, "email": "nobody.here@example.com", "text": "Viewed 12 Elm Street"},
        ]

    LoftyAddActivityOperator(
        task_id="send_to_lofty",
        rows=read_visits(),
        match_by="email",
        defaults={"picture": ""},
        max_unmatched_rows="50%",
    )


lofty_from_task()
