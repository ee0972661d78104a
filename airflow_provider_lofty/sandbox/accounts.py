"""A sandbox that answers as one account's Lofty does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_lofty.profile.changes import LONG_TEXT
from airflow_provider_lofty.profile.profile import ANSWERS, SHOWN, Profile, profile_in
from airflow_provider_lofty.sandbox.settings import SandboxSettings

_MISSING_LEAD = 2**63 - 1  # of which first contact asks


def settings_like(profile: Profile | Mapping[str, Any] | str, **settings: Any) -> SandboxSettings:
    """
    Make the settings of a sandbox that answers as the account does that a profile was learned from.

    What the profile leaves open is as it always is.

    :param profile: The JSON object that first contact writes, or its text.
    :param settings: Fields of :class:`SandboxSettings` that are to be otherwise.
    :raises ValueError: It is not a profile, naming the field; or a setting is not possible.
    """
    account = profile if isinstance(profile, Profile) else profile_in(profile)
    return SandboxSettings(**{**_settings_of(account), **settings})


def _settings_of(account: Profile) -> dict[str, Any]:
    found = {
        **_rate_settings(account),
        **_refusals(account),
        "never_empty": frozenset({"link", "picture"}) if account.empty_strings is False else None,
        "max_text_length": LONG_TEXT - 1 if account.long_text is False else None,
        "shown": {name: account.shown(name) for name in SHOWN if account.shown(name)},
        "read_lag_seconds": _lag(account),
        "list_order": account.order,
        "page_size": account.page_size,
        "first_page": account.first_page,
        "ignores_page": account.ignores_page,
        "ignores_repeats": account.equal_posts == 1,
        "stores_twice": (account.equal_posts or 0) > 2,
    }
    return {**_owner(account), **{name: value for name, value in found.items() if value is not None}}


def _owner(account: Profile) -> dict[str, Any]:
    """Name the owner's id; none where the owner was shown without one."""
    is_nameless = account.owner is not None and not account.owner.is_error
    return {} if account.account_id is None and not is_nameless else {"account_id": account.account_id}


def _rate_settings(account: Profile) -> dict[str, Any]:
    reading = account.read_requests_per_minute
    has_headers = account.rate_headers.values()
    return {
        "requests_per_minute": account.requests_per_minute,
        "read_requests_per_minute": None if reading == account.requests_per_minute else reading,
        "rate_headers": not has_headers or any(has_headers),
        "without_rate_headers": frozenset(kind for kind, has in account.rate_headers.items() if not has),
        "rate_reset_reading": account.reset_unit,
    }


def _refusals(account: Profile) -> dict[str, Any]:
    forms = {name: getattr(account, name) for name in ANSWERS}
    refusals = {name: form for name, form in forms.items() if form is not None and form.is_error}
    return {
        "refusals": refusals,
        "missing_leads": frozenset({_MISSING_LEAD}) if "missing_lead" in refusals else frozenset(),
    }


def _lag(account: Profile) -> float | None:
    least, most = account.least_lag_seconds, account.most_lag_seconds
    if most is None:
        return 2 * least if least else None
    return (least + most) / 2 if least else 0.0
