"""From the verdict on an answer to the exception that says what happened and what to do."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow_provider_lofty.exceptions import (
    LoftyAnswerLost,
    LoftyConfigurationError,
    LoftyCredentialRefused,
    LoftyError,
    LoftyRequestRejected,
)
from airflow_provider_lofty.lofty.answers import KEY_AS_BEARER, PERMISSION_MISSING, Meaning, Verdict
from airflow_provider_lofty.lofty.settings import LoftySettings


def error_for(verdict: Verdict, what: str, settings: LoftySettings) -> LoftyError:
    """
    Make the exception for an answer that is not a success.

    :param what: what was asked for, such as ``POST activity``
    """
    error = _error_for(verdict, what, settings)
    error.code = verdict.code
    return error


def _error_for(verdict: Verdict, what: str, settings: LoftySettings) -> LoftyError:
    status = status_text(verdict.status, verdict.code)
    if verdict.meaning is Meaning.CREDENTIAL_REFUSED:
        advice = advice_on_refusal(settings.auth_type, verdict.code)
        return LoftyCredentialRefused(f"Lofty refused the credential of {settings.conn_id!r} ({status}): {advice}")
    if verdict.meaning is Meaning.MISCONFIGURED:
        advice = _advice_on_configuration(verdict)
        return LoftyConfigurationError(f"{settings.base_url} answered {status} to {what}: {advice}")
    if verdict.meaning is Meaning.REJECTED:
        return LoftyRequestRejected(f"Lofty refused {what} ({status}): {verdict.message}; nothing was stored")
    answer = verdict.message if verdict.status is None else f"{status}: {verdict.message}"
    return LoftyAnswerLost(
        f"{what} was sent to {settings.base_url} and no trustworthy answer came ({answer}): it may be stored. Look at "
        "the lead's activities before it is sent again"
    )


def _advice_on_configuration(verdict: Verdict) -> str:
    if verdict.code == PERMISSION_MISSING:
        return "the app lacks the permission (200100); ask Lofty to grant it; nothing was stored"
    if verdict.status in (401, 403, 407):
        return "a proxy or gateway on the way refused it, not Lofty; nothing was stored"
    return "check the connection's host; nothing was stored"


def advice_on_refusal(auth_type: str, code: int | None) -> str:
    """
    Say what to do about a credential that Lofty refused.

    :param code: Lofty's own, where its answer has one
    """
    if code == KEY_AS_BEARER and auth_type == "access_token":
        return (
            "this is the answer to an API key sent as a Bearer token. If the connection's password is an API key, set "
            "auth_type to api_key"
        )
    if auth_type == "api_key":
        return (
            "check that the connection's password is a current API key (Lofty: Settings > Integrations > API); for an "
            "OAuth access token set auth_type to access_token"
        )
    if auth_type == "access_token":
        return "the access token is wrong or has expired; auth_type refresh_token renews it"
    return "the token that client_id and client_secret gave is not accepted"


def status_text(status: int | None, code: int | None) -> str:
    """Write a status and Lofty's own code as ``HTTP 400, code 20012``."""
    return f"HTTP {status}" + (f", code {code}" if code is not None else "")


def failure_text(verdict: Verdict) -> str:
    """Write why there is no usable answer: ``HTTP 500, empty answer``, or ``no answer: ReadTimeout``."""
    return f"HTTP {verdict.status}, {verdict.message or 'empty answer'}" if verdict.status else verdict.message


def origin_of(url: str) -> str:
    """Cut a URL down to scheme and host, for messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
