"""
That each request gets its own answer: over plain HTTP, TLS and a proxy's tunnel, whatever else lies on the connection.

HTTP/1.1 tells answers apart by their order only. The servers here break it as proxies and gateways have done.
"""

from __future__ import annotations

import io
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from support.raw_server import RawServer, http
from support.tls import TARGET
from urllib3.util.wait import wait_for_read

from airflow_provider_lofty.exceptions import LoftyAnswerLost
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.lofty import transport
from airflow_provider_lofty.lofty.answers import Answer, Meaning, Posted
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.route import route_to
from airflow_provider_lofty.lofty.transport import exchange, new_session

Serve = Callable[..., RawServer]
Answering = Callable[[socket.socket, int], Any]

ACTIVITY = {"type": "Browse", "text": "made up", "link": "", "picture": "", "created": 1714557600123}
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"


def ok(lead_id: int) -> bytes:
    return http(json.dumps({"leadId": lead_id}).encode())


class Way(NamedTuple):
    """
    One way to a server.

    :param url: where requests go
    :param wrap: what the server does with a connection before the first request
    """

    url: Callable[[RawServer], str]
    wrap: Callable[[socket.socket, RawServer], socket.socket]


class Line:
    """A server that numbers the requests it gets, and a client that posts to it."""

    def __init__(self, server: RawServer, url: str) -> None:
        self.server = server
        self._url = url
        self._session = new_session(4)
        self.left = threading.Event()  # by the client
        self.opened: list[Any] = []

    def post(self, lead_id: int = 5, timeout_seconds: float = 5.0) -> Answer:
        request = requests.Request("POST", f"{self._url}/v1.0/leads/{lead_id}/activity", data=b"{}")
        posted = Posted(lead_id, b"{}")
        return exchange(self._session, request.prepare(), route_to(self._url), timeout_seconds, posted=posted)

    @property
    def is_closed(self) -> bool:
        return self.opened[-1].sock is None

    def wait_for_data(self) -> bool:
        """Wait until something lies on the newest connection, or the server has closed it."""
        return wait_for_read(self.opened[-1].sock, 5)

    @property
    def posts(self) -> int:
        return sum(request.startswith(b"POST") for request in self.server.received)

    def close(self) -> None:
        self._session.close()


@pytest.fixture(params=["plain", "tls", "tunnel"])
def way(request: pytest.FixtureRequest, tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Way:
    def secure(connection: socket.socket, server: RawServer) -> socket.socket:
        return tls.wrap_socket(connection, server_side=True)

    def tunnel(connection: socket.socket, server: RawServer) -> socket.socket:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return secure(connection, server)

    def through(server: RawServer) -> str:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        return f"https://{TARGET}"

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return {
        "plain": Way(lambda server: server.url, lambda connection, _: connection),
        "tls": Way(lambda server: f"https://localhost:{server.port}", secure),
        "tunnel": Way(through, tunnel),
    }[request.param]


@pytest.fixture
def line(serve: Serve, way: Way, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answering], Line]]:
    """Start a server that is told of each POST, numbered from 1 across its connections."""
    lines: list[Line] = []
    connect = transport._Watched.connect

    def noted(self: Any) -> None:
        connect(self)
        lines[0].opened.append(self)

    monkeypatch.setattr(transport._Watched, "connect", noted)

    def start(answer: Answering) -> Line:
        def script(connection: socket.socket, server: RawServer) -> None:
            with way.wrap(connection, server) as wrapped:
                while server.read_request(wrapped):
                    if answer(wrapped, lines[0].posts) == "close":
                        return
            lines[0].left.set()

        server = serve(script)
        lines.append(Line(server, way.url(server)))
        return lines[0]

    yield start
    for each in lines:
        each.close()


