"""The journal in a table, on SQLite and PostgreSQL: one owner for each row, and an account of every row sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from support.practice import Log
from support.shared_journal import (
    ONE,
    SAID,
    STALE_SECONDS,
    Database,
    Learned,
    Memory,
    Parties,
    closed,
    committing,
    input_sample,
    lite,
    made,
    postgres,
    sent,
)

from airflow_provider_lofty.delivery.progress import Progress
from airflow_provider_lofty.delivery.recorder import Recorder
from airflow_provider_lofty.journal import engine as journal_engines
from airflow_provider_lofty.journal.database import SqlJournal
from airflow_provider_lofty.journal.journal import (
    Closing,
    Intent,
    JournalError,
    JournalUnusable,
    Loaded,
    Released,
    intent_of,
)
from airflow_provider_lofty.journal.tables import FORMAT, JOURNAL, RUNS
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import CONTENT_BYTES, KEY_OF_ANOTHER, JournalState, PastRow
from airflow_provider_lofty.spool.spool import PendingRow, Spool, SpoolRow


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Give a database without the tables."""
    is_lite = request.param == "sqlite"
    with closing(lite(tmp_path) if is_lite else postgres(request.getfixturevalue("postgres_uri"))) as database:
        yield database


@pytest.fixture
def parties(database: Database) -> Parties:
    return Parties(database)


class TestTables:
    def test_they_are_made_on_first_use_and_used_from_then_on(self, parties: Parties) -> None:
        assert parties.learn(parties.journal(), [1]) == Learned(False, Loaded([]), {})
        assert parties.database.rows("row_key") == []
        assert parties.learn(parties.journal(), [1], is_later_try=True).has_gaps is False
        assert parties.database.do(f"SELECT COUNT(*) FROM {RUNS}") == [(1,)]

    def test_several_runs_may_make_them_at_once(self, parties: Parties) -> None:
        together = threading.Barrier(4)

        def begin(journal: SqlJournal) -> bool:
            together.wait(30)
            return journal.begin(is_later_try=False)

        with ThreadPoolExecutor(4) as pool:
            begun = list(pool.map(begin, [parties.journal(f"r{n}") for n in range(4)]))
        assert begun == [False] * 4
        assert parties.database.do(f"SELECT COUNT(*) FROM {RUNS}") == [(4,)]
        assert parties.started("other").commit([ONE], ()) == set()

    @pytest.mark.parametrize("made_before", range(5))
    def test_a_run_that_died_while_making_them_does_no_harm(self, parties: Parties, made_before: int) -> None:
        parties.started()
        statements = [
            f"DELETE FROM {RUNS}", f"DELETE FROM {FORMAT}", f"DROP TABLE {RUNS}", f"DROP INDEX {JOURNAL}_task",
            f"DROP INDEX {JOURNAL}_lead", f"DROP TABLE {JOURNAL}",
        ]  # fmt: skip
        for statement in statements[: 6 - made_before]:
            parties.database.do(statement)
        journal = parties.started()
        journal.commit([ONE], ())
        assert parties.database.rows("state") == [(JournalState.INTENDED,)]

    def test_a_table_that_was_dropped_is_made_again(self, parties: Parties) -> None:
        parties.started()
        parties.database.do(f"DROP TABLE {RUNS}")
        parties.started().commit([ONE], ())
        assert parties.database.rows("state") == [(JournalState.INTENDED,)]

    def test_a_database_that_does_not_enforce_keys_is_refused(self, tmp_path: Path) -> None:
        database = lite(tmp_path)
        parties = Parties(database)
        parties.started().close()
        for table in (JOURNAL, RUNS):
            database.do(f"CREATE TABLE copy AS SELECT * FROM {table} WHERE 1 = 0")
            database.do(f"DROP TABLE {table}")
            database.do(f"ALTER TABLE copy RENAME TO {table}")
        with pytest.raises(JournalUnusable, match="does not enforce primary keys"):
            parties.journal().begin(is_later_try=False)
        assert database.do(f"SELECT COUNT(*) FROM {RUNS}") == [(0,)]
        database.close()

    @pytest.mark.parametrize("commits_itself", [False, True])
    def test_trying_the_keys_leaves_nothing(self, parties: Parties, commits_itself: bool) -> None:
        if commits_itself:
            parties.database.connect = committing(parties.database.connect)
        for _ in range(3):
            parties.journal().begin(is_later_try=False)
        assert parties.database.do(f"SELECT run_id FROM {RUNS}") == [("r",)]

    def test_a_connection_that_commits_by_itself_does_no_harm(self, parties: Parties) -> None:
        parties.database.connect = committing(parties.database.connect)
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE, made(2)], ())
        assert set(b.commit([ONE, made(3)], ())) == {ONE.row_key}
        a.commit((), [*closed(JournalState.DELIVERED, ONE), *closed(JournalState.REJECTED, made(2))])
        assert list(b.heartbeat()) == [Released(ONE.row_key, JournalState.DELIVERED, ONE._replace(attempts=1))]
        assert parties.learn(parties.journal("a"), range(4)).states == {
            ONE.row_key: JournalState.DELIVERED,
            made(2).row_key: JournalState.REJECTED,
        }


