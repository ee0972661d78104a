"""What a check has shown, as a profile."""

from __future__ import annotations

import math

from airflow_provider_lofty.first_contact import facts, owner
from airflow_provider_lofty.first_contact.contact import Contact
from airflow_provider_lofty.profile.profile import HeaderForm, Profile, readable


def profile_of(contact: Contact) -> Profile | None:
    """Make a profile; None as long as nothing showed that Lofty accepts the credential."""
    if not owner.accepted_by(contact):
        return None
    limits = {} if facts.is_longer_than_minute(contact) else facts.limits(contact)
    lag = facts.lag(contact)
    least, most = lag or (None, None)
    # A server may state what no profile can hold, and a profile that cannot be read is of no use.
    return readable(Profile(
        base_url=contact.client.host,
        account_id=owner.account_id(contact),
        header_form=_header_form(contact),
        # Of what was never seen to be missing, only this check's own waiting is known.
        settle_seconds=math.ceil(2 * (most or least)) if least else None,
        requests_per_minute=limits.get("add_activity"),
        read_requests_per_minute=limits.get("list_activities"),
        rate_headers=facts.rate_headers(contact),
        reset_unit=facts.reset_unit(contact),
        owner=facts.form_of(contact.owner_answer),
        reading=facts.form_of(contact.reading),
        missing_lead=facts.form_of(contact.missing_lead),
        wrong_key=facts.form_of(contact.wrong_key),
        empty_strings=facts.is_accepted(contact, "empty"),
        empty_refusal=facts.refusal_of(contact, "empty"),
        long_text=facts.is_accepted(contact, "long"),
        long_refusal=facts.refusal_of(contact, "long"),
        type_shown=facts.changes(contact, "type"),
        created_shown=facts.changes(contact, "created"),
        text_shown=facts.changes(contact, "text"),
        link_shown=facts.changes(contact, "link"),
        least_lag_seconds=None if least is None else round(least, 3),
        most_lag_seconds=None if most is None else round(most, 3),
        order=facts.order(contact),
        page_size=facts.page_size(contact),
        first_page=facts.first_page(contact),
        ignores_page=facts.ignores_page(contact),
        equal_posts=facts.equal_posts(contact),
        repeat_refusal=facts.refusal_of(contact, "twin"),
    ))  # fmt: skip


def _header_form(contact: Contact) -> HeaderForm:
    return "token" if contact.client.settings.auth_type == "api_key" else "Bearer"
