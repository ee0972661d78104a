"""What a lead's page may show of this run's rows, and what it must show before a row counts as absent."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cache

from airflow_provider_lofty.delivery.comparison import Wanted
from airflow_provider_lofty.delivery.completeness import Completeness
from airflow_provider_lofty.delivery.doubt import Doubt, Page
from airflow_provider_lofty.delivery.settling import Settling
from airflow_provider_lofty.delivery.workers import InFlight
from airflow_provider_lofty.journal.journal import utc_now
from airflow_provider_lofty.lofty.trace import Trace, trace_of_body
from airflow_provider_lofty.spool.spool import PendingRow, Spool


class Expectations:
    """
    What this run knows of its own rows beside their doubts.

    :param patience_seconds: how long Lofty may take to show what it stored
    :param clock: seconds, which also pass while the machine is suspended
    :param now: seconds since 1970
    """

    def __init__(
        self,
        spool: Spool,
        settling: Settling,
        in_flight: InFlight,
        *,
        patience_seconds: float,
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._spool = spool
        self._settling = settling
        self._in_flight = in_flight
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._now = now
        self._given_up: Counter[Trace] = Counter()
        self._first_sent: dict[int, float] = {}  # of rows that are sent again
        self._recent: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)  # lead → rows delivered since

    # What became of rows

    def sent(self, n: int, first_began: float) -> None:
        """Learn when a row that is in doubt now was first sent; ``-inf`` where that may be any time ago."""
        self._first_sent.setdefault(n, first_began)

    def delivered(self, row: PendingRow, began: float) -> None:
        """Learn that a row was delivered: the page of a lead with doubts has to show it from now on."""
        if self._settling.of_lead(row.lead_id):
            self._recent[row.lead_id].append((row.n, began))

    def gave_up(self, wanted: Trace) -> None:
        """Learn that a doubt ended without proof: its row may be at Lofty."""
        self._given_up[wanted] += 1

    def settled(self, lead_id: int) -> None:
        """Learn that no doubt of a lead is left."""
        self._recent.pop(lead_id, None)

    # What is sought

    def wanted(self, doubt: Doubt, lead_id: int) -> Wanted:
        """Say what to look for at a lead for the sake of a doubt."""
        first_sent = -math.inf if doubt.row is None else self._first_sent.get(doubt.row.n, doubt.sent)
        since = max(doubt.began_at, self._lately())
        return Wanted(doubt.views[lead_id].wanted, first_sent, doubt.received, since, doubt.intent.may_be_answered)

    def wanted_first(self, row: PendingRow) -> Wanted:
        """Say what to look for before a row is sent."""
        return Wanted(trace_of_body(row.lead_id, row.body), since=self._lately())

    def _lately(self) -> str:
        """Since when what was sent need not be shown by now, as journals write times."""
        return utc_now(lambda: self._now() - self._patience_seconds)

    # What a page may, or must, show

    def on_their_way(self) -> list[bytes]:
        """What the rows that are being sent will read back as."""
        return self._in_flight.trace_hashes()

    def may_be_on(self, page: Page) -> Counter[bytes]:
        """Rows that may be on a page, by their trace: those on their way, and those given up."""
        of_lead = self._settling.of_lead(page.lead_id)
        late = (doubt.views[page.lead_id].wanted.trace_hash for doubt in of_lead if doubt.since > page.started)
        given_up = {one.trace_hash: count for one, count in self._given_up.items() if one.lead_id == page.lead_id}
        return Counter((*self.on_their_way(), *late)) + Counter(given_up)

    def of_other_leads(self, page: Page) -> list[Trace]:
        """Rows of other leads that may be stored: where two leads were merged, they may be on the page of either."""
        on_their_way = (work.intent.trace for work in self._in_flight.posts.values())
        family = self._spool.leads.family(page.lead_id, is_certain=False)
        doubts = (doubt for lead_id in family for doubt in self._settling.of_lead(lead_id))
        in_doubt = (doubt.wanted for doubt in doubts if page.lead_id not in doubt.views)
        traces = (*on_their_way, *in_doubt, *self._given_up.elements())
        return [trace for trace in traces if trace.lead_id != page.lead_id]

    def shows_all(self, page: Page) -> Callable[[Doubt, float], bool]:
        """Whether a page shows all that Lofty has of this run at the lead, and what others delivered since a doubt."""
        lead_id = page.lead_id

        @cache
        def completeness() -> Completeness:
            began, others = dict(self._recent.get(lead_id, ())), self._spool.history.delivered_by_others(lead_id)
            return Completeness(page, self._spool.shown_of_lead(lead_id), began, others)

        def shows_all(doubt: Doubt, before: float) -> bool:
            ended = utc_now(lambda: self._now() - (self._clock() - before))
            return completeness().shows_all(before, doubt.began_at, ended)

        return shows_all
