"""
A journal that outlives a short absence of its store: a database that restarts, an api-server that is being deployed.

Every call to a journal may be repeated: what has taken effect already is recognised by the journal itself. So a call
that fails for a reason that may pass is made again until it succeeds. Meanwhile the run stands still, and nothing is
sent; answers to what was sent before wait where the threads have left them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from threading import Event
from typing import TypeVar

from airflow_provider_lofty.journal.journal import Closing, Intent, Journal, JournalUnavailable, Loaded, Released
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.spool.sample import InputSample
from airflow_provider_lofty.spool.spool import Spool

PATIENCE_SECONDS = 120.0
FIRST_PATIENCE_SECONDS = 30.0  # with a store that has not answered yet: its connection may be wrong
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 4.0

T = TypeVar("T")


class RetryingJournal:
    """
    A journal whose store may be away for a while.

    :param journal: the journal
    :param log: told when its store is away, and when it is back
    :param stop: set from outside to end the run; nothing is waited for then
    :param deadline: by the clock; when to stop
    :param clock: monotonic seconds
    """

    def __init__(self, journal: Journal, log: Log, stop: Event, *, deadline: float, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._log = log
        self._stop = stop
        self._deadline = deadline
        self._clock = clock

    def begin(self, *, is_later_try: bool) -> bool:
        """Get ready; a store that does not answer at all is not waited for as long."""
        return self._persist(partial(self._journal.begin, is_later_try=is_later_try), FIRST_PATIENCE_SECONDS)

    def load(self, spool: Spool) -> Loaded:
        """Put what is known into ``spool.history``."""
        return self._persist(lambda: self._journal.load(spool), PATIENCE_SECONDS)

    def start(self, rows: InputSample) -> None:
        """Write down that sending begins."""
        self._persist(lambda: self._journal.start(rows), PATIENCE_SECONDS)

    def load_lead(self, lead_id: int, spool: Spool) -> None:
        """Put into ``spool.history`` what other runs delivered to a lead."""
        self._persist(lambda: self._journal.load_lead(lead_id, spool), PATIENCE_SECONDS)

    def load_alike(self, trace: Trace, spool: Spool) -> None:
        """Put into ``spool`` what other runs sent to other leads that says the same."""
        self._persist(lambda: self._journal.load_alike(trace, spool), PATIENCE_SECONDS)

    def commit(self, intents: Sequence[Intent], closings: Sequence[Closing]) -> Collection[bytes]:
        """Make these durable, together."""
        return self._persist(lambda: self._journal.commit(intents, closings), PATIENCE_SECONDS)

    def heartbeat(self) -> Sequence[Released]:
        """Show that this run is alive; tell what became of rows that others held."""
        return self._persist(self._journal.heartbeat, PATIENCE_SECONDS)

    def close(self) -> None:
        """Free connections."""
        self._journal.close()

    def persist(self, call: Callable[[], T]) -> T:
        """Make a call to what is kept beside the journal, in the same store."""
        return self._persist(call, PATIENCE_SECONDS)

    def _persist(self, call: Callable[[], T], seconds: float) -> T:
        try:
            return call()
        except JournalUnavailable as error:
            return self._repeat(call, error, seconds)

    def _repeat(self, call: Callable[[], T], error: JournalUnavailable, seconds: float) -> T:
        began, pause = self._clock(), _FIRST_PAUSE_SECONDS
        until = min(began + seconds, self._deadline)
        if self._stop.is_set() or began >= until:
            raise error
        self._log.warning("%s; nothing is sent until it answers again, for %.0f s at most", error, until - began)
        while not self._stop.wait(min(pause, until - self._clock())):
            try:
                result = call()
            except JournalUnavailable as again:
                if self._clock() >= until:
                    raise type(again)(f"{again}, for {self._clock() - began:.0f} s") from again
            else:
                self._log.info("the journal answers again, after %.1f s", self._clock() - began)
                return result
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        raise error
