"""
Sockets between a process and Lofty.

The real HTTP client runs on them, so its connections, deadlines and its knowledge of the first byte are a part of every
world. What Lofty sends lies in the kernel, in a real pair of sockets: whether something waits to be read can be asked as
on any other.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from simulation.processes import LATE, Process, Wait, current


class Request(NamedTuple):
    """A request that has arrived, whole."""

    method: str
    path: str
    body: bytes


class Socket(socket.socket):
    """The process's end. Reading and writing take virtual time."""

    _timeout: float | None = None

    def __init__(self, fileno: int, process: Process, link: Link) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno)
        super().settimeout(0)
        self._process = process
        self._link = link
        process.sockets.append(self)

    def settimeout(self, value: float | None) -> None:
        self._timeout = value

    def gettimeout(self) -> float | None:
        return self._timeout

    def setsockopt(self, *args: Any) -> None:
        """A pair of sockets has no TCP options."""

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        while True:
            self._process.check()
            with suppress(BlockingIOError):
                return super().recv_into(buffer, nbytes, flags)
            if self._link.is_reset:
                raise ConnectionResetError("reset")
            timeout = 1e9 if self._timeout is None else self._timeout
            if self._process.wait(timeout, self._link.wait_for_data) is LATE:
                raise TimeoutError("timed out")

    def sendall(self, data: Any, flags: int = 0) -> None:
        # No step: that a process is stopped between its last look at the clock and this write, and wakes long after,
        # can happen, and nothing on its side can prevent it.
        self._process.check()
        if self._link.is_reset or self._link.is_closed:
            raise BrokenPipeError("closed by the other side")
        self._link.sent(bytes(data))

    def drop(self) -> None:
        self.close()
        self._link.server.close()


class Link:
    """One connection, as the network sees it."""

    def __init__(
        self, process: Process, latency: Callable[[], float], arrived: Callable[[Link, Request], None]
    ) -> None:
        ours, self.server = socket.socketpair()
        self.socket = Socket(ours.detach(), process, self)
        self.process = process
        self.is_reset = self.is_closed = False
        self._latency = latency
        self._arrived = arrived
        self._buffer = b""
        self._waits: list[Wait] = []

    def wait_for_data(self, wait: Wait) -> None:
        self._waits.append(wait)

    def sent(self, data: bytes) -> None:
        """Bytes left the process."""
        self._buffer += data
        head, mark, body = self._buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(body) < length:
            return
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        self._buffer = body[length:]
        self.process.note(f"{method} leaves")
        self.process.scheduler.after(self._latency(), self._arrived, self, Request(method, path, body[:length]))

    def answer(self, seconds: float, data: bytes) -> None:
        """Send this after a while."""
        self.process.scheduler.after(seconds + self._latency(), self._deliver, data)

    def _deliver(self, data: bytes) -> None:
        if self.server.fileno() < 0 or self.socket.fileno() < 0 or self.is_reset:
            return  # nobody is there any more
        if self.server.send(data) != len(data):
            raise OverflowError("an answer too long for the kernel's buffer")
        self._wake()

    def close(self, seconds: float, *, is_reset: bool) -> None:
        """End the connection after a while: in an orderly way, or not."""
        self.process.scheduler.after(seconds + self._latency(), self._close, is_reset)

    def _close(self, is_reset: bool) -> None:
        if is_reset:
            self.is_reset = True
        else:
            self.is_closed = True
            self.server.close()
        self._wake()

    def _wake(self) -> None:
        waits, self._waits = self._waits, []
        for wait in waits:
            self.process.wake(wait)


class Network:
    """
    Stands in for the operating system's way to open a connection.

    :param latency: seconds of one way
    :param opens: seconds that opening takes now, or why it fails
    :param arrived: called with each request that comes through
    """

    def __init__(
        self,
        latency: Callable[[], float],
        opens: Callable[[], float | OSError],
        arrived: Callable[[Link, Request], None],
    ) -> None:
        self._latency = latency
        self._opens = opens
        self._arrived = arrived

    def connect(self, address: Any, timeout: Any = None, *_: Any, **__: Any) -> Socket:
        """Take the place of ``urllib3.util.connection.create_connection``."""
        process = current()
        process.note("connects")
        process.step()
        found = self._opens()
        if isinstance(found, OSError):
            process.note("cannot connect: %s", type(found).__name__)
            process.wait(float(timeout) if isinstance(found, TimeoutError) else 0.001)
            raise found
        process.step(found)
        return Link(process, self._latency, self._arrived).socket
