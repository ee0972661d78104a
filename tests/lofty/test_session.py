"""The session: every request leaves in its turn, is counted, and has an end."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.activity import ACTIVITY, PATH, body
from support.oauth import CLIENT, REFRESH

import airflow_provider_lofty
from airflow_provider_lofty.exceptions import AirflowTaskTimeout
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.lofty.answers import Meaning
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings

Connect = Callable[..., None]


def test_what_arrives(lofty: Sandbox, connected_client: LoftyClient) -> None:
    assert connected_client.add_activity(5, body()) == 5
    (request,) = lofty.requests
    assert (request.method, request.path, request.query) == ("POST", PATH, {})
    assert json.loads(request.body) == ACTIVITY
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "gzip"  # whatever else urllib3 could decode here
    assert request.headers["user-agent"] == f"airflow-provider-lofty/{airflow_provider_lofty.__version__}"


def test_a_get_carries_the_content_type_too(lofty: Sandbox, connected_client: LoftyClient) -> None:
    lofty.change(get_needs_content_type=True)
    assert connected_client.get_me()["id"] == 11
    assert lofty.requests[0].headers["content-type"] == "application/json"


def test_every_request_is_counted(lofty: Sandbox, connected_client: LoftyClient) -> None:
    connected_client.get_me()
    connected_client.add_activity(5, body())
    assert connected_client.requests_made == len(lofty.requests) == 2


def test_requests_are_paced(lofty: Sandbox, connect: Connect, client: LoftyClient, waits: list[float]) -> None:
    connect(lofty, extra={"requests_per_minute": 6})
    for _ in range(3):
        client.get_me()
    assert waits == pytest.approx([10, 20], abs=2)  # the sleep is not real, so the turns run away from the clock


def test_who_is_told_to_stop_while_waiting_for_a_turn_has_sent_nothing(lofty: Sandbox, connect: Connect) -> None:
    def stopped(seconds: float) -> None:
        raise AirflowTaskTimeout("execution_timeout has passed")

    connect(lofty, extra={"requests_per_minute": 6})
    client = LoftyHook(sleep=stopped).client
    client.get_me()
    for _ in range(2):
        with pytest.raises(AirflowTaskTimeout):
            client.post_activity(5, body())
    assert (len(lofty.requests), client.requests_made, lofty.activities) == (1, 1, [])
    client.close()


def test_the_smaller_of_two_caps_holds(lofty: Sandbox, connect: Connect) -> None:
    connect(lofty, extra={"requests_per_minute": 30})
    assert LoftyHook(requests_per_minute=20).client.pacer.requests_per_minute == 20
    assert LoftyHook(requests_per_minute=40).client.pacer.requests_per_minute == 30
    assert LoftyHook().client.pacer.requests_per_minute == 30


def test_a_proxy_never_sees_what_is_meant_for_this_machine(
    lofty: Sandbox, connected_client: LoftyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert connected_client.add_activity(5, body()) == 5


def test_the_limit_of_reading_sets_no_pace_for_writing(lofty: Sandbox, connected_client: LoftyClient) -> None:
    before = connected_client.pacer.requests_per_minute
    lofty.change(read_requests_per_minute=7)
    connected_client.read_back(5, 0)
    assert connected_client.pacer.requests_per_minute == before


@pytest.fixture
def slow_lofty(starts_server: None) -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(requests_per_minute=600_000, latency_seconds=0.5)) as sandbox:
        yield sandbox


def test_the_connections_timeout_is_the_whole_requests(
    slow_lofty: Sandbox, connect: Connect, client: LoftyClient
) -> None:
    connect(slow_lofty, extra={"timeout_seconds": 0.2})
    verdict = client.post_activity(5, body())
    assert (verdict.meaning, verdict.status) == (Meaning.DOUBT, None)


def test_a_caller_that_has_its_turn_does_not_wait_for_another(
    lofty: Sandbox, connect: Connect, client: LoftyClient, waits: list[float]
) -> None:
    connect(lofty, extra={"requests_per_minute": 1})
    for _ in range(3):
        assert client.post_activity(5, body(), has_turn=True).meaning is Meaning.DELIVERED
    assert waits == []


def test_one_method_makes_every_request() -> None:
    callers = []
    for file in Path(airflow_provider_lofty.__file__).parent.rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                called = {
                    node.func.id
                    for node in ast.walk(function)
                    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                }
                callers += [f"{file.parent.name}/{file.stem}.{function.name}"] * ("exchange" in called)
    assert callers == ["lofty/session.send"]


@pytest.mark.parametrize(
    ("extra", "masked"),
    [
        ({}, {"made-up-password"}),
        ({"auth_type": "access_token"}, {"made-up-password"}),
        (CLIENT, {"made-up-client-secret", "made-up-customer-key", "made-up-access-token-1"}),
        (
            REFRESH,
            {"made-up-client-secret", "made-up-refresh-token", "made-up-access-token-1", "made-up-refresh-token-1"},
        ),
    ],
    ids=["api_key", "access_token", "client_credentials", "refresh_token"],
)
def test_each_secret_is_masked_as_soon_as_it_is_known(
    lofty: Sandbox, connect: Connect, hook: LoftyHook, extra: dict[str, str], masked: set[str]
) -> None:
    connect(lofty, password="" if extra in (CLIENT, REFRESH) else "made-up-password", extra=extra)
    seen: list[str] = []
    session = LoftyClient(lambda: hook.client.settings, mask=seen.append, sleep=lambda seconds: None)
    session.prepare()
    assert lofty.requests == []
    assert set(session.settings.secrets) - {""} <= set(seen)
    if "password" not in str(masked):
        session.get_me()
    assert masked <= set(seen)
    session.close()
