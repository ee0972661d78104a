"""
Whose the rows' e-mail addresses and phone numbers are, beside the rows in the spool's file.

Each different address and number is looked for once, whatever the number of rows that have it, and all stays on disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from airflow_provider_lofty.lofty.lead_keys import KEY_NAMES, KeyKind
from airflow_provider_lofty.lofty.lead_pages import ListedLead
from airflow_provider_lofty.lofty.trace import trace_of_body
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.schema import LACKS_LEAD

_PERHAPS_SENT = "; perhaps sent by an earlier try, which left no journal"
_PERHAPS_HELD = "; but another run is sending it or has it in doubt: it may be stored"
_BATCH = 500
_MOST_IDS = 20  # in the error of a row
_SCHEMA = (
    # leads: how many have it; NULL as long as that is unknown. problem: why none of them can be taken
    "CREATE TABLE lead_keys (kind TEXT, key TEXT, leads INTEGER, problem TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID",
    "CREATE TABLE key_owners (kind TEXT, key TEXT, lead_id INTEGER, PRIMARY KEY (kind, key, lead_id)) WITHOUT ROWID",
    "CREATE TABLE listed_leads (lead_id INTEGER PRIMARY KEY)",
    "CREATE TABLE lookups (key TEXT PRIMARY KEY) WITHOUT ROWID",
)
_COUNT_OWNERS = (
    "UPDATE lead_keys SET leads ="
    " (SELECT COUNT(*) FROM key_owners o WHERE o.kind = lead_keys.kind AND o.key = lead_keys.key)"
)
_NAME_OWNERS = (
    "UPDATE lead_keys SET problem = leads || ' leads have this ' || ? || ': ' || (SELECT group_concat(lead_id, ', ')"
    " FROM (SELECT lead_id FROM key_owners o WHERE o.kind = lead_keys.kind AND o.key = lead_keys.key"
    f" ORDER BY lead_id LIMIT {_MOST_IDS})) || CASE WHEN leads > {_MOST_IDS} THEN ', …' ELSE '' END"
    " WHERE kind = ? AND leads > 1"
)
_COPY_TO_REPEATS = (
    "UPDATE rows SET (lead_id, matched_by) = (SELECT o.lead_id, o.matched_by FROM rows o WHERE o.n = rows.duplicate_of)"
    f" WHERE outcome = '{Outcome.DUPLICATE}' AND lead_id IS NULL"
)
_FAIL_REPEATS = (
    f"UPDATE rows SET outcome = '{Outcome.UNMATCHED}', (error_field, error) ="
    " (SELECT o.error_field, o.error FROM rows o WHERE o.n = rows.duplicate_of)"
    f" WHERE outcome = '{Outcome.DUPLICATE}'"
    f" AND duplicate_of IN (SELECT n FROM rows WHERE outcome = '{Outcome.UNMATCHED}')"
)


class LeadBook:
    """
    What leads are looked for by, and what was found.

    :param db: the spool's database
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._kinds: Sequence[KeyKind] = ()
        for statement in _SCHEMA:
            db.execute(statement)

    def gather(self, kinds: Sequence[KeyKind]) -> dict[KeyKind, int]:
        """
        Collect the different keys of the rows that lack their lead.

        :param kinds: in the order in which they are to be used
        :return: how many keys there are of each kind; kinds without any are left out
        """
        self._kinds = kinds
        for kind in kinds:
            self._db.execute(
                f"INSERT INTO lead_keys (kind, key) SELECT DISTINCT ?, {kind} FROM rows"
                f" WHERE {LACKS_LEAD} AND {kind} IS NOT NULL ORDER BY {kind}",
                (kind,),
            )
        counted = dict(self._db.execute("SELECT kind, COUNT(*) FROM lead_keys GROUP BY kind"))
        return {kind: counted[kind] for kind in kinds if kind in counted}

    # One by one

    def lookups(self, kind: KeyKind) -> Iterator[str]:
        """
        The keys of a kind that are needed: by rows whose lead no earlier kind tells.

        What is found may be recorded on the way.
        """
        earlier = self._kinds[: self._kinds.index(kind)]
        is_open = "".join(f" AND NOT {_is_told(other)}" for other in earlier)
        self._db.execute("DELETE FROM lookups")
        self._db.execute(
            f"INSERT INTO lookups SELECT DISTINCT {kind} FROM rows"
            f" WHERE {LACKS_LEAD} AND {kind} IS NOT NULL{is_open} ORDER BY {kind}"
        )
        last = ""
        while keys := [key for (key,) in self._db.execute(
            f"SELECT key FROM lookups WHERE key > ? ORDER BY key LIMIT {_BATCH}", (last,)
        )]:  # fmt: skip
            yield from keys
            last = keys[-1]

    def record(self, kind: KeyKind, key: str, lead_ids: Sequence[int]) -> None:
        """Write down which leads have a key: all, or two of them at least."""
        self._db.executemany("INSERT INTO key_owners VALUES (?, ?, ?)", [(kind, key, one) for one in lead_ids])
        self._db.execute("UPDATE lead_keys SET leads = ? WHERE kind = ? AND key = ?", (len(lead_ids), kind, key))

    def refuse(self, kind: KeyKind, key: str, problem: str) -> None:
        """Write down why it cannot be said which leads have a key."""
        self._db.execute("UPDATE lead_keys SET problem = ? WHERE kind = ? AND key = ?", (problem, kind, key))

    # All leads

    def forget(self) -> None:
        """Forget what was found so far."""
        self._db.execute("DELETE FROM key_owners")
        self._db.execute("DELETE FROM listed_leads")
        self._db.execute("UPDATE lead_keys SET leads = NULL, problem = NULL")

    def take_listed(self, leads: Iterable[ListedLead]) -> None:
        """Write down which of the keys these have."""
        for lead in leads:
            self._db.execute("INSERT OR IGNORE INTO listed_leads VALUES (?)", (lead.lead_id,))
            self._db.executemany(
                "INSERT OR IGNORE INTO key_owners SELECT kind, key, ? FROM lead_keys WHERE kind = ? AND key = ?",
                [(lead.lead_id, kind, key) for kind in self._kinds for key in lead.keys[kind]],
            )

    def count_listed(self) -> int:
        """How many different leads were read."""
        return int(self._db.execute("SELECT COUNT(*) FROM listed_leads").fetchone()[0])

    def end_list(self) -> None:
        """All leads were read: what none of them has, nobody has."""
        self._db.execute(_COUNT_OWNERS)

    # What follows for the rows

    def assign(self, *, has_gaps: bool) -> None:
        """
        Give the rows their leads, or the outcome ``unmatched``.

        The first kind that any lead has decides: of several leads none is taken, whatever a later kind says.

        :param has_gaps: earlier tries may have sent rows that nobody wrote down, to a lead that they matched then
        """
        self._db.create_function("trace_of", 2, lambda lead_id, body: trace_of_body(lead_id, body).trace_hash)
        for kind in self._kinds:
            self._db.execute(_NAME_OWNERS, (KEY_NAMES[kind], kind))
            self._db.execute(
                f"UPDATE rows SET matched_by = ?, lead_id = {_of_key(kind, 'SELECT lead_id FROM key_owners')}"
                f" WHERE {LACKS_LEAD} AND 1 = {_of_key(kind, 'SELECT leads FROM lead_keys')}",
                (kind,),
            )
            problem = _of_key(kind, "SELECT problem FROM lead_keys")
            self._db.execute(
                f"UPDATE rows SET outcome = '{Outcome.UNMATCHED}', error_field = ?, error = {problem}"
                f" WHERE {LACKS_LEAD} AND {problem} IS NOT NULL",
                (kind,),
            )
        self._refuse_nobodys()
        self._db.execute(
            "UPDATE rows SET trace_hash = trace_of(lead_id, body) WHERE matched_by IS NOT NULL AND outcome IS NULL"
        )
        if has_gaps:
            self._doubt_unmatched(_PERHAPS_SENT)
        self._doubt_unmatched(_PERHAPS_HELD, "row_key IN (SELECT row_key FROM held_rows)")
        self._db.execute(_COPY_TO_REPEATS)
        self._db.execute(_FAIL_REPEATS)

    def _doubt_unmatched(self, why: str, which: str = "TRUE") -> None:
        """Rows that nobody has may be stored all the same, at a lead that had their key before."""
        self._db.execute(
            f"UPDATE rows SET outcome = '{Outcome.UNKNOWN}', error = error || ?"
            f" WHERE outcome = '{Outcome.UNMATCHED}' AND {which}",
            (why,),
        )

    def _refuse_nobodys(self) -> None:
        fields = ", ".join(self._kinds)
        has_all = " AND ".join(f"{kind} IS NOT NULL" for kind in self._kinds)
        names = " or ".join(KEY_NAMES[kind] for kind in self._kinds)
        one_field = "".join(f" WHEN {kind} IS NOT NULL THEN '{kind}'" for kind in self._kinds)
        one_name = "".join(f" WHEN {kind} IS NOT NULL THEN '{KEY_NAMES[kind]}'" for kind in self._kinds)
        self._db.execute(
            f"UPDATE rows SET outcome = '{Outcome.UNMATCHED}',"
            f" error_field = CASE WHEN {has_all} THEN '{fields}'{one_field} END,"
            f" error = 'no lead has this ' || CASE WHEN {has_all} THEN '{names}'{one_name} END WHERE {LACKS_LEAD}"
        )


def _of_key(kind: KeyKind, select: str) -> str:
    """Ask for something about a row's key."""
    return f"({select} k WHERE k.kind = '{kind}' AND k.key = rows.{kind})"


def _is_told(kind: KeyKind) -> str:
    """Whether a row's key of this kind says what becomes of the row."""
    return f"coalesce({_of_key(kind, 'SELECT leads > 0 OR problem IS NOT NULL FROM lead_keys')}, 0)"