class TestBlindness:
    def later(self, parties: Parties, **settings: Any) -> SqlJournal:
        journal = parties.journal("a", **settings)
        assert journal.begin(is_later_try=True) is True
        return journal

    def has_gaps(self, parties: Parties, **settings: Any) -> bool:
        return parties.learn(parties.journal("a", **settings), is_later_try=True).has_gaps

    def test_a_later_try_without_a_journal_does_not_know_what_was_sent(self, parties: Parties) -> None:
        self.later(parties)
        assert self.has_gaps(parties)

    def test_it_stays_so_over_all_later_tries(self, parties: Parties) -> None:
        self.later(parties)
        for n in range(4):
            self.later(parties)
            journal = parties.started("a", max_tries=n)
            journal.start(input_sample(10))
            journal.commit([made(n)], closed(JournalState.DELIVERED, *map(made, range(n))))
            assert self.has_gaps(parties, max_tries=n)

    def test_another_source_knows_nothing_of_what_the_first_one_sent(self, parties: Parties) -> None:
        parties.started("a").commit([ONE], ())
        self.later(parties, source="another")
        assert not self.has_gaps(parties)  # nothing was sent from the other one yet
        parties.started("a", source="another")
        self.later(parties, source="another")
        self.later(parties)
        parties.started("a", source="another")
        assert self.has_gaps(parties, source="another")
        assert self.has_gaps(parties)

    def test_other_runs_are_not_concerned(self, parties: Parties) -> None:
        parties.started("b")
        self.later(parties)
        assert not parties.learn(parties.journal("b"), is_later_try=True).has_gaps
        assert self.has_gaps(parties)

    def test_rows_that_were_purged_are_not_known(self, parties: Parties) -> None:
        journal = parties.started("a")
        journal.start(input_sample(10))
        journal.commit([ONE], ())
        journal.commit([], closed(JournalState.DELIVERED, ONE))
        parties.started("b").commit([made(2)], ())
        assert not self.has_gaps(parties)
        parties.database.do(f"DELETE FROM {JOURNAL} WHERE run_id = 'a'")
        for _ in range(2):
            self.later(parties)
        journal = parties.started("a")
        journal.start(input_sample(10))
        journal.commit([ONE], ())
        self.later(parties)

    @pytest.mark.parametrize("purged", ["delivered", "intended", "rejected"])
    def test_nor_are_some_of_them(self, parties: Parties, purged: str) -> None:
        journal = parties.started("a")
        journal.start(input_sample(10))
        journal.commit([made(n) for n in range(6)], ())
        ends = {JournalState.DELIVERED: (0, 1), JournalState.REJECTED: (2, 3)}
        journal.commit((), [closing for state, rows in ends.items() for closing in closed(state, *map(made, rows))])
        parties.started("b").commit([made(7)], ())
        assert not self.has_gaps(parties)
        ((key,), *_) = parties.database.do(f"SELECT row_key FROM {JOURNAL} WHERE state = '{purged}' AND run_id = 'a'")
        parties.database.do(f"DELETE FROM {JOURNAL} WHERE row_key = '{key}'")
        self.later(parties)

    def test_a_later_try_knows_whether_rows_are_gone_or_were_never_written_down(self, parties: Parties) -> None:
        self.later(parties)
        journal = parties.started("a")
        with closing(Memory([ONE.row_key])) as memory:
            assert journal.begin(is_later_try=True)
            journal.load(memory)
            assert not memory.history.has_deletions
            journal.commit([ONE], ())
            parties.database.do(f"DELETE FROM {JOURNAL}")
            journal.load(memory)
            assert memory.history.has_deletions

    def test_nor_are_those_that_are_purged_while_a_later_try_reads_its_source(self, parties: Parties) -> None:
        """It would take them for rows that were never sent."""
        journal = parties.started("a")
        journal.start(input_sample(2))
        journal.commit([ONE, made(2)], ())
        journal.commit((), closed(JournalState.DELIVERED, ONE, made(2)))
        later = parties.journal("a")
        assert not later.begin(is_later_try=True)
        parties.database.do(f"DELETE FROM {JOURNAL} WHERE row_key = '{ONE.row_key.hex()}'")
        with closing(Memory([ONE.row_key, made(2).row_key])) as memory, pytest.raises(JournalError, match="are gone"):
            later.load(memory)
        assert self.has_gaps(parties)

    @pytest.mark.parametrize("asks", ["to send it", "to read its lead"])
    @pytest.mark.parametrize("has_gaps", [False, True])
    def test_nor_are_those_of_another_try_that_runs_beside_it(
        self, parties: Parties, has_gaps: bool, asks: str
    ) -> None:
        """It would take them for rows that were never sent, and their entries at Lofty for those of its own."""
        if has_gaps:
            parties.started("a").commit([made(4)], ())
            parties.database.do(f"DELETE FROM {JOURNAL}")
        old, retry = parties.journal("a"), parties.journal("a")
        with closing(Memory([ONE.row_key, made(2).row_key])) as memory:
            for journal in (old, retry):
                assert journal.begin(is_later_try=has_gaps) == has_gaps
                journal.load(memory)
            old.commit([made(2)], ())
            retry.commit([ONE], ())
            retry.commit((), closed(JournalState.DELIVERED, ONE))
            old.commit([made(3)], ())
            parties.database.do(f"DELETE FROM {JOURNAL} WHERE row_key = '{ONE.row_key.hex()}'")
            with pytest.raises(JournalError, match="are gone"):
                old.commit([ONE], ()) if asks == "to send it" else old.load_lead(ONE.trace.lead_id, memory)
        assert self.has_gaps(parties)

    def test_what_another_try_says_is_not_believed_once_rows_are_gone(self, parties: Parties) -> None:
        """It may have given a row the entry of another, which this one had found before it was deleted."""
        old, retry = parties.started("a"), parties.started("a")
        retry.commit([ONE, made(2)], ())
        assert set(old.commit([ONE], ())) == {ONE.row_key}
        parties.database.do(f"DELETE FROM {JOURNAL} WHERE row_key = '{made(2).row_key.hex()}'")
        assert list(old.heartbeat()) == []
        retry.commit((), closed(JournalState.DELIVERED, ONE))
        with pytest.raises(JournalError, match="are gone"):
            old.heartbeat()

    def test_a_try_that_stops_for_it_has_withdrawn_what_it_did_not_send(self, parties: Parties) -> None:
        old, retry = parties.started("a"), parties.started("a")
        old.commit([made(2)], ())
        retry.commit([ONE, made(3)], ())
        parties.database.do(f"DELETE FROM {JOURNAL} WHERE row_key = '{ONE.row_key.hex()}'")
        with pytest.raises(JournalError, match="are gone"):
            old.commit([ONE], [Closing(made(2), JournalState.WITHDRAWN)])
        assert parties.database.rows("row_key") == [(one.row_key.hex(),) for one in (ONE, made(3))]

    def test_a_try_knows_its_own_that_somebody_deletes(self, parties: Parties) -> None:
        journal = parties.started("a")
        journal.commit([ONE, made(2)], ())
        journal.commit((), [*closed(JournalState.DELIVERED, ONE), Closing(made(2), JournalState.WITHDRAWN)])
        parties.database.do(f"DELETE FROM {JOURNAL}")
        assert journal.commit([made(3)], ()) == set()

    def test_what_its_first_owner_delivered_after_all_is_known_to_whoever_took_it_over(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        b.commit([ONE], ())
        parties.now += STALE_SECONDS
        assert [end.state for end in b.heartbeat()] == [JournalState.DOUBTED]
        with closing(Memory([ONE.row_key])) as memory:
            b.load_lead(ONE.trace.lead_id, memory)
            assert not memory.history.is_delivered(ONE.row_key)
            a.commit((), closed(JournalState.DELIVERED, ONE))
            b.load_lead(ONE.trace.lead_id, memory)
            assert memory.history.is_delivered(ONE.row_key)

    def test_a_row_that_another_run_held_and_somebody_deleted_is_in_doubt(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE, made(2)], ())
        assert set(b.commit([ONE, made(2)], ())) == {ONE.row_key, made(2).row_key}
        a.commit((), closed(JournalState.DELIVERED, ONE))
        a.commit((), closed(JournalState.WITHDRAWN, made(2)))
        parties.database.do(f"DELETE FROM {JOURNAL} WHERE run_id = 'a'")
        released = {end.row_key: (end.state, end.intent) for end in b.heartbeat()}
        assert released[ONE.row_key] == (JournalState.DOUBTED, ONE)
        assert parties.database.rows("run_id, state")[0] == ("b", JournalState.INTENDED)

    def test_rows_that_others_have_taken_over_are_not_missing(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE, made(2)], ())
        b.commit([ONE, made(2), made(3)], ())
        a.commit((), closed(JournalState.REJECTED, made(2)))
        parties.now += STALE_SECONDS
        b.heartbeat()
        assert set(b.commit([made(2)], ())) == set()
        assert parties.database.rows("run_id") == [("b",), ("b",), ("b",)]
        assert sorted(parties.database.do(f"SELECT run_id, journal_rows FROM {RUNS}")) == [("a", 0), ("b", 3)]
        a.commit((), closed(JournalState.DELIVERED, made(4)))  # it was found at Lofty, and had no claim
        assert sorted(parties.database.do(f"SELECT run_id, journal_rows FROM {RUNS}")) == [("a", 1), ("b", 3)]
        assert not self.has_gaps(parties)

    def test_nor_are_those_of_a_try_that_died_before_it_closed_any(self, parties: Parties) -> None:
        journal = parties.started("a")
        journal.start(input_sample(10))
        journal.commit([ONE], ())
        parties.database.do(f"DELETE FROM {JOURNAL} WHERE run_id = 'a'")
        assert self.has_gaps(parties)

    def test_a_try_that_was_stopped_before_its_first_row_left_nothing_to_purge(self, parties: Parties) -> None:
        journal = parties.started("a")
        journal.start(input_sample(10))
        journal.commit([ONE], ())
        journal.commit((), [Closing(ONE, JournalState.WITHDRAWN)])
        assert not self.has_gaps(parties)

    def test_a_try_that_ended_before_it_sent_left_nothing_to_purge(self, parties: Parties) -> None:
        parties.journal("a").begin(is_later_try=False)
        assert not self.has_gaps(parties)

    @pytest.mark.parametrize("stays_down", [True, False])
    def test_no_interruption_makes_it_see(self, parties: Parties, stays_down: bool) -> None:
        parties.started("warm up")
        for steps in range(25):
            task = f"t{steps}"
            parties.database.on_engine = failing([steps], stays_down=stays_down)
            with suppress(JournalError), closing(parties.journal("a", task=task)) as journal:
                parties.learn(journal, [1], is_later_try=True)
                journal.start(input_sample(1))
                journal.commit([ONE], ())
                journal.commit((), closed(JournalState.DELIVERED, ONE))
            parties.database.on_engine = lambda engine: None
            assert self.has_gaps(parties, task=task)


