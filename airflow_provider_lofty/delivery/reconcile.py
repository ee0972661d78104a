"""
From what Lofty shows of a lead to outcomes of rows in doubt.

Reading and deciding are apart: worker threads read, and :meth:`Reconciler.take` is called in the main thread with the
page they got.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from itertools import chain
from typing import NamedTuple

from airflow_provider_lofty.delivery.backlog import Backlog
from airflow_provider_lofty.delivery.comparison import Comparer
from airflow_provider_lofty.delivery.doubt import ASSUMED, MOST_SENDS, Doubt, Page, Proof, Settled
from airflow_provider_lofty.delivery.expectations import Expectations
from airflow_provider_lofty.delivery.identities import Identities, Questions
from airflow_provider_lofty.delivery.matching import Match
from airflow_provider_lofty.delivery.precheck import Precheck
from airflow_provider_lofty.delivery.recorder import Recorder
from airflow_provider_lofty.delivery.settling import Reading, Settling
from airflow_provider_lofty.delivery.stop import Stop, stop_for
from airflow_provider_lofty.delivery.workers import InFlight, Work
from airflow_provider_lofty.exceptions import (
    LoftyConfigurationError,
    LoftyCredentialRefused,
    LoftyError,
    LoftyRequestRejected,
)
from airflow_provider_lofty.journal.journal import Intent, Journal, Released, intent_of, utc_now
from airflow_provider_lofty.lofty.answers import PERMISSION_MISSING, Verdict
from airflow_provider_lofty.lofty.settings import LoftySettings
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
from airflow_provider_lofty.spool.leads import Link
from airflow_provider_lofty.spool.spool import FOUND_BY_READING, PendingRow, Result, Spool

_MOST_FAILURES = 3  # in a row, of reading
_MOST_ODD_ANSWERS = 3  # in a row, that are not Lofty's own
_AGES = 2**63  # milliseconds: nothing is asked of this page


class ToRead(NamedTuple):
    """
    A lead that is to be read.

    :param since: milliseconds since 1970; older activities need not be read
    :param questions: which leads to ask about when its page has come
    """

    lead_id: int
    since: int
    questions: Questions


class Reconciler:
    """
    Decides by what Lofty shows.

    :param precheck: decides about rows that wait for a lead's page
    :param on_unknown: what to do about a row in doubt: ``verify``, ``report``, ``resend`` or ``assume_delivered``
    :param settings: of the connection: how long Lofty may take to show what it stored
    :param clock: seconds, which also pass while the machine is suspended
    :param now: seconds since 1970
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
        in_flight: InFlight,
        log: Log,
        *,
        on_unknown: str,
        settings: LoftySettings,
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._spool = spool
        self._identities = Identities(spool.leads)
        self._comparer = Comparer(spool, journal, self._identities)
        self._recorder = recorder
        self._settling = settling
        self._precheck = precheck
        self._backlog = backlog
        self._expectations = Expectations(
            spool, settling, in_flight, patience_seconds=settings.patience_seconds, clock=clock, now=now
        )
        self._log = log
        self._on_unknown = on_unknown
        self._settings = settings
        self._clock = clock
        self._now = now
        self._failures_in_a_row = self._odd_answers = 0
        self._has_read = False
        self._denied = ""
        self.may_settle_later = False

    # Doubts come in

    def take_unanswered(self, work: Work, result: Result, verdict: Verdict) -> None:
        """
        Take in a row that was sent and has no trustworthy answer.

        :param result: what is to be reported of it as long as nothing is proved
        """
        row, settle = work.row, self._settings.settle_seconds
        now, ended = self._clock(), self._now()
        received = ((ended - (now - work.began) - settle) * 1000, (ended + settle) * 1000)
        wait = settle if verdict.was_handled or not self._settling.is_proving else self._settings.absence_seconds
        other = None if verdict.lead_id == row.lead_id else verdict.lead_id
        self._expectations.sent(row.n, work.began if result.attempts == 1 else -math.inf)
        intent = work.intent._replace(attempts=result.attempts, answered_lead=other)
        elsewhere = _elsewhere(intent, row)
        self._add(Doubt(intent, row, work.began, now, settle, wait, work.sent_at, result, received, elsewhere))

    def take_merged(self, lead_id: int, other: int) -> None:
        """Learn that a lead was merged into another one."""
        self._spool.leads.link([Link(lead_id, other, is_certain=True)])

    def _add(self, doubt: Doubt) -> None:
        wanted, other = doubt.wanted, doubt.intent.answered_lead
        self._spool.leads.add_stray(None if doubt.row is None else doubt.row.n, wanted.content, wanted.lead_id)
        if other is not None:
            self._spool.leads.link([Link(wanted.lead_id, other, is_certain=False)])
        if self._denied:
            self._end([Settled(doubt, Proof.NONE, self._denied)])
        else:
            self._settling.add(doubt)

    def _adopt(self, intent: Intent, row: PendingRow | None) -> None:
        """Take in a doubt of another process, which may be about to send it still."""
        settings = self._settings
        wait = settings.resumed_absence_seconds if self._settling.is_proving else settings.resumed_settle_seconds
        if row is not None:
            intent = intent._replace(may_move=bool(row.may_move))
        doubt = Doubt(
            intent, row, -math.inf, self._clock(), settings.settle_seconds, wait, utc_now(self._now),
            elsewhere=_elsewhere(intent, row),
        )  # fmt: skip
        self._add(doubt)

    def take_delivered(self, work: Work) -> None:
        """Learn of a row that Lofty answered with its lead's id: its page has to show it from now on."""
        self._settling.delivered(work.intent.trace, work.began)
        self._expectations.delivered(work.row, work.began)

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
        intent = intent_of(row, old.attempts)._replace(answered_lead=old.answered_lead)
        self._recorder.withdraw(old)
        self._recorder.intend([intent])  # in one commit: a crash between the two would leave one doubt twice
        return intent

    def take_released(self, released: Released) -> None:
        """Go on with a row that another run had claimed."""
        row = self._backlog.pop_claimed(released.row_key)
        if row is None:
            return
        if released.intent is not None and released.intent.trace.lead_id != row.lead_id:
            row = self._spool.move(row, released.intent.trace.lead_id)
        if released.state == JournalState.DELIVERED:
            self._comparer.came(row.lead_id, row.trace_hash)
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

    def next_read(self, busy: Collection[int], is_idle: bool) -> ToRead | None:
        """
        What to read now.

        :param busy: leads that are being read
        :param is_idle: nothing is left to send
        :raises JournalError: when the journal fails
        """
        lead_id = self._settling.next_read(busy, is_idle)
        if lead_id is None:
            lead_id = self._precheck.next_lead(busy)
        return None if lead_id is None else self._ask(lead_id)

    def probe(self) -> ToRead | None:
        """A lead to read for a sign of life: best one with a doubt, else one that a row waits for."""
        doubt = self._settling.oldest()
        if doubt is not None:
            return self._ask(doubt.lead_id)
        if not self._precheck.is_sampling:
            self._backlog.refill()
        lead_id = self._backlog.first_lead()
        return self.next_read((), is_idle=True) if lead_id is None else self._ask(lead_id)

    def _ask(self, lead_id: int) -> ToRead:
        """Get ready to read a lead, down to the oldest of all that its page will be asked about."""
        self._comparer.ask(lead_id, self._expectations.on_their_way())
        doubts = (doubt.views[lead_id].wanted for doubt in self._settling.of_lead(lead_id))
        wanted = chain(doubts, self._settling.controls_at(lead_id))
        since = math.floor(min(self._settling.reach(lead_id), self._precheck.reach(lead_id), _AGES))
        return ToRead(lead_id, since, self._identities.questions(lead_id, wanted))

    # What a page says

    def take(self, page: Page, *, is_idle: bool) -> None:
        """
        Learn what Lofty shows of a lead.

        :raises JournalError: when the journal fails
        """
        self._has_read, self._failures_in_a_row, self._odd_answers = True, 0, 0
        self._identities.take(page)
        of_lead = self._settling.of_lead(page.lead_id)
        # Of rows that look the same, those come first whose sender may have an answer yet: it must prove no other.
        doubts = sorted(
            (doubt for doubt in of_lead if doubt.since <= page.started), key=lambda one: not one.intent.may_be_answered
        )
        rows = self._precheck.rows_on(page)
        expected = self._expectations
        wanted = [expected.wanted(doubt, page.lead_id) for doubt in doubts] + [*map(expected.wanted_first, rows)]
        found = self._comparer.compare(page, wanted, expected.may_be_on(page), expected.of_other_leads(page))
        known = self._settling.take_known(page.lead_id, self._spool.history.is_delivered)
        if known:
            self._end(known)
            self._backlog.release_twins()
            return  # it was compared with doubts that are none; the lead is read again for the others
        told = zip(wanted, found.matches, strict=True)
        self._identities.remember(page.lead_id, (one.trace for one, said in told if said is Match.SHARED))
        reading = Reading(page, found.surplus, found.delivered, expected.shows_all(page))
        self._settling.look_at_controls(reading)
        self._end(self._settling.take(reading, dict(zip(doubts, found.matches, strict=False)), is_idle=is_idle))
        self._precheck.take(reading, list(zip(rows, found.matches[len(doubts) :], strict=True)), found.rest)
        self._keep_first(page)
        if not self._settling.of_lead(page.lead_id):
            expected.settled(page.lead_id)
        self._backlog.release_twins()

    def _keep_first(self, page: Page) -> None:
        """What a lead showed before a row was first sent to it is not that row."""
        if self._spool.has_waiting(page.lead_id):
            marks = (*(entry.trace_hash for entry in page.entries), *page.unreadable)
            self._spool.history.keep_first_page(page.lead_id, page.started, marks)

    # What cannot be read

    def failed(self, lead_id: int, error: LoftyError) -> Stop | None:
        """
        Learn that a lead could not be read.

        :return: why nothing may be sent without reading, if so
        """
        if self._is_final(error):
            return self._deny(error)
        is_refused = isinstance(error, LoftyRequestRejected)
        self._comparer.forget(lead_id)
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
        if isinstance(error, LoftyCredentialRefused) and self._precheck.comes_first:
            return stop_for(error)  # rows would be refused like this
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
                self._end_stored(doubt, end.reason)
            elif end.proof is Proof.NONE:
                self._end_unknown(end)
            elif doubt.row is None:
                self._end_carried(doubt)
            elif doubt.intent.attempts >= MOST_SENDS:
                self._end_rejected(doubt, doubt.row)
            else:
                self._spool.undoubt(doubt.row.n)
                self._spool.leads.drop_stray(doubt.row.n)
                self._backlog.put([doubt.row._replace(attempts=doubt.intent.attempts)])

    def _end_stored(self, doubt: Doubt, elsewhere: str) -> None:
        result = None
        if doubt.row is not None:
            outcome = Outcome.ALREADY_DELIVERED if doubt.is_from_before else Outcome.DELIVERED
            remark = _changed(doubt.intent, doubt.row) or elsewhere or FOUND_BY_READING
            result = _result(doubt, doubt.row, outcome, remark)
        if not elsewhere:
            self._precheck.found(doubt.wanted.type)
        intent = doubt.intent
        self._spool.history.add(
            [PastRow(intent.row_key, JournalState.DELIVERED, intent.fingerprint, intent.trace.trace_hash)]
        )
        self._recorder.record(intent, JournalState.DELIVERED, result)

    def _end_unknown(self, end: Settled) -> None:
        self.may_settle_later |= end.may_settle_later
        doubt = end.doubt
        self._expectations.gave_up(doubt.wanted)
        error = f"sent, but no trustworthy answer came, and {end.reason}: it may be stored; look at the lead"
        if doubt.row is None:
            self._abandon(doubt.intent)
            self._log.warning("%s: %s", _place(doubt), error)
        else:
            self._abandon(doubt.intent, _result(doubt, doubt.row, Outcome.UNKNOWN, error))

    def _abandon(self, intent: Intent, result: Result | None = None) -> None:
        self._recorder.record(intent, JournalState.ABANDONED, result, intent.answered_lead)

    def _end_carried(self, doubt: Doubt) -> None:
        if doubt.intent.answered_lead is not None:  # without its row nothing can be looked for at that lead
            self._abandon(doubt.intent)
            return
        self._log.warning("%s: proved not to be stored; the input no longer has it, so it is not sent", _place(doubt))
        self._recorder.withdraw(doubt.intent)

    def _end_rejected(self, doubt: Doubt, row: PendingRow) -> None:
        self._spool.leads.drop_stray(row.n)
        error = f"sent {doubt.intent.attempts} times, and each time proved not to be stored; not stored"
        self._recorder.record(doubt.intent, JournalState.REJECTED, _result(doubt, row, Outcome.REJECTED, error))


def _elsewhere(intent: Intent, row: PendingRow | None) -> Trace | None:
    """What a row would be at the other lead with whose id Lofty answered."""
    other = intent.answered_lead
    return None if other is None or row is None else trace_of_body(other, row.body)


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
