"""A connection's profile: of this account or nothing is sent, named before the first row, and never less careful."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.practice import Store, row, run, task_instance

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.first_contact.command import main
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.lofty.pacing import START_REQUESTS_PER_MINUTE
from airflow_provider_lofty.report.status import XCOM_KEY
from airflow_provider_lofty.sandbox import Sandbox

ACTIVITY = {"type": "Browse", "text": "made up", "link": "x", "picture": "x", "created": 1714557600123}
AS_SENT = {f"{name}_shown": [] for name in ("type", "created", "text", "link")}

Profiled = Callable[..., None]


@pytest.fixture
def profiled(lofty: Sandbox, connect: Callable[..., None]) -> Profiled:
    """Give a function that connects with a profile of the practice Lofty, as an object or as its text."""

    def make(*, as_text: bool = False, extra: dict[str, Any] | None = None, **fields: Any) -> None:
        profile = {"format": 1, "base_url": lofty.url, "account_id": 11, **fields}
        connect(lofty, extra={"profile": json.dumps(profile) if as_text else profile, **(extra or {})})

    return make


def made(lofty: Sandbox) -> list[tuple[str, str]]:
    return [(request.method, request.path.removeprefix("/v1.0/")) for request in lofty.requests]


@pytest.mark.parametrize("as_text", [False, True], ids=["object", "text"])
def test_of_this_account_it_costs_one_request(lofty: Sandbox, profiled: Profiled, as_text: bool) -> None:
    profiled(as_text=as_text, account_id="11")
    assert run(rows=[row(1)], check_existing="never").counts == {"delivered": 1}
    assert made(lofty) == [("GET", "me"), ("POST", "leads/1/activity")]


def test_of_another_account_nothing_is_sent(lofty: Sandbox, profiled: Profiled) -> None:
    profiled(account_id=12)
    ended = run(rows=[row(1)], store=Store())
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "profile: account_id is another account" in str(ended.error)
    assert made(lofty) == [("GET", "me")]
    with pytest.raises(LoftyConfigurationError, match="another account"):
        LoftyHook().add_activity(1, ACTIVITY)
    assert main(["--lead-id", "1", "--yes"]) == 1
    ok, said = LoftyHook().test_connection()
    assert (ok, "the connection's profile is another's" in said) == (False, True)
    assert {method for method, _ in made(lofty)} == {"GET"}


def test_where_lofty_no_longer_says_whose_it_is_nothing_is_sent(lofty: Sandbox, profiled: Profiled) -> None:
    profiled()
    lofty.change(permission_denied={"get_me"})
    ended = run(rows=[row(1)])
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "cannot be compared" in str(ended.error)
    assert made(lofty) == [("GET", "me")]


def test_one_without_an_account_is_bound_to_the_host_alone(lofty: Sandbox, profiled: Profiled) -> None:
    profiled(account_id=None)
    lofty.change(permission_denied={"get_me"})
    assert run(rows=[row(1)], check_existing="never").counts == {"delivered": 1}
    assert made(lofty) == [("POST", "leads/1/activity")]


def test_of_another_host_nothing_is_asked(lofty: Sandbox, profiled: Profiled) -> None:
    profiled(base_url="https://api.lofty.com")
    ended = run(rows=[row(1)])
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "profile: base_url is another host" in str(ended.error)
    assert lofty.requests == []


def test_the_hook_asks_once_whose_the_credential_is(lofty: Sandbox, profiled: Profiled) -> None:
    profiled()
    hook = LoftyHook()
    for _ in range(2):
        hook.add_activity(1, ACTIVITY)
    hook.close()
    assert made(lofty) == [("GET", "me"), *[("POST", "leads/1/activity")] * 2]


def test_what_keeps_rows_from_being_settled_is_named_before_the_first_row(lofty: Sandbox, profiled: Profiled) -> None:
    profiled(created_shown=["text", "whole_seconds"], text_shown=["trimmed", "html"], settle_seconds=90)
    pushed: list[dict[str, Any]] = []
    ti = task_instance()

    def push(key: str, value: Any) -> None:
        if key == XCOM_KEY:
            pushed.append({**value, "posts": sum(method == "POST" for method, _ in made(lofty))})

    ti.xcom_push = push
    ended = run(ti, rows=[row(1)])
    remarks = ended.summary["profile_remarks"]
    assert len(remarks) == 2
    assert "created without its milliseconds, as text" not in remarks[0]
    assert (
        "created as text, without its milliseconds; text without the blanks around it, as HTML writes it" in remarks[0]
    )
    assert "settle_seconds should be 90, and the connection sets 0.05" in remarks[1]
    assert all(remark in ended.log for remark in remarks)
    assert {"profile_remarks": remarks, "posts": 0}.items() <= pushed[1].items()
    assert all(facts["profile_remarks"] == remarks for facts in pushed[1:])


def test_reading_that_is_refused_or_shows_one_page_only_is_named_too(lofty: Sandbox, profiled: Profiled) -> None:
    profiled(reading={"status": 403}, ignores_page=True)
    refused, one_page = run(rows=[row(1)]).summary["profile_remarks"]
    unknown = "a row whose answer is lost stays unknown"
    assert refused == f"Lofty does not let activities be read (HTTP 403): {unknown}"
    assert one_page == f"Lofty shows one page of a lead's activities only: at leads with more of them, {unknown}"


def test_where_nothing_is_altered_nothing_is_named(lofty: Sandbox, profiled: Profiled) -> None:
    profiled(**{**AS_SENT, "created_shown": ["text"], "link_shown": ["empty_as_null"]})
    assert "profile_remarks" not in run(rows=[row(1)]).summary


def test_a_preview_names_it_and_asks_nothing(lofty: Sandbox, profiled: Profiled) -> None:
    profiled(type_shown=["lower_case"], account_id=12)
    ended = run(rows=[row(1)], preview=True)
    assert any("Lofty shows type in lower case" in line for line in ended.log)
    assert lofty.requests == []


def test_canary_and_controls_are_proven_live_whatever_it_says(
    lofty: Sandbox, connect: Callable[..., None], profiled: Profiled
) -> None:
    """A later try without a journal makes the same requests as without a profile."""
    connect(lofty, extra={"timeout_seconds": 0.5})
    asked = []
    for with_profile in (False, True):
        lofty.reset()
        if with_profile:
            profiled(
                extra={"timeout_seconds": 0.5}, **AS_SENT, most_lag_seconds=0.01, equal_posts=2, reading={"status": 200}
            )
        ended = run(task_instance(try_number=2), rows=[row(number) for number in (1, 2)])
        requests = [each for each in made(lofty) if each != ("GET", "me")]
        first_post = next(place for place, (method, _) in enumerate(requests) if method == "POST")
        asked.append((ended.counts, requests[: first_post + 2], {*requests}))
    assert asked[0] == asked[1]
    assert asked[0][1][-1][0] == "GET"  # how the canary is shown, before the next row goes


@pytest.mark.parametrize(
    ("argument", "extra", "profile", "option", "first"),
    [
        (None, None, None, None, START_REQUESTS_PER_MINUTE),
        (None, None, 300, None, 300),
        (None, None, 20, None, 20),
        (None, None, 300, 40, 40),  # a cap binds
        (None, None, 20, 40, 20),
        (None, 100, 20, None, 100),
        (100, None, 20, None, 100),
        (100, 50, 20, 10, 50),
    ],
)
def test_where_the_pace_begins(
    lofty: Sandbox, profiled: Profiled, monkeypatch: pytest.MonkeyPatch, argument: int | None, extra: int | None,
    profile: int | None, option: int | None, first: float,
) -> None:  # fmt: skip
    if option:
        monkeypatch.setenv("AIRFLOW__LOFTY__REQUESTS_PER_MINUTE", str(option))
    profiled(requests_per_minute=profile, extra={"requests_per_minute": extra})
    hook = LoftyHook(requests_per_minute=argument)
    assert hook.client.pacer.requests_per_minute == first
    assert hook.client.cap == min((cap for cap in (argument, extra or option) if cap), default=None)