class TestClaims:
    def test_a_row_is_one_runs_until_it_is_delivered(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        assert set(a.commit([ONE], ())) == set()
        assert set(b.commit([ONE, made(2)], ())) == {ONE.row_key}
        assert list(b.heartbeat()) == []
        a.commit((), closed(JournalState.DELIVERED, ONE))
        assert list(b.heartbeat()) == [Released(ONE.row_key, JournalState.DELIVERED, ONE._replace(attempts=1))]
        assert list(b.heartbeat()) == []

    @pytest.mark.parametrize("state", [JournalState.WITHDRAWN, JournalState.REJECTED])
    def test_what_is_certainly_not_stored_is_free_for_others(self, parties: Parties, state: str) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        b.commit([ONE], ())
        a.commit((), closed(state, ONE))
        assert list(b.heartbeat()) == [Released(ONE.row_key, JournalState.WITHDRAWN)]
        assert set(b.commit([ONE], ())) == set()
        assert set(a.commit([ONE], ())) == {ONE.row_key}
        assert parties.database.rows("run_id, state") == [("b", JournalState.INTENDED)]

    def test_a_row_in_doubt_stays_its_owners(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        a.commit((), closed(JournalState.DOUBTED, ONE))
        assert set(b.commit([ONE], ())) == {ONE.row_key}
        assert list(b.heartbeat()) == []
        assert parties.database.rows("run_id, state, attempts") == [("a", JournalState.INTENDED, 1)]

    def test_a_delivered_row_is_refused_and_told_at_once(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        a.commit((), closed(JournalState.DELIVERED, ONE))
        assert set(b.commit([ONE], ())) == {ONE.row_key}
        assert list(b.heartbeat()) == [Released(ONE.row_key, JournalState.DELIVERED, ONE._replace(attempts=1))]

    def test_of_many_rows_only_those_that_are_held_are_refused(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        held = [made(n) for n in range(0, 900, 90)]
        a.commit(held, ())
        everything = [made(n) for n in range(900)]
        assert set(b.commit(everything, ())) == {intent.row_key for intent in held}
        assert parties.database.do(f"SELECT run_id, COUNT(*) FROM {JOURNAL} GROUP BY run_id ORDER BY 1") == [
            ("a", 10),
            ("b", 890),
        ]
        b.commit((), closed(JournalState.DELIVERED, *(intent for intent in everything if intent not in held)))
        a.commit((), closed(JournalState.DELIVERED, *held))
        assert len(b.heartbeat()) == 10
        assert parties.database.rows("DISTINCT state") == [(JournalState.DELIVERED,)]

    def test_its_owner_may_intend_a_row_again(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE], ())
        a.commit([made(1, 2), made(2)], closed(JournalState.DOUBTED, ONE))
        assert parties.database.rows("row_key, attempts") == [(ONE.row_key.hex(), 2), (made(2).row_key.hex(), 0)]

    def test_two_tasks_of_one_run_are_two_parties(self, parties: Parties) -> None:
        parties.started(index=0).commit([ONE], ())
        assert set(parties.started(index=1).commit([ONE], ())) == {ONE.row_key}
        assert set(parties.started(task="other").commit([ONE], ())) == {ONE.row_key}

    def test_scopes_do_not_see_each_other(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE, made(2)], ())
        a.commit((), closed(JournalState.DELIVERED, ONE))
        other = parties.journal("b", scope="another")
        assert parties.learn(other, [1, 2]).rows == {}
        assert set(other.commit([ONE, made(2)], ())) == set()
        other.commit((), closed(JournalState.REJECTED, ONE))
        with closing(Memory()) as memory:
            other.load_lead(ONE.trace.lead_id, memory)
            assert memory.read() == {}
        assert [(scope.strip(), state) for scope, state in parties.database.rows("scope, state")] == [
            ("another", JournalState.INTENDED), ("another", JournalState.REJECTED), ("lofty", JournalState.DELIVERED), ("lofty", JournalState.INTENDED),
        ]  # fmt: skip


class TestDeadOwners:
    def test_a_claim_without_a_sign_of_life_is_taken_over_in_doubt(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([made(1, 3)], ())
        b.commit([ONE], ())
        parties.now += STALE_SECONDS - 1
        assert list(b.heartbeat()) == []
        parties.now += 1
        assert list(b.heartbeat()) == [Released(ONE.row_key, JournalState.DOUBTED, sent(1, 3))]
        assert list(b.heartbeat()) == []
        assert parties.database.rows("run_id, state, attempts") == [("b", JournalState.INTENDED, 3)]
        b.commit((), closed(JournalState.DELIVERED, made(1, 3)))
        assert parties.database.rows("run_id, state") == [("b", JournalState.DELIVERED)]

    def test_an_owner_that_comes_back_has_lost_its_claim(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        b.commit([ONE], ())
        parties.now += STALE_SECONDS
        b.heartbeat()
        assert set(a.commit([ONE], ())) == {ONE.row_key}
        for state in (JournalState.DOUBTED, JournalState.WITHDRAWN, JournalState.DELIVERED, JournalState.REJECTED):
            a.commit((), closed(state, ONE))
            assert parties.database.rows("run_id, state, attempts") == [("b", JournalState.INTENDED, 0)]

    def robbed(self, parties: Parties, *rows: Intent) -> tuple[SqlJournal, SqlJournal]:
        """A run whose claims were taken over, unnoticed, by another one."""
        a, b = parties.started("a"), parties.started("b")
        a.commit(rows, ())
        b.commit(rows, ())
        parties.now += STALE_SECONDS
        assert [released.state for released in b.heartbeat()] == [JournalState.DOUBTED] * len(rows)
        return a, b

    @pytest.mark.parametrize(
        "state", [JournalState.DOUBTED, JournalState.ABANDONED, JournalState.WITHDRAWN, JournalState.REJECTED]
    )
    def test_an_owner_that_closes_late_changes_nothing(self, parties: Parties, state: str) -> None:
        a, _ = self.robbed(parties, ONE)
        a.commit((), closed(state, ONE))
        assert parties.database.rows("run_id, state, attempts") == [("b", JournalState.INTENDED, 0)]

    def test_a_certain_delivery_counts_though_its_claim_was_taken_over(self, parties: Parties) -> None:
        a, b = self.robbed(parties, ONE, made(2), made(3))
        a.commit(
            (),
            [
                *closed(JournalState.DELIVERED, ONE),
                *closed(JournalState.REJECTED, made(2)),
                *closed(JournalState.DELIVERED, made(3)),
            ],
        )
        assert parties.database.rows("row_key, state, http_status") == [
            (ONE.row_key.hex(), JournalState.DELIVERED, 200),
            (made(2).row_key.hex(), JournalState.INTENDED, None),
            (made(3).row_key.hex(), JournalState.DELIVERED, 200),
        ]
        for state in (JournalState.DOUBTED, JournalState.ABANDONED, JournalState.WITHDRAWN, JournalState.REJECTED):
            b.commit((), closed(state, ONE))
        assert set(b.commit([made(3, 1)], ())) == {made(3).row_key}
        assert list(b.heartbeat()) == [Released(made(3).row_key, JournalState.DELIVERED, made(3, 1))]
        assert parties.learn(parties.journal("c"), range(4)).states == {
            ONE.row_key: JournalState.DELIVERED,
            made(3).row_key: JournalState.DELIVERED,
        }

    def test_it_is_expected_until_its_owner_wrote_of_it(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE, made(2)], ())
        a.commit((), [Closing(made(2), JournalState.DOUBTED, error="time-out")])
        b.commit([ONE, made(2)], ())
        parties.now += STALE_SECONDS
        taken = {released.row_key: released.intent for released in b.heartbeat()}
        again = {intent.row_key: intent for intent in parties.learn(parties.journal("b")).loaded.doubtful}
        for found in (taken, again):
            assert [found[one.row_key].may_be_answered for one in (ONE, made(2))] == [True, False]

    def test_what_was_read_back_does_not(self, parties: Parties) -> None:
        a, b = self.robbed(parties, ONE)
        found = closed(JournalState.DELIVERED, ONE)[0]._replace(is_answered=False)
        a.commit((), [found])
        assert parties.database.rows("run_id, state") == [("b", JournalState.INTENDED)]
        b.commit((), [found])
        assert parties.database.rows("run_id, state") == [("b", JournalState.DELIVERED)]

    @pytest.mark.parametrize("state", [JournalState.WITHDRAWN, JournalState.REJECTED, JournalState.DELIVERED])
    def test_it_counts_too_when_the_other_one_has_ended_it_before(self, parties: Parties, state: str) -> None:
        a, b = self.robbed(parties, ONE, made(2))
        b.commit((), closed(state, ONE, made(2)))
        a.commit((), closed(JournalState.DELIVERED, ONE))
        (found,) = [row[1:] for row in parties.database.rows("row_key, state, error") if row[0] == ONE.row_key.hex()]
        assert found == (JournalState.DELIVERED, None)
        assert parties.learn(parties.journal("c"), [1]).states == {ONE.row_key: JournalState.DELIVERED}
        assert len(parties.database.rows("row_key")) == (1 if state == JournalState.WITHDRAWN else 2)

    @pytest.mark.parametrize(("owners", "mine"), [(90, 20), (20, 90)])
    def test_an_owner_is_given_the_time_it_asked_for_and_at_least_ones_own(
        self, parties: Parties, owners: float, mine: float
    ) -> None:
        a, b = parties.started("a", stale_seconds=owners), parties.started("b", stale_seconds=mine)
        a.commit([ONE], ())
        b.commit([ONE], ())
        parties.now += 89
        assert list(b.heartbeat()) == []
        parties.now += 1
        assert [released.state for released in b.heartbeat()] == [JournalState.DOUBTED]
        assert parties.database.rows("run_id, stale_seconds") == [("b", mine)]

    def test_part_of_a_second_is_a_whole_one(self, parties: Parties) -> None:
        parties.started("a", stale_seconds=40.2).commit([ONE], ())
        assert parties.database.rows("stale_seconds") == [(41,)]

    def test_an_owner_that_shows_life_is_never_robbed(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        b.commit([ONE], ())
        for _ in range(50):
            parties.now += STALE_SECONDS / 2
            a.heartbeat()
            assert list(b.heartbeat()) == []
        assert parties.database.rows("run_id, state") == [("a", JournalState.INTENDED)]

    @pytest.mark.parametrize("pause", [0.1, 0.7])
    def test_nor_is_one_that_is_busy(self, parties: Parties, pause: float) -> None:
        def clock() -> float:
            return parties.now

        a, b = parties.started("a"), parties.started("b")
        with closing(Spool(keep_cells=False)) as spool:
            recorder = Recorder(spool, a, Progress(1, Log(), clock), clock)
            recorder.intend([ONE])
            b.commit([ONE], ())
            for _ in range(int(2 * STALE_SECONDS / pause)):
                parties.now += pause
                recorder.intend([made(2)])
                recorder.withdraw(made(2))
                recorder.heartbeat()
                assert list(b.heartbeat()) == []
        assert ("a", ONE.row_key.hex(), JournalState.INTENDED) in parties.database.rows("run_id, row_key, state")

    def test_an_owner_that_intends_anew_is_alive(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        b.commit([ONE], ())
        for attempts in range(1, 20):
            parties.now += STALE_SECONDS - 1
            a.commit([made(1, attempts)], ())
            assert list(b.heartbeat()) == []

    def test_signs_of_life_are_not_written_all_the_time(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE], ())
        signs = set()
        for _ in range(100):
            parties.now += 1
            a.heartbeat()
            signs.update(parties.database.rows("sign_of_life"))
        assert 5 <= len(signs) <= 12

    def test_of_several_that_wait_one_takes_over(self, parties: Parties) -> None:
        a, b, c = (parties.started(name) for name in "abc")
        a.commit([ONE], ())
        for waiting in (b, c):
            waiting.commit([ONE], ())
        parties.now += STALE_SECONDS
        assert [released.state for released in b.heartbeat()] == [JournalState.DOUBTED]
        assert list(c.heartbeat()) == []
        parties.now += STALE_SECONDS - 1
        assert list(c.heartbeat()) == []
        b.commit((), closed(JournalState.DELIVERED, ONE))
        assert [released.state for released in c.heartbeat()] == [JournalState.DELIVERED]

    def test_a_later_try_of_the_same_task_takes_its_claims_at_once_in_doubt(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE, made(2), made(3)], ())
        a.commit((), [*closed(JournalState.DOUBTED, ONE), *closed(JournalState.DELIVERED, made(3))])
        parties.started("b").commit([made(4)], ())
        again = parties.journal("a")
        learned = parties.learn(again, [2])
        assert set(learned.loaded.doubtful) == {made(1, 1), sent(2)}
        assert learned.states == {made(2).row_key: JournalState.INTENDED}
        again.commit((), closed(JournalState.DELIVERED, made(1, 1)))
        assert parties.learn(parties.journal("a")).loaded.doubtful == [sent(2)]


class TestRecalling:
    def test_every_row_of_the_input_is_looked_up(self, parties: Parties) -> None:
        a = parties.started("a")
        rows = [made(n) for n in range(1000)]
        for start in range(0, 1000, 500):
            a.commit(rows[start : start + 500], ())
        a.commit((), closed(JournalState.DELIVERED, *rows))
        learned = parties.learn(parties.journal("b"), range(100, 1100))
        assert learned.states == {made(n).row_key: JournalState.DELIVERED for n in range(100, 1000)}
        assert learned.rows[made(500).row_key] == PastRow(
            made(500).row_key,
            JournalState.DELIVERED,
            made(500).fingerprint,
            made(500).trace.trace_hash,
            200,
            None,
            None,
            1,
            made(500).trace.lead_id,
        )
        assert (learned.has_gaps, learned.loaded) == (False, Loaded([]))

    def test_a_later_try_knows_how_much_is_gone(self, parties: Parties) -> None:
        a = parties.started("a")
        a.start(input_sample(10))
        a.commit([made(n) for n in range(10)], ())
        a.commit((), closed(JournalState.DELIVERED, *map(made, range(10))))
        assert parties.learn(parties.journal("a"), range(3, 20)).loaded == Loaded([], input_sample(10), 10, 3)

    def test_another_source_knows_what_was_delivered_and_what_is_in_doubt(self, parties: Parties) -> None:
        a = parties.started("a")
        a.start(input_sample(10))
        a.commit([made(n) for n in range(3)], ())
        a.commit((), [*closed(JournalState.DELIVERED, made(0)), *closed(JournalState.REJECTED, made(1))])
        learned = parties.learn(parties.journal("a", source="another"), range(3))
        assert (learned.has_gaps, learned.loaded) == (True, Loaded([sent(2)]))
        assert learned.states == {made(0).row_key: JournalState.DELIVERED, made(2).row_key: JournalState.INTENDED}

    def test_refused_rows_are_known_to_the_same_task_only(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE], ())
        a.commit((), closed(JournalState.REJECTED, ONE))
        found = parties.learn(parties.journal("a"), [1]).rows[ONE.row_key]
        assert (found.state, found.http_status, found.error_code, found.error) == (
            JournalState.REJECTED,
            *SAID[JournalState.REJECTED],
        )
        b = parties.journal("b")
        assert parties.learn(b, [1]).rows == {}
        assert set(b.commit([ONE], ())) == set()
        assert parties.database.rows("run_id, state, http_status, error_code, error, closed_at") == [
            ("b", JournalState.INTENDED, None, None, None, None)
        ]

    def test_refused_rows_are_forgotten_when_the_task_is_cleared(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE, made(2)], ())
        a.commit((), [*closed(JournalState.REJECTED, ONE), *closed(JournalState.DELIVERED, made(2))])
        cleared = parties.journal("a", max_tries=1)
        assert parties.learn(cleared, [1, 2]).states == {made(2).row_key: JournalState.DELIVERED}
        cleared.start(input_sample(2))
        assert set(cleared.commit([ONE], ())) == set()
        cleared.commit((), closed(JournalState.REJECTED, ONE))
        assert parties.learn(parties.journal("a", max_tries=1), [1]).states == {ONE.row_key: JournalState.REJECTED}
        assert parties.learn(parties.journal("a", max_tries=2), [1]).states == {}

    def test_a_third_try_after_a_clear_does_not_remember_them_either(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE], ())
        a.commit((), closed(JournalState.REJECTED, ONE))
        parties.started("a", max_tries=1)
        assert parties.learn(parties.journal("a", max_tries=1), [1]).states == {}

    def test_of_a_lead_it_tells_what_others_delivered_and_hold(self, parties: Parties) -> None:
        lead = ONE.trace.lead_id
        same_lead = [intent._replace(trace=intent.trace._replace(lead_id=lead)) for intent in map(made, range(1, 6))]
        a, b = parties.started("a"), parties.started("b")
        a.commit(same_lead[:3], ())
        a.commit((), [*closed(JournalState.DELIVERED, same_lead[0]), *closed(JournalState.REJECTED, same_lead[1])])
        b.commit([same_lead[3]], ())
        with closing(Memory()) as memory:
            b.load_lead(lead, memory)
            assert {row_key: row.state for row_key, row in memory.read().items()} == {
                same_lead[0].row_key: JournalState.DELIVERED,
                same_lead[2].row_key: JournalState.CLAIMED,
            }
            a.commit((), closed(JournalState.WITHDRAWN, same_lead[2]))
            b.load_lead(lead, memory)
            assert {row.state for row in memory.read().values()} == {JournalState.DELIVERED}
            b.load_lead(5, memory)
            assert len(memory.read()) == 1


