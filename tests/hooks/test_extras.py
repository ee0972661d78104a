"""The names of a connection's extra fields: a misspelt one is an error, another's is a warning."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.hooks.extras import EXTRAS
from airflow_provider_lofty.hooks.lofty import LoftyHook

URL = "https://lofty.example.com"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("auth_tpye", "auth_type"),
        ("authtype", "auth_type"),
        ("AUTH_TYPE", "auth_type"),
        ("authType", "auth_type"),
        ("auth-type", "auth_type"),
        ("request_per_minute", "requests_per_minute"),
        ("requests_per_minutes", "requests_per_minute"),
        ("requests_per_minut", "requests_per_minute"),
        ("max_inflight", "max_in_flight"),
        ("timeout_second", "timeout_seconds"),
        ("settle_secnds", "settle_seconds"),
        ("token_uri", "token_url"),
        ("clientid", "client_id"),
        (" client_secret", "client_secret"),
        ("refresh_tokens", "refresh_token"),
        ("costumer_key", "customer_key"),
    ],
)
def test_a_misspelt_one_is_refused_by_its_name(connect: Callable[..., None], written: str, meant: str) -> None:
    connect(URL, extra={written: "marigold"})
    with pytest.raises(LoftyConfigurationError) as caught:
        LoftyHook().client.settings  # noqa: B018
    assert f"{written!r}" in str(caught.value)
    assert f"the closest is {meant!r}" in str(caught.value)
    assert "marigold" not in str(caught.value)


def test_so_it_is_beside_the_right_one_and_by_the_test_button(connect: Callable[..., None]) -> None:
    connect(URL, extra={"timeout_seconds": 5, "timeout_secons": 50})
    is_usable, message = LoftyHook().test_connection()
    assert not is_usable
    assert "'timeout_secons'" in message


@pytest.mark.parametrize(
    "others",
    [
        {"region_name": "eu"},
        {"timeout": 5, "verify": False, "extra__lofty__auth_type": "api_key"},
        {"user": "x", "id": 1, "token": "marigold", "": 1, "url": "x"},
    ],
    ids=str,
)
def test_others_are_left_in_peace_with_one_warning(connect: Callable[..., None], others: dict[str, Any]) -> None:
    connect(URL, extra=others)
    hook = LoftyHook()
    with structlog.testing.capture_logs() as lines:
        assert hook.client.settings.base_url == URL
        assert hook.client.settings.auth_type == "api_key"
    (line,) = [line["event"] % line.get("positional_args", ()) for line in lines if line["log_level"] == "warning"]
    assert all(repr(name) in line for name in others)
    assert "marigold" not in line


def test_ours_are_no_reason_to_warn(connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    oauth = {name: "x" for name in EXTRAS if not name.endswith(("seconds", "minute", "flight", "type", "url"))}
    profile = {"format": 1, "base_url": URL, "account_id": 11}
    connect(
        URL,
        extra={
            **oauth,
            "auth_type": "client_credentials",
            "token_url": "https://tokens.example.com",
            "profile": profile,
        },
    )
    with structlog.testing.capture_logs() as lines:
        LoftyHook().client.settings  # noqa: B018
    assert lines == []


@pytest.mark.parametrize("name", ["requests_per_minute", "max_in_flight", "timeout_seconds", "settle_seconds"])
@pytest.mark.parametrize("value", [True, [1], {"a": 1}, "soon"], ids=repr)
def test_a_number_is_a_number(monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> None:
    connection = {"conn_type": "lofty", "password": "key", "extra": {name: value}}
    monkeypatch.setenv("AIRFLOW_CONN_LOFTY_DEFAULT", json.dumps(connection))
    with pytest.raises(LoftyConfigurationError, match=f"{name} must be a number"):
        LoftyHook().client.settings  # noqa: B018
