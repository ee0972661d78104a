"""
From the spool through the hook to an outcome for every row.

The main thread decides, and alone touches spool and journal; worker threads only make HTTP requests. A row is sent
only after the journal holds the intent to send it. It goes again only when it certainly was not stored: refused for
its rate, no byte of its request had left, or reading back proved it. Everything else without a trustworthy answer is
doubt, which :mod:`readback <airflow_provider_lofty.readback>` settles while other rows go on.

Until a first row is delivered one request is in flight at a time, so that a wrong credential or a mapping that
Lofty refuses shows after few requests.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from queue import Empty, Queue
from typing import NamedTuple, Protocol

from airflow_provider_lofty.answers import Meaning, Verdict, names_missing_lead
from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyCredentialRefused, LoftyError
from airflow_provider_lofty.existing import Existing
from airflow_provider_lofty.journal import (
    DELIVERED,
    FOREIGN,
    REJECTED,
    Freed,
    Intent,
    Journal,
    JournalError,
    intent_of,
    utc_now,
)
from airflow_provider_lofty.known import KEY_OF_ANOTHER
from airflow_provider_lofty.ledger import Ledger
from airflow_provider_lofty.logs import Log
from airflow_provider_lofty.matching import Sought, sought
from airflow_provider_lofty.pacing import Pacer
from airflow_provider_lofty.privacy import texts_in, without
from airflow_provider_lofty.progress import Progress
from airflow_provider_lofty.readback import MOST_SENDS, ReadBack
from airflow_provider_lofty.settling import Doubt, Page, Settling
from airflow_provider_lofty.spool import ALREADY_DELIVERED, INVALID, UNKNOWN, PendingRow, Result, Spool
from airflow_provider_lofty.trouble import Trouble, Wall

LAST_ANSWERS_SECONDS = 2.0
MOST_AHEAD = 800  # rows in one commit: more would be a large value for Airflow's store
_SLICE_SECONDS = 0.2  # how late a stop may be noticed
_AHEAD_SECONDS = 1.0  # so much is intended ahead, and would be in doubt after a crash
_SOON_SECONDS = 0.5


class ShownPage(Protocol):
    """What reading a lead back gives."""

    @property
    def entries(self) -> list[Sought]: ...

    @property
    def is_complete(self) -> bool: ...


class Door(Protocol):
    """What delivery needs of the hook."""

    @property
    def pacer(self) -> Pacer: ...

    def reading_delay(self) -> float: ...

    def post_activity(self, lead_id: int, body: bytes, *, has_turn: bool, start_before: float) -> Verdict: ...

    def read_back(self, lead_id: int, since: int) -> ShownPage: ...

    def error_for(self, verdict: Verdict, what: str) -> LoftyError: ...


class StopKind(Enum):
    """Why a run ended before its last row."""

    KILLED = "killed"
    TIME = "time"
    OUTAGE = "outage"
    JOURNAL = "journal"
    CREDENTIAL = "credential"
    CONFIGURATION = "configuration"
    REJECTIONS = "rejections"


@dataclass(frozen=True)
class Stop:
    """
    Why a run ended before its last row.

    :param reason: for people, with what to do now
    :param error: what to raise, where the cause has an exception of its own
    """

    kind: StopKind
    reason: str
    error: LoftyError | None = None


@dataclass(frozen=True)
class Conduct:
    """
    How to send.

    :param max_in_flight: requests at once
    :param stop_after_rejections: so many different leads refused alike, before any success, end the run
    :param settle_seconds: how long Lofty may take to show what it stored
    :param loaded_settle_seconds: the same for what another process sent, whose request may still be on its way
    :param authorised_seconds: how long an intent allows its request's first byte to leave
    :param on_unknown: ``verify``, ``report``, ``resend`` or ``assume_delivered``
    :param deadline: when to stop, by the clock
    """

    max_in_flight: int
    stop_after_rejections: int
    settle_seconds: float
    loaded_settle_seconds: float
    authorised_seconds: float
    on_unknown: str = "verify"
    deadline: float = math.inf


class _Work(NamedTuple):
    row: PendingRow
    intent: Intent
    start_before: float
    began: float = 0.0
    sent_at: str = ""


class _Done(NamedTuple):
    """What came of a job: a verdict on a row, a page of a lead, or an error."""

    work: _Work | None = None
    lead_id: int = 0
    verdict: Verdict | None = None
    page: Page | None = None
    error: BaseException | None = None


class Delivery:
    """
    Sends the rows that wait in the spool.

    :param spool: the rows; their outcomes go back there
    :param hook: makes the requests
    :param journal: holds intents and results
    :param existing: which leads to read before they are sent to
    :param log: progress and stops
    :param stop: set from outside to end the run: nothing new is sent from then on
    :param show: given the progress, often
    :param doubtful: how many rows earlier tries left in doubt
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        spool: Spool,
        hook: Door,
        journal: Journal,
        existing: Existing,
        conduct: Conduct,
        log: Log,
        stop: threading.Event,
        *,
        show: Callable[[Progress], None] = lambda progress: None,
        doubtful: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._hook = hook
        self._conduct = conduct
        self._existing = existing
        self._stop_asked = stop
        self._show = show
        self._clock = clock
        self._trouble = Trouble(clock)
        self._wall = Wall(conduct.stop_after_rejections)
        self._progress = Progress(spool.count_pending() + doubtful, log, clock)
        self._ledger = Ledger(spool, journal, self._progress, clock)
        self._settling = Settling(
            self._older_control, is_proving=conduct.on_unknown in ("verify", "resend"), clock=clock
        )
        self._readback = ReadBack(spool, journal, self._ledger, self._settling, existing, log, clock)
        self._queue: deque[PendingRow] = deque()
        self._ready: deque[_Work] = deque()
        self._lapsed: dict[int, Intent] = {}
        self._held: dict[bytes, PendingRow] = {}
        self._missing_leads: dict[int, Result] = {}
        self._last_read = 0
        self._shunned: int | None = None  # its last row got no usable answer; the next to be tried is another lead's
        self._ahead, self._last_intended = conduct.max_in_flight, -math.inf
        self._in_flight: dict[int, _Work] = {}
        self._reading: set[int] = set()
        self._is_probing = self._has_read = self._has_open_doubt = self._has_planned = False
        self._results: Queue[_Done] = Queue()
        self._stop: Stop | None = None
        self.sent = 0
        self.read_backs = 0

    @property
    def may_settle_later(self) -> bool:
        """Whether another try may settle what this one could not."""
        return self._has_open_doubt or self._readback.may_settle_later or len(self._settling) > 0

    def recall(self, doubtful: list[tuple[Intent, PendingRow | None]]) -> None:
        """
        Take in what earlier tries left in doubt.

        :param doubtful: each with its row, where the input has it
        """
        for intent, row in doubtful:
            if row is not None and row.identity != intent.identity:
                intent = self._renamed(intent, row)
            if row is not None and self._conduct.on_unknown == "resend":
                self._queue.append(row)
            elif row is not None and self._conduct.on_unknown == "assume_delivered":
                sends = max(intent.attempts, 1)
                self._ledger.close(intent, DELIVERED, Result(row.n, ALREADY_DELIVERED, error=_ASSUMED, attempts=sends))
            else:
                wait = self._conduct.loaded_settle_seconds
                self._readback.doubt(Doubt(intent, row, -math.inf, self._clock(), wait))

    def _renamed(self, old: Intent, row: PendingRow) -> Intent:
        intent = intent_of(row, old.attempts)
        self._ledger.withdraw(old)
        self._ledger.intend([intent])  # in one commit: a crash between the two would leave one doubt twice
        return intent

    def run(self) -> Stop | None:
        """
        Send until every row has been tried or going on is useless.

        :return: why it stopped early; None when it did not. Rows without an outcome were not attempted
        """
        pool = ThreadPoolExecutor(self._conduct.max_in_flight, thread_name_prefix="lofty")
        try:
            while not self._should_end():
                self._start_what_may_go(pool)
                self._take_results(self._patience())
                self._tend()
                self._progress.in_doubt = len(self._settling)
                self._progress.tell()
                self._show(self._progress)
        except JournalError as error:
            self._stop = Stop(StopKind.JOURNAL, f"the journal failed ({error}), and without it nothing is sent")
        except BaseException as error:
            # A time-out may have struck inside a call to the journal, whose answers would be mixed up from then on.
            self._rescue(may_commit=isinstance(error, Exception))
            raise
        finally:
            self._stop_asked.set()  # whoever waits for a turn in a thread of its own stops waiting
            pool.shutdown(wait=False, cancel_futures=True)
        try:
            self._take_last_answers()
        except Exception:
            self._rescue(may_commit=True)
            raise
        self._close_ledger()
        return self._stop

    def _rescue(self, *, may_commit: bool) -> None:
        """The run has failed, perhaps because the disk is full: what came back still goes to the journal."""
        with suppress(Exception):
            self._take_last_answers()
        if may_commit:
            with suppress(Exception):
                self._close_ledger()

    def _close_ledger(self) -> None:
        """Bring the journal up to date; what was intended and never sent is withdrawn."""
        for intent in (*self._lapsed.values(), *(work.intent for work in self._ready)):
            if not intent.attempts:
                self._ledger.withdraw(intent)
        self._lapsed.clear()
        self._ready.clear()
        try:
            self._ledger.finish()
        except JournalError as error:
            reason = f"the journal failed at the end ({error}); the next try settles what it lacks"
            self._stop = self._stop or Stop(StopKind.JOURNAL, reason)

    def _should_end(self) -> bool:
        if self._stop is None:
            self._stop = self._reason_to_stop()
        if self._stop is not None:
            return True
        return self._is_idle() and not (self._reading or self._held or self._readback.is_busy or self._settling)

    def _reason_to_stop(self) -> Stop | None:
        if self._stop_asked.is_set():
            return Stop(StopKind.KILLED, "the task was told to stop")
        if self._clock() >= self._conduct.deadline:
            return Stop(StopKind.TIME, "execution_timeout is near")
        if self._trouble.is_outage(self.sent > 0):
            seconds, last = self._trouble.seconds(), self._trouble.last
            return Stop(StopKind.OUTAGE, f"Lofty gave no usable answer for {seconds:.0f} s ({last})")
        return None

    def _is_idle(self) -> bool:
        """Whether nothing is left to send."""
        if self._in_flight or self._ready or self._existing.is_sampling:
            return False
        return not self._refilled() and not self._readback.parked()  # rows that are fetched may be parked at once

    def _refilled(self) -> bool:
        """Fetch rows until one is there whose turn it may be."""
        while not self._queue and self._readback.parked() < MOST_AHEAD and not self._existing.is_sampling:
            rows = self._spool.pending(after=self._last_read)
            if not rows:
                break
            self._last_read = rows[-1].n
            self._queue.extend(row for row in rows if not self._readback.parks(row))
        return bool(self._queue)

    # What goes out

    def _start_what_may_go(self, pool: ThreadPoolExecutor) -> None:
        if self._trouble.is_suspended:
            self._start_probe(pool)
            return
        self._start_reads(pool)
        if self._existing.is_sampling:
            return
        pacer = self._hook.pacer
        while self._has_room() and self._next_is_ready() and pacer.delay() <= 0:
            if not self._has_planned:
                self._has_planned = True
                self._progress.plan(pacer.requests_per_minute, pacer.is_told, self._conduct.deadline - self._clock())
            pacer.reserve()
            work = self._ready.popleft()._replace(sent_at=utc_now(), began=self._clock())
            self._in_flight[work.row.n] = work
            pool.submit(self._post, work).add_done_callback(partial(self._take_back, work))

    def _take_back(self, work: _Work, request: Future[None]) -> None:
        """A stop that comes before a thread takes the request up cancels it: nothing was sent."""
        if request.cancelled():
            self._ready.append(work)
            del self._in_flight[work.row.n]
            self._hook.pacer.give_back()

    def _start_probe(self, pool: ThreadPoolExecutor) -> None:
        if self._in_flight or self._reading or not self._trouble.may_probe():
            return
        found = self._readback.probe()
        if found is None and self._refilled():
            found = self._queue[0].lead_id, 0
        if found is None and self._ready:
            found = self._ready[0].row.lead_id, 0
        if found is None:
            found = self._readback.next_read((), is_idle=True)
        if found is not None:
            self._is_probing = True
            self._start_read(pool, *found)

    def _start_reads(self, pool: ThreadPoolExecutor) -> None:
        is_idle, most = self._is_idle(), self._most_in_flight()
        share = 1 if not self._has_read else most if is_idle else max(most // 2, 1)  # reading must not hold sending up
        while len(self._reading) < share and len(self._reading) + len(self._in_flight) < most:
            if self._hook.reading_delay() > 0:
                return
            found = self._readback.next_read(self._reading, is_idle)
            if found is None:
                return
            self._start_read(pool, *found)

    def _start_read(self, pool: ThreadPoolExecutor, lead_id: int, since: int) -> None:
        self._reading.add(lead_id)
        self.read_backs += 1
        pool.submit(self._read, lead_id, since)

    def _has_room(self) -> bool:
        if not self._trouble.is_proven:
            return not self._in_flight
        return len(self._in_flight) + len(self._reading) < self._most_in_flight()

    def _most_in_flight(self) -> int:
        return int(min(self._conduct.max_in_flight, self._hook.pacer.most_in_flight))

    def _next_is_ready(self) -> bool:
        """Whether the journal allows the next row to be sent, now."""
        self._return_expired()
        if not self._ready and self._hook.pacer.delay() < _SOON_SECONDS:
            self._intend()
        return bool(self._ready)

    def _return_expired(self) -> None:
        """What was intended too long ago is intended anew."""
        now = time.monotonic()
        while self._ready and self._ready[0].start_before <= now:
            work = self._ready.popleft()
            self._lapsed[work.row.n] = work.intent
            self._queue.appendleft(work.row)

    def _intend(self) -> None:
        rows = self._next_rows(self._rows_ahead())
        if not rows:
            return
        start_before = time.monotonic() + self._conduct.authorised_seconds
        intents = [intent_of(row, row.attempts) for row in rows]
        try:
            refused = self._ledger.intend(intents)
        except JournalError:
            self._queue.extendleft(reversed(rows))
            raise
        for row, intent in zip(rows, intents, strict=True):
            self._lapsed.pop(row.n, None)
            if row.identity in refused:
                self._held[row.identity] = row
            else:
                self._ready.append(_Work(row, intent, start_before))

    def _rows_ahead(self) -> int:
        """As many rows as will be sent in about a second, by the pace allowed and the pace seen."""
        if not self._trouble.is_proven:
            return 1
        now = self._clock()
        if now - self._last_intended < _AHEAD_SECONDS / 2:
            self._ahead = min(self._ahead * 2, MOST_AHEAD)
        elif now - self._last_intended > _AHEAD_SECONDS:
            self._ahead = max(self._ahead // 2, 1)
        self._last_intended = now
        return min(self._ahead, max(int(self._hook.pacer.requests_per_minute / 60 * _AHEAD_SECONDS), 1))

    def _next_rows(self, count: int) -> list[PendingRow]:
        rows: list[PendingRow] = []
        later: list[PendingRow] = []
        going = {work.row.trace for work in (*self._in_flight.values(), *self._ready)}
        while len(rows) < count and len(later) < MOST_AHEAD and self._refilled():
            row = self._queue.popleft()
            # Two that look alike at once could not be told apart when an answer is lost.
            if row.trace in going or row.lead_id == self._shunned:
                later.append(row)
                continue
            missing = self._missing_leads.get(row.lead_id)
            if missing is not None:
                self._ledger.settle(missing._replace(n=row.n))
            elif not self._readback.parks(row):
                rows.append(row)
                going.add(row.trace)
        self._queue.extend(later)
        if not rows:
            self._shunned = None
        return rows

    def _post(self, work: _Work) -> None:
        """In a worker thread: make the request; whatever happens goes into the queue of results."""
        try:
            row = work.row
            verdict = self._hook.post_activity(row.lead_id, row.body, has_turn=True, start_before=work.start_before)
            self._results.put(_Done(work, verdict=verdict))
        except BaseException as error:  # noqa: BLE001 - re-raised in the main thread
            self._results.put(_Done(work, error=error))

    def _read(self, lead_id: int, since: int) -> None:
        """In a worker thread: read a lead back; whatever happens goes into the queue of results."""
        started = self._clock()
        try:
            shown = self._hook.read_back(lead_id, since)
            page = Page(lead_id, shown.entries, shown.is_complete, started, self._clock())
            self._results.put(_Done(lead_id=lead_id, page=page))
        except BaseException as error:  # noqa: BLE001 - re-raised in the main thread
            self._results.put(_Done(lead_id=lead_id, error=error))

    # What comes back

    def _patience(self) -> float:
        """How long to wait for an answer before looking at the clock again."""
        if self._trouble.is_suspended or not self._ready or not self._has_room():
            return _SLICE_SECONDS if self._in_flight or self._reading else _SLICE_SECONDS / 4
        return min(max(self._hook.pacer.delay(), 0.001), _SLICE_SECONDS)

    def _take_results(self, seconds: float) -> None:
        try:
            self._take(self._results.get(timeout=seconds))
            while True:
                self._take(self._results.get_nowait())
        except Empty:
            return

    def _take_last_answers(self) -> None:
        """After a stop wait briefly for what is on its way; without its answer a row is in doubt."""
        deadline = time.monotonic() + LAST_ANSWERS_SECONDS
        try:
            while self._in_flight and time.monotonic() < deadline:
                with suppress(Empty):
                    done = self._results.get(timeout=_SLICE_SECONDS)
                    if done.work is not None:
                        self._take(done)
        finally:
            for work in list(self._in_flight.values()):
                self._doubt_unanswered(work, "the run ended before the answer came")

    def _doubt_unanswered(self, work: _Work, why: str) -> None:
        error = f"sent, but {why}: it may be stored; look at the lead"
        self._ledger.doubt(work.intent, _result(work, UNKNOWN, Verdict(Meaning.DOUBT), error))
        self._has_open_doubt = True
        self.sent += 1
        del self._in_flight[work.row.n]

    def _tend(self) -> None:
        for freed in self._ledger.tend():
            self._take_freed(freed)

    def _take_freed(self, freed: Freed) -> None:
        """Go on with a row that another run held."""
        row = self._held.pop(freed.identity, None)
        if row is None:
            return
        if freed.state == DELIVERED:
            self._ledger.settle(Result(row.n, ALREADY_DELIVERED, error="delivered by another run"))
        elif freed.state == FOREIGN:
            self._ledger.settle(Result(row.n, INVALID, error=KEY_OF_ANOTHER))
        elif freed.intent is None:
            self._queue.append(row)
        else:
            self._spool.doubt(Result(row.n, UNKNOWN, attempts=row.attempts))
            wait = self._conduct.loaded_settle_seconds
            self._readback.doubt(Doubt(freed.intent, row, -math.inf, self._clock(), wait))

    def _take(self, done: _Done) -> None:
        if done.work is None:
            self._reading.remove(done.lead_id)
        if done.page is not None:
            self._take_page(done.page)
        elif done.error is not None:
            self._take_error(done, done.error)
        elif done.work is not None and done.verdict is not None:
            self._take_verdict(done.work, done.verdict)
        if done.work is not None:  # last: a time-out that strikes before leaves the row in doubt, not forgotten
            self._in_flight.pop(done.work.row.n, None)

    def _take_page(self, page: Page) -> None:
        self._has_read = True
        if self._is_probing:
            self._is_probing = False
            self._trouble.probed(answered=True)
        in_flight = [work.row.trace for work in self._in_flight.values()]
        self._queue.extend(self._readback.take(page, in_flight, is_idle=self._is_idle()))

    def _take_error(self, done: _Done, error: BaseException) -> None:
        """The hook raised, so no byte of the row's own request had left."""
        if done.work is None and isinstance(error, LoftyError):
            self._take_read_error(done.lead_id, error)
        elif isinstance(error, (LoftyCredentialRefused, LoftyConfigurationError)):
            self._stop_for(error)
        elif isinstance(error, LoftyError):
            self._trouble.happened(str(error))
        else:
            if done.work is not None:
                self._doubt_unanswered(
                    done.work, f"the request failed in a way nobody expected ({type(error).__name__})"
                )
            raise error
        if done.work is not None:
            self._ready.appendleft(done.work)

    def _take_read_error(self, lead_id: int, error: LoftyError) -> None:
        was_probe, self._is_probing = self._is_probing, False
        is_answer = not error.is_retryable
        if was_probe:
            self._trouble.probed(answered=is_answer)
        elif not is_answer and self._existing.reads_every_lead:
            self._trouble.happened(str(error))
        try:
            self._queue.extend(self._readback.failed(lead_id, error))
        except LoftyError as fatal:
            self._stop_for(fatal)

    def _stop_for(self, error: LoftyError) -> None:
        kind = StopKind.CREDENTIAL if isinstance(error, LoftyCredentialRefused) else StopKind.CONFIGURATION
        self._stop = self._stop or Stop(kind, str(error), error)

    def _take_verdict(self, work: _Work, verdict: Verdict) -> None:
        meaning = verdict.meaning
        if meaning is Meaning.RATE_LIMITED:
            self._trouble.throttled()
            self._ready.appendleft(work)
        elif meaning is Meaning.NEVER_SENT:
            self._trouble.happened(verdict.message)
            self._ready.appendleft(work)
        elif meaning in (Meaning.CREDENTIAL_REFUSED, Meaning.MISCONFIGURED):
            self._stop_for(self._hook.error_for(verdict, "POST activity"))
            self._ready.appendleft(work)
        else:
            self.sent += meaning is not Meaning.REJECTED
            _SETTLE[meaning](self, work, verdict)

    def _settle_delivered(self, work: _Work, verdict: Verdict) -> None:
        self._trouble.delivered()
        self._shunned = None
        self._wall.delivered()
        other = verdict.lead_id != work.row.lead_id
        remark = f"Lofty answered with lead {verdict.lead_id}: the lead was merged" if other else None
        self._ledger.close(work.intent, DELIVERED, _result(work, DELIVERED, verdict, remark))
        self._settling.delivered(work.intent.sought, work.began)

    def _settle_doubt(self, work: _Work, verdict: Verdict) -> None:
        self._trouble.happened(_said(verdict))
        self._shunned = work.row.lead_id
        error = f"sent, but no trustworthy answer ({_said(verdict)}): it may be stored; look at the lead"
        said = _result(work, UNKNOWN, verdict, error)
        on_unknown = self._conduct.on_unknown
        if on_unknown == "assume_delivered":
            self._ledger.close(work.intent, DELIVERED, said._replace(outcome=DELIVERED, error=_ASSUMED))
            return
        self._ledger.doubt(work.intent, said)
        intent = work.intent._replace(attempts=said.attempts)
        if on_unknown == "resend" and said.attempts < MOST_SENDS:
            self._queue.append(work.row._replace(attempts=said.attempts))
        elif on_unknown != "resend":
            wait = self._conduct.settle_seconds
            self._readback.doubt(Doubt(intent, work.row, work.began, self._clock(), wait, said))

    def _settle_rejected(self, work: _Work, verdict: Verdict) -> None:
        self._trouble.answered()
        message = without(verdict.message, texts_in(work.row.body)) or "no reason given"
        result = _result(work, REJECTED, verdict, f"Lofty refused it: {message}; not stored")
        self._ledger.close(work.intent, REJECTED, result)
        if names_missing_lead(verdict):
            self._reject_others_of_lead(work, verdict)
        if self._wall.is_reached(work.row.lead_id, verdict):
            said = f"HTTP {verdict.status}" + (f", code {verdict.code}" if verdict.code else "") + f": {message}"
            reason = f"Lofty refused {self._wall.height} different leads alike before any success ({said})"
            self._stop = self._stop or Stop(StopKind.REJECTIONS, reason)

    def _reject_others_of_lead(self, work: _Work, verdict: Verdict) -> None:
        lead_id = work.row.lead_id
        error = f"the lead does not exist, as Lofty said of row {work.row.row_number}; not sent"
        rejected = self._spool.reject_lead(lead_id, verdict.status, verdict.code, error, list(self._in_flight))
        self._progress.count(REJECTED, rejected)
        self._missing_leads[lead_id] = Result(0, REJECTED, verdict.status, verdict.code, error)
        for other in [ready for ready in self._ready if ready.row.lead_id == lead_id]:
            self._lapsed[other.row.n] = other.intent
            self._ready.remove(other)
            self._queue.append(other.row)

    def _older_control(self, kind: str) -> Sought | None:
        row = self._spool.delivered_example(kind)
        return None if row is None else sought(row.lead_id, row.body)


_ASSUMED = "in doubt, and taken for delivered as on_unknown says"
_SETTLE = {
    Meaning.DELIVERED: Delivery._settle_delivered,
    Meaning.REJECTED: Delivery._settle_rejected,
    Meaning.DOUBT: Delivery._settle_doubt,
}


def _result(work: _Work, outcome: str, verdict: Verdict, error: str | None) -> Result:
    attempts = work.row.attempts + 1
    return Result(work.row.n, outcome, verdict.status, verdict.code, error, attempts, work.sent_at)


def _said(verdict: Verdict) -> str:
    status = f"HTTP {verdict.status}" if verdict.status else ""
    return ", ".join(filter(None, (status, verdict.message[:100])))
