"""
Who waits for an answer of the page, and who works on it: never a thread of the web server, nor its event loop.

Airflow's own requests share one pool of threads and one of database connections. A page that held one of either while
it waits for something slow would hold all of them as soon as enough people look.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar

from fastapi import HTTPException, Request

from airflow_provider_lofty.ui.index import Index, LostIndexError
from airflow_provider_lofty.ui.indexes import KEPT_SECONDS, Indexes
from airflow_provider_lofty.ui.reports import OpenedReport, ReportFile

MOST_WAITING = 64
_AT_THE_DOOR = 2
MOST_SECONDS = 20.0  # below what proxies wait for an answer

_T = TypeVar("_T")


class Desk:
    """
    Gives each viewer one turn at a time, and keeps them waiting without a thread.

    :param indexes: of reports
    """

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes
        self._turns: dict[Hashable, asyncio.Task[Any]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places = asyncio.Semaphore(_AT_THE_DOOR)
        self._database = ThreadPoolExecutor(2, "lofty-database")
        self._reading = ThreadPoolExecutor(2, "lofty-reading")
        self._indexing = ThreadPoolExecutor(1, "lofty-indexing")
        self._sweep: asyncio.TimerHandle | None = None

    async def at_the_door(self, request: Request) -> AsyncIterator[None]:
        """
        Let few requests at a time have Airflow look up who asks; a dependency that stands before all others.

        That is done on the event loop, in the web server's threads and with its connections: fifty at once would keep
        Airflow's own requests waiting.
        """
        async with AsyncExitStack() as door:
            await door.enter_async_context(self._door())
            request.state.lofty_door = door
            yield

    @staticmethod
    async def come_in(request: Request) -> None:
        """Leave the door to the next one."""
        door: AsyncExitStack = request.state.lofty_door
        await door.aclose()

    def _door(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # a semaphore belongs to one
            self._loop, self._places = loop, asyncio.Semaphore(_AT_THE_DOOR)
        return self._places

    async def serve(self, viewer: Hashable, request: Request, answer: Coroutine[Any, Any, _T]) -> _T:
        """
        Work out an answer, as long as somebody waits for it.

        :param viewer: whose newer request takes the place of the older one
        :raises HTTPException: 409 to the older one; 503 when too many wait, or it takes long: then ask again
        """
        await self.come_in(request)
        self._replace(viewer)
        if len(self._turns) >= MOST_WAITING:
            answer.close()
            raise _busy("too many people are looking at reports")
        turn: asyncio.Task[_T] = asyncio.ensure_future(answer)
        self._turns[viewer] = turn
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({turn, gone}, timeout=MOST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            return _result(turn)
        finally:
            turn.cancel()
            gone.cancel()
            if self._turns.get(viewer) is turn:
                del self._turns[viewer]

    def _replace(self, viewer: Hashable) -> None:
        older = self._turns.pop(viewer, None)
        if older is not None:
            older.cancel()

    async def ask_database(self, work: Callable[[], _T]) -> _T:
        """Do something short that takes one of Airflow's connections for as long as it runs."""
        return await asyncio.get_running_loop().run_in_executor(self._database, work)

    async def read(self, work: Callable[[], _T]) -> _T:
        """Do something that reads files."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

    def leave(self, work: Callable[[], object]) -> None:
        """Have something done that nobody waits for."""
        self._reading.submit(work)

    async def index(self, report: ReportFile) -> Index:
        """
        Find the index of a report, or wait for its turn to be made; once begun, that is carried through.

        :raises OutOfReachError: when the report cannot be read, or is none
        """
        self._sweep_later()
        found = await self.read(partial(self._indexes.find, report))
        if found is not None:
            return found
        return await asyncio.get_running_loop().run_in_executor(self._indexing, self._indexes.make, report)

    async def open_as_indexed(self, report: ReportFile, index: Index) -> OpenedReport:
        """
        Open a report in which the places that its index names are those of its rows.

        :raises LostIndexError: when somebody has written to it since
        :raises OutOfReachError: when it cannot be opened
        """

        def work() -> OpenedReport:
            opened = report.open()
            if self._indexes.is_of(index, report, opened):
                return opened
            opened.close()
            raise LostIndexError

        return await self.read(work)

    async def search(self, work: Callable[[Callable[[], bool]], _T]) -> _T:
        """
        Do something that takes a while, and that is told when nobody waits any longer.

        :param work: gets a function that says so
        """
        is_given_up = threading.Event()
        try:
            return await self.read(partial(work, is_given_up.is_set))
        finally:
            is_given_up.set()

    def _sweep_later(self) -> None:
        """See to it that an index does not stay for ever once nobody looks any longer."""
        if self._sweep is not None:
            self._sweep.cancel()
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(KEPT_SECONDS, self.leave, self._indexes.sweep)


def _busy(why: str) -> HTTPException:
    return HTTPException(503, f"{why}; ask again", {"Retry-After": "2"})


def _result(turn: asyncio.Task[_T]) -> _T:
    if not turn.done():
        raise _busy("the report is still being read")
    if turn.cancelled():
        raise HTTPException(409, "a newer request of this page took its place")
    try:
        return turn.result()
    except LostIndexError:
        raise _busy("the report has to be read anew") from None


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
