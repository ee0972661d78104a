"""
Rows of an upstream task that identify people only by their e-mail address.

Each distinct address is looked up in Lofty once, at the connection's pace. If no lead has it, or several do, its rows
end as ``invalid`` with the field ``leadId``; ``leads_found`` in the report says why.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from airflow.sdk import dag, task

from airflow_provider_lofty.hooks.lofty import LoftyHook
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

    @task
    def find_leads(visits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        hook = LoftyHook("lofty_default")
        leads = {email: hook.find_leads(email=email) for email in {visit["email"] for visit in visits}}
        ids = {email: found[0]["leadId"] for email, found in leads.items() if len(found) == 1}
        return [
            {**visit, "lead_id": ids.get(visit["email"]), "leads_found": len(leads[visit["email"]])} for visit in visits
        ]

    LoftyAddActivityOperator(
        task_id="send_to_lofty",
        rows=find_leads(read_visits()),
        defaults={"picture": ""},
        max_failed_rows="50%",
    )


lofty_from_task()
