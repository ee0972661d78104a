"""Threads that make requests, what is on its way, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty, Queue
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from airflow_provider_lofty.clock import Lapse
from airflow_provider_lofty.delivery.doubt import Page
from airflow_provider_lofty.delivery.identities import NO_QUESTIONS, Questions
from airflow_provider_lofty.journal.journal import Intent, utc_now
from airflow_provider_lofty.lofty.answers import Verdict
from airflow_provider_lofty.spool.spool import PendingRow

if TYPE_CHECKING:  # the queues are free of what makes requests
    from airflow_provider_lofty.lofty.client import LoftyClient

T = TypeVar("T")


class Workers(Generic[T]):
    """
    Threads that do jobs; the main thread takes the results.

    :param most: jobs at once
    """

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="lofty")
        self._results: Queue[T] = Queue()

    def start(self, job: Callable[[], T], cancelled: Callable[[], object] = lambda: None) -> None:
        """
        Do a job as soon as a thread is free.

        :param job: gives its result and never raises
        :param cancelled: called when :meth:`end` comes before a thread has taken the job up
        """
        future = self._pool.submit(lambda: self._results.put(job()))
        future.add_done_callback(lambda ended: cancelled() if ended.cancelled() else None)

    def result(self, seconds: float) -> T | None:
        """Wait for the next result; None when none comes in time."""
        try:
            return self._results.get(timeout=seconds)
        except Empty:
            return None

    def end(self) -> None:
        """Take up no further job; the results of those that were begun can still be waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Work(NamedTuple):
    """
    A row that may be sent: the intent is in the journal.

    :param start_before: the intent allows no first byte to leave later
    :param began: by the clock; when it was handed to a thread
    :param sent_at: the same, as reports write it
    """

    row: PendingRow
    intent: Intent
    start_before: Lapse
    began: float = 0.0
    sent_at: str = ""


class Posted(NamedTuple):
    """A row's request was answered, or it is known why not."""

    work: Work
    verdict: Verdict


class PostFailed(NamedTuple):
    """The client raised, which it does only before a row's own request begins."""

    work: Work
    error: BaseException


class PageRead(NamedTuple):
    """A lead's activities were read."""

    page: Page


class ReadFailed(NamedTuple):
    """A lead's activities could not be read."""

    lead_id: int
    error: BaseException


Came = Posted | PostFailed | PageRead | ReadFailed


class InFlight:
    """
    Rows that are being sent and leads that are being read.

    A row stays in :attr:`posts` until :meth:`settle`, also when its result was taken: a time-out may strike while the
    result is looked at, and the row is then in doubt, not forgotten.

    :param client: makes the requests
    :param workers: the threads that they are made in
    :param clock: seconds, which also pass while the machine is suspended; the same as the client's
    :param now: seconds since 1970
    :ivar posts: rows that are being sent, by their number
    :ivar reads: leads that are being read
    :ivar read_backs: how many times a lead was read
    :ivar has_read: whether a lead could be read
    """

    def __init__(
        self, client: LoftyClient, workers: Workers[Came], clock: Callable[[], float], now: Callable[[], float]
    ) -> None:
        self._client = client
        self._workers = workers
        self._clock = clock
        self._now = now
        self.posts: dict[int, Work] = {}
        self.reads: set[int] = set()
        self.read_backs = 0
        self.has_read = False

    @property
    def most(self) -> int:
        """How many requests may be on their way at once."""
        return int(min(self._client.settings.max_in_flight, self._client.pacer.most_in_flight))

    @property
    def has_room(self) -> bool:
        """Whether one more request may go."""
        return len(self.posts) + len(self.reads) < self.most

    def trace_hashes(self) -> list[bytes]:
        """What the rows that are being sent will read back as."""
        return [work.row.trace_hash for work in self.posts.values()]

    def post(self, work: Work, cancelled: Callable[[Work], object]) -> None:
        """
        Send a row.

        :param cancelled: called when :meth:`end` comes before a thread has taken the row up: nothing was sent
        """
        work = work._replace(sent_at=utc_now(self._now), began=self._clock())
        self.posts[work.row.n] = work
        self._workers.start(partial(self._post, work), partial(self._take_back, work, cancelled))

    def _take_back(self, work: Work, cancelled: Callable[[Work], object]) -> None:
        cancelled(work)  # first: a time-out that strikes between leaves the row in both places rather than in none
        self.settle(work)
        self._client.pacer.give_back()

    def read(self, lead_id: int, since: int, questions: Questions = NO_QUESTIONS) -> None:
        """
        Read a lead's activities.

        :param since: milliseconds since 1970; older activities need not be read
        :param questions: which leads to ask about when they have come
        """
        self.reads.add(lead_id)
        self.read_backs += 1
        self._workers.start(partial(self._read, lead_id, since, questions))

    def _post(self, work: Work) -> Came:
        """In a worker thread: make the request; whatever happens is a result."""
        row = work.row
        try:
            verdict = self._client.post_activity(row.lead_id, row.body, has_turn=True, start_before=work.start_before)
            return Posted(work, verdict)
        except BaseException as error:  # noqa: BLE001 - re-raised in the main thread
            return PostFailed(work, error)

    def _read(self, lead_id: int, since: int, questions: Questions) -> Came:
        """In a worker thread: read a lead back; whatever happens is a result."""
        started = self._clock()
        try:
            shown = self._client.read_back(lead_id, since)
            named = self._identify(questions.about(shown.entries))
            return PageRead(Page(
                lead_id, shown.entries, shown.is_complete, started, self._clock(), shown.unreadable, shown.reached,
                named,
            ))  # fmt: skip
        except BaseException as error:  # noqa: BLE001 - re-raised in the main thread
            return ReadFailed(lead_id, error)

    def _identify(self, leads: Iterable[int]) -> dict[int, int]:
        """Ask which leads these are. Where Lofty does not say of one, the answers about the others prove nothing."""
        named: dict[int, int] = {}
        for lead_id in leads:
            said = self._client.identify(lead_id)
            if said is None:
                break
            named[lead_id] = said
        return named

    def result(self, seconds: float) -> Came | None:
        """Wait for what comes back next; None when nothing comes in time."""
        came = self._workers.result(seconds)
        if isinstance(came, PageRead):
            self.reads.discard(came.page.lead_id)
            self.has_read = True
        elif isinstance(came, ReadFailed):
            self.reads.discard(came.lead_id)
        return came

    def settle(self, work: Work) -> None:
        """What came of a row is written down, or it goes back to where rows wait."""
        self.posts.pop(work.row.n, None)

    def end(self) -> None:
        """Take up no further request; those that were begun can still be waited for."""
        self._workers.end()
