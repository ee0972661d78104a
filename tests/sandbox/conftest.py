"""A running sandbox and somebody who calls it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings


class Caller:
    """Calls a sandbox the way a well-behaved client would, unless a test asks otherwise."""

    def __init__(self, lofty: Sandbox) -> None:
        self.lofty = lofty
        self.session = requests.Session()
        self.session.trust_env = False

    def headers(self, changes: dict[str, str | None]) -> dict[str, str]:
        usual = {"Authorization": f"token {self.lofty.settings.api_key}", "Content-Type": "application/json"}
        return {name: value for name, value in (usual | changes).items() if value is not None}

    def send(self, method: str, path: str, headers: dict[str, Any] | None = None, **rest: Any) -> requests.Response:
        return self.session.request(
            method, self.lofty.url + path, headers=self.headers(headers or {}), timeout=10, **rest
        )

    def add(self, lead_id: int | str = 1, headers: dict[str, Any] | None = None, **fields: Any) -> requests.Response:
        return self.send("POST", f"/v1.0/leads/{lead_id}/activity", headers, json=activity(**fields))

    def get(self, path: str, headers: dict[str, Any] | None = None, **query: Any) -> requests.Response:
        return self.send("GET", path, headers, params=query)

    def read(self, lead_id: int = 1, **query: Any) -> list[dict[str, Any]]:
        answer = self.get(f"/v1.0/leads/{lead_id}/activities", **query)
        assert answer.status_code == 200, answer.text
        return answer.json()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def activity(**fields: Any) -> dict[str, Any]:
    usual = {
        "type": "Browse",
        "text": "Viewed 12 Example Street",
        "link": "https://homes.example.com/12",
        "picture": "",
        "created": 1_747_272_300_123,
    }
    return {name: value for name, value in (usual | fields).items() if value is not None}


@pytest.fixture(name="until")
def wait_until() -> Callable[[Callable[[], Any]], None]:
    """Wait for what another thread does."""
    return until


@pytest.fixture
def start(starts_server: None) -> Iterator[Callable[..., Caller]]:
    """Start sandboxes with given settings; by default no rate limit comes in the way."""
    with ExitStack() as stack:

        def start_one(**settings: Any) -> Caller:
            chosen = SandboxSettings(**({"requests_per_minute": 600_000} | settings))
            caller = Caller(stack.enter_context(Sandbox(chosen)))
            stack.callback(caller.session.close)
            return caller

        yield start_one


@pytest.fixture
def caller(start: Callable[..., Caller]) -> Caller:
    return start()
