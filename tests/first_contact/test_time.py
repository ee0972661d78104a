"""First contact keeps to two minutes whatever the pace, in simulated time; what somebody thinks is not counted."""

from __future__ import annotations

import pytest

from airflow_provider_lofty.exceptions import LoftyUnreachable
from airflow_provider_lofty.first_contact.contact import TOTAL_SECONDS
from airflow_provider_lofty.first_contact.posts import Fate
from airflow_provider_lofty.sandbox import Sandbox
from tests.first_contact.conftest import CONTACT, LEAD, Start, check_in


@pytest.mark.parametrize("lag", [0.0, 3600.0])
@pytest.mark.parametrize("pace", [1, 2, 3, 4, 5, 6, 10, 60])
def test_at_any_pace_it_ends_in_time_and_looks_for_what_it_posted(
    lofty: Sandbox, start: Start, pace: int, lag: float
) -> None:
    lofty.change(missing_leads={2**63 - 1}, read_lag_seconds=lag)
    contact, clock = start(pace)
    assert check_in(contact, clock) <= TOTAL_SECONDS + 1
    made = [each for each in contact.posted if each.fate is Fate.ACCEPTED]
    assert bool(made) == (pace > 1)
    assert all(each.entry or each.looked[0] for each in made)


@pytest.mark.parametrize("thought", [0.0, 1000.0])
def test_slow_answers_take_no_longer_than_one_of_them(lofty: Sandbox, start: Start, thought: float) -> None:
    contact, clock = start(600, answer_seconds=25.0)
    assert check_in(contact, clock, thought=thought) <= TOTAL_SECONDS + 26
    assert all(each.entry or each.looked[0] for each in contact.posted if each.fate is Fate.ACCEPTED)


def test_the_time_that_somebody_thinks_is_not_counted(lofty: Sandbox, start: Start) -> None:
    contact, clock = start(60)
    assert check_in(contact, clock, thought=3600.0) <= TOTAL_SECONDS
    assert all(each.fate is Fate.ACCEPTED for each in contact.posted)


def test_a_lead_whose_turn_comes_too_late_is_not_waited_for(
    lofty: Sandbox, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{CONTACT}.TOTAL_SECONDS", 30.0)
    contact, clock = start(1)
    with pytest.raises(LoftyUnreachable, match=f"no time for GET /v1.0/leads/{LEAD}; nothing was posted"):
        contact.begin()
    assert (len(lofty.requests), clock.waited) == (1, 0.0)
