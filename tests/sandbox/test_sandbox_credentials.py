"""Who may call, and how tokens are issued."""

from __future__ import annotations

import base64
import time

import pytest

PATHS = ["/v1.0/me", "/v1.0/leads", "/v1.0/leads/1", "/v1.0/leads/1/activities"]


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


def status(caller, authorization):
    return caller.get("/v1.0/me", {"Authorization": authorization}).status_code


def token(caller, **form):
    return caller.send("POST", "/oauth/token", {"Authorization": None, "Content-Type": None}, data=form)


def user_token(caller, credentials="made-up-client-id:made-up-client-secret", **form):
    headers = {"Authorization": basic(credentials), "Content-Type": None}
    return caller.send("POST", "/api/user-web/oauth/token", headers, data=form)


CLIENT = {"client_id": "made-up-client-id", "client_secret": "made-up-client-secret"}
FOR_USER = {"grant_type": "client_credentials", "customer_key": "made-up-customer-key", **CLIENT}
CODE = {"grant_type": "authorization_code", "code": "made-up-authorization-code"}


def test_both_header_forms_are_accepted(caller):
    assert status(caller, "token made-up-api-key") == 200
    assert status(caller, "Bearer made-up-access-token") == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "made-up-api-key",
        "token",
        "token ",
        "token wrong",
        "Token made-up-api-key",
        "token  made-up-api-key",
        "token made-up-access-token",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "bearer made-up-access-token",
        "Basic made-up-api-key",
    ],
)
def test_anything_else_is_refused(caller, authorization):
    answer = caller.get("/v1.0/me", {"Authorization": authorization})
    assert (answer.status_code, answer.json()) == (401, {"message": "BAD_CREDENTIALS"})
    assert caller.lofty.requests[-1].note


def test_an_empty_key_is_never_accepted(start):
    caller = start(api_key="", access_token="")
    assert [status(caller, "token "), status(caller, "Bearer ")] == [401, 401]


def test_an_api_key_sent_as_bearer(caller):
    answer = caller.get("/v1.0/me", {"Authorization": "Bearer made-up-api-key"})
    assert answer.status_code == 400
    assert answer.json() == {"code": 200058, "message": "User in token does not exist."}
    assert "token <API key>" in caller.lofty.requests[-1].note


@pytest.mark.parametrize("path", PATHS)
def test_every_read_wants_a_credential(caller, path):
    assert caller.get(path, {"Authorization": None}).status_code == 401


def test_a_post_wants_a_credential(caller):
    assert caller.add(headers={"Authorization": None}).status_code == 401
    assert caller.lofty.activities == []


def test_a_key_can_be_revoked_while_running(caller):
    assert status(caller, "token made-up-api-key") == 200
    caller.lofty.change(api_key="another")
    assert status(caller, "token made-up-api-key") == 401
    assert status(caller, "token another") == 200


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("add_activity", "POST", "/v1.0/leads/1/activity"),
        ("list_activities", "GET", "/v1.0/leads/1/activities"),
        ("find_leads", "GET", "/v1.0/leads"),
        ("get_lead", "GET", "/v1.0/leads/1"),
        ("get_me", "GET", "/v1.0/me"),
    ],
)
def test_permission_can_be_denied_for_each_operation(start, name, method, path):
    caller = start(permission_denied={name})
    answer = caller.send(method, path)
    assert (answer.status_code, answer.json()["code"]) == (403, 200100)
    others = [other for other in PATHS if other != path]
    assert {caller.get(other).status_code for other in others} == {200}


@pytest.mark.parametrize("as_json", [False, True])
def test_client_credentials(caller, as_json):
    content = {"json": FOR_USER} if as_json else {"data": FOR_USER}
    answer = caller.send("POST", "/oauth/token", {"Authorization": None, "Content-Type": None}, **content)
    issued = answer.json()
    assert answer.status_code == 200
    assert issued.keys() == {"access_token", "expires_in", "refresh_token", "token_type", "scope"}
    assert (issued["token_type"], issued["scope"], issued["expires_in"]) == ("Bearer", "openApi", 3600)
    assert status(caller, f"Bearer {issued['access_token']}") == 200


def test_an_authorization_code_is_redeemed_at_both_places(caller):
    for answer in (token(caller, **CODE, **CLIENT), user_token(caller, **CODE)):
        assert status(caller, f"Bearer {answer.json()['access_token']}") == 200


@pytest.mark.parametrize(
    ("form", "expected", "error"),
    [
        ({}, 401, "invalid_client"),
        (FOR_USER | {"client_id": "x"}, 401, "invalid_client"),
        (FOR_USER | {"client_secret": "x"}, 401, "invalid_client"),
        (FOR_USER | {"customer_key": "x"}, 400, "invalid_grant"),
        (CODE | CLIENT | {"code": "x"}, 400, "invalid_grant"),
        (FOR_USER | {"grant_type": "refresh_token"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_wrong_token_request_is_refused(caller, form, expected, error):
    answer = token(caller, **form)
    assert (answer.status_code, answer.json()["error"]) == (expected, error)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"client_id": ["made-up-client-id"]}'])
def test_a_token_request_that_is_nonsense_is_refused(caller, body):
    assert caller.send("POST", "/oauth/token", data=body).status_code == 401


@pytest.mark.parametrize("authorization", [None, "Basic !!", "Basic /////w==", basic("a:b"), "Bearer x"])
def test_the_user_token_place_wants_basic(caller, authorization):
    answer = caller.send(
        "POST",
        "/api/user-web/oauth/token",
        {"Authorization": authorization, "Content-Type": None},
        data={"grant_type": "refresh_token", "refresh_token": "made-up-refresh-token"},
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_the_user_token_place_does_not_know_client_credentials(caller):
    answer = user_token(caller, grant_type="client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def refresh(caller, refresh_token):
    return user_token(caller, grant_type="refresh_token", refresh_token=refresh_token)


def test_a_refresh_spends_the_refresh_token(caller):
    first = refresh(caller, "made-up-refresh-token")
    assert first.status_code == 200
    assert first.json()["refresh_token"] != "made-up-refresh-token"
    assert refresh(caller, "made-up-refresh-token").status_code == 400
    assert refresh(caller, first.json()["refresh_token"]).status_code == 200
    assert refresh(caller, first.json()["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_refresh_can_keep_the_refresh_token(start):
    caller = start(rotates_refresh_token=False)
    for _ in range(2):
        assert refresh(caller, "made-up-refresh-token").json()["refresh_token"] == "made-up-refresh-token"


def test_an_unknown_refresh_token_is_refused(caller):
    assert refresh(caller, "x").status_code == 400


def test_an_issued_token_expires(start):
    caller = start(token_lifetime_seconds=0.05)
    authorization = f"Bearer {token(caller, **FOR_USER).json()['access_token']}"
    time.sleep(0.1)
    assert status(caller, authorization) == 401
    assert caller.lofty.requests[-1].note == "the access token expired"


def test_reset_forgets_what_was_issued_and_spent(caller):
    issued = refresh(caller, "made-up-refresh-token").json()
    caller.lofty.reset()
    assert status(caller, f"Bearer {issued['access_token']}") == 401
    assert refresh(caller, issued["refresh_token"]).status_code == 400
    assert refresh(caller, "made-up-refresh-token").status_code == 200
