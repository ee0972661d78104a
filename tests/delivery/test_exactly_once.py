"""
Any interleaving of faults, lags and crashes: nothing lost, nothing twice, the books balance.

A model of Lofty answers in the same thread, a clock that moves by itself stands for time, and a crash may strike
before or after each single step: every write to the journal, every request. Then another try begins with what is left,
perhaps without the journal, with another ``unique_key``, or with a part of the rows.
"""

from __future__ import annotations

import gc
import json
import sqlite3
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.pool import QueuePool
from support.practice import Log, Store, no_publisher, row
from support.worlds import WORLDS

from airflow_provider_lofty.delivery.precheck import MODES
from airflow_provider_lofty.delivery.workers import Came, Workers
from airflow_provider_lofty.exceptions import (
    LoftyAnswerLost,
    LoftyDeliveryIncomplete,
    LoftyError,
    LoftyRowsFailed,
    LoftyUnreachable,
)
from airflow_provider_lofty.journal.database import SqlJournal
from airflow_provider_lofty.journal.journal import Journal, NoJournal
from airflow_provider_lofty.journal.owner import TaskPlace
from airflow_provider_lofty.journal.tables import JOURNAL, RUNS
from airflow_provider_lofty.journal.task_state import KEY, TaskStateJournal
from airflow_provider_lofty.lofty.answers import Meaning, Verdict
from airflow_provider_lofty.lofty.pacing import Pacer
from airflow_provider_lofty.lofty.reading import read_lead
from airflow_provider_lofty.lofty.settings import ABSENCE, PATIENCE
from airflow_provider_lofty.rows.mapping import RowMapping
from airflow_provider_lofty.rows.source import Source, SourceRow
from airflow_provider_lofty.run.policy import Limit, Policy
from airflow_provider_lofty.run.run import Run
from airflow_provider_lofty.spool.spool import Spool

pytestmark = pytest.mark.once

SETTLE_SECONDS = 60.0
LEADS = 3
MOST_LOOKS = 50_000  # at the clock, in one run
KEYED_TWINS = 2  # rows that only their key tells apart

# fault → whether Lofty stores the activity, and what its answer means; None: as it should be
FAULTS: dict[str | None, tuple[bool, Verdict]] = {
    None: (True, Verdict(Meaning.DELIVERED, 200)),
    "lost": (False, Verdict(Meaning.DOUBT, None, message="no answer")),
    "stored": (True, Verdict(Meaning.DOUBT, 502, message="an HTML page")),
    "never_sent": (False, Verdict(Meaning.NEVER_SENT, message="no answer")),
    "rate": (False, Verdict(Meaning.RATE_LIMITED, 429)),
    "refused": (False, Verdict(Meaning.REJECTED, 400, 20012, "INVALID_PARAMETER")),
}


class Kept:
    """A report that keeps the rows' outcomes, in input order."""

    path = "kept"

    def __init__(self) -> None:
        self.outcomes: list[str] | None = None

    def write(self, spool: Spool) -> None:
        self.outcomes = [item.outcome for item in spool.books.rows()]


class Crash(BaseException):
    """The process is gone: nothing after this happens."""


class World:
    """Time, and the step at which the process dies."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.left: int | None = None
        self.looks = 0

    def clock(self) -> float:
        self.now += 0.5
        self.looks += 1
        assert self.looks < MOST_LOOKS, "the run does not end"
        return self.now

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Crash

    def around(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A step before which and after which the process may die."""
        self.step()
        result = call(*args, **kwargs)
        self.step()
        return result


