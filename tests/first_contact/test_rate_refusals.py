"""
A post that is refused for the rate stores nothing, and is one of the five all the same: what tells least makes way.

In simulated time.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_lofty.first_contact.contact import TOTAL_SECONDS, Contact
from airflow_provider_lofty.first_contact.findings import Finding, findings_of
from airflow_provider_lofty.first_contact.learned import profile_of
from airflow_provider_lofty.first_contact.posts import Fate
from airflow_provider_lofty.sandbox import Answer, Sandbox
from tests.first_contact.conftest import Start, check_in
from tests.first_contact.test_first_contact import posted

ASKED = {
    "posting activities", "empty link and picture", "a text of 2000 characters", "two equal posts", "text, read back",
    "link, read back", "created, read back", "time until shown", "order of the list",
}  # fmt: skip
TWIN = {"two equal posts"}
LONG = {"a text of 2000 characters", "text, read back"}  # nobody knows whether texts are cut

Check = Callable[..., tuple[Contact, dict[str, Finding]]]


@pytest.fixture
def check(lofty: Sandbox, start: Start) -> Check:
    """Give a function that makes the check with these faults of posts; it gives what was found, by question."""
    lofty.change(rate_headers=False)  # they would speak of the server's own time

    def run(*faults: str | None) -> tuple[Contact, dict[str, Finding]]:
        lofty.change(scripted_faults=faults)
        contact, clock = start(60)
        assert check_in(contact, clock) <= TOTAL_SECONDS + 1
        return contact, {finding.question: finding for finding in findings_of(contact)}

    return run


def accepted(contact: Contact) -> list[str]:
    return [each.post.name for each in contact.posted if each.fate is Fate.ACCEPTED]


@pytest.mark.parametrize(
    ("refused", "still_open"),
    [({0}, TWIN), ({1}, TWIN), ({2}, LONG), ({3}, LONG), ({4}, {"empty link and picture"}), ({0, 2}, TWIN | LONG),
     ({0, 1}, TWIN | LONG), ({1, 3}, TWIN | LONG)],
)  # fmt: skip
def test_no_more_is_left_open_than_must_be(
    check: Check, lofty: Sandbox, refused: set[int], still_open: set[str]
) -> None:
    contact, found = check(*("rate_limited" if post in refused else None for post in range(5)))
    assert {question for question in ASKED if not found[question].answer} == still_open
    assert len(posted(lofty)) == 5
    assert len(accepted(contact)) == 5 - len(refused)
    profile = profile_of(contact)
    assert profile is not None
    assert profile.empty_strings is (None if 4 in refused else True)
    assert profile.equal_posts == (None if still_open >= TWIN else 2)


@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_where_all_are_refused_from_one_on_no_more_than_five_leave(check: Check, lofty: Sandbox, taken: int) -> None:
    contact, found = check(*[None] * taken, *["rate_limited"] * 20)
    assert len(posted(lofty)) == 5
    assert len(accepted(contact)) == taken
    assert not found["empty link and picture"].answer
    assert "HTTP 429" in found["empty link and picture"].how


def test_what_was_left_out_says_why(check: Check) -> None:
    _, found = check("rate_limited")
    assert found["two equal posts"].how == "of five posts, refusals for the rate left none for it"


def test_what_was_left_out_is_not_why_posting_stopped(check: Check) -> None:
    _, found = check("rate_limited", None, "html_502")
    assert found["empty link and picture"].how.startswith("posting stopped before it (HTTP 502")


@pytest.mark.parametrize("seconds", [20, 40])
def test_where_every_post_is_refused_there_is_time_for_what_is_asked_last(
    lofty: Sandbox, start: Start, seconds: int
) -> None:
    contact, clock = start(600)
    lofty.change(missing_leads={2**63 - 1})
    refused = Answer(429, b'{"message": "Too Many Requests"}', headers={"retry-after": str(seconds)})
    lofty.change(rate_headers=False, canned_answers={"add_activity": refused})
    assert check_in(contact, clock) <= TOTAL_SECONDS + 1
    assert (contact.missing_lead is not None, contact.wrong_key is not None) == (True, True)
    assert len(posted(lofty)) > 1
