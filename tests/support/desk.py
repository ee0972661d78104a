"""The rooms of one delivery without its loop: a test says what comes back, and when."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence

from airflow_provider_lofty.clock import Lapse
from airflow_provider_lofty.delivery.backlog import Backlog, Hold
from airflow_provider_lofty.delivery.breaker import CircuitBreaker
from airflow_provider_lofty.delivery.canary import Canary
from airflow_provider_lofty.delivery.controls import Controls
from airflow_provider_lofty.delivery.doubt import Doubt, Page
from airflow_provider_lofty.delivery.precheck import Precheck
from airflow_provider_lofty.delivery.progress import Progress
from airflow_provider_lofty.delivery.reconcile import Reconciler
from airflow_provider_lofty.delivery.recorder import Recorder
from airflow_provider_lofty.delivery.settling import Settling
from airflow_provider_lofty.delivery.verdicts import Verdicts
from airflow_provider_lofty.delivery.workers import Came, InFlight, Work, Workers
from airflow_provider_lofty.journal.journal import Closing, Intent, JournalError, NoJournal, Released
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.settings import LoftySettings
from airflow_provider_lofty.lofty.trace import Trace, trace_of_body
from airflow_provider_lofty.rows.mapping import RowMapping
from airflow_provider_lofty.rows.source import Source, SourceRow
from airflow_provider_lofty.run.ingest import Ingest
from airflow_provider_lofty.spool.books import ReportRow
from airflow_provider_lofty.spool.spool import PendingRow, Spool
from support.practice import Log, no_publisher, row

SETTLE = 60.0
CREATED = 1_772_359_200_000
SETTINGS = LoftySettings(
    conn_id="lofty_default", base_url="https://api.example.com", auth_type="api_key", token_url="", password="made-up",
    client_id="", client_secret="", customer_key="", refresh_token="", requests_per_minute=600_000, max_in_flight=4,
    timeout_seconds=30.0, settle_seconds=SETTLE,
)  # fmt: skip


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class KeptJournal(NoJournal):
    """
    A journal that keeps what it was given, and when.

    :ivar claims: keys that another run has claimed
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.commits: list[tuple[Sequence[Intent], Sequence[Closing]]] = []
        self.heartbeats: list[float] = []
        self.released: list[Released] = []
        self.claims: set[bytes] = set()
        self.is_down = False

    def commit(self, intents: Sequence[Intent], closings: Sequence[Closing]) -> Collection[bytes]:
        if self.is_down:
            raise JournalError("down")
        self.commits.append((intents, list(closings)))
        return self.claims & {intent.row_key for intent in intents}

    def heartbeat(self) -> Sequence[Released]:
        self.heartbeats.append(self._clock.now)
        released, self.released = self.released, []
        return released

    @property
    def closed(self) -> list[tuple[bytes, str]]:
        """Each closing's row and state, in order."""
        return [(closing.intent.row_key, closing.state) for _, closings in self.commits for closing in closings]


class HeldWorkers(Workers[Came]):
    """Threads that take up no job before they are told to."""

    def __init__(self) -> None:
        self.jobs: deque[tuple[Callable[[], Came], Callable[[], object]]] = deque()

    def start(self, job: Callable[[], Came], cancelled: Callable[[], object] = lambda: None) -> None:
        self.jobs.append((job, cancelled))

    def result(self, seconds: float) -> Came | None:
        return self.jobs.popleft()[0]() if self.jobs else None

    def end(self) -> None:
        while self.jobs:
            self.jobs.popleft()[1]()


