"""The client against a practice Lofty: what arrived there, and what came back of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from support.activity import ACTIVITY, CREATED, PATH, body
from support.raw_server import RawServer, http

from airflow_provider_lofty.exceptions import (
    LoftyAnswerLost,
    LoftyConfigurationError,
    LoftyError,
    LoftyRequestRejected,
    LoftyUnreachable,
)
from airflow_provider_lofty.lofty.answers import Meaning
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.connection_test import as_result, check_connection
from airflow_provider_lofty.lofty.trace import trace_of_body
from airflow_provider_lofty.sandbox import Answer, Sandbox

Connect = Callable[..., None]


def paths(lofty: Sandbox) -> list[str]:
    return [request.path for request in lofty.requests]


class TestIdentify:
    def test_a_lead_is_itself_or_the_one_it_was_merged_into(
        self, lofty: Sandbox, connected_client: LoftyClient
    ) -> None:
        lofty.change(merged_leads={5: 7})
        assert [connected_client.identify(lead_id) for lead_id in (5, 7, 8)] == [7, 7, 8]

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(403, {"code": 200100, "message": "no permission"}),
            Answer(404, {"code": 20006, "message": "NOT_FOUND"}),
            Answer(500, {"message": "oops"}),
            Answer(200, []),
            Answer(200, {"lead": None}),
            Answer(200, {"lead": {"leadId": True}}),
            Answer(200, {"lead": {"leadId": -1}}),
            Answer(200, {"leadId": 5}),
        ],
    )
    def test_where_lofty_does_not_say_nobody_knows(
        self, lofty: Sandbox, connected_client: LoftyClient, answer: Answer
    ) -> None:
        lofty.change(canned_answers={"get_lead": answer})
        assert connected_client.identify(5) is None
        assert paths(lofty) == ["/v1.0/leads/5"]  # once: nobody waits for it


class TestAddActivity:
    def test_a_merged_leads_own_id_comes_back(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        lofty.change(merged_leads={5: 7})
        assert connected_client.add_activity(5, body()) == 7

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
        self, lofty: Sandbox, connect: Connect, client: LoftyClient, fault: str, error: type[LoftyError], stored: int
    ) -> None:
        lofty.change(scripted_faults=[fault])
        connect(lofty, extra={"timeout_seconds": 0.4})
        with pytest.raises(error, match="may be stored" if error is LoftyAnswerLost else "nothing was stored"):
            client.add_activity(5, body())
        assert (len(lofty.requests), len(lofty.activities)) == (1, stored)

    @pytest.mark.parametrize("shape", ["code", "embedded", "json_string", "text", "empty"])
    def test_a_lead_that_does_not_exist_is_a_rejection_in_every_shape(
        self, lofty: Sandbox, connected_client: LoftyClient, shape: Any
    ) -> None:
        lofty.change(missing_leads={5}, error_shape=shape)
        with pytest.raises(LoftyRequestRejected, match="HTTP 404"):
            connected_client.add_activity(5, body())

    @pytest.mark.parametrize("status", [429, 400])
    def test_a_rate_refusal_is_waited_out_and_retried(
        self, lofty: Sandbox, connected_client: LoftyClient, waits: list[float], status: int
    ) -> None:
        lofty.change(
            scripted_faults=["rate_limited"] * 2, rate_refusal_status=status, rate_reset_reading="seconds_left"
        )
        assert connected_client.add_activity(5, body()) == 5
        assert [request.status for request in lofty.requests] == [status, status, 200]
        assert (len(lofty.activities), connected_client.times_throttled) == (1, 2)
        assert len(waits) == 2
        # The window is 60 s and has just begun. "60" may be milliseconds, until that proves to be too short.
        assert waits[0] < 5
        assert waits[1] > 50

    def test_endless_rate_refusals_are_reported_in_the_end(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        lofty.change(faults={"rate_limited": 1})
        with pytest.raises(LoftyUnreachable, match="refused 20 times for the rate limit; nothing was stored"):
            connected_client.add_activity(5, body())
        assert len(lofty.requests) == 20

    def test_a_failed_connection_is_retried_and_reported_as_not_sent(
        self, lofty: Sandbox, connected_client: LoftyClient, waits: list[float]
    ) -> None:
        lofty.stop()
        with pytest.raises(LoftyUnreachable, match="ConnectionRefusedError; the activity was not sent"):
            connected_client.add_activity(5, body())
        assert connected_client.requests_made == 4
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
    def test_an_answer_that_is_not_from_lofty_is_a_configuration_error(
        self, lofty: Sandbox, connected_client: LoftyClient, answer: Answer, said: str
    ) -> None:
        lofty.change(canned_answers={"add_activity": answer})
        with pytest.raises(LoftyConfigurationError, match=said):
            connected_client.add_activity(5, body())
        assert paths(lofty) == [PATH]

    def test_a_missing_permission_is_reported(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        lofty.change(permission_denied={"add_activity"})
        with pytest.raises(LoftyConfigurationError, match=r"the app lacks the permission \(200100\)"):
            connected_client.add_activity(5, body())


HOSTILE = [
    b"", b"5", b"null", b"[]", b"{}", b'"x"', b"\xff\xfe", b"\x00", b"[" * 100_000, b'{"a":' * 50_000,
    b'{"leadId":true}', b'{"leadId":"5"}', b'{"leadId":5.0}', b'{"leadId":' + b"9" * 5000 + b"}",
    b'{"code":' + b"9" * 5000 + b"}", b'{"code":"' + b"9" * 5000 + b'"}', b'{"code":' + b"9" * 40 + b"}",
    b'{"message":"\\ud800"}', b'{"message":["x"]}', b'{"error":' + b"[" * 900 + b"]" * 900 + b"}",
    b'[{"text":"errorCode=20006"}]', b"<html>",
]  # fmt: skip


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda answer: repr(answer)[:25])
@pytest.mark.parametrize("status", [200, 201, 400, 401, 403, 404, 409, 422, 429, 500])
def test_no_answer_makes_a_traceback(lofty: Sandbox, connected_client: LoftyClient, status: int, answer: bytes) -> None:
    lofty.change(
        canned_answers=dict.fromkeys(
            ("add_activity", "list_activities", "find_leads", "get_me"), Answer(status, answer)
        )
    )
    verdict = connected_client.post_activity(5, body())
    assert verdict.meaning not in (Meaning.DELIVERED, Meaning.NEVER_SENT)
    verdict.message.encode()
    for call in (
        connected_client.get_me,
        lambda: list(connected_client.list_activities(5)),
        lambda: connected_client.read_back(5, 0).entries,
        lambda: connected_client.find_leads("email", "a@example.com"),
    ):
        try:
            assert call() in ([], {}, json.loads(answer, parse_int=float))  # int() refuses thousands of digits
        except LoftyError as error:
            str(error).encode()
    assert isinstance(as_result(lambda: check_connection(connected_client))[0], bool)


class TestReading:
    def test_more_than_a_page_comes_whole(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        for number in range(101):
            connected_client.post_activity(5, json.dumps({**ACTIVITY, "created": CREATED + number}).encode())
        assert [entry["created"] - CREATED for entry in connected_client.list_activities(5)] == list(range(100, -1, -1))
        assert [request.query for request in lofty.requests[-2:]] == [{"curPage": "0"}, {"curPage": "1"}]

    @pytest.mark.parametrize(("stored", "pages"), [(0, 1), (1, 1), (99, 1), (100, 2), (101, 2), (250, 3)])
    def test_as_many_pages_as_there_are(
        self, serve: Any, connect: Connect, client: LoftyClient, stored: int, pages: int
    ) -> None:
        entries = [{"created": CREATED - number} for number in range(stored)]
        server = serve(
            *(http(json.dumps(entries[start : start + 100]).encode()) for start in range(0, 100 * pages, 100))
        )
        connect(server.url)
        assert list(client.list_activities(5)) == entries
        asked = [request.split(b" ")[1].decode() for request in server.received]
        assert asked == [f"/v1.0/leads/5/activities?curPage={page}" for page in range(pages)]

    def test_newest_first_as_they_were_sent(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        for created in (CREATED, CREATED + 2, CREATED + 1):
            connected_client.add_activity(5, json.dumps({**ACTIVITY, "created": created}).encode())
        assert [entry["created"] - CREATED for entry in connected_client.list_activities(5)] == [2, 1, 0]

    def test_a_page_is_asked_for_only_when_it_is_wanted(
        self, serve: Any, connect: Connect, client: LoftyClient
    ) -> None:
        server = serve(http(json.dumps([{"created": 1}] * 100).encode()))
        connect(server.url)
        assert len(list(islice(client.list_activities(5), 100))) == 100
        assert len(server.received) == 1

    def test_a_server_that_ignores_the_page_is_not_read_without_end(
        self, serve: Any, connect: Connect, client: LoftyClient
    ) -> None:
        entries = [{"created": number} for number in range(100)]
        server = serve(http(json.dumps(entries).encode()))
        connect(server.url)
        assert list(islice(client.list_activities(5), 500)) == entries
        assert len(server.received) == 2

    def test_the_text_of_an_activity_is_not_taken_for_an_error(
        self, lofty: Sandbox, connected_client: LoftyClient
    ) -> None:
        connected_client.add_activity(
            5, json.dumps({**ACTIVITY, "text": "errorCode=20006,errorMsg=too many requests"}).encode()
        )
        assert [entry["text"] for entry in connected_client.list_activities(5)] == [
            "errorCode=20006,errorMsg=too many requests"
        ]

    def test_a_missing_lead_is_reported(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        lofty.change(missing_leads={5})
        with pytest.raises(LoftyRequestRejected, match="code 20006"):
            list(connected_client.list_activities(5))

    def test_errors_are_retried_and_then_reported(
        self, lofty: Sandbox, connected_client: LoftyClient, waits: list[float]
    ) -> None:
        lofty.change(canned_answers={"get_me": Answer(500)})
        with pytest.raises(LoftyUnreachable, match="/v1.0/me gave no usable answer: HTTP 500, empty answer"):
            connected_client.get_me()
        assert len(lofty.requests) == 4
        assert [wait for wait in waits if wait >= 1] == [1, 2, 4]

    def test_a_lead_id_alone_is_no_list_of_activities(
        self, lofty: Sandbox, connected_client: LoftyClient, waits: list[float]
    ) -> None:
        """At a POST it says that the activity was stored."""
        lofty.change(canned_answers={"list_activities": Answer(200, b'{"leadId":5}')})
        with pytest.raises(LoftyUnreachable, match="/v1.0/leads/5/activities gave no usable answer"):
            list(connected_client.list_activities(5))
        assert [wait for wait in waits if wait >= 1] == [1, 2, 4]

    def test_an_error_that_passes_is_forgotten(self, serve: Any, connect: Connect, client: LoftyClient) -> None:
        connect(serve(http(b"", "500 X"), http(b"[]"), http(b'{"id":11}')).url)
        assert client.get_me() == {"id": 11}

    def test_a_rate_refusal_is_waited_out(
        self, lofty: Sandbox, connected_client: LoftyClient, waits: list[float]
    ) -> None:
        lofty.change(requests_per_minute=1, rate_reset_reading="milliseconds_left")
        assert connected_client.get_me()["id"] == 11
        with pytest.raises(LoftyUnreachable):
            connected_client.get_me()
        assert connected_client.times_throttled >= 20
        assert max(waits) > 50

    def test_reading_back_goes_no_further_than_needed(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        for number in range(250):
            connected_client.post_activity(5, json.dumps({**ACTIVITY, "created": CREATED + number}).encode())
        asked = len(lofty.requests)
        shown = connected_client.read_back(5, CREATED + 160)
        assert (len(lofty.requests) - asked, shown.is_complete) == (1, True)
        assert [entry.created - CREATED for entry in shown.entries] == list(range(249, 149, -1))
        assert len(connected_client.read_back(5, CREATED).entries) == 250

    def test_what_reading_back_shows_is_recognised(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        connected_client.post_activity(5, body())
        assert connected_client.read_back(5, 0).entries == [trace_of_body(5, body())]

    def test_a_server_that_ignores_the_page_is_not_read_to_its_end(
        self, lofty: Sandbox, connected_client: LoftyClient
    ) -> None:
        entries = [{"type": "Browse", "created": 5, "text": "t", "link": "l"}] * 100
        lofty.change(canned_answers={"list_activities": Answer(200, json.dumps(entries).encode())})
        shown = connected_client.read_back(5, 0)
        assert (len(shown.entries), shown.is_complete) == (100, False)

    def test_a_number_too_long_for_python_spoils_no_page(
        self, serve: Any, connect: Connect, client: LoftyClient
    ) -> None:
        connect(serve(http(b'[{"text":"a","views":' + b"9" * 5000 + b'},{"text":"b","text":"c"}]')).url)
        first, second = client.list_activities(5)
        assert (first["text"], type(first["views"])) == ("a", float)
        assert second["text"] == ["b", "c"]

    def test_entries_that_are_not_activities_are_kept_apart(
        self, lofty: Sandbox, connected_client: LoftyClient
    ) -> None:
        lofty.change(canned_answers={"list_activities": Answer(200, b'[5, {}, {"type": 1, "created": 2}, null]')})
        shown = connected_client.read_back(5, 0)
        assert (shown.entries, len(shown.unreadable), shown.is_complete) == ([], 4, True)


class TestFindLeads:
    @pytest.fixture(autouse=True)
    def people(self, lofty: Sandbox) -> None:
        lofty.add_lead(5, emails=["Ada@Example.com", "ada2@example.com"], phones=["+1 (555) 010-0199"])
        lofty.add_lead(6, emails=["grace@example.com"], phones=["555-010-0142"])
        lofty.add_lead(7, emails=["ada@example.com"])

    def test_by_address_whatever_its_case(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        assert [lead["leadId"] for lead in connected_client.find_leads("email", " ADA@example.COM ")] == [5, 7]
        assert lofty.requests[0].query == {"email": "ADA@example.COM", "preciseSearchFlag": "true", "limit": "100"}

    @pytest.mark.parametrize("phone", ["5550100199", "+15550100199", "(555) 010-0199"])
    def test_by_number_whatever_its_marks(self, serve: Any, connect: Connect, client: LoftyClient, phone: str) -> None:
        leads = [{"leadId": 5, "phones": ["+1 (555) 010-0199"]}, {"leadId": 6, "phones": ["555-010-0142"]}]
        connect(serve(http(json.dumps({"leads": leads}).encode())).url)
        assert [lead["leadId"] for lead in client.find_leads("phone", phone)] == [5]

    @pytest.mark.parametrize("asked", [("email", "nobody@example.com"), ("phone", "555"), ("email", "example.com")])
    def test_leads_that_do_not_match_are_left_out(
        self, serve: Any, connect: Connect, client: LoftyClient, asked: Any
    ) -> None:
        leads = [{"leadId": 6, "emails": ["grace@example.com"], "phones": ["555-010-0142"]}]
        connect(serve(http(json.dumps({"leads": leads}).encode())).url)
        assert client.find_leads(*asked) == []

    @pytest.mark.parametrize(
        "leads",
        [None, 5, "x", {}, {"a": 1}, [None], [5], ["x"], [[]], [{}], [{"emails": None}], [{"emails": 5}],
         [{"emails": "ada@example.com"}], [{"emails": {"a": 1}}], [{"emails": [None, 5, {}, []]}]],
    )  # fmt: skip
    def test_leads_of_an_odd_shape_do_not_match(
        self, serve: Any, connect: Connect, client: LoftyClient, leads: Any
    ) -> None:
        connect(serve(http(json.dumps({"leads": leads}).encode())).url)
        assert client.find_leads("email", "ada@example.com") == []

    @pytest.mark.parametrize(
        "error", [{"success": False}, {"code": "E1"}, {"errorCode": 5}, {"errors": ["x"]}, {"message": "errorCode=x"}]
    )
    def test_an_error_beside_the_leads_is_no_result(
        self, serve: Any, connect: Connect, client: LoftyClient, error: dict[str, Any]
    ) -> None:
        server = serve(http(json.dumps({"leads": [], **error}).encode()))
        connect(server.url)
        with pytest.raises(LoftyUnreachable, match="no usable answer"):
            client.find_leads("email", "ada@example.com")
        assert len(server.received) == 4

    @pytest.mark.parametrize("asked", [("email", " "), ("phone", "none")])
    def test_an_empty_search_sends_no_request(self, lofty: Sandbox, connected_client: LoftyClient, asked: Any) -> None:
        assert connected_client.find_leads(*asked) == []
        assert lofty.requests == []

    def test_the_address_is_in_no_message_and_no_log(
        self, lofty: Sandbox, connected_client: LoftyClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        lofty.change(canned_answers={"find_leads": Answer(500, b"no user ada@example.com")})
        with caplog.at_level(logging.DEBUG), pytest.raises(LoftyUnreachable) as caught:
            connected_client.find_leads("email", "ada@example.com")
        assert "/v1.0/leads gave no usable answer" in str(caught.value)
        assert not any("ada" in said.lower() for said in (str(caught.value), caplog.text))

    @pytest.mark.parametrize(
        ("asked", "quoted"),
        [
            (("email", "ada@intranet"), "email=ada%40intranet&limit=100"),
            (("email", "ada+b@example.com"), "email=ada%2Bb%40example%2Ecom"),
            (("email", "ada+b@example.com"), "email=ada+b%2540example.com"),
            (("email", "ad\u00e4@ex\u00e4mple.com"), "email=ad%C3%A4%40ex%C3%A4mple.com"),
            (("phone", "(555) 01-99"), "phone=%28555%29+01-99"),
            (("phone", "555 01 99"), "phone=555%2001%2099"),
        ],
    )
    @pytest.mark.parametrize("status", ["400 Bad Request", "500 Oops"])
    def test_nor_what_a_server_quotes_of_the_request(
        self, serve: Any, connect: Connect, client: LoftyClient, asked: Any, quoted: str, status: str
    ) -> None:
        server = serve(http(json.dumps({"code": 20012, "message": f"cannot GET {quoted} today"}).encode(), status))
        connect(server.url)
        with pytest.raises(LoftyError) as caught:
            client.find_leads(*asked)
        told = str(caught.value).replace(server.url.partition("//")[2], "")  # a port may have any digits
        assert "cannot GET" in told
        assert not any(
            part in told for part in ("ada", "ad\u00e4", "ad%C3", "intranet", "mple", "555", "01-99", "2099")
        )

    def test_a_malformed_header_is_no_reason_to_log_the_url(
        self, serve: Any, connect: Connect, client: LoftyClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        connect(serve(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\nfor ada@example.com\r\n\r\n{"leads":[]}').url)
        with caplog.at_level(logging.DEBUG):
            assert client.find_leads("email", "ada@example.com") == []
        assert "the headers of an answer are malformed" in caplog.text
        assert "ada" not in caplog.text

    def test_what_others_log_of_their_requests_is_left_alone(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            logging.getLogger("urllib3.connectionpool").debug("GET %s", "/a?b=c")
        assert "GET /a?b=c" in caplog.text


class TestFindLeadIds:
    @pytest.fixture(autouse=True)
    def people(self, lofty: Sandbox) -> None:
        lofty.add_lead(5, emails=["Ada@Example.com"], phones=["+1 (202) 555-0199"])
        lofty.add_lead(6, emails=["grace@example.com"], phones=["202-555-0142"])
        lofty.add_lead(7, emails=["ada@example.com"])

    def test_all_that_have_it(self, connected_client: LoftyClient) -> None:
        assert connected_client.find_lead_ids("email", "ada@example.com") == [5, 7]
        assert connected_client.find_lead_ids("email", "grace@example.com") == [6]
        assert connected_client.find_lead_ids("email", "nobody@example.com") == []

    def test_a_number_is_asked_for_both_ways_until_lofty_finds_it_either_way(
        self, lofty: Sandbox, connected_client: LoftyClient
    ) -> None:
        assert connected_client.find_lead_ids("phone", "2025550100") == []
        assert [sent.query["phone"] for sent in lofty.requests] == ["12025550100", "2025550100"]
        assert connected_client.find_lead_ids("phone", "2025550142") == [6]
        assert connected_client.find_lead_ids("phone", "2025550199") == [5]
        assert [sent.query["phone"] for sent in lofty.requests[2:]] == ["12025550142", "2025550199"]

    def test_two_who_have_one_number_written_differently_are_two(
        self, lofty: Sandbox, connected_client: LoftyClient
    ) -> None:
        lofty.change(phone_needs_country_code=True)
        lofty.add_lead(8, phones=["12025550142"])
        assert connected_client.find_lead_ids("phone", "2025550142") == [6, 8]
        assert connected_client.find_lead_ids("phone", "2025550199") == [5]

    def test_a_search_that_lofty_ignores_proves_nothing(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        lofty.change(ignored_lead_parameters={"email"})
        assert connected_client.find_lead_ids("email", "grace@example.com") == [6]  # all leads are on one page
        for lead_id in range(100, 200):
            lofty.add_lead(lead_id, emails=[f"somebody-{lead_id}@example.com"])
        assert connected_client.find_lead_ids("email", "grace@example.com") is None
        assert connected_client.find_lead_ids("email", "ada@example.com") == [5, 7]  # two are too many in any case

    def test_an_answer_without_leads_is_none(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        lofty.change(canned_answers={"find_leads": Answer(200, b'{"leads": 5}')})
        with pytest.raises(LoftyUnreachable, match="no list of leads"):
            connected_client.find_lead_ids("email", "ada@example.com")

    def test_what_lofty_refuses_is_told_without_the_address(
        self, lofty: Sandbox, connected_client: LoftyClient
    ) -> None:
        lofty.change(permission_denied={"find_leads"})
        with pytest.raises(LoftyConfigurationError, match="permission") as caught:
            connected_client.find_lead_ids("email", "ada@example.com")
        assert "ada" not in str(caught.value)


LONG_KEY = "eyJ" + "MadeUpKey0123456789" * 8


class TestPrivacy:
    @pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 422, 500])
    @pytest.mark.parametrize("before", [0, 60, 100, 190])
    @pytest.mark.parametrize(
        "shape", ["{}", '"{}"', '{{"code":20012,"message":"{}"}}', '{{"message":"errorCode=20012,errorMsg={}"}}']
    )
    def test_what_the_server_echoes_is_not_shown(
        self,
        serve: Any,
        connect: Connect,
        client: LoftyClient,
        caplog: pytest.LogCaptureFixture,
        status: int,
        before: int,
        shape: str,
    ) -> None:
        private = f"token {LONG_KEY} of Ada Example who looked at 12 Made Up Lane (https://www.example.com/12)"
        server = serve(http(shape.format("." * before + private).encode(), f"{status} X"))
        connect(server.url, password=LONG_KEY)
        with caplog.at_level(logging.DEBUG):
            verdict = client.post_activity(5, body())
            with pytest.raises(LoftyError) as caught:
                client.add_activity(5, body())
            _, tested = as_result(lambda: check_connection(client))
        pieces = {LONG_KEY[start : start + 8] for start in range(0, len(LONG_KEY) - 8, 4)}
        assert not any(piece in said for piece in pieces for said in (tested, caplog.text))
        pieces |= {"Ada Ex", "Made Up L", "example.com/12"}
        assert not any(piece in said for piece in pieces for said in (repr(verdict), str(caught.value), caplog.text))

    def test_our_own_words_are_not_redacted(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        lofty.change(scripted_faults=["empty_200"])
        with pytest.raises(LoftyAnswerLost, match="an answer without the lead's id"):
            connected_client.add_activity(
                5, json.dumps({**ACTIVITY, "text": "an answer without the lead's id"}).encode()
            )

    def test_loftys_own_words_are_shown(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        lofty.change(scripted_faults=["refused"])
        with pytest.raises(
            LoftyRequestRejected, match=r"HTTP 400, code 20012\): INVALID_PARAMETER; nothing was stored"
        ):
            connected_client.add_activity(5, body())

    def test_errors_carry_no_chain_that_a_log_would_print(self, lofty: Sandbox, connected_client: LoftyClient) -> None:
        lofty.change(scripted_faults=["drop_after_storing"])
        with pytest.raises(LoftyAnswerLost) as caught:
            connected_client.add_activity(5, body())
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


@pytest.mark.parametrize(("auth_type", "kind"), [("api_key", "token"), ("access_token", "Bearer")])
def test_a_request_is_shown_as_it_leaves_but_for_the_credential(
    serve: Callable[..., RawServer], connect: Connect, client: LoftyClient, auth_type: str, kind: str
) -> None:
    server = serve(http(b'{"leadId": 12}'))
    connect(server.url, extra={"auth_type": auth_type})
    body = '{"type":"Browse","text":"Gesehen: Straße 1 – \\u0000"}'.encode()
    shown = "\r\n".join(client.shown_request(12, body))
    assert server.received == []
    client.post_activity(12, body)
    assert server.received[0].decode().replace(f"{kind} made-up-api-key", f"{kind} ***").split("\r\n") == (
        shown.split("\r\n")
    )
