"""What a server may say beyond what a profile can hold: it stays open, and what is written can be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_lofty.first_contact.command import main
from airflow_provider_lofty.profile.profile import Profile, profile_in
from airflow_provider_lofty.sandbox import Sandbox

LEAD = 4711


@pytest.fixture
def learn(lofty: Sandbox, connect: Callable[..., None], tmp_path: Path) -> Callable[..., Profile]:
    """Give a function that makes the check under these switches, and returns the profile as a connection reads it."""
    connect(lofty)

    def run(**switches: Any) -> Profile:
        lofty.change(**switches)
        file = tmp_path / "p.json"
        assert main(["--lead-id", str(LEAD), "--yes", "--profile", str(file)], patience=0) == 0
        return profile_in(file.read_text(encoding="utf-8"))

    return run


@pytest.mark.parametrize("limit", [1_000_001, 2**31 - 1])
def test_a_limit_that_no_profile_holds_stays_open(
    learn: Callable[..., Profile], capsys: pytest.CaptureFixture[str], limit: int
) -> None:
    found = learn(requests_per_minute=limit)
    assert (found.requests_per_minute, found.read_requests_per_minute) == (None, None)
    assert found.rate_headers["add_activity"] is True
    _, _, still_open = capsys.readouterr().out.partition("Still open:")
    assert f"X-RateLimit-Limit: {limit} is too much for a limit" in still_open


def test_the_largest_limit_that_a_profile_holds_is_learned(learn: Callable[..., Profile]) -> None:
    assert learn(requests_per_minute=10**6).requests_per_minute == 10**6


def test_of_two_limits_the_one_that_a_profile_holds_is_learned(learn: Callable[..., Profile]) -> None:
    found = learn(read_requests_per_minute=2**31 - 1)
    assert (found.requests_per_minute, found.read_requests_per_minute) == (600_000, None)


def test_a_page_that_no_profile_holds_stays_open(learn: Callable[..., Profile], lofty: Sandbox) -> None:
    made = {"type": "Browse", "text": "made up", "link": "x", "picture": "x", "created": 1714557600123}
    with requests.Session() as session:
        session.headers["Authorization"] = f"token {lofty.settings.api_key}"
        for _ in range(1002):
            session.post(f"{lofty.url}/v1.0/leads/{LEAD}/activity", json=made, timeout=5)
    found = learn(page_size=1001)
    assert (found.page_size, found.ignores_page) == (None, False)
