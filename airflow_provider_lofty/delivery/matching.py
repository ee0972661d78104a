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
ZONE_REACH_MILLISECONDS = 14 * 3_600_000  # as far as any two time zones that an import may mix up
_QUARTER_MILLISECONDS = 900_000  # zones differ by whole quarters of an hour

_EMPTY_MARK = mark_of("")

Times = tuple[float, float]  # the first and the last moment, milliseconds since 1970


class Match(Enum):
    """What a lead's activities say about one that was sought."""

    FOUND = "it is there"
    UNCLEAR = "it is there, or another that looks the same"
    SHARED = "it is there, or the same of another lead, which may be the same lead"
    UNREADABLE = "there is one that cannot be read"
    NEAR = "one nearly like it is there"
    ABSENT = "nothing like it is there"


def match(
    wanted: Sequence[Trace], entries: Sequence[Trace], claimed: Mapping[bytes, int], before: Mapping[bytes, int]
) -> tuple[list[Match], list[Trace]]:
    """
    Match one to one.

    :param wanted: what is sought, all of one lead
    :param entries: what Lofty lists for that lead
    :param claimed: trace → how many rows have it that are, or may be, at Lofty: known when the entries had come
    :param before: trace → how many rows have it that are at Lofty: known when the entries were asked for
    :return: for each one sought, in order, FOUND, UNCLEAR or ABSENT; and the entries that belong to none
    """
    shown = Counter(entry.trace_hash for entry in entries)
    left = Counter(shown)
    left.subtract(claimed)
    shown.subtract(before)
    found = []
    for one in wanted:
        is_there = left[one.trace_hash] > 0
        left[one.trace_hash] -= is_there
        found.append(Match.FOUND if is_there else Match.UNCLEAR if shown[one.trace_hash] > 0 else Match.ABSENT)
    surplus = []
    for entry in entries:
        if left[entry.trace_hash] > 0:
            left[entry.trace_hash] -= 1
            surplus.append(entry)
    return found, surplus


def is_near(one: Trace, entry: Trace, received: Times | None = None) -> bool:
    """
    Whether an entry may be the activity that was sought, altered by the way it is stored or shown.

    Exactly a day away is a daily import, no alteration.

    :param received: when Lofty may have received it, which it may show instead of ``created``
    """
    is_same_type = one.type.casefold() == entry.type.casefold()
    has_same_words = one.text_mark == entry.text_mark != _EMPTY_MARK or one.link_mark == entry.link_mark != _EMPTY_MARK
    apart = abs(one.moment - entry.moment)
    if apart <= NEAR_MILLISECONDS:
        return is_same_type or has_same_words
    is_of_receipt = received is not None and received[0] <= entry.moment <= received[1]
    return is_same_type and has_same_words and (is_of_receipt or _is_of_another_zone(apart))


def _is_of_another_zone(apart: int) -> bool:
    beside = min(apart % _QUARTER_MILLISECONDS, -apart % _QUARTER_MILLISECONDS)
    hours = range(3_600_000 - NEAR_MILLISECONDS, ZONE_REACH_MILLISECONDS + NEAR_MILLISECONDS + 1)
    return beside <= NEAR_MILLISECONDS and apart in hours


def reach_of(one: Trace, received: Times | None = None) -> float:
    """The oldest ``created`` that an entry may have which is this activity, or near it."""
    return min(one.created - ZONE_REACH_MILLISECONDS - NEAR_MILLISECONDS, received[0] if received else one.created)


def is_altered(wanted: Trace, entry: Trace) -> bool:
    """Whether an entry is most likely this activity, stored or shown otherwise than it was sent."""
    alike = wanted.text_mark == entry.text_mark, wanted.link_mark == entry.link_mark
    return wanted.type == entry.type and abs(wanted.created - entry.created) <= NEAR_MILLISECONDS and any(alike)