class TestOtherLeads:
    """Lofty answered with the id of another lead."""

    def test_that_of_a_doubt_is_known_to_whoever_settles_it(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE, made(2)], ())
        a.commit((), [Closing(one, JournalState.DOUBTED, answered_lead=77) for one in (ONE, made(2))])
        a.commit((), [Closing(made(2), JournalState.ABANDONED, answered_lead=77)])
        b.commit([ONE], ())
        parties.now += STALE_SECONDS
        (released,) = b.heartbeat()
        assert released.intent is not None
        assert released.intent.answered_lead == 77
        for run, row in (("b", ONE), ("a", made(2))):
            with closing(Spool(keep_cells=False)) as spool:
                journal = parties.journal(run)
                journal.begin(is_later_try=True)
                assert [(i.row_key, i.answered_lead) for i in journal.load(spool).doubtful] == [(row.row_key, 77)]
                assert spool.leads.family(77, is_certain=False) == {77, row.trace.lead_id}

    def test_what_others_sent_to_other_leads_is_found_by_what_it_says(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        alike = [ONE._replace(row_key=b"k%011d" % n, trace=ONE.trace._replace(lead_id=n)) for n in range(10, 15)]
        another = made(2)._replace(trace=made(2).trace._replace(created=ONE.trace.created))
        a.commit([*alike, another], ())
        a.commit((), [
            *closed(JournalState.DELIVERED, *alike[:3], another),
            *(one._replace(answered_lead=77) for one in closed(JournalState.DELIVERED, alike[3])),
            *closed(JournalState.REJECTED, alike[4]),
        ])  # fmt: skip
        with closing(Spool(keep_cells=False)) as spool:
            b.load_alike(ONE.trace._replace(lead_id=10), spool)
            assert spool.leads.alike(ONE.trace.content, 10) == {11, 12, 13}
            assert spool.leads.family(77, is_certain=True) == {77, 13}
            assert spool.leads.delivered_contents([13], is_certain=True) == {ONE.trace.content[:CONTENT_BYTES]: 1}
        with closing(Spool(keep_cells=False)) as spool:
            b.load_alike(another.trace, spool)
            assert spool.leads.alike(another.trace.content, another.trace.lead_id) == set()


class TestSharedKeys:
    """Identities are hashes of a ``unique_key``, and two Dags may number their rows alike."""

    def delivered(self, parties: Parties, run: str, **settings: Any) -> None:
        journal = parties.started(run, **settings)
        journal.commit([ONE], ())
        journal.commit((), closed(JournalState.DELIVERED, ONE))

    @pytest.mark.parametrize("other", [{"dag": "another"}, {"task": "another"}, {"index": 3}, {}])
    def test_what_was_delivered_says_to_which_lead(self, parties: Parties, other: Any) -> None:
        self.delivered(parties, "a", **other)
        found = parties.learn(parties.journal("b"), [1]).rows[ONE.row_key]
        assert (found.state, found.lead_id) == (JournalState.DELIVERED, ONE.trace.lead_id)

    @pytest.mark.parametrize("is_same_lead", [True, False])
    @pytest.mark.parametrize("other", [{"dag": "another"}, {"task": "another"}, {"index": 3}, {}])
    def test_a_row_for_another_lead_is_not_taken_for_delivered(
        self, parties: Parties, is_same_lead: bool, other: Any
    ) -> None:
        self.delivered(parties, "a", **other)
        lead_id = ONE.trace.lead_id - (not is_same_lead)
        with closing(Spool(keep_cells=False)) as spool:
            spool.add_source("leads")
            spool.add(SpoolRow(0, 1, (), (), lead_id, b"{}", ONE.row_key, ONE.fingerprint, b"trace"))
            spool.flush()
            journal = parties.journal("b")
            journal.begin(is_later_try=False)
            journal.load(spool)
            spool.history.apply()
            (row,) = spool.books.rows()
        expected = (
            (Outcome.ALREADY_DELIVERED, None, None) if is_same_lead else (Outcome.INVALID, "unique_key", KEY_OF_ANOTHER)
        )
        assert (row.outcome, row.error_field, row.error) == expected

    @pytest.mark.parametrize("may_move", [False, True])
    def test_a_claim_for_another_lead_is_a_conflict_only_where_leads_are_given(
        self, parties: Parties, may_move: bool
    ) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        elsewhere = ONE.trace._replace(lead_id=ONE.trace.lead_id - 1)
        assert b.commit([ONE._replace(trace=elsewhere, may_move=may_move)], ()) == {ONE.row_key}
        a.commit((), closed(JournalState.DELIVERED, ONE))
        (released,) = b.heartbeat()
        assert released.state == (JournalState.DELIVERED if may_move else JournalState.KEY_CONFLICT)
        assert (released.intent is not None and released.intent.trace == ONE.trace) is may_move


class TestClosing:
    def test_what_reading_back_found_is_written_without_a_claim(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit((), [Closing(ONE, JournalState.DELIVERED, None, None, "Lofty has it already")])
        assert parties.database.rows("state, run_id, error") == [(JournalState.DELIVERED, "a", "Lofty has it already")]
        assert parties.learn(parties.journal("b"), [1]).states == {ONE.row_key: JournalState.DELIVERED}

    @pytest.mark.parametrize("state", [JournalState.DELIVERED, JournalState.INTENDED])
    def test_it_changes_nothing_of_a_row_that_others_have(self, parties: Parties, state: str) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], closed(state, ONE) if state != JournalState.INTENDED else ())
        before = parties.database.rows("*")
        b.commit((), [Closing(ONE, JournalState.DELIVERED, None, None, "Lofty has it already")])
        assert parties.database.rows("*") == before

    def test_it_counts_more_than_that_another_run_was_refused(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        a.commit((), closed(JournalState.REJECTED, ONE))
        b.commit((), [Closing(ONE, JournalState.DELIVERED, None, None, "Lofty has it already")])
        assert parties.learn(parties.journal("c"), [1]).states == {ONE.row_key: JournalState.DELIVERED}

    @pytest.mark.parametrize("error", ["x" * 5000, "é" * 5000, "a\0b", "100 % of ?s and %s", ""],
        ids=["long", "long in bytes", "NUL", "placeholders", "empty"])  # fmt: skip
    @pytest.mark.parametrize("is_claimed", [True, False])
    def test_an_error_may_have_any_text(self, parties: Parties, error: str, is_claimed: bool) -> None:
        a = parties.started("a")
        if is_claimed:
            a.commit([ONE], ())
        a.commit((), [Closing(ONE, JournalState.REJECTED, 400, 20012, error)])
        ((state, kept),) = parties.database.rows("state, error")
        assert state == JournalState.REJECTED
        assert len(kept or "") <= 500
        assert (kept or "").startswith(error[:1])

    def test_rows_with_different_ends_get_each_their_own(self, parties: Parties) -> None:
        a = parties.started("a")
        rows = [made(n) for n in range(6)]
        a.commit(rows, ())
        a.commit((), [
            Closing(rows[0], JournalState.DELIVERED, 200), Closing(rows[1], JournalState.DELIVERED, 200, None, "merged"),
            Closing(rows[2], JournalState.REJECTED, 400, 1, "no"), Closing(rows[3], JournalState.REJECTED, 404, 2, "no"),
            Closing(rows[4], JournalState.DOUBTED), Closing(rows[5], JournalState.WITHDRAWN),
        ])  # fmt: skip
        assert [row[1:] for row in parties.database.rows("row_key, state, http_status, error_code, error")] == [
            (JournalState.DELIVERED, 200, None, None), (JournalState.DELIVERED, 200, None, "merged"), (JournalState.REJECTED, 400, 1, "no"),
            (JournalState.REJECTED, 404, 2, "no"), (JournalState.INTENDED, None, None, None),
        ]  # fmt: skip


class TestAudit:
    def test_it_says_who_sent_which_row_when_and_what_came_of_it(self, parties: Parties) -> None:
        a = parties.started("run 1", index=3)
        a.commit([ONE, made(2, 1)], ())
        a.commit((), closed(JournalState.DOUBTED, ONE))
        a.commit((), [*closed(JournalState.DELIVERED, made(1, 1)), *closed(JournalState.REJECTED, made(2, 1))])
        columns = "row_key, dag_id, run_id, task_id, map_index, state, attempts, http_status, error_code, error"
        assert parties.database.rows(columns) == [
            (ONE.row_key.hex(), "d", "run 1", "send", 3, JournalState.DELIVERED, 2, 200, None, None),
            (made(2).row_key.hex(), "d", "run 1", "send", 3, JournalState.REJECTED, 2, *SAID[JournalState.REJECTED]),
        ]
        for intended, ended in parties.database.rows("intended_at, closed_at"):
            assert "2026" <= intended <= ended
            assert intended.endswith("+00:00")
        lead, kind = ONE.trace.lead_id, ONE.trace.type
        assert (lead, kind, ONE.trace.created) in parties.database.rows("lead_id, activity_type, created_ms")

    def test_what_reading_back_found_counts_no_further_attempt(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE], ())
        a.commit((), closed(JournalState.DOUBTED, ONE))
        a.commit((), [Closing(made(1, 1), JournalState.DELIVERED, None, None, "found by reading back", 1)])
        assert parties.database.rows("state, attempts") == [(JournalState.DELIVERED, 1)]

    def test_a_row_in_doubt_says_what_came_in_place_of_an_answer(self, parties: Parties) -> None:
        a = parties.started("a")
        columns = "run_id, state, attempts, http_status, error_code, error, closed_at"
        a.commit([ONE], ())
        for state in (
            JournalState.DOUBTED,
            JournalState.DOUBTED,
            JournalState.ABANDONED,
        ):  # told again when nobody knows whether it was written
            a.commit((), [Closing(ONE, state, 502, None, "no trustworthy answer", 1)])
            assert parties.database.rows(columns) == [
                ("a", JournalState.INTENDED, 1, 502, None, "no trustworthy answer", None)
            ]
        again = parties.journal("a")
        assert parties.learn(again, [1]).loaded.doubtful == [made(1, 1)]
        again.commit([made(1, 1)], ())
        assert parties.database.rows(columns) == [("a", JournalState.INTENDED, 1, None, None, None, None)]
        again.commit((), closed(JournalState.DELIVERED, made(1, 1)))
        assert parties.database.rows("state, attempts, http_status, error") == [(JournalState.DELIVERED, 2, 200, None)]

    def test_what_is_told_twice_counts_once(self, parties: Parties) -> None:
        a = parties.started("a")
        rows = [made(n, n) for n in range(3)]
        a.commit(rows, ())
        for _ in range(2):
            a.commit(
                (),
                [
                    *closed(JournalState.DELIVERED, rows[0]),
                    *closed(JournalState.REJECTED, rows[1]),
                    *closed(JournalState.DOUBTED, rows[2]),
                ],
            )
        assert [row[1:] for row in parties.database.rows("row_key, state, attempts")] == [
            (JournalState.DELIVERED, 1), (JournalState.REJECTED, 2), (JournalState.INTENDED, 3),
        ]  # fmt: skip

    def test_runs_are_listed_with_their_rows(self, parties: Parties) -> None:
        parties.started("a", index=3).start(input_sample(77))
        assert parties.database.do(f"SELECT dag_id, run_id, task_id, map_index, row_count FROM {RUNS}") == [
            ("d", "a", "send", 3, 77)
        ]

    def test_nothing_of_text_or_link_is_in_any_column(self, parties: Parties) -> None:
        secrets = "marigold", "https://homes.example.com/primrose"
        body = {"type": "Browse", "text": secrets[0], "link": secrets[1], "picture": "p", "created": 1_772_359_200_000}
        row = PendingRow(1, 1, 5, json.dumps(body).encode(), bytes(12), bytes(16), bytes(12))
        a = parties.started("a")
        a.commit([intent_of(row, 0)], ())
        a.commit((), [Closing(intent_of(row, 0), JournalState.DELIVERED, 200)])
        kept = repr(parties.database.rows("*"))
        assert "Browse" in kept
        for secret in secrets:
            assert secret not in kept
            assert secret.encode().hex() not in kept


