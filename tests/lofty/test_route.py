"""By which way a request leaves, as the environment says; and that what it says wrong is found before anything leaves."""

from __future__ import annotations

import importlib.util
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from requests.utils import DEFAULT_CA_BUNDLE_PATH as OF_REQUESTS
from support.activity import body
from support.oauth import CLIENT
from support.raw_server import RawServer, closed_port, http
from support.tls import TARGET, over_tls

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.route import Route, route_to
from airflow_provider_lofty.sandbox import Sandbox

Serve = Callable[..., RawServer]
API = "https://api.lofty.com"
PROXY = "http://proxy.example.com:8080"


def proxy_to(url: str, **environment: str) -> str:
    return route_to(url, environment).proxy


def refusal(url: str = API, **environment: str) -> str:
    with pytest.raises(LoftyConfigurationError) as caught:
        route_to(url, environment)
    assert caught.value.__cause__ is None
    return str(caught.value)


class TestProxy:
    @pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
    def test_it_is_the_one_that_the_environment_names(self, variable: str) -> None:
        assert route_to(API, {variable: PROXY}) == Route(OF_REQUESTS, PROXY, variable)

    @pytest.mark.parametrize("environment", [{}, {"http_proxy": PROXY}, {"HTTP_PROXY": PROXY}, {"HTTPS_PROXY": " "}])
    def test_without_one_requests_go_straight(self, environment: dict[str, str]) -> None:
        assert route_to(API, environment) == Route(OF_REQUESTS)

    @pytest.mark.parametrize(
        ("environment", "proxy"),
        [
            ({"HTTPS_PROXY": "http://upper", "https_proxy": "http://lower"}, "http://lower"),
            ({"HTTPS_PROXY": "http://upper", "https_proxy": ""}, ""),
            ({"HTTPS_PROXY": "http://of-https", "all_proxy": "http://of-all"}, "http://of-https"),
            ({"https_proxy": "", "ALL_PROXY": "http://all"}, "http://all"),
        ],
    )
    def test_the_nearer_one_wins(self, environment: dict[str, str], proxy: str) -> None:
        assert proxy_to(API, **environment) == proxy

    @pytest.mark.parametrize("host", ["localhost", "localhost:8443", "127.0.0.1", "127.9.9.9", "[::1]:8443"])
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_what_is_meant_for_this_machine_never_goes_through_one(self, scheme: str, host: str) -> None:
        named = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), PROXY)
        assert proxy_to(f"{scheme}://{host}", **named) == ""

    @pytest.mark.parametrize(
        ("given", "used"),
        [
            ("proxy:8080", "http://proxy:8080"),
            ("proxy.example.com", "http://proxy.example.com"),
            ("user:secret@proxy:8080", "http://user:secret@proxy:8080"),
            ("10.0.0.1:3128", "http://10.0.0.1:3128"),
            ("[fd00::1]:3128", "http://[fd00::1]:3128"),
            ("localhost:3128/", "http://localhost:3128/"),
            (" https://proxy:8080 ", "https://proxy:8080"),
            ("HTTP://Proxy:8080", "HTTP://Proxy:8080"),
        ],
    )
    def test_without_a_scheme_it_speaks_http(self, given: str, used: str) -> None:
        assert proxy_to(API, HTTPS_PROXY=given) == used

    @pytest.mark.parametrize(
        "given",
        ["http://", "://SECRET", "//SECRET", "http://:8080", "http://proxy:SECRET", "http://proxy:0", "http://proxy:-1",
         "http://proxy:70000", "ftp://SECRET:21", "htp://SECRET", "socks://SECRET", "direct://", "file:///SECRET", "proxy:80:80",
         "http://u:SEC/RET@proxy", "http://u:SEC?RET@proxy", "http://u:SEC#RET@proxy", "http://u:12/RET@proxy",
         "http://u:SEC[RET@proxy", "http://u:\u20ac@proxy", "http://u:%E2%82%AC@p\u00e9", "http://pro xy:8080", '"http://SECRET:1"',
         "http://proxy:8080/SECRET", "3128", "http://3128", "http://a..b", "http://[::1", "http://proxy,SECRET:1"],
    )  # fmt: skip
    @pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
    def test_anything_that_is_not_its_url_is_refused_by_name_and_not_quoted(self, variable: str, given: str) -> None:
        said = refusal(**{variable: given})
        assert said.startswith(f"{variable} must be the URL of a proxy")
        assert not any(part in said for part in ("SECRET", "SEC", "RET@"))

    def test_a_socks_proxy_needs_its_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert proxy_to(API, ALL_PROXY="socks5h://proxy:1080") == "socks5h://proxy:1080"
        monkeypatch.setattr("airflow_provider_lofty.lofty.route.find_spec", lambda name: None)
        said = refusal(ALL_PROXY="socks5h://user:SECRET@proxy:1080")
        assert said.startswith("ALL_PROXY names a SOCKS proxy, for which the package PySocks is missing")
        assert "SECRET" not in said

    def test_its_password_is_not_in_the_repr(self) -> None:
        assert "SECRET" not in repr(route_to(API, {"HTTPS_PROXY": "http://user:SECRET@proxy:1"}))


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize(
    ("exempt", "url", "is_straight"),
    [
        ("*", API, True),
        ("lofty.com", API, True),
        (".lofty.com", API, True),
        ("*.lofty.com", API, True),
        ("*lofty.com", API, True),
        ("API.Lofty.COM", API, True),
        ("api.lofty.com.", API, True),
        ("api.lofty.com:443", API, True),
        (".lofty.com:443", API, True),
        ("other.example.com, api.lofty.com", API, True),
        ("other.example.com api.lofty.com", API, True),
        ("lofty.com:8443", f"{API}:8443", True),
        ("lofty.com", f"{API}:8443", True),
        ("com", API, True),
        ("", API, False),
        (" , ,", API, False),
        (".", API, False),
        ("ofty.com", API, False),
        ("api.lofty.com:80", API, False),
        ("api.lofty.com:443", f"{API}:8443", False),
        ("lofty.com.example.com", API, False),
        ("crm.lofty.com", API, False),
        ("10.0.0.0/8", API, False),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.1.2.3/8", "https://10.1.2.3:8443", True),
        ("10.1.2.3", "https://10.1.2.3", True),
        ("10.1.2.3:443", "https://10.1.2.3", True),
        ("10.1.2.3:80", "https://10.1.2.3", False),
        ("10.0.0.0/16", "https://10.1.2.3", False),
        ("2.3", "https://10.1.2.3", False),
        ("fd00::/8", "https://[fd00::1]", True),
        ("fd00::1", "https://[fd00::1]", True),
        ("[fd00:0::1]", "https://[fd00::1]", True),
        ("[fd00::1]:8443", "https://[fd00::1]:8443", True),
        ("[fd00::1]:8443", "https://[fd00::1]", False),
        ("fd01::/16", "https://[fd00::1]", False),
        ("10.0.0.0/99", "https://10.1.2.3", False),
    ],
)
def test_a_host_that_needs_none_is_named_by_domain_port_or_network(
    variable: str, exempt: str, url: str, is_straight: bool
) -> None:
    assert proxy_to(url, HTTPS_PROXY=PROXY, **{variable: exempt}) == ("" if is_straight else PROXY)


