"""
From what Lofty shows of a lead to outcomes: of doubtful rows, and of rows that it may have had before.

Reading and deciding are apart: worker threads read, and :meth:`Reconciler.take` is called in the main thread with the
page they got.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator

from airflow_provider_lofty.delivery.matching import NEAR_MILLISECONDS, Match, match
from airflow_provider_lofty.delivery.precheck import SAMPLE_ROWS, Precheck, looks_like_any
from airflow_provider_lofty.delivery.recorder import Recorder
from airflow_provider_lofty.delivery.settling import Doubt, Page, Proof, Settled, Settling
from airflow_provider_lofty.exceptions import (
    LoftyConfigurationError,
    LoftyCredentialRefused,
    LoftyError,
    LoftyRequestRejected,
)
from airflow_provider_lofty.journal.journal import ABANDONED, DELIVERED, REJECTED, Journal, intent_of
from airflow_provider_lofty.lofty.answers import LEAD_NOT_FOUND, PERMISSION_MISSING
from airflow_provider_lofty.lofty.trace import Trace, trace_of_body
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import PastRow
from airflow_provider_lofty.spool.spool import PendingRow, Result, Spool

MOST_SENDS = 3  # the first, and two more after it proved not to be stored
_RETRY_SECONDS = 5.0
_SAMPLE_RETRY_SECONDS = 1.0
_MOST_FAILURES = 3  # in a row, of leads of the sample
_MOST_ODD_ANSWERS = 3  # in a row, that are not Lofty's own


class Reconciler:
    """
    Decides by what Lofty shows.

    :param existing: which leads to read before they are sent to
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        spool: Spool,
        journal: Journal,
        recorder: Recorder,
        settling: Settling,
        precheck: Precheck,
        log: Log,
        clock: Callable[[], float],
    ) -> None:
        self._spool = spool
        self._journal = journal
        self._recorder = recorder
        self._settling = settling
        self._precheck = precheck
        self._log = log
        self._clock = clock
        self._behind_lead: dict[int, list[PendingRow]] = {}
        self._retry_at: dict[int, float] = {}
        self._failures_in_a_row = self._odd_answers = 0
        self._has_read = False
        self._behind_doubt: list[PendingRow] = []
        self._given_up: Counter[bytes] = Counter()
        self._denied = ""
        self.may_settle_later = False

    def parked(self) -> int:
        """How many rows wait for a lead to be read; not those that wait for a doubt, which waits for the end itself."""
        return sum(map(len, self._behind_lead.values()))

    @property
    def is_busy(self) -> bool:
        """Whether leads are still to be read before rows can be sent."""
        return bool(self._behind_lead or self._behind_doubt or self._precheck.is_sampling)

    def parks(self, row: PendingRow) -> bool:
        """Keep a row back while its lead has to be read first."""
        if self._settling.holds(row.trace_hash, row.lead_id):
            self._behind_doubt.append(row)
            return True
        if not self._precheck.reads_every_lead or self._spool.history.has_read(row.lead_id):
            return False
        self._behind_lead.setdefault(row.lead_id, []).append(row)
        return True

    def doubt(self, doubt: Doubt) -> None:
        """Take in a doubt."""
        if self._denied:
            self._end([Settled(doubt, Proof.NONE, self._denied)])
        else:
            self._settling.add(doubt)

    def next_read(self, busy: Collection[int], is_idle: bool) -> tuple[int, int] | None:
        """
        What to read now: a lead, and since when by ``created``.

        :param busy: leads that are being read
        :param is_idle: nothing is left to send
        """
        wanted = self._settling.next_read(busy, is_idle)
        if wanted is not None:
            return wanted.lead_id, self._since(wanted.lead_id, wanted.created)
        if self._precheck.sample_is_due:
            self._begin_sample()
        now = self._clock()
        if now < self._precheck.not_before:
            return None
        for lead_id in self._behind_lead:
            if lead_id not in busy and self._retry_at.get(lead_id, 0.0) <= now:
                return lead_id, self._since(lead_id)
        return None

    def _begin_sample(self) -> None:
        rows = self._spool.spread(SAMPLE_ROWS)
        self._precheck.begin_sample(rows)
        self._behind_lead.update({row.lead_id: [] for row in rows})

    def _since(self, lead_id: int, *created: int) -> int:
        """How far to read a lead: to the oldest of all that its page will be asked about."""
        times = [*created, *(doubt.wanted.created for doubt in self._settling.of_lead(lead_id))]
        if lead_id in self._behind_lead:
            rows = self._spool.waiting_of_lead(lead_id)
            times.append(min((trace_of_body(row.lead_id, row.body).created for row in rows), default=0))
        return min(times, default=0) - NEAR_MILLISECONDS

    def probe(self) -> tuple[int, int] | None:
        """A lead to read for a sign of life, best one with a doubt."""
        doubt = self._settling.oldest()
        return None if doubt is None else (doubt.lead_id, self._since(doubt.lead_id))

    def take(self, page: Page, in_flight: Iterable[bytes], *, is_idle: bool) -> list[PendingRow]:
        """
        Learn what Lofty shows of a lead.

        :param in_flight: traces of rows that are on their way, so that the page may show them
        :return: rows that may be sent now
        :raises JournalError: when the journal fails
        """
        self._journal.load_lead(page.lead_id, self._spool)
        self._has_read, self._failures_in_a_row, self._odd_answers = True, 0, 0
        of_lead = self._settling.of_lead(page.lead_id)
        doubts = [doubt for doubt in of_lead if doubt.since <= page.started]
        late = [doubt for doubt in of_lead if doubt.since > page.started]
        rows = list(self._waiting_on(page)) if page.lead_id in self._behind_lead else []
        delivered = self._spool.history.delivered_traces([entry.trace_hash for entry in page.entries])
        # Rows that are on their way may be on the page, and so may those given up; nobody knows which of them are.
        perhaps = Counter([*in_flight, *(doubt.wanted.trace_hash for doubt in late)])
        perhaps += self._spool.history.claimed_traces() + self._given_up
        claimed = delivered + perhaps
        wanted = [*(doubt.wanted for doubt in doubts), *(trace_of_body(row.lead_id, row.body) for row in rows)]
        matches, surplus = match(wanted, page.entries, claimed)
        unclear = self._unclear(page, [one for one, found in zip(wanted, matches, strict=True) if found is Match.FOUND])
        self._settling.look_at_controls(page, surplus, delivered)
        judged = {
            doubt: Match.NEAR if doubt.wanted.trace_hash in perhaps or doubt.wanted.trace_hash in unclear else found
            for doubt, found in zip(doubts, matches, strict=False)
        }
        ends = self._settling.take(page, judged, is_idle=is_idle)
        released = self._end(ends)
        if page.lead_id in self._behind_lead:
            there = [row for row, found in zip(rows, matches[len(doubts) :], strict=True) if found is Match.FOUND]
            released += self._compare(page, there, unclear, surplus)
        return released + self._release_twins()

    def _unclear(self, page: Page, found: list[Trace]) -> set[bytes]:
        """Of activities that are shown: those whose entry may be that of a delivered row, altered."""
        if not found:
            return set()
        shown = {entry.trace_hash for entry in page.entries}
        delivered = self._spool.delivered_to_lead(page.lead_id)
        lacking = [trace_of_body(row.lead_id, row.body) for row in delivered if row.trace_hash not in shown]
        return {one.trace_hash for one in found if looks_like_any(one, lacking)}

    def _waiting_on(self, page: Page) -> Iterator[PendingRow]:
        trace_hashes = {entry.trace_hash for entry in page.entries}
        return (row for row in self._spool.waiting_of_lead(page.lead_id) if row.trace_hash in trace_hashes)

    def _compare(
        self, page: Page, there: list[PendingRow], unclear: set[bytes], surplus: list[Trace]
    ) -> list[PendingRow]:
        """Give a lead's rows that Lofty has already their outcome; the others may be sent."""
        settled = {row.n for row in there}
        for row in there:
            if row.trace_hash in unclear:
                self._refuse([row], "Lofty shows it, or one that is nearly the same")
                continue
            said = "Lofty has it already"
            self._recorder.record(
                intent_of(row, row.attempts), DELIVERED, Result(row.n, Outcome.ALREADY_DELIVERED, error=said)
            )
        if self._precheck.is_strict:
            settled |= self._refuse_doubtful(page, surplus)
        self._behind_doubt = [row for row in self._behind_doubt if row.n not in settled]
        self._spool.history.read_lead(page.lead_id)
        if self._precheck.was_read(page.lead_id, len(there)):
            self._log.warning(
                "Lofty already has rows of this input that nobody wrote down as delivered: every lead is read before "
                "anything is sent to it"
            )
        return [row for row in self._behind_lead.pop(page.lead_id) if row.n not in settled]

    def _refuse_doubtful(self, page: Page, surplus: list[Trace]) -> set[int]:
        rows = [
            row for row in self._spool.waiting_of_lead(page.lead_id)
            if not page.is_complete or looks_like_any(trace_of_body(row.lead_id, row.body), surplus)
        ]  # fmt: skip
        self._refuse(
            rows, "Lofty shows one that is nearly the same" if page.is_complete else "its lead has too many activities"
        )
        return {row.n for row in rows}

    def _refuse(self, rows: list[PendingRow], reason: str) -> None:
        for row in rows:
            error = f"it may have been sent before, and {reason}: look at the lead before it is sent again"
            self._recorder.record_local(Result(row.n, Outcome.UNKNOWN, error=error))

    def failed(self, lead_id: int, error: LoftyError) -> list[PendingRow]:
        """
        Learn that a lead could not be read.

        :return: rows that may be sent all the same
        :raises LoftyError: when nothing may be sent without reading
        """
        if self._is_final(error):
            return self._deny(error)
        is_refused = isinstance(error, LoftyRequestRejected)
        released = self._end(self._settling.failed(lead_id, str(error), is_refused=is_refused))
        self._failures_in_a_row += 1
        wait = _SAMPLE_RETRY_SECONDS if self._precheck.is_sampling else _RETRY_SECONDS
        self._retry_at[lead_id] = self._clock() + wait
        if lead_id in self._behind_lead:
            released += self._give_up_lead(lead_id, error)
        return released + self._release_twins()

    def _is_final(self, error: LoftyError) -> bool:
        """Whether reading will not work later, either. An odd answer may be a gateway's that has a bad moment."""
        if isinstance(error, LoftyCredentialRefused) or error.code == PERMISSION_MISSING:
            return True
        self._odd_answers += isinstance(error, LoftyConfigurationError)
        return self._odd_answers >= _MOST_ODD_ANSWERS

    def _give_up_lead(self, lead_id: int, error: LoftyError) -> list[PendingRow]:
        """Decide about a lead that should be read before it is sent to, and cannot be."""
        precheck = self._precheck
        is_missing = error.code == LEAD_NOT_FOUND  # what is sent to it will be refused
        if isinstance(error, LoftyRequestRejected) and precheck.reads_every_lead:
            if precheck.is_strict or not is_missing:
                rows = list(self._spool.waiting_of_lead(lead_id))
                self._refuse(rows, f"its lead cannot be read ({error})")
                del self._behind_lead[lead_id]
                return []
        elif not is_missing and self._failures_in_a_row >= _MOST_FAILURES and not precheck.reads_every_lead:
            self._log.warning("the sample cannot be read (%s): going on without", error)
            return self._give_up_existing()
        elif precheck.reads_every_lead or not is_missing:
            return []  # it is tried again
        precheck.was_read(lead_id, 0)
        self._spool.history.read_lead(lead_id)
        return self._behind_lead.pop(lead_id)

    def _deny(self, error: LoftyError) -> list[PendingRow]:
        if self._precheck.is_strict:
            raise type(error)(
                f"{error} An earlier try may have sent rows, no journal says which, and Lofty's activities cannot be "
                "read: nothing was sent. Give the report of the earlier try back as the source"
            )
        if self._precheck.is_found or (self._precheck.reads_every_lead and self._has_read):
            raise type(error)(f"{error} Lofty may have more of these rows already, so nothing more was sent")
        if not self._denied:
            self._log.warning("reading back does not work (%s): rows in doubt will stay unknown", error)
        self._denied = "activities cannot be read back"
        released = self._end(self._settling.give_up(self._denied))
        return released + self._give_up_existing() + self._release_twins()

    def _give_up_existing(self) -> list[PendingRow]:
        self._precheck.give_up()
        released = [row for rows in self._behind_lead.values() for row in rows]
        self._behind_lead.clear()
        return released

    def _release_twins(self) -> list[PendingRow]:
        released = [row for row in self._behind_doubt if not self._settling.holds(row.trace_hash, row.lead_id)]
        self._behind_doubt = [row for row in self._behind_doubt if row not in released]
        return released

    def _end(self, ends: Iterable[Settled]) -> list[PendingRow]:
        """Write down what became of doubtful rows; give those that are to be sent again."""
        again = []
        for end in ends:
            doubt = end.doubt
            if end.proof is Proof.STORED:
                self._end_stored(doubt)
            elif end.proof is Proof.NONE:
                self._end_unknown(end)
            elif doubt.row is None:
                self._end_carried(doubt)
            elif doubt.intent.attempts >= MOST_SENDS:
                self._end_rejected(doubt, doubt.row)
            else:
                self._spool.undoubt(doubt.row.n)
                again.append(doubt.row._replace(attempts=doubt.intent.attempts))
        return again

    def _end_stored(self, doubt: Doubt) -> None:
        result = None
        if doubt.row is not None:
            outcome = Outcome.ALREADY_DELIVERED if doubt.is_from_before else Outcome.DELIVERED
            result = _said(doubt, doubt.row)._replace(outcome=outcome, error="found by reading back")
        intent = doubt.intent
        self._spool.history.add([PastRow(intent.row_key, DELIVERED, intent.fingerprint, intent.trace.trace_hash)])
        self._recorder.record(intent, DELIVERED, result)

    def _end_unknown(self, end: Settled) -> None:
        self.may_settle_later |= end.may_settle_later
        row = end.doubt.row
        self._given_up[end.doubt.wanted.trace_hash] += 1
        error = f"sent, but no trustworthy answer came, and {end.reason}: it may be stored; look at the lead"
        if row is None:
            self._recorder.record(end.doubt.intent, ABANDONED)
            self._log.warning("%s: %s", _place(end.doubt), error)
            return
        self._recorder.record(
            end.doubt.intent, ABANDONED, _said(end.doubt, row)._replace(outcome=Outcome.UNKNOWN, error=error)
        )

    def _end_carried(self, doubt: Doubt) -> None:
        self._log.warning("%s: proved not to be stored; the input has it no more, so it is not sent", _place(doubt))
        self._recorder.withdraw(doubt.intent)

    def _end_rejected(self, doubt: Doubt, row: PendingRow) -> None:
        error = f"sent {doubt.intent.attempts} times, and each time proved not to be stored; not stored"
        self._recorder.record(doubt.intent, REJECTED, _said(doubt, row)._replace(outcome=Outcome.REJECTED, error=error))


def _said(doubt: Doubt, row: PendingRow) -> Result:
    """What is known of a row in doubt; one that an earlier try left open was sent at least once."""
    return doubt.said or Result(row.n, Outcome.UNKNOWN, attempts=max(doubt.intent.attempts, 1))


def _place(doubt: Doubt) -> str:
    wanted = doubt.wanted
    return f"a row of an earlier try (lead {wanted.lead_id}, {wanted.type}, created {wanted.created})"
