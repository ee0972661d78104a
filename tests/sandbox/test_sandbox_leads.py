"""Leads: which there are, and how they are found."""

from __future__ import annotations

import pytest


def test_any_positive_lead_exists_by_default(caller):
    answer = caller.get(f"/v1.0/leads/{2**63 - 1}")
    assert answer.status_code == 200
    assert answer.json()["lead"]["leadId"] == 2**63 - 1


def test_an_added_lead_has_what_it_was_given(caller):
    caller.lofty.add_lead(5, emails=["ada@example.com"], phones=["+1 202 555 0100"])
    lead = caller.get("/v1.0/leads/5").json()["lead"]
    assert (lead["emails"], lead["phones"]) == (["ada@example.com"], ["+1 202 555 0100"])


@pytest.mark.parametrize("call", ["add", "read", "get"])
def test_a_missing_lead_answers_404_everywhere(start, call):
    caller = start(missing_leads={7})
    path = {"add": "/v1.0/leads/7/activity", "read": "/v1.0/leads/7/activities", "get": "/v1.0/leads/7"}[call]
    answer = caller.add(7) if call == "add" else caller.get(path)
    assert (answer.status_code, answer.json()) == (404, {"code": 20006, "message": "Lead not exist"})


def test_only_listed_leads_may_exist(start):
    caller = start(known_leads="listed")
    assert caller.add(5).status_code == 404
    caller.lofty.add_lead(5)
    assert caller.add(5).status_code == 200
    caller.lofty.remove_lead(5)
    assert caller.add(5).status_code == 404


def test_a_removed_lead_is_gone_until_it_is_added_again(caller):
    caller.lofty.remove_lead(5)
    assert caller.add(5).status_code == 404
    caller.lofty.add_lead(5)
    assert caller.add(5).status_code == 200


def test_a_merged_lead_answers_with_the_other_id(start):
    caller = start(merged_leads={5: 6})
    assert caller.add(5).json() == {"leadId": 6}
    assert caller.lofty.activities[0].lead_id == 6
    assert len(caller.read(5)) == len(caller.read(6)) == 1


@pytest.fixture
def people(caller):
    caller.lofty.add_lead(1, emails=["ada@example.com"], phones=["+1 202-555-0101"])
    caller.lofty.add_lead(2, emails=["Grace@Example.com", "gh@example.com"], phones=["2025550102"])
    caller.lofty.add_lead(3, emails=["gh@example.com"])
    return caller


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"email": "ADA@example.com", "preciseSearchFlag": "true"}, [1]),
        ({"email": "grace@example.com", "preciseSearchFlag": "true"}, [2]),
        ({"email": "gh@example.com", "preciseSearchFlag": "true"}, [2, 3]),
        ({"email": "da@example.com", "preciseSearchFlag": "true"}, []),
        ({"email": "da@example.com"}, [1]),
        ({"phone": "12025550101", "preciseSearchFlag": "true"}, [1]),
        ({"phone": "(202) 555-0102", "preciseSearchFlag": "true"}, [2]),
        ({"phone": "5550102", "preciseSearchFlag": "true"}, []),
        ({"phone": "555-01"}, [1, 2]),
        ({"email": "gh@example.com", "phone": "2025550102", "preciseSearchFlag": "true"}, [2]),
        ({"emial": "ada@example.com"}, [1, 2, 3]),
        ({"email": ""}, [1, 2, 3]),
        ({}, [1, 2, 3]),
        ({"limit": 1, "offset": 1}, [2]),
    ],
)
def test_leads_are_found(people, query, found):
    answer = people.get("/v1.0/leads", **query)
    assert [lead["leadId"] for lead in answer.json()["leads"]] == found


def test_the_metadata_of_a_search(people):
    metadata = people.get("/v1.0/leads", limit=2, offset=1).json()["_metadata"]
    assert metadata == {"collection": "leads", "limit": 2, "offset": 1, "total": 3, "scrollId": ""}


def test_missing_leads_are_not_found(people):
    people.lofty.change(missing_leads={2})
    people.lofty.remove_lead(1)
    answer = people.get("/v1.0/leads")
    assert [lead["leadId"] for lead in answer.json()["leads"]] == [3]


