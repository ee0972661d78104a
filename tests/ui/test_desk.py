"""Many who look at once: what Airflow's own requests need is theirs, and each viewer gets the newest answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio.to_thread
import httpx
import pytest
from airflow import settings
from fastapi import HTTPException, Request
from sqlalchemy import event

from airflow_provider_lofty.task_key import TaskKey
from airflow_provider_lofty.ui import desk
from airflow_provider_lofty.ui.desk import Desk
from airflow_provider_lofty.ui.index import Index
from airflow_provider_lofty.ui.indexes import Indexes
from airflow_provider_lofty.ui.reports import ReportFile

from .conftest import Ran, token

pytestmark = [
    # Airflow's own code, which these tests run whole, warns about itself.
    pytest.mark.filterwarnings("default"),
]
READERS = 50


class Gate:
    """Reports that take as long to be read as a test likes."""

    def __init__(self) -> None:
        self.is_open = threading.Event()

    def waited_for(self, read: Callable[..., Index]) -> Callable[..., Index]:
        def waiting(*arguments: Any) -> Index:
            assert self.is_open.wait(60)
            return read(*arguments)

        return waiting


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(Indexes, "make", gate.waited_for(Indexes.make))
    yield gate
    gate.is_open.set()


@pytest.fixture
def taken() -> Iterator[set[int]]:
    """Airflow's connections that are in use."""
    connections: set[int] = set()

    def take(_: Any, record: Any, *others: Any) -> None:
        connections.add(id(record))

    def give_back(_: Any, record: Any) -> None:
        connections.discard(id(record))

    event.listen(settings.engine, "checkout", take)
    event.listen(settings.engine, "checkin", give_back)
    yield connections
    event.remove(settings.engine, "checkout", take)
    event.remove(settings.engine, "checkin", give_back)


