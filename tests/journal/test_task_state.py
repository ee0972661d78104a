"""The journal in Airflow's task state store: whatever write is the last, no row is forgotten and damage is noticed."""

from __future__ import annotations

import json
import math
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from support.practice import Store

from airflow_provider_lofty.journal import task_state
from airflow_provider_lofty.journal.journal import (
    Closing,
    Intent,
    JournalError,
    JournalUnavailable,
    JournalUnusable,
    Loaded,
)
from airflow_provider_lofty.journal.task_state import KEPT_SECONDS, KEY, VERSION, TaskStateJournal
from airflow_provider_lofty.lofty.fields import ACTIVITY_TYPES
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.spool.history import History, JournalState, PastRow
from airflow_provider_lofty.spool.leads import Leads
from airflow_provider_lofty.spool.sample import SAMPLE_ROWS, InputSample
from airflow_provider_lofty.spool.spool import Spool

NOW = 1_800_000_000.0
DAY = 86_400.0


def made(n: int, attempts: int = 0, *, keyed: bool = False) -> Intent:
    """Make an intent that differs from others in every part."""
    row_key = b"i%011d" % n
    trace_hash = b"t%011d" % n if keyed else row_key
    kind = ACTIVITY_TYPES[n % len(ACTIVITY_TYPES)]
    wanted = Trace(10**12 + n, trace_hash, kind, 1_772_359_200_000 + n, b"x%02d" % (n % 100), b"l%02d" % (n % 100))
    return Intent(row_key, b"f%03d" % (n % 1000), wanted, attempts)


class Task:
    """One task and what its tries leave in the store."""

    def __init__(self, store: Store | None = None, *, keyed: bool = False) -> None:
        self.store = Store() if store is None else store
        self.settings: dict[str, Any] = {"source": "s", "keyed": keyed, "max_tries": 0}
        self.now = NOW

    def journal(self, **changed: Any) -> TaskStateJournal:
        return TaskStateJournal(self.store, **{**self.settings, **changed}, now=lambda: self.now)

    def started(self, rows: int = 0, *, is_later_try: bool | None = None, **changed: Any) -> TaskStateJournal:
        """A journal as it is when sending begins."""
        journal = self.journal(**changed)
        journal.begin(is_later_try=KEY in self.store.values if is_later_try is None else is_later_try)
        with closing(Memory()) as memory:
            journal.load(memory)
        journal.start(input_sample(rows))
        return journal

    def loaded(self, **changed: Any) -> Memory:
        """What the next try would know."""
        memory = Memory()
        with closing(memory):
            journal = self.journal(**changed)
            memory.has_gaps = journal.begin(is_later_try=True)
            memory.loaded = journal.load(memory)
            memory.read()
        return memory

    def key(self, name: str) -> str:
        """The key of a part of the journal that is there."""
        return f"{KEY}.{self.store.get(KEY)['id']}.{name}"

    def tail(self) -> list[str]:
        return sorted(key for key in self.store.values if ".tail." in key)

    def chunks(self) -> list[str]:
        return sorted(key for key in self.store.values if ".chunk." in key)


class Memory:
    """Stands in for a spool: only what a journal puts into it."""

    def __init__(self) -> None:
        self._db = sqlite3.connect(":memory:")
        self._db.execute("CREATE TABLE rows (identity BLOB)")
        self.history, self.leads = History(self._db), Leads(self._db)
        self.has_gaps: bool | None = None
        self.loaded = Loaded()
        self.rows: dict[bytes, PastRow] = {}

    def read(self) -> None:
        self.rows = {row[0]: PastRow(*row) for row in self._db.execute("SELECT * FROM past_rows")}

    def close(self) -> None:
        self._db.close()

    @property
    def states(self) -> dict[bytes, str]:
        return {row_key: row.state for row_key, row in self.rows.items()}

    def of(self, state: str) -> set[bytes]:
        return {row_key for row_key, row in self.rows.items() if row.state == state}


def input_sample(rows: int) -> InputSample:
    """Sum up an input of so many rows."""
    return InputSample(rows, b"".join(b"%06d" % n for n in range(min(rows, SAMPLE_ROWS))))


def row_keys(numbers: Sequence[int] | range) -> set[bytes]:
    return {made(n).row_key for n in numbers}


