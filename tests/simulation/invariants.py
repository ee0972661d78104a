"""
What must hold when a world is over.

Rows whose activities look alike to whoever reads them back, under different keys or of leads that were merged, are
*twins*: nobody can tell whose of them is at Lofty, so they are counted together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from airflow_provider_lofty.spool.history import CONTENT_HAS_CHANGED
from simulation.lofty import Stored
from simulation.worlds import Ending, Row, Task, Try

OUTCOMES = (
    "delivered", "already_delivered", "duplicate", "invalid", "rejected", "unknown", "not_attempted", "unmatched",
    "would_send",
)  # fmt: skip
STORED = ("delivered", "already_delivered")
FAILED = ("invalid", "rejected", "unknown", "not_attempted")
PERSON = "whoever has the address"
OPEN = ("resend", "assume_delivered")  # the author's ways out: these may send twice, or call delivered what is not


class Look(NamedTuple):
    """What reading back can see of an activity; of a row that looks for its lead, whichever that is: ``PERSON``."""

    lead_id: Any
    type: str
    created: int
    text: str
    link: str


def violations(ending: Ending, known: Collection[str] = ()) -> list[str]:
    """
    Say what is wrong.

    :param known: breaks that are looked over where a world has their cause, because no setting keeps that out
    """
    return Judge(ending, known).violations()


class Judge:
    """Compares what the tries said with what is at Lofty."""

    def __init__(self, ending: Ending, known: Collection[str]) -> None:
        self._ending = ending
        self._known = known
        self._lead = ending.lofty.lead
        self._rows = {_mark(row.cells["picture"]): row for life in ending.lives for row in life.task.all_rows}
        self._stored = Counter(self._look_of_entry(one) for one in ending.lofty.ours())
        self._marks = {one.row for one in ending.lofty.ours()}
        self._keys: dict[Look, set[str]] = defaultdict(set)
        self._open: set[Look] = set()
        for life in ending.lives:
            for row in life.task.all_rows:
                self._keys[self._look(row)].add(_identity(row, life.task))
                if life.task.on_unknown in OPEN:
                    self._open.add(self._look(row))
        self._claimed: dict[Look, set[str]] = defaultdict(set)
        for one in ending.tries:
            for look, keys in self._claims(one).items():
                self._claimed[look] |= keys

    def _look(self, row: Row) -> Look:
        """How a row is shown, and where: leads that were merged show the same."""
        return _look(row)._replace(lead_id=PERSON if row.person else self._lead(row.lead_id))

    def _look_of_entry(self, one: Stored) -> Look:
        entry = one.entry
        row = self._rows.get(one.row or "")
        lead_id = PERSON if row is not None and row.person else self._lead(one.asked)
        return Look(lead_id, entry["type"], entry["created"], entry["text"], entry["link"])

    def violations(self) -> list[str]:
        return [*self._endless(), *self._twice(), *self._altered(), *self._of_another(), *self._of_tries(), *self._of_last_words(),
                *self._of_the_journal()]  # fmt: skip

    def _endless(self) -> Iterator[str]:
        if self._ending.endless:
            yield f"the world does not end ({self._ending.endless})"

    def _twice(self) -> Iterator[str]:
        for look, times in self._stored.items():
            if times > len(self._keys[look]) and look not in self._open:
                yield f"twice: {_names(self._keys[look])} at Lofty {times} times"

    def _altered(self) -> Iterator[str]:
        """Nothing is changed on its way."""
        for look in self._stored:
            if look not in self._keys:
                yield f"altered: Lofty has {look}, which no row looks like"

    def _of_another(self) -> Iterator[str]:
        """No row goes to a lead that never was the only one to have its address."""
        for one in self._ending.lofty.ours():
            row = self._rows.get(one.row or "")
            if row is not None and row.person and (row.person, one.asked) not in self._ending.lofty.ever_alone:
                yield f"another: {row.key} of {row.person} was sent to lead {one.asked}"

    def _claims(self, one: Try) -> dict[Look, set[str]]:
        """What a try calls delivered."""
        claims: dict[Look, set[str]] = defaultdict(set)
        for said in one.outcomes:
            row = self._rows[_mark(said["picture"])]
            is_of_another_content = said["lofty_error"] == CONTENT_HAS_CHANGED
            if said["lofty_outcome"] in STORED and not is_of_another_content:
                claims[self._look(row)].add(_identity(row, one.task.task))
        return claims

    def _of_tries(self) -> Iterator[str]:
        for one in self._ending.tries:
            if not one.has_ended:
                continue
            yield from _balance(one)
            for look, keys in self._claims(one).items():
                if len(keys) > self._stored[look] and look not in self._open:
                    yield f"lost: {one.name} calls {_names(keys)} delivered, and Lofty has {self._stored[look]} of these"

    def _of_last_words(self) -> Iterator[str]:
        for life in self._ending.lives:
            if life.last_word is None:
                if life.tries[-1].has_ended and life.tries[-1].error is None:
                    yield f"lost: {life.task.name} is green without a report"
                continue
            yield from self._unsaid(life.last_word)
            if life.last_word is life.tries[-1] and life.last_word.error is None:
                yield from self._green(life.last_word)

    def _unsaid(self, one: Try) -> Iterator[str]:
        """What is called not stored was not, as far as this try could know."""
        originals = {said["picture"] for said in one.outcomes if said["lofty_outcome"] != "duplicate"}
        refused: dict[Look, set[str]] = defaultdict(set)
        for said in one.outcomes:
            row, outcome = self._rows[_mark(said["picture"])], said["lofty_outcome"]
            if outcome == "duplicate" and said["picture"] not in originals:
                yield f"lost: {one.name} calls {row.key} a duplicate of a row that is not there"
            is_refused = outcome in ("rejected", "unmatched")
            if is_refused or (outcome == "not_attempted" and not self._is_known_to_break(row)):
                refused[self._look(row)].add(_identity(row, one.task.task))
            if outcome == "invalid" and row.mark in self._marks and not self._claimed[self._look(row)]:
                yield f"unsaid: {one.name} calls {row.key} invalid, and Lofty has it"
        for look, keys in refused.items():
            if self._known_to(one)[look] > len(self._keys[look] - keys) and look not in self._open:
                yield f"unsaid: {one.name} calls {_names(keys)} not stored, and Lofty has {self._stored[look]} of these"

    def _is_known_to_break(self, row: Row) -> bool:
        """Whether this world has a cause for which not_attempted is known to be said wrongly."""
        users = [life for life in self._ending.lives if row.mark in {other.mark for other in life.task.all_rows}]
        return len(users) > 1 and "held at a stop" in self._known

    def _known_to(self, one: Try) -> Counter[Look]:
        """What is at Lofty by this try's doing, or was when it began; what others do beside it, it cannot know."""
        return Counter(
            self._look_of_entry(entry)
            for entry in self._ending.lofty.ours()
            if entry.sender == one.name or entry.arrived < one.began
        )

    def _green(self, one: Try) -> Iterator[str]:
        changed = {_mark(said["picture"]) for said in one.outcomes if said["lofty_error"] == CONTENT_HAS_CHANGED}
        unmatched = {_mark(said["picture"]) for said in one.outcomes if said["lofty_outcome"] == "unmatched"}
        keys: dict[Look, set[str]] = defaultdict(set)
        for row in one.rows:
            if row.mark not in changed | unmatched:
                keys[self._look(row)].add(_identity(row, one.task.task))
        for look, names in keys.items():
            if len(names) > self._stored[look] and look not in self._open:
                yield f"lost: {one.name} is green, and of {_names(names)} Lofty has {self._stored[look]}"

    def _of_the_journal(self) -> Iterator[str]:
        """What the table calls delivered is at Lofty."""
        delivered = Counter(
            (self._lead(int(row["lead_id"])), row["activity_type"].strip(), int(row["created_ms"]))
            for row in self._ending.journal if row["state"] == "delivered"
        )  # fmt: skip
        stored = Counter(
            (self._lead(one.asked), one.entry["type"], one.entry["created"]) for one in self._ending.lofty.ours()
        )
        is_open = {look[:3] for look in self._open}
        for known, times in delivered.items():
            if times > stored[known] and not is_open & {known, (PERSON, *known[1:])}:
                yield f"journal: it calls {times} activities of lead {known[0]} delivered, and Lofty has {stored[known]}"


