"""
From the spool through the hook to an outcome for every row.

The main thread decides; worker threads only make HTTP requests. A row goes again only when it certainly was not
stored: refused for its rate, or no byte of its request had left. Without a trustworthy answer it becomes ``unknown``
and is never sent again.

Until a first row is delivered one request is in flight at a time, so that a wrong credential or a mapping that
Lofty refuses shows after few requests.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from queue import Empty, SimpleQueue
from typing import NamedTuple, Protocol

from airflow_provider_lofty.answers import Meaning, Verdict, names_missing_lead
from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyCredentialRefused, LoftyError
from airflow_provider_lofty.logs import PROGRESS_SECONDS, Log
from airflow_provider_lofty.pacing import Pacer
from airflow_provider_lofty.privacy import texts_in, without
from airflow_provider_lofty.spool import DELIVERED, REJECTED, UNKNOWN, PendingRow, Result, Spool

TROUBLE_IN_A_ROW = 5
OUTAGE_SECONDS = 600.0
EARLY_OUTAGE_SECONDS = 20.0  # before anything was sent the task's own retries wait better
LAST_ANSWERS_SECONDS = 2.0
_SLICE_SECONDS = 0.2  # how late a stop may be noticed
_LONGEST_PROBE_WAIT = 30.0
_MOST_SIGNATURES = 100


class Door(Protocol):
    """What delivery needs of the hook."""

    @property
    def pacer(self) -> Pacer: ...

    def post_activity(self, lead_id: int, body: bytes, *, has_turn: bool) -> Verdict: ...

    def answers_reading(self, lead_id: int) -> bool: ...

    def error_for(self, verdict: Verdict, what: str) -> LoftyError: ...


class StopKind(Enum):
    """Why a run ended before its last row."""

    KILLED = "killed"
    OUTAGE = "outage"
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


class _Work(NamedTuple):
    row: PendingRow
    attempts: int = 0
    sent_at: str = ""


class _Done(NamedTuple):
    work: _Work | None  # None: a probe
    verdict: Verdict | None = None
    error: BaseException | None = None
    answered: bool = False


class Delivery:
    """
    Sends the rows that wait in the spool.

    :param spool: the rows; their outcomes go back there
    :param hook: makes the requests
    :param log: progress and stops
    :param stop: set from outside to end the run: nothing new is sent from then on
    :param max_in_flight: requests at once
    :param stop_after_rejections: so many different leads refused alike, before any success, end the run
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        spool: Spool,
        hook: Door,
        log: Log,
        stop: threading.Event,
        *,
        max_in_flight: int,
        stop_after_rejections: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._hook = hook
        self._log = log
        self._stop_asked = stop
        self._max_in_flight = max_in_flight
        self._trouble = _Trouble(clock)
        self._wall = _Wall(stop_after_rejections)
        self._progress = _Progress(spool.count_pending(), log, clock)
        self._queue: deque[_Work] = deque()
        self._last_read = 0
        self._in_flight: dict[int, _Work] = {}
        self._probing = False
        self._results: SimpleQueue[_Done] = SimpleQueue()
        self._stop: Stop | None = None
        self.sent = 0

    def run(self) -> Stop | None:
        """
        Send until every row has been tried or going on is useless.

        :return: why it stopped early; None when it did not. Rows without an outcome were not attempted
        """
        pool = ThreadPoolExecutor(self._max_in_flight, thread_name_prefix="lofty")
        try:
            while not self._should_end():
                self._start_what_may_go(pool)
                self._take_results(self._patience())
                self._progress.tell()
        finally:
            self._take_last_answers()
            pool.shutdown(wait=False, cancel_futures=True)
        return self._stop

    def _should_end(self) -> bool:
        if self._stop_asked.is_set() and self._stop is None:
            self._stop = Stop(StopKind.KILLED, "the task was told to stop")
        if self._stop is None and self._trouble.is_outage(self.sent > 0):
            self._stop = Stop(StopKind.OUTAGE, f"Lofty gave no usable answer for {self._trouble.seconds():.0f} s "
                                               f"({self._trouble.last})")  # fmt: skip
        if self._stop is not None:
            return True
        return not self._in_flight and not self._probing and not self._refilled()

    def _refilled(self) -> bool:
        if not self._queue:
            rows = self._spool.pending(after=self._last_read)
            if rows:
                self._last_read = rows[-1].n
            self._queue.extend(map(_Work, rows))
        return bool(self._queue)

    def _start_what_may_go(self, pool: ThreadPoolExecutor) -> None:
        if self._trouble.is_suspended:
            if not self._in_flight and not self._probing and self._trouble.may_probe() and self._refilled():
                self._probing = True
                pool.submit(self._probe, self._queue[0].row.lead_id)
            return
        while self._has_room() and self._refilled() and self._hook.pacer.delay() <= 0:
            self._hook.pacer.reserve()
            work = self._queue.popleft()._replace(sent_at=_now())
            self._in_flight[work.row.n] = work
            pool.submit(self._post, work)

    def _has_room(self) -> bool:
        return len(self._in_flight) < (self._max_in_flight if self._trouble.is_proven else 1)

    def _patience(self) -> float:
        """How long to wait for an answer before looking at the clock again."""
        if self._trouble.is_suspended or not self._queue or not self._has_room():
            return _SLICE_SECONDS
        return min(max(self._hook.pacer.delay(), 0.001), _SLICE_SECONDS)

    def _post(self, work: _Work) -> None:
        """In a worker thread: make the request; whatever happens goes into the queue of results."""
        try:
            self._results.put(_Done(work, self._hook.post_activity(*work.row[2:], has_turn=True)))
        except BaseException as error:  # noqa: BLE001 - re-raised in the main thread
            self._results.put(_Done(work, error=error))

    def _probe(self, lead_id: int) -> None:
        """In a worker thread: ask Lofty something that stores nothing."""
        try:
            self._results.put(_Done(None, answered=self._hook.answers_reading(lead_id)))
        except BaseException as error:  # noqa: BLE001 - re-raised in the main thread
            self._results.put(_Done(None, error=error))

    def _take_results(self, seconds: float) -> None:
        try:
            self._take(self._results.get(timeout=seconds))
            while True:
                self._take(self._results.get_nowait())
        except Empty:
            return

    def _take_last_answers(self) -> None:
        """After a stop wait briefly for what is on its way; without its answer a row is ``unknown``."""
        deadline = time.monotonic() + LAST_ANSWERS_SECONDS
        while self._in_flight and time.monotonic() < deadline:
            self._take_results(_SLICE_SECONDS)
        for work in self._in_flight.values():
            self._doubt(work, "the run ended before the answer came")
        self._in_flight.clear()

    def _take(self, done: _Done) -> None:
        if done.work is None:
            self._probing = False
            self._trouble.probed(done.answered)
        else:
            del self._in_flight[done.work.row.n]
        if done.error is not None:
            self._take_error(done.work, done.error)
        elif done.work is not None and done.verdict is not None:
            self._take_verdict(done.work, done.verdict)

    def _take_error(self, work: _Work | None, error: BaseException) -> None:
        """The hook raised, so no byte of the row's own request had left."""
        if isinstance(error, LoftyCredentialRefused):
            self._stop = self._stop or Stop(StopKind.CREDENTIAL, str(error), error)
        elif isinstance(error, LoftyConfigurationError):
            self._stop = self._stop or Stop(StopKind.CONFIGURATION, str(error), error)
        elif isinstance(error, LoftyError):
            self._repeat(work, str(error))
        else:
            if work is not None:
                self._doubt(work, type(error).__name__)
            raise error

    def _doubt(self, work: _Work, why: str) -> None:
        self._take_verdict(work, Verdict(Meaning.DOUBT, message=why))

    def _take_verdict(self, work: _Work, verdict: Verdict) -> None:
        meaning = verdict.meaning
        if meaning is Meaning.RATE_LIMITED:
            self._trouble.throttled()
            self._queue.appendleft(work)
        elif meaning is Meaning.NEVER_SENT:
            self._repeat(work, verdict.message)
        elif meaning in (Meaning.CREDENTIAL_REFUSED, Meaning.MISCONFIGURED):
            error = self._hook.error_for(verdict, "POST activity")
            credential = meaning is Meaning.CREDENTIAL_REFUSED
            kind = StopKind.CREDENTIAL if credential else StopKind.CONFIGURATION
            self._stop = self._stop or Stop(kind, str(error), error)
        else:
            self.sent += meaning is not Meaning.REJECTED
            _SETTLE[meaning](self, work._replace(attempts=work.attempts + 1), verdict)

    def _repeat(self, work: _Work | None, why: str) -> None:
        self._trouble.happened(why)
        if work is not None:
            self._queue.appendleft(work)

    def _settle_delivered(self, work: _Work, verdict: Verdict) -> None:
        self._trouble.delivered()
        self._wall.delivered()
        other = verdict.lead_id != work.row.lead_id
        remark = f"Lofty answered with lead {verdict.lead_id}: the lead was merged" if other else None
        self._write(work, DELIVERED, verdict, remark)

    def _settle_unknown(self, work: _Work, verdict: Verdict) -> None:
        self._trouble.happened(_said(verdict))
        self._write(work, UNKNOWN, verdict, f"sent, but no trustworthy answer ({_said(verdict)}): it may be stored; "
                                            "look at the lead before it is sent again")  # fmt: skip

    def _settle_rejected(self, work: _Work, verdict: Verdict) -> None:
        self._trouble.answered()
        message = without(verdict.message, texts_in(work.row.body)) or "no reason given"
        self._write(work, REJECTED, verdict, f"Lofty refused it: {message}; not stored")
        if names_missing_lead(verdict):
            self._reject_others_of_lead(work, verdict)
        if self._wall.is_reached(work.row.lead_id, verdict):
            said = f"HTTP {verdict.status}" + (f", code {verdict.code}" if verdict.code else "") + f": {message}"
            reason = f"Lofty refused {self._wall.height} different leads alike before any success ({said})"
            self._stop = self._stop or Stop(StopKind.REJECTIONS, reason)

    def _reject_others_of_lead(self, work: _Work, verdict: Verdict) -> None:
        lead_id = work.row.lead_id
        error = f"the lead does not exist, as Lofty said of row {work.row.row_number}; not sent"
        count = self._spool.reject_lead(lead_id, verdict.status, verdict.code, error)
        self._progress.count(REJECTED, count)
        self._queue = deque(other for other in self._queue if other.row.lead_id != lead_id)

    def _write(self, work: _Work, outcome: str, verdict: Verdict, error: str | None) -> None:
        row = Result(work.row.n, outcome, verdict.status, verdict.code, error, work.attempts, work.sent_at)
        self._spool.settle(row)
        self._progress.count(outcome)


