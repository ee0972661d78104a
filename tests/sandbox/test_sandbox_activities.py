"""POST of an activity, and reading activities back."""

from __future__ import annotations

import time

import pytest

from airflow_provider_lofty.profile.profile import AnswerForm

EVERY_LISTING_FIELD = {
    "price": 2**63 - 1,
    "priceMax": 900_000,
    "priceMin": 100_000,
    "squareFeet": 1800,
    "parkingSpace": 2,
    "id": 5,
    "leadUserId": 6,
    "autoListingId": 7,
    "bedrooms": 2**31 - 1,
    "floors": 2,
    "bathrooms": 2.5,
    "lotSize": 1,
    "mailAddress": True,
    "state": "AZ",
    "city": "Springfield",
    "streetAddress": "12 Example Street",
    "zipCode": "02134",
    "county": "Example",
    "propertyType": "Condo",
    "listingId": "MLS-1",
    "label": "a",
    "labelType": "b",
    "labelList": "c",
    "note": "d",
    "listingStatus": "e",
    "pictureUrl": "https://homes.example.com/p.jpg",
    "siteListingUrl": "https://homes.example.com/l",
}
NUMBERS = (
    "price",
    "squareFeet",
    "parkingSpace",
    "id",
    "leadUserId",
    "autoListingId",
    "bedrooms",
    "floors",
    "bathrooms",
    "lotSize",
)


def test_an_activity_is_stored_as_it_was_sent(caller):
    before = time.time()
    answer = caller.add(651095960136641, listing=EVERY_LISTING_FIELD, scheduledDate="Friday", pageName="Guide")
    assert (answer.status_code, answer.json()) == (200, {"leadId": 651095960136641})
    assert answer.headers["Content-Type"] == "application/json"
    (stored,) = caller.lofty.activities
    assert stored.lead_id == 651095960136641
    assert stored.body["listing"] == EVERY_LISTING_FIELD
    assert (stored.body["scheduledDate"], stored.body["pageName"]) == ("Friday", "Guide")
    assert before <= stored.received_at <= time.time()
    assert stored.duplicate is False


def test_only_the_required_fields_suffice(caller):
    assert caller.add().status_code == 200


@pytest.mark.parametrize("type_", ["Search", "Browse", "Favorite", "Request", "Submission"])
def test_each_type_is_accepted(caller, type_):
    assert caller.add(type=type_).status_code == 200


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"type": None}, "type"),
        ({"text": None}, "text"),
        ({"link": None}, "link"),
        ({"picture": None}, "picture"),
        ({"created": None}, "created"),
        ({"type": "browse"}, "type"),
        ({"type": "Call"}, "type"),
        ({"text": 5}, "text"),
        ({"created": "1747272300123"}, "created"),
        ({"created": 1747272300123.0}, "created"),
        ({"created": True}, "created"),
        ({"created": 2**63}, "created"),
        ({"scheduledDate": 5}, "scheduledDate"),
        ({"pageName": False}, "pageName"),
        ({"colour": "red"}, "colour"),
        ({"listing": []}, "listing"),
        ({"listing": "x"}, "listing"),
        ({"listing": {"price": 1.5}}, "listing.price"),
        ({"listing": {"price": 2**63}}, "listing.price"),
        ({"listing": {"price": None}}, "listing.price"),
        ({"listing": {"bedrooms": 2**31}}, "listing.bedrooms"),
        ({"listing": {"bedrooms": "3"}}, "listing.bedrooms"),
        ({"listing": {"bathrooms": "2.5"}}, "listing.bathrooms"),
        ({"listing": {"lotSize": True}}, "listing.lotSize"),
        ({"listing": {"mailAddress": 1}}, "listing.mailAddress"),
        ({"listing": {"listingId": 7}}, "listing.listingId"),
        ({"listing": {"zipCode": 2134}}, "listing.zipCode"),
        ({"listing": {"colour": "red"}}, "listing.colour"),
    ],
)
def test_a_bad_field_is_refused_without_being_named_but_noted(caller, fields, named):
    answer = caller.add(**fields)
    assert answer.status_code == 400
    assert answer.json() == {"code": 20012, "message": "INVALID_PARAMETER"}
    assert caller.lofty.requests[-1].note.startswith(f"{named}: ")
    assert caller.lofty.activities == []


