"""From an Airflow connection of type ``lofty`` to checked settings: one pure function."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping

from airflow.sdk import Connection

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.hooks.extras import refuse_misspelt
from airflow_provider_lofty.hooks.form import FORM_FIELDS, FormField
from airflow_provider_lofty.lofty.settings import AUTH_TYPES, DEFAULT_HOST, LoftySettings, is_loopback
from airflow_provider_lofty.lofty.urls import LARGEST_PORT, USUAL_PORTS, checked_lead_url, normal_url, parts_of
from airflow_provider_lofty.profile.profile import Profile, profile_in

_REFRESH_URL = "https://crm.lofty.com/api/user-web/oauth/token"  # Lofty's page "OAuth 2.0"
_SECRETS = ("client_id", "client_secret", "customer_key", "refresh_token")
_NUMBERS = tuple(field for field in FORM_FIELDS if field.is_number)
_NEEDS = {
    "api_key": ("password",),
    "access_token": ("password",),
    "client_credentials": ("client_id", "client_secret", "customer_key"),
    "refresh_token": ("client_id", "client_secret", "refresh_token"),
}


def settings_from(connection: Connection, defaults: Mapping[str, str] | None = None) -> LoftySettings:
    """
    Read a connection.

    :param defaults: numbers of ``airflow.cfg`` for what the connection does not say
    :raises LoftyConfigurationError: naming the field and what is wrong with it, never its value
    """
    try:
        return _settings(connection, defaults or {})
    except ValueError as error:
        raise LoftyConfigurationError(f"the connection {connection.conn_id!r}: {error}") from None


def _settings(connection: Connection, defaults: Mapping[str, str]) -> LoftySettings:
    extra = _extra(connection)
    auth_type = str(extra.get("auth_type", "api_key")).strip().lower()
    if auth_type not in AUTH_TYPES:
        raise ValueError(f"auth_type must be one of {', '.join(AUTH_TYPES)}")
    secrets = _secrets(connection, extra, auth_type)
    base_url = _base_url(connection)
    numbers = {field.name: _number(field, extra, defaults) for field in _NUMBERS}
    settle, profile = numbers["settle_seconds"], _profile(extra, base_url)
    if profile is not None and "settle_seconds" not in extra:
        settle = max(settle or 0, profile.settle_seconds or 0)  # it makes a run more careful, never less
    return LoftySettings(
        conn_id=connection.conn_id,
        base_url=base_url,
        auth_type=auth_type,
        token_url=_token_url(extra, auth_type, base_url),
        requests_per_minute=numbers["requests_per_minute"],
        max_in_flight=int(numbers["max_in_flight"] or 1),
        timeout_seconds=numbers["timeout_seconds"] or 0,
        settle_seconds=settle or 0,
        lead_url=checked_lead_url(extra.get("lead_url", "")),
        profile=profile,
        first_requests_per_minute=_first_pace(profile, extra, numbers["requests_per_minute"]),
        **secrets,
    )


def _profile(extra: Mapping[str, object], base_url: str) -> Profile | None:
    if "profile" not in extra:
        return None
    profile = profile_in(extra["profile"])
    if _without_version(_checked_url("profile: base_url", profile.base_url)) != base_url:
        raise ValueError(f"profile: base_url is another host than {base_url}; make a profile of this one")
    return profile


def _first_pace(profile: Profile | None, extra: Mapping[str, object], cap: float | None) -> float | None:
    """Where to begin: a cap of the connection comes before the profile, and the profile before that of airflow.cfg."""
    if profile is None or profile.requests_per_minute is None or "requests_per_minute" in extra:
        return None
    return min(profile.requests_per_minute, cap or math.inf)


def _extra(connection: Connection) -> dict[str, object]:
    """The extra fields that are not left empty."""
    try:
        json.loads(connection.extra or "{}")
    except ValueError:  # of which Airflow itself makes an empty object
        raise ValueError("extra must be a JSON object") from None
    given: object = connection.extra_dejson
    if not isinstance(given, Mapping):
        raise ValueError("extra must be a JSON object")
    filled = {key: value for key, value in given.items() if value not in (None, "")}
    refuse_misspelt(filled)
    return filled


def _secrets(connection: Connection, extra: Mapping[str, object], auth_type: str) -> dict[str, str]:
    secrets = {name: clean_secret(name, extra.get(name)) for name in _SECRETS}
    secrets["password"] = clean_secret("password", connection.password)
    if auth_type == "client_credentials":
        secrets["customer_key"] = secrets["customer_key"] or secrets["password"]
    for name in _NEEDS[auth_type]:
        if not secrets[name]:
            needed = f"{name}, or the password in its place," if name == "customer_key" else f"{name},"
            raise ValueError(f"auth_type {auth_type!r} needs {needed} which is empty")
    return secrets


def clean_secret(name: str, value: object) -> str:
    """
    Take out what cannot be seen (blanks, line ends, U+2028 …), which keys pasted from rich text carry.

    :param name: of the field, for the message
    :raises ValueError: when what is left cannot be an HTTP header
    """
    if value is None:
        return ""
    words = "".join(c for c in str(value) if c.isspace() or unicodedata.category(c)[0] != "C").split()
    if name == "password" and len(words) == 2 and words[0].lower() in ("token", "bearer"):
        words = words[1:]  # the whole header was pasted
    cleaned = "".join(words)
    if not cleaned.isascii():
        raise ValueError(f"{name} contains a character that an HTTP header cannot carry; copy it again from Lofty")
    return cleaned


def _number(field: FormField, extra: Mapping[str, object], defaults: Mapping[str, str]) -> float | None:
    given, name = extra.get(field.name), field.name
    if given is None and field.name in defaults:
        given, name = defaults[field.name], f"{field.name} in [lofty] of airflow.cfg"
    given = field.default if given is None else given
    if given is None:
        return None
    if not isinstance(given, (int, float, str)) or isinstance(given, bool):
        raise ValueError(f"{name} must be a number")
    try:
        number = float(given)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} must be a number") from None
    if not field.smallest <= number <= field.largest:
        raise ValueError(f"{name} must be from {field.smallest:g} to {field.largest:g}")
    return number


def _base_url(connection: Connection) -> str:
    host = (connection.host or DEFAULT_HOST).strip()
    if "://" not in host:
        scheme = (connection.schema or "").strip().lower()
        host = f"{scheme if scheme in USUAL_PORTS else 'https'}://{host}"
    return _without_version(_checked_url("host", host, _port(connection)))


def _without_version(url: str) -> str:
    return url.rstrip("/").removesuffix("/v1.0").removesuffix("/v2.0")


def _port(connection: Connection) -> int | None:
    """The port of a connection; the form sends 0 for none."""
    given: object = connection.port or None  # which Airflow does not check
    if given is None:
        return None
    if not str(given).isdecimal() or not 0 < int(str(given)) <= LARGEST_PORT:
        raise ValueError(f"port must be from 1 to {LARGEST_PORT}, or empty")
    return int(str(given))


def _token_url(extra: Mapping[str, object], auth_type: str, base_url: str) -> str:
    if "token_url" in extra:
        return _checked_url("token_url", str(extra["token_url"]).strip())
    if auth_type == "refresh_token":
        return _REFRESH_URL if base_url == DEFAULT_HOST else f"{base_url}/api/user-web/oauth/token"
    return f"{base_url}/oauth/token"


def _checked_url(name: str, url: str, port: int | None = None) -> str:
    """
    Rebuild a URL from its parts, so that there is one form of it.

    :param port: used where the URL itself names none; it may name no other
    """
    try:
        parts = parts_of(url)
        normal = normal_url(parts, port)
    except ValueError:  # its text quotes a part of the URL
        raise ValueError(f"{name} must be a URL such as {DEFAULT_HOST}") from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(f"{name} must not contain a user, password, query or fragment")
    if port is not None and parts.port not in (None, port):
        raise ValueError(f"{name} names another port than port does; leave one of them empty")
    if parts.scheme == "http" and not is_loopback(normal):
        raise ValueError(f"{name} must begin with https://; plain http would expose the key to the network")
    return normal
