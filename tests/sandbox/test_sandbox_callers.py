"""Who is answered: programs on this machine and the sandbox's own page, not what other sites make a browser send."""

from __future__ import annotations

import socket

import pytest
import requests

from airflow_provider_lofty.sandbox import Sandbox
from airflow_provider_lofty.sandbox.callers import refusal_of

ALL = "0.0.0.0"  # noqa: S104 - what is tested


def status_of(own_host: str = "127.0.0.1", **headers: str) -> int:
    refusal = refusal_of([(name.encode(), value.encode("latin-1")) for name, value in headers.items()], own_host)
    return refusal[0] if refusal else 200


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8765",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:8765",
        "127.9.9.9:1",
        "[::1]",
        "[::1]:8765",
        "localhost:",
    ],
)
def test_names_of_this_machine_are_answered(host: str) -> None:
    assert status_of(host=host) == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example.com", "evil.example.com:8765", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "[::2]",
     ALL, "localhost@evil.example.com", "evil.example.com:80@localhost", "localhost/evil", "[::1", "::1", "localhost evil",
     "foo.localhost", "[localhost].example.com", "\xe9"],
)  # fmt: skip
def test_no_other_name_is(host: str) -> None:
    assert status_of(host=host) == 421


@pytest.mark.parametrize(
    ("own_host", "host", "status"),
    [
        ("lofty.internal", "Lofty.internal:8765", 200),
        ("lofty.internal", "evil.example.com", 421),
        ("10.0.0.5", "10.0.0.5:8765", 200),
        ("10.0.0.5", "10.0.0.6:8765", 421),
        ("fd00::1", "[fd00::1]:8765", 200),
        (ALL, "10.0.0.5:8765", 200),
        (ALL, f"{ALL}:8765", 200),
        ("::", "[fd00::1]:8765", 200),
        (ALL, f"{socket.gethostname()}:8765", 200),
        (ALL, "evil.example.com", 421),
        ("127.0.0.1", f"{socket.gethostname()}x:8765", 421),
    ],
)
def test_the_address_that_it_listens_on_is_answered(own_host: str, host: str, status: int) -> None:
    assert status_of(own_host, host=host) == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8765", 200),
        ("HTTP://LOCALHOST:8765", 200),
        ("https://localhost:8765", 403),
        ("http://localhost:3000", 403),
        ("http://localhost", 403),
        ("http://127.0.0.1:8765", 403),
        ("http://evil.example.com", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_only_its_own_page_may_ask_on_behalf_of_a_page(origin: str, status: int) -> None:
    assert status_of(host="localhost:8765", origin=origin) == status


@pytest.mark.parametrize("path", ["/", "/sandbox/state", "/sandbox/activities", "/v1.0/me"])
def test_a_name_that_was_rebound_reads_nothing(caller, path):
    assert caller.get(path, {"Host": f"evil.example.com:{caller.lofty.url.rpartition(':')[2]}"}).status_code == 421
    assert caller.lofty.requests == []


def test_another_sites_page_changes_nothing(caller):
    caller.add()
    evil = {"Origin": "https://evil.example.com"}
    assert caller.send("POST", "/sandbox/reset", evil).status_code == 403
    assert caller.add(2, evil).status_code == 403
    assert len(caller.lofty.activities) == 1
    assert caller.send("POST", "/sandbox/reset", {"Origin": caller.lofty.url}).status_code == 200
    assert caller.lofty.activities == []


def test_a_sandbox_on_all_addresses_is_found_by_its_url(starts_server):
    with Sandbox(host=ALL) as lofty, requests.Session() as session:
        session.trust_env = False
        assert session.get(lofty.url, timeout=10).status_code == 200
