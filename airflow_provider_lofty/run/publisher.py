"""Pushes how far a run is, from time to time, for whoever looks at the task's page."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial

import msgspec

from airflow_provider_lofty.clock import boot_seconds
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.report.status import XCOM_KEY, Status

SHOW_SECONDS = 2.0
_SILENT_SECONDS = 60.0  # after a failure: Airflow's server may be down, and each attempt would hold the delivery up
_LOST = (EOFError, BrokenPipeError)  # of the process that stands between the task and Airflow's server
_MOST_SHARE = 0.02  # of a run's time


class StatusPublisher:
    """
    What a task's page shows of a run: facts that are laid over the earlier ones and pushed together.

    :param push: leaves a value for Airflow's pages under a key; false where that is to be done rarely
    :param log: gets a warning when that fails
    :param facts: what is known from the start
    :param is_live: whether to show something while rows are sent, too
    :param on_lost: called when the process that takes what is pushed is gone: the task is an orphan then
    :param clock: seconds, which also pass while the machine is suspended
    :param now: seconds since 1970
    """

    def __init__(
        self,
        push: Callable[[str, object], bool | None],
        log: Log,
        facts: Status,
        *,
        is_live: bool = True,
        on_lost: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = boot_seconds,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._push = push
        self._log = log
        self._facts: dict[str, object] = msgspec.to_builtins(facts)
        self._is_live = is_live
        self._on_lost = on_lost
        self._clock = clock
        self._now = now
        self._next = clock()
        self._has_failed = False

    @property
    def is_live(self) -> bool:
        """Whether something may be shown while the run goes on, beside its beginning and its end."""
        return self._is_live

    @property
    def is_due(self) -> bool:
        """Whether it is time to show something new."""
        return self._is_live and self._clock() >= self._next

    def note(self, facts: Status) -> None:
        """Lay these facts over the earlier ones, to go with the next push."""
        self._facts = {**self._facts, **msgspec.to_builtins(facts)}

    def publish(self, facts: Status) -> None:
        """Lay these facts over the earlier ones and push all."""
        at = datetime.fromtimestamp(self._now(), timezone.utc).isoformat(timespec="seconds")
        self.note(msgspec.structs.replace(facts, at=at))
        self.push(XCOM_KEY, self._facts)

    def push(self, key: str, value: object) -> None:
        """Push something that stays as it is."""
        self.attempt(partial(self._push, key, value))

    def attempt(self, push: Callable[[], bool | None]) -> None:
        """Push something in its own way. A page that lacks something never stops a delivery."""
        began = self._clock()
        pause = SHOW_SECONDS
        try:
            if push() is False:
                self._is_live = False
        except Exception as error:  # whatever store of XComs Airflow uses
            if isinstance(error, _LOST):
                self._on_lost()
            pause = _SILENT_SECONDS
            if not self._has_failed:
                self._log.warning("the task's page cannot be shown how far the run is (%s)", type(error).__name__)
            self._has_failed = True
        now = self._clock()
        self._next = now + max(pause, (now - began) / _MOST_SHARE)
