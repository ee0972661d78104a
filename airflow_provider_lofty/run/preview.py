"""What a preview is for: the first requests as they would leave, and how long all of them would take."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_lofty.delivery.progress import Progress
from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.rows.source import row_name
from airflow_provider_lofty.spool.spool import Spool

_REQUESTS_SHOWN = 3


def show_preview(
    spool: Spool, client: LoftyClient, log: Log, clock: Callable[[], float], deadline: float, *, may_retry: bool
) -> None:
    """
    Log them; nothing is sent.

    :param clock: monotonic seconds
    :param deadline: when a real run would have to stop, by the clock
    :param may_retry: whether another try would follow then
    """
    rows = spool.pending(limit=_REQUESTS_SHOWN)
    try:
        requests = [(row, client.shown_request(row.lead_id, row.body)) for row in rows]
    except LoftyConfigurationError as error:
        log.warning("no request can be shown: %s", error)
        return
    for row, lines in requests:
        name = row_name(row.row_number, row.line)
        log.info("::group::The request for %s, as it would be sent to %s", name, client.host)
        for line in lines:
            log.info("%s", line)
        log.info("::endgroup::")
    if rows:
        pacer = client.pacer
        progress = Progress(spool.count_pending(), log, clock)
        progress.plan(
            pacer.requests_per_minute, pacer.knows_limit,
            settling_seconds=client.settings.patience_seconds, seconds_allowed=deadline - clock(), may_retry=may_retry,
        )  # fmt: skip
