"""
The journal in a table: shared by runs, Dags, mapped tasks and Airflow versions, and an audit of every row sent.

A row is claimed by inserting its key, which the database allows once, so two runs never send the same row at once. A
claim is its owner's as long as the owner shows signs of life; whoever meets it waits. When they stay away, it is taken
over and is in doubt: only Lofty can tell whether its row was sent. No clock is compared with another machine's: a
sign of life is a value that changes, and each claim says how long its owner may go without one.

Each step is a transaction of its own (:mod:`~airflow_provider_lofty.journal.tables`), ordered so that a process may die
after any of them, and that on a connection which commits by itself half a step does no harm.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from airflow_provider_lofty.clock import boot_seconds
from airflow_provider_lofty.journal.deletions import Company, count_deletions
from airflow_provider_lofty.journal.journal import Closing, Intent, JournalError, Loaded, Released
from airflow_provider_lofty.journal.others import link, of_another, of_another_lead
from airflow_provider_lofty.journal.owner import FINAL, Owner, TaskPlace
from airflow_provider_lofty.journal.schema import prepare
from airflow_provider_lofty.journal.tables import (
    ConnectionLost,
    JournalRow,
    Tables,
    Value,
    Values,
    batches,
)
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.spool.history import JournalState, OfAnother
from airflow_provider_lofty.spool.sample import InputSample
from airflow_provider_lofty.spool.spool import Spool

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

_CLAIMABLE = (JournalState.REJECTED, JournalState.REOPENED)
_LIFE_SECONDS = 10.0
_GONE = "rows that this task wrote into it are gone: somebody has just deleted them"
_SAID = ("http_status", "error_code", "error")


class _Held(NamedTuple):
    """
    A row that another run holds.

    :param intent: what this run intends with it
    :param task_key: of that run, as far as it is known
    """

    intent: Intent
    owner: str
    sign_of_life: str
    since: float
    task_key: str

    @property
    def lead_id(self) -> int | None:
        """The lead that this run has for it; None where that may be another one."""
        return None if self.intent.may_move else self.intent.trace.lead_id


class SqlJournal:
    """
    A journal in two tables, which are made on first use.

    :param engine: of the database; see :func:`~airflow_provider_lofty.journal.engine.journal_engine`
    :param scope: names what row keys are told apart by: which Lofty, which ``unique_key``, and whose leads are
        looked for
    :param source: names where this task's rows come from
    :param place: which task instance this is
    :param max_tries: the task instance's; it changes when the task is cleared
    :param stale_seconds: a claim whose owner shows no sign of life for so long is taken over
    :param clock: seconds, which also pass while the machine is suspended
    :param now: seconds since 1970
    """

    def __init__(
        self,
        engine: Engine,
        *,
        scope: str,
        source: str,
        place: TaskPlace,
        max_tries: int | None,
        stale_seconds: float,
        clock: Callable[[], float] = boot_seconds,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._tables = Tables(engine, scope, clock)
        self._company = Company(self._tables, place.key)
        self._owner = Owner(scope, source, place, max_tries, math.ceil(stale_seconds), now)
        self._clock = clock
        self._before: InputSample | None = None
        self._is_resumed = self._is_cleared = self._has_gaps = False
        self._mine: set[bytes] = set()
        self._held: dict[bytes, _Held] = {}
        self._next_life = 0.0

    @property
    def tables(self) -> Tables:
        """The database, for what is kept beside the journal."""
        return self._tables

    def begin(self, *, is_later_try: bool) -> bool:
        """Make the tables where they are missing; look for earlier tries."""
        prepare(self._tables, self._owner.begins(is_blind=self._has_gaps))
        found = self._tables.find_run(self._owner.task_key)
        if found is None:
            self._has_gaps = is_later_try
            self._tables.insert_run(self._owner.begins(is_blind=self._has_gaps))
            return self._has_gaps
        self._is_resumed = found.source == self._owner.source
        self._is_cleared = found.max_tries != self._owner.max_tries
        if self._is_resumed and found.row_count:
            self._before = InputSample(found.row_count, bytes.fromhex(found.lowest))
        is_known = self._is_resumed and not found.is_blind
        self._has_gaps = not is_known or count_deletions(self._tables, self._owner.task_key) > 0
        return self._has_gaps

    def load(self, spool: Spool) -> Loaded:
        """Take over what earlier tries of this task left open; look up every row of the input."""
        self._company.begin()
        self._take_back()
        doubtful = [row.intent for row in self._tables.find(owner=self._owner.name)]
        link(self._tables.find_answered(self._owner.task_key), spool)
        self._mine.update(intent.row_key for intent in doubtful)
        key, there = self._owner.task_key, 0
        delivered = self._tables.count(task_key=key, state=JournalState.DELIVERED)
        for row_keys in batches(spool.row_keys()):
            found = self._tables.find(row_keys)
            there += sum(row.state == JournalState.DELIVERED and row.task_key == key for row in found)
            spool.history.add(row.past for row in found if self._is_known(row))
            spool.history.add_held(
                bytes.fromhex(row.row_key)
                for row in found
                if row.state == JournalState.INTENDED and row.owner != self._owner.name
            )
        spool.history.has_deletions = count_deletions(self._tables, key) > 0
        if spool.history.has_deletions and not self._has_gaps:  # since it began; a source may take long to read
            raise JournalError(_GONE)
        if self._before is None:
            return Loaded(doubtful)
        return Loaded(doubtful, self._before, delivered, delivered - there, partial(self._has_gone, spool))

    def _has_gone(self, spool: Spool, lead_id: int) -> bool:
        """Whether this task delivered a row to this lead that is not in the input any more."""
        found = self._tables.find(task_key=self._owner.task_key, state=JournalState.DELIVERED, lead_id=lead_id)
        return any(not spool.history.has_row(bytes.fromhex(row.row_key), lead_id) for row in found)

    def _take_back(self) -> None:
        """Claim what earlier tries of this task left open; after a clear, let go of what was rejected."""
        key = self._owner.task_key
        with self._tables.transaction() as connection:
            self._tables.update(connection, self._owner.sign(), task_key=key, state=JournalState.INTENDED)
            if self._is_cleared:
                reopened = {"state": JournalState.REOPENED}
                self._tables.update(connection, reopened, task_key=key, state=JournalState.REJECTED)

    def _is_known(self, row: JournalRow) -> bool:
        # Only this task's own count, since it was last cleared: others may have corrected their rows.
        if row.state == JournalState.REJECTED:
            return row.task_key == self._owner.task_key and self._is_resumed
        return row.state == JournalState.DELIVERED or row.owner == self._owner.name

    def start(self, rows: InputSample) -> None:
        """Write down that sending begins."""
        self._tables.update_run(self._owner.task_key, self._owner.starts(rows, is_blind=self._has_gaps))

    def load_lead(self, lead_id: int, spool: Spool) -> None:
        """Look up what was ever delivered to a lead, and what other runs are sending to it now."""
        found = self._tables.find_others(lead_id, self._owner.name)
        spool.history.forget_held(lead_id)
        spool.history.add_of_others(
            OfAnother(
                bytes.fromhex(row.row_key), lead_id, bytes.fromhex(row.trace), row.created_ms, row.closed_at or ""
            )
            for row in found
            if row.state == JournalState.DELIVERED
        )
        link(found, spool)
        self._refuse_deletions()
        is_merged = len(spool.leads.family(lead_id, is_certain=False)) > 1
        spool.history.add(map(of_another_lead if is_merged else of_another, found))

    def load_alike(self, trace: Trace, spool: Spool) -> None:
        """Look up what other runs sent to other leads that says the same."""
        found = self._tables.find_alike(trace, self._owner.name, spool.leads.family(trace.lead_id, is_certain=False))
        link(found, spool)
        spool.history.add(map(of_another_lead, found))

    def commit(self, intents: Sequence[Intent], closings: Sequence[Closing]) -> Collection[bytes]:
        """Close rows and claim others, together where no row is held by others; then give claims up."""
        withdrawn = [closing for closing in closings if closing.state == JournalState.WITHDRAWN]
        others = [closing for closing in closings if closing.state != JournalState.WITHDRAWN]
        refused = self._claim_and_close(intents, others) if intents or others else ()
        if withdrawn:  # last: a doubt may have been claimed anew, under another row key
            self._withdraw([closing.intent.row_key for closing in withdrawn])
        if intents:
            self._refuse_deletions()  # what is claimed as new may be a row that another try has delivered
        return refused

    def heartbeat(self) -> Sequence[Released]:
        """Show a sign of life; look at rows that others hold."""
        self._show_life()
        return self._look_at_held()

    def _show_life(self) -> None:
        if self._mine and self._clock() >= self._next_life:
            with self._tables.transaction() as connection:
                for row_keys in batches(self._mine):
                    self._tables.update(connection, {"sign_of_life": uuid4().hex}, row_keys, **self._claimed)
            self._next_life = self._clock() + min(_LIFE_SECONDS, self._owner.stale_seconds / 4)

    def _look_at_held(self) -> list[Released]:
        released = []
        for row_keys in batches(list(self._held)):
            found = {bytes.fromhex(row.row_key): row for row in self._tables.find(row_keys)}
            released += [end for key in row_keys if (end := self._freed(key, found.get(key))) is not None]
        if released:
            self._refuse_deletions()  # whoever settled them may have taken what is deleted for what was never sent
        for end in released:
            del self._held[end.row_key]
        return released

    def close(self) -> None:
        """Close the connection."""
        self._tables.close()

    @property
    def _claimed(self) -> dict[str, Value]:
        """What holds for a row as long as nobody else has taken it over."""
        return {"owner": self._owner.name, "state": JournalState.INTENDED}

    # Claims

    def _claim_and_close(self, intents: Sequence[Intent], closings: Sequence[Closing]) -> set[bytes]:
        """Write what came of rows, and claim others; tell which of them another run holds."""
        known = [intent for intent in intents if intent.row_key in self._mine]
        new = [intent for intent in intents if intent.row_key not in self._mine]
        refused: set[bytes] = set()
        try:
            with self._tables.transaction() as connection:
                is_missing, lost = self._close_rows(connection, closings), self._renew(connection, known)
                self._tables.insert(connection, self._owner.claims(new, JournalState.INTENDED))
                self._tables.add_to_run(connection, self._owner.task_key, len(new))
            self._company.wrote(len(new))
            self._mine.update(intent.row_key for intent in new)
        except ConnectionLost:  # it may have been the commit's answer that was lost
            raise
        except JournalError:  # one of them is there already, or locked: what came of others does not wait for it
            with self._tables.transaction() as connection:
                is_missing, lost = self._close_rows(connection, closings), self._renew(connection, known)
            refused = {intent.row_key for intent in new if not self._claim_one(intent)}
        self._give_up_lost(lost)
        self._keep_found(closings, is_missing=is_missing)
        return refused | {intent.row_key for intent in lost}

    def _renew(self, connection: Connection, intents: Sequence[Intent]) -> list[Intent]:
        """Intend anew what is claimed already, perhaps with another content; tell what somebody has taken over."""
        lost = []
        for intent, values in zip(intents, self._owner.claims(intents, JournalState.INTENDED), strict=True):
            values = _without(values, "scope", "row_key", "intended_at")
            if not self._tables.update(connection, values, [intent.row_key], **self._claimed):
                lost.append(intent)
        return lost

    def _give_up_lost(self, intents: Sequence[Intent]) -> None:
        for intent in intents:
            self._mine.discard(intent.row_key)
            self._held[intent.row_key] = _Held(intent, "", "", self._clock(), self._owner.task_key)

    def _claim_one(self, intent: Intent) -> bool:
        """Claim one row that may be there already."""
        found = self._insert_unless_there(intent, JournalState.INTENDED)
        # The answer to an earlier insert may have been lost.
        is_mine = found is None or (found.owner == self._owner.name and found.state == JournalState.INTENDED)
        if is_mine or found is None or (found.state in _CLAIMABLE and self._take_over(found, intent)):
            self._mine.add(intent.row_key)
            return True
        self._held[intent.row_key] = _Held(intent, *self._life_of(found))
        return False

    def _insert_unless_there(
        self, intent: Intent, state: JournalState, said: Closing | None = None
    ) -> JournalRow | None:
        """Insert a row; give the one that is there already instead."""
        found = self._tables.find([intent.row_key])
        if not found:
            try:
                with self._tables.transaction() as connection:
                    self._tables.insert(connection, self._owner.claims([intent], state, said))
                    self._tables.add_to_run(connection, self._owner.task_key, 1)
                self._company.wrote(1)
            except ConnectionLost:
                raise
            except JournalError:  # another run was faster, or the database is gone
                found = self._tables.find([intent.row_key])
                if not found:
                    raise
        return found[0] if found else None

    def _take_over(
        self, row: JournalRow, intent: Intent, state: JournalState = JournalState.INTENDED, said: Closing | None = None
    ) -> bool:
        """Make another owner's row this one's, unless it has changed meanwhile."""
        (values,) = self._owner.claims([intent], state, said)
        kept = _SAID if state == row.state else ()  # what its owner wrote of its request: no answer to that will come
        values = _without(values, "scope", "row_key", *kept)
        unchanged = {"owner": row.owner, "sign_of_life": row.sign_of_life, "state": row.state}
        moves = {row.task_key: -1, self._owner.task_key: 1} if row.task_key != self._owner.task_key else {}
        with self._tables.transaction() as connection:
            if self._tables.update(connection, values, [bytes.fromhex(row.row_key)], **unchanged) != 1:
                return False
            for task_key, rows in sorted(moves.items()):  # in one order, so that two runs do not wait for each other
                self._tables.add_to_run(connection, task_key, rows)
        self._company.wrote(moves.get(self._owner.task_key, 0))
        return True

    def _freed_by_absence(self, held: _Held) -> Released | None:
        """Its owner withdrew it, not sent; or somebody deleted it, and it may have been delivered before that."""
        intent = held.intent
        if not count_deletions(self._tables, held.task_key):
            return Released(intent.row_key, JournalState.WITHDRAWN)
        return Released(intent.row_key, JournalState.DOUBTED, intent) if self._claim_one(intent) else None

    def _refuse_deletions(self) -> None:
        if self._company.has_deletions():
            raise JournalError(_GONE)

    def _life_of(self, row: JournalRow) -> tuple[str, str, float, str]:
        return row.owner, row.sign_of_life, self._clock(), row.task_key

    def _freed(self, key: bytes, row: JournalRow | None) -> Released | None:
        if row is None:
            return self._freed_by_absence(self._held[key])
        if row.state in _CLAIMABLE:
            return Released(key, JournalState.WITHDRAWN)
        held = self._held[key]
        if held.lead_id not in (None, row.lead_id):
            return Released(key, JournalState.KEY_CONFLICT)
        if row.state == JournalState.DELIVERED:
            return Released(key, JournalState.DELIVERED, row.intent)
        if row.owner == self._owner.name:  # it was taken over, and the answer to that was lost
            self._mine.add(key)
            return Released(key, JournalState.DOUBTED, row.intent)
        if (row.owner, row.sign_of_life) != (held.owner, held.sign_of_life):
            self._held[key] = _Held(held.intent, *self._life_of(row))
        elif self._clock() - held.since >= max(self._owner.stale_seconds, row.stale_seconds) and self._take_over(
            row, row.intent
        ):
            self._mine.add(key)
            return Released(key, JournalState.DOUBTED, row.intent)
        return None

    # Results

    def _close_rows(self, connection: Connection, closings: Sequence[Closing]) -> bool:
        """Write what came of claimed rows; tell whether some of them are not there any more."""
        is_missing = False
        groups: dict[tuple[object, ...], list[Closing]] = {}
        for closing in closings:  # most are alike in all but their row
            if closing.state not in FINAL or closing.intent.row_key in self._mine:
                groups.setdefault(closing[1:], []).append(closing)
        for members in groups.values():
            alike = members[0]
            # An answer counts even when the claim was taken over by somebody who thought this run dead. What was read
            # does not: whoever took it over may have given the same entry to another row that looks the same.
            conditions = {} if alike.is_answered else self._claimed
            values = self._owner.closes(alike)
            if alike.state == JournalState.DELIVERED:  # whoever took it over sees that it did not deliver it
                values = {**values, "owner": self._owner.name}
            for keys in batches(member.intent.row_key for member in members):
                changed = self._tables.update(connection, values, keys, **conditions)
                is_missing |= alike.state in FINAL and changed != len(keys)
        return is_missing

    def _keep_found(self, closings: Sequence[Closing], *, is_missing: bool) -> None:
        """Write down what Lofty said of rows that are not claimed here; no claim is left of what was closed."""
        for closing in closings:
            if closing.state in FINAL and (
                closing.intent.row_key not in self._mine or (closing.state == JournalState.DELIVERED and is_missing)
            ):
                found = self._insert_unless_there(closing.intent, closing.state, closing)
                if found is not None and found.state in _CLAIMABLE:
                    self._take_over(found, closing.intent, closing.state, closing)
        self._mine.difference_update(c.intent.row_key for c in closings if c.state != JournalState.DOUBTED)

    def _withdraw(self, row_keys: Sequence[bytes]) -> None:
        with self._tables.transaction() as connection:
            gone = sum(self._tables.delete(connection, keys, **self._claimed) for keys in batches(row_keys))
            self._tables.add_to_run(connection, self._owner.task_key, -gone)
        self._company.wrote(-gone)
        self._mine.difference_update(row_keys)


def _without(values: Values, *names: str) -> Values:
    return {name: value for name, value in values.items() if name not in names}