def test_every_bad_field_is_noted(caller):
    caller.add(text=5, listing={"price": "a"})
    assert "text: " in caller.lofty.requests[-1].note
    assert "listing.price: " in caller.lofty.requests[-1].note


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b"\xff",
        b'{"listing":{"price":NaN}}',
        b'{"text":"\\ud800"}',
        b"[" * 9999,
    ],
)
def test_a_body_that_is_not_a_json_object_is_refused(caller, body):
    answer = caller.send("POST", "/v1.0/leads/1/activity", data=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 20012)
    assert caller.lofty.requests[-1].note.startswith("body")


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonl"])
def test_another_content_type_is_refused(caller, content_type):
    answer = caller.send("POST", "/v1.0/leads/1/activity", {"Content-Type": content_type}, data=b"{}")
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_a_content_type_may_have_a_charset(caller):
    assert caller.add(headers={"Content-Type": "Application/JSON; charset=utf-8"}).status_code == 200


@pytest.mark.parametrize("lead_id", ["abc", "1.0", "1e3", "+1", "1_0", "%201", "٣", str(2**63), "9" * 30, "-"])
def test_a_lead_id_that_is_not_an_int64_is_refused(caller, lead_id):
    answer = caller.add(lead_id)
    assert (answer.status_code, answer.json()["code"]) == (400, 20012)
    assert caller.lofty.requests[-1].note.startswith("leadId is ")


@pytest.mark.parametrize("lead_id", [0, -1, -(2**63)])
def test_no_lead_has_an_id_below_one(caller, lead_id):
    assert (caller.add(lead_id).status_code, caller.lofty.activities) == (404, [])


def test_empty_strings_can_be_refused(start):
    caller = start(accepts_empty_strings=False)
    assert caller.add(link="", picture="").status_code == 400
    assert caller.lofty.requests[-1].note == "empty: link, picture"
    assert caller.add(picture="x", scheduledDate="").status_code == 200


def test_some_empty_strings_can_be_refused_in_a_form_of_their_own(start):
    caller = start(never_empty={"link"}, refusals={"empty_refusal": AnswerForm(422, 20012, "json_string")})
    assert caller.add(text="", picture="").status_code == 200
    answer = caller.add(link="")
    assert (answer.status_code, answer.json()) == (422, "20012 INVALID_PARAMETER")


def test_a_repeat_can_be_refused(start):
    caller = start(refusals={"repeat_refusal": AnswerForm(409, 20012, "code")})
    assert [caller.add(created=created).status_code for created in (1, 1, 2)] == [200, 409, 200]
    assert len(caller.lofty.activities) == 2


def test_long_strings_can_be_refused(start):
    caller = start(max_text_length=30)
    assert caller.add(text="x" * 30).status_code == 200
    for fields in ({"text": "x" * 31}, {"listing": {"city": "x" * 31}}):
        answer = caller.add(**fields)
        assert (answer.status_code, answer.json()["code"]) == (400, 20043)


def test_a_repeat_is_stored_again_and_marked(caller):
    caller.add()
    caller.add(picture="another", scheduledDate="Friday")
    caller.add(2)
    caller.add(created=1)
    assert [stored.duplicate for stored in caller.lofty.activities] == [False, True, False, False]


def test_every_activity_can_be_stored_twice(start):
    caller = start(stores_twice=True)
    assert caller.add().json() == {"leadId": 1}
    assert [stored.duplicate for stored in caller.lofty.activities] == [False, True]


def test_repeats_can_be_swallowed(start):
    caller = start(ignores_repeats=True)
    assert [caller.add().status_code, caller.add().status_code] == [200, 200]
    assert len(caller.lofty.activities) == 1


def test_reading_back_gives_a_bare_array_by_created_newest_first(caller):
    for created in (3000, 9000, 1000, 9000):
        caller.add(created=created, text=f"{created}")
    caller.add(2)
    assert [each["created"] for each in caller.read()] == [9000, 9000, 3000, 1000]
    assert caller.read(3) == []


def test_reading_back_is_paged_by_a_hundred(caller):
    for created in range(203):
        caller.add(created=created)
    pages = [[each["created"] for each in caller.read(curPage=page)] for page in range(4)]
    assert [len(page) for page in pages] == [100, 100, 3, 0]
    assert [*pages[0], *pages[1], *pages[2]] == list(range(202, -1, -1))
    assert [each["created"] for each in caller.read()] == pages[0]


