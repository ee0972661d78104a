"""The Test button: who the connection speaks for, or what is wrong and what to do; quick, and without a secret."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from airflow import sdk
from airflow.models.connection import Connection
from requests import Request
from support.oauth import CLIENT, REFRESH
from support.raw_server import RawServer, closed_port, http
from support.tls import TARGET, over_tls

from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.lofty import connection_test
from airflow_provider_lofty.lofty.session import Endpoint
from airflow_provider_lofty.provider_info import PACKAGE
from airflow_provider_lofty.sandbox import Answer, Sandbox

Connect = Callable[..., None]
Serve = Callable[..., RawServer]

PROFILE = {"id": 11, "firstName": "Practice", "lastName": "Agent", "roleName": "Agent", "email": "agent@example.com"}


def paths(lofty: Sandbox) -> list[str]:
    return [request.path for request in lofty.requests]


def refusal(hook: LoftyHook) -> str:
    ok, said = hook.test_connection()
    assert not ok, said
    return said


class TestAccepted:
    def test_it_says_whose_the_credential_is_and_its_quota(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.change(requests_per_minute=500)
        ok, said = connected.test_connection()
        assert ok
        assert said == (
            "Lofty accepts the credential of Practice Agent (Agent, user 11). "
            "Rate limit: 500 requests a minute, 499 left in this one"
        )
        (request,) = lofty.requests
        assert (request.method, request.path) == ("GET", "/v1.0/me")
        assert request.headers["authorization"] == "token made-up-api-key"
        assert request.headers["content-type"] == "application/json"

    def test_it_says_that_no_quota_is_stated(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.change(rate_headers=False)
        assert connected.test_connection()[1].endswith(". Its answer states no rate limit")

    @pytest.mark.parametrize("limit", ["", "many", "nan", "-5", "0", "1e300", "1" * 5000, "123456789012345"])
    def test_a_limit_that_makes_no_sense_is_not_shown(
        self, serve: Serve, connect: Connect, hook: LoftyHook, limit: str
    ) -> None:
        connect(serve(http(json.dumps(PROFILE).encode(), "200 OK", f"X-RateLimit-Limit: {limit}")).url)
        assert hook.test_connection()[1].endswith(". Its answer states no rate limit")

    @pytest.mark.parametrize(
        ("change", "owner"),
        [
            ({"firstName": None}, "Agent (Agent, user 11)"),
            ({"firstName": "", "lastName": None}, "Agent, user 11"),
            ({"firstName": None, "lastName": 5.5, "roleName": None}, "user 11"),
            ({"id": 2**62 + 1}, f"Practice Agent (Agent, user {2**62 + 1})"),
            ({"id": "u-11"}, "Practice Agent (Agent, user u-11)"),
            ({"lastName": "A\n\x1b[31mB"}, "Practice A (Agent, user 11)"),
            ({"lastName": "\ud800"}, "Practice (Agent, user 11)"),
            ({"firstName": "agent@example.com", "lastName": None}, "… (Agent, user 11)"),
            ({"firstName": "x" * 500, "lastName": None}, f"{'x' * 80} (Agent, user 11)"),
        ],
    )
    def test_any_profile_makes_one_line_without_an_address(
        self, serve: Serve, connect: Connect, hook: LoftyHook, change: dict[str, Any], owner: str
    ) -> None:
        connect(serve(http(json.dumps({**PROFILE, **change}).encode())).url)
        assert hook.test_connection() == (
            True,
            f"Lofty accepts the credential of {owner}. Its answer states no rate limit",
        )

    def test_an_app_that_may_not_read_the_profile_is_accepted(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.change(permission_denied={"get_me"}, requests_per_minute=500)
        ok, said = connected.test_connection()
        assert ok
        assert said.startswith(
            "Lofty accepts the credential; this app may not read whose it is (200100). Rate limit: 500"
        )

    @pytest.mark.parametrize(
        ("extra", "token_path"),
        [(CLIENT, "/oauth/token"), (REFRESH, "/api/user-web/oauth/token")],
        ids=["client_credentials", "refresh_token"],
    )
    def test_a_token_is_obtained_first(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook, extra: Any, token_path: str, waits: list[float]
    ) -> None:
        connect(lofty, password="", extra={**extra, "requests_per_minute": 0.01})
        ok, said = hook.test_connection()
        assert ok
        assert said.startswith("Lofty accepts the credential of Practice Agent")
        assert paths(lofty) == [token_path, "/v1.0/me"]
        assert waits == []  # for no turn

    def test_a_refresh_token_that_was_replaced_is_reported(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook
    ) -> None:
        connect(lofty, password="", extra=REFRESH)
        assert "Lofty replaced this refresh token, and Airflow cannot save the new one" in hook.test_connection()[1]
        lofty.reset()
        lofty.change(rotates_refresh_token=False)
        assert "refresh token" not in LoftyHook().test_connection()[1]

    def test_an_access_token_that_has_expired_is_renewed(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook
    ) -> None:
        connect(lofty, password="made-up-and-expired", extra=REFRESH)
        assert hook.test_connection()[0]
        assert paths(lofty) == ["/v1.0/me", "/api/user-web/oauth/token", "/v1.0/me"]


class TestRefused:
    @pytest.mark.parametrize(
        ("auth_type", "password", "said"),
        [
            ("api_key", "a-wrong-one", r"\(HTTP 401\): check that the connection's password is a current API key"),
            ("api_key", "made-up-access-token", "for an OAuth access token set auth_type to access_token"),
            ("access_token", "made-up-api-key", r"\(HTTP 400, code 200058\): .* set auth_type to api_key"),
            ("access_token", "a-wrong-one", r"\(HTTP 401\): the access token is wrong or has expired"),
        ],
    )
    def test_the_advice_fits_what_was_sent(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook, auth_type: str, password: str, said: str
    ) -> None:
        connect(lofty, password=password, extra={"auth_type": auth_type})
        assert re.search(f"^Lofty refused the credential {said}|{said}", refusal(hook))
        assert paths(lofty) == ["/v1.0/me"]

    @pytest.mark.parametrize(
        ("extra", "said"),
        [
            ({**CLIENT, "client_secret": "wrong"}, "refused (invalid_client); check client_id, client_secret"),
            (
                {**CLIENT, "customer_key": "wrong"},
                "refused (invalid_grant); check client_id, client_secret and the cus",
            ),
            ({**REFRESH, "refresh_token": "wrong"}, "(invalid_grant); check client_id, client_secret and the refresh"),
        ],
    )
    def test_a_token_that_is_not_given_says_what_to_check(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook, extra: Any, said: str
    ) -> None:
        connect(lofty, password="", extra=extra)
        assert said in refusal(hook)
        assert len(lofty.requests) == 1

    def test_a_token_that_is_given_and_not_accepted(self, serve: Serve, connect: Connect, hook: LoftyHook) -> None:
        token = http(b'{"access_token":"made-up-token","token_type":"Bearer"}')
        server = serve(token, http(b"{}", "401 X"), token, http(b"{}", "401 X"))
        connect(server.url, password="", extra=CLIENT)
        assert "the token that client_id and client_secret gave is not accepted" in refusal(hook)
        assert len(server.received) == 4


OBSTACLES = [
    (http(b"<html>Welcome</html>"), "HTTP 200, what answers there is not Lofty's API; check {field}"),
    (http(b"{}", "404 X"), "HTTP 404, what answers there is not Lofty's API; check {field}"),
    (http(b"", "301 X", "Location: https://elsewhere.example.com/"), "HTTP 301, a redirect, which is not followed"),
    (http(b"", "307 X", "Location: http://["), "check {field}"),
    (http(b'{"message":"Too Many Requests"}', "429 X"), "HTTP 429, its rate limit is used up; try again in a minute"),
    (http(b'{"message":"Too Many Requests"}', "400 X"), "HTTP 400, its rate limit is used up; try again in a minute"),
    (http(b"", "429 X"), "HTTP 429, its rate limit is used up; try again in a minute"),
    (http(b"", "407 X"), "HTTP 407, a proxy or gateway on the way refused this, not Lofty"),
    (http(b"<html>Sign in</html>", "401 X"), "HTTP 401, a proxy or gateway on the way refused this, not Lofty"),
    (http(b"<html>Forbidden</html>", "403 X"), "HTTP 403, a proxy or gateway on the way refused this, not Lofty"),
    (http(b"<html>Bad gateway</html>", "502 X"), "HTTP 502, Lofty, or a gateway in front of it, had an internal error"),
    (http(b'{"code":20005}', "500 X"), "HTTP 500, Lofty, or a gateway in front of it, had an internal error"),
    (b"SSH-2.0-nobody\r\n", "the connection was lost ("),
]


class TestObstacles:
    @pytest.mark.parametrize(("answer", "said"), OBSTACLES, ids=lambda value: str(value)[:30])
    def test_at_the_profile(self, serve: Serve, connect: Connect, hook: LoftyHook, answer: bytes, said: str) -> None:
        server = serve(answer)
        connect(server.url)
        message = refusal(hook)
        assert message.startswith(f"{server.url}: ")
        assert said.format(field="the connection's host") in message
        assert message.endswith("Whether the credential is accepted is unknown: it was not checked")
        assert len(server.received) == 1

    @pytest.mark.parametrize(("answer", "said"), OBSTACLES, ids=lambda value: str(value)[:30])
    def test_at_the_token(self, serve: Serve, connect: Connect, hook: LoftyHook, answer: bytes, said: str) -> None:
        server = serve(answer)
        connect(server.url, password="", extra=CLIENT)
        message = refusal(hook)
        assert message.startswith(f"no token from {server.url}/oauth/token: ")
        assert said.format(field="token_url") in message
        assert len(server.received) == 1

    def test_a_rate_limit_after_a_token_was_given(self, lofty: Sandbox, connect: Connect, hook: LoftyHook) -> None:
        lofty.change(canned_answers={"get_me": Answer(429)})
        connect(lofty, password="", extra=CLIENT)
        assert refusal(hook).endswith("The credential is accepted: Lofty gave a token for it")

    @pytest.mark.parametrize(
        "answer",
        [Answer(200, b"OK"), Answer(200, b"[]"), Answer(200, b"{}"), Answer(200, b'{"id":true}'), Answer(200, b'{"id":""}'),
         Answer(200, b'{"code":20012,"message":"no"}'), Answer(200, b'{"id":5,"success":false}'), Answer(400, b'{"code":20012,"message":"no"}'), Answer(204)],
        ids=lambda answer: f"{answer.status} {answer.body!r}",
    )  # fmt: skip
    def test_an_answer_without_a_profile(self, lofty: Sandbox, connected: LoftyHook, answer: Answer) -> None:
        lofty.change(canned_answers={"get_me": answer})
        assert " where Lofty would say whose the credential is: " in refusal(connected)


class TestUnreachable:
    @pytest.mark.server
    def test_a_closed_port(self, connect: Connect, hook: LoftyHook) -> None:
        connect(f"http://127.0.0.1:{closed_port()}")
        said = refusal(hook)
        assert "nothing listens there; check host and port in the connection's host" in said
        assert said.endswith("it was not sent")

    def test_an_unknown_host_name(self, connect: Connect, hook: LoftyHook, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*_: Any, **__: Any) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "made up")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        connect(f"https://{TARGET}")
        assert f"https://{TARGET}: its name cannot be resolved; check the connection's host" in refusal(hook)

    def test_an_invalid_host_name(self, connect: Connect, hook: LoftyHook) -> None:
        connect(f"https://{'a' * 70}.example.com")
        assert refusal(hook) == "host must be a URL such as https://api.lofty.com"

    def test_a_plain_port(self, serve: Serve, connect: Connect, hook: LoftyHook) -> None:
        server = serve(lambda connection, _: connection.recv(10) and connection.sendall(http(b"", "400 Bad")))
        connect(server.url.replace("http:", "https:"))
        assert "its port may be one for plain http; check the connection's host" in refusal(hook)

    def test_an_untrusted_certificate(
        self, serve: Serve, connect: Connect, hook: LoftyHook, tls: ssl.SSLContext
    ) -> None:
        server = serve(over_tls(tls, http(json.dumps(PROFILE).encode())))
        connect(f"https://localhost:{server.port}")
        assert (
            "its certificate is not signed by a trusted CA; if a proxy opens TLS on the way, add that proxy's CA to the file"
            in refusal(hook)
        )
        assert server.received == []

    @pytest.mark.parametrize(
        ("host", "ok", "message"),
        [
            (TARGET, True, "Lofty accepts the credential of Practice Agent"),
            ("other.invalid", False, "its certificate is for another host name; check the connection's host"),
        ],
    )
    def test_a_certificate_is_for_one_name(
        self,
        serve: Serve,
        connect: Connect,
        hook: LoftyHook,
        tls: ssl.SSLContext,
        certificate: Path,
        monkeypatch: pytest.MonkeyPatch,
        host: str,
        ok: bool,
        message: str,
    ) -> None:
        def tunnel(connection: socket.socket, server: RawServer) -> None:
            if server.read_request(connection):
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                over_tls(tls, http(json.dumps(PROFILE).encode()))(connection, server)

        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{serve(tunnel).port}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        connect(f"https://{host}")
        is_usable, said = hook.test_connection()
        assert is_usable is ok
        assert message in said

    @pytest.mark.parametrize("answer", ["403 Forbidden", "407 Proxy Authentication Required"])
    def test_a_proxy_that_refuses(
        self, serve: Serve, connect: Connect, hook: LoftyHook, monkeypatch: pytest.MonkeyPatch, answer: str
    ) -> None:
        proxy = serve(http(b"", answer))
        monkeypatch.setenv("HTTPS_PROXY", f"http://made-up-user:made-up-password@127.0.0.1:{proxy.port}")
        connect(f"https://{TARGET}")
        said = refusal(hook)
        assert "the proxy requires a password (407) or does not allow this host" in said
        assert "made-up" not in said
        assert [request.split(b" HTTP")[0] for request in proxy.received] == [b"CONNECT lofty.invalid:443"]

    @pytest.mark.server
    def test_a_proxy_that_is_not_there(
        self, connect: Connect, hook: LoftyHook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
        connect(f"https://{TARGET}")
        assert "go through the proxy that HTTPS_PROXY names: check there first" in refusal(hook)

    @pytest.mark.parametrize(
        ("scheme", "said"),
        [("http", "no answer within 0.2 s"), ("https", "no connection, a firewall may be in the way")],
    )
    def test_silence(self, serve: Serve, connect: Connect, hook: LoftyHook, scheme: str, said: str) -> None:
        server = serve(lambda connection, server: server.stopping.wait(5))
        connect(server.url.replace("http", scheme), extra={"timeout_seconds": 0.2})
        assert said in refusal(hook)


class TestQuickness:
    @pytest.mark.parametrize("extra", [{}, CLIENT], ids=["profile", "token"])
    def test_ten_seconds_are_the_longest(
        self, serve: Serve, connect: Connect, hook: LoftyHook, monkeypatch: pytest.MonkeyPatch, extra: Any
    ) -> None:
        monkeypatch.setattr(connection_test, "LONGEST_SECONDS", 0.3)
        connect(serve(lambda connection, server: server.stopping.wait(5)).url, extra={**extra, "timeout_seconds": 600})
        started = time.monotonic()
        assert "no answer within 0.3 s" in refusal(hook)
        assert time.monotonic() - started < 4

    def test_all_requests_share_one_deadline(
        self, lofty: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now, given = [5000.0], []
        client = LoftyHook(clock=lambda: now[0]).client
        send_now = client.send_now

        def slow(request: Request, endpoint: Endpoint, timeout_seconds: float) -> Any:
            given.append(timeout_seconds)
            now[0] += 4
            return send_now(request, endpoint, timeout_seconds)

        monkeypatch.setattr(client, "send_now", slow)
        connect(lofty, password="made-up-and-expired", extra={**REFRESH, "timeout_seconds": 600})
        assert connection_test.check_connection(client)[0]
        assert paths(lofty) == ["/v1.0/me", "/api/user-web/oauth/token", "/v1.0/me"]
        assert given == [10, 6, 2]
        client.close()

    def test_what_cannot_be_interrupted_is_not_waited_for(
        self, connect: Connect, hook: LoftyHook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        release = threading.Event()

        def hanging(*_: Any, **__: Any) -> None:
            release.wait(5)
            raise socket.gaierror(socket.EAI_AGAIN, "made up")

        monkeypatch.setattr(socket, "getaddrinfo", hanging)
        monkeypatch.setattr(connection_test, "_GRACE_SECONDS", 0.1)
        connect(f"https://{TARGET}", extra={"timeout_seconds": 0.1})
        assert f"no answer from https://{TARGET} within 0.1 s" in refusal(hook)
        release.set()

    def test_the_pace_remembers_the_request(self, lofty: Sandbox, connect: Connect, waits: list[float]) -> None:
        connect(lofty, extra={"requests_per_minute": 6})
        hook = LoftyHook(sleep=waits.append)
        hook.test_connection()
        hook.get_me()
        assert waits == pytest.approx([10], abs=1)
        hook.close()


class TestNeverRaises:
    @pytest.mark.parametrize(
        "connection",
        ["", "{not json", "[1]", "null", "lofty://", "://", '{"conn_type":"lofty"}', '{"conn_type":"lofty","port":"x"}',
         '{"conn_type":"lofty","password":"xq7zw","extra":"[1]"}', '{"conn_type":"lofty","password":"xq7zw","extra":"5"}',
         '{"conn_type":"lofty","password":"xq7zw","host":"http://lofty.example.com"}',
         '{"conn_type":"lofty","password":"xq7zw","host":"https://[::1"}',
         '{"conn_type":"lofty","password":"xq7zw","host":"https://a b"}',
         '{"conn_type":"lofty","password":"xq7zw","host":"http://127.0.0.1:1"}',
         '{"conn_type":"lofty","password":"xq7zw","extra":{"auth_type":"xq7zw"}}',
         '{"conn_type":"lofty","password":"xq7zw","extra":{"timeout_seconds":"xq7zw"}}'],
    )  # fmt: skip
    def test_every_bad_connection_is_reported_without_its_secret(
        self, hook: LoftyHook, monkeypatch: pytest.MonkeyPatch, connection: str
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_LOFTY_DEFAULT", connection)
        assert "xq7zw" not in refusal(hook)

    def test_a_connection_that_is_not_there(self, hook: LoftyHook) -> None:
        assert "the connection 'lofty_default' cannot be read" in refusal(hook)

    def test_a_field_that_is_wrong_is_named(self, connect: Connect, hook: LoftyHook) -> None:
        connect("https://lofty.example.com", extra={"timeout_seconds": 0})
        assert "timeout_seconds must be from 0.1 to 600" in refusal(hook)

    @pytest.mark.parametrize("where", ["settings", "send"])
    def test_any_other_error_is_reported_by_its_type_only(
        self, lofty: Sandbox, connected: LoftyHook, monkeypatch: pytest.MonkeyPatch, where: str
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError("made-up-api-key")

        if where == "settings":
            monkeypatch.setattr("airflow_provider_lofty.hooks.lofty.settings_from", fail)
        else:
            monkeypatch.setattr("airflow_provider_lofty.lofty.session.exchange", fail)
        assert refusal(connected) == "the test itself failed (RuntimeError)"


KEY = "eyJ" + "MadeUpKey0123456789" * 8


class TestPrivacy:
    @pytest.mark.parametrize("value", [KEY, f"token {KEY}", KEY[:40], KEY.upper(), [KEY], {"a": KEY}])
    @pytest.mark.parametrize("key", ["id", "firstName", "lastName", "roleName", "message", "code"])
    def test_a_profile_that_echoes_the_key(
        self, serve: Serve, connect: Connect, hook: LoftyHook, key: str, value: Any
    ) -> None:
        connect(serve(http(json.dumps({**PROFILE, key: value}).encode())).url, password=KEY)
        _, said = hook.test_connection()
        assert not any(KEY[start : start + 8].lower() in said.lower() for start in range(len(KEY) - 8))

    def test_a_key_of_digits_in_the_place_of_the_id(self, serve: Serve, connect: Connect, hook: LoftyHook) -> None:
        connect(serve(http(json.dumps({**PROFILE, "id": 123456789}).encode())).url, password="123456789")
        assert hook.test_connection()[1].startswith("Lofty accepts the credential of Practice Agent (Agent, user …)")


# How Airflow calls it.


def needs_the_provider() -> None:
    try:
        distribution(PACKAGE)
    except PackageNotFoundError:
        pytest.skip(f"{PACKAGE} is not installed here, so Airflow does not know of it; run make test")


@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")  # Airflow's own call
def test_the_button_hands_the_form_over_as_a_uri(lofty: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Airflow's API server: what the form sent becomes a variable of the environment, and is read from there."""
    needs_the_provider()
    left_empty = {"auth_type": "api_key", "client_id": "", "client_secret": None, "requests_per_minute": None}
    sent = Connection(
        conn_id="transient",
        conn_type="lofty",
        host=lofty.url,
        password=lofty.settings.api_key,
        extra=json.dumps({**left_empty, "max_in_flight": 4, "timeout_seconds": 5}),
    )
    monkeypatch.setenv("AIRFLOW_CONN_TRANSIENT", sent.get_uri())
    ok, said = sent.test_connection()
    assert ok, said
    assert said.startswith("Lofty accepts the credential of Practice Agent")
    assert lofty.requests[0].headers["authorization"] == "token made-up-api-key"


@pytest.mark.skipif(not hasattr(sdk.Connection, "test_connection"), reason="only Airflow 3.3 tests on workers, too")
def test_a_worker_has_the_connection_in_memory_only(lofty: Sandbox) -> None:
    needs_the_provider()
    connection = sdk.Connection(conn_id="in_memory", conn_type="lofty", host=lofty.url, password=lofty.settings.api_key)
    assert connection.test_connection()[0]
    assert paths(lofty) == ["/v1.0/me"]


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("made-up-api-key", "Connection success!"),
        ("a-wrong-one", "check that the connection's password is a current API key"),
    ],
)
def test_airflows_command_says_the_same(lofty: Sandbox, password: str, message: str) -> None:
    needs_the_provider()
    connection = {"conn_type": "lofty", "host": lofty.url, "password": password}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "airflow", "connections", "test", "lofty_by_command"],
        env={
            **os.environ,
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW_CONN_LOFTY_BY_COMMAND": json.dumps(connection),
        },
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert message in " ".join(done.stdout.split()), done.stdout + done.stderr  # Airflow 3.1 always ends with 0
    assert password not in done.stdout + done.stderr
    assert paths(lofty) == ["/v1.0/me"]
