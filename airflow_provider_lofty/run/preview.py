"""What a preview is for: the first requests as they would leave, and how long all of them would take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from airflow_provider_lofty.delivery.progress import Progress
from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.leads.finding import keys_text
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.lead_keys import KeyKind
from airflow_provider_lofty.lofty.lead_pages import MOST_LEADS
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.profile.remarks import remarks_on
from airflow_provider_lofty.rows.source import row_name
from airflow_provider_lofty.spool.spool import Spool

_REQUESTS_SHOWN = 3
_LEAD_TO_BE_FOUND = "LEAD_ID"


def show_preview(
    spool: Spool,
    client: LoftyClient,
    log: Log,
    clock: Callable[[], float],
    deadline: float,
    match_by: Sequence[KeyKind] = (),
    *,
    may_retry: bool,
) -> None:
    """
    Log them; nothing is sent.

    :param clock: monotonic seconds
    :param deadline: when a real run would have to stop, by the clock
    :param match_by: what a real run would find leads by
    :param may_retry: whether another try would follow then
    """
    _show_lookups(spool.lead_book.gather(match_by), log)
    rows = spool.pending(limit=_REQUESTS_SHOWN)
    try:
        requests = [(row, client.shown_request(row.lead_id or _LEAD_TO_BE_FOUND, row.body)) for row in rows]
    except LoftyConfigurationError as error:
        log.warning("no request can be shown: %s", error)
        return
    for row, lines in requests:
        name = row_name(row.row_number, row.line)
        log.info("::group::The request for %s, as it would be sent to %s", name, client.host)
        for line in lines:
            log.info("%s", line)
        log.info("::endgroup::")
    for remark in remarks_on(client.settings.profile, client.settings.settle_seconds):
        log.warning("%s", remark)
    if rows:
        pacer = client.pacer
        progress = Progress(spool.count_pending(), log, clock)
        progress.plan(
            pacer.requests_per_minute, pacer.knows_limit,
            settling_seconds=client.settings.patience_seconds, seconds_allowed=deadline - clock(), may_retry=may_retry,
        )  # fmt: skip


def _show_lookups(keys: Mapping[KeyKind, int], log: Log) -> None:
    count = sum(keys.values())
    if count == 1:
        log.info("leads: %s would be looked up, in 1 request", keys_text(keys))
    elif count:
        log.info(
            "leads: %s would be looked up in %d requests; where Lofty has %d leads or fewer, all are listed, %d for "
            "each request",
            keys_text(keys), count, count * MOST_LEADS, MOST_LEADS,
        )  # fmt: skip
