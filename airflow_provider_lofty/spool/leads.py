"""
Which leads may show the same activities: those that Lofty has merged.

Where two leads are one, an activity that was sent to the one is shown for the other, too. Lofty names a lead in its
answers, so most are known to be themselves or a part of another one: until they are merged. So an entry that may be of
the same row of another lead belongs to nobody before Lofty says anew which lead each of them is.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import CONTENT_BYTES, CONTENT_HAS_CHANGED, JournalState
from airflow_provider_lofty.spool.schema import CONTENT, INDEX_CONTENTS, INDEX_LEADS, MAY_BE_STORED

MOST_ALIKE = 20  # leads with the same row that Lofty is asked about; of more, what was answered last is believed
_SCHEMA = (
    "CREATE TABLE lead_links (lead_id INTEGER, other INTEGER, is_certain INTEGER, PRIMARY KEY (lead_id, other))",
    "CREATE INDEX lead_links_back ON lead_links (other)",
    "CREATE TABLE strays (n INTEGER, content BLOB NOT NULL, lead_id INTEGER NOT NULL)",
    "CREATE INDEX strays_by_content ON strays (content)",
)
_INDEX_PAST_CONTENTS = "CREATE INDEX IF NOT EXISTS past_rows_by_content ON past_rows (content) WHERE content <> x''"
_SAYS = f"body IS NOT NULL AND {CONTENT} = ?"  # as the index has it, which is not used else
_STORED = f"outcome IN ('{Outcome.DELIVERED}', '{Outcome.ALREADY_DELIVERED}')"
_IS_THERE = (
    f"(({_STORED} OR outcome = '{Outcome.UNKNOWN}') AND coalesce(error, '') <> '{CONTENT_HAS_CHANGED}'"
    f" OR {MAY_BE_STORED})"
)
_IS_DELIVERED = f"state = '{JournalState.DELIVERED}'"
_MAY_BE_DELIVERED = f"state IN ('{JournalState.DELIVERED}', '{JournalState.CLAIMED}')"
_SAME = f"SELECT 1 FROM rows WHERE rows.row_key = p.row_key AND coalesce(rows.error, '') <> '{CONTENT_HAS_CHANGED}'"
_WAS_SENT = f"state IN ('{JournalState.DELIVERED}', '{JournalState.INTENDED}', '{JournalState.CLAIMED}')"


class Link(NamedTuple):
    """
    With which lead's id Lofty has answered for a lead; its own when it is itself.

    :param is_certain: whether the answer was surely its own
    """

    lead_id: int
    other: int
    is_certain: bool


class Leads:
    """
    What answers have said of leads.

    :param db: the spool's database
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        for statement in _SCHEMA:
            db.execute(statement)

    def link(self, links: Iterable[Link]) -> None:
        """Take in what answers have said; what is certain stays so."""
        self._db.executemany(
            "INSERT INTO lead_links VALUES (?, ?, ?)"
            " ON CONFLICT (lead_id, other) DO UPDATE SET is_certain = max(is_certain, excluded.is_certain)",
            links,
        )

    def family(self, lead_id: int, *, is_certain: bool) -> set[int]:
        """
        All leads that show what this one shows, with itself.

        :param is_certain: leave out those of which that is not certain
        """
        family, new = {lead_id}, [lead_id]
        while new:
            one = new.pop()
            linked = self._linked(one, is_certain=is_certain) - family
            family |= linked
            new += linked
        return family

    def _linked(self, lead_id: int, *, is_certain: bool) -> set[int]:
        found = self._db.execute("SELECT * FROM lead_links WHERE lead_id = :lead OR other = :lead", {"lead": lead_id})
        links = [Link(*link) for link in found]
        counted = [link for link in links if link.is_certain or not (is_certain or self.is_known(link.lead_id))]
        return {lead for link in counted for lead in (link.lead_id, link.other)}

    def is_known(self, lead_id: int) -> bool:
        """Whether it is known where this lead's activities are shown: Lofty has answered, and named it or another."""
        self._db.execute(INDEX_LEADS)
        found = self._db.execute(
            "SELECT 1 FROM lead_links WHERE lead_id = :lead AND is_certain UNION ALL"
            f" SELECT 1 FROM rows WHERE lead_id = :lead AND outcome = '{Outcome.DELIVERED}' AND http_status = 200"
            " AND error IS NULL LIMIT 1",
            {"lead": lead_id},
        )
        return found.fetchone() is not None

    def is_suspected(self, lead_id: int) -> bool:
        """Whether an answer that may have been another request's named another lead for it."""
        return len(self.family(lead_id, is_certain=False)) > len(self.family(lead_id, is_certain=True))

    # Whose an entry may be

    def add_stray(self, n: int | None, content: bytes, lead_id: int) -> None:
        """
        Take note of a row that may be stored without an answer that named its lead.

        :param n: its number; None when the input no longer has it
        """
        self._db.execute("INSERT INTO strays VALUES (?, ?, ?)", (n, content, lead_id))

    def drop_stray(self, n: int) -> None:
        """A row proved not to be stored."""
        self._db.execute("DELETE FROM strays WHERE n = ?", (n,))

    def alike(self, content: bytes, lead_id: int) -> set[int | None]:
        """
        Other leads of which a row is at Lofty, or may be, that says the same; all, or more than :data:`MOST_ALIKE`.

        :return: None among them where nobody knows which lead it is
        """
        self._db.execute(INDEX_CONTENTS)
        self._db.execute(_INDEX_PAST_CONTENTS)
        is_other = f"(lead_id IS NULL OR lead_id NOT IN ({_listed(self.family(lead_id, is_certain=False))}))"
        is_past = f"content <> x'' AND {_WAS_SENT} AND (lead_id IS NOT NULL OR NOT EXISTS ({_SAME}))"
        selects = (
            ("strays WHERE content = ?", content),
            (f"rows WHERE {_SAYS} AND {_IS_THERE}", content),
            (f"past_rows p WHERE content = ? AND {is_past}", content[:CONTENT_BYTES]),
        )
        found: set[int | None] = set()
        for which, sought in selects:
            leads = f"SELECT DISTINCT lead_id FROM {which} AND {is_other} LIMIT {MOST_ALIKE + 1}"
            found.update(lead for (lead,) in self._db.execute(leads, (sought,)))
        return found

    def unnamed(self, content: bytes, lead_id: int) -> set[int]:
        """Other leads that no answer has named, of which a row that says the same may be stored."""
        strays = self._db.execute("SELECT DISTINCT lead_id FROM strays WHERE content = ?", (content,)).fetchall()
        others = {other for (other,) in strays} - self.family(lead_id, is_certain=False)
        return {other for other in others if not self.is_known(other)}

    def delivered_contents(self, leads: Collection[int], *, is_certain: bool) -> Counter[bytes]:
        """
        Count the rows known to be delivered to any of these leads, by content.

        Those of which only a journal knows are counted by the first bytes of theirs, which is all that journals keep.

        :param is_certain: else with those that other runs are sending, and those that may be of another lead: journals
            do not always say of which lead a row is
        """
        if not leads:
            return Counter()
        self._db.execute(INDEX_LEADS)
        which = _listed(leads)
        found = Counter(dict(self._db.execute(
            f"SELECT {CONTENT}, COUNT(DISTINCT row_key) FROM rows WHERE lead_id IN ({which}) AND body IS NOT NULL"
            f" AND {_STORED} AND coalesce(error, '') <> ? GROUP BY 1", (CONTENT_HAS_CHANGED,),
        ).fetchall()))  # fmt: skip
        states = _IS_DELIVERED if is_certain else _MAY_BE_DELIVERED
        may_be_of_these = "" if is_certain else " OR lead_id IS NULL"
        found.update(dict(self._db.execute(
            f"SELECT content, COUNT(*) FROM past_rows p WHERE content <> x'' AND {states}"
            f" AND (lead_id IN ({which}){may_be_of_these}) AND NOT EXISTS ({_SAME} AND rows.{_STORED}) GROUP BY 1"
        ).fetchall()))  # fmt: skip
        return found

    def has_delivered(self, content: bytes, leads: Collection[int], since: str) -> bool:
        """
        Whether a row that says this was delivered to one of these leads, by this run or another that uses its journal.

        :param since: no earlier than this, as journals write times
        """
        self._db.execute(INDEX_CONTENTS)
        here = f"rows WHERE {_SAYS} AND {_STORED} AND sent_at >= ?"
        there = "rows_of_others JOIN past_rows p USING (row_key, lead_id) WHERE p.content = ? AND closed_at >= ?"
        return any(
            self._db.execute(f"SELECT 1 FROM {which} AND lead_id IN ({_listed(leads)}) LIMIT 1", sought).fetchone()
            for which, sought in ((here, (content, since)), (there, (content[:CONTENT_BYTES], since)))
        )


def _listed(leads: Collection[int]) -> str:
    return ",".join(map(str, leads))