def ids_in(answer):
    return [lead["leadId"] for lead in answer.json()["leads"]]


def scrolled(caller, first):
    """Read on from a first page of ten; the ids of each page."""
    pages = [ids_in(first)]
    while scroll_id := first.json()["_metadata"]["scrollId"]:
        first = caller.get("/v1.0/leads", scrollId=scroll_id)
        pages.append(ids_in(first))
    return pages


@pytest.fixture
def crowd(caller):
    for lead_id in range(1, 26):
        caller.lofty.add_lead(lead_id, emails=[f"somebody-{lead_id}@example.com"])
    return caller


def test_some_people_are_there_as_long_as_nobody_was_added(caller):
    query = {"email": "ada.sample@example.com", "preciseSearchFlag": "true"}
    assert ids_in(caller.get("/v1.0/leads", **query)) == [101]
    caller.lofty.remove_lead(101)
    assert ids_in(caller.get("/v1.0/leads", **query)) == []
    caller.lofty.add_lead(5)
    assert ids_in(caller.get("/v1.0/leads")) == [5]


def test_a_list_is_scrolled(crowd):
    assert scrolled(crowd, crowd.get("/v1.0/leads")) == [
        list(range(1, 11)), list(range(11, 21)), list(range(21, 26))
    ]  # fmt: skip


def test_a_scroll_expires(crowd):
    crowd.lofty.change(scroll_pages=1)
    scroll_id = crowd.get("/v1.0/leads").json()["_metadata"]["scrollId"]
    second = crowd.get("/v1.0/leads", scrollId=scroll_id)
    assert ids_in(second) == list(range(11, 21))
    answer = crowd.get("/v1.0/leads", scrollId=second.json()["_metadata"]["scrollId"])
    assert (answer.status_code, answer.json()["code"]) == (400, 20012)


def test_leads_come_while_a_list_is_scrolled(crowd):
    crowd.lofty.change(lead_newcomers=2)
    pages = scrolled(crowd, crowd.get("/v1.0/leads"))
    assert pages[-1][-2:] == [900_000_001, 900_000_002]


def test_a_merged_lead_is_found_as_the_other_one(people):
    people.lofty.change(merged_leads={1: 2})
    answer = people.get("/v1.0/leads", email="ada@example.com", preciseSearchFlag="true")
    assert ids_in(answer) == [2]
    assert ids_in(people.get("/v1.0/leads")) == [2, 3]


def test_a_hidden_lead_is_counted_and_not_shown(people):
    people.lofty.change(hidden_leads={2})
    answer = people.get("/v1.0/leads")
    assert (ids_in(answer), answer.json()["_metadata"]["total"]) == ([1, 3], 3)
    assert people.add(2).status_code == people.get("/v1.0/leads/2").status_code == 404


def test_a_parameter_that_lofty_does_not_know_is_ignored(people):
    people.lofty.change(ignored_lead_parameters={"email"})
    assert ids_in(people.get("/v1.0/leads", email="ada@example.com", preciseSearchFlag="true")) == [1, 2, 3]


def test_a_number_may_be_found_only_as_it_is_stored(people):
    query = {"phone": "2025550101", "preciseSearchFlag": "true"}
    assert ids_in(people.get("/v1.0/leads", **query)) == [1]
    people.lofty.change(phone_needs_country_code=True)
    assert ids_in(people.get("/v1.0/leads", **query)) == []


@pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", "1.5"])
def test_a_limit_out_of_range_is_refused(caller, limit):
    answer = caller.get("/v1.0/leads", limit=limit)
    assert (answer.status_code, answer.json()["code"]) == (400, 20042)


def test_an_offset_out_of_range_is_refused(caller):
    answer = caller.get("/v1.0/leads", offset=-1)
    assert (answer.status_code, answer.json()["code"]) == (400, 20012)


def test_the_profile(caller):
    profile = caller.get("/v1.0/me").json()
    assert profile["email"] == "agent@example.com"
    assert {"id", "firstName", "lastName", "roleName", "teamId", "timeZoneId"} <= profile.keys()
