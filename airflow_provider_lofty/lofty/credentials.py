"""
What goes into the ``Authorization`` header, and how it is renewed.

An API key goes as ``token <key>``, every OAuth access token as ``Bearer <token>`` (Lofty's page "Authentication").
Authlib speaks OAuth; its requests leave through :class:`~airflow_provider_lofty.lofty.session.LoftySession`, like all
others.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable
from typing import Protocol

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client.oauth2_session import OAuth2ClientAuth
from authlib.oauth2.client import OAuth2Client
from requests import HTTPError, PreparedRequest, Response
from requests.auth import AuthBase

from airflow_provider_lofty.exceptions import LoftyCredentialRefused
from airflow_provider_lofty.lofty.settings import LoftySettings

_ASSUMED_LIFETIME_SECONDS = 3600.0
_LONGEST_LEEWAY_SECONDS = 60.0
_TOKEN = re.compile(r"[!-~]+")
_OAUTH_CODES = frozenset(  # RFC 6749, section 5.2
    (
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    )
)
# What Authlib raises for a refusal, and for JSON that is not a token.
_NO_TOKEN = (AuthlibBaseError, HTTPError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)

_THIRD_PART = {"client_credentials": "customer_key, or the password in its place", "refresh_token": "refresh_token"}

PostForm = Callable[[str, dict[str, str], dict[str, str], AuthBase], Response]
Mask = Callable[[str], object]


class Credential(Protocol):
    """The part of a request that says who asks."""

    def header(self) -> str:
        """The value of ``Authorization``."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key or token that the header holds, and what else was obtained with it: must appear nowhere."""

    def renew(self, refused: str) -> bool:
        """After this header was refused: whether there is another one to try now."""


def credential_from(settings: LoftySettings, post_form: PostForm, clock: Callable[[], float], mask: Mask) -> Credential:
    """
    Make the credential that a connection asks for.

    :param post_form: sends a token request: URL, form, headers, requests' ``auth``
    :param clock: monotonic seconds
    :param mask: keeps a secret out of logs from then on
    """
    if settings.auth_type in ("api_key", "access_token"):
        mask(settings.password)
        return FixedCredential("token" if settings.auth_type == "api_key" else "Bearer", settings.password)
    return RenewedToken(settings, post_form, clock, mask)


def masked_header(settings: LoftySettings) -> str:
    """The header as it may be shown to people."""
    return "token ***" if settings.auth_type == "api_key" else "Bearer ***"


class HeaderAuth(AuthBase):
    """Sets the header; without an ``auth``, requests would use a password from ~/.netrc instead."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


class FixedCredential:
    """An API key, or an access token that cannot be renewed here."""

    def __init__(self, scheme: str, secret: str) -> None:
        self._scheme = scheme
        self._secret = secret

    def header(self) -> str:
        return f"{self._scheme} {self._secret}"

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self._secret,)

    def renew(self, refused: str) -> bool:
        return False


class RenewedToken:
    """
    An access token obtained from Lofty, renewed before it expires and once after it was refused.

    A refresh token that Lofty replaces is used from then on, in this process: a task cannot save it to the
    connection.
    """

    def __init__(self, settings: LoftySettings, post_form: PostForm, clock: Callable[[], float], mask: Mask) -> None:
        self._settings = settings
        self._post_form = post_form
        self._clock = clock
        self._mask = mask
        self._lock = threading.Lock()
        self._refresh_token = settings.refresh_token
        self._header = ""
        self._renew_at = 0.0
        if settings.auth_type == "refresh_token" and settings.password:
            self._header, self._renew_at = f"Bearer {settings.password}", float("inf")
        pair = f"{settings.client_id}:{settings.client_secret}".encode()
        self._basic = base64.b64encode(pair).decode()
        for secret in filter(None, (*settings.secrets, self._basic)):
            mask(secret)

    def header(self) -> str:
        with self._lock:
            if not self._header or self._clock() >= self._renew_at:
                self._fetch()
            return self._header

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self._header.partition(" ")[2], self._refresh_token, self._basic)

    def renew(self, refused: str) -> bool:
        with self._lock:
            if self._header == refused:  # else another thread was faster
                self._fetch()
            return True

    def _fetch(self) -> None:
        token = self._ask()
        access_token = token.get("access_token")
        if not isinstance(access_token, str) or not _TOKEN.fullmatch(access_token):
            raise LoftyCredentialRefused("Lofty's token endpoint returned no access token; check client_id, "
                                         "client_secret and the customer_key or refresh_token")  # fmt: skip
        self._mask(access_token)
        self._header = f"Bearer {access_token}"
        lifetime = _seconds(token.get("expires_in"))
        self._renew_at = self._clock() + lifetime - min(_LONGEST_LEEWAY_SECONDS, lifetime / 10)
        if self._settings.auth_type == "refresh_token":
            refresh_token = token.get("refresh_token")
            if isinstance(refresh_token, str) and refresh_token:
                self._refresh_token = refresh_token
                self._mask(refresh_token)

    def _ask(self) -> dict[str, object]:
        settings = self._settings
        try:
            if settings.auth_type == "client_credentials":
                client = self._client("client_secret_post")
                fetched = client.fetch_token(
                    settings.token_url, grant_type="client_credentials", customer_key=settings.customer_key
                )
            else:
                client = self._client("client_secret_basic")
                fetched = client.refresh_token(settings.token_url, refresh_token=self._refresh_token)
        except _NO_TOKEN as error:
            raise LoftyCredentialRefused(
                f"Lofty's token endpoint refused ({_refusal(error)}); check client_id, client_secret and the "
                + _THIRD_PART[settings.auth_type]
            ) from None
        return dict(fetched)

    def _client(self, method: str) -> OAuth2Client:
        return _TokenClient(
            _TokenSender(self._post_form), self._settings.client_id, self._settings.client_secret,
            token_endpoint_auth_method=method,
        )  # fmt: skip


class _TokenClient(OAuth2Client):  # type: ignore[misc]
    client_auth_class = OAuth2ClientAuth


class _TokenSender:
    """The only part of a requests session that Authlib's client uses."""

    def __init__(self, post_form: PostForm) -> None:
        self._post_form = post_form

    def post(self, url: str, *, data: dict[str, str], headers: dict[str, str], auth: AuthBase) -> Response:
        return self._post_form(url, data, headers, auth)


def _refusal(error: Exception) -> str:
    """Name the refusal by its OAuth code only; any other word may echo what was sent."""
    code = getattr(error, "error", None)
    return code if isinstance(code, str) and code in _OAUTH_CODES else f"its answer: {type(error).__name__}"


def _seconds(value: object) -> float:
    if not isinstance(value, (int, float, str)):
        return _ASSUMED_LIFETIME_SECONDS
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return _ASSUMED_LIFETIME_SECONDS
    return seconds if 0 < seconds < 10**9 else _ASSUMED_LIFETIME_SECONDS