class TestNothingMayLieThere:
    @pytest.mark.parametrize("stray", [ok(6), b"\r\n", http(b"", "408 Request Timeout"), b"x" * 20_000])
    @pytest.mark.parametrize("is_late", [False, True])
    def test_stray_bytes_close_the_connection(
        self, line: Callable[[Answering], Line], stray: bytes, is_late: bool
    ) -> None:
        is_read = threading.Event()

        def answer(connection: socket.socket, number: int) -> None:
            if number > 1:
                connection.sendall(http(b'{"code":20012,"message":"INVALID_PARAMETER"}', "400 Bad Request"))
                return
            connection.sendall(ok(5) + (b"" if is_late else stray))
            is_read.wait(5)
            connection.sendall(stray if is_late else b"")

        found = line(answer)
        assert found.post(5).verdict.meaning is Meaning.DELIVERED
        is_read.set()
        assert found.is_closed or found.wait_for_data()
        second = found.post(6)
        assert (second.verdict.meaning, second.verdict.code) == (Meaning.REJECTED, 20012)
        assert (second.is_reused, found.server.connections, found.posts) == (False, 2, 2)

    def test_what_only_tls_has_read_is_found_too(self, line: Callable[[Answering], Line]) -> None:
        """A record whose first part fills the reader's buffer: neither the buffer nor the socket has the rest."""
        padding = io.DEFAULT_BUFFER_SIZE - len(http(b'{"leadId": 5}', "200 OK", "X: "))
        padded = http(b'{"leadId": 5}', "200 OK", f"X: {'y' * padding}")
        found = line(lambda connection, number: connection.sendall(padded + ok(6) if number == 1 else ok(7)))
        assert [found.post(lead_id).verdict.lead_id for lead_id in (5, 7)] == [5, 7]
        assert found.server.connections == 2

    def test_a_peer_that_hung_up_costs_no_doubt(self, line: Callable[[Answering], Line]) -> None:
        found = line(lambda connection, number: connection.sendall(ok(5)) or "close")
        meanings = []
        for _ in range(3):
            meanings.append(found.post(5).verdict.meaning)
            assert found.wait_for_data()
        assert meanings == [Meaning.DELIVERED] * 3

    def test_an_answer_before_the_first_request_is_no_answer(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def script(connection: socket.socket, server: RawServer) -> None:
            connection.sendall(ok(5))
            server.read_request(connection)

        def connect_and_pause(self: Any) -> None:
            connect(self)
            assert wait_for_read(self.sock, 5)

        connect = transport._Watched.connect
        monkeypatch.setattr(transport._Watched, "connect", connect_and_pause)
        server = serve(script)
        found = Line(server, server.url)
        answer = found.post()
        found.close()
        assert (answer.sent, answer.failure, found.posts) == (False, transport.SPOKE_FIRST, 0)

    def test_two_answers_to_one_request_are_none_on_a_used_connection(self, line: Callable[[Answering], Line]) -> None:
        found = line(lambda connection, number: connection.sendall(ok(5) * (2 if number == 2 else 1)))
        answers = [found.post(5) for _ in range(3)]
        assert [answer.verdict.meaning for answer in answers] == [Meaning.DELIVERED, Meaning.DOUBT, Meaning.DELIVERED]
        assert answers[1].failure == transport.MORE_THAN_ONE
        assert [answer.is_reused for answer in answers] == [False, False, False]

    def test_a_chunked_answer_may_have_strays_behind_it_too(self, line: Callable[[Answering], Line]) -> None:
        chunked = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n{"leadId": 5\r\n1\r\n}\r\n0\r\n\r\n'
        found = line(lambda connection, number: connection.sendall(chunked + ok(6) if number == 1 else ok(7)))
        assert [found.post(lead_id).verdict.lead_id for lead_id in (5, 7)] == [5, 7]
        assert found.server.connections == 2


def test_a_closed_session_leaves_no_connection_open(line: Callable[[Answering], Line]) -> None:
    found = line(lambda connection, number: connection.sendall(ok(5)))
    found.post()
    assert not found.left.is_set()
    found.close()
    assert found.left.wait(3)


class TestInterimAnswers:
    @pytest.mark.parametrize("status", [100, 102, 103, 104, 199])
    @pytest.mark.parametrize("times", [1, 2, 100])
    def test_they_are_passed_over(self, line: Callable[[Answering], Line], status: int, times: int) -> None:
        interim = f"HTTP/1.1 {status} Wait\r\nX: y\r\n\r\n".encode() * times
        found = line(lambda connection, number: connection.sendall(interim + ok(number)))
        answers = [found.post(lead_id) for lead_id in (1, 2, 3)]
        assert [answer.verdict.lead_id for answer in answers] == [1, 2, 3]
        assert [answer.is_reused for answer in answers] == [False, True, True]

    def test_the_answer_may_come_much_later(self, line: Callable[[Answering], Line]) -> None:
        def answer(connection: socket.socket, number: int) -> None:
            for piece in (INTERIM[:9], INTERIM[9:], INTERIM, ok(number)):
                connection.sendall(piece)
                time.sleep(0.05)

        found = line(answer)
        assert [found.post(lead_id).verdict.lead_id for lead_id in (1, 2, 3)] == [1, 2, 3]

    def test_they_extend_no_deadline(self, line: Callable[[Answering], Line]) -> None:
        def answer(connection: socket.socket, number: int) -> None:
            for _ in range(100):
                connection.sendall(INTERIM)
                time.sleep(0.02)

        found = line(answer).post(5, 0.3)
        assert (found.status, found.sent, found.verdict.meaning) == (None, True, Meaning.DOUBT)

    def test_without_end_they_are_no_answer(self, line: Callable[[Answering], Line]) -> None:
        found = line(lambda connection, number: connection.sendall(INTERIM * 5000 + ok(5))).post()
        assert (found.status, found.sent, found.failure) == (None, True, transport.NO_FINAL_ANSWER)

    def test_one_that_is_cut_off_is_no_answer(self, line: Callable[[Answering], Line]) -> None:
        found = line(lambda connection, number: connection.sendall(INTERIM + INTERIM[:30]) or "close").post()
        assert (found.verdict.meaning, found.sent) == (Meaning.DOUBT, True)

    def test_another_protocol_was_not_asked_for(self, line: Callable[[Answering], Line]) -> None:
        upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"
        found = line(lambda connection, number: connection.sendall(upgrade if number == 1 else ok(number)))
        assert [found.post(lead_id).verdict.meaning for lead_id in (1, 2)] == [Meaning.DOUBT, Meaning.DELIVERED]
        assert found.server.connections == 2

    def test_a_proxy_may_send_them_too(
        self, serve: Serve, tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def script(connection: socket.socket, server: RawServer) -> None:
            server.read_request(connection)
            connection.sendall(INTERIM + b"HTTP/1.1 200 Connection established\r\n\r\n")
            with tls.wrap_socket(connection, server_side=True) as secured:
                while server.read_request(secured):
                    secured.sendall(ok(5))

        proxy = serve(script)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        found = Line(proxy, f"https://{TARGET}")
        assert [found.post(5).status for _ in range(2)] == [200, 200]
        found.close()


class TestAnotherLeadsId:
    def test_on_a_fresh_connection_it_was_merged(self, line: Callable[[Answering], Line]) -> None:
        verdict = line(lambda connection, number: connection.sendall(ok(7))).post(5).verdict
        assert (verdict.meaning, verdict.lead_id) == (Meaning.DELIVERED, 7)

    def test_on_a_used_one_it_is_in_doubt_and_the_connection_is_closed(self, line: Callable[[Answering], Line]) -> None:
        found = line(lambda connection, number: connection.sendall(ok(1 if number == 1 else 7)))
        verdicts = [found.post(lead_id).verdict for lead_id in (1, 5, 5)]
        assert [verdict.meaning for verdict in verdicts] == [Meaning.DELIVERED, Meaning.DOUBT, Meaning.DELIVERED]
        assert [verdict.lead_id for verdict in verdicts] == [1, 7, 7]
        assert found.server.connections == 2

    def test_answers_that_stay_one_behind_are_never_believed(self, line: Callable[[Answering], Line]) -> None:
        queued: list[int] = [1]

        def answer(connection: socket.socket, number: int) -> None:
            connection.sendall(ok(queued[0] if number > 1 else 1))
            queued[:] = [number]

        found = line(answer)
        verdicts = [found.post(lead_id).verdict for lead_id in (1, 2)]
        assert [verdict.meaning for verdict in verdicts] == [Meaning.DELIVERED, Meaning.DOUBT]


@pytest.mark.parametrize("said", [b'{"leadId":5,"code":20012}', b'{"leadId":0}', b"{}"])
def test_after_an_answer_that_was_not_believed_the_connection_is_closed(
    line: Callable[[Answering], Line], said: bytes
) -> None:
    found = line(lambda connection, number: connection.sendall(http(said) if number == 2 else ok(5)))
    assert [found.post().is_reused for _ in range(3)] == [False, True, False]
    assert found.server.connections == 2


class TestHook:
    def test_another_leads_id_on_a_used_connection_names_both(
        self, serve: Serve, connect: Callable[..., None], hook: LoftyHook
    ) -> None:
        connect(serve(ok(4711), ok(1234567890123)).url)
        assert hook.add_activity(4711, ACTIVITY) == 4711
        with pytest.raises(LoftyAnswerLost, match="lead 1234567890123 for lead 4711.*may be stored"):
            hook.add_activity(4711, ACTIVITY)

    def test_a_merged_lead_is_in_doubt_once(
        self, serve: Serve, connect: Callable[..., None], client: LoftyClient
    ) -> None:
        server = serve(ok(1), ok(7))
        connect(server.url)
        verdicts = [client.post_activity(lead_id, json.dumps(ACTIVITY).encode()) for lead_id in (1, 5, 5, 5, 7, 5)]
        assert [verdict.meaning for verdict in verdicts] == [
            Meaning.DELIVERED, Meaning.DOUBT, Meaning.DELIVERED, Meaning.DELIVERED, Meaning.DELIVERED, Meaning.DELIVERED,
        ]  # fmt: skip
        assert [verdict.lead_id for verdict in verdicts] == [1, 7, 7, 7, 7, 7]
        assert server.connections == 4

    def test_the_clients_verdict_carries_the_answered_id(
        self, serve: Serve, connect: Callable[..., None], client: LoftyClient
    ) -> None:
        connect(serve(ok(5), ok(7)).url)
        verdicts = [client.post_activity(5, json.dumps(ACTIVITY).encode()) for _ in range(2)]
        assert [(verdict.meaning, verdict.lead_id) for verdict in verdicts] == [
            (Meaning.DELIVERED, 5),
            (Meaning.DOUBT, 7),
        ]
