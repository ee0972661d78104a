"""
Whether a page shows all that ought to be there: what it lacks is found once, and serves every doubt of its lead.

A lead may have thousands of rows and hundreds of doubts, so nothing here looks at all rows for each doubt.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from airflow_provider_lofty.delivery.doubt import Page
from airflow_provider_lofty.lofty.trace import trace_of_body
from airflow_provider_lofty.spool.history import OfAnother
from airflow_provider_lofty.spool.spool import PendingRow


class _Lacking(NamedTuple):
    """
    Rows that look alike, and are more than a page shows of them.

    :param shown: how many it shows
    :param rows: when the requests of those of this run began; sorted
    :param others: when those of other runs were closed, as journals write times
    """

    shown: int
    rows: list[float]
    others: list[str]

    def lacks(self, before: float, since: str, until: str) -> bool:
        rows = sum(began < before for began in self.rows)
        return rows + sum(since <= closed_at < until for closed_at in self.others) > self.shown


class Completeness:
    """
    What a lead's page shows of the rows that Lofty has.

    :param rows: of this run, each of which Lofty has at this lead
    :param began: when requests of rows began, by their number; of the others, long ago
    :param others: what other runs have delivered to this lead
    """

    def __init__(
        self, page: Page, rows: Iterable[PendingRow], began: Mapping[int, float], others: Iterable[OfAnother]
    ) -> None:
        self._page = page
        self._rows = rows
        self._began = began
        self._others = others

    def shows_all(self, before: float, since: str, until: str) -> bool:
        """
        Whether all is shown that was begun before a moment.

        :param before: by the clock
        :param since: from when on what other runs delivered has to be shown, too, as journals write times
        :param until: until when
        """
        if self._lacks_rows_since < before:
            return False
        return not any(one.lacks(before, since, until) for one in self._lacking if one.others)

    @cached_property
    def _lacks_rows_since(self) -> float:
        """When the first row of this run that is not shown began; of those that look alike, the older are shown."""
        return min((one.rows[one.shown] for one in self._lacking if len(one.rows) > one.shown), default=math.inf)

    @cached_property
    def _lacking(self) -> list[_Lacking]:
        return list(self._find_lacking())

    def _find_lacking(self) -> Iterator[_Lacking]:
        shown = Counter(entry.trace_hash for entry in self._page.entries)
        rows: defaultdict[bytes, list[PendingRow]] = defaultdict(list)
        others: defaultdict[bytes, list[OfAnother]] = defaultdict(list)
        for row in self._rows:
            rows[row.trace_hash].append(row)
        for other in self._others:
            others[other.trace_hash].append(other)
        for trace_hash in rows.keys() | others.keys():
            ours, theirs = rows.get(trace_hash, []), others.get(trace_hash, [])
            if len(ours) + len(theirs) > shown[trace_hash] and not self._is_below(ours, theirs):
                began = sorted(self._began.get(row.n, -math.inf) for row in ours)
                yield _Lacking(shown[trace_hash], began, [other.closed_at for other in theirs])

    def _is_below(self, ours: list[PendingRow], theirs: list[OfAnother]) -> bool:
        """Whether rows that look alike are older than what was asked for."""
        if self._page.reached is None:
            return False
        created = theirs[0].created if theirs else trace_of_body(ours[0].lead_id, ours[0].body).created
        return created < self._page.reached