class ModelLofty:
    """What Lofty stores and shows; it stands in for the client."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stored: list[tuple[int, bytes, float]] = []
        self.faults: list[str | None] = []
        self.lag = 0.0
        self.alters: Callable[[dict[str, Any]], dict[str, Any] | None] = dict
        self.reads_fail = 0
        self.pacer = Pacer(10**9, time.monotonic)
        self.cap = None
        self.settings = SimpleNamespace(
            max_in_flight=4, settle_seconds=SETTLE_SECONDS, resumed_settle_seconds=SETTLE_SECONDS,
            patience_seconds=PATIENCE * SETTLE_SECONDS, absence_seconds=ABSENCE * SETTLE_SECONDS, resumed_absence_seconds=ABSENCE * SETTLE_SECONDS,
            intent_ttl_seconds=10.0, profile=None, lead_url="",
        )  # fmt: skip
        self.host = "https://api.example.com"
        self.requests_made = self.times_throttled = 0

    def post_activity(self, lead_id: int, body: bytes, **_: Any) -> Verdict:
        self.world.step()
        stores, verdict = FAULTS[self.faults.pop(0) if self.faults else None]
        if stores:
            self.stored.append((lead_id, body, self.world.now))
        self.world.step()
        return Verdict(verdict.meaning, verdict.status, verdict.code, verdict.message, lead_id)

    def read_back(self, lead_id: int, since: int) -> Any:
        self.world.step()
        if self.reads_fail > 0:
            self.reads_fail -= 1
            raise LoftyUnreachable("no usable answer")
        now = self.world.now
        shown = [json.loads(body) for lead, body, at in self.stored if lead == lead_id and at + self.lag <= now]
        page: list[object] = [altered for entry in shown if (altered := self.alters(entry)) is not None]
        return read_lead(lambda number: page, lead_id, since)

    def error_for(self, verdict: Verdict, what: str) -> LoftyError:
        return LoftyAnswerLost(what)

    def reading_delay(self) -> float:
        return 0.0

    def prepare(self) -> None: ...

    def confirm_account(self) -> None: ...

    def close(self) -> None: ...


class InlineWorkers(Workers[Came]):
    """Makes each request at once, in the calling thread, and waits for nothing."""

    def __init__(self, most: int) -> None:
        self._results: deque[Came] = deque()

    def start(self, job: Callable[[], Came], cancelled: Callable[[], object] = lambda: None) -> None:
        self._results.append(job())

    def result(self, seconds: float) -> Came | None:
        return self._results.popleft() if self._results else None

    def end(self) -> None: ...


class MortalStore(Store):
    """The process may die around every write."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def set(self, key: str, value: Any, **settings: Any) -> None:
        self._world.around(super().set, key, value, **settings)

    def delete(self, key: str) -> None:
        self._world.around(super().delete, key)


class Mortal:
    """
    An engine for SQLite; the process may die around every statement and every commit.

    It is made once, because what SQLAlchemy has learned of the statements is kept with it.
    """

    path: Path
    world: World

    def __init__(self) -> None:
        self._opened: list[sqlite3.Connection] = []
        self.engine = create_engine("sqlite://", creator=self._connect, poolclass=QueuePool)
        for name in ("do_execute", "do_executemany", "do_commit"):
            setattr(self.engine.dialect, name, partial(self._around, getattr(self.engine.dialect, name)))

    def _connect(self) -> sqlite3.Connection:
        self._opened.append(sqlite3.connect(self.path))
        return self._opened[-1]

    def _around(self, call: Callable[..., Any], *args: Any) -> None:
        self.world.around(call, *args)

    def of(self, path: Path, world: World) -> Engine:
        """Return the engine of this file, in this world. What a process that has died left open holds no lock."""
        self.engine.dispose()
        gc.collect()  # a cursor that a traceback still holds keeps its lock when its connection is closed
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self.path, self.world = path, world
        return self.engine


MORTAL = Mortal()


