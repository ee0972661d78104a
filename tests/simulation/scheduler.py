"""
Virtual time, and whose turn it is: a discrete-event scheduler.

Simulated threads are greenlets. One of them runs until it waits; then the next event is due, and time jumps to it.
Chance comes from the world's seed alone, so the same seed gives the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from greenlet import getcurrent


class Endless(BaseException):
    """The world does not end. No package code may catch it."""


class Scheduler:
    """
    Events, in the order of their time.

    :param most_seconds: of virtual time; a world that takes longer does not end
    :param most_steps: the same, in events
    """

    def __init__(self, most_seconds: float, most_steps: int) -> None:
        self.now = 0.0
        self.steps = 0
        self._most_seconds = most_seconds
        self._most_steps = most_steps
        self._events: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._count = 0
        self.hub = getcurrent()

    def at(self, when: float, call: Callable[..., Any], *args: Any) -> None:
        """Call this then, from the hub: it may go on with a greenlet."""
        self._count += 1
        heappush(self._events, (max(when, self.now), self._count, call, args))

    def after(self, seconds: float, call: Callable[..., Any], *args: Any) -> None:
        self.at(self.now + seconds, call, *args)

    def jump(self, when: float) -> bool:
        """Let time pass without giving the turn away, where nothing else is due before; tell whether it did."""
        if self._events and self._events[0][0] <= when:
            return False
        self._pass(when)
        return True

    def run(self) -> None:
        """
        Go on until nothing is left to happen.

        :raises Endless: when that takes too long
        """
        while self._events:
            when, _, call, args = heappop(self._events)
            self._pass(when)
            call(*args)

    def _pass(self, when: float) -> None:
        self.now = max(self.now, when)
        self.steps += 1
        if self.now > self._most_seconds or self.steps > self._most_steps:
            raise Endless(f"after {self.now:.0f} s and {self.steps} steps")
