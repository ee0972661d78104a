"""The ASGI application: requests to Lofty's paths, and a page for people beside them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from airflow_provider_lofty.sandbox.answers import Answer
from airflow_provider_lofty.sandbox.api import Api
from airflow_provider_lofty.sandbox.callers import refusal_of
from airflow_provider_lofty.sandbox.crm import ReceivedRequest
from airflow_provider_lofty.sandbox.pages import people_app


class SandboxApp:
    """
    Serve a pretended Lofty.

    Requests to Lofty's paths pass no web framework: they are what is measured, and recorded as they come.

    :param api: What answers.
    :param host: The address it is served on.
    """

    def __init__(self, api: Api, host: str) -> None:
        self._api = api
        self._host = host
        self._people = people_app(api.crm)
        self._in_flight = 0
        self.stopping = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        refusal = refusal_of(scope["headers"], self._host)
        if refusal is not None:
            status, words = refusal
            await PlainTextResponse(words, status)(scope, receive, send)
            return
        if scope["path"] == "/" or scope["path"].startswith("/sandbox/"):
            await self._people(scope, receive, send)
            return
        self._in_flight += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self._in_flight -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        at = time.monotonic()
        body, complete = await _read_body(receive)
        request = _request(scope, body, at)
        if not complete:
            self._api.record_incomplete(request)
            return
        answer = self._api.answer(request, self._in_flight)
        stopped = answer.delay_seconds > 0 and await self._stopped_within(answer.delay_seconds)
        if stopped or answer.status is None:
            scope["state"]["transport"].abort()
            # Returning before uvicorn noticed would make it answer with a 500 of its own.
            await _read_body(receive)
        else:
            await _send(answer, answer.status, send, scope["state"]["transport"])

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(self.stopping.wait(), seconds)
        return False


async def _read_body(receive: Receive) -> tuple[bytes, bool]:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks), False
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks), True


def _request(scope: Scope, body: bytes, at: float) -> ReceivedRequest:
    query = scope["query_string"]
    return ReceivedRequest(
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {},
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
        at=at,
    )


async def _send(answer: Answer, status: int, send: Send, transport: asyncio.WriteTransport) -> None:
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    headers += [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    if answer.interim is not None:  # of which ASGI knows nothing
        transport.write(f"HTTP/1.1 {answer.interim} {HTTPStatus(answer.interim).phrase}\r\n\r\n".encode())
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
    if answer.is_sent_twice:
        lines = [f"HTTP/1.1 {status} OK".encode(), *(name + b": " + value for name, value in headers)]
        transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + answer.body)