def _balance(one: Try) -> Iterator[str]:
    """The books balance, and report and summary say the same."""
    counted = Counter(said["lofty_outcome"] for said in one.outcomes)
    rows = len(one.rows)
    if one.outcomes and len(one.outcomes) != rows:
        yield f"books: the report of {one.name} has {len(one.outcomes)} of {rows} rows"
    if set(counted) - set(OUTCOMES):
        yield f"books: the report of {one.name} has outcomes {sorted(map(str, counted))}"
    if one.summary is None:
        if one.error is None:
            yield f"books: {one.name} is green without a summary"
        return
    told = {name: one.summary[name] for name in OUTCOMES if one.summary[name]}
    if sum(told.values()) != one.summary["read"]:
        yield f"books: {one.name} read {one.summary['read']} rows and accounts for {told}"
    if one.outcomes and told != dict(counted):
        yield f"books: the report of {one.name} says {dict(counted)}, its summary {told}"
    if one.error is None and set(told) & set(FAILED):
        yield f"books: {one.name} is green with {told}"


def _identity(row: Row, task: Task) -> str:
    return row.key if task.is_keyed else f"{row.person or row.lead_id} {_look(row)[1:]}"


def _look(row: Row) -> Look:
    return Look(row.lead_id, row.type, row.cells["created"], row.text, row.link)


def _mark(picture: str) -> str:
    return str(picture).rpartition("/")[2]


def _names(keys: set[str]) -> str:
    return ", ".join(sorted(keys))
