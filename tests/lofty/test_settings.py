"""What follows from a connection's settings, and what is not shown of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_lofty.lofty.settings import LoftySettings, is_loopback

SECRETS = {"password": "xq7zw-1", "client_secret": "xq7zw-2", "customer_key": "xq7zw-3", "refresh_token": "xq7zw-4"}


def settings(
    base_url: str = "https://api.lofty.com", settle_seconds: float = 60, timeout_seconds: float = 30
) -> LoftySettings:
    return LoftySettings(
        "crm", base_url, "api_key", f"{base_url}/oauth/token", client_id="cid", **SECRETS, requests_per_minute=None,
        max_in_flight=16, timeout_seconds=timeout_seconds, settle_seconds=settle_seconds,
    )  # fmt: skip


@pytest.mark.parametrize(("settle", "ttl"), [(60, 10), (600, 10), (30, 5), (6, 1), (0, 1)])
def test_an_intent_lives_for_a_sixth_of_the_settle_time_but_one_to_ten_seconds(settle: float, ttl: float) -> None:
    assert settings(settle_seconds=settle).intent_ttl_seconds == ttl


@pytest.mark.parametrize(("settle", "timeout", "seconds"), [(60, 30, 60), (30, 30, 35), (0, 0.1, 1.1), (60, 600, 610)])
def test_what_another_process_sent_settles_no_sooner_than_it_can_have_been_sent(
    settle: float, timeout: float, seconds: float
) -> None:
    assert settings(settle_seconds=settle, timeout_seconds=timeout).resumed_settle_seconds == pytest.approx(seconds)


def test_the_token_endpoint_is_asked_by_the_oauth_types_only() -> None:
    assert settings().urls == ("https://api.lofty.com",)
    with_tokens = replace(settings(), auth_type="refresh_token")
    assert with_tokens.urls == ("https://api.lofty.com", "https://api.lofty.com/oauth/token")


def test_secrets_are_all_named_and_none_is_in_the_repr() -> None:
    assert set(settings().secrets) == set(SECRETS.values())
    assert "xq7zw" not in repr(settings())
    assert "cid" not in repr(settings())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:8080", True),
        ("http://127.0.0.1", True),
        ("http://127.9.9.9:1", True),
        ("http://[::1]:8080", True),
        ("http://[::ffff:127.0.0.1]", True),
        ("http://[::ffff:10.0.0.1]", False),
        ("http://localhost.example.com", False),
        ("http://10.0.0.1", False),
        ("https://api.lofty.com", False),
        ("http://0.0.0.0", False),
    ],
)
def test_loopback_is_this_machine_only(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected
