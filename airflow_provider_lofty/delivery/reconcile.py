"""
From what Lofty shows of a lead to outcomes of rows in doubt.

Reading and deciding are apart: worker threads read, and :meth:`Reconciler.take` is called in the main thread with the
page they got.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from airflow_provider_lofty.delivery.backlog import Backlog
from airflow_provider_lofty.delivery.doubt import ASSUMED, MOST_SENDS, Doubt, Page, Proof, Settled
from airflow_provider_lofty.delivery.matching import NEAR_MILLISECONDS, Match, looks_like_any, match
from airflow_provider_lofty.delivery.precheck import Precheck
from airflow_provider_lofty.delivery.recorder import Recorder
from airflow_provider_lofty.delivery.settling import Settling
from airflow_provider_lofty.delivery.stop import Stop, stop_for
from airflow_provider_lofty.exceptions import (
    LoftyConfigurationError,
    LoftyCredentialRefused,
    LoftyError,
    LoftyRequestRejected,
)
from airflow_provider_lofty.journal.journal import Intent, Journal, Released, intent_of
from airflow_provider_lofty.lofty.answers import PERMISSION_MISSING
from airflow_provider_lofty.lofty.trace import Trace, trace_of_body
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import (
    CONTENT_HAS_CHANGED,
    FINGERPRINT_BYTES,
    KEY_OF_ANOTHER,
    JournalState,
    PastRow,
)
from airflow_provider_lofty.spool.spool import PendingRow, Result, Spool

_MOST_FAILURES = 3  # in a row, of reading
_MOST_ODD_ANSWERS = 3  # in a row, that are not Lofty's own


class _Comparison(NamedTuple):
    """
    A lead's page beside what is sought on it.

    :param doubts: what the page says of each doubt
    :param rows: waiting rows that it shows
    :param unclear: traces whose entry may be that of a delivered row, altered
    :param surplus: entries that belong to no row
    :param delivered: trace → how many rows known to be delivered have it
    """

    doubts: dict[Doubt, Match]
    rows: list[PendingRow]
    unclear: set[bytes]
    surplus: list[Trace]
    delivered: Counter[bytes]


class Reconciler:
    """
    Decides by what Lofty shows.

    :param precheck: decides about rows that wait for a lead's page
    :param on_unknown: what to do about a row in doubt: ``verify``, ``report``, ``resend`` or ``assume_delivered``
    :param resumed_settle_seconds: how long what another process sent may take to show; it may be on its way still
    :param clock: monotonic seconds
    :ivar may_settle_later: whether another try may prove what this one could not
    """

    def __init__(
        self,
        spool: Spool,
        journal: Journal,
        recorder: Recorder,
        settling: Settling,
        precheck: Precheck,
        backlog: Backlog,
        log: Log,
        *,
        on_unknown: str,
        resumed_settle_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._spool = spool
        self._journal = journal
        self._recorder = recorder
        self._settling = settling
        self._precheck = precheck
        self._backlog = backlog
        self._log = log
        self._on_unknown = on_unknown
        self._resumed_settle_seconds = resumed_settle_seconds
        self._clock = clock
        self._failures_in_a_row = self._odd_answers = 0
        self._has_read = False
        self._given_up: Counter[bytes] = Counter()
        self._denied = ""
        self.may_settle_later = False

    # Doubts come in

    def add(self, doubt: Doubt) -> None:
        """Take in a doubt."""
        if self._denied:
            self._end([Settled(doubt, Proof.NONE, self._denied)])
        else:
            self._settling.add(doubt)

    def _adopt(self, intent: Intent, row: PendingRow | None) -> None:
        """Take in a doubt of another process."""
        self.add(Doubt(intent, row, -math.inf, self._clock(), self._resumed_settle_seconds))

    def take_earlier(self, intent: Intent, row: PendingRow | None) -> None:
        """
        Take in what an earlier try left in doubt.

        :param row: None when the input no longer has it
        """
        if row is not None and row.row_key != intent.row_key:
            intent = self._renamed(intent, row)
        if row is None or self._on_unknown in ("verify", "report"):
            self._adopt(intent, row)
        elif self._on_unknown == "resend":
            self._backlog.put([row])
        else:
            sends = max(intent.attempts, 1)
            result = Result(row.n, Outcome.ALREADY_DELIVERED, error=ASSUMED, attempts=sends)
            self._recorder.record(intent, JournalState.DELIVERED, result)

    def _renamed(self, old: Intent, row: PendingRow) -> Intent:
        intent = intent_of(row, old.attempts)
        self._recorder.withdraw(old)
        self._recorder.intend([intent])  # in one commit: a crash between the two would leave one doubt twice
        return intent

    def take_released(self, released: Released) -> None:
        """Go on with a row that another run had claimed."""
        row = self._backlog.pop_claimed(released.row_key)
        if row is None:
            return
        if released.state == JournalState.DELIVERED:
            remark = _changed(released.intent, row) or "delivered by another run"
            self._recorder.record_local(Result(row.n, Outcome.ALREADY_DELIVERED, error=remark))
        elif released.state == JournalState.KEY_CONFLICT:
            self._recorder.record_local(Result(row.n, Outcome.INVALID, error=KEY_OF_ANOTHER))
        elif released.intent is None:
            self._backlog.put([row])
        else:
            self._spool.doubt(Result(row.n, Outcome.UNKNOWN, attempts=row.attempts))
            self._adopt(released.intent, row)

    # What to read

    def next_read(self, busy: Collection[int], is_idle: bool) -> tuple[int, int] | None:
        """
        What to read now: a lead, and since when by ``created``.

        :param busy: leads that are being read
        :param is_idle: nothing is left to send
        """
        wanted = self._settling.next_read(busy, is_idle)
        if wanted is not None:
            return wanted.lead_id, self._since(wanted.lead_id, wanted.created)
        lead_id = self._precheck.next_lead(busy)
        return None if lead_id is None else (lead_id, self._since(lead_id))

    def probe(self) -> tuple[int, int] | None:
        """A lead to read for a sign of life: best one with a doubt, else one that a row waits for."""
        doubt = self._settling.oldest()
        if doubt is not None:
            return doubt.lead_id, self._since(doubt.lead_id)
        if not self._precheck.is_sampling:
            self._backlog.refill()
        lead_id = self._backlog.first_lead()
        return self.next_read((), is_idle=True) if lead_id is None else (lead_id, 0)

    def _since(self, lead_id: int, *created: int) -> int:
        """How far to read a lead: to the oldest of all that its page will be asked about."""
        times = [*created, *(doubt.wanted.created for doubt in self._settling.of_lead(lead_id))]
        if self._precheck.awaits(lead_id):
            times.append(self._precheck.oldest_created(lead_id))
        return min(times, default=0) - NEAR_MILLISECONDS

    # What a page says

    def take(self, page: Page, in_flight: Iterable[bytes], *, is_idle: bool) -> None:
        """
        Learn what Lofty shows of a lead.

        :param in_flight: traces of rows that are on their way, so that the page may show them
        :raises JournalError: when the journal fails
        """
        # First: what another run has delivered to this lead meanwhile claims entries of the page.
        self._journal.load_lead(page.lead_id, self._spool)
        self._has_read, self._failures_in_a_row, self._odd_answers = True, 0, 0
        found = self._compare(page, in_flight)
        self._settling.look_at_controls(page, found.surplus, found.delivered)
        self._end(self._settling.take(page, found.doubts, is_idle=is_idle))
        if self._precheck.awaits(page.lead_id):
            self._precheck.take(page, found.rows, found.unclear, found.surplus)
        self._backlog.release_twins()

    def _compare(self, page: Page, in_flight: Iterable[bytes]) -> _Comparison:
        of_lead = self._settling.of_lead(page.lead_id)
        doubts = [doubt for doubt in of_lead if doubt.since <= page.started]
        late = [doubt for doubt in of_lead if doubt.since > page.started]
        rows = self._precheck.rows_on(page)
        delivered = self._spool.history.delivered_traces([entry.trace_hash for entry in page.entries])
        # Rows that are on their way may be on the page, and so may those given up; it is unknown which of them are.
        perhaps = Counter([*in_flight, *(doubt.wanted.trace_hash for doubt in late)])
        perhaps += self._spool.history.claimed_traces() + self._given_up
        wanted = [*(doubt.wanted for doubt in doubts), *(trace_of_body(row.lead_id, row.body) for row in rows)]
        matches, surplus = match(wanted, page.entries, delivered + perhaps)
        unclear = self._unclear(page, [one for one, found in zip(wanted, matches, strict=True) if found is Match.FOUND])
        judged = {
            doubt: Match.NEAR if doubt.wanted.trace_hash in perhaps or doubt.wanted.trace_hash in unclear else found
            for doubt, found in zip(doubts, matches, strict=False)
        }
        there = [row for row, found in zip(rows, matches[len(doubts) :], strict=True) if found is Match.FOUND]
        return _Comparison(judged, there, unclear, surplus, delivered)

    def _unclear(self, page: Page, found: list[Trace]) -> set[bytes]:
        """Of activities that are shown: those whose entry may be that of a delivered row, altered."""
        if not found:
            return set()
        shown = {entry.trace_hash for entry in page.entries}
        delivered = self._spool.delivered_to_lead(page.lead_id)
        lacking = [trace_of_body(row.lead_id, row.body) for row in delivered if row.trace_hash not in shown]
        return {one.trace_hash for one in found if looks_like_any(one, lacking)}

    # What cannot be read

    def failed(self, lead_id: int, error: LoftyError) -> Stop | None:
        """
        Learn that a lead could not be read.

        :return: why nothing may be sent without reading, if so
        """
        if self._is_final(error):
            return self._deny(error)
        is_refused = isinstance(error, LoftyRequestRejected)
        self._end(self._settling.failed(lead_id, str(error), is_refused=is_refused))
        self._failures_in_a_row += 1
        is_hopeless = self._failures_in_a_row >= _MOST_FAILURES
        self._precheck.failed(lead_id, error, is_refused=is_refused, is_hopeless=is_hopeless)
        self._backlog.release_twins()
        return None

    def _is_final(self, error: LoftyError) -> bool:
        """Whether reading will not work later, either. An odd answer may be a gateway's that has a bad moment."""
        if isinstance(error, LoftyCredentialRefused) or error.code == PERMISSION_MISSING:
            return True
        self._odd_answers += isinstance(error, LoftyConfigurationError)
        return self._odd_answers >= _MOST_ODD_ANSWERS

    def _deny(self, error: LoftyError) -> Stop | None:
        if self._precheck.has_gaps:
            return stop_for(type(error)(
                f"{error} An earlier try may have sent rows, no journal says which, and Lofty's activities cannot be "
                "read: nothing was sent. Give the report of the earlier try back as the source"
            ))  # fmt: skip
        if self._precheck.has_found or (self._precheck.reads_every_lead and self._has_read):
            return stop_for(type(error)(
                f"{error} Lofty may have more of these rows already, so nothing more was sent"
            ))  # fmt: skip
        if not self._denied:
            self._log.warning("reading back does not work (%s): rows in doubt will stay unknown", error)
        self._denied = "activities cannot be read back"
        self._end(self._settling.give_up(self._denied))
        self._precheck.give_up()
        self._backlog.release_twins()
        return None

    # Doubts end

    def _end(self, ends: Iterable[Settled]) -> None:
        """Write down what became of doubtful rows; those proved not to be stored may be sent again."""
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
                self._backlog.put([doubt.row._replace(attempts=doubt.intent.attempts)])

    def _end_stored(self, doubt: Doubt) -> None:
        result = None
        if doubt.row is not None:
            outcome = Outcome.ALREADY_DELIVERED if doubt.is_from_before else Outcome.DELIVERED
            remark = _changed(doubt.intent, doubt.row) or "found by reading back"
            result = _result(doubt, doubt.row, outcome, remark)
        intent = doubt.intent
        self._spool.history.add(
            [PastRow(intent.row_key, JournalState.DELIVERED, intent.fingerprint, intent.trace.trace_hash)]
        )
        self._recorder.record(intent, JournalState.DELIVERED, result)

    def _end_unknown(self, end: Settled) -> None:
        self.may_settle_later |= end.may_settle_later
        doubt = end.doubt
        self._given_up[doubt.wanted.trace_hash] += 1
        error = f"sent, but no trustworthy answer came, and {end.reason}: it may be stored; look at the lead"
        if doubt.row is None:
            self._recorder.record(doubt.intent, JournalState.ABANDONED)
            self._log.warning("%s: %s", _place(doubt), error)
        else:
            self._recorder.record(
                doubt.intent, JournalState.ABANDONED, _result(doubt, doubt.row, Outcome.UNKNOWN, error)
            )

    def _end_carried(self, doubt: Doubt) -> None:
        self._log.warning("%s: proved not to be stored; the input no longer has it, so it is not sent", _place(doubt))
        self._recorder.withdraw(doubt.intent)

    def _end_rejected(self, doubt: Doubt, row: PendingRow) -> None:
        error = f"sent {doubt.intent.attempts} times, and each time proved not to be stored; not stored"
        self._recorder.record(doubt.intent, JournalState.REJECTED, _result(doubt, row, Outcome.REJECTED, error))


def _changed(intent: Intent | None, row: PendingRow) -> str | None:
    """What to remark when another content was delivered under the row's key than it has here."""
    is_same = intent is None or intent.fingerprint == row.fingerprint[:FINGERPRINT_BYTES]
    return None if is_same else CONTENT_HAS_CHANGED


def _result(doubt: Doubt, row: PendingRow, outcome: Outcome, error: str) -> Result:
    """What is written down of a row in doubt; one that an earlier try left open was sent at least once."""
    known = doubt.result or Result(row.n, Outcome.UNKNOWN, attempts=max(doubt.intent.attempts, 1))
    return known._replace(outcome=outcome, error=error)


def _place(doubt: Doubt) -> str:
    wanted = doubt.wanted
    return f"a row of an earlier try (lead {wanted.lead_id}, {wanted.type}, created {wanted.created})"
