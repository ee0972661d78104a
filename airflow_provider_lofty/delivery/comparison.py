"""
A lead's page beside what is sought on it, and beside what the journal knows of the lead.

The journal is asked twice: before the first page is asked for, and after the last one came. Other runs send meanwhile.
What they have, or may have, at the end claims entries, so that none of theirs is taken for a row of this run; but only
what they had at the beginning explains an entry away, where a row is to be proved absent.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from airflow_provider_lofty.delivery.doubt import Page
from airflow_provider_lofty.delivery.identities import Identities
from airflow_provider_lofty.delivery.matching import ZONE_REACH_MILLISECONDS, Match, Times, is_altered, is_near, match
from airflow_provider_lofty.journal.journal import Journal
from airflow_provider_lofty.lofty.trace import Trace, trace_of_body
from airflow_provider_lofty.spool.history import CONTENT_BYTES
from airflow_provider_lofty.spool.spool import Spool

_SECOND = 1000
_ZONES = range(-ZONE_REACH_MILLISECONDS // _SECOND, ZONE_REACH_MILLISECONDS // _SECOND + 1, 900)
_SECONDS_BESIDE = (-2, -1, 0, 1, 2)
_FEW = 3 * len(_ZONES)


class Wanted(NamedTuple):
    """
    An activity that is sought.

    :param first_sent: by the clock; when a request with it first began, ``-inf`` where that may be any time ago
    :param received: when Lofty may have received it, where that is known
    :param since: as journals write times; what Lofty was sent later need not be shown, even where this is
    :param may_be_answered: an answer to another process may still prove it
    """

    trace: Trace
    first_sent: float = -math.inf
    received: Times | None = None
    since: str = ""
    may_be_answered: bool = False


class Compared(NamedTuple):
    """
    What a page says.

    :param matches: for each activity that was sought, in order
    :param rest: what the entries that belong to no row say of any other activity
    :param surplus: these entries
    :param delivered: trace → how many rows with it are known to be delivered, those of merged leads included
    """

    matches: list[Match]
    rest: Rest
    surplus: list[Trace]
    delivered: Counter[bytes]


class Comparer:
    """Compares pages with what is sought, each between two looks at the journal."""

    def __init__(self, spool: Spool, journal: Journal, identities: Identities) -> None:
        self._spool = spool
        self._journal = journal
        self._identities = identities
        self._meanwhile: dict[int, Counter[bytes]] = {}  # of each lead that is being read
        self._of_family: dict[int, Counter[bytes]] = {}  # delivered to leads that were merged with it, by content

    def ask(self, lead_id: int, on_their_way: Iterable[bytes]) -> None:
        """
        Take note, before a lead is read, of what is known to be there.

        :param on_their_way: traces of rows of this run that may come to be there while it is read
        :raises JournalError: when the journal fails
        """
        self._load(lead_id)
        self._meanwhile[lead_id] = Counter(on_their_way)
        self._of_family[lead_id] = self._in_family(lead_id)

    def _in_family(self, lead_id: int) -> Counter[bytes]:
        """Count what was delivered to leads that were merged with this one, by content."""
        others = self._spool.leads.family(lead_id, is_certain=True) - {lead_id}
        return self._spool.leads.delivered_contents(others, is_certain=True)

    def _load(self, lead_id: int) -> None:
        for one in self._spool.leads.family(lead_id, is_certain=False):
            self._journal.load_lead(one, self._spool)

    def came(self, lead_id: int, trace_hash: bytes) -> None:
        """Learn that another run has delivered a row; it need not have been there when the lead was asked for."""
        if lead_id in self._meanwhile:
            self._meanwhile[lead_id][trace_hash] += 1

    def forget(self, lead_id: int) -> None:
        """A lead could not be read."""
        self._meanwhile.pop(lead_id, None)
        self._of_family.pop(lead_id, None)

    def compare(
        self, page: Page, wanted: Sequence[Wanted], perhaps: Counter[bytes], others: Sequence[Trace] = ()
    ) -> Compared:
        """
        Compare a lead's page with what is sought.

        :param perhaps: trace → how many other rows of this run have it that may be there
        :param others: rows of this run and of other leads that may be there, if the leads were merged
        :raises JournalError: when the journal fails
        """
        history, shown = self._spool.history, [entry.trace_hash for entry in page.entries]
        before = history.delivered_traces(shown) - self._meanwhile.pop(page.lead_id, Counter())
        of_family = _as_shown(page, self._of_family.pop(page.lead_id, Counter()))
        before += of_family
        self._load_alike(page, wanted)
        self._load(page.lead_id)
        delivered = history.delivered_traces(shown)
        claimed = delivered + perhaps + history.claimed_traces() + self._claimed_by_family(page, others)
        found, surplus = match([one.trace for one in wanted], page.entries, claimed, before)
        matches = list(zip(wanted, found, strict=True))
        unsure = self._perhaps_altered(page, [one.trace for one, said in matches if said is Match.FOUND])
        unsure |= {one.trace for one, said in matches if one.may_be_answered and said is Match.UNCLEAR}
        rest = Rest(page, surplus, history.first_page(page.lead_id))
        said_of_each = [
            Match.UNCLEAR if one.trace in unsure
            else Match.UNCLEAR if said is Match.ABSENT and one.trace.trace_hash in of_family and self._is_late(one)
            else rest.match(one) if said is Match.ABSENT
            else Match.SHARED if said is Match.FOUND and self._identities.may_be_shared(one.trace, others, page)
            else said
            for one, said in matches
        ]  # fmt: skip
        return Compared(said_of_each, rest, surplus, delivered + _as_shown(page, self._in_family(page.lead_id)))

    def _load_alike(self, page: Page, wanted: Sequence[Wanted]) -> None:
        shown = {entry.trace_hash for entry in page.entries}
        for one in wanted:
            if one.trace.trace_hash in shown:
                self._journal.load_alike(one.trace, self._spool)

    def _claimed_by_family(self, page: Page, others: Sequence[Trace]) -> Counter[bytes]:
        """Count what a page may show of leads that were, or may have been, merged with its lead."""
        family = self._spool.leads.family(page.lead_id, is_certain=False) - {page.lead_id}
        if not family:
            return Counter()
        on_their_way = Counter(other.content for other in others if other.lead_id in family)
        there = self._spool.leads.delivered_contents(family, is_certain=False)
        return _as_shown(page, there + on_their_way)

    def _is_late(self, one: Wanted) -> bool:
        """Whether the same row of a merged lead may not be shown yet, so that the entry may be of this one."""
        others = self._spool.leads.family(one.trace.lead_id, is_certain=True) - {one.trace.lead_id}
        return self._spool.leads.has_delivered(one.trace.content, others, one.since)

    def _perhaps_altered(self, page: Page, found: list[Trace]) -> set[Trace]:
        """Of activities that are shown: those whose entry may be that of a delivered row, altered."""
        if not found:
            return set()
        shown = {entry.trace_hash for entry in page.entries}
        lacking = (row for row in self._spool.delivered_to_lead(page.lead_id) if row.trace_hash not in shown)
        by_second = _by_second(found)
        traces = (trace_of_body(row.lead_id, row.body) for row in lacking)
        return {one for trace in traces for one in _beside(by_second, trace.moment) if is_altered(one, trace)}


def _as_shown(page: Page, contents: Counter[bytes]) -> Counter[bytes]:
    """Count rows of merged leads by the traces that a page shows for them."""
    if not contents:
        return Counter()
    said_by = {entry.trace_hash: entry.content for entry in page.entries}
    shown = {trace_hash: contents[said] + contents[said[:CONTENT_BYTES]] for trace_hash, said in said_by.items()}
    return Counter({trace_hash: count for trace_hash, count in shown.items() if count})


class Rest:
    """
    Entries that belong to no row: one of them may be what is sought, altered.

    :param first: when the lead was first asked for, and what it showed then: no request that began later put it there
    """

    def __init__(self, page: Page, surplus: list[Trace], first: tuple[float, Counter[bytes]] | None) -> None:
        self._first_asked, seen = first or (math.inf, Counter())
        self._all = _Likeness(surplus)
        self._new = _Likeness(_among(surplus, Counter(entry.trace_hash for entry in page.entries) - seen))
        self._unreadable = Counter(page.unreadable)
        self._new_unreadable = self._unreadable - seen

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left over, so that whatever is not there is absent."""
        return not (self._all or self._unreadable)

    def match(self, one: Wanted) -> Match:
        """Say whether one of them may be this activity: UNREADABLE, NEAR or ABSENT."""
        is_later = one.first_sent >= self._first_asked
        if self._new_unreadable if is_later else self._unreadable:
            return Match.UNREADABLE
        likeness = self._new if is_later else self._all
        return Match.NEAR if likeness.has_near(one) else Match.ABSENT