def test_a_host_that_goes_straight_needs_no_proxy_that_can_be_used() -> None:
    assert proxy_to(API, HTTPS_PROXY="ftp://x", NO_PROXY="lofty.com") == ""


VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class TestCertificates:
    @pytest.mark.parametrize("variable", VARIABLES)
    def test_they_are_those_that_the_environment_names(self, variable: str, certificate: Path) -> None:
        assert route_to(API, {variable: str(certificate)}).ca_path == str(certificate)

    def test_the_first_variable_wins(self, certificate: Path) -> None:
        named = {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": str(certificate), "SSL_CERT_FILE": "/nowhere"}
        assert route_to(API, named).ca_path == str(certificate)

    @pytest.fixture(
        params=["missing", "below a file", "folder", "empty", "text", "der", "key", "cut", "pipe", "device", "loop"]
    )
    def broken(self, request: pytest.FixtureRequest, tmp_path: Path, certificate: Path) -> Path:
        path = tmp_path / "ca.pem"
        pem = certificate.read_text()
        parts = {
            "empty": b"",
            "text": b"made up\n" * 100,
            "der": ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERT") :]),
            "key": pem[: pem.index("-----BEGIN CERT")].encode(),
            "cut": pem[:-60].encode(),
        }
        if request.param == "below a file":
            return certificate / "ca.pem"
        if request.param == "device":
            return Path(os.devnull)
        if request.param == "folder":
            path.mkdir()
            (path / "ca.pem").write_text(pem)
        elif request.param == "pipe":
            os.mkfifo(path)
        elif request.param == "loop":
            path.symlink_to(path)
        elif request.param != "missing":
            path.write_bytes(parts[request.param])
        return path

    @pytest.mark.parametrize("variable", VARIABLES)
    def test_a_path_that_holds_none_is_refused_with_its_variable(self, variable: str, broken: Path) -> None:
        said = refusal(**{variable: str(broken)})
        assert said.startswith(f"{variable} names {str(broken)!r}, ")
        assert said.endswith("Nothing was sent")

    def test_a_folder_that_openssl_can_search_is_used(self, tmp_path: Path, certificate: Path) -> None:
        (tmp_path / "0123abcd.0").write_bytes(certificate.read_bytes())
        assert route_to(API, {"REQUESTS_CA_BUNDLE": str(tmp_path)}).ca_path == str(tmp_path)

    def test_plain_http_to_this_machine_needs_none(self) -> None:
        assert route_to("http://127.0.0.1:8765", {"REQUESTS_CA_BUNDLE": "/nowhere"}).proxy == ""


@pytest.mark.parametrize(
    ("variable", "value"),
    [("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem"), ("HTTPS_PROXY", "ftp://user:SECRET@proxy:1")],
)
class TestBeforeAnyRequest:
    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch: pytest.MonkeyPatch, connect: Any, variable: str, value: str) -> None:
        monkeypatch.setenv(variable, value)
        connect("https://lofty.example.com")

    def test_a_task_is_told_before_it_reads(self, client: LoftyClient, variable: str) -> None:
        with pytest.raises(LoftyConfigurationError, match=variable):
            client.prepare()

    def test_a_call_is_told_and_gives_its_turn_back(
        self, client: LoftyClient, waits: list[float], variable: str
    ) -> None:
        for _ in range(3):
            with pytest.raises(LoftyConfigurationError, match=variable):
                client.get_me()
        assert (waits, client.requests_made) == ([], 0)

    def test_so_is_a_row_that_has_its_turn_and_it_stays_unsent(self, client: LoftyClient, variable: str) -> None:
        with pytest.raises(LoftyConfigurationError, match=variable):
            client.post_activity(5, body(), has_turn=True)
        assert client.requests_made == 0

    def test_the_test_button_says_so(self, hook: LoftyHook, variable: str) -> None:
        is_usable, said = hook.test_connection()
        assert not is_usable
        assert said.startswith(variable)
        assert "SECRET" not in said

    def test_so_does_a_token_endpoint_that_alone_needs_it(
        self, lofty: Sandbox, connect: Any, client: LoftyClient, variable: str
    ) -> None:
        connect(lofty, extra={**CLIENT, "token_url": f"https://{TARGET}/oauth/token"})
        with pytest.raises(LoftyConfigurationError, match=variable):
            client.prepare()
        assert lofty.requests == []


