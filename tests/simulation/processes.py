"""
Processes: each runs the real operator in greenlets, on clocks, threads and connections that the world has a hand on.

A process waits in one place only, :meth:`Process.wait`; every step towards the outside (a request that leaves, bytes
that arrive, a statement, a commit, a value stored) goes through it. There it can be killed, frozen or struck. One that
was killed never goes on: no ``finally`` of it runs before the world has been judged.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from random import Random
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, getcurrent, greenlet

from airflow_provider_lofty.delivery.workers import Workers
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from simulation.history import History
from simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from simulation.network import Socket
    from simulation.stores import Connection

EPOCH = 1_772_409_600.0  # 2 March 2026; every world begins here
LATE = object()  # what a wait gives when its time is over
_LONGEST_NAP = 1.0
_STEP_SECONDS = 0.0005


class Gone(BaseException):
    """The process is dead; whatever its code still tries has no effect."""


class Fiber(greenlet):
    """A simulated thread."""

    process: Process

    def __init__(self, process: Process, run: Callable[[], Any]) -> None:
        super().__init__(run, process.scheduler.hub)
        self.process = process
        self.gr_context = copy_context()


class Wait:
    """One thread's wait for something; whoever comes first, the time or the thing, ends it."""

    __slots__ = ("deadline", "fiber", "is_over")

    def __init__(self, fiber: Any, deadline: float) -> None:
        self.fiber = fiber
        self.deadline = deadline
        self.is_over = False


class Process:
    """
    A process of the operating system.

    :param name: for the history
    :ivar befalls: called at every step; may kill or freeze it
    """

    def __init__(self, name: str, scheduler: Scheduler, history: History, rng: Random) -> None:
        self.name = name
        self.scheduler = scheduler
        self.history = history
        self.rng = rng
        self.steps = 0
        self.noted: Counter[str] = Counter()  # how often each line of the history was written
        self.is_dead = self.is_frozen = False
        self.connections: list[Connection] = []
        self.sockets: list[Socket] = []
        self.befalls: Callable[[Process], None] | None = None
        self._slept = 0.0  # how long its machine was suspended: a monotonic clock does not count that
        self._fibers: list[Fiber] = []
        self._backlog: list[tuple[Fiber, Any]] = []
        self._main: Fiber | None = None
        self._blow: BaseException | None = None

    # Clocks

    def clock(self) -> float:
        return 1000.0 + self.scheduler.now - self._slept

    def now(self) -> float:
        return EPOCH + self.scheduler.now

    # Life

    def start(self, run: Callable[[], Any]) -> None:
        self._main = self.spawn(run)

    def spawn(self, run: Callable[[], Any], seconds: float = 0.0) -> Fiber:
        """Begin a thread, soon."""
        fiber = Fiber(self, run)
        self._fibers.append(fiber)
        self.scheduler.after(seconds, self._go_on, fiber)
        return fiber

    def kill(self) -> None:
        """SIGKILL: what it was about to do does not happen; what it sent is on its way."""
        if self.is_dead:
            return
        self.note("is killed")
        self.is_dead = True
        for connection in self.connections:
            connection.drop()
        if getattr(getcurrent(), "process", None) is self:
            self.scheduler.hub.switch()

    def freeze(self, seconds: float, *, is_suspended: bool = False) -> None:
        """
        SIGSTOP, and SIGCONT after a while.

        :param is_suspended: its whole machine sleeps, and the monotonic clock with it
        """
        self.note("is frozen for %.1f s%s", seconds, ", its machine suspended" if is_suspended else "")
        self.is_frozen = True
        self.scheduler.after(seconds, self._thaw, seconds if is_suspended else 0.0)

    def _thaw(self, slept: float) -> None:
        self._slept += slept
        self.is_frozen = False
        if not self.is_dead:
            self.note("goes on")
        backlog, self._backlog = self._backlog, []
        for fiber, value in backlog:
            self.scheduler.after(0, self._go_on, fiber, value)

    def strike(self, blow: BaseException) -> None:
        """Raise this in the main thread where it is now, as a signal handler does."""
        self._blow = blow

    def bury(self) -> None:
        """Free what it holds, when all is over and judged."""
        self.is_dead = True
        for fiber in self._fibers:
            if fiber:
                with suppress(Gone, GreenletExit):
                    fiber.throw(Gone)
        for each in (*self.sockets, *self.connections):
            each.drop()

    # Waiting

    def check(self) -> None:
        if self.is_dead:
            raise Gone

    def step(self, seconds: float = 0.0) -> None:
        """Do something that takes time and that others may come before."""
        self.wait(seconds + self.rng.random() * _STEP_SECONDS)

    def wait(self, seconds: float, begun: Callable[[Wait], None] | None = None) -> Any:
        """
        Wait until this process's clock has moved on, or until :meth:`wake`.

        :param begun: given the wait, for whoever may end it
        """
        self.check()
        self.steps += 1
        if self.befalls is not None:
            self.befalls(self)
        fiber = getcurrent()
        if not self.is_frozen and self.scheduler.jump(self.scheduler.now + seconds):
            value = LATE
        else:
            wait = Wait(fiber, self.clock() + seconds)
            if begun is not None:
                begun(wait)
            self.scheduler.after(seconds, self._time_is_over, wait)
            value = self.scheduler.hub.switch()
        self.check()
        if self._blow is not None and fiber is self._main:
            blow, self._blow = self._blow, None
            raise blow
        return value

    def _time_is_over(self, wait: Wait) -> None:
        if wait.is_over:
            return
        left = wait.deadline - self.clock()
        if left > 1e-6 and not self.is_frozen:  # its machine slept meanwhile
            self.scheduler.after(left, self._time_is_over, wait)
            return
        wait.is_over = True
        self._go_on(wait.fiber, LATE)

    def wake(self, wait: Wait, value: Any = None) -> None:
        """End a wait."""
        if not wait.is_over:
            wait.is_over = True
            self.scheduler.after(0, self._go_on, wait.fiber, value)

    def _go_on(self, fiber: Fiber, value: Any = None) -> None:
        if self.is_dead:
            return
        if self.is_frozen:
            self._backlog.append((fiber, value))
        else:
            fiber.switch(value) if fiber else fiber.switch()

    def note(self, what: str, *values: Any) -> None:
        if not self.is_dead:
            self.history.note(self.scheduler.now, self.name, what, *values)
            self.noted[what] += 1