def with_client(web_server: Any, work: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Ask the web server many things at once, on one event loop."""

    async def run() -> None:
        headers = {"Authorization": f"Bearer {token('VIEWER')}"}
        transport = httpx.ASGITransport(web_server)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow", headers=headers) as client:
            await work(client)

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), 15)


def waiting() -> int:
    from airflow_provider_lofty.ui import app  # Airflow's web server, whose import may warn

    return len(app.desk._turns)


class TestGuest:
    """Readers of reports wait in a place of their own."""

    @pytest.mark.parametrize("asked", ["/list", "/standing"])
    def test_fifty_who_wait_hold_no_connection_and_no_thread_of_airflow(
        self, web_server: Any, ran: Ran, gate: Gate, taken: set[int], asked: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_lofty.ui.status.pushed_status", lambda session, task: None)

        async def work(client: httpx.AsyncClient) -> None:
            readers = [
                asyncio.ensure_future(client.get(ran.url(asked), headers={"X-Lofty-Page": str(n)}))
                for n in range(READERS)
            ]
            await until(lambda: waiting() == READERS and not taken)
            assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
            assert (await client.get("/api/v2/version")).status_code == 200
            gate.is_open.set()
            assert {answer.status_code for answer in await asyncio.gather(*readers)} == {200}

        with_client(web_server, work)

    def test_nor_do_fifty_who_wait_for_the_list_of_deliveries(
        self, web_server: Any, ran: Ran, taken: set[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        is_open = threading.Event()
        monkeypatch.setattr("airflow_provider_lofty.ui.deliveries.page_of", lambda *_, **__: is_open.wait(60))

        async def work(client: httpx.AsyncClient) -> None:
            viewers = [
                asyncio.ensure_future(client.get("/lofty/deliveries/list", headers={"X-Lofty-Page": str(n)}))
                for n in range(READERS)
            ]
            await until(lambda: waiting() == READERS and not taken)
            assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
            assert (await client.get("/api/v2/version")).status_code == 200
            is_open.set()
            assert {answer.status_code for answer in await asyncio.gather(*viewers)} == {200}

        with_client(web_server, work)

    def test_a_newer_request_of_a_page_takes_the_place_of_the_older(
        self, web_server: Any, ran: Ran, gate: Gate
    ) -> None:
        async def work(client: httpx.AsyncClient) -> None:
            def asked(text: str, page: str) -> asyncio.Future[httpx.Response]:
                wanted = {"outcome": "", "text": text}
                return asyncio.ensure_future(client.post(ran.url("/list"), json=wanted, headers={"X-Lofty-Page": page}))

            others = asked("a", "another window")
            older = asked("b", "this")
            await until(lambda: waiting() == 2)
            newer = asked("lead", "this")
            assert (await older).status_code == 409
            gate.is_open.set()
            assert {(await one).status_code for one in (newer, others)} == {200}

        with_client(web_server, work)

    def test_more_than_may_wait_are_asked_to_come_again(
        self, web_server: Any, ran: Ran, gate: Gate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk, "MOST_WAITING", 2)

        async def work(client: httpx.AsyncClient) -> None:
            readers = [
                asyncio.ensure_future(client.get(ran.url("/list"), headers={"X-Lofty-Page": str(n)})) for n in range(3)
            ]
            await until(lambda: any(reader.done() for reader in readers))
            (refused,) = (reader.result() for reader in readers if reader.done())
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
            gate.is_open.set()
            assert sorted(answer.status_code for answer in await asyncio.gather(*readers)) == [200, 200, 503]

        with_client(web_server, work)

    def test_a_report_that_takes_long_is_read_on_and_asked_for_again(
        self, web_server: Any, ran: Ran, gate: Gate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def work(client: httpx.AsyncClient) -> None:
            with monkeypatch.context() as patch:
                patch.setattr(desk, "MOST_SECONDS", 0.01)
                answer = await client.get(ran.url("/list"))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            gate.is_open.set()
            assert (await client.get(ran.url("/list"))).status_code == 200

        with_client(web_server, work)


class TestTurns:
    """A turn ends when nobody waits for it any longer."""

    def test_whoever_leaves_gives_up_the_turn(self, indexes: Indexes) -> None:
        async def work() -> None:
            turns, has_left, ended = Desk(indexes), asyncio.Event(), asyncio.Event()

            async def receive() -> dict[str, Any]:
                await has_left.wait()
                return {"type": "http.disconnect"}

            async def answer() -> None:
                try:
                    await asyncio.sleep(60)
                finally:
                    ended.set()

            request = Request({"type": "http"}, receive)
            async for _ in turns.at_the_door(request):
                served = asyncio.ensure_future(turns.serve("somebody", request, answer()))
                await asyncio.sleep(0)
                has_left.set()
                with pytest.raises(HTTPException):
                    await served
            await asyncio.wait_for(ended.wait(), 10)
            assert turns._turns == {}

        asyncio.run(work())

    def test_a_search_that_nobody_waits_for_ends(self, indexes: Indexes) -> None:
        async def work() -> None:
            turns, has_ended = Desk(indexes), threading.Event()

            def search(is_given_up: Callable[[], bool]) -> None:
                while not is_given_up():
                    pass
                has_ended.set()

            searching = asyncio.ensure_future(turns.search(search))
            await asyncio.sleep(0.01)
            searching.cancel()
            assert await asyncio.to_thread(has_ended.wait, 10)

        asyncio.run(work())

    def test_an_index_that_is_being_made_is_finished_for_the_next_who_asks(
        self, indexes: Indexes, gate: Gate, ran: Ran
    ) -> None:
        report = ReportFile(TaskKey(ran.dag_id, ran.run_id, ran.task_id, -1, 1))

        async def work() -> None:
            turns = Desk(indexes)
            first = asyncio.ensure_future(turns.index(report))
            await asyncio.sleep(0.1)
            first.cancel()
            gate.is_open.set()
            await until(lambda: indexes.find(report) is not None)

        asyncio.run(work())