class Desk:
    """
    The rooms of one delivery, with the rows of these leads waiting.

    :param holds: says what keeps a row back, in the place of doubts and of leads to be read
    """

    def __init__(
        self,
        *leads: int,
        on_unknown: str = "verify",
        check_existing: str = "never",
        has_gaps: bool = False,
        stop_after_rejections: int = 20,
        holds: Callable[[PendingRow], Hold | None] | None = None,
    ) -> None:
        self.clock, self.log = Clock(), Log()
        self.journal, self.spool, self.workers = KeptJournal(self.clock), Spool(keep_cells=False), HeldWorkers()
        self._fill(leads)
        self.client = LoftyClient(lambda: SETTINGS, mask=lambda secret: None, clock=self.clock)
        self.breaker = CircuitBreaker(self.clock)
        self.in_flight = InFlight(self.client, self.workers, self.clock, now=self._wall)
        self.progress = Progress(len(leads), self.log, self.clock)
        self.recorder = Recorder(self.spool, self.journal, self.progress, self.clock)
        self.backlog = Backlog(self.spool, self.recorder, self.in_flight, holds or self._hold_on)
        self.settling = Settling(
            Controls(), is_proving=on_unknown in ("verify", "resend"), send_soon=self._send_soon, clock=self.clock
        )
        self.canary = Canary(
            self.spool, self.recorder, self.backlog, self.log, is_needed=on_unknown != "resend",
            settle_seconds=SETTLE, lacks_control=self.settling.lacks_control, clock=self.clock,
        )  # fmt: skip
        self.precheck = Precheck(
            check_existing, self.spool, self.recorder, self.backlog, self.canary, self.log,
            has_gaps=has_gaps, not_before=self.clock.now + SETTINGS.resumed_absence_seconds, clock=self.clock,
        )  # fmt: skip
        self.reconciler = Reconciler(
            self.spool, self.journal, self.recorder, self.settling, self.precheck, self.backlog, self.in_flight,
            self.log, on_unknown=on_unknown, settings=SETTINGS, clock=self.clock, now=self._wall,
        )  # fmt: skip
        self.verdicts = Verdicts(
            self.client, self.recorder, self.breaker, self.backlog, self.canary, self.reconciler,
            on_unknown=on_unknown, stop_after_rejections=stop_after_rejections,
        )  # fmt: skip

    def _wall(self) -> float:
        """Seconds since 1970, which is when it all begins."""
        return self.clock.now - 1000.0

    def _fill(self, leads: Sequence[int]) -> None:
        rows = [
            row(lead_id, text=f"row {n}", link=f"https://homes.example.com/{n}", created=CREATED + n * 10**7)
            for n, lead_id in enumerate(leads, 1)
        ]
        ingest = Ingest(RowMapping(), self.spool, self.log, no_publisher(self.log))
        ingest.take(Source("rows", None, (SourceRow(n, tuple(r), tuple(r.values())) for n, r in enumerate(rows, 1))))
        ingest.finish()
        self.rows = self.spool.pending()

    def _hold_on(self, row: PendingRow) -> Hold | None:
        if self.settling.holds(row.trace_hash, row.lead_id):
            return Hold.DOUBT
        return self.precheck.hold_on(row)

    def _send_soon(self, doubt: Doubt) -> bool:
        twins = self.settling.traces_at(doubt.lead_id)
        return self.backlog.send_soon(doubt.lead_id, doubt.wanted.type, twins)

    def lapse(self, seconds: float = 10.0) -> Lapse:
        """Until when intents of this moment allow a request to begin."""
        return Lapse(seconds, self.clock, lambda: 0.0)

    def make_ready(self, count: int = 1) -> list[int]:
        """Intend this many rows; the numbers of those that are ready."""
        self.backlog.intend(count, self.lapse())
        ready = []
        while (work := self.backlog.pop_ready()) is not None:
            ready.append(work)
        for work in ready:
            self.backlog.take_back(work)
        return [work.row.n for work in ready]

    def post(self) -> Work:
        """Hand the next row to a thread."""
        self.backlog.intend(1, self.lapse())
        if not self.backlog.has_ready:  # after a doubt the first look is for a row of another lead
            self.backlog.intend(1, self.lapse())
        work = self.backlog.pop_ready()
        assert work is not None
        self.in_flight.post(work, self.backlog.take_back)
        return self.in_flight.posts[work.row.n]

    def trace(self, n: int) -> Trace:
        """What a row reads back as."""
        return trace_of_body(self.rows[n - 1].lead_id, self.rows[n - 1].body)

    def show(self, lead_id: int, *shown: int | Trace, is_complete: bool = True, took: float = 0.0) -> None:
        """Take a lead's page that shows these rows, by their number, or these entries."""
        entries = [self.trace(one) if isinstance(one, int) else one for one in shown]
        page = Page(lead_id, entries, is_complete, self.clock.now, self.clock.now + took)
        self.clock.now += took
        self.reconciler.take(page, is_idle=True)

    @property
    def results(self) -> list[ReportRow]:
        """Every row as a report would show it now, without an outcome where it has none."""
        return list(self.spool.books.rows())

    @property
    def outcomes(self) -> list[str | None]:
        return [result.outcome for result in self.results]


MakeDesk = Callable[..., Desk]