def current() -> Process:
    """The process whose code runs now."""
    process: Process = getcurrent().process  # type: ignore[attr-defined]
    return process


class Event(threading.Event):
    """An event whose wait takes virtual time."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process
        self._waits: list[Wait] = []

    def set(self) -> None:
        super().set()
        waits, self._waits = self._waits, []
        for wait in waits:
            self._process.wake(wait)

    def wait(self, timeout: float | None = None) -> bool:
        self._process.check()
        if not self.is_set():
            self._process.wait(timeout if timeout is not None else 1e9, self._waits.append)
        return self.is_set()


class SimulatedWorkers(Workers[Any]):
    """
    Threads that the scheduler gives their turns.

    :param start_seconds: how long it may take until a thread begins: a busy machine
    """

    def __init__(self, process: Process, most: int, start_seconds: float) -> None:
        self._process = process
        self._idle = most
        self._start_seconds = start_seconds
        self._queue: deque[tuple[Callable[[], Any], Callable[[], object]]] = deque()
        self._done: deque[Any] = deque()
        self._waits: list[Wait] = []
        self._nap = self._asked = 0.0

    def start(self, job: Callable[[], Any], cancelled: Callable[[], object] = lambda: None) -> None:
        self._process.check()
        self._queue.append((job, cancelled))
        if self._idle:
            self._idle -= 1
            self._process.spawn(self._work, self._process.rng.random() * self._start_seconds)

    def _work(self) -> None:
        while self._queue:
            job, _ = self._queue.popleft()
            self._done.append(job())
            waits, self._waits = self._waits, []
            for wait in waits:
                self._process.wake(wait)
        self._idle += 1

    def result(self, seconds: float) -> Any:
        self._process.check()
        if not self._done and seconds > 0:
            self._process.wait(self._stretched(seconds), self._waits.append)
        if not self._done:
            return None
        self._nap = 0.0
        return self._done.popleft()

    def _stretched(self, seconds: float) -> float:
        """
        Look less and less often while nothing comes, as on a busy machine; a result ends the wait at once.

        Looking twenty times a second through minutes of settling would be most of a world's cost.
        """
        is_same = seconds == self._asked
        self._asked = seconds
        self._nap = min(max(self._nap * 2, seconds), _LONGEST_NAP) if is_same else seconds
        return self._nap

    def end(self) -> None:
        queue, self._queue = self._queue, deque()
        for _, cancelled in queue:
            cancelled()


class Log:
    """The task's log goes into the history."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def info(self, message: str, /, *args: Any) -> None:
        self._process.note("log: " + message, *args)

    warning = error = debug = info


class SimulatedOperator(LoftyAddActivityOperator):
    """The operator on a simulated machine."""

    def on(self, process: Process, start_seconds: float) -> SimulatedOperator:
        """Let it run in this process."""
        machine = {
            "_clock": process.clock,
            "_now": process.now,
            "_chance": process.rng.random,
            "_new_event": lambda: Event(process),
            "_new_workers": lambda most: SimulatedWorkers(process, most, start_seconds),
            "_simulated_log": Log(process),
        }
        self.__dict__.update(machine)
        return self

    @property
    def log(self) -> Any:
        return self.__dict__["_simulated_log"]
