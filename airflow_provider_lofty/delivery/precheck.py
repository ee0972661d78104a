"""
What Lofty has already: before a row is sent, its lead's activities may be read.

``sample`` looks at a few rows spread over the input; when Lofty has one of them, it was sent before without a
journal, and from then on every lead is read before it is sent to. ``always`` does so from the start, ``never`` not
at all. A later try that finds no journal has to read every lead, whatever was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from airflow_provider_lofty.delivery.backlog import Backlog
from airflow_provider_lofty.delivery.doubt import Page
from airflow_provider_lofty.delivery.matching import looks_like_any
from airflow_provider_lofty.delivery.recorder import Recorder
from airflow_provider_lofty.journal.journal import intent_of
from airflow_provider_lofty.lofty.answers import LEAD_NOT_FOUND
from airflow_provider_lofty.lofty.trace import Trace, trace_of_body
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import JournalState
from airflow_provider_lofty.spool.spool import PendingRow, Result, Spool

if TYPE_CHECKING:
    from airflow_provider_lofty.exceptions import LoftyError

SAMPLE_ROWS = 5
MODES = ("sample", "always", "never")
_RETRY_SECONDS = 5.0
_SAMPLE_RETRY_SECONDS = 1.0


class Reason(Enum):
    """Why leads are read before they are sent to."""

    CHOSEN = "check_existing"
    FOUND = "rows were found there"
    GAPS = "an earlier try left no journal"


class Precheck:
    """
    Which leads are read before their rows are sent, and what their pages mean for these rows.

    :param mode: ``sample``, ``always`` or ``never``
    :param has_gaps: the journal has gaps: earlier tries may have sent rows that are not in it
    :param not_before: by the clock; what an earlier try sent last has had time to show
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        mode: str,
        spool: Spool,
        recorder: Recorder,
        backlog: Backlog,
        log: Log,
        *,
        has_gaps: bool,
        not_before: float,
        clock: Callable[[], float],
    ) -> None:
        self._spool = spool
        self._recorder = recorder
        self._backlog = backlog
        self._log = log
        self._clock = clock
        self._reason = Reason.GAPS if has_gaps else Reason.CHOSEN if mode == "always" else None
        self._not_before = not_before if has_gaps else 0.0
        self._sample_is_due = mode == "sample" and not has_gaps
        self._sample: list[int] = []  # leads of it that are still to be read
        self._retry_at: dict[int, float] = {}

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
        """Whether leads are read before anything is sent to them, be it those of the sample."""
        return self.is_sampling or self.reads_every_lead

    def must_read(self, lead_id: int) -> bool:
        """Whether this lead is to be read before a row is sent to it."""
        return self.reads_every_lead and not self._spool.history.has_read(lead_id)

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
            return None
        for lead_id in (*self._sample, *self._backlog.leads_to_read):
            if lead_id not in busy and self._retry_at.get(lead_id, 0.0) <= now:
                return lead_id
        return None

    def oldest_created(self, lead_id: int) -> int:
        """The oldest ``created`` among the rows that wait for a lead's page: so far down it has to be read."""
        rows = self._spool.waiting_of_lead(lead_id)
        return min((trace_of_body(row.lead_id, row.body).created for row in rows), default=0)

    # What a page says

    def rows_on(self, page: Page) -> list[PendingRow]:
        """The rows that wait for a lead's page and may be what it shows."""
        if not self.awaits(page.lead_id):
            return []
        shown = {entry.trace_hash for entry in page.entries}
        return [row for row in self._spool.waiting_of_lead(page.lead_id) if row.trace_hash in shown]

    def take(self, page: Page, there: Sequence[PendingRow], unclear: Collection[bytes], surplus: list[Trace]) -> None:
        """
        Give a lead's rows that Lofty has already their outcome; the others may be sent.

        :param there: rows that the page shows
        :param unclear: traces of those whose entry may be another row's, altered
        :param surplus: entries that belong to no row
        """
        settled = {row.n for row in there}
        for row in there:
            self._take_shown(row, is_unclear=row.trace_hash in unclear)
        if self.has_gaps:
            settled |= self._refuse_doubtful(page, surplus)
        if there and self._reason is None:
            self._reason = Reason.FOUND
            self._log.warning(
                "Lofty already has rows of this input that no journal knew to be delivered: every lead is read before "
                "anything is sent to it"
            )
        self._release(page.lead_id, settled)

    def _take_shown(self, row: PendingRow, *, is_unclear: bool) -> None:
        if is_unclear:
            self._refuse([row], "Lofty shows it, or one that is nearly the same")
            return
        result = Result(row.n, Outcome.ALREADY_DELIVERED, error="Lofty has it already")
        self._recorder.record(intent_of(row, row.attempts), JournalState.DELIVERED, result)

    def _refuse_doubtful(self, page: Page, surplus: list[Trace]) -> set[int]:
        rows = [
            row for row in self._spool.waiting_of_lead(page.lead_id)
            if not page.is_complete or looks_like_any(trace_of_body(row.lead_id, row.body), surplus)
        ]  # fmt: skip
        self._refuse(
            rows, "Lofty shows one that is nearly the same" if page.is_complete else "its lead has too many activities"
        )
        return {row.n for row in rows}

    def _refuse(self, rows: Iterable[PendingRow], reason: str) -> None:
        for row in rows:
            error = f"it may have been sent before, and {reason}: look at the lead before it is sent again"
            self._recorder.record_local(Result(row.n, Outcome.UNKNOWN, error=error))

    def _release(self, lead_id: int, settled: Collection[int] = ()) -> None:
        self._spool.history.read_lead(lead_id)
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
        self._retry_at[lead_id] = self._clock() + (_SAMPLE_RETRY_SECONDS if self.is_sampling else _RETRY_SECONDS)
        if not self.awaits(lead_id):
            return
        is_missing = error.code == LEAD_NOT_FOUND  # what is sent to it will be refused
        if not self.reads_every_lead:
            if is_missing:
                self._release(lead_id)
            elif is_hopeless:
                self._log.warning("the sample cannot be read (%s): going on without", error)
                self.give_up()
        elif is_refused:  # whatever else it was may be over later
            if is_missing and not self.has_gaps:
                self._release(lead_id)
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
        self._backlog.release_leads()
