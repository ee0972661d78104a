"""One activity as Lofty takes it, of a made-up person."""

from __future__ import annotations

import json

CREATED = 1714557600123
ACTIVITY = {
    "type": "Browse",
    "text": "Ada Example looked at 12 Made Up Lane",
    "link": "https://www.example.com/12",
    "picture": "",
    "created": CREATED,
}
PATH = "/v1.0/leads/5/activity"


def body() -> bytes:
    """The activity as it is sent."""
    return json.dumps(ACTIVITY).encode()
