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

    def matches(self, query: Mapping[str, str]) -> bool:
        """Say whether the lead has the e-mail and phone asked for; filters are combined with AND."""
        precise = query.get("preciseSearchFlag", "").lower() == "true"
        return _has(self.emails, query.get("email"), str.lower, precise) and _has(
            self.phones, query.get("phone"), _digits, precise
        )


def _digits(phone: str) -> str:
    return re.sub(r"\D", "", phone)


def _has(values: Iterable[str], wanted: str | None, normalised: Callable[[str], str], precise: bool) -> bool:
    # An empty filter is no filter, as with Lofty's other parameters.
    if not wanted:
        return True
    wanted = normalised(wanted)
    if precise:
        return any(normalised(value) == wanted for value in values)
    return any(wanted in normalised(value) for value in values)


class Leads:
    """Which leads there are."""

    def __init__(self) -> None:
        self._listed: dict[int, Lead] = {}
        self._removed: set[int] = set()

    def add(self, lead: Lead) -> None:
        """Add or replace a lead."""
        self._listed[lead.lead_id] = lead
        self._removed.discard(lead.lead_id)

    def remove(self, lead_id: int) -> None:
        """Put a lead in the trash, where even `known_leads="any"` does not find it."""
        self._listed.pop(lead_id, None)
        self._removed.add(lead_id)

    def get(self, lead_id: int, *, any_exists: bool) -> Lead | None:
        """
        Give a lead, or None.

        :param any_exists: Every positive id is a lead.
        """
        if lead_id in self._listed:
            return self._listed[lead_id]
        if any_exists and lead_id > 0 and lead_id not in self._removed:
            return Lead(lead_id)
        return None

    def find(self, query: Mapping[str, str]) -> list[Lead]:
        """Give the listed leads that a query asks for; what it does not know in the query, it ignores."""
        return [lead for lead in self._listed.values() if lead.matches(query)]