class TestEachHostByItself:
    def test_a_token_endpoint_on_this_machine_is_asked_past_the_proxy(
        self, lofty: Sandbox, serve: Serve, connect: Any, client: LoftyClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy = serve(http(b"", "502 Bad Gateway"))
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        extra = {**CLIENT, "token_url": f"{lofty.url}/oauth/token"}
        connect(f"https://{TARGET}", password="made-up-customer-key", extra=extra)
        assert not client.post_activity(5, b"{}").status
        assert [request.path for request in lofty.requests] == ["/oauth/token"]
        assert {request.partition(b" HTTP")[0] for request in proxy.received} == {b"CONNECT lofty.invalid:443"}
        assert not any(b"made-up-client-secret" in request for request in proxy.received)

    def test_a_token_endpoint_elsewhere_is_asked_through_it_with_its_certificates(
        self,
        serve: Serve,
        tls: ssl.SSLContext,
        certificate: Path,
        connect: Any,
        client: LoftyClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        token = http(b'{"access_token":"made-up-token","token_type":"Bearer"}')

        def tunnel(connection: socket.socket, server: RawServer) -> None:
            server.read_request(connection)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            over_tls(tls, token)(connection, server)

        proxy, api = serve(tunnel), serve(http(b'{"id":11}'))
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        connect(api.url, password="", extra={**CLIENT, "token_url": f"https://{TARGET}/oauth/token"})
        assert client.get_me() == {"id": 11}
        assert proxy.received[0].startswith(b"CONNECT lofty.invalid:443")
        assert b"Authorization: Bearer made-up-token" in api.received[0]


@pytest.mark.skipif(importlib.util.find_spec("socks") is None, reason="needs PySocks")
class TestSocks:
    @pytest.fixture
    def proxy(self, serve: Serve, tls: ssl.SSLContext) -> RawServer:
        def socks(connection: socket.socket, server: RawServer) -> None:
            """Speak as much of RFC 1928 and 1929 as is needed."""
            _, count = connection.recv(2)
            connection.recv(count)
            connection.sendall(b"\5\2")
            server.received.append(connection.recv(255))  # version, user, password
            connection.sendall(b"\1\0")
            *_, length = connection.recv(5)
            server.received.append(connection.recv(length + 2))
            connection.sendall(b"\5\0\0\1\0\0\0\0\0\0")
            over_tls(tls, http(b'{"leadId":5}'))(connection, server)

        return serve(socks)

    def test_requests_go_through_it_and_are_known_to_have_left(
        self, proxy: RawServer, connect: Any, client: LoftyClient, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://made-up:pass%20word@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        connect(f"https://{TARGET}")
        assert [client.post_activity(5, b"{}").lead_id for _ in range(2)] == [5, 5]
        assert proxy.received[:2] == [b"\1\7made-up\x09pass word", b"lofty.invalid\x01\xbb"]
        assert proxy.received[3].startswith(b"POST /v1.0/leads/5/activity")
        assert proxy.connections == 1

    @pytest.mark.server
    def test_one_that_is_not_there_got_nothing(
        self, connect: Any, client: LoftyClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{closed_port()}")
        connect(f"https://{TARGET}")
        assert client.post_activity(5, b"{}").meaning.name == "NEVER_SENT"
