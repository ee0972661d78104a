"""The leads of the pretended CRM."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lead:
    """
    A lead, with what it can be found by.

    :param lead_id: Its id.
    :param emails: Its e-mail addresses.
    :param phones: Its phone numbers.
    """

    lead_id: int
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()

    def as_lofty(self) -> dict[str, object]:
        """Give the lead as Lofty writes it, with the fields that matter here (OpenAPI specification)."""
        return {
            "leadId": self.lead_id,
            "firstName": "Practice",
            "lastName": f"Lead {self.lead_id}",
            "emails": list(self.emails),
            "phones": list(self.phones),
            "stage": "Lead",
            "tags": [],
        }

    def matches(self, query: Mapping[str, str], *, needs_country_code: bool = False) -> bool:
        """
        Say whether the lead has the e-mail and phone asked for; filters are combined with AND.

        :param needs_country_code: A phone is found only as it is stored, with or without the country's 1.
        """
        precise = query.get("preciseSearchFlag", "").lower() == "true"
        written = _digits if needs_country_code else _national
        return _has(self.emails, query.get("email"), str.lower, precise) and _has(
            self.phones, query.get("phone"), written, precise
        )


def _digits(phone: str) -> str:
    return re.sub(r"\D", "", phone)


def _national(phone: str) -> str:
    return re.sub(r"^1(?=\d{10}$)", "", _digits(phone))


def _has(values: Iterable[str], wanted: str | None, normalised: Callable[[str], str], precise: bool) -> bool:
    # An empty filter is no filter, as with Lofty's other parameters.
    if not wanted:
        return True
    wanted = normalised(wanted)
    if precise:
        return any(normalised(value) == wanted for value in values)
    return any(wanted in normalised(value) for value in values)


# Who is there as long as nobody was added: one person each, and two who share an address and a number.
SAMPLE_LEADS = (
    Lead(101, ("ada.sample@example.com",), ("(202) 555-0101",)),
    Lead(102, ("grace.sample@example.com", "g.sample@example.com"), ("+1 202 555 0102",)),
    Lead(103, ("the.samples@example.com",), ("202-555-0103",)),
    Lead(104, ("the.samples@example.com", "joan.sample@example.com"), ("202-555-0103",)),
)


class Leads:
    """Which leads there are."""

    def __init__(self) -> None:
        self._added: dict[int, Lead] = {}
        self._removed: set[int] = set()

    @property
    def _listed(self) -> dict[int, Lead]:
        samples = {lead.lead_id: lead for lead in SAMPLE_LEADS if lead.lead_id not in self._removed}
        return self._added or samples

    def add(self, lead: Lead) -> None:
        """Add or replace a lead."""
        self._added[lead.lead_id] = lead
        self._removed.discard(lead.lead_id)

    def remove(self, lead_id: int) -> None:
        """Put a lead in the trash, where even `known_leads="any"` does not find it."""
        self._added.pop(lead_id, None)
        self._removed.add(lead_id)

    def get(self, lead_id: int, *, any_exists: bool) -> Lead | None:
        """
        Give a lead, or None.

        :param any_exists: Every positive id is a lead.
        """
        listed = self._listed
        if lead_id in listed:
            return listed[lead_id]
        if any_exists and lead_id > 0 and lead_id not in self._removed:
            return Lead(lead_id)
        return None

    def listed(self, merged: Mapping[int, int]) -> list[Lead]:
        """
        Give the leads that can be found.

        :param merged: Lead id → the lead that it has become a part of, with its addresses and numbers.
        """
        found = dict(self._listed)
        for lead_id, into in merged.items():
            gone = found.pop(lead_id, None)
            if gone is not None:
                kept = found.get(into, Lead(into))
                found[into] = Lead(into, _united(kept.emails, gone.emails), _united(kept.phones, gone.phones))
        return list(found.values())


def _united(some: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*some, *others)))
