"""Threads that make requests, and what came of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Workers(Generic[T]):
    """
    Threads that do jobs; the main thread takes the results.

    :param most: jobs at once
    """

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="lofty")
        self._results: SimpleQueue[T] = SimpleQueue()

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