def failing(left: list[int], *, stays_down: bool, after_commit: bool = False) -> Callable[[Engine], None]:
    """
    Make connections fail at one step, and perhaps at all that follow.

    :param left: how many steps go well; changes with each
    :param after_commit: a commit that fails has taken effect; only its answer was lost
    """

    def step(*_: Any) -> None:
        left[0] -= 1
        if left[0] == -1 or (stays_down and left[0] < 0):
            raise OSError("the connection is gone")

    def prepare(engine: Engine) -> None:
        event.listen(engine, "before_cursor_execute", step)
        do_commit = engine.dialect.do_commit

        def commit(connection: Any) -> None:
            if after_commit:
                do_commit(connection)
                step()
            else:
                step()
                do_commit(connection)

        engine.dialect.do_commit = commit  # type: ignore[method-assign]

    return prepare


class TestFailures:
    ROWS = 12

    def run(self, journal: SqlJournal, parties: Parties, states: dict[bytes, set[str | None]]) -> bool:
        """Send some rows until the database fails, if it does; keep the books of what must be known."""
        ends = {
            JournalState.DELIVERED: JournalState.DELIVERED,
            JournalState.REJECTED: JournalState.REJECTED,
            JournalState.WITHDRAWN: None,
            JournalState.DOUBTED: JournalState.INTENDED,
        }
        now: dict[bytes, str | None] = {}
        try:
            parties.learn(journal, range(self.ROWS))
            journal.start(input_sample(self.ROWS))
            before: Sequence[Intent] = ()
            for start in range(0, self.ROWS, 4):
                intents = [made(n) for n in range(start, start + 4)]
                closings = [closing for state, row in zip(ends, before, strict=False) for closing in closed(state, row)]
                now = {closing.intent.row_key: ends[closing.state] for closing in closings}
                now.update((intent.row_key, JournalState.INTENDED) for intent in intents)
                journal.commit(intents, closings)
                states.update((row_key, {state}) for row_key, state in now.items())
                now, before = {}, intents
        except JournalError as error:
            assert not isinstance(error, JournalUnusable)
            for row_key, state in now.items():
                states[row_key] = {state, *states.get(row_key, {None})}
            return True
        return False

    @pytest.mark.parametrize("after_commit", [True, False])
    @pytest.mark.parametrize("stays_down", [True, False])
    def test_whatever_step_fails_it_is_told_and_no_row_is_lost(
        self, database: Database, stays_down: bool, after_commit: bool
    ) -> None:
        Parties(database).started("warm up")
        failures = 0
        for steps in range(60):
            database.on_engine = failing([steps], stays_down=stays_down, after_commit=after_commit)
            parties = Parties(database)
            journal = parties.journal("r", scope=f"s{steps}", task=f"t{steps}")
            states: dict[bytes, set[str | None]] = {}
            failures += self.run(journal, parties, states)
            with suppress(JournalError):
                journal.close()
            database.on_engine = lambda engine: None
            again = parties.journal("r", scope=f"s{steps}", task=f"t{steps}")
            found = parties.learn(again, range(self.ROWS)).states
            for row_key, allowed in states.items():
                assert found.get(row_key) in allowed, (steps, row_key)
            again.close()
        assert failures >= 20

    @pytest.mark.parametrize("failing_too", ["commit", "rollback", "connect"])
    def test_a_connection_that_is_gone_is_always_the_same_error(
        self, parties: Parties, failing_too: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone: list[bool] = []

        def fail(*_: Any) -> None:
            if gone:
                raise psycopg2.InterfaceError("connection already closed")

        def prepare(engine: Engine) -> None:
            event.listen(engine, "before_cursor_execute", fail)
            event.listen(engine, "do_connect" if failing_too == "connect" else failing_too, fail)

        parties.database.on_engine = prepare
        journal = parties.started("a")
        journal.commit([ONE], ())
        gone.append(True)
        calls: list[Callable[[], Any]] = [
            lambda: journal.commit([made(2)], ()),
            lambda: journal.commit((), closed(JournalState.DELIVERED, ONE)),
            lambda: journal.heartbeat(),
            lambda: journal.start(input_sample(1)),
            lambda: parties.learn(journal),
        ]
        for call in calls:
            with pytest.raises(JournalError):
                call()

    @staticmethod
    def call(journal: SqlJournal, name: str, memory: Memory) -> None:
        calls: dict[str, Callable[[], Any]] = {
            "commit": lambda: journal.commit([made(2)], closed(JournalState.DOUBTED, ONE)),
            "tend": journal.heartbeat,
            "recall": lambda: journal.load(memory),
            "recall_lead": lambda: journal.load_lead(ONE.trace.lead_id, memory),
        }
        calls[name]()

    @pytest.mark.parametrize("call", ["commit", "tend", "recall", "recall_lead"])
    def test_no_failed_transaction_is_gone_on_with(self, parties: Parties, call: str) -> None:
        left = [10_000]
        parties.database.on_engine = failing(left, stays_down=False)
        journal = parties.started("a")
        journal.commit([ONE], ())
        connections = len(parties.database.connections)
        with closing(Memory([ONE.row_key])) as memory:
            left[0] = 0
            with suppress(JournalError):  # a commit may do without
                self.call(journal, call, memory)
            self.call(journal, call, memory)
        assert len(parties.database.connections) == connections + 1

    def test_a_database_that_cannot_be_reached_is_an_error(self) -> None:
        def refuse() -> Any:
            raise psycopg2.OperationalError("connection refused")

        with pytest.raises(JournalError, match="OperationalError"):
            Parties(Database("postgresql+psycopg2://", refuse)).journal().begin(is_later_try=False)

    def test_closing_twice_is_harmless(self, parties: Parties) -> None:
        journal = parties.started()
        journal.close()
        journal.close()
        parties.journal().close()
        assert parties.database.rows("state") == []


class TestStoppedPeers:
    """A run that stopped in the middle of a transaction keeps its locks as long as its machine is up."""

    @pytest.fixture
    def parties(self, postgres_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parties]:
        monkeypatch.setitem(journal_engines._LOCK_TIMEOUTS, "postgresql", "SET lock_timeout = '200ms'")
        with closing(postgres(postgres_uri)) as database:
            Parties(database).started("warm up").close()
            yield Parties(database)

    @contextmanager
    def stopped(self, parties: Parties, call: Callable[[SqlJournal], Any]) -> Iterator[None]:
        """Let a run stop within this call before it commits, for as long as the context lasts."""
        stops, goes_on, has_stopped = (threading.Event() for _ in range(3))

        def stall(_: Any) -> None:
            if stops.is_set():
                has_stopped.set()
                goes_on.wait(30)
                raise OSError("ended at last")

        parties.database.on_engine = lambda engine: event.listen(engine, "commit", stall)
        journal = parties.started("a")
        parties.database.on_engine = lambda engine: None
        journal.commit([ONE], ())
        stops.set()
        with ThreadPoolExecutor(1) as pool:
            ended = pool.submit(call, journal)
            assert has_stopped.wait(30)
            yield
            goes_on.set()
            with pytest.raises(JournalError):
                ended.result(30)

    def test_its_claim_is_an_error_for_others_and_not_waited_for(self, parties: Parties) -> None:
        with self.stopped(parties, lambda journal: journal.commit([made(2)], ())):
            b = parties.started("b")
            b.commit([made(3)], ())
            before = time.monotonic()
            with pytest.raises(JournalError) as caught:
                b.commit([made(2), made(4)], closed(JournalState.DELIVERED, made(3)))
            assert time.monotonic() - before < 5
            assert not isinstance(caught.value, JournalUnusable)
            assert b.commit([made(5)], ()) == set()
        assert set(b.commit([ONE, made(2), made(4)], ())) == {ONE.row_key}
        assert [(run, state) for _, run, state in parties.database.rows("row_key, run_id, state")] == [
            ("a", JournalState.INTENDED), ("b", JournalState.INTENDED), ("b", JournalState.DELIVERED), ("b", JournalState.INTENDED), ("b", JournalState.INTENDED),
        ]  # fmt: skip

    def test_nor_is_a_result_that_it_was_writing(self, parties: Parties) -> None:
        with self.stopped(parties, lambda journal: journal.commit((), closed(JournalState.DELIVERED, ONE))):
            b = parties.started("b")
            assert set(b.commit([ONE], ())) == {ONE.row_key}
            parties.now += STALE_SECONDS
            before = time.monotonic()
            with pytest.raises(JournalError):
                b.heartbeat()
            with pytest.raises(JournalError):
                parties.learn(parties.journal("a"), [1])
            assert time.monotonic() - before < 5
        assert [released.state for released in b.heartbeat()] == [JournalState.DOUBTED]

    def test_a_lock_is_waited_for_a_few_seconds(self, postgres_uri: str) -> None:
        with closing(postgres(postgres_uri)) as database:
            Parties(database).started("a")
            with database.connections[-1].cursor() as cursor:
                cursor.execute("SHOW lock_timeout")
                assert cursor.fetchall() == [("5s",)]
