"""
Is a sent activity among those that Lofty shows?

Lofty gives no ids back, so an activity is recognised by its *trace*: lead, type, created, text and link, which is all
that reading back shows of it unaltered. Entries are matched one to one. Those of rows known to be delivered are taken
first; only what is left over proves anything about a row in doubt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

TRACE_BYTES = 12
MARK_BYTES = 3
NEAR_MILLISECONDS = 1000

_encode = msgspec.json.Encoder().encode
_EMPTY_MARK = blake2b(b"", digest_size=MARK_BYTES).digest()


def trace_of(lead_id: int, kind: str, created: int, text: str, link: str) -> bytes:
    """Hash what reading back can see of an activity."""
    return blake2b(_encode((lead_id, kind, created, text, link)), digest_size=TRACE_BYTES).digest()


def mark_of(text: str) -> bytes:
    """Hash one text, just long enough to see that two are the same."""
    return blake2b(text.encode(), digest_size=MARK_BYTES).digest()


class Trace(NamedTuple):
    """
    An activity as it would read back.

    :param created: milliseconds since 1970
    """

    lead_id: int
    trace_hash: bytes
    type: str
    created: int
    text_mark: bytes
    link_mark: bytes


def trace_of_body(lead_id: int, body: bytes) -> Trace:
    """Say what the activity with this body would read back as."""
    made = trace_in_entry(lead_id, msgspec.json.decode(body))
    if made is None:
        raise ValueError("the body is no activity")
    return made


def trace_in_entry(lead_id: int, entry: Any) -> Trace | None:
    """Read one activity as Lofty lists it; None when it is none."""
    if not isinstance(entry, dict):
        return None
    kind, created, text, link = (entry.get(name) for name in ("type", "created", "text", "link"))
    if type(created) is not int or not (isinstance(kind, str) and isinstance(text or "", str)):
        return None
    if not isinstance(link or "", str):
        return None
    try:
        text, link = text or "", link or ""
        return Trace(lead_id, trace_of(lead_id, kind, created, text, link), kind, created, mark_of(text), mark_of(link))
    except (UnicodeEncodeError, OverflowError):  # half a character; a number beyond 64 bits
        return None


class Match(Enum):
    """What a lead's activities say about one that was sought."""

    FOUND = "it is there"
    NEAR = "one nearly like it is there"
    ABSENT = "nothing like it is there"


def match(
    wanted: Sequence[Trace], entries: Sequence[Trace], claimed: Mapping[bytes, int]
) -> tuple[list[Match], list[Trace]]:
    """
    Match one to one.

    :param wanted: what is sought, all of one lead
    :param entries: what Lofty lists for that lead
    :param claimed: trace → how many rows known to be delivered have it
    :return: for each one sought, in order; and the entries that belong to none
    """
    left = Counter(entry.trace_hash for entry in entries)
    left.subtract(claimed)
    found = []
    for one in wanted:
        is_there = left[one.trace_hash] > 0
        left[one.trace_hash] -= is_there
        found.append(is_there)
    surplus = []
    for entry in entries:
        if left[entry.trace_hash] > 0:
            left[entry.trace_hash] -= 1
            surplus.append(entry)
    return [
        Match.FOUND if there else Match.NEAR if any(is_near(one, entry) for entry in surplus) else Match.ABSENT
        for one, there in zip(wanted, found, strict=True)
    ], surplus


def is_near(one: Trace, entry: Trace) -> bool:
    """Whether an entry may be the activity that was sought, altered by the way it is stored or shown."""
    return one.type == entry.type and (
        abs(one.created - entry.created) <= NEAR_MILLISECONDS
        or one.text_mark == entry.text_mark != _EMPTY_MARK
        or one.link_mark == entry.link_mark != _EMPTY_MARK
    )


def is_altered(wanted: Trace, entry: Trace) -> bool:
    """Whether an entry is most likely this activity, stored or shown otherwise than it was sent."""
    alike = wanted.text_mark == entry.text_mark, wanted.link_mark == entry.link_mark
    return wanted.type == entry.type and abs(wanted.created - entry.created) <= NEAR_MILLISECONDS and any(alike)
