"""Whose the credential is, and what showed that Lofty accepts it: nothing but an answer that only Lofty can give."""

from __future__ import annotations

from airflow_provider_lofty.first_contact.contact import Contact, Heard
from airflow_provider_lofty.lofty.answers import PERMISSION_MISSING
from airflow_provider_lofty.profile.profile import is_possible


def accepted_by(contact: Contact) -> str:
    """Name the request whose answer showed that the credential is accepted; empty as long as none did."""
    if account_id(contact) is not None or is_hidden(contact):
        return "GET /v1.0/me"
    # Anything may answer with an object. Who shows the very lead that was asked for has let the credential in.
    return "GET of the lead" if any(_shows_lead(each, contact.lead_id) for each in contact.heard) else ""


def account_id(contact: Contact) -> int | str | None:
    """``id`` in ``GET /v1.0/me``; None where it names none that a profile can be bound to."""
    found = (contact.owner or {}).get("id")
    return found if is_possible("account_id", found) else None


def is_hidden(contact: Contact) -> bool:
    """Whether the app may not read its owner's profile."""
    answer = contact.owner_answer
    return contact.owner is None and answer is not None and answer.error[0] == PERMISSION_MISSING


def _shows_lead(heard: Heard, lead_id: int) -> bool:
    found = heard.answer.json
    lead = found.get("lead") if heard.kind == "get_lead" and isinstance(found, dict) else None
    return isinstance(lead, dict) and str(lead.get("leadId")) == str(lead_id)
