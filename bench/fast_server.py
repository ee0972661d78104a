"""
A Lofty that only answers: it checks and keeps nothing, so that no client waits for it.

    python -m bench.fast_server '{"latency_seconds": 0.05}'

Its answers have the headers and bodies of the practice Lofty's; each lead is there and has no activities. As with
``bench/server.py`` the first line printed says where it is; each line that is read is answered by the record of what
arrived. It ends when its input ends.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from email.utils import formatdate
from typing import Any

KEY = "made-up-api-key"
LIMIT = 60_000_000  # requests a window, as the headers say; far more than come
WINDOW_MS = 60_000
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LEAD_ID = re.compile(rb"/v1\.0/leads/(\d+)/activit")


class Record:
    """What arrived: POSTs, different ones among them, and the time that lay between the first and the last."""

    def __init__(self) -> None:
        self._posts = 0
        self._distinct: set[int] = set()
        self._first = self._last = (0.0, 0.0)

    def take(self, request: bytes) -> None:
        """Note a POST."""
        self._last = time.monotonic(), time.process_time()
        self._first = self._first if self._posts else self._last
        self._posts += 1
        self._distinct.add(hash(request))

    def told(self) -> dict[str, Any]:
        """Give the record; ``busy`` is the share of ``seconds`` in which this server worked."""
        seconds, worked = (last - first for first, last in zip(self._first, self._last, strict=True))
        return {
            "posts": self._posts,
            "distinct": len(self._distinct),
            "seconds": seconds,
            "busy": worked / seconds if seconds else 0.0,
        }


class Connection(asyncio.Protocol):
    """Answers the requests of one connection, each after the latency."""

    def __init__(self, record: Record, latency_seconds: float) -> None:
        self._record = record
        self._latency_seconds = latency_seconds
        self._waiting = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        head, end, rest = self._waiting.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if end and len(rest) >= size:  # no client sends a request before the last one's answer has come
            self._waiting = b""
            answer = self._answer(head, rest)
            if self._latency_seconds:
                asyncio.get_running_loop().call_later(self._latency_seconds, self._transport.write, answer)
            else:
                self._transport.write(answer)

    def _answer(self, head: bytes, body: bytes) -> bytes:
        line = head.partition(b"\r\n")[0]
        lead_id = _LEAD_ID.search(line)
        if lead_id is None:
            return _response(b"404 Not Found", b"{}")
        if not line.startswith(b"POST"):
            return _response(b"200 OK", b"[]")
        self._record.take(line + body)
        return _response(b"200 OK", b'{"leadId":%s}' % lead_id[1])


def _response(status: bytes, body: bytes) -> bytes:
    passed_ms = int(time.monotonic() * 1000) % WINDOW_MS
    return (
        b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\ndate: %s\r\nx-ratelimit-limit: %d\r\n"
        b"x-ratelimit-remaining: %d\r\nx-ratelimit-reset: %d\r\n\r\n%s"
        % (status, len(body), formatdate(usegmt=True).encode(), LIMIT, LIMIT - passed_ms, WINDOW_MS - passed_ms, body)
    )


async def serve(latency_seconds: float = 0.0) -> None:
    """Serve until the input ends."""
    record, loop, ended = Record(), asyncio.get_running_loop(), asyncio.Event()

    def asked() -> None:
        if sys.stdin.readline():
            print(json.dumps(record.told()), flush=True)
        else:
            ended.set()

    server = await loop.create_server(lambda: Connection(record, latency_seconds), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}", "key": KEY}), flush=True)
    loop.add_reader(sys.stdin, asked)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(**json.loads(sys.argv[1])))
