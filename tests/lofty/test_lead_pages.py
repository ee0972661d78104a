"""What a list of leads proves."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_lofty.lofty.lead_pages import LeadPage, page_of

ADA = {"leadId": 5, "emails": ["Ada@example.com"], "phones": ["+1 202 555 0142"]}
GRACE = {"leadId": 6, "emails": ["grace@example.com"], "phones": []}


def page(*leads: Any, total: Any = None) -> LeadPage:
    found = page_of({"leads": list(leads), "_metadata": {"total": total}})
    assert found is not None
    return found


def test_a_lead_is_read() -> None:
    found = page_of({"leads": [ADA], "_metadata": {"total": 205, "scrollId": "abc"}})
    assert found is not None
    assert (found.size, found.total, found.scroll_id, found.is_readable) == (1, 205, "abc", True)
    (lead,) = found.leads
    assert lead.lead_id == 5
    assert lead.has("email", "ada@example.com")
    assert lead.has("phone", "2025550142")
    assert lead.digits == {"12025550142"}


@pytest.mark.parametrize("leads", [5, "x", {}, {"a": 1}])
def test_what_lists_no_leads(leads: Any) -> None:
    assert page_of({"leads": leads}) is None


@pytest.mark.parametrize("entry", [None, 5, "x", [], {}, {"leadId": 0}, {"leadId": True}, {"leadId": "x"},
                                   {"leadId": 2**63}, {"leadId": 5.0}])  # fmt: skip
def test_a_lead_without_a_sound_id_is_counted_and_proves_nothing(entry: Any) -> None:
    found = page(entry, ADA, total=2)
    assert (found.size, len(found.leads), found.is_readable) == (2, 1, False)
    assert not found.is_all("email", "ada@example.com")


def test_an_id_may_come_as_digits() -> None:
    assert page({"leadId": "4711"}).leads[0].lead_id == 4711


@pytest.mark.parametrize("emails", [None, 5, "ada@example.com", {"a": 1}, [None, {}, []]])
def test_odd_addresses_are_none(emails: Any) -> None:
    assert page({"leadId": 5, "emails": emails}).leads[0].keys["email"] == frozenset()


@pytest.mark.parametrize(
    ("found", "is_all"),
    [
        (page(ADA, total=1), True),
        (page(total=0), True),
        (page(), True),
        (page(ADA), True),
        (page(ADA, GRACE, total=2), True),  # the whole list, compared here
        (page(ADA, GRACE), False),
        (page(ADA, total=2), False),
        (page(GRACE, total=5000), False),
        (page(*[{**GRACE, "leadId": n} for n in range(1, 101)], total=100), False),
        (page(*[{**ADA, "leadId": n} for n in range(1, 101)], total=100), True),
    ],
)
def test_whether_another_lead_may_have_the_key(found: LeadPage, is_all: bool) -> None:
    assert found.is_all("email", "ada@example.com") is is_all
