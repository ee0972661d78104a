"""
Whether a request's first byte has left, in every way in which an exchange can fail; and that none lasts for ever.

The servers here are bare sockets, since no library for servers misbehaves in these ways.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.raw_server import RawServer, closed_port, http
from support.tls import TARGET, make_certificate, over_tls, server_side

from airflow_provider_lofty.lofty import transport
from airflow_provider_lofty.lofty.answers import Answer, Meaning
from airflow_provider_lofty.lofty.route import route_to
from airflow_provider_lofty.lofty.transport import exchange, new_session

Serve = Callable[..., RawServer]
DELIVERED = http(b'{"leadId":5}')


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with new_session(4) as session:
        yield session


@pytest.fixture
def post(session: requests.Session) -> Callable[..., Answer]:
    def post(url: str, timeout_seconds: float = 5.0) -> Answer:
        request = requests.Request("POST", f"{url}/x", data=b"{}").prepare()
        return exchange(session, request, route_to(url), timeout_seconds)

    return post


class TestNeverSent:
    @pytest.mark.server
    def test_a_connection_refused(self, post: Callable[..., Answer]) -> None:
        answer = post(f"http://127.0.0.1:{closed_port()}")
        assert (answer.status, answer.sent, answer.failure) == (None, False, "ConnectionRefusedError")

    def test_an_unknown_host_name(self, post: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*_: Any, **__: Any) -> None:
            raise socket.gaierror(socket.EAI_NONAME, f"no address for {TARGET}")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        answer = post(f"https://{TARGET}")
        assert (answer.status, answer.sent, answer.failure) == (None, False, "host name not found")

    @pytest.mark.parametrize("host", ["a" * 70 + ".example.com", "a..example.com", "example.."])
    def test_an_invalid_host_name(self, post: Callable[..., Answer], host: str) -> None:
        answer = post(f"https://{host}")
        assert (answer.status, answer.sent, answer.failure) == (None, False, "invalid host name")

    def test_tls_spoken_to_a_plain_port(self, serve: Serve, post: Callable[..., Answer]) -> None:
        server = serve(lambda connection, _: connection.recv(10) and connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"))
        answer = post(server.url.replace("http:", "https:"))
        assert (answer.status, answer.sent) == (None, False)
        assert server.connections == 1

    def test_a_tls_handshake_that_never_ends(self, serve: Serve, post: Callable[..., Answer]) -> None:
        server = serve(lambda connection, server: server.stopping.wait(5))
        answer = post(server.url.replace("http:", "https:"), 0.2)
        assert (answer.status, answer.sent) == (None, False)

    def test_an_untrusted_certificate(self, serve: Serve, post: Callable[..., Answer], tls: ssl.SSLContext) -> None:
        server = serve(over_tls(tls, DELIVERED))
        answer = post(server.url.replace("http:", "https:"))
        assert (answer.status, answer.sent, answer.failure) == (None, False, "SSLCertVerificationError")
        assert server.received == []


def reading(then: Callable[[socket.socket, RawServer], Any]) -> Callable[[socket.socket, RawServer], Any]:
    """Make a script that reads a request first."""

    def script(connection: socket.socket, server: RawServer) -> None:
        if server.read_request(connection):
            then(connection, server)

    return script


def dripping(start: bytes) -> Callable[[socket.socket, RawServer], Any]:
    """Make a script that answers with the start of an answer and then a byte at a time, for far too long."""

    def drip(connection: socket.socket, server: RawServer) -> None:
        connection.sendall(start)
        for _ in range(100):
            if server.stopping.wait(0.02):
                return
            connection.sendall(b"x")

    return reading(drip)


class TestSentAndLost:
    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"leadId":5}',
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"lea',
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nabcdef",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 99 OK\r\n\r\n",
            b"\x16\x03\x01\x02\x00",
            b"SSH-2.0-nobody\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        ],
        ids=lambda answer: repr(answer[-30:]),
    )
    def test_a_broken_answer(self, serve: Serve, post: Callable[..., Answer], answer: bytes) -> None:
        server = serve(reading(lambda connection, _: connection.sendall(answer)))
        found = post(server.url)
        assert (found.status, found.sent, bool(found.failure)) == (None, True, True)
        assert len(server.received) == 1

    @pytest.mark.parametrize(
        "answer", [b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Le", b'HTTP/1.1 200 OK\r\n\r\n{"leadId":']
    )
    def test_an_answer_that_may_be_cut_off_is_not_a_success(
        self, serve: Serve, post: Callable[..., Answer], answer: bytes
    ) -> None:
        server = serve(reading(lambda connection, _: connection.sendall(answer)))
        assert post(server.url).verdict.meaning is Meaning.DOUBT

    @pytest.mark.parametrize(
        "start",
        [
            b"",
            b"HTTP/1.1 200 OK\r\nX: ",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 1000000\r\n\r\n",
        ],
        ids=["status line", "headers", "body", "body without end", "body of a redirect"],
    )
    def test_an_answer_that_drips_ends_with_the_requests_time(
        self, serve: Serve, post: Callable[..., Answer], start: bytes
    ) -> None:
        server = serve(dripping(start))
        found = post(server.url, 0.3)  # requests' own timeout would never strike: a byte comes every 20 ms
        assert (found.status, found.sent) == (None, True)

    def test_silence(self, serve: Serve, post: Callable[..., Answer]) -> None:
        server = serve(reading(lambda connection, server: server.stopping.wait(5)))
        found = post(server.url, 0.2)
        assert (found.status, found.sent) == (None, True)

    def test_an_answer_without_end_is_not_read_to_its_end(self, serve: Serve, post: Callable[..., Answer]) -> None:
        def flood(connection: socket.socket, server: RawServer) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for _ in range(1000):
                connection.sendall(b"x" * 65536)

        found = post(serve(reading(flood)).url)
        assert (found.status, found.sent, found.body) == (None, True, b"")

    def test_a_reset(self, serve: Serve, post: Callable[..., Answer]) -> None:
        def reset(connection: socket.socket, _: RawServer) -> None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        found = post(serve(reading(reset)).url)
        assert (found.status, found.sent) == (None, True)


class TestAnswered:
    def test_status_headers_in_lower_case_and_body(self, serve: Serve, post: Callable[..., Answer]) -> None:
        server = serve(http(b'{"leadId":5}', "200 OK", "X-RateLimit-Limit: 20"))
        found = post(server.url)
        assert (found.status, found.body, found.sent) == (200, b'{"leadId":5}', True)
        assert found.headers["x-ratelimit-limit"] == "20"
        assert server.received[0].startswith(b"POST /x HTTP/1.1\r\n")

    def test_a_100_before_it_is_passed_over(self, serve: Serve, post: Callable[..., Answer]) -> None:
        assert post(serve(b"HTTP/1.1 100 Continue\r\n\r\n" + DELIVERED).url).status == 200

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("location", ["/elsewhere", "http://[", "", "http://", "\xff\xfe", "foo://bar"])
    def test_a_redirect_is_an_answer_and_is_not_followed(
        self, serve: Serve, post: Callable[..., Answer], status: int, location: str
    ) -> None:
        server = serve(http(b"", f"{status} Moved", f"Location: {location}"))
        assert (post(server.url).status, len(server.received)) == (status, 1)

    def test_cookies_are_not_kept(self, serve: Serve, post: Callable[..., Answer]) -> None:
        server = serve(http(b"{}", "200 OK", "Set-Cookie: a=b"))
        post(server.url)
        post(server.url)
        assert not any(b"cookie" in request.lower() for request in server.received)

    def test_nothing_is_tried_twice(self, serve: Serve, post: Callable[..., Answer]) -> None:
        server = serve(http(b"", "503 Busy", "Retry-After: 0"))
        assert (post(server.url).status, len(server.received)) == (503, 1)


class TestReuse:
    def test_a_connection_that_was_just_used_is_used_again(self, serve: Serve, post: Callable[..., Answer]) -> None:
        server = serve(DELIVERED)
        assert [post(server.url).status for _ in range(3)] == [200, 200, 200]
        assert server.connections == 1

    def test_one_that_lay_idle_is_not(
        self, serve: Serve, post: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert transport._IDLE_SECONDS == 2.0
        monkeypatch.setattr(transport, "_IDLE_SECONDS", 0.05)
        server = serve(DELIVERED)
        post(server.url)
        time.sleep(0.1)
        assert (post(server.url).status, server.connections) == (200, 2)

    def test_one_that_failed_is_not(self, serve: Serve, post: Callable[..., Answer]) -> None:
        def first_silent(connection: socket.socket, server: RawServer) -> None:
            while server.read_request(connection):
                if server.connections == 1:
                    server.stopping.wait(5)
                connection.sendall(DELIVERED)

        server = serve(first_silent)
        assert post(server.url, 0.2).status is None
        assert (post(server.url).status, server.connections) == (200, 2)

    def test_threads_have_exchanges_of_their_own(self, serve: Serve, post: Callable[..., Answer]) -> None:
        slow, fast = serve(dripping(b"HTTP/1.1 200 OK\r\n\r\n")), serve(DELIVERED)
        found: list[Answer] = []
        thread = threading.Thread(target=lambda: found.append(post(slow.url, 0.4)))
        thread.start()
        statuses = {post(fast.url).status for _ in range(20)}
        never = post(f"http://127.0.0.1:{closed_port()}")
        thread.join()
        assert (statuses, never.sent) == ({200}, False)
        assert (found[0].status, found[0].sent) == (None, True)


class TestTLS:
    @pytest.fixture(autouse=True)
    def trust(self, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

    def test_an_answer(self, serve: Serve, post: Callable[..., Answer], tls: ssl.SSLContext) -> None:
        server = serve(over_tls(tls, DELIVERED))
        answers = [post(f"https://localhost:{server.port}") for _ in range(2)]
        assert [(answer.status, answer.sent) for answer in answers] == [(200, True), (200, True)]
        assert server.connections == 1

    def test_a_certificate_for_another_name(
        self, serve: Serve, post: Callable[..., Answer], tls: ssl.SSLContext
    ) -> None:
        server = serve(over_tls(tls, DELIVERED))
        answer = post(f"https://127.0.0.1:{server.port}")
        assert (answer.status, answer.sent, server.received) == (None, False, [])
        assert answer.failure == transport.CERTIFICATE_OF_ANOTHER

    def test_a_certificate_of_last_year(
        self, serve: Serve, post: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expired = make_certificate(tmp_path / "expired.pem", ends_in_days=-1)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(expired))
        server = serve(over_tls(server_side(expired), DELIVERED))
        answer = post(f"https://localhost:{server.port}")
        assert (answer.status, answer.sent, server.received) == (None, False, [])
        assert answer.failure == transport.CERTIFICATE_NOT_VALID_NOW

    def test_a_connection_dropped_after_the_request(
        self, serve: Serve, post: Callable[..., Answer], tls: ssl.SSLContext
    ) -> None:
        server = serve(over_tls(tls, b""))
        answer = post(f"https://localhost:{server.port}")
        assert (answer.status, answer.sent, len(server.received)) == (None, True, 1)


class TestProxy:
    """Lofty behind a proxy, which the environment names as on most workers."""

    @pytest.fixture
    def behind(self, serve: Serve, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RawServer]:
        def behind(script: Any) -> RawServer:
            proxy = serve(script)
            monkeypatch.setenv("HTTPS_PROXY", f"http://made-up-user:made-up-password@127.0.0.1:{proxy.port}")
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
            return proxy

        return behind

    @pytest.mark.parametrize("refusal", ["403 Forbidden", "407 Proxy Authentication Required", "502 Bad", "200"])
    def test_a_connect_refused_or_broken_off(
        self, behind: Callable[..., RawServer], post: Callable[..., Answer], refusal: str
    ) -> None:
        proxy = behind(reading(lambda connection, _: connection.sendall(http(b"", refusal))))
        answer = post(f"https://{TARGET}")
        assert (answer.status, answer.sent) == (None, False)
        assert [request.split(b" HTTP")[0] for request in proxy.received] == [b"CONNECT lofty.invalid:443"]
        assert (answer.failure == transport.PROXY_REFUSED) is (refusal != "200")

    def test_a_connect_that_drips(self, behind: Callable[..., RawServer], post: Callable[..., Answer]) -> None:
        behind(dripping(b"HTTP/1.1 200 "))
        answer = post(f"https://{TARGET}", 0.3)
        assert (answer.status, answer.sent) == (None, False)

    @pytest.mark.server
    def test_a_proxy_that_is_not_there(self, post: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
        answer = post(f"https://{TARGET}")
        assert (answer.status, answer.sent) == (None, False)

    @pytest.mark.parametrize(("body", "status"), [(DELIVERED, 200), (b"", None)])
    def test_what_went_through_the_tunnel_was_sent(
        self,
        behind: Callable[..., RawServer],
        post: Callable[..., Answer],
        tls: ssl.SSLContext,
        body: bytes,
        status: int | None,
    ) -> None:
        def tunnel(connection: socket.socket, server: RawServer) -> None:
            if server.read_request(connection):
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                over_tls(tls, body)(connection, server)

        proxy = behind(tunnel)
        answer = post(f"https://{TARGET}")
        assert (answer.status, answer.sent) == (status, True)
        assert proxy.received[1].startswith(b"POST /x HTTP/1.1")
        assert b"made-up" not in proxy.received[1].lower()

    def test_after_lying_idle_the_tunnel_is_made_anew(
        self,
        behind: Callable[..., RawServer],
        post: Callable[..., Answer],
        tls: ssl.SSLContext,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def tunnel(connection: socket.socket, server: RawServer) -> None:
            if server.read_request(connection):
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                over_tls(tls, DELIVERED)(connection, server)

        proxy = behind(tunnel)
        monkeypatch.setattr(transport, "_IDLE_SECONDS", 0.0)
        assert [post(f"https://{TARGET}").status for _ in range(2)] == [200, 200]
        assert [request[:4] for request in proxy.received] == [b"CONN", b"POST", b"CONN", b"POST"]


def test_a_connection_serves_only_requests_with_its_own_certificates() -> None:
    adapter = new_session(1).get_adapter("https://api.example.com")
    request = requests.Request("GET", "https://api.example.com/v1.0/me").prepare()

    def pool(verify: str, cert: str | None = None) -> Any:
        return adapter.get_connection_with_tls_context(request, verify, cert=cert)

    assert pool("/trusted.pem") is pool("/trusted.pem")
    pools = [pool("/trusted.pem"), pool("/trusted.pem", "/client.pem"), pool("/others.pem")]
    assert len(set(map(id, pools))) == 3
