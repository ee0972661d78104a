"""The hook against a practice Lofty: what it checks before anything is sent, and what it hands on."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from airflow.sdk import BaseHook
from support.activity import ACTIVITY

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyRequestRejected
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.sandbox import Sandbox

Connect = Callable[..., None]


class TestConnection:
    def test_it_is_an_airflow_hook(self, connected: LoftyHook) -> None:
        assert isinstance(connected, BaseHook)
        assert (LoftyHook.conn_type, LoftyHook.conn_name_attr) == ("lofty", "lofty_conn_id")
        connected.close()
        connected.get_conn()
        connected.close()

    def test_a_missing_connection_is_reported(self, hook: LoftyHook) -> None:
        with pytest.raises(LoftyConfigurationError, match="'lofty_default' cannot be read"):
            hook.get_me()

    def test_plain_http_to_another_machine_is_refused_before_anything_leaves(
        self, connect: Connect, hook: LoftyHook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_network(*_: Any, **__: Any) -> None:
            raise AssertionError("the network was used")

        monkeypatch.setattr(socket, "getaddrinfo", no_network)
        connect("http://lofty.example.com")
        with pytest.raises(LoftyConfigurationError, match="plain http would expose the key"):
            hook.add_activity(5, ACTIVITY)
        assert hook.client.requests_made == 0


class TestAddActivity:
    def test_values_are_checked_and_converted(self, lofty: Sandbox, connected: LoftyHook) -> None:
        moment = datetime(2024, 5, 1, 10, 0, 0, 123000, tzinfo=timezone.utc)
        activity = {**ACTIVITY, "type": "REQUEST", "created": moment, "listing": {"price": "450000"}, "pageName": None}
        connected.add_activity(np.int64(2**62 + 1), activity)  # type: ignore[arg-type]
        assert lofty.activities[0].lead_id == 2**62 + 1
        assert lofty.activities[0].body == {**ACTIVITY, "type": "Request", "listing": {"price": 450000}}

    @pytest.mark.parametrize("lead_id", [0, -1, 2**63, 1.5, True, None, "5/../6", "", float(2**53)])
    def test_a_wrong_lead_id_is_refused_unsent(self, lofty: Sandbox, connected: LoftyHook, lead_id: Any) -> None:
        with pytest.raises(LoftyRequestRejected, match="nothing was sent: leadId "):
            connected.add_activity(lead_id, ACTIVITY)
        assert lofty.requests == []

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"type": "Viewed"}, "type must be one of"),
            ({"text": None}, "text is required"),
            ({"created": 1714557600}, "created must be milliseconds since 1970, but looks like seconds"),
            ({"listing": {"price": "cheap"}}, "listing.price must be a whole number"),
            ({"listing": "cheap"}, "listing must be an object"),
            ({"colour": "red"}, "no field 'colour'"),
            ({"listing": {"colour": "red"}}, "no field 'listing.colour'"),
            ({"listing_id": 5}, "may mean listing.id"),
            ({"lead_id": 6}, "both match the field leadId"),
            ({"text": "bad \ud800"}, "text holds bytes that are not UTF-8"),
        ],
    )
    def test_a_wrong_activity_is_refused_unsent_and_names_the_field(
        self, lofty: Sandbox, connected: LoftyHook, change: dict[str, Any], named: str
    ) -> None:
        with pytest.raises(LoftyRequestRejected) as caught:
            connected.add_activity(5, {**ACTIVITY, **change})
        assert str(caught.value).startswith("nothing was sent: ")
        assert named in str(caught.value)
        assert lofty.requests == []

    def test_a_field_that_is_missing_is_named(self, lofty: Sandbox, connected: LoftyHook) -> None:
        with pytest.raises(LoftyRequestRejected, match="required field picture"):
            connected.add_activity(5, {name: value for name, value in ACTIVITY.items() if name != "picture"})
        assert lofty.requests == []


@pytest.mark.parametrize("asked", [{}, {"email": "a@example.com", "phone": "5"}])
def test_it_wants_one_of_the_two(lofty: Sandbox, connected: LoftyHook, asked: dict[str, str]) -> None:
    with pytest.raises(LoftyConfigurationError, match="either an email or a phone"):
        connected.find_leads(**asked)
    assert lofty.requests == []


class TestFindLeadIds:
    def test_of_many_people(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.add_lead(5, emails=["ada@example.com"], phones=["202-555-0142"])
        lofty.add_lead(6, emails=["ada@example.com"])
        found = connected.find_lead_ids(
            emails=["Ada@Example.com", "ada@example.com ", "nobody@example.com", "none"], phones=["+1 202 555 0142"]
        )
        assert found == {
            "Ada@Example.com": [5, 6], "ada@example.com ": [5, 6], "nobody@example.com": [], "none": [],
            "+1 202 555 0142": [5],
        }  # fmt: skip
        assert [sent.query.get("email") for sent in lofty.requests] == ["ada@example.com", "nobody@example.com", None]

    def test_of_nobody(self, lofty: Sandbox, connected: LoftyHook) -> None:
        assert connected.find_lead_ids() == connected.find_lead_ids(emails=(), phones=[]) == {}
        assert lofty.requests == []

    def test_one_text_is_not_a_list(self, connected: LoftyHook) -> None:
        with pytest.raises(LoftyConfigurationError, match="lists, not one text"):
            connected.find_lead_ids(emails="ada@example.com")

    def test_a_search_that_lofty_ignores_finds_nobody(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.change(ignored_lead_parameters={"email"})
        for lead_id in range(1, 102):
            lofty.add_lead(lead_id, emails=[f"somebody-{lead_id}@example.com"])
        with pytest.raises(LoftyConfigurationError, match="with other leads: what it finds proves nothing"):
            connected.find_lead_ids(emails=["somebody-7@example.com"])


def test_what_is_read_comes_back_as_lofty_gave_it(lofty: Sandbox, connected: LoftyHook) -> None:
    lofty.add_lead(5, emails=["ada@example.com"], phones=["555-010-0142"])
    connected.add_activity(5, ACTIVITY)
    assert [entry["text"] for entry in connected.list_activities(5)] == [ACTIVITY["text"]]
    found = connected.find_leads("ada@example.com")
    assert [lead["leadId"] for lead in found] == [5]
    assert connected.find_leads(phone="5550100142") == connected.find_leads(email="ADA@example.com") == found
    assert connected.get_me()["id"] == 11


def test_its_arguments_reach_what_they_are_for(lofty: Sandbox, connect: Connect) -> None:
    waits: list[float] = []
    connect(lofty, extra={"requests_per_minute": None})
    hook = LoftyHook(
        "lofty_default",
        requests_per_minute=30,
        sleep=waits.append,
        clock=lambda: 7.0,
        now=lambda: 1e9,
        chance=lambda: 0.5,
    )
    for _ in range(3):
        hook.get_me()
    assert waits == [2, 4]  # a clock that stands still
    hook.close()


def test_another_connection_is_another_lofty(lofty: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    connect("http://127.0.0.1:1")
    connection = {"conn_type": "lofty", "host": lofty.url, "password": lofty.settings.api_key}
    monkeypatch.setenv("AIRFLOW_CONN_ANOTHER", json.dumps(connection))
    hook = LoftyHook("another")
    assert hook.get_me()["id"] == 11
    hook.close()


def test_who_borrows_the_session_makes_requests_with_a_credential_of_their_own(
    lofty: Sandbox, connected: LoftyHook
) -> None:
    session, url = connected.get_conn(), f"{lofty.url}/v1.0/me"
    assert session.get(url, timeout=5).status_code == 401
    own = {"Authorization": f"token {lofty.settings.api_key}"}
    assert [session.get(url, headers=own, timeout=5).json()["id"] for _ in range(2)] == [11, 11]
    assert connected.get_me()["id"] == 11


@pytest.mark.parametrize(("host", "is_trusted"), [("https://lofty.example.com", True), ("http://localhost:1", False)])
def test_who_borrows_the_session_goes_by_the_environment_but_not_to_this_machine(
    connect: Connect, hook: LoftyHook, host: str, is_trusted: bool
) -> None:
    connect(host)
    assert hook.get_conn().trust_env is is_trusted
