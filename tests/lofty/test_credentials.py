"""What goes into the Authorization header, how it is renewed, and what is never said of it."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from support.oauth import CLIENT, REFRESH
from support.raw_server import http

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyCredentialRefused, LoftyUnreachable
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.sandbox import Answer, Sandbox

ACTIVITY = {"type": "Browse", "text": "t", "link": "l", "picture": "p", "created": 1714557600123}

Connect = Callable[..., None]


class Clock:
    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed_hook(clock: Clock, waits: list[float]) -> Iterator[LoftyHook]:
    """A hook that lives by our clock."""
    hook = LoftyHook(sleep=waits.append, clock=clock)
    yield hook
    hook.close()


def headers_of(lofty: Sandbox, path: str) -> list[str]:
    return [request.headers.get("authorization", "") for request in lofty.requests if request.path == path]


def forms_of(lofty: Sandbox, path: str) -> list[dict[str, list[str]]]:
    return [parse_qs(request.body.decode()) for request in lofty.requests if request.path == path]


def token(access_token: str = "made-up-access-token", **others: Any) -> bytes:
    return json.dumps({"access_token": access_token, "expires_in": 3600, "token_type": "Bearer", **others}).encode()


class TestHeader:
    def test_an_api_key_goes_as_token(self, lofty: Sandbox, connect: Connect, hook: LoftyHook) -> None:
        connect(lofty)
        hook.get_me()
        assert headers_of(lofty, "/v1.0/me") == ["token made-up-api-key"]

    def test_an_access_token_goes_as_bearer(self, lofty: Sandbox, connect: Connect, hook: LoftyHook) -> None:
        connect(lofty, password=lofty.settings.access_token, extra={"auth_type": "access_token"})
        hook.get_me()
        assert headers_of(lofty, "/v1.0/me") == ["Bearer made-up-access-token"]

    @pytest.mark.parametrize("pasted", ["made-up\u2028-api-key\n", "\ufeffmade-up-api-key", "token made-up-api-key"])
    def test_a_key_arrives_without_what_cannot_be_seen(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook, pasted: str
    ) -> None:
        connect(lofty, password=pasted)
        assert hook.add_activity(5, ACTIVITY) == 5
        assert headers_of(lofty, "/v1.0/leads/5/activity") == ["token made-up-api-key"]

    def test_a_key_that_no_header_can_hold_is_refused_and_nothing_is_sent(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook
    ) -> None:
        connect(lofty, password="made-üp-key")
        with pytest.raises(LoftyConfigurationError, match="password contains a character") as caught:
            hook.add_activity(5, ACTIVITY)
        assert "made-" not in str(caught.value)
        assert lofty.requests == []

    def test_a_key_sent_as_bearer_says_which_auth_type_to_set(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook
    ) -> None:
        connect(lofty, extra={"auth_type": "access_token"})
        with pytest.raises(LoftyCredentialRefused, match="is an API key, set auth_type to api_key"):
            hook.add_activity(5, ACTIVITY)
        assert len(lofty.requests) == 1

    @pytest.mark.parametrize(("auth_type", "advice"), [("api_key", "current API key"), ("access_token", "has expired")])
    def test_a_wrong_credential_is_tried_once_and_says_what_to_check(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook, auth_type: str, advice: str
    ) -> None:
        connect(lofty, password="a-wrong-one", extra={"auth_type": auth_type})
        with pytest.raises(LoftyCredentialRefused, match=advice):
            hook.get_me()
        assert len(lofty.requests) == 1

    def test_a_password_in_netrc_does_not_take_its_place(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        netrc = tmp_path / ".netrc"
        netrc.write_text("default login ada password from-netrc\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HOME", str(tmp_path))
        connect(lofty)
        hook.client.http.trust_env = True  # as it is for every host but this machine
        hook.get_me()
        assert headers_of(lofty, "/v1.0/me") == ["token made-up-api-key"]


class TestClientCredentials:
    def test_the_token_is_asked_for_with_the_client_in_the_form(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook
    ) -> None:
        connect(lofty, password="", extra=CLIENT)
        hook.get_me()
        hook.get_me()
        assert forms_of(lofty, "/oauth/token") == [
            {
                "grant_type": ["client_credentials"],
                "client_id": ["made-up-client-id"],
                "client_secret": ["made-up-client-secret"],
                "customer_key": ["made-up-customer-key"],
            }
        ]
        assert headers_of(lofty, "/v1.0/me") == ["Bearer made-up-access-token-1"] * 2

    def test_it_is_form_encoded_and_carries_no_authorization(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook
    ) -> None:
        connect(lofty, password="", extra=CLIENT)
        hook.get_me()
        (request, _) = lofty.requests
        assert request.headers["content-type"].startswith("application/x-www-form-urlencoded")
        assert "authorization" not in request.headers

    def test_it_is_renewed_a_minute_before_it_expires(
        self, lofty: Sandbox, connect: Connect, timed_hook: LoftyHook, clock: Clock
    ) -> None:
        connect(lofty, password="", extra=CLIENT)
        timed_hook.get_me()
        clock.now += 3600 - 61
        timed_hook.get_me()
        clock.now += 2
        timed_hook.get_me()
        assert [header[-1] for header in headers_of(lofty, "/v1.0/me")] == ["1", "1", "2"]

    def test_a_short_lived_one_is_used_for_most_of_its_life(
        self, lofty: Sandbox, connect: Connect, timed_hook: LoftyHook, clock: Clock
    ) -> None:
        lofty.change(token_lifetime_seconds=10)
        connect(lofty, password="", extra=CLIENT)
        for _ in range(3):
            timed_hook.get_me()
            clock.now += 4.4
        assert [header[-1] for header in headers_of(lofty, "/v1.0/me")] == ["1", "1", "1"]
        timed_hook.get_me()
        assert headers_of(lofty, "/v1.0/me")[-1][-1] == "2"

    def test_one_that_is_refused_is_renewed_once_and_the_request_made_again(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook
    ) -> None:
        connect(lofty, password="", extra=CLIENT)
        hook.get_me()
        lofty.reset()  # Lofty forgets every token it gave
        lofty.change(access_token="another")
        assert hook.add_activity(5, ACTIVITY) == 5
        assert [request.path for request in lofty.requests] == [
            "/v1.0/leads/5/activity",
            "/oauth/token",
            "/v1.0/leads/5/activity",
        ]
        assert len(lofty.activities) == 1

    def test_one_that_is_refused_again_ends_it(self, lofty: Sandbox, connect: Connect, hook: LoftyHook) -> None:
        lofty.change(canned_answers={"oauth_token": Answer(200, token("never-accepted"))})
        connect(lofty, password="", extra=CLIENT)
        with pytest.raises(LoftyCredentialRefused, match="the token that client_id and client_secret"):
            hook.add_activity(5, ACTIVITY)
        assert [request.path for request in lofty.requests].count("/oauth/token") == 2
        assert [request.path for request in lofty.requests].count("/v1.0/leads/5/activity") == 2
        assert lofty.activities == []

    @pytest.mark.parametrize("wrong", ["client_id", "client_secret", "customer_key"])
    def test_a_wrong_client_is_reported_and_nothing_else_is_sent(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook, wrong: str
    ) -> None:
        connect(lofty, password="", extra={**CLIENT, wrong: "xq7zw"})
        with pytest.raises(LoftyCredentialRefused, match=r"refused \(invalid_(client|grant)\)"):
            hook.add_activity(5, ACTIVITY)
        assert {request.path for request in lofty.requests} == {"/oauth/token"}


class TestRefreshToken:
    def test_the_token_is_asked_for_with_the_client_as_basic(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook
    ) -> None:
        connect(lofty, password="", extra=REFRESH)
        hook.get_me()
        path = "/api/user-web/oauth/token"
        assert headers_of(lofty, path) == [f"Basic {PAIR}"]
        assert forms_of(lofty, path) == [{"grant_type": ["refresh_token"], "refresh_token": ["made-up-refresh-token"]}]
        assert headers_of(lofty, "/v1.0/me") == ["Bearer made-up-access-token-1"]

    def test_an_access_token_that_is_there_is_used_first(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook
    ) -> None:
        connect(lofty, password=lofty.settings.access_token, extra=REFRESH)
        hook.get_me()
        assert [request.path for request in lofty.requests] == ["/v1.0/me"]

    def test_one_that_expired_is_renewed(self, lofty: Sandbox, connect: Connect, hook: LoftyHook) -> None:
        connect(lofty, password="an-expired-one", extra=REFRESH)
        hook.get_me()
        assert headers_of(lofty, "/v1.0/me") == ["Bearer an-expired-one", "Bearer made-up-access-token-1"]

    @pytest.mark.parametrize("rotates", [True, False])
    def test_a_refresh_token_that_lofty_replaced_is_used_from_then_on(
        self, lofty: Sandbox, connect: Connect, timed_hook: LoftyHook, clock: Clock, rotates: bool
    ) -> None:
        lofty.change(rotates_refresh_token=rotates)
        connect(lofty, password="", extra=REFRESH)
        for _ in range(3):
            timed_hook.get_me()
            clock.now += 3600
        sent = [form["refresh_token"][0] for form in forms_of(lofty, "/api/user-web/oauth/token")]
        first = "made-up-refresh-token"
        assert sent == ([first, f"{first}-1", f"{first}-2"] if rotates else [first] * 3)

    def test_a_spent_one_is_reported(self, lofty: Sandbox, connect: Connect, hook: LoftyHook) -> None:
        connect(lofty, password="", extra={**REFRESH, "refresh_token": "spent-long-ago"})
        with pytest.raises(LoftyCredentialRefused, match=r"refused \(invalid_grant\).*refresh_token"):
            hook.get_me()

    @pytest.mark.parametrize("odd", [None, "", 5, [1], {"a": 1}])
    def test_an_answer_without_a_new_one_keeps_the_old(
        self, lofty: Sandbox, connect: Connect, timed_hook: LoftyHook, clock: Clock, odd: Any
    ) -> None:
        lofty.change(canned_answers={"user_oauth_token": Answer(200, token(refresh_token=odd))})
        connect(lofty, password="", extra=REFRESH)
        timed_hook.get_me()
        clock.now += 3600
        timed_hook.get_me()
        sent = [form["refresh_token"][0] for form in forms_of(lofty, "/api/user-web/oauth/token")]
        assert sent == ["made-up-refresh-token"] * 2


PAIR = base64.b64encode(b"made-up-client-id:made-up-client-secret").decode()
SECRETS = ("made-up-client-secret", "made-up-customer-key", "made-up-refresh-token", PAIR)


class TestTokenEndpoint:
    @pytest.mark.parametrize(
        "body",
        [b"", b"[]", b"5", b"null", b'"x"', b"{}", b"OK", b"\xff\xfe", b"[" * 100_000, b'{"access_token":5}',
         b'{"access_token":""}', b'{"access_token":null}', b'{"access_token":["a"]}', b'{"access_token":"a\\r\\nX: y"}',
         b'{"access_token":"a b"}', '{"access_token":"tökén"}'.encode(), b'{"access_token":"\\ud800"}',
         b'{"access_token":"a","expires_in":[1]}', b'{"access_token":"a","expires_in":1e999}',
         b'{"access_token":"a","expires_at":{}}', b'{"error":5}', b'{"error":{"a":1}}', b'{"error":["x"]}',
         b'{"error":null}', b'{"access_token":' + b"9" * 5000 + b"}"],
        ids=lambda body: repr(body)[:30],
    )  # fmt: skip
    @pytest.mark.parametrize("status", [200, 400])
    def test_an_answer_without_a_token_is_a_refusal_and_nothing_is_posted(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook, status: int, body: bytes
    ) -> None:
        lofty.change(canned_answers={"oauth_token": Answer(status, body)})
        connect(lofty, password="", extra=CLIENT)
        with pytest.raises(LoftyCredentialRefused):
            hook.add_activity(5, ACTIVITY)
        assert {request.path for request in lofty.requests} == {"/oauth/token"}

    @pytest.mark.parametrize("expires_in", [None, 0, -5, 10**300, 3600.7, "3600", 10**400], ids=lambda v: repr(v)[:8])
    def test_an_odd_lifetime_does_not_hinder(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook, expires_in: Any
    ) -> None:
        lofty.change(canned_answers={"oauth_token": Answer(200, token(expires_in=expires_in))})
        connect(lofty, password="", extra=CLIENT)
        assert hook.get_me()["id"] == 11
        assert hook.get_me()["id"] == 11
        assert [request.path for request in lofty.requests].count("/oauth/token") == 1

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(404),
            Answer(405),
            Answer(301),
            Answer(302),
            Answer(200, b"<html>", "text/html"),
            Answer(403, b"<html>"),
        ],
        ids=lambda answer: f"{answer.status}",
    )
    def test_an_answer_that_is_not_from_a_token_endpoint_is_a_configuration_error(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook, answer: Answer
    ) -> None:
        lofty.change(canned_answers={"oauth_token": answer})
        connect(lofty, password="", extra=CLIENT)
        with pytest.raises(LoftyConfigurationError, match="token_url is not a token endpoint"):
            hook.get_me()

    @pytest.mark.parametrize(
        "answer", [Answer(500), Answer(503), Answer(429), Answer(None)], ids=lambda a: f"{a.status}"
    )
    def test_errors_of_the_token_endpoint_are_retried_and_then_reported(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook, waits: list[float], answer: Answer
    ) -> None:
        lofty.change(canned_answers={"oauth_token": answer})
        connect(lofty, password="", extra=CLIENT)
        with pytest.raises(LoftyUnreachable, match="no token from http://127.0.0.1:.*nothing was sent"):
            hook.add_activity(5, ACTIVITY)
        assert len(lofty.requests) == 4
        assert {1.0, 2.0, 4.0} <= set(waits)

    def test_a_row_that_has_its_turn_stays_unsent_without_a_token(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook
    ) -> None:
        lofty.change(canned_answers={"oauth_token": Answer(500)})
        connect(lofty, password="", extra=CLIENT)
        with pytest.raises(LoftyUnreachable, match="no token from .*; nothing was sent"):
            hook.client.post_activity(5, json.dumps(ACTIVITY).encode(), has_turn=True)
        assert {request.path for request in lofty.requests} == {"/oauth/token"}
        lofty.change(canned_answers={})
        assert hook.add_activity(5, ACTIVITY) == 5

    @pytest.mark.parametrize("extra", [CLIENT, REFRESH], ids=["client_credentials", "refresh_token"])
    @pytest.mark.parametrize("status", [200, 400, 401, 500])
    @pytest.mark.parametrize(
        "shape", ["{}", '{{"error":"{}"}}', '{{"error":"x","error_description":"{}"}}', '"{}"', '{{"message":"{}"}}']
    )
    def test_no_secret_is_shown_when_the_answer_echoes_the_request(
        self,
        serve: Any,
        connect: Connect,
        hook: LoftyHook,
        caplog: pytest.LogCaptureFixture,
        extra: Any,
        status: int,
        shape: str,
    ) -> None:
        body = shape.format(f"bad request {' '.join(SECRETS)}").encode()
        server = serve(http(body, f"{status} X", "Content-Type: application/json"))
        connect(server.url, password="", extra=extra)
        with caplog.at_level(logging.DEBUG):
            ok, said = hook.test_connection()
        assert not ok
        message = said + caplog.text
        assert not any(secret in message for secret in SECRETS)


def test_no_header_is_in_the_repr_of_a_hook_or_its_credential(
    lofty: Sandbox, connect: Connect, hook: LoftyHook
) -> None:
    connect(lofty)
    hook.get_me()
    shown = repr((hook, hook.client, hook.client._credential, hook.get_conn(), vars(hook), vars(hook.client)))
    assert "made-up-api-key" not in shown
    assert "authorization" not in {name.lower() for name in hook.get_conn().headers}


def test_threads_that_find_the_token_expired_at_once_fetch_one(
    lofty: Sandbox, connect: Connect, hook: LoftyHook
) -> None:
    connect(lofty, password="", extra=CLIENT)
    first = hook.client._credential.header()
    assert hook.client._credential.renew(first)
    assert hook.client._credential.renew(first)  # the other thread, whose header was refused as well
    assert [request.path for request in lofty.requests] == ["/oauth/token"] * 2
