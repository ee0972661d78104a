"""
What reading back shows of an activity.

Lofty returns no id for an activity, so it is recognised by its *trace*: lead, type, created, text and link, which is
all that reading back shows unaltered.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import NamedTuple

import msgspec

TRACE_BYTES = 12
MARK_BYTES = 3
CONTENT_BYTES = 8
_LEAST_MILLISECONDS = 10**11
_MOST_DIGITS = 19  # of a number of 64 bits

_encode = msgspec.json.Encoder().encode


def trace_of(lead_id: int, kind: str, created: int, text: str, link: str) -> bytes:
    """Hash what reading back can see of an activity."""
    return blake2b(_encode((lead_id, kind, created, text, link)), digest_size=TRACE_BYTES).digest()


def mark_of(text: str) -> bytes:
    """Hash one text, just long enough to see that two are the same."""
    return blake2b(text.encode(), digest_size=MARK_BYTES).digest()


def mark_of_entry(entry: object) -> bytes:
    """Hash an entry that cannot be read, to know it again; :data:`TRACE_BYTES` long."""
    return blake2b(json.dumps(entry, sort_keys=True).encode(), digest_size=TRACE_BYTES).digest()


class Trace(NamedTuple):
    """
    An activity as it would read back.

    :param trace_hash: of lead, type, created, text and link; :data:`TRACE_BYTES` long
    :param created: milliseconds since 1970
    :param text_mark: hash of the text, :data:`MARK_BYTES` long
    :param link_mark: hash of the link, as long
    """

    lead_id: int
    trace_hash: bytes
    type: str
    created: int
    text_mark: bytes
    link_mark: bytes

    @property
    def content(self) -> bytes:
        """Hash what it says, whatever lead it is of; :data:`CONTENT_BYTES` long."""
        said = f"{self.type} {self.created} ".encode() + self.text_mark + self.link_mark
        return blake2b(said, digest_size=CONTENT_BYTES).digest()

    @property
    def moment(self) -> int:
        """When it was, in milliseconds since 1970, also where it is shown in seconds: no activity is as old as that."""
        return self.created * 1000 if abs(self.created) < _LEAST_MILLISECONDS else self.created


def trace_of_body(lead_id: int, body: bytes) -> Trace:
    """
    Say what the activity with this body would read back as.

    :param body: a checked ``LeadActivity`` as JSON
    """
    made = trace_in_entry(lead_id, msgspec.json.decode(body))
    if made is None:
        raise ValueError("the body is not an activity")
    return made


def content_of_body(body: bytes | None) -> bytes | None:
    """
    Hash what the activity with this body says, whatever lead it is of; None when there is none.

    :param body: a checked ``LeadActivity`` as JSON
    """
    made = None if body is None else trace_in_entry(0, msgspec.json.decode(body))
    return None if made is None else made.content


def trace_in_entry(lead_id: int, entry: object) -> Trace | None:
    """
    Read one activity as Lofty lists it.

    Digits are the number that they say, null is the empty text, and any type is a type: Lofty's own activities have
    others than those that can be sent.

    :return: None when it cannot be read, so that nobody knows what it is
    """
    if not isinstance(entry, dict):
        return None
    created = _number(entry.get("created"))
    kind, text, link = (_text(entry.get(name)) for name in ("type", "text", "link"))
    if created is None or kind is None or text is None or link is None:
        return None
    try:
        return Trace(lead_id, trace_of(lead_id, kind, created, text, link), kind, created, mark_of(text), mark_of(link))
    except (UnicodeEncodeError, OverflowError):  # half a character; a number beyond 64 bits
        return None


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS:
        return int(value)
    return value if type(value) is int else None


def _text(value: object) -> str | None:
    return "" if value is None else value if isinstance(value, str) else None
