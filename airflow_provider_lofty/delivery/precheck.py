"""
What Lofty has already: before a row is sent, its lead's activities may be read.

``sample`` looks at a few rows spread over the input; when Lofty has one of them, it was sent before without a
journal, and from then on every lead is read before it is sent to. ``always`` does so from the start, ``never`` not
at all. A later try that finds no journal has to read every lead, whatever was chosen.

That a lead does not show a row proves nothing as long as Lofty has not shown any row of that type exactly as it was
sent: :mod:`canary <airflow_provider_lofty.delivery.canary>`. Until then such rows are set aside.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from enum import Enum
from itertools import chain, islice
from typing import TYPE_CHECKING

from airflow_provider_lofty.delivery.backlog import Backlog, Hold
from airflow_provider_lofty.delivery.canary import Canary
from airflow_provider_lofty.delivery.comparison import Rest, Wanted
from airflow_provider_lofty.delivery.doubt import Page
from airflow_provider_lofty.delivery.matching import Match, reach_of
from airflow_provider_lofty.delivery.recorder import Recorder
from airflow_provider_lofty.delivery.settling import Reading
from airflow_provider_lofty.journal.journal import intent_of
from airflow_provider_lofty.lofty.answers import LEAD_NOT_FOUND
from airflow_provider_lofty.lofty.trace import trace_of_body
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import JournalState
from airflow_provider_lofty.spool.spool import FOUND_BEFORE, PendingRow, Result, Spool

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_lofty.exceptions import LoftyError

SAMPLE_ROWS = 5
MODES = ("sample", "always", "never")
_RETRY_SECONDS = 5.0
_SAMPLE_RETRY_SECONDS = 1.0
_MOST_TIMES_UNCLEAR = 3
_BATCH = 500
_WORDS = {
    Match.NEAR: "Lofty shows one that is nearly the same",
    Match.UNCLEAR: "Lofty shows it, or a row of another run that looks the same",
    Match.SHARED: "Lofty shows it, or the same activity of another lead: nothing tells whether the two were merged",
    Match.UNREADABLE: "Lofty shows an activity of its lead that cannot be read",
}
_INCOMPLETE = "its lead has too many activities, or too many that change"
_PERHAPS_ELSEWHERE = "the journal, from which rows were deleted, no longer says which lead it was matched with then"


class Reason(Enum):
    """Why leads are read before they are sent to."""

    CHOSEN = "check_existing"
    FOUND = "rows were found there"
    GAPS = "an earlier try left no journal"


class Precheck:
    """
    Which leads are read before their rows are sent, and what their pages mean for these rows.

    :param mode: ``sample``, ``always`` or ``never``
    :param canary: knows whether Lofty has shown that it would show a row
    :param has_gaps: the journal has gaps: earlier tries may have sent rows that are not in it
    :param not_before: by the clock; what an earlier try sent last has had time to show
    :param clock: seconds, which also pass while the machine is suspended
    """

    def __init__(
        self,
        mode: str,
        spool: Spool,
        recorder: Recorder,
        backlog: Backlog,
        canary: Canary,
        log: Log,
        *,
        has_gaps: bool,
        not_before: float,
        clock: Callable[[], float],
    ) -> None:
        self._spool = spool
        self._recorder = recorder
        self._backlog = backlog
        self._canary = canary
        self._log = log
        self._clock = clock
        self._reason = Reason.GAPS if has_gaps else Reason.CHOSEN if mode == "always" else None
        self._not_before = not_before if has_gaps else 0.0
        self._sample_is_due = mode == "sample" and not has_gaps
        self._sample: list[int] = []  # leads of it that are still to be read
        self._retry_at: dict[int, float] = {}
        self._times_unclear: Counter[int] = Counter()
        self._has_said = False

    @property
    def reads_every_lead(self) -> bool:
        """Whether a lead is read before anything is sent to it."""
        return self._reason is not None

    @property
    def has_gaps(self) -> bool:
        """Whether rows may have been sent of which nothing is known."""
        return self._reason is Reason.GAPS

    @property
    def has_found(self) -> bool:
        """Whether Lofty had rows that no journal knew of."""
        return self._reason is Reason.FOUND

    @property
    def is_sampling(self) -> bool:
        """Whether the sample has to be read, or is being read: nothing is fetched or sent meanwhile."""
        return self._sample_is_due or bool(self._sample)

    @property
    def comes_first(self) -> bool:
        """Whether leads are read before anything is sent to them: all leads, or those of the sample."""
        return self.is_sampling or self.reads_every_lead

    def hold_on(self, row: PendingRow) -> Hold | None:
        """What keeps a row from being sent, if anything."""
        if not self.reads_every_lead or self._canary.is_one(row.n):
            return None
        read_at, proved_at = self._spool.history.lead_read_at(row.lead_id), self._canary.proved_at(row.kind)
        if read_at is None or read_at < proved_at < math.inf:
            return Hold.LEAD
        if read_at >= proved_at:
            return None
        self._canary.wait_for(row.kind)
        return Hold.PROOF

    def awaits(self, lead_id: int) -> bool:
        """Whether this lead's page decides what may be sent."""
        return lead_id in self._sample or lead_id in self._backlog.leads_to_read

    # When to read

    def next_lead(self, busy: Collection[int]) -> int | None:
        """
        Which lead to read now, if any.

        :param busy: leads that are being read already
        """
        if self._sample_is_due:
            self._sample_is_due = False
            self._sample = list(dict.fromkeys(row.lead_id for row in self._spool.spread(SAMPLE_ROWS)))
        now = self._clock()
        if now < self._not_before:
            self._say_what_is_waited_for(self._not_before - now)
            return None
        for lead_id in (*self._sample, *self._backlog.leads_to_read):
            if lead_id not in busy and self._retry_at.get(lead_id, 0.0) <= now:
                return lead_id
        return self._canary.next_lead(busy)

    def _say_what_is_waited_for(self, seconds: float) -> None:
        if not self._has_said:
            self._has_said = True
            self._log.info(
                "for %.0f s nothing is read: what an earlier try sent last may take so long to show", seconds
            )

    def reach(self, lead_id: int) -> float:
        """The oldest ``created`` that matters on a lead's page; infinity when nothing does."""
        reach = self._canary.reach(lead_id)
        if self.awaits(lead_id):
            rows = self._spool.waiting_of_lead(lead_id)
            reach = min(chain((reach,), (reach_of(trace_of_body(row.lead_id, row.body)) for row in rows)))
        return reach

    # What a page says

    def rows_on(self, page: Page) -> list[PendingRow]:
        """The rows that wait for a lead's page and may be what it shows."""
        if not self.awaits(page.lead_id):
            return []
        return self._spool.waiting_like(page.lead_id, [entry.trace_hash for entry in page.entries])

    def take(self, reading: Reading, rows: Sequence[tuple[PendingRow, Match]], rest: Rest) -> None:
        """
        Give a lead's rows that Lofty has already their outcome; the others may be sent.

        :param rows: those that the page may show, each with what it says
        :param rest: what the page says of others
        """
        page = reading.page
        self._canary.look_at(reading)
        if not self.awaits(page.lead_id):
            return
        settled = self._take_shown(page, [row for row, found in rows if found is Match.FOUND])
        shared = [row for row, found in rows if found is Match.SHARED]
        if shared or any(found is Match.UNCLEAR for _, found in rows):
            self._times_unclear[page.lead_id] += 1
            if self._times_unclear[page.lead_id] < _MOST_TIMES_UNCLEAR:
                # The next time Lofty is asked besides which lead this is.
                is_at_once = shared and self._times_unclear[page.lead_id] == 1
                self._retry_at[page.lead_id] = page.ended + (0.0 if is_at_once else _RETRY_SECONDS)
                self._backlog.drop_rows(page.lead_id, settled)
                return
        self._refuse(shared, _WORDS[Match.SHARED])
        settled |= {row.n for row in shared}
        if self.reads_every_lead:
            settled |= self._refuse_doubtful(page, dict(rows), rest)
        self._release(page.lead_id, page.started, settled)

    def _take_shown(self, page: Page, there: Sequence[PendingRow]) -> set[int]:
        for row in there:
            result = Result(row.n, Outcome.ALREADY_DELIVERED, error=FOUND_BEFORE)
            self._recorder.record(intent_of(row, row.attempts), JournalState.DELIVERED, result)
            self._canary.prove(row.kind, page.ended)
            self._spool.leads.add_stray(row.n, trace_of_body(row.lead_id, row.body).content, row.lead_id)
        if there and self._reason is None:
            self._reason = Reason.FOUND
            self._log.warning(
                "Lofty already has rows of this input that no journal knew to be delivered: every lead is read before "
                "anything is sent to it"
            )
        return {row.n for row in there}

    def found(self, kind: str) -> None:
        """Learn that a row of this type that was in doubt is shown exactly as it was sent."""
        self._canary.prove(kind, self._clock())

    def _refuse_doubtful(self, page: Page, found: dict[PendingRow, Match], rest: Rest) -> set[int]:
        """Refuse the rows of which a page does not say that they are not there."""
        refused: set[int] = set()
        is_clear = page.is_complete and rest.is_empty and all(said is Match.FOUND for said in found.values())
        if is_clear and not self._spool.history.has_deletions:
            return refused
        after = 0
        while rows := list(islice(self._spool.waiting_of_lead(page.lead_id, after), _BATCH)):
            after = rows[-1].n
            for row in rows:
                said = found.get(row) or rest.match(Wanted(trace_of_body(row.lead_id, row.body)))
                if page.is_complete and said is Match.ABSENT and not self._may_be_elsewhere(row):
                    continue
                if said is Match.NEAR:
                    self._canary.doubt(row.kind)
                self._refuse([row], _WORDS.get(said, _PERHAPS_ELSEWHERE if page.is_complete else _INCOMPLETE))
                refused.add(row.n)
        return refused

    def _may_be_elsewhere(self, row: PendingRow) -> bool:
        """Whether a row that is to be sent may stand at another lead, which had its address or number before."""
        return row.may_move and self._spool.history.has_deletions and self._canary.is_needed

    def _refuse(self, rows: Iterable[PendingRow], reason: str) -> None:
        for row in rows:
            error = f"perhaps sent by an earlier try, and {reason}: look at the lead before it is sent again"
            self._recorder.record_local(Result(row.n, Outcome.UNKNOWN, error=error))

    def _release(self, lead_id: int, asked: float, settled: Collection[int] = ()) -> None:
        self._spool.history.read_lead(lead_id, asked)
        self._forget_in_sample(lead_id)
        self._backlog.release_lead(lead_id, settled)

    def _forget_in_sample(self, lead_id: int) -> None:
        if lead_id in self._sample:
            self._sample.remove(lead_id)

    # What cannot be read

    def failed(self, lead_id: int, error: LoftyError, *, is_refused: bool, is_hopeless: bool) -> None:
        """
        Learn that a lead could not be read.

        :param is_refused: Lofty answered, but not with the lead's activities
        :param is_hopeless: nothing could be read several times in a row
        """
        now = self._clock()
        self._retry_at[lead_id] = now + (_SAMPLE_RETRY_SECONDS if self.is_sampling else _RETRY_SECONDS)
        if not self.awaits(lead_id):
            return
        is_missing = error.code == LEAD_NOT_FOUND  # what is sent to it will be refused
        if not self.reads_every_lead:
            if is_missing:
                self._release(lead_id, math.inf)
            elif is_hopeless:
                self._log.warning("the sample cannot be read (%s): going on without", error)
                self.give_up()
        elif is_refused:  # whatever else it was may be over later
            if is_missing and not self.has_gaps:
                self._release(lead_id, math.inf)
            else:
                self._give_up_lead(lead_id, error)

    def _give_up_lead(self, lead_id: int, error: LoftyError) -> None:
        self._refuse(list(self._spool.waiting_of_lead(lead_id)), f"its lead cannot be read ({error})")
        self._forget_in_sample(lead_id)
        self._backlog.drop_lead(lead_id)

    def give_up(self) -> None:
        """Reading is not permitted or does not work: go on without."""
        self._sample_is_due, self._reason = False, None
        self._sample.clear()
        self._canary.give_up()
        self._backlog.release_leads()
