"""
One reading of a lead: its pages become one snapshot, though entries may move while they are read.

Lofty lists activities newest ``created`` first, a page of 100 for each request, and an entry has no id. An activity
that is added between two requests moves all below it down, so that the last entries of one page stand again on the
next: they must not count twice. Twins look the same, so the page before is read once more to tell one from the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from airflow_provider_lofty.lofty.trace import Trace, mark_of_entry, trace_in_entry

PAGE_SIZE = 100  # fixed by Lofty
MOST_PAGES = 50

GetPage = Callable[[int], list[object]]


class Snapshot(NamedTuple):
    """
    What Lofty shows of a lead's activities.

    :param unreadable: a hash of each entry that cannot be read, whatever it is
    :param is_complete: whether all that was asked for was read, each entry once
    :param reached: milliseconds since 1970; what is older was not asked for. None: everything was
    """

    entries: list[Trace]
    unreadable: list[bytes]
    is_complete: bool
    reached: int | None = None


class _Moved(Exception):
    """Entries moved so that nobody can say which ones were read twice, or not at all."""


def read_lead(get_page: GetPage, lead_id: int, since: int) -> Snapshot:
    """
    Read a lead's activities, no further down than needed.

    :param get_page: makes the request for a page; they are numbered from zero
    :param since: milliseconds since 1970; older activities need not be read
    """
    for _ in range(2):
        try:
            return _Reading(get_page, lead_id, since).run()
        except _Moved:
            continue
    return _snapshot(lead_id, get_page(0), is_complete=False)  # one page by itself shows each entry once


class _Reading:
    def __init__(self, get_page: GetPage, lead_id: int, since: int) -> None:
        self._get_page = get_page
        self._lead_id = lead_id
        self._since = since
        self._oldest = math.inf
        self._is_in_order = True

    def run(self) -> Snapshot:
        first = page = self._get_page(0)
        entries, number = list(first), 0
        self._look_at(first)
        while len(page) >= PAGE_SIZE and not self._is_deep_enough:
            number += 1
            before, page = page, self._get_page(number) if number < MOST_PAGES else []
            if number == MOST_PAGES or page == before:  # the same page again: the server ignores the number
                return _snapshot(self._lead_id, entries, is_complete=False)
            new = page[self._count_moved(number, before, page) :]
            entries += new
            self._look_at(new)
        if number and _lacks_some(self._get_page(0), first, entries[len(first) :]):
            raise _Moved
        reached = self._since if len(page) >= PAGE_SIZE else None
        return _snapshot(self._lead_id, entries, is_complete=True, reached=reached)

    def _look_at(self, entries: Sequence[object]) -> None:
        """Take note of how far down these go; where they are in no order, nobody can tell."""
        for entry in entries:
            trace = trace_in_entry(self._lead_id, entry)
            if trace is not None:
                self._is_in_order &= trace.moment <= self._oldest
                self._oldest = trace.moment

    @property
    def _is_deep_enough(self) -> bool:
        return self._is_in_order and self._oldest < self._since

    def _count_moved(self, number: int, before: list[object], page: list[object]) -> int:
        """
        Count the entries at the top of a page that stood at the end of the one before and have moved here.

        :raises _Moved: when nobody can tell
        """
        repeated = [count for count in range(1, len(page) + 1) if page[:count] == before[-count:]]
        if not repeated:
            return 0
        again = self._get_page(number - 1)
        if again == before:
            return 0  # they are twins
        moved = [count for count in repeated if again[count:] == before[:-count]]
        if len(moved) != 1:
            raise _Moved
        return moved[0]


def _lacks_some(again: list[object], first: list[object], below: list[object]) -> bool:
    """Whether entries of the first page are gone; new ones only push its last ones to the next page."""
    there, new = 0, []
    for entry in again:
        if there < len(first) and entry == first[there]:
            there += 1
        else:
            new.append(entry)
    pushed = first[there:]
    return there == 0 or len(pushed) != len(new) or any(entry in pushed or entry in below for entry in new)


def _snapshot(lead_id: int, entries: list[object], *, is_complete: bool, reached: int | None = None) -> Snapshot:
    found = [(entry, trace_in_entry(lead_id, entry)) for entry in entries]
    return Snapshot(
        [trace for _, trace in found if trace is not None],
        [mark_of_entry(entry) for entry, trace in found if trace is None],
        is_complete,
        reached,
    )
