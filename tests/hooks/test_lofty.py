"""The hook against a practice Lofty: what arrived there, and what came back of it."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from itertools import islice
from typing import Any

import numpy as np
import pytest
from airflow.sdk import BaseHook
from support.raw_server import RawServer, http

from airflow_provider_lofty import __version__
from airflow_provider_lofty.exceptions import (
    LoftyAnswerLost,
    LoftyConfigurationError,
    LoftyError,
    LoftyRequestRejected,
    LoftyUnreachable,
)
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.lofty.answers import Meaning
from airflow_provider_lofty.lofty.trace import trace_of_body
from airflow_provider_lofty.sandbox import Answer, Sandbox, SandboxSettings

Connect = Callable[..., None]
CREATED = 1714557600123
ACTIVITY = {
    "type": "Browse",
    "text": "Ada Example looked at 12 Made Up Lane",
    "link": "https://www.example.com/12",
    "picture": "",
    "created": CREATED,
}
PATH = "/v1.0/leads/5/activity"


def paths(lofty: Sandbox) -> list[str]:
    return [request.path for request in lofty.requests]


def body() -> bytes:
    return json.dumps(ACTIVITY).encode()


class TestRequest:
    def test_what_arrives(self, lofty: Sandbox, connected: LoftyHook) -> None:
        assert connected.add_activity(5, ACTIVITY) == 5
        (request,) = lofty.requests
        assert (request.method, request.path, request.query) == ("POST", PATH, {})
        assert json.loads(request.body) == ACTIVITY
        assert request.headers["content-type"] == "application/json"
        assert request.headers["accept"] == "application/json"
        assert request.headers["user-agent"] == f"airflow-provider-lofty/{__version__}"

    def test_a_get_carries_the_content_type_too(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.change(get_needs_content_type=True)
        assert connected.get_me()["id"] == 11
        assert lofty.requests[0].headers["content-type"] == "application/json"

    def test_every_request_is_counted(self, lofty: Sandbox, connected: LoftyHook) -> None:
        connected.get_me()
        connected.add_activity(5, ACTIVITY)
        assert connected.client.requests_made == len(lofty.requests) == 2

    def test_requests_are_paced(self, lofty: Sandbox, connect: Connect, hook: LoftyHook, waits: list[float]) -> None:
        connect(lofty, extra={"requests_per_minute": 6})
        for _ in range(3):
            hook.get_me()
        assert waits == pytest.approx([10, 20], abs=2)  # the sleep is not real, so the turns run away from the clock

    def test_the_smaller_of_two_caps_holds(self, lofty: Sandbox, connect: Connect) -> None:
        connect(lofty, extra={"requests_per_minute": 30})
        assert LoftyHook(requests_per_minute=20).client.pacer.requests_per_minute == 20
        assert LoftyHook(requests_per_minute=40).client.pacer.requests_per_minute == 30
        assert LoftyHook().client.pacer.requests_per_minute == 30

    def test_plain_http_to_another_machine_is_refused_before_anything_leaves(
        self, connect: Connect, hook: LoftyHook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_network(*_: Any, **__: Any) -> None:
            raise AssertionError("the network was used")

        monkeypatch.setattr(socket, "getaddrinfo", no_network)
        connect("http://lofty.example.com")
        with pytest.raises(LoftyConfigurationError, match="plain http would show the key"):
            hook.add_activity(5, ACTIVITY)
        assert hook.client.requests_made == 0

    def test_a_proxy_never_sees_what_is_meant_for_this_machine(
        self, lofty: Sandbox, connected: LoftyHook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert connected.add_activity(5, ACTIVITY) == 5

    def test_a_missing_connection_is_told(self, hook: LoftyHook) -> None:
        with pytest.raises(LoftyConfigurationError, match="'lofty_default' cannot be read"):
            hook.get_me()

    def test_it_is_an_airflow_hook(self, connected: LoftyHook) -> None:
        assert isinstance(connected, BaseHook)
        assert (LoftyHook.conn_type, LoftyHook.conn_name_attr) == ("lofty", "lofty_conn_id")
        connected.close()
        connected.get_conn()
        connected.close()


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

    def test_a_merged_leads_own_id_comes_back(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.change(merged_leads={5: 7})
        assert connected.add_activity(5, ACTIVITY) == 7

    @pytest.mark.parametrize(
        ("fault", "error", "stored"),
        [
            ("refused", LoftyRequestRejected, 0),
            ("error_in_200", LoftyRequestRejected, 0),
            ("error_before_storing", LoftyAnswerLost, 0),
            ("error_after_storing", LoftyAnswerLost, 1),
            ("drop_before_storing", LoftyAnswerLost, 0),
            ("drop_after_storing", LoftyAnswerLost, 1),
            ("slow", LoftyAnswerLost, 1),
            ("html_502", LoftyAnswerLost, 0),
            ("html_502_after_storing", LoftyAnswerLost, 1),
            ("empty_200", LoftyAnswerLost, 1),
        ],
    )
    def test_whatever_goes_wrong_it_is_sent_once(
        self, lofty: Sandbox, connect: Connect, hook: LoftyHook, fault: str, error: type[LoftyError], stored: int
    ) -> None:
        lofty.change(scripted_faults=[fault])
        connect(lofty, extra={"timeout_seconds": 0.4})
        with pytest.raises(error, match="may be stored" if error is LoftyAnswerLost else "nothing was stored"):
            hook.add_activity(5, ACTIVITY)
        assert (len(lofty.requests), len(lofty.activities)) == (1, stored)

    @pytest.mark.parametrize("shape", ["code", "embedded", "json_string", "text", "empty"])
    def test_a_lead_that_does_not_exist_is_a_rejection_in_every_shape(
        self, lofty: Sandbox, connected: LoftyHook, shape: Any
    ) -> None:
        lofty.change(missing_leads={5}, error_shape=shape)
        with pytest.raises(LoftyRequestRejected, match="HTTP 404"):
            connected.add_activity(5, ACTIVITY)

    @pytest.mark.parametrize("status", [429, 400])
    def test_a_rate_refusal_is_waited_for_and_sent_again(
        self, lofty: Sandbox, connected: LoftyHook, waits: list[float], status: int
    ) -> None:
        lofty.change(
            scripted_faults=["rate_limited"] * 2, rate_refusal_status=status, rate_reset_reading="seconds_left"
        )
        assert connected.add_activity(5, ACTIVITY) == 5
        assert [request.status for request in lofty.requests] == [status, status, 200]
        assert (len(lofty.activities), connected.client.times_throttled) == (1, 2)
        assert len(waits) == 2
        # The window is 60 s and has just begun. "60" may be milliseconds, until that proves to be too short.
        assert waits[0] < 5
        assert waits[1] > 50

    def test_a_rate_refusal_without_end_is_told_in_the_end(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.change(faults={"rate_limited": 1})
        with pytest.raises(LoftyUnreachable, match="refused 20 times for the rate limit; nothing was stored"):
            connected.add_activity(5, ACTIVITY)
        assert len(lofty.requests) == 20

    def test_no_connection_is_tried_again_and_told_as_not_sent(
        self, lofty: Sandbox, connected: LoftyHook, waits: list[float]
    ) -> None:
        lofty.stop()
        with pytest.raises(LoftyUnreachable, match="ConnectionRefusedError; the activity was not sent"):
            connected.add_activity(5, ACTIVITY)
        assert connected.client.requests_made == 4
        assert [wait for wait in waits if wait >= 1] == [1, 2, 4]

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (Answer(301, b"", headers={"location": "https://elsewhere.example.com/x"}), "check the connection's host"),
            (Answer(308, b"", headers={"location": "http://["}), "check the connection's host"),
            (Answer(404, b'{"message":"The requested API endpoint does not exist"}'), "check the connection's host"),
            (Answer(401, b"<html>Sign in</html>", "text/html"), "a proxy or gateway on the way"),
            (Answer(403, b"<html>Forbidden</html>", "text/html"), "a proxy or gateway on the way"),
            (Answer(407), "a proxy or gateway on the way"),
        ],
        ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
    )
    def test_what_is_not_lofty_is_a_matter_of_the_connection(
        self, lofty: Sandbox, connected: LoftyHook, answer: Answer, said: str
    ) -> None:
        lofty.change(canned_answers={"add_activity": answer})
        with pytest.raises(LoftyConfigurationError, match=said):
            connected.add_activity(5, ACTIVITY)
        assert paths(lofty) == [PATH]

    def test_a_missing_permission_is_told(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.change(permission_denied={"add_activity"})
        with pytest.raises(LoftyConfigurationError, match=r"the app lacks the permission \(200100\)"):
            connected.add_activity(5, ACTIVITY)


HOSTILE = [
    b"", b"5", b"null", b"[]", b"{}", b'"x"', b"\xff\xfe", b"\x00", b"[" * 100_000, b'{"a":' * 50_000,
    b'{"leadId":true}', b'{"leadId":"5"}', b'{"leadId":5.0}', b'{"leadId":' + b"9" * 5000 + b"}",
    b'{"code":' + b"9" * 5000 + b"}", b'{"code":"' + b"9" * 5000 + b'"}', b'{"code":' + b"9" * 40 + b"}",
    b'{"message":"\\ud800"}', b'{"message":["x"]}', b'{"error":' + b"[" * 900 + b"]" * 900 + b"}",
    b'[{"text":"errorCode=20006"}]', b"<html>",
]  # fmt: skip


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda answer: repr(answer)[:25])
@pytest.mark.parametrize("status", [200, 201, 400, 401, 403, 404, 409, 422, 429, 500])
def test_no_answer_makes_a_traceback(lofty: Sandbox, connected: LoftyHook, status: int, answer: bytes) -> None:
    lofty.change(
        canned_answers=dict.fromkeys(
            ("add_activity", "list_activities", "find_leads", "get_me"), Answer(status, answer)
        )
    )
    verdict = connected.client.post_activity(5, body())
    assert verdict.meaning not in (Meaning.DELIVERED, Meaning.NEVER_SENT)
    verdict.message.encode()
    for call in (
        connected.get_me,
        lambda: list(connected.list_activities(5)),
        lambda: connected.client.read_back(5, 0).entries,
        lambda: connected.find_leads("a@example.com"),
    ):
        try:
            assert call() in ([], {}, json.loads(answer))
        except LoftyError as error:
            str(error).encode()
    assert isinstance(connected.test_connection()[0], bool)


class TestReading:
    def test_more_than_a_page_comes_whole(self, lofty: Sandbox, connected: LoftyHook) -> None:
        for number in range(101):
            connected.client.post_activity(5, json.dumps({**ACTIVITY, "created": CREATED + number}).encode())
        assert [entry["created"] - CREATED for entry in connected.list_activities(5)] == list(range(100, -1, -1))
        assert [request.query for request in lofty.requests[-2:]] == [{"curPage": "0"}, {"curPage": "1"}]

    @pytest.mark.parametrize(("stored", "pages"), [(0, 1), (1, 1), (99, 1), (100, 2), (101, 2), (250, 3)])
    def test_as_many_pages_as_there_are(
        self, serve: Any, connect: Connect, hook: LoftyHook, stored: int, pages: int
    ) -> None:
        entries = [{"created": CREATED - number} for number in range(stored)]
        server = serve(
            *(http(json.dumps(entries[start : start + 100]).encode()) for start in range(0, 100 * pages, 100))
        )
        connect(server.url)
        assert list(hook.list_activities(5)) == entries
        asked = [request.split(b" ")[1].decode() for request in server.received]
        assert asked == [f"/v1.0/leads/5/activities?curPage={page}" for page in range(pages)]

    def test_newest_first_as_they_were_sent(self, lofty: Sandbox, connected: LoftyHook) -> None:
        for created in (CREATED, CREATED + 2, CREATED + 1):
            connected.add_activity(5, {**ACTIVITY, "created": created})
        assert [entry["created"] - CREATED for entry in connected.list_activities(5)] == [2, 1, 0]

    def test_a_page_is_asked_for_only_when_it_is_wanted(self, serve: Any, connect: Connect, hook: LoftyHook) -> None:
        server = serve(http(json.dumps([{"created": 1}] * 100).encode()))
        connect(server.url)
        assert len(list(islice(hook.list_activities(5), 100))) == 100
        assert len(server.received) == 1

    def test_a_server_that_ignores_the_page_is_not_read_without_end(
        self, serve: Any, connect: Connect, hook: LoftyHook
    ) -> None:
        entries = [{"created": number} for number in range(100)]
        server = serve(http(json.dumps(entries).encode()))
        connect(server.url)
        assert list(islice(hook.list_activities(5), 500)) == entries
        assert len(server.received) == 2

    def test_what_an_activity_says_is_no_error_of_lofty(self, lofty: Sandbox, connected: LoftyHook) -> None:
        connected.add_activity(5, {**ACTIVITY, "text": "errorCode=20006,errorMsg=too many requests"})
        assert [entry["text"] for entry in connected.list_activities(5)] == [
            "errorCode=20006,errorMsg=too many requests"
        ]

    def test_a_missing_lead_is_told(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.change(missing_leads={5})
        with pytest.raises(LoftyRequestRejected, match="code 20006"):
            list(connected.list_activities(5))

    def test_trouble_is_waited_for_and_then_told(
        self, lofty: Sandbox, connected: LoftyHook, waits: list[float]
    ) -> None:
        lofty.change(canned_answers={"get_me": Answer(500)})
        with pytest.raises(LoftyUnreachable, match="/v1.0/me gave no usable answer: HTTP 500, empty answer"):
            connected.get_me()
        assert len(lofty.requests) == 4
        assert [wait for wait in waits if wait >= 1] == [1, 2, 4]

    def test_trouble_that_ends_is_forgotten(self, serve: Any, connect: Connect, hook: LoftyHook) -> None:
        connect(serve(http(b"", "500 X"), http(b"[]"), http(b'{"id":11}')).url)
        assert hook.get_me() == {"id": 11}

    def test_a_rate_refusal_is_waited_for(self, lofty: Sandbox, connected: LoftyHook, waits: list[float]) -> None:
        lofty.change(requests_per_minute=1, rate_reset_reading="milliseconds_left")
        assert connected.get_me()["id"] == 11
        with pytest.raises(LoftyUnreachable):
            connected.get_me()
        assert connected.client.times_throttled >= 20
        assert max(waits) > 50

    def test_reading_back_goes_no_further_than_needed(self, lofty: Sandbox, connected: LoftyHook) -> None:
        for number in range(250):
            connected.client.post_activity(5, json.dumps({**ACTIVITY, "created": CREATED + number}).encode())
        asked = len(lofty.requests)
        shown = connected.client.read_back(5, CREATED + 160)
        assert (len(lofty.requests) - asked, shown.is_complete) == (1, True)
        assert [entry.created - CREATED for entry in shown.entries] == list(range(249, 149, -1))
        assert len(connected.client.read_back(5, CREATED).entries) == 250

    def test_what_reading_back_shows_is_recognised(self, lofty: Sandbox, connected: LoftyHook) -> None:
        connected.client.post_activity(5, body())
        assert connected.client.read_back(5, 0).entries == [trace_of_body(5, body())]

    def test_a_server_that_ignores_the_page_is_not_read_to_its_end(self, lofty: Sandbox, connected: LoftyHook) -> None:
        entries = [{"type": "Browse", "created": 5, "text": "t", "link": "l"}] * 100
        lofty.change(canned_answers={"list_activities": Answer(200, json.dumps(entries).encode())})
        shown = connected.client.read_back(5, 0)
        assert (len(shown.entries), shown.is_complete) == (100, False)

    def test_entries_that_are_no_activities_are_passed_over(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.change(canned_answers={"list_activities": Answer(200, b'[5, {}, {"type": 1, "created": 2}, null]')})
        assert connected.client.read_back(5, 0) == ([], True)

    def test_the_limit_of_reading_sets_no_pace_for_writing(self, lofty: Sandbox, connected: LoftyHook) -> None:
        before = connected.client.pacer.requests_per_minute
        lofty.change(read_requests_per_minute=7)
        connected.client.read_back(5, 0)
        assert connected.client.pacer.requests_per_minute == before


class TestFindLeads:
    @pytest.fixture(autouse=True)
    def people(self, lofty: Sandbox) -> None:
        lofty.add_lead(5, emails=["Ada@Example.com", "ada2@example.com"], phones=["+1 (555) 010-0199"])
        lofty.add_lead(6, emails=["grace@example.com"], phones=["555-010-0142"])
        lofty.add_lead(7, emails=["ada@example.com"])

    def test_by_address_whatever_its_case(self, lofty: Sandbox, connected: LoftyHook) -> None:
        assert [lead["leadId"] for lead in connected.find_leads(email=" ADA@example.COM ")] == [5, 7]
        assert lofty.requests[0].query == {"email": "ADA@example.COM", "preciseSearchFlag": "true", "limit": "100"}

    @pytest.mark.parametrize("phone", ["5550100199", "+15550100199", "(555) 010-0199"])
    def test_by_number_whatever_its_marks(self, serve: Any, connect: Connect, hook: LoftyHook, phone: str) -> None:
        leads = [{"leadId": 5, "phones": ["+1 (555) 010-0199"]}, {"leadId": 6, "phones": ["555-010-0142"]}]
        connect(serve(http(json.dumps({"leads": leads}).encode())).url)
        assert [lead["leadId"] for lead in hook.find_leads(phone=phone)] == [5]

    @pytest.mark.parametrize("asked", [{"email": "nobody@example.com"}, {"phone": "555"}, {"email": "example.com"}])
    def test_a_server_that_ignores_the_filter_finds_nobody(
        self, serve: Any, connect: Connect, hook: LoftyHook, asked: dict[str, str]
    ) -> None:
        leads = [{"leadId": 6, "emails": ["grace@example.com"], "phones": ["555-010-0142"]}]
        connect(serve(http(json.dumps({"leads": leads}).encode())).url)
        assert hook.find_leads(**asked) == []

    @pytest.mark.parametrize(
        "leads",
        [None, 5, "x", {}, {"a": 1}, [None], [5], ["x"], [[]], [{}], [{"emails": None}], [{"emails": 5}],
         [{"emails": "ada@example.com"}], [{"emails": {"a": 1}}], [{"emails": [None, 5, {}, []]}]],
    )  # fmt: skip
    def test_leads_of_an_odd_shape_are_nobody(self, serve: Any, connect: Connect, hook: LoftyHook, leads: Any) -> None:
        connect(serve(http(json.dumps({"leads": leads}).encode())).url)
        assert hook.find_leads(email="ada@example.com") == []

    @pytest.mark.parametrize("asked", [{}, {"email": "a@example.com", "phone": "5"}])
    def test_it_wants_one_of_the_two(self, lofty: Sandbox, connected: LoftyHook, asked: dict[str, str]) -> None:
        with pytest.raises(LoftyConfigurationError, match="either an email or a phone"):
            connected.find_leads(**asked)
        assert lofty.requests == []

    @pytest.mark.parametrize("asked", [{"email": " "}, {"phone": "none"}])
    def test_nothing_to_look_for_asks_nobody(self, lofty: Sandbox, connected: LoftyHook, asked: dict[str, str]) -> None:
        assert connected.find_leads(**asked) == []
        assert lofty.requests == []

    def test_the_address_is_in_no_message_and_no_log(
        self, lofty: Sandbox, connected: LoftyHook, caplog: pytest.LogCaptureFixture
    ) -> None:
        lofty.change(canned_answers={"find_leads": Answer(500, b"no user ada@example.com")})
        with caplog.at_level(logging.DEBUG), pytest.raises(LoftyUnreachable) as caught:
            connected.find_leads(email="ada@example.com")
        assert "/v1.0/leads gave no usable answer" in str(caught.value)
        assert not any("ada" in said.lower() for said in (str(caught.value), caplog.text))


LONG_KEY = "eyJ" + "MadeUpKey0123456789" * 8


class TestPrivacy:
    @pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 422, 500])
    @pytest.mark.parametrize("before", [0, 60, 100, 190])
    @pytest.mark.parametrize(
        "shape", ["{}", '"{}"', '{{"code":20012,"message":"{}"}}', '{{"message":"errorCode=20012,errorMsg={}"}}']
    )
    def test_what_the_server_echoes_is_told_to_nobody(
        self,
        serve: Any,
        connect: Connect,
        hook: LoftyHook,
        caplog: pytest.LogCaptureFixture,
        status: int,
        before: int,
        shape: str,
    ) -> None:
        private = f"token {LONG_KEY} of Ada Example who looked at 12 Made Up Lane (https://www.example.com/12)"
        server = serve(http(shape.format("." * before + private).encode(), f"{status} X"))
        connect(server.url, password=LONG_KEY)
        with caplog.at_level(logging.DEBUG):
            verdict = hook.client.post_activity(5, body())
            with pytest.raises(LoftyError) as caught:
                hook.add_activity(5, ACTIVITY)
            _, tested = hook.test_connection()
        pieces = {LONG_KEY[start : start + 8] for start in range(0, len(LONG_KEY) - 8, 4)}
        assert not any(piece in said for piece in pieces for said in (tested, caplog.text))
        pieces |= {"Ada Ex", "Made Up L", "example.com/12"}
        assert not any(piece in said for piece in pieces for said in (repr(verdict), str(caught.value), caplog.text))

    def test_our_own_words_are_not_mistaken_for_the_activitys(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.change(scripted_faults=["empty_200"])
        with pytest.raises(LoftyAnswerLost, match="an answer without the lead's id"):
            connected.add_activity(5, {**ACTIVITY, "text": "an answer without the lead's id"})

    def test_loftys_own_words_are_told(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.change(scripted_faults=["refused"])
        with pytest.raises(
            LoftyRequestRejected, match=r"HTTP 400, code 20012\): INVALID_PARAMETER; nothing was stored"
        ):
            connected.add_activity(5, ACTIVITY)

    def test_errors_carry_no_chain_that_a_log_would_print(self, lofty: Sandbox, connected: LoftyHook) -> None:
        lofty.change(scripted_faults=["drop_after_storing"])
        with pytest.raises(LoftyAnswerLost) as caught:
            connected.add_activity(5, ACTIVITY)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


@pytest.fixture
def slow_lofty() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(requests_per_minute=600_000, latency_seconds=0.5)) as sandbox:
        yield sandbox


def test_the_connections_timeout_is_the_whole_requests(slow_lofty: Sandbox, connect: Connect, hook: LoftyHook) -> None:
    connect(slow_lofty, extra={"timeout_seconds": 0.2})
    verdict = hook.client.post_activity(5, body())
    assert (verdict.meaning, verdict.status) == (Meaning.DOUBT, None)


def test_a_caller_that_has_its_turn_does_not_wait_for_another(
    lofty: Sandbox, connect: Connect, hook: LoftyHook, waits: list[float]
) -> None:
    connect(lofty, extra={"requests_per_minute": 1})
    for _ in range(3):
        assert hook.client.post_activity(5, body(), has_turn=True).meaning is Meaning.DELIVERED
    assert waits == []


@pytest.mark.parametrize(("auth_type", "kind"), [("api_key", "token"), ("access_token", "Bearer")])
def test_a_request_is_shown_as_it_leaves_but_for_the_credential(
    serve: Callable[..., RawServer], connect: Connect, hook: LoftyHook, auth_type: str, kind: str
) -> None:
    server = serve(http(b'{"leadId": 12}'))
    connect(server.url, extra={"auth_type": auth_type})
    body = '{"type":"Browse","text":"Gesehen: Straße 1 – \\u0000"}'.encode()
    shown = "\r\n".join(hook.client.shown_request(12, body))
    assert server.received == []
    hook.client.post_activity(12, body)
    assert server.received[0].decode().replace(f"{kind} made-up-api-key", f"{kind} ***").split("\r\n") == (
        shown.split("\r\n")
    )
