"""The page for people, and what tests in other processes read."""

from __future__ import annotations

import re

import pytest
import requests

from airflow_provider_lofty.sandbox import Answer
from airflow_provider_lofty.sandbox.pages import LATEST_REQUESTS


@pytest.fixture
def state(caller):
    def read(**query):
        answer = caller.session.get(f"{caller.lofty.url}/sandbox/state", params=query, timeout=10)
        assert answer.status_code == 200
        return answer.json()

    return read


def test_the_page_is_one_file_that_loads_nothing(caller):
    answer = caller.session.get(caller.lofty.url, timeout=10)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<title>Lofty sandbox</title>" in answer.text
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", answer.text)
    # What was sent is text on the page, never markup.
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", answer.text)


def test_people_need_no_credential_and_are_not_counted(start):
    caller = start(requests_per_minute=1)
    for path in ("/", "/sandbox/state", "/sandbox/activities", "/sandbox/nowhere"):
        answer = caller.session.get(caller.lofty.url + path, timeout=10)
        assert answer.status_code == (404 if path.endswith("nowhere") else 200)
        assert "X-RateLimit-Limit" not in answer.headers
    assert caller.lofty.requests == []
    assert caller.add().status_code == 200


def test_the_counts(caller, state):
    caller.lofty.change(scripted_faults=[None, None, None, "drop_before_storing"])
    caller.add(1)
    caller.add(1)
    caller.add(2)
    with pytest.raises(requests.ConnectionError):
        caller.add(3)
    caller.add(text=5)
    shown = state()
    assert (shown["requests"], shown["activities"], shown["leads"], shown["duplicates"]) == (5, 3, 2, 1)
    assert shown["statuses"] == {"200": 3, "400": 1, "dropped": 1}


def test_leads_and_activities_come_newest_first(caller, state):
    for lead_id, created in ((1, 5), (2, 6), (1, 4)):
        caller.add(lead_id, created=created)
    groups = state()["groups"]
    assert [(group["lead_id"], group["total"]) for group in groups] == [("1", 2), ("2", 1)]
    assert [each["created"] for each in groups[0]["activities"]] == [
        "1970-01-01 00:00:00.004",
        "1970-01-01 00:00:00.005",
    ]


def test_what_is_shown_of_an_activity(caller, state):
    caller.add(
        2**63 - 1,
        text="<b>",
        listing={"streetAddress": "1 Example Way", "city": "Springfield", "price": 350000},
    )
    caller.add(2**63 - 1, text="<b>")
    (group,) = state()["groups"]
    assert group["lead_id"] == "9223372036854775807"
    repeated, first = group["activities"]
    assert (first["type"], first["text"], first["link"]) == ("Browse", "<b>", "https://homes.example.com/12")
    assert first["listing"] == "1 Example Way, Springfield · 350,000"
    assert first["created"] == "2025-05-15 01:25:00.123"
    assert (first["duplicate"], repeated["duplicate"]) == (False, True)
    assert '"price": 350000' in first["body"]


@pytest.mark.parametrize("created", [2**63 - 1, -(2**63), -1])
def test_a_created_beyond_the_calendar_does_no_harm(caller, state, created):
    caller.add(created=created)
    shown = state()["groups"][0]["activities"][0]["created"]
    assert shown in (str(created), "1969-12-31 23:59:59.999")


def test_many_leads_are_paged_and_many_activities_are_cut(caller, state):
    for lead_id in range(1, 24):
        caller.add(lead_id)
    for created in range(210):
        caller.add(7, created=created)
    first, second, third = (state(page=page) for page in range(3))
    assert [len(page["groups"]) for page in (first, second, third)] == [20, 3, 0]
    assert (first["groups"][0]["lead_id"], first["groups"][0]["total"]) == ("7", 211)
    assert len(first["groups"][0]["activities"]) == 5
    (alone,) = state(lead=7)["groups"]
    assert (alone["total"], len(alone["activities"])) == (211, 200)
    assert len(first["latest"]) == LATEST_REQUESTS < first["requests"]


@pytest.mark.parametrize("lead", ["x", "99", "0", "-1", "9" * 40])
def test_a_filter_that_fits_nothing_shows_nothing(caller, state, lead):
    caller.add(1)
    assert state(lead=lead)["groups"] == []


@pytest.mark.parametrize("page", ["x", "-1", "9" * 40])
def test_a_page_that_is_none_is_the_first(caller, state, page):
    caller.add(1)
    assert len(state(page=page)["groups"]) == 1


def test_the_latest_requests_come_with_their_notes_and_no_credential(caller, state):
    caller.add()
    caller.add(text=5)
    bad, good = state()["latest"]
    assert good == {"method": "POST", "path": "/v1.0/leads/1/activity", "status": 200, "note": ""}
    assert (bad["status"], bad["note"]) == (400, "text: Input should be a valid string")
    assert "made-up-api-key" not in str(state())


def test_settings_that_were_switched_are_shown(caller, state):
    answer_all = {"faults": {"slow": 0.05}, "missing_leads": set(range(9)), "permission_denied": {"get_me"}}
    caller.lofty.change(canned_answers={"get_lead": Answer(502)}, scripted_faults=["slow", None])
    caller.lofty.change(**answer_all, trims_text=True, api_key="another", merged_leads={5: 6})
    assert state()["settings"] == {
        "requests_per_minute": "600000",
        "permission_denied": "get_me",
        "missing_leads": "9 of them",
        "merged_leads": "5 6",
        "faults": "slow 0.05",
        "scripted_faults": "2 of them",
        "canned_answers": "get_lead",
        "trims_text": "True",
    }


def test_where_nothing_is_new_no_content_is_sent(caller, state):
    caller.add()
    seen = state()["version"]
    answer = caller.session.get(f"{caller.lofty.url}/sandbox/state", params={"seen": seen}, timeout=10)
    assert (answer.status_code, answer.content) == (204, b"")
    caller.get("/v1.0/me")
    assert state(seen=seen)["requests"] == 2
    seen = state()["version"]
    caller.lofty.change(trims_text=True)
    assert state(seen=seen)["settings"]["trims_text"] == "True"


def test_the_activities_as_json(caller):
    caller.add(2**63 - 1, listing={"price": 5})
    caller.add(2**63 - 1)
    answer = caller.session.get(f"{caller.lofty.url}/sandbox/activities", timeout=10)
    assert answer.headers["Content-Type"] == "application/json"
    first, second = answer.json()
    stored = caller.lofty.activities[0]
    assert first == {
        "lead_id": 2**63 - 1,
        "body": stored.body,
        "received_at": stored.received_at,
        "duplicate": False,
    }
    assert second["duplicate"] is True


def test_reset_over_http(caller, state):
    caller.add()
    seen = state()["version"]
    answer = caller.session.post(f"{caller.lofty.url}/sandbox/reset", timeout=10)
    assert answer.json() == {"reset": True}
    assert caller.lofty.activities == []
    assert state(seen=seen)["requests"] == 0
    assert caller.session.get(f"{caller.lofty.url}/sandbox/reset", timeout=10).status_code == 405
