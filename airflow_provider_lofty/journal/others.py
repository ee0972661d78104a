"""What a journal's rows mean to a run that did not write them."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_lofty.journal.tables import JournalRow
from airflow_provider_lofty.spool.history import CONTENT_BYTES, JournalState, PastRow
from airflow_provider_lofty.spool.spool import Spool


def of_another(row: JournalRow) -> PastRow:
    """What is known of a row that another run has delivered, or is sending."""
    return row.past if row.state == JournalState.DELIVERED else row.past._replace(state=JournalState.CLAIMED)


def of_another_lead(row: JournalRow) -> PastRow:
    """The same of a row that may be shown for other leads."""
    return of_another(row)._replace(content=row.wanted.content[:CONTENT_BYTES])


def link(rows: Iterable[JournalRow], spool: Spool) -> None:
    """Tell the spool with which lead's id Lofty has answered for others."""
    if links := [link for row in rows if (link := row.link) is not None]:
        spool.leads.link(links)
