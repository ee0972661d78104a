"""A server with a rate limit, and workers that send to it, in simulated time: days pass in a second."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_lofty.lofty.pacing import Pacer
from airflow_provider_lofty.lofty.window import ResetUnit

EPOCH = 1_700_000_000.0

# How Reset may be written: seconds left, seconds since the epoch → header
READINGS: dict[str, Callable[[float, float], str]] = {
    "milliseconds": lambda left, now: str(math.ceil(left * 1000)),
    "seconds": lambda left, now: str(math.ceil(left)),
    "seconds, rounded down": lambda left, now: str(math.floor(left)),
    "epoch seconds": lambda left, now: str(math.ceil(now + left)),
    "epoch milliseconds": lambda left, now: str(math.ceil((now + left) * 1000)),
    "nonsense": lambda left, now: "soon",
    "always now": lambda left, now: str(math.ceil(now)),
    "always past": lambda left, now: str(math.floor(now + left - 60)),
}


@dataclass
class Server:
    """
    What a server with a rate limit does; it states its limit only where it counts in fixed windows.

    :param limit: requests that a window holds
    :param counts: in fixed windows; over the last window's length; or with a bucket of tokens
    :param phase: seconds of a fixed window that have passed at the beginning
    :param burst: tokens that the bucket holds; by default the limit
    :param latency: seconds for a whole request
    :param counts_after: what part of the latency passes before a request is counted
    :param reading: of Reset; None: no headers at all
    :param most_at_once: when more than this are in flight, they are refused
    :param clock_ahead: seconds that its clock is ahead
    :param later: a limit that is in force from a time on
    """

    limit: int
    counts: Literal["fixed", "sliding", "bucket"] = "fixed"
    phase: float = 0.0
    burst: int | None = None
    window: float = 60.0
    latency: float = 0.1
    counts_after: float = 0.5
    reading: str | None = "milliseconds"
    most_at_once: float = math.inf
    clock_ahead: float = 0.0
    later: tuple[float, int] | None = None


@dataclass
class Outcome:
    """
    What the server counted.

    :ivar accepted: requests of each window
    :ivar refused: when requests were refused
    :ivar of_workers: requests accepted of each, once three windows had passed
    """

    server: Server
    accepted: list[int] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    of_workers: Counter[int] = field(default_factory=Counter)

    @property
    def steady_share(self) -> float:
        """The share of the quota that was used once two windows had passed."""
        steady = self.accepted[2:]
        return sum(steady) / len(steady) / self.server.limit

    def share_from(self, window: int) -> float:
        """The share of the quota that was used from a window on."""
        return sum(self.accepted[window:]) / len(self.accepted[window:]) / self.server.limit

    def refused_in(self, window: int) -> int:
        """How many requests of a window were refused."""
        return sum(math.floor(time / self.server.window) == window for time in self.refused)

    @property
    def wasted(self) -> float:
        """The share of all requests that was refused."""
        return self.wasted_from(0)

    def wasted_from(self, window: int) -> float:
        """The share of the requests that was refused from a window on."""
        refused = sum(time >= window * self.server.window for time in self.refused)
        return refused / (sum(self.accepted[window:]) + refused)


class Counting:
    """
    Whether a server takes a request now.

    :param server: what it does
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._window = self._taken = 0
        self._times: deque[float] = deque()
        self._tokens, self._filled_at = float(server.burst or server.limit), 0.0

    def take(self, now: float, limit: int) -> bool:
        return getattr(self, f"_take_{self._server.counts}")(now, limit)  # type: ignore[no-any-return]

    def _take_fixed(self, now: float, limit: int) -> bool:
        window = math.floor((now + self._server.phase) / self._server.window)
        if window != self._window:
            self._window, self._taken = window, 0
        if self._taken >= limit:
            return False
        self._taken += 1
        return True

    def _take_sliding(self, now: float, limit: int) -> bool:
        while self._times and self._times[0] <= now - self._server.window:
            self._times.popleft()
        if len(self._times) >= limit:
            return False
        self._times.append(now)
        return True

    def _take_bucket(self, now: float, limit: int) -> bool:
        grown = self._tokens + (now - self._filled_at) * limit / self._server.window
        self._tokens, self._filled_at = min(grown, float(self._server.burst or limit)), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Simulation:
    """Workers that each send as fast as their pacer allows."""

    def __init__(self, server: Server, workers: int, cap: float | None, most_in_flight: int, seed: int) -> None:
        self.server, self.chance, self.clock = server, random.Random(seed), Clock()  # noqa: S311
        self.pacers = [Pacer(cap, self.clock, ResetUnit(), self.chance.random) for _ in range(workers)]
        self.in_flight = [0] * workers
        self.most_in_flight = most_in_flight
        self.outcome = Outcome(server)
        self._counting = Counting(server)
        self._events: list[Any] = []
        self._order = itertools.count()
        self._next_try: list[float] = [math.inf] * workers
        self._at_server = 0

    def at(self, time: float, call: Callable[..., None], *args: Any) -> None:
        heapq.heappush(self._events, (time, next(self._order), call, args))

    def try_at(self, time: float, worker: int) -> None:
        if time < self._next_try[worker]:
            self._next_try[worker] = time
            self.at(time, self._try, worker)

    def run(self, seconds: float) -> Outcome:
        self.outcome.accepted = [0] * math.floor(seconds / self.server.window)
        for worker in range(len(self.pacers)):
            self.try_at(self.chance.random() if worker else 0.0, worker)
        while self._events and self._events[0][0] < len(self.outcome.accepted) * self.server.window:
            self.clock.now, _, call, args = heapq.heappop(self._events)
            call(*args)
        return self.outcome

    def _try(self, worker: int) -> None:
        if self._next_try[worker] != self.clock.now:
            return
        self._next_try[worker] = math.inf
        pacer = self.pacers[worker]
        delay = pacer.delay()
        if delay > 0:
            self.try_at(self.clock.now + max(min(delay, 2.0), 1e-4), worker)
        elif self.in_flight[worker] < min(pacer.most_in_flight, self.most_in_flight):
            pacer.reserve()
            self.in_flight[worker] += 1
            latency = self.server.latency * (1 + self.chance.random() / 10)
            self.at(self.clock.now + latency * self.server.counts_after, self._count, worker, pacer.begin(), latency)
            self.try_at(self.clock.now, worker)

    def _count(self, worker: int, ticket: Any, latency: float) -> None:
        server, now = self.server, self.clock.now
        self._at_server += 1
        window = math.floor(now / server.window)
        limit = server.later[1] if server.later and now >= server.later[0] else server.limit
        is_refused = self._at_server > server.most_at_once or not self._counting.take(now, limit)
        if is_refused:
            self.outcome.refused.append(now)
        else:
            self.outcome.accepted[window] += 1
            self.outcome.of_workers[worker] += now >= 3 * server.window
        left = limit - self.outcome.accepted[window]
        self.at(now + latency * (1 - server.counts_after), self._answer, worker, ticket,
                self._headers(limit, 0 if is_refused else left, now), is_refused)  # fmt: skip

    def _headers(self, limit: int, remaining: int, now: float) -> dict[str, str]:
        if self.server.reading is None:
            return {}
        if self.server.reading == "limit alone":
            return {"x-ratelimit-limit": str(limit)}
        time_left = (math.floor(now / self.server.window) + 1) * self.server.window - now
        reset = READINGS[self.server.reading](time_left, EPOCH + self.server.clock_ahead + now)
        return {"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(remaining), "x-ratelimit-reset": reset}

    def _answer(self, worker: int, ticket: Any, headers: dict[str, str], is_refused: bool) -> None:
        self._at_server -= 1
        self.in_flight[worker] -= 1
        date = math.floor(EPOCH + self.server.clock_ahead + self.clock.now)
        self.pacers[worker].ended(ticket, headers, date, is_refused=is_refused)
        self.try_at(self.clock.now, worker)


def simulate(
    server: Server,
    *,
    windows: int = 10,
    workers: int = 1,
    cap: float | None = None,
    most_in_flight: int = 16,
    seed: int = 1,
) -> Outcome:
    """Send for this many windows."""
    return Simulation(server, workers, cap, most_in_flight, seed).run(windows * server.window)
