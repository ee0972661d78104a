"""
Is a sent activity among those that Lofty shows?

Entries are matched one to one. Those of rows known to be delivered are taken first; only what is left over proves
anything about a row in doubt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum

from airflow_provider_lofty.lofty.trace import Trace, mark_of

NEAR_MILLISECONDS = 1000

_EMPTY_MARK = mark_of("")


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


def looks_like_any(one: Trace, others: Sequence[Trace]) -> bool:
    """Whether one of these may be this activity, altered."""
    return any(is_altered(one, other) for other in others)
