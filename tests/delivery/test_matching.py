"""Matching: each activity that Lofty shows stands for one row at most, and a likeness is distinguished from absence."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_provider_lofty.delivery.matching import NEAR_MILLISECONDS, Match, is_altered, is_near, match, reach_of
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
        found, surplus = match([shown(), shown()], [shown()], {}, {})
        assert (found, surplus) == ([Match.FOUND, Match.UNCLEAR], [])  # until the first is known to be delivered
        once = {shown().trace_hash: 1}
        assert match([shown()], [shown()], once, once) == ([Match.ABSENT], [])

    def test_entries_of_delivered_rows_prove_nothing(self) -> None:
        claimed = {shown().trace_hash: 1}
        assert match([shown()], [shown()], claimed, claimed) == ([Match.ABSENT], [])
        assert match([shown()], [shown(), shown()], claimed, claimed) == ([Match.FOUND], [])

    def test_entries_that_another_run_claims_meanwhile_prove_nothing_at_all(self) -> None:
        claimed = {shown().trace_hash: 1}
        assert match([shown()], [shown()], claimed, {}) == ([Match.UNCLEAR], [])
        assert match([shown()], [], claimed, {}) == ([Match.ABSENT], [])
        assert match([shown()], [shown()], {}, claimed) == ([Match.FOUND], [])

    def test_more_delivered_rows_than_entries_leave_nothing(self) -> None:
        five = {shown().trace_hash: 5}
        assert match([shown()], [shown()], five, five) == ([Match.ABSENT], [])
        assert match([shown()], [], five, five) == ([Match.ABSENT], [])

    def test_entries_that_belong_to_none_are_left_over(self) -> None:
        other = shown(text="other", link="other", created=CREATED + 10**6)
        found, surplus = match([shown()], [other, shown(), other, shown()], {other.trace_hash: 1}, {})
        assert found == [Match.FOUND]
        assert sorted(surplus) == sorted([other, shown()])

    def test_nothing_sought_leaves_everything_over(self) -> None:
        assert match([], [shown()], {}, {}) == ([], [shown()])

    @given(
        wanted=st.lists(st.integers(0, 3), max_size=6),
        entries=st.lists(st.integers(0, 3), max_size=6),
        claimed=st.dictionaries(st.integers(0, 3), st.integers(0, 3)),
    )
    def test_the_books_of_each_trace_balance(
        self, wanted: list[int], entries: list[int], claimed: dict[int, int]
    ) -> None:
        each = [shown(text=f"home {n}", link=f"link {n}", created=CREATED + n * 10**6) for n in range(4)]
        claims = {each[n].trace_hash: count for n, count in claimed.items()}
        found, surplus = match([each[n] for n in wanted], [each[n] for n in entries], claims, claims)
        there = Counter(n for n, one in zip(wanted, found, strict=True) if one is Match.FOUND)
        for n in range(4):
            left = max(entries.count(n) - claimed.get(n, 0), 0)
            assert there[n] == min(wanted.count(n), left)
            assert surplus.count(each[n]) == left - there[n]
            is_unclear = entries.count(n) > claimed.get(n, 0)
            said = {is_it for one, is_it in zip(wanted, found, strict=True) if one == n} - {Match.FOUND}
            assert said <= {Match.UNCLEAR if is_unclear else Match.ABSENT}


HOUR = 3_600_000


class TestLikeness:
    @pytest.mark.parametrize(
        ("changes", "is_it"),
        [
            ({"created": CREATED + NEAR_MILLISECONDS}, True),
            ({"created": CREATED - NEAR_MILLISECONDS}, True),
            ({"created": CREATED + NEAR_MILLISECONDS + 1}, False),
            ({"created": CREATED // 1000}, True),
            ({"created": CREATED, "type": "Search"}, False),
            ({"created": CREATED, "type": "browse"}, True),
            ({"created": CREATED, "type": "Search", "text": ENTRY["text"]}, True),
            ({"created": CREATED, "type": "Search", "link": ENTRY["link"]}, True),
        ],
    )
    def test_at_the_same_moment_one_more_part_in_common_is_near(self, changes: dict[str, Any], is_it: bool) -> None:
        assert is_near(shown(), shown(**{**FAR, **changes})) is is_it

    @pytest.mark.parametrize("sign", [-1, 1])
    @pytest.mark.parametrize(
        ("apart", "is_it"),
        [
            (HOUR, True), (HOUR - 1000, True), (HOUR - 1001, False), (HOUR // 2, False), (5.75 * HOUR, True),
            (5.75 * HOUR + 1000, True), (5.75 * HOUR + 1001, False), (14 * HOUR, True), (14 * HOUR + 1001, False),
            (24 * HOUR, False), (9 * 24 * HOUR, False), (5 * HOUR + 60_000, False),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("same", ["text", "link"])
    def test_at_another_time_it_may_be_another_zones(self, sign: int, apart: float, is_it: bool, same: str) -> None:
        entry = {**FAR, same: ENTRY[same], "created": CREATED + sign * round(apart)}
        assert is_near(shown(), shown(**entry)) is is_it
        assert not is_near(shown(), shown(**{**entry, "type": "Search"}))
        assert not is_near(shown(), shown(**{**entry, same: "other"}))

    @pytest.mark.parametrize(("at", "is_it"), [(0, True), (5000, True), (5001, False), (-1, False)])
    def test_or_the_time_at_which_it_was_received(self, at: int, is_it: bool) -> None:
        now = CREATED + 90 * 24 * HOUR + 7
        entry = shown(**{**FAR, "text": ENTRY["text"], "created": now + at})
        assert is_near(shown(), entry, (now, now + 5000)) is is_it
        assert not is_near(shown(), entry)

    def test_a_page_has_to_reach_down_to_all_that_is_near(self) -> None:
        assert reach_of(shown()) == CREATED - 14 * HOUR - 1000
        assert reach_of(shown(), (5.0, 9.0)) == 5.0

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