class Tries(RuleBasedStateMachine):
    """One task: its tries and clears, with whatever may happen to each."""

    @initialize(kind=st.sampled_from(["task", "sql", "none"]), rows=st.integers(1, 12), keyed=st.booleans())
    def begin(self, kind: str, rows: int, keyed: bool) -> None:
        self.world = World()
        self.lofty = ModelLofty(self.world)
        self.kind, self.keyed = kind, keyed
        self.folder = tempfile.TemporaryDirectory()
        self.store = MortalStore(self.world)
        self.rows = [
            row(1 + n % LEADS, text=f"event {n}", key=n, link=f"https://homes.example.com/{n}") for n in range(rows)
        ]
        if keyed:
            self.rows += [{**self.rows[0], "key": 100 + n} for n in range(KEYED_TWINS)]
        self.given = self.rows
        self.check_existing = "sample"
        self.tries = self.max_tries = 0
        self.is_broken = self.is_hidden = False
        self.is_forgetful = kind == "none"  # what earlier tries sent, only Lofty itself may know
        self.counts: dict[str, int] = {}
        self.outcomes: list[str] = []

    @rule(
        faults=st.lists(st.sampled_from([None, *FAULTS]), max_size=25),
        crash=st.one_of(st.none(), st.integers(0, 120), st.integers(0, 15)),
        lag=st.sampled_from([0.0, 5.0, SETTLE_SECONDS - 10]),
        reads_fail=st.sampled_from([0, 0, 0, 2]),
        check_existing=st.sampled_from(MODES),
    )
    def try_it(
        self, faults: list[str | None], crash: int | None, lag: float, reads_fail: int, check_existing: str
    ) -> None:
        self.check_existing = check_existing
        self.lofty.faults, self.lofty.lag, self.lofty.reads_fail = faults, lag, reads_fail
        self.world.left = crash
        self.run_once()
        self.world.left = None

    @rule()
    def clear_it(self) -> None:
        self.max_tries += 1

    @rule(seconds=st.sampled_from([1, 30, 120, 3600]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @precondition(lambda self: not self.is_broken)
    @rule(how=st.sampled_from(["trims", "truncates", "hides"]))
    def an_assumption_breaks(self, how: str) -> None:
        if self.is_forgetful and how == "hides":
            return  # without a journal nothing can tell
        self.is_broken, self.is_hidden = True, how == "hides"
        self.lofty.alters = {
            "trims": lambda entry: {**entry, "text": entry["text"][:-1]},
            "truncates": lambda entry: {**entry, "created": entry["created"] // 60_000 * 60_000 + 1},
            "hides": lambda entry: None,
        }[how]

    @precondition(lambda self: self.kind != "none" and not self.is_hidden)
    @rule(what=st.sampled_from(["all", "what it says first", "rows"]))
    def the_journal_is_wiped(self, what: str) -> None:
        self.is_forgetful = True
        if what == "all":
            self.store.values.clear()
        elif what == "what it says first":
            self.store.values.pop(KEY, None)
        tables = {"all": (JOURNAL, RUNS), "what it says first": (RUNS,), "rows": (JOURNAL,)}[what]
        with closing(sqlite3.connect(self.path)) as database:
            for table in tables:
                with suppress(sqlite3.OperationalError):  # not made yet
                    database.execute(f"DELETE FROM {table}")
            database.commit()

    @precondition(lambda self: not self.is_hidden)
    @rule()
    def unique_key_is_switched_on_or_off(self) -> None:
        self.is_forgetful = True
        self.keyed = not self.keyed

    @rule(part=st.sampled_from([slice(None), slice(0, 3), slice(3, None), slice(0, None, 2)]))
    def the_source_gives(self, part: slice) -> None:
        self.given = self.rows[part]

    @invariant()
    def nothing_is_there_twice(self) -> None:
        if not hasattr(self, "lofty"):
            return
        expected = Counter((int(row["lead_id"]), row["text"]) for row in self.rows)
        assert not self.stored() - expected, "sent twice"

    def run_once(self) -> None:
        self.tries += 1
        self.world.looks = 0
        log = Log()
        journal = self.journal()
        policy = Policy(
            Limit("a", None), Limit("b", None), Limit("c", None), 1000, self.check_existing, "verify", False
        )
        kept = Kept()
        run = Run(
            policy, self.lofty, journal, kept, log, no_publisher(log),  # type: ignore[arg-type]
            is_later_try=self.tries > 1, clock=self.world.clock, workers=InlineWorkers,
        )  # fmt: skip
        self.counts = {}
        rows = (SourceRow(n, tuple(r), tuple(r.values())) for n, r in enumerate(self.given, 1))
        mapping = RowMapping(unique_key="key" if self.keyed else None)
        try:
            with suppress(LoftyRowsFailed, LoftyDeliveryIncomplete):
                run.execute(lambda take: take(Source("rows", None, rows)), mapping, threading.Event())
            if run.summary is not None and kept.outcomes is not None:
                self.counts = run.summary.outcomes
                assert run.summary.read == len(self.given) == sum(self.counts.values())
                self.outcomes = kept.outcomes
                self.nothing_is_said_to_be_there_that_is_not()
        except Crash:
            pass
        except LoftyError as error:
            assert len(self.given) < len(self.rows) or "no longer in the input" not in str(error)
            assert "damaged" not in str(error), error
        finally:
            journal.close()

    def nothing_is_said_to_be_there_that_is_not(self) -> None:
        said = Counter(
            (int(row["lead_id"]), row["text"])
            for row, outcome in zip(self.given, self.outcomes, strict=True)
            if outcome in ("delivered", "already_delivered")
        )
        assert not said - self.stored(), "lost"

    def stored(self) -> Counter[tuple[int, str]]:
        return Counter((lead_id, json.loads(body)["text"]) for lead_id, body, _ in self.lofty.stored)

    @property
    def path(self) -> Path:
        return Path(self.folder.name, "journal.db")

    def journal(self) -> Journal:
        if self.kind == "none":
            return NoJournal()
        source = f"s {self.keyed}"
        if self.kind == "task":
            return TaskStateJournal(
                self.store, source=source, keyed=self.keyed, max_tries=self.max_tries, now=self.world.clock
            )
        return SqlJournal(
            MORTAL.of(self.path, self.world), scope=f"lofty {self.keyed}", source=source, place=TaskPlace("d", "r", "t", -1),
            max_tries=self.max_tries, stale_seconds=SETTLE_SECONDS, clock=self.world.clock,
        )  # fmt: skip

    def teardown(self) -> None:
        if not hasattr(self, "lofty"):
            return
        with self.folder:
            self.lofty.faults, self.lofty.lag, self.lofty.reads_fail = [], 0.0, 0
            self.given = self.rows
            for _ in range(2):
                self.world.now += 3600
                self.max_tries += 1
                self.run_once()
            self.nothing_is_there_twice()
            assert self.counts, "the last run gave no account"
            ends = {"delivered", "already_delivered", "unknown"}
            assert set(self.outcomes) <= (ends if self.keyed else {*ends, "duplicate"})


TestTries = pytest.mark.no_cover(Tries.TestCase)  # counting lines that other tests reach, too, takes as long again
TestTries.settings = settings(max_examples=WORLDS, stateful_step_count=8, suppress_health_check=list(HealthCheck))


CALM: dict[str, Any] = {"faults": [], "crash": None, "lag": 0.0, "reads_fail": 0, "check_existing": "never"}


@pytest.mark.parametrize("kind", ["task", "sql", "none"])
def test_a_part_of_the_rows_vouches_for_that_part_only(kind: str) -> None:
    tries = Tries()
    tries.begin(kind=kind, rows=12, keyed=False)
    with tries.folder:
        tries.try_it(**CALM)
        if kind != "none":
            tries.the_journal_is_wiped(what="all")
        for part in (slice(0, 3), slice(None)):
            tries.the_source_gives(part=part)
            tries.try_it(**CALM)
            tries.nothing_is_there_twice()
        assert sum(tries.stored().values()) == 12


@pytest.mark.parametrize("how", ["trims", "truncates", "hides"])
def test_a_run_ends_whatever_proof_it_lacks(how: str) -> None:
    for faults in product([None, "lost", "stored"], repeat=3):
        tries = Tries()
        tries.begin(kind="task", rows=3, keyed=False)
        with tries.folder:
            tries.an_assumption_breaks(how=how)
            tries.try_it(**{**CALM, "faults": list(faults)})
            assert sum(tries.counts.values()) == 3


@pytest.mark.parametrize("keyed", [False, True])
def test_a_doubt_under_another_key_is_one_doubt_whenever_the_process_dies(keyed: bool) -> None:
    for first, second in product(range(15, 24, 2), range(12)):
        tries = Tries()
        tries.begin(kind="task", rows=5, keyed=keyed)
        with tries.folder:
            tries.the_source_gives(part=slice(4))
            tries.try_it(**{**CALM, "crash": first})
            tries.unique_key_is_switched_on_or_off()
            tries.try_it(**{**CALM, "crash": second})
            tries.the_source_gives(part=slice(None))  # one more, whose delivery proves what was not stored
            for _ in range(2):
                tries.time_passes(seconds=3600)
                tries.try_it(**CALM)
                tries.nothing_is_there_twice()
            assert tries.counts["unknown"] == 0
