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
from collections.abc import Callable, Collection, Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from airflow_provider_lofty.clock import boot_seconds
from airflow_provider_lofty.journal.journal import Closing, Intent, JournalError, Loaded, Released, utc_now
from airflow_provider_lofty.journal.schema import prepare
from airflow_provider_lofty.journal.tables import (
    JOURNAL,
    RUNS,
    ConnectionLost,
    JournalRow,
    Tables,
    Values,
    batches,
    has_key,
    storable,
)
from airflow_provider_lofty.spool.history import JournalState
from airflow_provider_lofty.spool.sample import InputSample
from airflow_provider_lofty.spool.spool import Spool

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.sql.elements import ColumnElement

_CLAIMABLE = (JournalState.REJECTED, JournalState.REOPENED)
_LIFE_SECONDS = 10.0


class TaskPlace(NamedTuple):
    """Which task instance this is."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @property
    def key(self) -> str:
        """A short name of it."""
        return blake2b("\n".join(map(str, self)).encode(), digest_size=8).hexdigest()


class _Held(NamedTuple):
    """A row that another run holds, and the lead that this run has for it."""

    owner: str
    sign_of_life: str
    since: float
    lead_id: int


class SqlJournal:
    """
    A journal in two tables, which are made on first use.

    :param engine: of the database; see :func:`~airflow_provider_lofty.journal.engine.journal_engine`
    :param scope: names what row keys are told apart by: which Lofty, and which ``unique_key``
    :param source: names where this task's rows come from
    :param place: which task instance this is
    :param max_tries: the task instance's; it changes when the task is cleared
    :param stale_seconds: a claim whose owner shows no sign of life for so long is taken over
    :param clock: seconds, those included in which the machine was suspended
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
        self._tables = Tables(engine, scope)
        self._source = source
        self._place = place
        self._task = {**place._asdict(), "task_key": place.key}
        self._max_tries = max_tries
        self._stale_seconds = math.ceil(stale_seconds)
        self._clock = clock
        self._now = now
        self._owner = uuid4().hex
        self._before: InputSample | None = None
        self._is_resumed = self._is_cleared = self._has_gaps = self._has_claimed = False
        self._mine: set[bytes] = set()
        self._held: dict[bytes, _Held] = {}
        self._next_life = 0.0

    def begin(self, *, is_later_try: bool) -> bool:
        """Make the tables where they are missing; look for earlier tries."""
        prepare(self._tables, self._run_values())
        found = self._tables.find_run(self._place.key)
        if found is None:
            self._has_gaps = is_later_try
            self._tables.insert([self._run_values()], RUNS)
            return self._has_gaps
        self._is_resumed = found.source == self._source
        self._is_cleared = found.max_tries != self._max_tries
        if self._is_resumed and found.row_count:
            self._before = InputSample(found.row_count, bytes.fromhex(found.lowest))
        is_purged = bool(found.has_claimed) and not self._tables.count(self._of_this_task)
        self._has_gaps = bool(found.is_blind) or is_purged or not self._is_resumed
        return self._has_gaps

    def load(self, spool: Spool) -> Loaded:
        """Take over what earlier tries of this task left open; look up every row of the input."""
        self._take_back()
        doubtful = [row.intent for row in self._tables.find(JOURNAL.c.owner == self._owner)]
        self._mine.update(intent.row_key for intent in doubtful)
        delivered = self._tables.count(self._of_this_task, JOURNAL.c.state == JournalState.DELIVERED)
        key, there = self._place.key, 0
        for row_keys in batches(spool.row_keys()):
            found = self._tables.find_keys(row_keys)
            there += sum(row.state == JournalState.DELIVERED and row.task_key == key for row in found)
            spool.history.add(row.past for row in found if self._is_known(row))
        if self._before is None:
            return Loaded(doubtful)
        return Loaded(doubtful, self._before, delivered, delivered - there)

    def _take_back(self) -> None:
        """Claim what earlier tries of this task left open; after a clear, let go of what was rejected."""
        with self._tables.transaction() as connection:
            self._tables.update(connection, self._sign(), self._of_this_task, JOURNAL.c.state == JournalState.INTENDED)
            if self._is_cleared:
                reopened = {"state": JournalState.REOPENED}
                self._tables.update(connection, reopened, self._of_this_task, JOURNAL.c.state == JournalState.REJECTED)

    def _is_known(self, row: JournalRow) -> bool:
        if (
            row.state == JournalState.REJECTED
        ):  # by this task, which was not cleared since; others may have mended their rows
            return row.task_key == self._place.key and self._is_resumed
        return row.state == JournalState.DELIVERED or row.owner == self._owner

    def start(self, rows: InputSample) -> None:
        """Write down that sending begins."""
        self._tables.update_run(
            self._place.key,
            {
                "source": self._source,
                "max_tries": self._max_tries,
                "row_count": rows.rows,
                "lowest": rows.lowest.hex(),
                "is_blind": int(self._has_gaps),
                "started_at": utc_now(self._now),
            },
        )

    def load_lead(self, lead_id: int, spool: Spool) -> None:
        """Look up what was ever delivered to a lead, and what other runs are sending to it now."""
        spool.history.forget_held()
        rows = self._tables.find(
            JOURNAL.c.lead_id == lead_id,
            JOURNAL.c.state.in_([JournalState.DELIVERED, JournalState.INTENDED]),
            JOURNAL.c.owner != self._owner,
        )
        spool.history.add(
            row.past if row.state == JournalState.DELIVERED else row.past._replace(state=JournalState.CLAIMED)
            for row in rows
        )

    def commit(self, intents: Sequence[Intent], closings: Sequence[Closing]) -> Collection[bytes]:
        """Close rows, claim others, then give claims up; each in a transaction of its own."""
        withdrawn = [closing for closing in closings if closing.state == JournalState.WITHDRAWN]
        others = [closing for closing in closings if closing.state != JournalState.WITHDRAWN]
        if others:
            self._close_rows(others)
        refused = self._claim(intents) if intents else ()
        if withdrawn:  # last: a doubt may have been claimed anew, under another identity
            self._withdraw([closing.intent.row_key for closing in withdrawn])
        return refused

    def heartbeat(self) -> Sequence[Released]:
        """Show a sign of life; look at rows that others hold."""
        self._show_life()
        return self._look_at_held()

    def _show_life(self) -> None:
        if self._mine and self._clock() >= self._next_life:
            with self._tables.transaction() as connection:
                for row_keys in batches(self._mine):
                    self._tables.update(connection, {"sign_of_life": uuid4().hex}, *self._claimed, has_key(row_keys))
            self._next_life = self._clock() + min(_LIFE_SECONDS, self._stale_seconds / 4)

    def _look_at_held(self) -> list[Released]:
        released = []
        for row_keys in batches(list(self._held)):
            found = {bytes.fromhex(row.row_key): row for row in self._tables.find_keys(row_keys)}
            released += [end for key in row_keys if (end := self._freed(key, found.get(key))) is not None]
        for end in released:
            del self._held[end.row_key]
        return released

    def close(self) -> None:
        """Close the connection."""
        self._tables.close()

    @property
    def _of_this_task(self) -> ColumnElement[bool]:
        return JOURNAL.c.task_key == self._place.key

    @property
    def _claimed(self) -> tuple[ColumnElement[bool], ...]:
        """What holds for a row as long as nobody else has taken it over."""
        return JOURNAL.c.owner == self._owner, JOURNAL.c.state == JournalState.INTENDED

    # Claims

    def _claim(self, intents: Sequence[Intent]) -> set[bytes]:
        """Claim rows; tell which ones another run holds."""
        if not self._has_claimed:
            self._mark_claimed(has_claimed=True)
        known = [intent for intent in intents if intent.row_key in self._mine]
        new = [intent for intent in intents if intent.row_key not in self._mine]
        refused = self._renew(known) if known else set()
        if new:
            try:
                self._tables.insert(self._values(new, JournalState.INTENDED))
            except ConnectionLost:  # it may have been the commit's answer that was lost
                raise
            except JournalError:  # one of them is there already
                refused |= {intent.row_key for intent in new if not self._claim_one(intent)}
            else:
                self._mine.update(intent.row_key for intent in new)
        return refused

    def _renew(self, intents: Sequence[Intent]) -> set[bytes]:
        """Intend anew what is claimed already, perhaps with another content, unless somebody took it over."""
        lost = {}
        with self._tables.transaction() as connection:
            for intent, values in zip(intents, self._values(intents, JournalState.INTENDED), strict=True):
                values = _without(values, "scope", "row_key", "intended_at")
                if not self._tables.update(connection, values, *self._claimed, has_key([intent.row_key])):
                    lost[intent.row_key] = intent.trace.lead_id
        for row_key, lead_id in lost.items():
            self._mine.discard(row_key)
            self._held[row_key] = _Held("", "", self._clock(), lead_id)
        return set(lost)

    def _claim_one(self, intent: Intent) -> bool:
        """Claim one row that may be there already."""
        found = self._insert_unless_there(intent, JournalState.INTENDED)
        # The answer to an earlier insert may have been lost.
        is_mine = found is None or (found.owner == self._owner and found.state == JournalState.INTENDED)
        if is_mine or found is None or (found.state in _CLAIMABLE and self._take_over(found, intent)):
            self._mine.add(intent.row_key)
            return True
        self._held[intent.row_key] = _Held(found.owner, found.sign_of_life, self._clock(), intent.trace.lead_id)
        return False

    def _insert_unless_there(
        self, intent: Intent, state: JournalState, said: Closing | None = None
    ) -> JournalRow | None:
        """Insert a row; give the one that is there already instead."""
        found = self._tables.find_keys([intent.row_key])
        if not found:
            try:
                self._tables.insert(self._values([intent], state, said))
            except ConnectionLost:
                raise
            except JournalError:  # another run was faster, or the database is gone
                found = self._tables.find_keys([intent.row_key])
                if not found:
                    raise
        return found[0] if found else None

    def _take_over(
        self, row: JournalRow, intent: Intent, state: JournalState = JournalState.INTENDED, said: Closing | None = None
    ) -> bool:
        """Make another owner's row this one's, unless it has changed meanwhile."""
        (values,) = self._values([intent], state, said)
        values = _without(values, "scope", "row_key")
        unchanged = (
            JOURNAL.c.owner == row.owner,
            JOURNAL.c.sign_of_life == row.sign_of_life,
            JOURNAL.c.state == row.state,
        )
        with self._tables.transaction() as connection:
            return self._tables.update(connection, values, *unchanged, JOURNAL.c.row_key == row.row_key) == 1

    def _freed(self, key: bytes, row: JournalRow | None) -> Released | None:
        if row is None or row.state in _CLAIMABLE:
            return Released(key, JournalState.WITHDRAWN)
        held = self._held[key]
        if row.lead_id != held.lead_id:
            return Released(key, JournalState.KEY_CONFLICT)
        if row.state == JournalState.DELIVERED:
            return Released(key, JournalState.DELIVERED)
        if (row.owner, row.sign_of_life) != (held.owner, held.sign_of_life):
            self._held[key] = _Held(row.owner, row.sign_of_life, self._clock(), held.lead_id)
        elif self._clock() - held.since >= max(self._stale_seconds, row.stale_seconds) and self._take_over(
            row, row.intent
        ):
            self._mine.add(key)
            return Released(key, JournalState.DOUBTED, row.intent)
        return None

    # Results

    def _close_rows(self, closings: Sequence[Closing]) -> None:
        final = [closing for closing in closings if closing.state in (JournalState.DELIVERED, JournalState.REJECTED)]
        with self._tables.transaction() as connection:
            self._tell(
                connection,
                [closing for closing in closings if closing.state in (JournalState.DOUBTED, JournalState.ABANDONED)],
            )
            lost = self._tell(connection, [closing for closing in final if closing.intent.row_key in self._mine])
        for closing in final:
            if closing.intent.row_key not in self._mine or (closing.state == JournalState.DELIVERED and lost):
                self._keep_found(closing)
        self._mine.difference_update(c.intent.row_key for c in closings if c.state != JournalState.DOUBTED)

    def _withdraw(self, row_keys: Sequence[bytes]) -> None:
        with self._tables.transaction() as connection:
            for keys in batches(row_keys):
                self._tables.delete(connection, *self._claimed, has_key(keys))
        self._mine.difference_update(row_keys)
        if not self._mine and not self._tables.count(self._of_this_task):
            self._mark_claimed(has_claimed=False)

    def _mark_claimed(self, *, has_claimed: bool) -> None:
        self._tables.update_run(self._place.key, {"has_claimed": int(has_claimed)})
        self._has_claimed = has_claimed

    def _tell(self, connection: Connection, closings: Sequence[Closing]) -> bool:
        """Write what came of claimed rows; tell whether some of them are not there any more."""
        lost = False
        groups: dict[tuple[object, ...], list[Closing]] = {}
        for closing in closings:  # most are alike in all but their row
            groups.setdefault(closing[1:], []).append(closing)
        for members in groups.values():
            alike = members[0]
            is_final = alike.state in (JournalState.DELIVERED, JournalState.REJECTED)
            values: Values = {
                "state": alike.state if is_final else JournalState.INTENDED,
                "attempts": alike.attempts,
                "closed_at": utc_now(self._now) if is_final else None,
                "http_status": alike.http_status,
                "error_code": alike.error_code,
                "error": storable(alike.error),
            }
            # A certain delivery counts even when the claim was taken over by somebody who thought this run dead.
            conditions = () if alike.state == JournalState.DELIVERED else self._claimed
            for keys in batches(member.intent.row_key for member in members):
                lost |= self._tables.update(connection, values, *conditions, has_key(keys)) != len(keys)
        return lost

    def _keep_found(self, closing: Closing) -> None:
        """Write down a row that is not claimed here: Lofty has it."""
        found = self._insert_unless_there(closing.intent, closing.state, closing)
        if found is not None and found.state in _CLAIMABLE:
            self._take_over(found, closing.intent, closing.state, closing)

    def _values(self, intents: Iterable[Intent], state: JournalState, said: Closing | None = None) -> list[Values]:
        """What a row says when it is claimed here, or closed without a claim; made for hundreds of rows at once."""
        shared = {
            "scope": self._tables.scope,
            **self._task,
            **self._sign(),
            "state": state,
            "intended_at": utc_now(self._now),
            "closed_at": utc_now(self._now) if said else None,
            "http_status": said.http_status if said else None,
            "error_code": said.error_code if said else None,
            "error": storable(said.error) if said else None,
        }
        return [
            {
                **shared,
                "row_key": row_key.hex(),
                "fingerprint": fingerprint.hex(),
                "trace": trace.trace_hash.hex(),
                "lead_id": trace.lead_id,
                "activity_type": trace.type,
                "created_ms": trace.created,
                "text_mark": trace.text_mark.hex(),
                "link_mark": trace.link_mark.hex(),
                "attempts": said.attempts if said else attempts,
            }
            for row_key, fingerprint, trace, attempts in intents
        ]

    def _sign(self) -> dict[str, str | int]:
        """What says whose a row is, and that its owner is alive."""
        return {"owner": self._owner, "sign_of_life": uuid4().hex, "stale_seconds": self._stale_seconds}

    def _run_values(self) -> Values:
        return {
            **self._task,
            "source": self._source,
            "max_tries": self._max_tries,
            "row_count": 0,
            "lowest": "",
            "is_blind": int(self._has_gaps),
            "has_claimed": 0,
            "started_at": utc_now(self._now),
        }


def _without(values: Values, *names: str) -> Values:
    return {name: value for name, value in values.items() if name not in names}
