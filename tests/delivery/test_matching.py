"""Matching: each activity that Lofty shows stands for one row at most, and a likeness is distinguished from absence."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_provider_lofty.delivery.matching import NEAR_MILLISECONDS, Match, is_altered, is_near, match
from airflow_provider_lofty.lofty.trace import Trace, trace_in_entry

LEAD, CREATED = 5, 1_772_359_200_123
ENTRY = {"type": "Browse", "created": CREATED, "text": "a home", "link": "https://homes.example.com/7"}
FAR = {"text": "other", "link": "other", "created": CREATED + 10**6}


def shown(**changes: Any) -> Trace:
    found = trace_in_entry(LEAD, {**ENTRY, **changes})
    assert found is not None
    return found


class TestMatching:
    def test_one_entry_stands_for_one_row(self) -> None:
        found, surplus = match([shown(), shown()], [shown()], {})
        assert (found, surplus) == ([Match.FOUND, Match.ABSENT], [])

    def test_entries_of_delivered_rows_prove_nothing(self) -> None:
        claimed = {shown().trace_hash: 1}
        assert match([shown()], [shown()], claimed) == ([Match.ABSENT], [])
        assert match([shown()], [shown(), shown()], claimed) == ([Match.FOUND], [])

    def test_more_delivered_rows_than_entries_leave_nothing(self) -> None:
        assert match([shown()], [shown()], {shown().trace_hash: 5}) == ([Match.ABSENT], [])
        assert match([shown()], [], {shown().trace_hash: 1}) == ([Match.ABSENT], [])

    def test_entries_that_belong_to_none_are_left_over(self) -> None:
        other = shown(text="other", link="other", created=CREATED + 10**6)
        found, surplus = match([shown()], [other, shown(), other, shown()], {other.trace_hash: 1})
        assert found == [Match.FOUND]
        assert sorted(surplus) == sorted([other, shown()])

    def test_one_that_is_nearly_the_same_is_near(self) -> None:
        assert match([shown()], [shown(text="a hom")], {})[0] == [Match.NEAR]

    def test_near_an_entry_of_a_delivered_row_or_of_another_that_was_found_is_absent(self) -> None:
        altered = shown(text="a hom")
        assert match([shown()], [altered], {altered.trace_hash: 1})[0] == [Match.ABSENT]
        assert match([altered, shown()], [altered], {})[0] == [Match.FOUND, Match.ABSENT]

    def test_nothing_sought_leaves_everything_over(self) -> None:
        assert match([], [shown()], {}) == ([], [shown()])

    @given(
        wanted=st.lists(st.integers(0, 3), max_size=6),
        entries=st.lists(st.integers(0, 3), max_size=6),
        claimed=st.dictionaries(st.integers(0, 3), st.integers(0, 3)),
    )
    def test_the_books_of_each_trace_balance(
        self, wanted: list[int], entries: list[int], claimed: dict[int, int]
    ) -> None:
        each = [shown(text=f"home {n}", link=f"link {n}", created=CREATED + n * 10**6) for n in range(4)]
        found, surplus = match(
            [each[n] for n in wanted],
            [each[n] for n in entries],
            {each[n].trace_hash: count for n, count in claimed.items()},
        )
        there = Counter(n for n, one in zip(wanted, found, strict=True) if one is Match.FOUND)
        for n in range(4):
            left = max(entries.count(n) - claimed.get(n, 0), 0)
            assert there[n] == min(wanted.count(n), left)
            assert surplus.count(each[n]) == left - there[n]
        assert set(found) <= {Match.FOUND, Match.ABSENT}


class TestLikeness:
    @pytest.mark.parametrize(
        ("changes", "is_it"),
        [
            ({"created": CREATED + NEAR_MILLISECONDS}, True),
            ({"created": CREATED - NEAR_MILLISECONDS}, True),
            ({"created": CREATED + NEAR_MILLISECONDS + 1}, False),
            ({"text": ENTRY["text"]}, True),
            ({"link": ENTRY["link"]}, True),
            ({}, False),
            ({"text": ENTRY["text"], "type": "Search"}, False),
            ({"created": CREATED, "type": "Search"}, False),
        ],
    )
    def test_one_part_in_common_is_near(self, changes: dict[str, Any], is_it: bool) -> None:
        assert is_near(shown(), shown(**{**FAR, **changes})) is is_it

    @pytest.mark.parametrize("name", ["text", "link"])
    def test_to_be_empty_is_nothing_in_common(self, name: str) -> None:
        assert not is_near(shown(**{name: ""}), shown(**{**FAR, name: ""}))

    @pytest.mark.parametrize(
        ("changes", "is_it"),
        [
            ({"text": "a hom"}, True),
            ({"link": "short"}, True),
            ({"text": "a hom", "created": CREATED - NEAR_MILLISECONDS}, True),
            ({"created": CREATED // 1000 * 1000}, True),
            ({"text": "a hom", "link": "short"}, False),
            ({"created": CREATED + NEAR_MILLISECONDS + 1}, False),
            ({"text": "a hom", "type": "Search"}, False),
        ],
    )
    def test_the_same_moment_and_one_of_text_and_link_is_altered(self, changes: dict[str, Any], is_it: bool) -> None:
        assert is_altered(shown(), shown(**changes)) is is_it


def test_a_time_beyond_all_times_is_like_nothing() -> None:
    found = trace_in_entry(LEAD, {**ENTRY, **FAR, "created": 10**30})
    assert found is None or not is_near(shown(), found)
