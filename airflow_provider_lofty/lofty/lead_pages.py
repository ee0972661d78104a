"""What Lofty lists of leads (``GET /v1.0/leads``), and what such an answer proves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from airflow_provider_lofty.lofty.answers import JsonObject
from airflow_provider_lofty.lofty.lead_keys import KeyKind, digits_of, normal_email, normal_phone

MOST_LEADS = 100  # in one answer, as Lofty's specification says
_LARGEST_ID = 2**63 - 1
_MOST_DIGITS = 19


class ListedLead(NamedTuple):
    """
    A lead, and what it can be found by, as keys are compared.

    :param digits: its phone numbers' digits as they are stored, with the country's 1 where it is
    """

    lead_id: int
    keys: Mapping[KeyKind, frozenset[str]]
    digits: frozenset[str]

    def has(self, kind: KeyKind, key: str) -> bool:
        """Whether this is one of its addresses or numbers."""
        return key in self.keys[kind]


class LeadPage(NamedTuple):
    """
    One answer.

    :param size: how many leads it holds, those that cannot be read included
    :param total: how many leads there are that were asked for; None where the answer does not say
    :param scroll_id: what to ask for the next page with; empty where there is none
    """

    leads: list[ListedLead]
    size: int
    total: int | None
    scroll_id: str

    @property
    def is_readable(self) -> bool:
        """Whether every lead is one that can be read."""
        return len(self.leads) == self.size

    def is_all(self, kind: KeyKind, key: str) -> bool:
        """
        Whether no further lead can have this key, of an answer to a search for it.

        Lofty ignores parameters that it does not know: a page that ends before the total, or a full one with leads that
        were not asked for, may be the first of all leads.
        """
        if not self.is_readable:
            return False
        strays = any(not lead.has(kind, key) for lead in self.leads)
        if strays and self.size >= MOST_LEADS:
            return False
        return self.total == self.size if self.total is not None else not strays and self.size < MOST_LEADS


def page_of(answer: JsonObject) -> LeadPage | None:
    """Read an answer; None when it lists no leads."""
    listed = answer.get("leads")
    listed = [] if listed is None else listed
    if not isinstance(listed, list):
        return None
    metadata = answer.get("_metadata")
    said = metadata if isinstance(metadata, dict) else {}
    total, scroll_id = _whole(said.get("total")), said.get("scrollId")
    leads = [lead for entry in listed if (lead := _lead_of(entry)) is not None]
    return LeadPage(leads, len(listed), total, scroll_id if isinstance(scroll_id, str) else "")


def _lead_of(entry: object) -> ListedLead | None:
    lead_id = _whole(entry.get("leadId")) if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or lead_id is None or not 0 < lead_id <= _LARGEST_ID:
        return None
    emails = frozenset(map(normal_email, _texts_in(entry, "emails"))) - {""}
    written = _texts_in(entry, "phones")
    digits, phones = (frozenset(map(form, written)) - {""} for form in (digits_of, normal_phone))
    return ListedLead(lead_id, {"email": emails, "phone": phones}, digits)


def _texts_in(entry: JsonObject, name: str) -> list[str]:
    given = entry.get(name)
    return [str(one) for one in given if type(one) in (str, int)] if isinstance(given, list) else []


def _whole(value: object) -> int | None:
    """A number of up to 64 bits, also one as digits: Lofty has made text of other ids within months."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS:
        return int(value)
    return value if type(value) is int and value >= 0 else None
