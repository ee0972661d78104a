"""A lead with more than one page: what is missing on the first one is looked for on others, and is not late by that."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_lofty.first_contact.command import main
from airflow_provider_lofty.profile.profile import Profile, profile_in
from airflow_provider_lofty.sandbox import Sandbox, operations
from tests.first_contact.conftest import LEAD, Start, check_in
from tests.first_contact.test_first_contact import learned_in

Outcome = tuple[dict[str, str], Profile, str]
Check = Callable[..., Outcome]


@pytest.fixture
def check(lofty: Sandbox, connect: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Check:
    """Give a function that makes the check at a lead with so many activities, under these switches."""
    connect(lofty)

    def run(entries: int, *, patience: float = 1.0, settled: float = 0.0, **switches: Any) -> Outcome:
        fill(lofty, entries)
        time.sleep(settled)
        lofty.change(**switches)
        file = tmp_path / "p.json"
        assert main(["--lead-id", str(LEAD), "--yes", "--profile", str(file)], patience=patience) == 0
        said = capsys.readouterr().out
        return learned_in(said), profile_in(file.read_text(encoding="utf-8")), said

    return run


def fill(lofty: Sandbox, entries: int) -> None:
    with requests.Session() as session:
        session.headers["Authorization"] = f"token {lofty.settings.api_key}"
        for number in range(entries):
            made = {"type": "Browse", "text": "made up", "link": "x", "picture": "x", "created": 1714557600123 + number}
            session.post(f"{lofty.url}/v1.0/leads/{LEAD}/activity", json=made, timeout=5)


@pytest.mark.parametrize("order", ["oldest_created", "oldest_posted"])
@pytest.mark.parametrize("entries", [12, 25, 38, 75])
def test_posts_at_the_end_of_the_list_are_found(check: Check, order: str, entries: int) -> None:
    found, profile, _ = check(entries, list_order=order, page_size=10, patience=4)
    assert (found["text, read back"], found["two equal posts"]) == ("as sent", "both kept")
    assert found["time until shown"].startswith("at most ")
    assert (profile.order, profile.page_size, profile.equal_posts) == (order, 10, 2)
    assert (profile.least_lag_seconds, profile.settle_seconds) == (0.0, None)


@pytest.mark.parametrize("switches", [{"list_order": "newest_posted", "page_size": 4}, {"page_size": 3}])
def test_where_only_the_posts_fill_a_page_the_next_one_is_read(check: Check, switches: dict[str, Any]) -> None:
    found, profile, _ = check(0, **switches)
    assert (found["two equal posts"], found["text, read back"]) == ("both kept", "as sent")
    assert (profile.least_lag_seconds, profile.settle_seconds) == (0.0, None)


def test_a_lag_at_the_end_of_the_list_is_learned_from_the_whole_of_it(check: Check) -> None:
    _, profile, _ = check(25, settled=1.3, list_order="oldest_created", page_size=10, read_lag_seconds=1.2, patience=5)
    assert profile.least_lag_seconds is not None
    assert profile.most_lag_seconds is not None
    assert 0 < profile.least_lag_seconds <= 1.2 <= profile.most_lag_seconds + 0.1


def test_of_equal_posts_one_cannot_be_a_page_away_in_a_list_that_is_sorted(check: Check) -> None:
    found, profile, _ = check(120, ignores_repeats=True, page_size=10)
    assert (found["two equal posts"], profile.equal_posts, profile.order) == ("kept once", 1, "newest_created")


@pytest.mark.parametrize("seed", range(4))
def test_a_list_in_another_order_each_time_shows_no_lag_and_nothing_too_often(
    check: Check, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311
    monkeypatch.setitem(operations._LIST_ORDERS, "mixed", lambda bodies: chance.sample(bodies, len(bodies)))
    _, profile, _ = check(25, list_order="mixed", page_size=10, patience=3)
    assert profile.least_lag_seconds in (None, 0.0)
    assert profile.equal_posts in (None, 2)
    assert profile.settle_seconds is None


def test_pages_are_read_within_the_pace_and_two_minutes(lofty: Sandbox, start: Start) -> None:
    fill(lofty, 75)
    lofty.change(list_order="oldest_created", page_size=10, missing_leads={2**63 - 1})
    contact, clock = start(20)
    assert check_in(contact, clock) < 122
    assert contact.missing_lead is not None
    assert contact.wrong_key is not None


class TestWherePagesCountFrom:
    @pytest.mark.parametrize("entries", [3, 25])
    def test_one_is_told_from_ignoring_the_number(self, check: Check, entries: int) -> None:
        found, profile, said = check(entries, first_page=1, page_size=10)
        size = ", 10 entries each" if entries > 10 else ""
        assert found["page size"] == f"pages count from 1{size}"
        assert (profile.first_page, profile.ignores_page, profile.page_size) == (1, False, 10 if size else None)
        assert "deliveries can read only one page" in said

    def test_posts_at_the_end_are_found(self, check: Check) -> None:
        found, profile, _ = check(25, first_page=1, page_size=10, list_order="oldest_created")
        assert (found["two equal posts"], profile.order) == ("both kept", "oldest_created")

    def test_where_the_number_is_ignored(self, check: Check) -> None:
        found, profile, _ = check(25, ignores_page=True, page_size=10)
        assert found["page size"] == "curPage is ignored"
        assert (profile.first_page, profile.ignores_page, profile.page_size) == (None, True, None)

    def test_without_activities_is_open(self, check: Check) -> None:
        found, profile, _ = check(0, first_page=1)
        assert (found["page size"], profile.first_page, profile.ignores_page) == ("", None, None)


class TestWhatIsKnownAgain:
    def test_a_post_that_shows_neither_text_nor_link_is_by_its_time(self, check: Check) -> None:
        found, profile, _ = check(3, shown={"text": ["null"]})
        assert (found["text, read back"], found["two equal posts"]) == ("null", "both kept")
        assert (profile.least_lag_seconds, profile.settle_seconds) == (0.0, None)

    def test_and_where_that_is_changed_too_no_lag_is_learned(self, check: Check) -> None:
        found, profile, said = check(3, shown={"text": ["null"], "created": ["seconds"]})
        assert (found["text, read back"], found["time until shown"]) == ("null", "")
        assert (profile.least_lag_seconds, profile.most_lag_seconds, profile.settle_seconds) == (None, None, None)
        assert "time until shown           something is shown that may be one of the posts, but not by what" in said


def test_what_is_open_names_the_seconds_for_which_it_was_looked_for(check: Check, lofty: Sandbox) -> None:
    _, _, said = check(0, scripted_faults=[None, "drop_before_storing"])
    assert "within 0 s" not in said
    assert "order of the list          posting stopped before it (" in said