@pytest.mark.parametrize("page", ["-1", "x", str(2**31)])
def test_a_page_that_is_not_a_page_number_is_refused(caller, page):
    answer = caller.get("/v1.0/leads/1/activities", curPage=page)
    assert (answer.status_code, answer.json()["code"]) == (400, 20012)


def test_reading_back_hides_write_only_fields_and_fills_unset_numbers(caller):
    caller.add(listing={"priceMax": 5, "city": "Springfield", "bedrooms": 3})
    (read,) = caller.read()
    assert read["listing"] == dict.fromkeys(NUMBERS, -1) | {"city": "Springfield", "bedrooms": 3}


def test_unset_numbers_can_stay_away(start):
    caller = start(unset_numbers_read_minus_one=False)
    caller.add(listing={"priceMin": 5, "city": "Springfield"})
    assert caller.read()[0]["listing"] == {"city": "Springfield"}


def test_an_activity_without_listing_reads_back_without(caller):
    caller.add()
    assert "listing" not in caller.read()[0]


def test_reading_back_lags(start):
    caller = start(read_lag_seconds=60)
    caller.add()
    assert caller.read() == []
    assert len(caller.lofty.activities) == 1
    caller.lofty.change(read_lag_seconds=0.1)
    time.sleep(0.15)
    assert len(caller.read()) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(401, None), (403, 200100), (404, 20006), (400, 20012), (500, 20005), (503, 20005)]
)
def test_reading_back_can_be_refused(start, status, code):
    caller = start(read_back_status=status)
    answer = caller.get("/v1.0/leads/1/activities")
    assert (answer.status_code, answer.json().get("code")) == (status, code)
    assert caller.add().status_code == 200


def test_text_can_be_trimmed(start):
    caller = start(trims_text=True)
    caller.add(text="  a  ", listing={"city": " b ", "price": 1})
    (read,) = caller.read()
    assert (read["text"], read["listing"]["city"]) == ("a", "b")
    assert caller.lofty.activities[0].body["text"] == "  a  "


def test_created_can_lose_its_milliseconds(start):
    caller = start(truncates_created_to_seconds=True)
    caller.add(created=1_747_272_300_999)
    assert caller.read()[0]["created"] == 1_747_272_300_000


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"created_form": "text"}, {"created": "1747272300123"}),
        ({"created_form": "seconds"}, {"created": 1_747_272_300}),
        ({"created_form": "an_hour_later"}, {"created": 1_747_275_900_123}),
        ({"created_form": "text", "truncates_created_to_seconds": True}, {"created": "1747272300000"}),
        ({"lowers_type": True}, {"type": "browse"}),
        ({"escapes_text": True}, {"text": "it&#x27;s &lt;here&gt;", "link": "https://homes.example.com/?a&amp;b"}),
    ],
)
def test_entries_can_be_shown_otherwise(start, settings, shown):
    caller = start(**settings)
    caller.add(text="it's <here>", link="https://homes.example.com/?a&b")
    (entry,) = caller.read()
    assert {name: entry[name] for name in shown} == shown
    caller.lofty.change(created_form="milliseconds", lowers_type=False, escapes_text=False)
    assert caller.read()[0]["text"] == "it's <here>"


def test_one_lead_can_lag_behind(start):
    caller = start(lead_lag_seconds={2: 60})
    caller.add(1)
    caller.add(2)
    assert (len(caller.read(1)), len(caller.read(2))) == (1, 0)
    caller.lofty.change(lead_lag_seconds={})
    assert len(caller.read(2)) == 1


def test_pages_can_shift_while_they_are_read(start):
    caller = start(newcomers=1)
    for number in range(150):
        caller.add(created=number)
    first, second = caller.read(curPage=0), caller.read(curPage=1)
    assert second[0] == first[-1]
    assert [entry["created"] for entry in caller.read(curPage=0)][:2] == [150, 149]
    assert len(caller.lofty.activities) == 150
    caller.lofty.reset()
    assert caller.read() == []


def test_a_page_that_is_not_full_does_not_shift(start):
    caller = start(newcomers=1)
    caller.add()
    assert caller.read() == caller.read()
