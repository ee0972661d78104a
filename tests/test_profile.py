"""A profile from outside: what is not one is refused by the field's name, never with its value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_lofty.profile.changes import OF_CREATED, OF_TEXTS, change_named, changed, matter, words_for
from airflow_provider_lofty.profile.profile import FIELDS, AnswerForm, Profile, profile_in, readable
from airflow_provider_lofty.profile.remarks import remarks_on

LEAST = {"format": 1, "base_url": "https://lofty.example.com", "account_id": 11}


def refusal(given: object) -> str:
    with pytest.raises(ValueError, match="profile") as caught:
        profile_in(given)
    assert caught.value.__cause__ is None
    assert "marigold" not in str(caught.value)
    return str(caught.value)


def test_what_it_does_not_say_is_open() -> None:
    found = profile_in(LEAST)
    assert {name: getattr(found, name) for name in FIELDS if getattr(found, name) not in (None, {})} == LEAST


def test_it_reads_what_it_writes() -> None:
    found = profile_in({**LEAST, "text_shown": ["html", "cut_to_5"], "owner": {"status": 403, "code": 200100, "shape": "code"},
                        "rate_headers": {"error": False}})  # fmt: skip
    assert profile_in(found.as_json()) == profile_in(json.loads(found.as_json())) == found
    assert found.owner == AnswerForm(403, 200100, "code")


@pytest.mark.parametrize(
    "given",
    [None, 5, True, [], ["format"], "", "marigold", "[]", "null", b"\xff", "[" * 100_000, '{"format": 1, "marigold"'],
    ids=lambda value: str(value)[:12],
)
def test_what_is_no_object_is_no_profile(given: object) -> None:
    refusal(given)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"format": 2}, "another format than 1"),
        ({"format": "1"}, "another format"),
        ({"format": True}, "another format"),
        ({"format": 1.0}, "format"),
        ({"colour": "marigold"}, "'colour'"),
        ({"x" * 1000: 1}, "'xxx"),
        ({"base_url": None}, "base_url"),
        ({"base_url": "marigold" * 100}, "base_url"),
        ({"account_id": 1.5}, "account_id"),
        ({"account_id": True}, "account_id"),
        ({"account_id": 10**30}, "account_id"),
        ({"account_id": "marigold" * 10}, "account_id"),
        ({"header_form": "marigold"}, "header_form must be null or one of token, Bearer"),
        ({"settle_seconds": "60"}, "settle_seconds"),
        ({"settle_seconds": -1}, "settle_seconds"),
        ({"settle_seconds": 10**400}, "settle_seconds"),
        ({"settle_seconds": float("nan")}, "settle_seconds"),
        ({"settle_seconds": float("inf")}, "settle_seconds"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"requests_per_minute": 10**9}, "requests_per_minute"),
        ({"requests_per_minute": True}, "requests_per_minute"),
        ({"rate_headers": {"marigold": True}}, "rate_headers"),
        ({"rate_headers": None}, "rate_headers"),
        ({"reset_unit": "marigold"}, "reset_unit"),
        ({"owner": {"status": 1}}, "owner"),
        ({"owner": {"status": 401, "marigold": 1}}, "owner"),
        ({"owner": 401}, "owner"),
        ({"text_shown": "html"}, "text_shown"),
        ({"text_shown": ["marigold"]}, "text_shown"),
        ({"text_shown": ["html"] * 21}, "text_shown"),
        ({"created_shown": ["moved_by_marigold"]}, "created_shown"),
        ({"created_shown": ["html"]}, "created_shown"),
        ({"order": "marigold"}, "order"),
        ({"page_size": 0}, "page_size"),
        ({"ignores_page": "yes"}, "ignores_page"),
        ({"first_page": 2}, "first_page must be null, 0 or 1"),
        ({"repeat_refusal": 409}, "repeat_refusal must be null or an object"),
        ({"equal_posts": 2.5}, "equal_posts"),
    ],
    ids=lambda value: (str(value) if isinstance(value, str) else str(next(iter(value))))[:40],
)
def test_a_field_that_is_wrong_is_named(changes: dict[str, Any], named: str) -> None:
    assert named in refusal({**LEAST, **changes})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("requests_per_minute", 2.0**31),
        ("read_requests_per_minute", 0.001),
        ("settle_seconds", float("inf")),
        ("page_size", 1001),
        ("equal_posts", 1001),
        ("owner", AnswerForm(999)),
        ("reading", AnswerForm(500, 10**10)),
        ("created_shown", ["moved_by_1000000000000000"]),
        ("text_shown", ["trimmed"] * 21),
    ],
)
def test_what_none_can_hold_is_made_open_before_it_is_written(name: str, value: Any) -> None:
    found = readable(
        Profile(base_url="https://lofty.example.com", account_id=11, **{"ignores_page": True, name: value})
    )
    assert (getattr(found, name), found.ignores_page, found.account_id) == (None, True, 11)
    assert profile_in(found.as_json()) == found


def test_bound_to_what_none_can_be_bound_to_there_is_none() -> None:
    with pytest.raises(ValueError, match="profile lacks base_url"):
        readable(Profile(base_url="", account_id=11))


@pytest.mark.parametrize("name", LEAST)
def test_without_what_it_is_bound_to_it_is_none(name: str) -> None:
    refusal({field: value for field, value in LEAST.items() if field != name})


@pytest.mark.parametrize(
    ("account_id", "other", "is_same"),
    [(11, 11, True), (11, "11", True), ("11", 11, True), (11, 12, False), (11, None, False), (None, 12, True)],
)
def test_whose_it_is(account_id: int | str | None, other: object, is_same: bool) -> None:
    assert profile_in({**LEAST, "account_id": account_id}).is_of(other) is is_same


def test_every_change_changes_something_and_has_words_of_its_own() -> None:
    sent = {
        **dict.fromkeys(OF_TEXTS, "  A? <b>b</b> & 'c'  \N{HOUSE BUILDING} "),
        "empty_as_null": "",
        "long_changed": "x" * 2000,
    }
    for name in OF_TEXTS:
        assert changed(sent[name], [name]) != sent[name], name
    for name in (*OF_CREATED, "moved_by_1"):
        shown = changed(1714557600123, [name])
        assert (type(shown), shown) != (int, 1714557600123), name
    words = [words_for([name]) for name in (*OF_TEXTS, *OF_CREATED, "cut_to_5", "moved_by_1")]
    assert len(set(words)) == len(words)


def test_changes_are_made_in_one_order_whatever_theirs() -> None:
    assert changed(" a&b ", ["html", "trimmed"]) == changed(" a&b ", ["trimmed", "html"]) == "a&amp;b"
    assert changed(1714557600123, ["text", "whole_seconds", "moved_by_-1000"]) == "1714557599000"


def test_a_text_is_cut_as_it_will_be_shown() -> None:
    assert changed("  <a>", ["cut_to_3", "trimmed", "html"]) == "&lt"


def test_what_is_changed_of_one_kind_of_text_leaves_the_others() -> None:
    assert changed("plain & simple", ["special_changed"]) != "plain & simple"
    assert changed("plain and simple", ["special_changed", "long_changed"]) == "plain and simple"


def test_only_what_hides_a_row_matters() -> None:
    assert not matter(["text", "empty_as_null"])
    assert matter(["text", "whole_seconds"])
    assert change_named("marigold") is None


@pytest.mark.parametrize(("first_page", "count"), [(None, 0), (0, 0), (1, 1)])
def test_pages_that_count_from_one_are_minded_before_a_run(first_page: int | None, count: int) -> None:
    said = remarks_on(profile_in({**LEAST, "first_page": first_page}), 120)
    assert len([each for each in said if "counts a lead's pages from 1" in each]) == len(said) == count
