"""Runs a sandbox: uvicorn in a daemon thread, on a free port unless one is chosen."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from airflow_provider_lofty.sandbox.api import Api
from airflow_provider_lofty.sandbox.app import SandboxApp
from airflow_provider_lofty.sandbox.crm import Crm, ReceivedRequest, StoredActivity
from airflow_provider_lofty.sandbox.leads import Lead
from airflow_provider_lofty.sandbox.settings import SandboxSettings


class _Protocol(H11Protocol):
    """Lets the application drop the connection, and writes no access log."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self.access_log = False
        # uvicorn copies app_state into the scope of each of the connection's requests, as scope["state"].
        self.app_state = {**self.app_state, "transport": transport}


class _Server:
    """
    Serves an application until told to stop. uvicorn's own server logs, polls and waits for slow answers.

    :param crm: What is served.
    :param host: The address it is served on.
    """

    def __init__(self, crm: Crm, host: str) -> None:
        self._app = SandboxApp(Api(crm), host)
        self._config = uvicorn.Config(
            self._app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            # Declared int, only ever added to a clock.
            timeout_keep_alive=cast("int", crm.settings.keep_alive_seconds),
        )
        self._state = ServerState()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.ready = threading.Event()

    async def serve(self, listener: socket.socket) -> None:
        """Serve until :meth:`stop`."""
        self._loop = asyncio.get_running_loop()
        self._config.load()
        server = await self._loop.create_server(self._protocol, sock=listener)
        self.ready.set()
        await self._app.stopping.wait()
        # Before closing: asyncio loses a connection that it has accepted but not yet set up.
        self._loop.remove_reader(listener)
        while self._state.connections or len(asyncio.all_tasks()) > 1:
            for connection in list(self._state.connections):
                cast("H11Protocol", connection).transport.abort()
            await asyncio.sleep(0)
        server.close()

    def _protocol(self) -> asyncio.Protocol:
        return _Protocol(self._config, self._state, {})

    def stop(self) -> None:
        """Drop all connections and stop; called from another thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._app.stopping.set)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without the protocol's number asyncio does not set TCP_NODELAY, and every answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Now, not only in the server's thread: a port that is in use is an error of whoever starts it.
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener


class Sandbox:
    """
    A Lofty to practise on. Nothing that is sent to it leaves this machine.

    .. code-block:: python

        with Sandbox(SandboxSettings(faults={"drop_after_storing": 0.05})) as lofty:
            send_to(lofty.url, lofty.settings.api_key)
            assert len(lofty.activities) == 3

    :param settings: What it does; by default what Lofty does, without faults.
    :param host: The address to listen on.
    :param port: The port to listen on; 0 picks a free one.
    :raises OSError: The port is in use.
    """

    def __init__(self, settings: SandboxSettings | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host = host
        self._port = port
        self._crm = Crm(settings or SandboxSettings())
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Sandbox:
        """Start serving; returns when requests are answered."""
        listener = _listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        self._server = _Server(self._crm, self._host)
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._server.serve(listener),), name="lofty-sandbox", daemon=True
        )
        self._thread.start()
        while not self._server.ready.wait(0.1):
            if not self._thread.is_alive():
                listener.close()
                raise RuntimeError("the sandbox's server did not start")
        return self

    def stop(self) -> None:
        """Drop all connections and stop serving. What arrived can still be read."""
        if self._server is None or self._thread is None:
            return
        self._server.stop()
        self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL, once started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def settings(self) -> SandboxSettings:
        """What it does now."""
        return self._crm.settings

    @property
    def activities(self) -> list[StoredActivity]:
        """What is stored, oldest first."""
        with self._crm.lock:
            return list(self._crm.store.activities)

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Every request that arrived, in the order in which they were decided."""
        with self._crm.lock:
            return list(self._crm.store.requests)

    def add_lead(self, lead_id: int, *, emails: Iterable[str] = (), phones: Iterable[str] = ()) -> None:
        """Add a lead, or replace it; with the first one the made-up people go."""
        with self._crm.lock:
            self._crm.leads.add(Lead(lead_id, tuple(emails), tuple(phones)))

    def remove_lead(self, lead_id: int) -> None:
        """Put a lead in the trash: it answers 404 from now on."""
        with self._crm.lock:
            self._crm.leads.remove(lead_id)

    def change(self, **settings: Any) -> None:
        """
        Change settings while it runs.

        :param settings: Fields of :class:`SandboxSettings`.
        :raises ValueError: A value is not possible; nothing has changed then.
        """
        self._crm.change(settings)

    def reset(self) -> None:
        """Forget what arrived, was counted or issued; settings and leads stay. Faults start anew."""
        self._crm.reset()
