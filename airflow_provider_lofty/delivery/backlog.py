"""
Rows that wait to be sent, and which of them may go next.

A row is fetched from the spool; what must come before it, a doubt about its twin or a look at its lead, holds it back.
Then the intent to send it is committed, a second ahead, and it is ready. It leaves when its request begins, and may
come back to any of these places. Only the main thread is here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable
from enum import Enum

from airflow_provider_lofty.clock import Lapse
from airflow_provider_lofty.delivery.recorder import Recorder
from airflow_provider_lofty.delivery.workers import InFlight, Work
from airflow_provider_lofty.journal.journal import Intent, JournalError, intent_of
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import HELD_BY_ANOTHER
from airflow_provider_lofty.spool.spool import PendingRow, Result, Spool

MOST_AHEAD = 800  # rows in one commit: more would be a large value for Airflow's store
_AHEAD_SECONDS = 1.0  # so much is intended ahead, and would be in doubt after a crash


class Hold(Enum):
    """What keeps a row from being sent."""

    DOUBT = "a row that looks the same is in doubt"
    LEAD = "its lead has to be read first"
    PROOF = "its lead was read, and Lofty has not shown yet that it would show such a row"


class Backlog:
    """
    Every row of a run that waits.

    :param hold_on: says what keeps a row back at this moment, if anything
    :ivar avoid_lead: the lead of the last row that got no usable answer; the next to be tried is another lead's
    """

    def __init__(
        self, spool: Spool, recorder: Recorder, in_flight: InFlight, hold_on: Callable[[PendingRow], Hold | None]
    ) -> None:
        self._spool = spool
        self._recorder = recorder
        self._in_flight = in_flight
        self._hold_on = hold_on
        self._last_read = 0
        self._fetched: deque[PendingRow] = deque()
        self._ready: deque[Work] = deque()
        self._expired: dict[int, Intent] = {}  # of rows that wait again, or that have an outcome by now
        self._claimed: dict[bytes, PendingRow] = {}  # by another run, by its key
        self._behind_doubt: list[PendingRow] = []
        self._behind_lead: dict[int, list[PendingRow]] = {}
        self._missing_leads: dict[int, Result] = {}
        self._early: set[int] = set()  # rows that were fetched out of turn
        self._passed_over: set[int] = set()
        self._last: set[int] | None = None  # rows that are the last of their type
        self.avoid_lead: int | None = None

    # What waits

    @property
    def is_drained(self) -> bool:
        """Whether nothing is left to send now; rows may still be claimed by another run, or be behind a doubt."""
        return not self.has_next() and not self._count_behind_leads()

    def has_next(self) -> bool:
        """Whether there is a row whose turn it may be."""
        return bool(self._ready) or self.refill()

    @property
    def holds_rows(self) -> bool:
        """Whether rows wait for another run, for a doubt or for a lead to be read."""
        return bool(self._claimed or self._behind_doubt or self._behind_lead)

    @property
    def has_ready(self) -> bool:
        """Whether a row may be sent at once, by the journal."""
        return bool(self._ready)

    @property
    def leads_to_read(self) -> Collection[int]:
        """Leads that rows wait for."""
        return self._behind_lead.keys()

    def first_lead(self) -> int | None:
        """The lead of a row that may be sent next."""
        if self._fetched:
            return self._fetched[0].lead_id
        return self._ready[0].row.lead_id if self._ready else None

    def _count_behind_leads(self) -> int:
        """Rows behind a doubt are not counted: some doubts are settled only when nothing is left to send."""
        return sum(map(len, self._behind_lead.values()))

    # Fetching

    def put(self, rows: Iterable[PendingRow]) -> None:
        """Take in rows that may be sent, after all that wait already."""
        self._fetched.extend(rows)

    def refill(self) -> bool:
        """Fetch rows until there is one whose turn it may be; tell whether there is."""
        while not self._fetched and self._count_behind_leads() < MOST_AHEAD:
            rows = self._spool.pending(after=self._last_read)
            if not rows:
                break
            self._last_read = rows[-1].n
            self._fetched.extend(row for row in rows if row.n not in self._early and not self._hold_back(row))
        return bool(self._fetched)

    def send_soon(self, lead_id: int, kind: str, but: Collection[bytes]) -> bool:
        """
        See to it that a row of a lead and a type is sent before others; tell whether there is one.

        :param but: traces that it must not have
        """

        def fits(row: PendingRow) -> bool:
            return row.lead_id == lead_id and row.kind == kind and row.trace_hash not in but

        works = (*self._ready, *self._in_flight.posts.values())
        if any(fits(work.row) for work in works) or any(map(fits, self._behind_lead.get(lead_id, ()))):
            return True
        row = next(filter(fits, self._fetched), None)
        if row is not None:
            self._fetched.remove(row)
        else:
            # What was fetched early and is in none of these places is another run's now, or behind a doubt.
            later = self._spool.of_type(lead_id, kind, self._last_read)
            row = next((row for row in later if row.trace_hash not in but and row.n not in self._early), None)
            if row is None:
                return False
            self._early.add(row.n)
        if not self._hold_back(row):
            self._fetched.appendleft(row)
        return True

    def _hold_back(self, row: PendingRow) -> bool:
        hold = self._hold_on(row)
        if hold is Hold.DOUBT:
            self._behind_doubt.append(row)
        elif hold is Hold.LEAD:
            self._behind_lead.setdefault(row.lead_id, []).append(row)
        elif hold is Hold.PROOF:
            self._spool.set_aside(row.n)
        return hold is not None

    # Intending

    def intend(self, count: int, start_before: Lapse) -> None:
        """
        Commit the intents to send the next rows, which are ready then.

        :param count: how many rows at most
        :param start_before: the intents allow no first byte to leave later
        :raises JournalError: when it is unknown whether they are durable
        """
        rows = self._next_rows(count)
        if not rows:
            return
        intents = [intent_of(row, row.attempts) for row in rows]
        try:
            refused = self._recorder.intend(intents)
        except JournalError:  # they may be durable all the same, and are withdrawn in the end
            self._expired.update((row.n, intent) for row, intent in zip(rows, intents, strict=True))
            raise
        for row, intent in zip(rows, intents, strict=True):
            # The new intent has taken the place of one that had expired, in one commit: the row was never without.
            self._expired.pop(row.n, None)
            if row.row_key in refused:
                self._claimed[row.row_key] = row
            else:
                self._ready.append(Work(row, intent, start_before))

    def _next_rows(self, count: int) -> list[PendingRow]:
        rows: list[PendingRow] = []
        later: list[PendingRow] = []
        going = {*self._in_flight.trace_hashes(), *(work.row.trace_hash for work in self._ready)}
        while len(rows) < count and len(later) < MOST_AHEAD and self.refill():
            row = self._fetched.popleft()
            # Two that look alike at once could not be told apart when an answer is lost.
            if row.trace_hash in going or row.lead_id == self.avoid_lead or self._comes_too_soon(row, rows):
                later.append(row)
            elif row.lead_id in self._missing_leads:
                self._recorder.record_local(self._missing_leads[row.lead_id]._replace(n=row.n))
            elif not self._hold_back(row):
                rows.append(row)
                going.add(row.trace_hash)
        self._fetched.extend(later)
        if not rows:
            self.avoid_lead = None
        return rows

    def _comes_too_soon(self, row: PendingRow, chosen: Collection[PendingRow]) -> bool:
        """
        Whether a row is the last of its type, and others are still on their way.

        Where their answers are lost nothing proves them not to be stored but a row that was begun later.
        """
        if self._last is None:
            self._last = self._spool.last_of_each_type()
        if row.n not in self._last:
            return False
        before = (work.row for work in (*self._ready, *self._in_flight.posts.values()))
        return any(other.kind == row.kind for other in (*chosen, *before))

    # Ready

    def pop_ready(self, avoid: Collection[int] = ()) -> Work | None:
        """
        Take the row that is sent next, if any may be.

        :param avoid: leads that nothing is sent to at this moment
        """
        for work in self._ready:
            if work.row.lead_id not in avoid:
                self._ready.remove(work)
                self._passed_over.discard(work.row.lead_id)
                return work
            self._passed_over.add(work.row.lead_id)
        return None

    def leads_in_turn(self) -> Collection[int]:
        """Leads that something is to be sent to before they are read again: it was passed over while they were read."""
        if self._passed_over:
            waiting = {row.lead_id for row in (*self._fetched, *(work.row for work in self._ready))}
            self._passed_over &= waiting
        return self._passed_over

    def retry(self, work: Work) -> None:
        """A row was certainly not stored: it is sent next, while its intent allows it."""
        self._ready.appendleft(work)

    def take_back(self, work: Work) -> None:
        """A row was not taken up before the run ended: nothing was sent."""
        self._ready.append(work)

    def return_expired(self) -> None:
        """What was intended too long ago is intended anew."""
        while self._ready and self._ready[0].start_before.is_over:
            work = self._ready.popleft()
            self._expired[work.row.n] = work.intent
            self._fetched.appendleft(work.row)

    def withdraw(self) -> None:
        """The run ends: what was intended and never sent is withdrawn."""
        for intent in (*self._expired.values(), *(work.intent for work in self._ready)):
            if not intent.attempts:  # what was sent before may be stored, so that its intent stays open
                self._recorder.withdraw(intent)
        self._expired.clear()
        self._ready.clear()

    # Held back

    def pop_claimed(self, row_key: bytes) -> PendingRow | None:
        """Take a row that another run had claimed, if there is one; the caller decides what becomes of it."""
        return self._claimed.pop(row_key, None)

    def give_up_claimed(self) -> None:
        """The run ends: rows that another run has claimed may have been sent by it."""
        for row in self._claimed.values():
            self._recorder.record_local(Result(row.n, Outcome.UNKNOWN, error=HELD_BY_ANOTHER))
        self._claimed.clear()

    def release_twins(self) -> None:
        """Doubts are over: rows that waited for them may be sent."""
        waiting, self._behind_doubt = self._behind_doubt, []
        for row in waiting:
            if self._hold_on(row) is Hold.DOUBT:
                self._behind_doubt.append(row)
            else:
                self._fetched.append(row)

    def release_lead(self, lead_id: int, settled: Collection[int] = ()) -> None:
        """
        A lead was read: rows that waited for that may be sent.

        :param settled: numbers of rows that have their outcome now
        """
        self._behind_doubt = [row for row in self._behind_doubt if row.n not in settled]
        self._fetched.extend(row for row in self._behind_lead.pop(lead_id, ()) if row.n not in settled)

    def drop_rows(self, lead_id: int, settled: Collection[int]) -> None:
        """
        Some of the rows that wait for a lead have their outcome.

        :param settled: their numbers
        """
        self._behind_doubt = [row for row in self._behind_doubt if row.n not in settled]
        if lead_id in self._behind_lead:
            self._behind_lead[lead_id] = [row for row in self._behind_lead[lead_id] if row.n not in settled]

    def drop_lead(self, lead_id: int) -> None:
        """The rows that waited for a lead have their outcome."""
        self._behind_lead.pop(lead_id, None)

    def release_leads(self) -> None:
        """Leads are not read any more: all rows that waited for that may be sent."""
        for lead_id in list(self._behind_lead):
            self.release_lead(lead_id)

    def reject_lead(self, lead_id: int, result: Result) -> None:
        """
        A lead does not exist: its rows are rejected unsent.

        :param result: what is written down for each of them
        """
        self._recorder.reject_lead(lead_id, result, list(self._in_flight.posts))
        self._missing_leads[lead_id] = result
        for work in [work for work in self._ready if work.row.lead_id == lead_id]:
            self._expired[work.row.n] = work.intent  # is withdrawn in the end
            self._ready.remove(work)
            self._fetched.append(work.row)


class Lookahead:
    """
    How many rows to intend at once: as many as are sent in about a second, by the pace allowed and the pace seen.

    :param rows: to begin with
    :param clock: monotonic seconds
    """

    def __init__(self, rows: int, clock: Callable[[], float]) -> None:
        self._rows = rows
        self._clock = clock
        self._last = -math.inf

    def next(self, requests_per_minute: float) -> int:
        """
        Count the rows of the next commit.

        :param requests_per_minute: the pace allowed
        """
        now = self._clock()
        if now - self._last < _AHEAD_SECONDS / 2:
            self._rows = min(self._rows * 2, MOST_AHEAD)
        elif now - self._last > _AHEAD_SECONDS:
            self._rows = max(self._rows // 2, 1)
        self._last = now
        return min(self._rows, max(int(requests_per_minute / 60 * _AHEAD_SECONDS), 1))
