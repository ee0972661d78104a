"""The settings of a connection to Lofty, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from airflow_provider_lofty.profile.profile import Profile

DEFAULT_HOST = "https://api.lofty.com"
OAUTH_TYPES = ("client_credentials", "refresh_token")
AUTH_TYPES = ("api_key", "access_token", *OAUTH_TYPES)

ABSENCE = 5  # so many settle times must have passed before absence counts
PATIENCE = 10  # so many settle times are the longest wait for any proof
_LONGEST_INTENT_TTL_SECONDS = 10.0


@dataclass(frozen=True)
class LoftySettings:
    """
    What a connection says, checked. Secrets stay out of its ``repr``.

    :param conn_id: the connection, for messages
    :param base_url: scheme and host, without a slash at the end
    :param auth_type: one of :data:`AUTH_TYPES`
    :param token_url: the token endpoint; only the OAuth types use it
    :param password: API key or access token
    :param client_id: of the registered app, for the OAuth types
    :param client_secret: of the registered app
    :param customer_key: API key of the user to act for, with ``client_credentials``
    :param refresh_token: for ``auth_type`` of the same name
    :param requests_per_minute: a cap; None without one
    :param max_in_flight: requests at the same time
    :param timeout_seconds: of one request, from connecting to its last byte
    :param settle_seconds: how long Lofty may take to show what it stored
    :param profile: what the account's Lofty was seen to do, if that is known
    :param first_requests_per_minute: where to begin, by the profile; None where a cap was given that says so
    """

    conn_id: str
    base_url: str
    auth_type: str
    token_url: str
    password: str = field(repr=False)
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    customer_key: str = field(repr=False)
    refresh_token: str = field(repr=False)
    requests_per_minute: float | None
    max_in_flight: int
    timeout_seconds: float
    settle_seconds: float
    profile: Profile | None = None
    first_requests_per_minute: float | None = None

    @property
    def intent_ttl_seconds(self) -> float:
        """How long the intent to send a row allows the first byte of its request to leave."""
        return min(_LONGEST_INTENT_TTL_SECONDS, max(self.settle_seconds / 6, 1.0))

    @property
    def resumed_settle_seconds(self) -> float:
        """The settle time of what another process sent, which may still be about to send it."""
        return max(self.settle_seconds, self.intent_ttl_seconds + self.timeout_seconds)

    @property
    def absence_seconds(self) -> float:
        """How long what was sent may take to show; only then that it is not shown begins to count."""
        return ABSENCE * self.settle_seconds

    @property
    def patience_seconds(self) -> float:
        """How long any proof is waited for."""
        return PATIENCE * self.settle_seconds

    @property
    def resumed_absence_seconds(self) -> float:
        """The same for what another process sent, which may still be about to send it."""
        return max(self.absence_seconds, self.intent_ttl_seconds + self.timeout_seconds)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must appear nowhere."""
        return (self.password, self.client_secret, self.customer_key, self.refresh_token)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where requests go: to the API, and to the token endpoint where there is need of one."""
        return (self.base_url, self.token_url) if self.auth_type in OAUTH_TYPES else (self.base_url,)


def is_loopback(url: str) -> bool:
    """Whether a URL names this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)  # of ::ffff:127.0.0.1 Python itself says so from 3.13 on
    return (mapped or address).is_loopback
