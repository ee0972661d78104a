"""Words of a server made fit for logs: what was sent, addresses, numbers and credentials are taken out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

_GAP = "…"
_PERSONAL = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+|\+?\d(?:[\d ().-]{5,}\d)")
_SHORTEST = 3  # shorter values are words like any other


def without(message: str, values: Iterable[str]) -> str:
    """
    Take these values out of a message, and whatever looks like an address, a phone number or quoted JSON.

    :param values: what must not be read in it, in any case
    """
    message = re.split(r"[{\[<]", message, maxsplit=1)[0].strip()
    for value in sorted({value for value in values if len(value) >= _SHORTEST}, key=len, reverse=True):
        message = re.sub(re.escape(value), _GAP, message, flags=re.IGNORECASE)
    return _PERSONAL.sub(_GAP, message)


def texts_in(body: bytes) -> Iterator[str]:
    """Every text of an activity, its type aside."""
    activity = json.loads(body)
    activity.pop("type", None)
    yield from _texts(activity)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        yield value.strip()
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