def deliver(journal: TaskStateJournal, numbers: range, at_once: int, *, keyed: bool = False) -> None:
    """Intend and deliver rows as a run does: each commit also closes what the one before intended."""
    before: list[Intent] = []
    for start in range(numbers.start, numbers.stop, at_once):
        intents = [made(n, keyed=keyed) for n in range(start, min(start + at_once, numbers.stop))]
        journal.commit(intents, [Closing(intent, JournalState.DELIVERED, 200) for intent in before])
        before = intents
    journal.commit((), [Closing(intent, JournalState.DELIVERED, 200) for intent in before])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seal often."""
    monkeypatch.setattr(task_state, "MOST_CLOSED", 5)
    monkeypatch.setattr(task_state, "MOST_TAIL_KEYS", 4)


@pytest.fixture
def task() -> Task:
    return Task()


class TestBeginning:
    def test_the_first_try_writes_a_header_before_anything_else(self, task: Task) -> None:
        assert task.journal().begin(is_later_try=False) is False
        assert list(task.store.values) == [KEY]
        assert (task.loaded().has_gaps, task.loaded().loaded.doubtful) == (False, [])

    def test_absence_is_believed_only_after_a_probe_came_back(self, task: Task) -> None:
        task.journal().begin(is_later_try=False)
        assert [key for key, _ in task.store.written] == [task.key("probe"), KEY]

    def test_a_store_that_says_absent_to_everything_is_not_believed(self) -> None:
        class Unreachable(Store):
            def get(self, key: str, default: Any = None) -> Any:
                return default

        store = Unreachable()
        with pytest.raises(JournalError, match="does not give back") as caught:
            Task(store).journal().begin(is_later_try=True)
        assert not isinstance(caught.value, JournalUnusable)
        assert KEY not in store.values

    def test_a_header_that_shows_up_after_the_probe_counts(self, task: Task) -> None:
        deliver(task.started(), range(3), 3)

        class Slow(Store):
            gets = 0

            def get(self, key: str, default: Any = None) -> Any:
                self.gets += 1
                return default if self.gets == 1 else super().get(key, default)

        slow = Slow()
        slow.values = task.store.values
        assert Task(slow).loaded().of(JournalState.DELIVERED) == row_keys(range(3))

    def test_a_store_that_cannot_be_read_is_an_error(self) -> None:
        class Broken(Store):
            def get(self, key: str, default: Any = None) -> Any:
                raise OSError("gone")

        with pytest.raises(JournalError, match="OSError"):
            Task(Broken()).journal().begin(is_later_try=True)


class TestBlindness:
    def later(self, task: Task, **changed: Any) -> TaskStateJournal:
        journal = task.journal(**changed)
        assert journal.begin(is_later_try=True) is True
        return journal

    def test_a_later_try_without_a_journal_does_not_know_what_was_sent(self, task: Task) -> None:
        self.later(task)
        assert task.loaded().has_gaps is True

    def test_it_stays_so_over_all_later_tries(self, task: Task) -> None:
        self.later(task)
        for first in range(0, 40, 10):
            self.later(task)
            deliver(task.started(), range(first, first + 10), 3)
            self.later(task, max_tries=first)
        found = task.loaded()
        assert (found.has_gaps, found.of(JournalState.DELIVERED)) == (True, row_keys(range(40)))

    def test_another_source_knows_nothing_of_what_the_first_one_sent(self, task: Task) -> None:
        deliver(task.started(rows=10), range(10), 3)
        self.later(task, source="another")
        assert task.loaded().has_gaps is False  # nothing was sent from the other one yet
        deliver(task.started(source="another"), range(20, 30), 3)
        self.later(task, source="another")
        self.later(task)
        task.started(source="another")
        assert task.loaded(source="another").has_gaps is True
        assert task.loaded().has_gaps is True

    def test_the_source_that_comes_back_is_another_one_too(self, task: Task) -> None:
        task.started()
        task.started(source="another")
        task.started()
        assert task.loaded().has_gaps is True

    @pytest.mark.parametrize("is_written", [False, True])
    @pytest.mark.parametrize("kind", ["Mortal", "Failing"])
    @pytest.mark.usefixtures("small")
    def test_no_interruption_makes_it_see(self, kind: str, is_written: bool) -> None:
        for writes in range(40):
            store = {"Mortal": Mortal, "Failing": Failing}[kind](writes, is_written=is_written)
            task, books = Task(store), Books()
            with suppress(JournalError, Died):
                task.journal().begin(is_later_try=True)
            books.run(task, 0, is_later_try=True)
            store.left = math.inf
            assert task.loaded().has_gaps is True
            store.left = writes % 5
            books.run(task, 100, source="another")
            store.left = math.inf
            assert task.loaded(source="another").has_gaps is True


class Blinking(Store):
    """
    Says "absent" to some reads, whatever it holds, as a store behind a gateway may.

    :param is_absent: which reads, counted from 0
    """

    def __init__(self, values: dict[str, str], is_absent: Callable[[int], bool]) -> None:
        super().__init__()
        self.values = dict(values)
        self.gets = 0
        self._is_absent = is_absent

    def get(self, key: str, default: Any = None) -> Any:
        self.gets += 1
        return default if self._is_absent(self.gets - 1) else super().get(key, default)


@pytest.mark.usefixtures("small")
class TestAbsence:
    """What is absent for a moment is never taken for the end of the journal."""

    @pytest.fixture
    def task(self) -> Task:
        task = Task()
        journal = task.started(rows=30)
        deliver(journal, range(22), 2)
        journal.commit([made(100), made(101)], [])
        journal.commit([made(102)], [Closing(made(100), JournalState.DOUBTED, attempts=1)])
        return task

    def loaded(self, task: Task, is_absent: Callable[[int], bool]) -> tuple[Memory | None, int]:
        """Load from a store that blinks; what else is loaded than all is an error."""
        whole = task.loaded()
        store = Blinking(task.store.values, is_absent)
        blinking = Task(store)
        found = None
        with suppress(JournalError):
            found = blinking.loaded()
            assert (found.has_gaps, found.rows, found.loaded) == (False, whole.rows, whole.loaded)
        gets, blinking.store = store.gets, Store()
        blinking.store.values = store.values
        later = blinking.loaded()
        assert (later.rows, later.loaded) == (whole.rows, whole.loaded)
        return found, gets

    def test_a_store_that_is_there_all_the_time_shows_all(self, task: Task) -> None:
        found, gets = self.loaded(task, lambda get: False)
        assert found is not None
        assert set(found.loaded.doubtful) == {made(100, 1), made(101), made(102)}
        assert gets > 15
        assert len(task.chunks()) >= 3

    def test_nothing_is_missed_in_a_gap_of_any_length_that_begins_at_any_read(self, task: Task) -> None:
        _, gets = self.loaded(task, lambda get: False)
        whole = 0
        for first in range(gets):
            for length in range(1, 41):
                found, _ = self.loaded(task, lambda get, gap=range(first, first + length): get in gap)
                whole += found is not None
        assert 0 < whole < gets * 40

    def test_a_gap_is_no_damage(self, task: Task) -> None:
        _, gets = self.loaded(task, lambda get: False)
        for first in range(gets):
            for length in (1, 2, 3, 5, 40):
                gap = range(first, first + length)
                try:
                    Task(Blinking(task.store.values, lambda get, gap=gap: get in gap)).loaded()
                except JournalError as error:
                    assert not isinstance(error, JournalUnusable), (first, length)

    def test_nothing_is_missed_when_one_read_of_twenty_fails(self, task: Task) -> None:
        whole = 0
        for seed in range(300):
            chance = random.Random(seed)  # noqa: S311 - a coin, not a secret
            found, _ = self.loaded(task, lambda get, chance=chance: chance.random() < 0.05)
            whole += found is not None
        assert whole > 200

    def test_a_new_journal_takes_nothing_of_one_whose_header_is_gone(self, task: Task) -> None:
        task.store.delete(KEY)
        before = set(task.store.values)
        journal = task.journal()
        assert journal.begin(is_later_try=True) is True
        found = task.loaded()
        assert (found.rows, found.loaded) == ({}, Loaded([], input_sample(0)))
        deliver(task.started(), range(50, 80), 3)
        assert task.loaded().of(JournalState.DELIVERED) == row_keys(range(50, 80))
        assert before <= set(task.store.values)


@pytest.mark.parametrize("hidden", range(1, 7))
@pytest.mark.parametrize("commits", range(7))
def test_what_is_left_of_a_tail_that_was_not_seen_is_no_part_of_another(hidden: int, commits: int) -> None:
    task = Task()
    journal = task.started()
    for n in range(6):
        journal.commit([made(n)], [])
    left = {key: task.store.values.pop(key) for key in task.tail()[-hidden:]}
    journal = task.started()
    for n in range(100, 100 + commits):
        journal.commit([made(n)], [])
    is_covered = not left.keys() - task.store.values.keys()
    is_untouched = not left.keys() & task.store.values.keys()
    task.store.values = {**left, **task.store.values}
    if is_covered:
        assert task.loaded().of(JournalState.INTENDED) == row_keys([*range(6 - hidden), *range(100, 100 + commits)])
    elif is_untouched:  # what shows up again is what was there
        assert task.loaded().of(JournalState.INTENDED) == row_keys(range(6))
    else:
        with pytest.raises(JournalUnusable, match="commit .* is damaged"):
            task.loaded()


class TestRecalling:
    @pytest.mark.parametrize("keyed", [False, True])
    @pytest.mark.parametrize("is_small", [False, True])
    def test_a_later_try_knows_what_came_of_every_row(
        self, keyed: bool, is_small: bool, request: pytest.FixtureRequest
    ) -> None:
        if is_small:
            request.getfixturevalue("small")
        task = Task(keyed=keyed)
        journal = task.started(rows=40)
        rows = [made(n, keyed=keyed) for n in range(30)]
        for start in range(0, 30, 3):
            journal.commit(rows[start : start + 3], ())
            one, two, three = rows[start : start + 3]
            journal.commit(
                (),
                [
                    Closing(one, JournalState.DELIVERED, 200),
                    Closing(two, JournalState.REJECTED, 400, 20012, "Lofty refused it"),
                ],
            )
            if start % 2:
                journal.commit((), [Closing(three, JournalState.WITHDRAWN)])
            else:
                journal.commit((), [Closing(three, JournalState.DOUBTED)])
        found = task.loaded()
        assert found.has_gaps is False
        assert found.of(JournalState.DELIVERED) == row_keys(range(0, 30, 3))
        assert found.of(JournalState.REJECTED) == row_keys(range(1, 30, 3))
        assert found.of(JournalState.INTENDED) == row_keys(range(2, 30, 6))
        assert set(found.loaded.doubtful) == {made(n, 1, keyed=keyed) for n in range(2, 30, 6)}
        assert (found.loaded.before, found.loaded.delivered, found.loaded.gone) == (input_sample(40), 10, 10)
        delivered, rejected = found.rows[rows[0].row_key], found.rows[rows[1].row_key]
        assert (delivered.fingerprint, delivered.trace_hash) == (rows[0].fingerprint, rows[0].trace.trace_hash)
        assert (rejected.http_status, rejected.error_code, rejected.error) == (400, 20012, "Lofty refused it")
        assert bool(task.chunks()) is is_small

    @pytest.mark.usefixtures("small")
    def test_what_is_sealed_is_swept_from_the_tail(self, task: Task) -> None:
        deliver(task.started(), range(200), 3)
        assert len(task.chunks()) >= 20
        assert len(task.tail()) <= 12

    @pytest.mark.usefixtures("small")
    def test_open_rows_survive_any_number_of_seals_and_tries(self, task: Task) -> None:
        journal = task.started()
        held = [made(n, n % 3) for n in range(1000, 1012)]
        journal.commit(held, ())
        for start in range(0, 90, 30):
            deliver(journal, range(start, start + 30), 4)
            journal = task.started()
        found = task.loaded()
        assert set(found.loaded.doubtful) == set(held)
        assert found.of(JournalState.DELIVERED) == row_keys(range(90))

    def test_more_open_rows_than_fit_in_one_commit_are_carried(self, task: Task) -> None:
        held = [made(n) for n in range(1700)]
        journal = task.started()
        for start in range(0, 1700, 850):
            journal.commit(held[start : start + 850], ())
        task.started()
        task.started()
        assert task.loaded().loaded.doubtful == held

    def test_a_row_of_a_later_commit_stands_over_an_earlier_one(self, task: Task) -> None:
        journal = task.started()
        journal.commit([made(1)], ())
        journal.commit((), [Closing(made(1), JournalState.REJECTED, 400)])
        journal = task.started()
        journal.commit([made(1, 1)], ())
        assert task.loaded().states == {made(1).row_key: JournalState.INTENDED}
        journal.commit((), [Closing(made(1, 1), JournalState.DELIVERED)])
        task.started()
        assert task.loaded().states == {made(1).row_key: JournalState.DELIVERED}

    def test_nobody_else_holds_rows(self, task: Task) -> None:
        journal = task.started()
        with closing(Memory()) as memory:
            journal.load_lead(1, memory)
            memory.read()
        assert (journal.commit([made(1)], ()), journal.heartbeat(), memory.rows) == ((), (), {})
        journal.close()


def damaged(text: str) -> str:
    """Alter one character in the middle."""
    middle = len(text) // 2
    return text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]


class TestDamage:
    @pytest.fixture
    def task(self, small: None) -> Task:
        task = Task()
        journal = task.started()
        deliver(journal, range(40), 3)
        for n in range(100, 103):
            journal.commit([made(n)], ())
        return task

    def newest(self, task: Task) -> list[str]:
        """The keys of the tail that count."""
        first = task.store.get(KEY)["tail"]
        return sorted((key for key in task.tail() if int(key.rpartition(".")[2]) >= first), key=lambda k: (len(k), k))

    def test_without_any_there_is_nothing_to_refuse(self, task: Task) -> None:
        assert task.loaded().of(JournalState.DELIVERED) == row_keys(range(40))
        assert len(self.newest(task)) >= 3

    def test_an_altered_chunk(self, task: Task) -> None:
        for key in task.chunks():
            text = task.store.get(key)
            task.store.set(key, damaged(text))
            with pytest.raises(JournalUnusable, match="chunk .* is damaged"):
                task.loaded()
            task.store.set(key, text)
        assert task.loaded().of(JournalState.DELIVERED) == row_keys(range(40))

    def test_a_chunk_in_the_place_of_another(self, task: Task) -> None:
        one, two = task.chunks()[:2]
        task.store.values[one], task.store.values[two] = task.store.values[two], task.store.values[one]
        with pytest.raises(JournalUnusable, match="chunk .* is damaged"):
            task.loaded()

    @pytest.mark.parametrize("value", [7, None, ["a"], {"a": 1}])
    def test_a_chunk_that_is_no_text(self, task: Task, value: Any) -> None:
        task.store.set(task.chunks()[0], value)
        with pytest.raises(JournalUnusable, match="chunk 0"):
            task.loaded()

    def test_a_missing_chunk(self, task: Task) -> None:
        for key in task.chunks():
            text = task.store.get(key)
            task.store.delete(key)
            with pytest.raises(JournalUnusable, match="chunk .* is missing"):
                task.loaded()
            task.store.set(key, text)

    def test_an_altered_commit(self, task: Task) -> None:
        for key in self.newest(task):
            text = task.store.get(key)
            for altered in (damaged(text), text[:-1], "A" + text, ""):
                task.store.set(key, altered)
                with pytest.raises(JournalUnusable, match="commit .* is damaged"):
                    task.loaded()
            task.store.set(key, text)

    def test_a_commit_in_the_place_of_another(self, task: Task) -> None:
        one, two = self.newest(task)[-2:]
        task.store.values[one], task.store.values[two] = task.store.values[two], task.store.values[one]
        with pytest.raises(JournalUnusable, match="commit .* is damaged"):
            task.loaded()

    def test_a_missing_commit_that_others_follow(self, task: Task) -> None:
        for key in self.newest(task)[:-1]:
            text = task.store.get(key)
            task.store.delete(key)
            with pytest.raises(JournalUnusable, match="commit .* is missing"):
                task.loaded()
            task.store.set(key, text)

    @pytest.mark.parametrize("value", [7, "text", [1, 2], {"a": 1}])
    def test_a_commit_that_is_no_text(self, task: Task, value: Any) -> None:
        for key in self.newest(task):
            text = task.store.get(key)
            task.store.set(key, value)
            with pytest.raises(JournalUnusable, match="commit"):
                task.loaded()
            task.store.set(key, text)

    @pytest.mark.parametrize(
        "change",
        [
            {"version": VERSION + 1}, {"version": 0}, {"version": "1"}, {"key_rules": 0}, {"source": None}, {"keyed": 1}, {"tail": "0"},
            {"tail": 1.5}, {"chunks": None}, {"chunks": [1]}, {"rows": None}, {"expires": "soon"}, {"max_tries": "1"},
            {"id": None}, {"id": "another"}, {"is_blind": None}, {"is_blind": True}, {"lowest": None}, {"chain": ""},
        ],
    )  # fmt: skip
    def test_a_header_of_another_version_or_shape(self, task: Task, change: dict[str, Any]) -> None:
        task.store.set(KEY, {**task.store.get(KEY), **change})
        with pytest.raises(JournalUnusable):
            task.journal().begin(is_later_try=True)

    @pytest.mark.parametrize("value", [7, "text", [], {}, {"version": VERSION}, False])
    def test_a_header_that_is_something_else(self, task: Task, value: Any) -> None:
        task.store.set(KEY, value)
        with pytest.raises(JournalUnusable, match="header"):
            task.journal().begin(is_later_try=True)


@pytest.mark.usefixtures("small")
class TestAnotherSource:
    def fill(self, task: Task) -> None:
        journal = task.started(rows=20)
        deliver(journal, range(20), 3)
        keyed = task.settings["keyed"]
        refused = made(50, keyed=keyed)
        journal.commit([refused, made(60, keyed=keyed), made(61, keyed=keyed)], ())
        journal.commit(
            (), [Closing(refused, JournalState.REJECTED, 400), Closing(made(61, keyed=keyed), JournalState.DOUBTED)]
        )

    def test_of_its_journal_only_doubt_is_believed(self, task: Task) -> None:
        self.fill(task)
        found = task.loaded(source="another")
        assert found.has_gaps is True
        assert found.states == dict.fromkeys(row_keys([60, 61]), JournalState.INTENDED)
        assert found.loaded == Loaded([made(60), made(61, 1)])

    def test_its_rows_are_forgotten_for_good_once_sending_begins(self, task: Task) -> None:
        self.fill(task)
        journal = task.started(rows=7, source="another")
        deliver(journal, range(70, 90), 3)
        found = task.loaded(source="another")
        assert found.of(JournalState.DELIVERED) == row_keys(range(70, 90))
        assert found.of(JournalState.REJECTED) == set()
        assert set(found.loaded.doubtful) == {made(60), made(61, 1)}
        assert found.loaded.before == input_sample(7)

    @pytest.mark.parametrize("keyed", [False, True])
    def test_with_other_keys_a_doubt_is_still_recognisable_two_tries_later(self, keyed: bool) -> None:
        task = Task(keyed=keyed)
        self.fill(task)
        doubtful = {made(60, keyed=keyed), made(61, 1, keyed=keyed)}
        changed = {"source": "another", "keyed": not keyed}
        found = task.loaded(**changed).loaded.doubtful
        assert {intent.trace for intent in found} == {intent.trace for intent in doubtful}
        if keyed:  # without a key the trace is the identity by which a row of the input is recognised
            assert all(intent.row_key == intent.trace.trace_hash for intent in found)
        for _ in range(3):
            journal = task.started(**changed)
            assert {intent.trace for intent in task.loaded(**changed).loaded.doubtful} == {
                intent.trace for intent in doubtful
            }
        deliver(journal, range(70, 90), 3, keyed=not keyed)
        assert task.loaded(**changed).of(JournalState.DELIVERED) == row_keys(range(70, 90))

    @pytest.mark.parametrize("is_written", [False, True])
    @pytest.mark.parametrize("comes_back", [False, True])
    @pytest.mark.parametrize("keyed", [False, True])
    def test_an_interruption_while_keys_change_loses_no_doubt(
        self, keyed: bool, comes_back: bool, is_written: bool
    ) -> None:
        changed = {"source": "another", "keyed": not keyed}
        for writes in range(6):
            store = Mortal(is_written=is_written)
            task = Task(store, keyed=keyed)
            self.fill(task)
            doubtful = {intent.trace for intent in task.loaded().loaded.doubtful}
            store.left = writes
            with suppress(Died):
                deliver(task.started(**changed), range(70, 73), 1, keyed=not keyed)
            store.left = math.inf
            found = task.loaded(**({} if comes_back else changed))
            assert {intent.trace for intent in found.loaded.doubtful} >= doubtful
            assert len(doubtful) == 2


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("comes_back", [False, True])
@pytest.mark.parametrize("is_written", [False, True])
def test_what_an_interrupted_change_of_keys_left_is_never_in_the_way(
    keyed: bool, comes_back: bool, is_written: bool
) -> None:
    changed = {"source": "another", "keyed": not keyed}
    for writes in range(5):
        store = Mortal(is_written=is_written)
        task = Task(store, keyed=keyed)
        task.started().commit([made(60, keyed=keyed), made(61, keyed=keyed)], ())
        store.left = writes
        with suppress(Died):
            deliver(task.started(**changed), range(70, 72), 1, keyed=not keyed)
        store.left = math.inf
        now = {} if comes_back else changed
        is_keyed = keyed if comes_back else not keyed
        journal = task.started(**now)
        for n in range(100, 120):
            deliver(journal, range(n, n + 1), 1, keyed=is_keyed)
            found = task.loaded(**now)
            assert found.of(JournalState.DELIVERED) >= row_keys(range(100, n + 1))
            lost = {made(n, keyed=keyed).trace for n in (60, 61)} - {one.trace for one in found.loaded.doubtful}
            assert not lost


@pytest.mark.usefixtures("small")
class TestClearing:
    def fill(self, task: Task, numbers: range, **changed: Any) -> None:
        """Deliver the even rows; the odd ones are refused."""
        journal = task.started(**changed)
        for n in numbers:
            journal.commit([made(n)], ())
            journal.commit(
                (),
                [Closing(made(n), JournalState.REJECTED, 400) if n % 2 else Closing(made(n), JournalState.DELIVERED)],
            )

    @pytest.mark.parametrize("count", [2, 3, 20, 21])
    def test_refused_rows_are_forgotten_and_delivered_ones_kept(self, task: Task, count: int) -> None:
        self.fill(task, range(count))
        assert task.loaded().of(JournalState.REJECTED) == row_keys(range(1, count, 2))
        found = task.loaded(max_tries=1)
        assert (found.has_gaps, found.of(JournalState.REJECTED)) == (False, set())
        assert found.of(JournalState.DELIVERED) == row_keys(range(0, count, 2))

    def test_a_third_try_does_not_remember_them_either(self, task: Task) -> None:
        self.fill(task, range(20))
        self.fill(task, range(100, 120), max_tries=1)
        found = task.loaded(max_tries=1)
        assert found.of(JournalState.REJECTED) == row_keys(range(101, 120, 2))
        assert found.of(JournalState.DELIVERED) == row_keys([*range(0, 20, 2), *range(100, 120, 2)])

    def test_a_try_that_ends_before_it_sends_forgets_nothing(self, task: Task) -> None:
        self.fill(task, range(20))
        task.loaded(max_tries=1)
        assert task.loaded().of(JournalState.REJECTED) == row_keys(range(1, 20, 2))
        assert task.loaded(max_tries=1).of(JournalState.REJECTED) == set()

    def test_cleared_again_what_was_refused_since_is_forgotten_too(self, task: Task) -> None:
        self.fill(task, range(20))
        self.fill(task, range(100, 120), max_tries=1)
        found = task.loaded(max_tries=2)
        assert (found.of(JournalState.REJECTED), len(found.of(JournalState.DELIVERED))) == (set(), 20)

    def test_a_refused_row_that_was_delivered_after_the_clear_is_delivered(self, task: Task) -> None:
        self.fill(task, range(21))
        journal = task.started(max_tries=1)
        deliver(journal, range(1, 21, 1), 4)
        found = task.loaded(max_tries=1)
        assert (found.of(JournalState.DELIVERED), found.of(JournalState.REJECTED)) == (row_keys(range(21)), set())


class Died(BaseException):
    """The process is gone."""


class Mortal(Store):
    """
    The process dies around a write.

    :param left: so many more writes succeed
    :param is_written: whether the last one still arrives
    """

    def __init__(self, left: float = math.inf, *, is_written: bool) -> None:
        super().__init__()
        self.left = left
        self.is_written = is_written

    def _around(self, write: Callable[[], None]) -> None:
        self.left -= 1
        if self.left < 0:
            if self.is_written and self.left == -1:
                write()
            raise Died
        write()

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        self._around(lambda: Store.set(self, key, value, retention=retention))

    def delete(self, key: str) -> None:
        self._around(lambda: Store.delete(self, key))


class Failing(Mortal):
    """The store fails at one write and works again after it."""

    def _around(self, write: Callable[[], None]) -> None:
        self.left -= 1
        if self.left == -1:
            if self.is_written:
                write()
            raise RuntimeError("the store is down")
        write()


Commit = tuple[list[Intent], list[Closing]]
ENDS = (
    JournalState.DELIVERED,
    JournalState.REJECTED,
    JournalState.DELIVERED,
    JournalState.WITHDRAWN,
    JournalState.DOUBTED,
    JournalState.DELIVERED,
)


def commits(first: int, rows: int = 36) -> Iterator[Commit]:
    """What a run commits: each time what came of the rows before, and what is next."""
    before: list[Intent] = []
    for start in range(first, first + rows, 3):
        intents = [made(n) for n in range(start, start + 3)]
        yield intents, [Closing(intent, ENDS[(start + place) % 6]) for place, intent in enumerate(before)]
        before = intents


class Books:
    """What a task must remember: of every row, the states that it may be in."""

    def __init__(self) -> None:
        self.states: dict[bytes, set[str | None]] = {}

    def change(self, commit: Commit, *, is_sure: bool) -> None:
        intents, closings = commit
        ends = {
            JournalState.DELIVERED: JournalState.DELIVERED,
            JournalState.REJECTED: JournalState.REJECTED,
            JournalState.WITHDRAWN: None,
            JournalState.DOUBTED: JournalState.INTENDED,
        }
        now = {closing.intent.row_key: ends[closing.state] for closing in closings}
        now.update((intent.row_key, JournalState.INTENDED) for intent in intents)
        for row_key, state in now.items():
            self.states[row_key] = {state} if is_sure else {state, *self.states.get(row_key, {None})}

    def check(self, found: Memory) -> None:
        assert found.states.keys() <= self.states.keys()
        for row_key, states in self.states.items():
            assert found.states.get(row_key) in states, row_key
        assert {intent.row_key for intent in found.loaded.doubtful} == found.of(JournalState.INTENDED)

    def run(self, task: Task, first: int, *, is_later_try: bool | None = None, **changed: Any) -> bool:
        """Run one try until the store fails, if it does; tell whether it did."""
        commit: Commit = ([], [])
        try:
            journal = task.started(is_later_try=is_later_try, **changed)
            for commit in commits(first):
                journal.commit(*commit)
                self.change(commit, is_sure=True)
                commit = ([], [])
        except (JournalError, Died) as error:
            assert not isinstance(error, JournalUnusable)
            self.change(commit, is_sure=False)
            return True
        return False


@pytest.mark.usefixtures("small")
class TestInterruptions:
    @pytest.mark.parametrize("is_written", [False, True])
    @pytest.mark.parametrize("kind", [Mortal, Failing])
    def test_whichever_write_is_the_last_no_row_is_lost(self, kind: type[Mortal], is_written: bool) -> None:
        is_over, steps = False, 0
        while not is_over:
            store = kind(steps, is_written=is_written)
            task, books = Task(store), Books()
            books.run(task, 0)
            is_over = store.left >= 0
            store.left = math.inf
            books.check(task.loaded())
            books.run(task, 100)
            books.check(task.loaded())
            steps += 1
        assert steps > 25

    @pytest.mark.parametrize("is_written", [False, True])
    def test_nor_when_the_next_try_is_interrupted_too(self, is_written: bool) -> None:
        checked = 0
        for first in range(2, 36, 3):
            for second in range(16):
                store = Mortal(first, is_written=is_written)
                task, books = Task(store), Books()
                books.run(task, 0)
                store.left = second
                books.run(task, 100)
                store.left = math.inf
                books.check(task.loaded())
                books.run(task, 200)
                books.check(task.loaded())
                checked += 1
        assert checked == 192

    def test_a_store_that_stays_down_at_any_write_loses_nothing(self) -> None:
        for writes in range(60):
            task, books = Task(), Books()
            task.store.fails_after = writes
            books.run(task, 0)
            task.store.fails_after = math.inf
            books.check(task.loaded())
        assert len(task.loaded().rows) > 15

    @pytest.mark.parametrize("is_written", [False, True])
    def test_a_call_that_failed_may_be_made_again(self, is_written: bool) -> None:
        undisturbed = Task(Failing(is_written=is_written))
        again(undisturbed)
        steps, is_over = 0, False
        while not is_over:
            store = Failing(steps, is_written=is_written)
            task = Task(store)
            again(task)
            is_over, store.left = store.left >= 0, math.inf
            found, expected = task.loaded(), undisturbed.loaded()
            assert (found.states, found.loaded.doubtful) == (expected.states, expected.loaded.doubtful)
            steps += 1
        assert steps > 25

    def test_a_seal_that_failed_is_finished_by_the_next_commit(self, task: Task) -> None:
        journal = task.started()
        task.store.fails_after = 1
        journal.commit((), [Closing(made(n), JournalState.DELIVERED) for n in range(6)])
        with pytest.raises(JournalUnavailable):
            journal.commit([made(9)], ())
        task.store.fails_after = math.inf
        journal.commit([made(9)], ())
        delivered = dict.fromkeys(row_keys(range(6)), JournalState.DELIVERED)
        assert task.loaded().states == {**delivered, made(9).row_key: JournalState.INTENDED}

    def test_what_was_not_acknowledged_is_written_again_as_it_was(self, task: Task) -> None:
        """A request that the store was too slow for may arrive after the one that was made instead of it."""
        journal = task.started()
        journal.commit([made(1)], ())
        task.store.fails_after = 0
        with pytest.raises(JournalUnavailable):
            journal.commit([made(2)], [Closing(made(1), JournalState.DOUBTED, attempts=1)])
        task.store.fails_after = math.inf
        assert task.loaded().states == {made(1).row_key: JournalState.INTENDED}
        written = len(task.store.written)
        journal.commit([made(3)], [Closing(made(1), JournalState.DOUBTED, attempts=1)])
        late, _ = task.store.written[written]
        assert [key for key, _ in task.store.written[written:]].count(late) == 1
        assert task.loaded().loaded.doubtful == [made(1, attempts=1), made(2), made(3)]


def again(task: Task) -> None:
    """Run one try, and make every call that fails once more."""

    def persist(call: Callable[[], object]) -> None:
        try:
            call()
        except JournalUnavailable:
            call()

    journal = task.journal()
    persist(lambda: journal.begin(is_later_try=False))
    with closing(Memory()) as memory:
        persist(lambda: journal.load(memory))
    persist(lambda: journal.start(input_sample(0)))
    for commit in commits(0):
        persist(lambda commit=commit: journal.commit(*commit))  # type: ignore[misc]


class TestSize:
    @pytest.mark.parametrize(("rows", "at_once"), [(20_000, 8), (20_000, 800), (5_000, 1), (30_100, 1)])
    def test_not_much_more_is_written_than_is_kept(self, task: Task, rows: int, at_once: int) -> None:
        deliver(task.started(rows), range(rows), at_once)
        assert sum(size for _, size in task.store.written) <= 4 * task.store.size

    def test_what_is_kept_of_a_row_is_small(self, task: Task) -> None:
        deliver(task.started(20_000), range(20_000), 100)
        task.started(20_000)
        deliver(task.started(20_000), range(20_000, 20_100), 1)
        assert task.store.size < 2_600_000 / 100_000 * 20_100

    @pytest.mark.parametrize("keyed", [False, True])
    def test_no_value_is_too_large_for_the_store(self, keyed: bool) -> None:
        task = Task(keyed=keyed)
        deliver(task.started(), range(7_000), 800, keyed=keyed)
        journal = task.started()
        journal.commit([made(n, keyed=keyed) for n in range(7_000, 7_800)], ())
        task.started()
        assert max(size for _, size in task.store.written) <= 64 * 1024
        assert len(task.loaded().of(JournalState.DELIVERED)) == 7_000

    @pytest.mark.parametrize("at_once", [1, 50])
    def test_nor_is_one_of_refused_rows(self, task: Task, at_once: int) -> None:
        journal = task.started()
        for start in range(0, 3_000, at_once):
            rows = [made(n) for n in range(start, start + at_once)]
            journal.commit(rows, ())
            journal.commit(
                (), [Closing(row, JournalState.REJECTED, 400, 20012, "Lofty refused it: " + "é" * 60) for row in rows]
            )
        assert max(size for _, size in task.store.written) <= 64 * 1024
        assert len(task.loaded().of(JournalState.REJECTED)) == 3_000

    def test_loading_reads_a_bounded_number_of_keys(self, task: Task) -> None:
        journal = task.started()
        held = made(10**6)
        journal.commit([held], ())
        for attempts in range(1, 2_500):
            journal.commit([held._replace(attempts=attempts % 15)], ())
        assert len(task.tail()) <= task_state.MOST_TAIL_KEYS + 10
        assert task.loaded().loaded.doubtful == [held._replace(attempts=2_499 % 15)]


@pytest.mark.usefixtures("small")
class TestExpiry:
    def expiries(self, task: Task, since: float = NOW) -> set[float]:
        """When the keys that were written at this time expire."""
        return {since + kept.total_seconds() for kept in task.store.retentions.values() if kept is not None}

    def test_all_keys_expire_together(self, task: Task) -> None:
        written_at: dict[str, float] = {}
        journal = task.started()
        for start in range(0, 60, 6):
            before = len(task.store.written)
            deliver(journal, range(start, start + 6), 2)
            written_at.update((key, task.now) for key, _ in task.store.written[before:])
            task.now += 3600
        kept = {key: task.store.retentions[key] for key in written_at}
        assert {round(at + kept[key].total_seconds()) for key, at in written_at.items()} == {round(NOW + KEPT_SECONDS)}
        assert len(written_at) > 15
        assert None not in task.store.retentions.values()

    def test_with_more_than_half_of_the_time_left_nothing_is_renewed(self, task: Task) -> None:
        deliver(task.started(), range(30), 3)
        task.now += 14 * DAY
        before = len(task.store.written)
        deliver(task.started(), range(30, 40), 3)
        written = {key for key, _ in task.store.written[before:]}
        assert task.key("chunk.0") not in written
        assert self.left(task, written) == {16 * DAY}

    def test_with_less_everything_that_counts_is_renewed_together(self, task: Task) -> None:
        journal = task.started()
        deliver(journal, range(30), 3)
        journal.commit([made(100)], ())
        task.now += 15 * DAY + 1
        before = len(task.store.written)
        task.started()
        written = {key for key, _ in task.store.written[before:]}
        assert written >= {KEY, *task.chunks()}
        assert self.left(task, written) == {30 * DAY}
        first = task.store.get(KEY)["tail"]
        assert task.key(f"tail.{first}") in written
        assert task.store.get(KEY)["expires"] == task.now + KEPT_SECONDS
        found = task.loaded()
        assert (found.of(JournalState.DELIVERED), found.loaded.doubtful) == (row_keys(range(30)), [made(100)])

    def test_however_long_a_run_takes_its_keys_are_kept_a_little(self, task: Task) -> None:
        journal = task.started()
        task.now += 31 * DAY
        journal.commit([made(1)], ())
        assert task.store.retentions[task.key("tail.0")] == timedelta(seconds=60)

    def left(self, task: Task, keys: set[str]) -> set[float]:
        return {task.store.retentions[key].total_seconds() for key in keys}


def test_no_text_of_a_row_is_kept(task: Task) -> None:
    deliver(task.started(), range(3), 1)
    stored = json.dumps(task.store.values)
    assert "Viewed" not in stored
    assert str(made(1).trace.lead_id) not in stored


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("later", [0, 20])
class TestOtherLeads:
    """Lofty answered with the id of another lead."""

    @contextmanager
    def learned(self, task: Task) -> Iterator[tuple[dict[bytes, int | None], Leads]]:
        with closing(Spool(keep_cells=False)) as spool:
            journal = task.journal()
            journal.begin(is_later_try=True)
            loaded = journal.load(spool)
            yield {intent.row_key: intent.answered_lead for intent in loaded.doubtful}, spool.leads

    def test_that_of_a_doubt_is_known_to_the_next_tries(self, keyed: bool, later: int) -> None:
        task = Task(keyed=keyed)
        doubtful, journal = made(1, keyed=keyed), task.started()
        journal.commit([doubtful], ())
        journal.commit((), [Closing(doubtful, JournalState.DOUBTED, answered_lead=77)])
        deliver(journal, range(100, 100 + later), 3, keyed=keyed)
        for _ in range(2):
            with self.learned(task) as (answered, leads):
                assert answered == {doubtful.row_key: 77}
                assert (leads.is_suspected(77), leads.is_known(doubtful.trace.lead_id)) == (True, False)
            task.started()

    def test_that_of_a_delivered_row_is_certain(self, keyed: bool, later: int) -> None:
        task = Task(keyed=keyed)
        row, journal = made(1, keyed=keyed), task.started()
        journal.commit([row], ())
        journal.commit((), [Closing(row, JournalState.DELIVERED, 200, answered_lead=77)])
        deliver(journal, range(100, 100 + later), 3, keyed=keyed)
        for _ in range(2):
            with self.learned(task) as (answered, leads):
                assert (answered, leads.family(77, is_certain=True)) == ({}, {77, row.trace.lead_id})
            task.started()
