"""
From the spool through the client to an outcome for every row.

The main thread decides, and alone touches spool and journal; worker threads only make HTTP requests. A row is sent
only after the journal holds the intent to send it. It is sent again only when it certainly was not stored: refused for
its rate, no byte of its request had left, or reading back proved it. Everything else without a trustworthy answer is
doubt, which :mod:`reconcile <airflow_provider_lofty.delivery.reconcile>` settles while other rows go on.

Until a first row is delivered one request is in flight at a time, so that a wrong credential or a mapping that
Lofty refuses shows after few requests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from airflow_provider_lofty.clock import Lapse
from airflow_provider_lofty.delivery.backlog import Backlog, Hold, Lookahead
from airflow_provider_lofty.delivery.breaker import CircuitBreaker
from airflow_provider_lofty.delivery.canary import Canary
from airflow_provider_lofty.delivery.controls import Controls
from airflow_provider_lofty.delivery.doubt import Doubt, Page
from airflow_provider_lofty.delivery.precheck import Precheck
from airflow_provider_lofty.delivery.progress import Progress
from airflow_provider_lofty.delivery.reconcile import Reconciler
from airflow_provider_lofty.delivery.recorder import Recorder
from airflow_provider_lofty.delivery.settling import Settling
from airflow_provider_lofty.delivery.stop import Stop, StopKind, stop_for
from airflow_provider_lofty.delivery.verdicts import Verdicts
from airflow_provider_lofty.delivery.workers import Came, InFlight, PageRead, Posted, PostFailed, ReadFailed, Workers
from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyCredentialRefused, LoftyError
from airflow_provider_lofty.journal.journal import Intent, Journal, JournalError
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.fields import ACTIVITY_TYPES
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.spool.spool import PendingRow, Spool

LAST_ANSWERS_SECONDS = 2.0
_SLICE_SECONDS = 0.2  # how late a stop may be noticed
_SOON_SECONDS = 0.5


class Delivery:
    """
    Sends the rows that wait in the spool.

    :param spool: the rows; their outcomes go back there
    :param client: makes the requests
    :param journal: holds intents and results
    :param log: progress and stops
    :param stop: set from outside to end the run: nothing new is sent from then on
    :param check_existing: ``sample``, ``always`` or ``never``: which leads to read before they are sent to
    :param on_unknown: ``verify``, ``report``, ``resend`` or ``assume_delivered``: what to do about a row in doubt
    :param stop_after_rejections: so many different leads refused alike, before any success, end the run
    :param has_gaps: the journal has gaps: earlier tries may have sent rows that are not in it
    :param may_retry: another try will follow, should this one fail
    :param began: by the clock; when the run began, so that earlier tries had ended
    :param deadline: by the clock; when to stop
    :param show: given the progress, often
    :param clock: seconds, which also pass while the machine is suspended; the same as the client's
    :param now: seconds since 1970
    :param workers: makes the threads that make requests, so many at once
    """

    def __init__(
        self,
        spool: Spool,
        client: LoftyClient,
        journal: Journal,
        log: Log,
        stop: threading.Event,
        *,
        check_existing: str,
        on_unknown: str,
        stop_after_rejections: int,
        has_gaps: bool,
        may_retry: bool = True,
        began: float,
        deadline: float,
        show: Callable[[Progress], None],
        clock: Callable[[], float],
        now: Callable[[], float],
        workers: Callable[[int], Workers[Came]] = Workers,
    ) -> None:
        settings = client.settings
        self._client = client
        self._stop_asked = stop
        self._may_retry = may_retry
        self._deadline = deadline
        self._show = show
        self._clock = clock
        self._now = now
        self._breaker = CircuitBreaker(clock)
        self._lookahead = Lookahead(settings.max_in_flight, clock)
        self._in_flight = InFlight(client, workers(settings.max_in_flight), clock, now)
        self._progress = Progress(spool.count_pending(), log, clock)
        self._recorder = Recorder(spool, journal, self._progress, clock)
        self._backlog = Backlog(spool, self._recorder, self._in_flight, self._hold_on)
        self._settling = Settling(
            Controls(), is_proving=on_unknown in ("verify", "resend"), send_soon=self._send_soon, clock=clock
        )
        self._canary = Canary(
            spool, self._recorder, self._backlog, log,
            is_needed=on_unknown != "resend", settle_seconds=settings.settle_seconds,
            lacks_control=self._settling.lacks_control, clock=clock,
        )  # fmt: skip
        self._precheck = Precheck(
            check_existing, spool, self._recorder, self._backlog, self._canary, log,
            has_gaps=has_gaps, not_before=began + settings.resumed_absence_seconds, clock=clock,
        )  # fmt: skip
        self._reconciler = Reconciler(
            spool, journal, self._recorder, self._settling, self._precheck, self._backlog, self._in_flight, log,
            on_unknown=on_unknown, settings=settings, clock=clock, now=now,
        )  # fmt: skip
        self._verdicts = Verdicts(
            client, self._recorder, self._breaker, self._backlog, self._canary, self._reconciler,
            on_unknown=on_unknown, stop_after_rejections=stop_after_rejections,
        )  # fmt: skip
        self._has_planned = self._is_held = False  # held: what is ready goes to leads that are being read
        self._has_just_read = False  # a reading was the last that began
        self._stop: Stop | None = None

    @property
    def sent(self) -> int:
        """Rows that Lofty has, or may have, from this run."""
        return self._verdicts.sent

    @property
    def read_backs(self) -> int:
        """How many times a lead was read."""
        return self._in_flight.read_backs

    @property
    def seconds_in_doubt(self) -> float:
        """For how long at least one row was in doubt."""
        return self._progress.seconds_in_doubt

    @property
    def may_settle_later(self) -> bool:
        """Whether another try may settle what this one could not."""
        return self._verdicts.has_unanswered or self._reconciler.may_settle_later or len(self._settling) > 0

    @property
    def blind_spot(self) -> str:
        """What nobody can tell of rows that an earlier try may have sent, for people; empty where all is known."""
        return self._canary.failure

    @property
    def proved(self) -> Mapping[str, float]:
        """Type of activity → since when, by the clock, a page that does not show a row proves something."""
        return {kind: self._canary.proved_at(kind) for kind in ACTIVITY_TYPES}

    def _hold_on(self, row: PendingRow) -> Hold | None:
        if self._settling.holds(row.trace_hash, row.lead_id):
            return Hold.DOUBT
        return self._precheck.hold_on(row)

    def _send_soon(self, doubt: Doubt) -> bool:
        """See to it that the lead of a doubt gets another row of its type, its own control."""
        twins = self._settling.traces_at(doubt.lead_id)
        return self._backlog.send_soon(doubt.lead_id, doubt.wanted.type, twins)

    def take_doubts(self, doubtful: Iterable[tuple[Intent, PendingRow | None]]) -> None:
        """
        Take in what earlier tries left in doubt.

        :param doubtful: each with its row, where the input has it
        """
        for intent, row in doubtful:
            self._progress.total += row is not None
            self._reconciler.take_earlier(intent, row)

    def run(self) -> Stop | None:
        """
        Send until every row has been tried or going on is useless.

        :return: why it stopped early; None when it did not. Rows without an outcome were not attempted
        """
        try:
            while not self._should_end():
                self._start_what_may_go()
                self._take_results(self._patience())
                for released in self._recorder.heartbeat():
                    self._reconciler.take_released(released)
                self._report()
            self._recorder.finish()  # while a journal that does not answer is still waited for
        except JournalError as error:
            reason = f"the journal failed ({error}), and without it nothing is sent"
            self._stop = self._stop or Stop(StopKind.JOURNAL, reason)
        except BaseException as error:
            # A time-out may have struck inside a call to the journal, whose answers would be mixed up from then on.
            self._rescue(may_commit=isinstance(error, Exception))
            raise
        finally:
            self._progress.see_doubts(0)
            self._stop_asked.set()  # whoever waits for a turn in a thread of its own stops waiting
            self._in_flight.end()
        try:
            self._take_last_answers()
        except Exception:
            self._rescue(may_commit=True)
            raise
        self._close_journal()
        return self._stop

    def _report(self) -> None:
        self._progress.see_doubts(len(self._settling))
        self._progress.report()
        self._show(self._progress)

    # Ends

    def _should_end(self) -> bool:
        self._stop = self._stop or self._reason_to_stop()
        if self._stop is not None:
            return True
        if not self._is_idle() or self._canary.advance():
            return False
        return not (self._in_flight.reads or self._backlog.holds_rows or self._settling)

    def _reason_to_stop(self) -> Stop | None:
        if self._stop_asked.is_set():
            return Stop(StopKind.KILLED, "the task was told to stop")
        if self._clock() >= self._deadline:
            return Stop(StopKind.TIME, "execution_timeout is near")
        if self._breaker.is_outage(self.sent > 0):
            seconds, last = self._breaker.seconds(), self._breaker.last
            return Stop(StopKind.OUTAGE, f"Lofty gave no usable answer for {seconds:.0f} s ({last})")
        return None

    def _is_idle(self) -> bool:
        """Whether nothing is left to send."""
        return not (self._in_flight.posts or self._precheck.is_sampling) and self._backlog.is_drained

    def _take_last_answers(self) -> None:
        """After a stop wait briefly for what is on its way; without its answer a row is in doubt."""
        deadline = self._clock() + LAST_ANSWERS_SECONDS
        try:
            while self._in_flight.posts and self._clock() < deadline:
                came = self._in_flight.result(_SLICE_SECONDS)
                if isinstance(came, (Posted, PostFailed)):
                    self._take(came)
        finally:
            for work in list(self._in_flight.posts.values()):
                self._verdicts.take_unanswered(work, "the run ended before the answer came")
                self._in_flight.settle(work)
            self._backlog.give_up_claimed()

    def _rescue(self, *, may_commit: bool) -> None:
        """The run has failed, perhaps because the disk is full: what came back still goes to the journal."""
        with suppress(Exception):
            self._take_last_answers()
        if may_commit:
            with suppress(Exception):
                self._close_journal()

    def _close_journal(self) -> None:
        """Bring the journal up to date; what was intended and never sent is withdrawn."""
        self._backlog.withdraw()
        try:
            self._recorder.finish()
        except JournalError as error:
            reason = f"the journal failed at the end ({error}); the next try settles what it lacks"
            self._stop = self._stop or Stop(StopKind.JOURNAL, reason)

    # What goes out

    def _start_what_may_go(self) -> None:
        if self._breaker.is_open:
            self._start_probe()
            return
        self._start_reads()
        if self._precheck.is_sampling:
            return
        pacer = self._client.pacer
        while self._has_room() and self._next_is_ready() and pacer.delay() <= 0:
            self._plan()
            # A lead stands still while it is read, or its entries would move from page to page.
            work = self._backlog.pop_ready(avoid=self._in_flight.reads)
            self._is_held = work is None
            if work is None:
                return
            pacer.reserve()
            self._has_just_read = False
            self._in_flight.post(work, self._backlog.take_back)

    def _plan(self) -> None:
        if not self._has_planned:
            self._has_planned = True
            pacer = self._client.pacer
            self._progress.plan(
                pacer.requests_per_minute, pacer.knows_limit, seconds_allowed=self._deadline - self._clock(),
                settling_seconds=self._client.settings.patience_seconds, may_retry=self._may_retry,
            )  # fmt: skip

    def _start_probe(self) -> None:
        if self._in_flight.posts or self._in_flight.reads or not self._breaker.may_probe():
            return
        found = self._reconciler.probe()
        if found is not None:
            self._breaker.is_probing = True
            self._in_flight.read(*found)

    def _start_reads(self) -> None:
        flight, is_idle, most = self._in_flight, self._is_idle(), self._in_flight.most
        share = 1 if not flight.has_read else most if is_idle else max(most // 2, 1)  # reading must not hold sending up
        while len(flight.reads) < share and flight.has_room and self._client.reading_delay() <= 0:
            if self._is_turn_of_a_row():
                return
            found = self._reconciler.next_read({*flight.reads, *self._backlog.leads_in_turn()}, is_idle)
            if found is None:
                return
            self._has_just_read = True
            flight.read(*found)

    def _is_turn_of_a_row(self) -> bool:
        """Whether a row comes before the next reading: at a slow pace the pages of readings would take every turn."""
        may_send = self._has_just_read and self._has_room() and not self._precheck.is_sampling
        return may_send and self._backlog.has_next()

    def _has_room(self) -> bool:
        """Whether another row may be sent now."""
        return self._in_flight.has_room if self._breaker.is_proven else not self._in_flight.posts

    def _next_is_ready(self) -> bool:
        """Whether the journal allows the next row to be sent, now."""
        self._backlog.return_expired()
        if not self._backlog.has_ready and self._client.pacer.delay() < _SOON_SECONDS:
            count = self._lookahead.next(self._client.pacer.requests_per_minute) if self._breaker.is_proven else 1
            # From before the commit: whoever finds the intent takes it for lapsed no earlier than this run does.
            ttl = self._client.settings.intent_ttl_seconds
            self._backlog.intend(count, Lapse(ttl, self._clock, self._now))
        return self._backlog.has_ready

    # What comes back

    def _patience(self) -> float:
        """How long to wait for an answer before looking at the clock again."""
        if self._breaker.is_open or self._is_held or not self._backlog.has_ready or not self._has_room():
            return _SLICE_SECONDS if self._in_flight.posts or self._in_flight.reads else _SLICE_SECONDS / 4
        return min(max(self._client.pacer.delay(), 0.001), _SLICE_SECONDS)

    def _take_results(self, seconds: float) -> None:
        came = self._in_flight.result(seconds)
        while came is not None:
            self._take(came)
            came = self._in_flight.result(0)

    def _take(self, came: Came) -> None:
        if isinstance(came, PageRead):
            self._take_page(came.page)
        elif isinstance(came, ReadFailed):
            self._take_read_failure(came)
        else:
            if isinstance(came, Posted):
                self._stop_if(self._verdicts.take(came.work, came.verdict))
            else:
                self._take_post_failure(came)
            self._in_flight.settle(came.work)  # last: a time-out that strikes before leaves the row in doubt

    def _stop_if(self, stop: Stop | None) -> None:
        self._stop = self._stop or stop  # the first cause is the one to tell

    def _take_page(self, page: Page) -> None:
        if self._breaker.is_probing:
            self._breaker.probed(answered=True)
        self._reconciler.take(page, is_idle=self._is_idle())

    def _take_post_failure(self, came: PostFailed) -> None:
        """The client raised, so no byte of the row's own request had left."""
        error = came.error
        if not isinstance(error, LoftyError):
            why = f"the request ended in an unexpected failure ({type(error).__name__})"
            self._verdicts.take_unanswered(came.work, why)
            self._in_flight.settle(came.work)
            raise error
        if isinstance(error, (LoftyCredentialRefused, LoftyConfigurationError)):
            self._stop_if(stop_for(error))
        else:
            self._breaker.record_failure(str(error))
        self._backlog.retry(came.work)

    def _take_read_failure(self, came: ReadFailed) -> None:
        error = came.error
        if not isinstance(error, LoftyError):
            raise error
        is_answer = not error.is_retryable
        if self._breaker.is_probing:
            self._breaker.probed(answered=is_answer)
        elif not is_answer and self._precheck.reads_every_lead:
            self._breaker.record_failure(str(error))
        self._stop_if(self._reconciler.failed(came.lead_id, error))
