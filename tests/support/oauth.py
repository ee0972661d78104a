"""Made-up settings of connections that get their tokens from Lofty."""

from __future__ import annotations

OAUTH = {
    "client_id": "made-up-client-id",
    "client_secret": "made-up-client-secret",
    "customer_key": "made-up-customer-key",
    "refresh_token": "made-up-refresh-token",
}
CLIENT = {**OAUTH, "auth_type": "client_credentials"}
REFRESH = {**OAUTH, "auth_type": "refresh_token"}
