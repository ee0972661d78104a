"""The trace of an activity: what reading back shows of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_provider_lofty.lofty.trace import (
    MARK_BYTES,
    TRACE_BYTES,
    Trace,
    mark_of,
    trace_in_entry,
    trace_of,
    trace_of_body,
)

LEAD, CREATED = 5, 1_772_359_200_123
ENTRY = {"type": "Browse", "created": CREATED, "text": "a home", "link": "https://homes.example.com/7"}


def shown(**changes: Any) -> Trace:
    found = trace_in_entry(LEAD, {**ENTRY, **changes})
    assert found is not None
    return found


def test_an_activity_reads_back_as_it_was_sent() -> None:
    body = json.dumps({**ENTRY, "picture": "p", "listing": {"price": 1}}).encode()
    assert trace_of_body(LEAD, body) == shown(id=7, picture=None)
    assert (len(shown().trace_hash), len(shown().text_mark)) == (TRACE_BYTES, MARK_BYTES)


@pytest.mark.parametrize("name", ["type", "created", "text", "link"])
def test_each_part_that_is_shown_makes_another_trace(name: str) -> None:
    other = CREATED + 1 if name == "created" else "Other"
    assert shown(**{name: other}).trace_hash != shown().trace_hash
    assert trace_of(LEAD + 1, *ENTRY.values()) != trace_of(LEAD, *ENTRY.values())  # type: ignore[arg-type]


def test_text_and_link_cannot_stand_for_each_other() -> None:
    assert shown(text="a", link="b").trace_hash != shown(text="b", link="a").trace_hash
    assert shown(text="ab", link="").trace_hash != shown(text="a", link="b").trace_hash


@pytest.mark.parametrize("name", ["text", "link"])
def test_what_lofty_leaves_out_is_empty(name: str) -> None:
    shorter = {key: value for key, value in ENTRY.items() if key != name}
    assert trace_in_entry(LEAD, shorter) == shown(**{name: ""}) == shown(**{name: None})


@pytest.mark.parametrize(
    "entry",
    [
        None, "text", 7, [], {}, {**ENTRY, "type": 3}, {**ENTRY, "created": None},
        {**ENTRY, "created": "soon"}, {**ENTRY, "created": True}, {**ENTRY, "created": 1.5},
        {**ENTRY, "text": 7}, {**ENTRY, "text": ["a"]}, {**ENTRY, "link": {"a": 1}}, {**ENTRY, "text": "\ud800"},
        {**ENTRY, "link": "\ud800"}, {**ENTRY, "type": "\ud800"},
    ],
    ids=str,
)  # fmt: skip
def test_anything_else_cannot_be_read(entry: Any) -> None:
    assert trace_in_entry(LEAD, entry) is None


def test_digits_are_the_number_and_any_type_is_a_type() -> None:
    assert shown(created=str(CREATED)) == shown()
    assert [shown(type=kind).type for kind in ("Sold a home", None)] == ["Sold a home", ""]


def test_a_body_that_is_not_an_activity_is_an_error() -> None:
    with pytest.raises(ValueError, match="not an activity"):
        trace_of_body(LEAD, b'{"type": "Browse"}')


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_marks_tell_texts_apart(text: str) -> None:
    assert mark_of(text) == mark_of(text)
    assert mark_of(text) != mark_of(text + "x")
