"""
What is private stays out of logs.

From the words of a server everything is removed that was sent, and every address, number and credential.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

_GAP = "…"
_PERSONAL = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+|\+?\d(?:[\d ().-]{5,}\d)")
_SHORTEST = 3  # shorter values are words like any other
_SHORTEST_PART = 6


def redact(message: str, values: Iterable[str]) -> str:
    """
    Remove these values from a message, and whatever looks like an address, a phone number or quoted JSON.

    :param values: what must not appear in it, in upper or lower case
    """
    message = re.split(r"[{\[<]", message, maxsplit=1)[0]
    return _PERSONAL.sub(_GAP, without_values(message, values))


def without_values(message: str, values: Iterable[str]) -> str:
    """Remove only these values from a message, whole or in part."""
    message = " ".join(message.split())
    for value in sorted({" ".join(value.split()) for value in values}, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            message = re.sub(re.escape(value), _GAP, message, flags=re.IGNORECASE)
            message = _without_parts(message, value.casefold())
    return message


def _without_parts(message: str, value: str) -> str:
    """Remove what a server quoted in part only, or cut off."""
    kept, start = [], 0
    while start < len(message):
        end = start + _SHORTEST_PART
        if message[start:end].casefold() in value and end <= len(message):
            while end < len(message) and message[start : end + 1].casefold() in value:
                end += 1
            kept.append(_GAP)
            start = end
        else:
            kept.append(message[start])
            start += 1
    return "".join(kept)


def texts_of(body: bytes) -> Iterator[str]:
    """Every text and number of an activity, its type aside."""
    activity = json.loads(body)
    activity.pop("type", None)
    yield from _texts(activity)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