def _among(entries: Iterable[Trace], counts: Counter[bytes]) -> list[Trace]:
    """Keep no more entries of each trace than its count says."""
    kept = []
    for entry in entries:
        if counts[entry.trace_hash] > 0:
            counts[entry.trace_hash] -= 1
            kept.append(entry)
    return kept


def _by_second(entries: Iterable[Trace]) -> defaultdict[int, list[Trace]]:
    """Sort entries by the second of their ``created``: a lead may have thousands, and as many rows."""
    found: defaultdict[int, list[Trace]] = defaultdict(list)
    for entry in entries:
        found[entry.moment // _SECOND].append(entry)
    return found


def _beside(by_second: Mapping[int, list[Trace]], moment: int) -> Iterator[Trace]:
    """The entries of about a moment, in milliseconds since 1970."""
    return (entry for beside in _SECONDS_BESIDE for entry in by_second.get(moment // _SECOND + beside, ()))


class _Likeness:
    """Entries, and whether one of them may be an activity, altered."""

    def __init__(self, entries: Sequence[Trace]) -> None:
        self._entries = entries
        self._by_second = _by_second(entries if len(entries) > _FEW else ())

    def __bool__(self) -> bool:
        return bool(self._entries)

    def has_near(self, one: Wanted) -> bool:
        trace, received = one.trace, one.received
        entries: Iterable[Trace] = self._entries
        if self._by_second and received is None:
            entries = chain.from_iterable(_beside(self._by_second, trace.moment + zone * _SECOND) for zone in _ZONES)
        return any(is_near(trace, entry, received) for entry in entries)