_SETTLE: dict[Meaning, Callable[[Delivery, _Work, Verdict], None]] = {
    Meaning.DELIVERED: Delivery._settle_delivered,
    Meaning.REJECTED: Delivery._settle_rejected,
    Meaning.DOUBT: Delivery._settle_unknown,
}


class _Trouble:
    """
    Requests that get no usable answer, one after the other.

    After :data:`TROUBLE_IN_A_ROW` of them nothing more is posted until something that stores nothing is answered;
    then one row is tried, and its failure suspends the run again, for longer.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._count = 0
        self._since: float | None = None
        self._throttled_since: float | None = None
        self._probe_at = 0.0
        self._probe_wait = 1.0
        self.is_proven = False
        self.last = ""

    @property
    def is_suspended(self) -> bool:
        return self._count >= TROUBLE_IN_A_ROW

    def happened(self, why: str) -> None:
        now = self._clock()
        self._count += 1
        self._since = now if self._since is None else self._since
        self.is_proven = False
        self.last = why
        if self._count == TROUBLE_IN_A_ROW:
            self._wait_longer()

    def throttled(self) -> None:
        self._count, self._since = 0, None
        self.last = "every request was refused for its rate"
        self._throttled_since = self._throttled_since or self._clock()

    def answered(self) -> None:
        self._count, self._since, self._throttled_since, self._probe_wait = 0, None, None, 1.0

    def delivered(self) -> None:
        self.answered()
        self.is_proven = True

    def may_probe(self) -> bool:
        return self._clock() >= self._probe_at

    def probed(self, answered: bool) -> None:
        if answered:
            self._count = TROUBLE_IN_A_ROW - 1
        else:
            self._wait_longer()

    def _wait_longer(self) -> None:
        self._probe_at = self._clock() + self._probe_wait
        self._probe_wait = min(self._probe_wait * 2, _LONGEST_PROBE_WAIT)

    def seconds(self) -> float:
        since = self._throttled_since if self._since is None else self._since
        return 0.0 if since is None else self._clock() - since

    def is_outage(self, anything_sent: bool) -> bool:
        if self._since is None:
            return self.seconds() > OUTAGE_SECONDS
        return self.is_suspended and self.seconds() > (OUTAGE_SECONDS if anything_sent else EARLY_OUTAGE_SECONDS)


class _Wall:
    """Counts the different leads that were refused alike before any success."""

    def __init__(self, height: int) -> None:
        self.height = height
        self._leads: dict[object, set[int]] | None = {}

    def delivered(self) -> None:
        self._leads = None

    def is_reached(self, lead_id: int, verdict: Verdict) -> bool:
        if self._leads is None or len(self._leads) > _MOST_SIGNATURES:
            return False
        words = "".join(c for c in verdict.message if not c.isdigit())[:60]
        leads = self._leads.setdefault((verdict.status, verdict.code or words), set())
        leads.add(lead_id)
        return len(leads) >= self.height


class _Progress:
    """Tells how far the run is, every :data:`PROGRESS_SECONDS`."""

    def __init__(self, total: int, log: Log, clock: Callable[[], float]) -> None:
        self._total = total
        self._log = log
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._started = self._told = clock()

    def count(self, outcome: str, rows: int = 1) -> None:
        self._counts[outcome] += rows

    def tell(self) -> None:
        now = self._clock()
        if now - self._told < PROGRESS_SECONDS:
            return
        self._told = now
        done = sum(self._counts.values())
        rate = done * 60 / (now - self._started)
        eta = f"about {(self._total - done) / rate:.0f} min left" if rate else "no row done yet"
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in self._counts.items())
        self._log.info("%d of %d rows done (%s), %.0f rows/min, %s", done, self._total, outcomes or "none", rate, eta)


def _said(verdict: Verdict) -> str:
    status = f"HTTP {verdict.status}" if verdict.status else ""
    return ", ".join(filter(None, (status, verdict.message[:100])))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
