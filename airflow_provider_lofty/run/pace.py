"""The limit that a run learned from refusals, kept in Airflow's task state store for the task's next try."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Annotated

import msgspec

from airflow_provider_lofty.clock import boot_seconds
from airflow_provider_lofty.journal.task_state import Store
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.pacing import MOST_LIMIT
from airflow_provider_lofty.log import Log

KEY = "lofty_learned_limit"
_FORMAT = 1
_KEPT = timedelta(days=7)  # limits change: after this long, a new one is learned from new refusals
_CHANGED = 0.1  # of the limit; less is not written
_LEAST_SECONDS = 60.0


class _Kept(msgspec.Struct):
    """What the store holds; the limit is that of one host."""

    format: int
    host: str
    requests_per_minute: Annotated[float, msgspec.Meta(ge=1, le=MOST_LIMIT)]


class LearnedPace:
    """
    Hands the learned limit from try to try. It only saves refusals: a store that fails costs nothing else.

    :param store: ``context["task_state_store"]``; None on an Airflow without one
    :param log: told what was learned
    :param clock: monotonic seconds
    """

    def __init__(self, store: Store | None, log: Log, clock: Callable[[], float] = boot_seconds) -> None:
        self._store = store
        self._log = log
        self._clock = clock
        self._written = 0.0
        self._next = clock() + _LEAST_SECONDS

    def recall(self, client: LoftyClient) -> None:
        """Begin close below what an earlier try learned of the same host."""
        if self._store is None:
            return
        kept = None
        with suppress(Exception):  # absent, of another version, or the store is away: the journal says what that means
            kept = msgspec.convert(self._store.get(KEY), _Kept)
        if kept is not None and kept.format == _FORMAT and kept.host == client.host:
            self._written = kept.requests_per_minute
            client.pacer.recall(kept.requests_per_minute)
            self._log.info("an earlier try was refused above about %d requests a minute", kept.requests_per_minute)

    def keep(self, client: LoftyClient, *, now: bool = False) -> None:
        """
        Write down what was learned, where that is new.

        :param now: also shortly after the last time
        """
        limit = client.pacer.learned_limit
        if self._store is None or limit is None or not (now or self._clock() >= self._next):
            return
        self._next = self._clock() + _LEAST_SECONDS
        if abs(limit - self._written) <= _CHANGED * self._written:
            return
        self._written = limit
        kept = msgspec.to_builtins(_Kept(_FORMAT, client.host, limit))
        with suppress(Exception):  # the next try learns it again
            self._store.set(KEY, kept, retention=_KEPT)
