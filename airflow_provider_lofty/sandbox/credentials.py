"""Who may call: API keys and access tokens, and the two endpoints that issue the tokens."""

from __future__ import annotations

import base64
import binascii
import itertools
import time
from collections.abc import Callable, Mapping

from airflow_provider_lofty.sandbox.answers import Answer, Refused, ok, to_json
from airflow_provider_lofty.sandbox.settings import SandboxSettings


class Credentials:
    """
    The tokens that were issued and spent.

    :param clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget every token issued, and that the first refresh token was spent."""
        self._serial = itertools.count(1)
        self._ends_at: dict[str, float] = {}
        self._refresh_tokens: set[str] = set()
        self._spent: set[str] = set()

    def check(self, settings: SandboxSettings, authorization: str) -> None:
        """
        Check an Authorization header: `token <API key>` or `Bearer <access token>`, spelt exactly so.

        :raises Refused: Lofty would not accept it.
        """
        scheme, _, value = authorization.partition(" ")
        if scheme == "token" and value and value == settings.api_key:
            return
        if scheme == "Bearer" and self._accepts(settings, value):
            return
        if scheme == "Bearer" and value and value == settings.api_key:
            note = "the API key was sent as Bearer; it goes as 'Authorization: token <API key>'"
            raise Refused(400, 200058, "User in token does not exist.", note)
        raise Refused(401, None, "BAD_CREDENTIALS", self._why(scheme, value)).in_form(
            settings.refusals.get("wrong_key")
        )

    def _accepts(self, settings: SandboxSettings, token: str) -> bool:
        if token and token == settings.access_token:
            return True
        return self._clock() < self._ends_at.get(token, 0.0)

    def _why(self, scheme: str, value: str) -> str:
        if not scheme:
            return "no Authorization header"
        if scheme not in ("token", "Bearer"):
            return "the Authorization header begins with neither 'token' nor 'Bearer'"
        if value in self._ends_at:
            return "the access token expired"
        return f"unknown credential after {scheme!r}"

    def answer_token(self, settings: SandboxSettings, form: Mapping[str, str]) -> Answer:
        """Answer `/oauth/token`, which takes the client's credentials in the body."""
        sent = form.get("client_id", ""), form.get("client_secret", "")
        if sent != (settings.client_id, settings.client_secret):
            return _oauth_error(401, "invalid_client", "client_id or client_secret is wrong")
        if form.get("grant_type") == "client_credentials":
            if form.get("customer_key") != settings.customer_key:
                return _oauth_error(400, "invalid_grant", "customer_key is wrong")
            return self._issue(settings)
        if form.get("grant_type") == "authorization_code":
            return self._redeem_code(settings, form)
        return _unsupported(form)

    def answer_user_token(self, settings: SandboxSettings, form: Mapping[str, str], authorization: str) -> Answer:
        """Answer `/api/user-web/oauth/token`, which takes the client's credentials as HTTP Basic."""
        if _basic(authorization) != f"{settings.client_id}:{settings.client_secret}":
            return _oauth_error(401, "invalid_client", "the client's HTTP Basic credentials are wrong")
        if form.get("grant_type") == "authorization_code":
            return self._redeem_code(settings, form)
        if form.get("grant_type") == "refresh_token":
            return self._refresh(settings, form.get("refresh_token", ""))
        return _unsupported(form)

    def _redeem_code(self, settings: SandboxSettings, form: Mapping[str, str]) -> Answer:
        if form.get("code") != settings.authorization_code:
            return _oauth_error(400, "invalid_grant", "the authorization code is wrong")
        return self._issue(settings)

    def _refresh(self, settings: SandboxSettings, token: str) -> Answer:
        if token in self._spent or token not in {settings.refresh_token, *self._refresh_tokens}:
            state = "spent" if token in self._spent else "unknown"
            return _oauth_error(400, "invalid_grant", f"the refresh token is {state}")
        if not settings.rotates_refresh_token:
            return self._issue(settings, token)
        self._spent.add(token)
        return self._issue(settings)

    def _issue(self, settings: SandboxSettings, refresh_token: str | None = None) -> Answer:
        serial = next(self._serial)
        access_token = f"{settings.access_token}-{serial}"
        refresh_token = refresh_token or f"{settings.refresh_token}-{serial}"
        self._ends_at[access_token] = self._clock() + settings.token_lifetime_seconds
        self._refresh_tokens.add(refresh_token)
        return ok(
            {
                "access_token": access_token,
                "expires_in": int(settings.token_lifetime_seconds),
                "refresh_token": refresh_token,
                "token_type": "Bearer",
                "scope": "openApi",
            }
        )


def _basic(authorization: str) -> str | None:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _unsupported(form: Mapping[str, str]) -> Answer:
    return _oauth_error(400, "unsupported_grant_type", f"grant_type is {form.get('grant_type')!r}")


def _oauth_error(status: int, error: str, note: str) -> Answer:
    # RFC 6749, section 5.2: how Lofty's token endpoints write errors is not published.
    return Answer(status, to_json({"error": error, "error_description": note}), note=note)
