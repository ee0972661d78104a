"""The journal in a table, on SQLite and PostgreSQL: one owner for each row, and an account of every row sent."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg2
import pytest

from airflow_provider_lofty.fields import ACTIVITY_TYPES
from airflow_provider_lofty.journal import (
    DELIVERED,
    DOUBTED,
    INTENDED,
    REJECTED,
    WITHDRAWN,
    Closing,
    Freed,
    Intent,
    JournalError,
    JournalUnusable,
    Recalled,
    intent_of,
)
from airflow_provider_lofty.known import HELD, Known, KnownRow
from airflow_provider_lofty.matching import Sought
from airflow_provider_lofty.spool import PendingRow
from airflow_provider_lofty.stores.sql import RUNS_TABLE, TABLE, SqlJournal, TaskPlace

STALE_SECONDS = 60.0


class Database:
    """What a journal needs of a hook, and what a test asks the tables."""

    def __init__(self, placeholder: str, connect: Callable[[], Any]) -> None:
        self.placeholder = placeholder
        self.connect = connect
        self.connections: list[Any] = []

    def get_conn(self) -> Any:
        self.connections.append(self.connect())
        return self.connections[-1]

    def close(self) -> None:
        for connection in self.connections:
            with suppress(psycopg2.Error):
                connection.close()

    def do(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            found = cursor.fetchall() if cursor.description else []
            connection.commit()
            return found

    def rows(self, columns: str) -> list[tuple[Any, ...]]:
        return sorted(self.do(f"SELECT {columns} FROM {TABLE}"))


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Give a database without the tables."""
    if request.param == "sqlite":
        database = lite(tmp_path)
    else:
        uri, schema = request.getfixturevalue("postgres_uri"), f"s{uuid4().hex}"
        Database("%s", lambda: psycopg2.connect(uri)).do(f"CREATE SCHEMA {schema}")
        database = Database("%s", lambda: psycopg2.connect(uri, options=f"-c search_path={schema}"))
    yield database
    database.close()


def lite(folder: Path) -> Database:
    return Database("?", lambda: sqlite3.connect(folder / "journal.db", timeout=5, check_same_thread=False))


class Memory:
    """Stands in for a spool: the rows of an input, and what a journal says of them."""

    def __init__(self, rows: Iterable[bytes] = ()) -> None:
        self._rows = list(rows)
        self._db = sqlite3.connect(":memory:")
        self.known = Known(self._db)

    def identities(self) -> Iterator[bytes]:
        return iter(self._rows)

    def close(self) -> None:
        self._db.close()

    def read(self) -> dict[bytes, KnownRow]:
        return {row[0]: KnownRow(*row) for row in self._db.execute("SELECT * FROM known")}


class Learned(NamedTuple):
    """What a journal knew when a run began."""

    is_resumed: bool
    recalled: Recalled
    rows: dict[bytes, KnownRow]

    @property
    def states(self) -> dict[bytes, str]:
        return {identity: row.state for identity, row in self.rows.items()}


class Parties:
    """Runs that share a database and a clock."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = 0.0

    def journal(self, run: str = "r", *, task: str = "send", index: int = -1, **settings: Any) -> SqlJournal:
        given = {"scope": "lofty", "source": "s", "max_tries": 0, "stale_seconds": STALE_SECONDS, **settings}
        place = TaskPlace("d", run, task, index)
        return SqlJournal(self.database, place=place, clock=lambda: self.now, **given)

    def learn(self, journal: SqlJournal, rows: Iterable[int] = ()) -> Learned:
        is_resumed = journal.begin()
        with closing(Memory(made(n).identity for n in rows)) as memory:
            recalled = journal.recall(memory)
            return Learned(is_resumed, recalled, memory.read())

    def started(self, run: str = "r", **settings: Any) -> SqlJournal:
        """A journal as it is when sending begins."""
        journal = self.journal(run, **settings)
        self.learn(journal)
        journal.start(0)
        return journal


@pytest.fixture
def parties(database: Database) -> Parties:
    return Parties(database)


def made(n: int, attempts: int = 0) -> Intent:
    """Make an intent that differs from others in every part."""
    kind = ACTIVITY_TYPES[n % len(ACTIVITY_TYPES)]
    marks = b"x%02d" % (n % 100), b"l%02d" % (n % 100)
    wanted = Sought(2**63 - 1 - n, b"t%011d" % n, kind, 1_772_359_200_000 + n, *marks)
    return Intent(b"i%011d" % n, b"f%03d" % (n % 1000), wanted, attempts)


ONE = made(1)
SAID = {DELIVERED: (200,), REJECTED: (400, 20012, "Lofty refused it"), DOUBTED: (), WITHDRAWN: ()}


def closed(state: str, *intents: Intent) -> list[Closing]:
    return [Closing(intent, state, *SAID[state]) for intent in intents]


class TestTables:
    def test_they_are_made_on_first_use_and_used_from_then_on(self, parties: Parties) -> None:
        assert parties.learn(parties.journal(), [1]) == Learned(False, Recalled([]), {})
        assert parties.database.rows("row_key") == []
        assert parties.learn(parties.journal(), [1]).is_resumed is True
        assert parties.database.do(f"SELECT COUNT(*) FROM {RUNS_TABLE}") == [(1,)]

    def test_several_runs_may_make_them_at_once(self, parties: Parties) -> None:
        together = threading.Barrier(4)
        connect = parties.database.connect

        def connect_together() -> Any:
            connection = connect()
            together.wait(30)
            return connection

        parties.database.connect = connect_together
        begun: list[bool] = []
        journals = [parties.journal(f"r{n}") for n in range(4)]
        threads = [threading.Thread(target=lambda one=one: begun.append(one.begin())) for one in journals]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        parties.database.connect = connect
        assert begun == [False] * 4
        assert parties.database.do(f"SELECT COUNT(*) FROM {RUNS_TABLE}") == [(4,)]
        assert parties.started("other").commit([ONE], ()) == set()

    @pytest.mark.parametrize("made_before", [1, 2, 3])
    def test_a_run_that_died_while_making_them_does_no_harm(self, parties: Parties, made_before: int) -> None:
        parties.started()
        statements = [f"DROP TABLE {RUNS_TABLE}", f"DROP INDEX {TABLE}_task", f"DROP INDEX {TABLE}_lead"]
        for statement in statements[: 4 - made_before]:
            parties.database.do(statement)
        journal = parties.started()
        journal.commit([ONE], ())
        assert parties.database.rows("state") == [(INTENDED,)]

    def test_a_database_that_does_not_enforce_keys_is_refused(self, tmp_path: Path) -> None:
        database = lite(tmp_path)
        parties = Parties(database)
        parties.started().close()
        for table in (TABLE, RUNS_TABLE):
            database.do(f"CREATE TABLE copy AS SELECT * FROM {table} WHERE 1 = 0")
            database.do(f"DROP TABLE {table}")
            database.do(f"ALTER TABLE copy RENAME TO {table}")
        with pytest.raises(JournalUnusable, match="does not enforce primary keys"):
            parties.journal().begin()
        assert database.do(f"SELECT COUNT(*) FROM {RUNS_TABLE}") == [(0,)]
        database.close()

    def test_trying_the_keys_leaves_nothing(self, parties: Parties) -> None:
        for _ in range(3):
            parties.journal().begin()
        assert parties.database.do(f"SELECT run_id FROM {RUNS_TABLE}") == [("r",)]


class TestClaims:
    def test_a_row_is_one_runs_until_it_is_delivered(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        assert set(a.commit([ONE], ())) == set()
        assert set(b.commit([ONE, made(2)], ())) == {ONE.identity}
        assert list(b.tend()) == []
        a.commit((), closed(DELIVERED, ONE))
        assert list(b.tend()) == [Freed(ONE.identity, DELIVERED)]
        assert list(b.tend()) == []

    @pytest.mark.parametrize("state", [WITHDRAWN, REJECTED])
    def test_what_is_certainly_not_stored_is_free_for_others(self, parties: Parties, state: str) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        b.commit([ONE], ())
        a.commit((), closed(state, ONE))
        assert list(b.tend()) == [Freed(ONE.identity, WITHDRAWN)]
        assert set(b.commit([ONE], ())) == set()
        assert set(a.commit([ONE], ())) == {ONE.identity}
        assert parties.database.rows("run_id, state") == [("b", INTENDED)]

    def test_a_row_in_doubt_stays_its_owners(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        a.commit((), closed(DOUBTED, ONE))
        assert set(b.commit([ONE], ())) == {ONE.identity}
        assert list(b.tend()) == []
        assert parties.database.rows("run_id, state, attempts") == [("a", INTENDED, 1)]

    def test_a_delivered_row_is_refused_and_told_at_once(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        a.commit((), closed(DELIVERED, ONE))
        assert set(b.commit([ONE], ())) == {ONE.identity}
        assert list(b.tend()) == [Freed(ONE.identity, DELIVERED)]

    def test_of_many_rows_only_those_that_are_held_are_refused(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        held = [made(n) for n in range(0, 900, 90)]
        a.commit(held, ())
        everything = [made(n) for n in range(900)]
        assert set(b.commit(everything, ())) == {intent.identity for intent in held}
        assert parties.database.do(f"SELECT run_id, COUNT(*) FROM {TABLE} GROUP BY run_id ORDER BY 1") == [
            ("a", 10),
            ("b", 890),
        ]
        b.commit((), closed(DELIVERED, *(intent for intent in everything if intent not in held)))
        a.commit((), closed(DELIVERED, *held))
        assert len(b.tend()) == 10
        assert parties.database.rows("DISTINCT state") == [(DELIVERED,)]

    def test_its_owner_may_intend_a_row_again(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE], ())
        a.commit([made(1, 2), made(2)], closed(DOUBTED, ONE))
        assert parties.database.rows("row_key, attempts") == [(ONE.identity.hex(), 2), (made(2).identity.hex(), 0)]

    def test_two_tasks_of_one_run_are_two_parties(self, parties: Parties) -> None:
        parties.started(index=0).commit([ONE], ())
        assert set(parties.started(index=1).commit([ONE], ())) == {ONE.identity}
        assert set(parties.started(task="other").commit([ONE], ())) == {ONE.identity}

    def test_scopes_do_not_see_each_other(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE, made(2)], ())
        a.commit((), closed(DELIVERED, ONE))
        other = parties.journal("b", scope="another")
        assert parties.learn(other, [1, 2]).rows == {}
        assert set(other.commit([ONE, made(2)], ())) == set()
        other.commit((), closed(REJECTED, ONE))
        with closing(Memory()) as memory:
            other.recall_lead(ONE.sought.lead_id, memory)
            assert memory.read() == {}
        assert [(scope.strip(), state) for scope, state in parties.database.rows("scope, state")] == [
            ("another", INTENDED), ("another", REJECTED), ("lofty", DELIVERED), ("lofty", INTENDED),
        ]  # fmt: skip


class TestDeadOwners:
    def test_a_claim_without_a_sign_of_life_is_taken_over_in_doubt(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([made(1, 3)], ())
        b.commit([ONE], ())
        parties.now += STALE_SECONDS - 1
        assert list(b.tend()) == []
        parties.now += 1
        assert list(b.tend()) == [Freed(ONE.identity, DOUBTED, made(1, 3))]
        assert list(b.tend()) == []
        assert parties.database.rows("run_id, state, attempts") == [("b", INTENDED, 3)]
        b.commit((), closed(DELIVERED, made(1, 3)))
        assert parties.database.rows("run_id, state") == [("b", DELIVERED)]

    def test_an_owner_that_comes_back_has_lost_its_claim(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        b.commit([ONE], ())
        parties.now += STALE_SECONDS
        b.tend()
        assert set(a.commit([ONE], ())) == {ONE.identity}
        for state in (DOUBTED, WITHDRAWN, DELIVERED, REJECTED):
            a.commit((), closed(state, ONE))
            assert parties.database.rows("run_id, state, attempts") == [("b", INTENDED, 0)]

    def test_an_owner_that_closes_late_changes_nothing(self, parties: Parties) -> None:
        for n, state in enumerate((DOUBTED, WITHDRAWN, DELIVERED, REJECTED)):
            a, b = parties.started(f"a{n}"), parties.started("b")
            a.commit([made(n)], ())
            b.commit([made(n)], ())
            parties.now += STALE_SECONDS
            b.tend()
            a.commit((), closed(state, made(n)))
        assert parties.database.rows("run_id, state, attempts") == [("b", INTENDED, 0)] * 4

    def test_an_owner_that_shows_life_is_never_robbed(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        b.commit([ONE], ())
        for _ in range(50):
            parties.now += STALE_SECONDS / 2
            a.tend()
            assert list(b.tend()) == []
        assert parties.database.rows("run_id, state") == [("a", INTENDED)]

    def test_an_owner_that_intends_anew_is_alive(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        b.commit([ONE], ())
        for attempts in range(1, 20):
            parties.now += STALE_SECONDS - 1
            a.commit([made(1, attempts)], ())
            assert list(b.tend()) == []

    def test_signs_of_life_are_not_written_all_the_time(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE], ())
        signs = set()
        for _ in range(100):
            parties.now += 1
            a.tend()
            signs.update(parties.database.rows("sign_of_life"))
        assert 5 <= len(signs) <= 12

    def test_of_several_that_wait_one_takes_over(self, parties: Parties) -> None:
        a, b, c = (parties.started(name) for name in "abc")
        a.commit([ONE], ())
        for waiting in (b, c):
            waiting.commit([ONE], ())
        parties.now += STALE_SECONDS
        assert [freed.state for freed in b.tend()] == [DOUBTED]
        assert list(c.tend()) == []
        parties.now += STALE_SECONDS - 1
        assert list(c.tend()) == []
        b.commit((), closed(DELIVERED, ONE))
        assert [freed.state for freed in c.tend()] == [DELIVERED]

    def test_a_later_try_of_the_same_task_takes_its_claims_at_once_in_doubt(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE, made(2), made(3)], ())
        a.commit((), [*closed(DOUBTED, ONE), *closed(DELIVERED, made(3))])
        parties.started("b").commit([made(4)], ())
        again = parties.journal("a")
        learned = parties.learn(again, [2])
        assert set(learned.recalled.doubtful) == {made(1, 1), made(2)}
        assert learned.states == {made(2).identity: INTENDED}
        again.commit((), closed(DELIVERED, made(1, 1)))
        assert parties.learn(parties.journal("a")).recalled.doubtful == [made(2)]


class TestRecalling:
    def test_every_row_of_the_input_is_looked_up(self, parties: Parties) -> None:
        a = parties.started("a")
        rows = [made(n) for n in range(1000)]
        for start in range(0, 1000, 500):
            a.commit(rows[start : start + 500], ())
        a.commit((), closed(DELIVERED, *rows))
        learned = parties.learn(parties.journal("b"), range(100, 1100))
        assert learned.states == {made(n).identity: DELIVERED for n in range(100, 1000)}
        assert learned.rows[made(500).identity] == KnownRow(
            made(500).identity, DELIVERED, made(500).fingerprint, made(500).sought.trace, 200, None, None, 1
        )
        assert (learned.is_resumed, learned.recalled) == (False, Recalled([]))

    def test_a_later_try_knows_how_much_is_gone(self, parties: Parties) -> None:
        a = parties.started("a")
        a.start(10)
        a.commit([made(n) for n in range(10)], ())
        a.commit((), closed(DELIVERED, *map(made, range(10))))
        assert parties.learn(parties.journal("a"), range(3, 20)).recalled == Recalled([], 10, 10, 3)

    def test_another_source_knows_what_was_delivered_and_what_is_in_doubt(self, parties: Parties) -> None:
        a = parties.started("a")
        a.start(10)
        a.commit([made(n) for n in range(3)], ())
        a.commit((), [*closed(DELIVERED, made(0)), *closed(REJECTED, made(1))])
        learned = parties.learn(parties.journal("a", source="another"), range(3))
        assert (learned.is_resumed, learned.recalled) == (False, Recalled([made(2)]))
        assert learned.states == {made(0).identity: DELIVERED, made(2).identity: INTENDED}

    def test_refused_rows_are_known_to_the_same_task_only(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE], ())
        a.commit((), closed(REJECTED, ONE))
        found = parties.learn(parties.journal("a"), [1]).rows[ONE.identity]
        assert (found.state, found.status, found.code, found.error) == (REJECTED, *SAID[REJECTED])
        b = parties.journal("b")
        assert parties.learn(b, [1]).rows == {}
        assert set(b.commit([ONE], ())) == set()
        assert parties.database.rows("run_id, state, http_status, error_code, error, closed_at") == [
            ("b", INTENDED, None, None, None, None)
        ]

    def test_refused_rows_are_forgotten_when_the_task_is_cleared(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE, made(2)], ())
        a.commit((), [*closed(REJECTED, ONE), *closed(DELIVERED, made(2))])
        cleared = parties.journal("a", max_tries=1)
        assert parties.learn(cleared, [1, 2]).states == {made(2).identity: DELIVERED}
        cleared.start(2)
        assert set(cleared.commit([ONE], ())) == set()
        cleared.commit((), closed(REJECTED, ONE))
        assert parties.learn(parties.journal("a", max_tries=1), [1]).states == {ONE.identity: REJECTED}
        assert parties.learn(parties.journal("a", max_tries=2), [1]).states == {}

    def test_a_third_try_after_a_clear_does_not_remember_them_either(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE], ())
        a.commit((), closed(REJECTED, ONE))
        parties.started("a", max_tries=1)
        assert parties.learn(parties.journal("a", max_tries=1), [1]).states == {}

    def test_of_a_lead_it_tells_what_others_delivered_and_hold(self, parties: Parties) -> None:
        lead = ONE.sought.lead_id
        same_lead = [intent._replace(sought=intent.sought._replace(lead_id=lead)) for intent in map(made, range(1, 6))]
        a, b = parties.started("a"), parties.started("b")
        a.commit(same_lead[:3], ())
        a.commit((), [*closed(DELIVERED, same_lead[0]), *closed(REJECTED, same_lead[1])])
        b.commit([same_lead[3]], ())
        with closing(Memory()) as memory:
            b.recall_lead(lead, memory)
            assert {identity: row.state for identity, row in memory.read().items()} == {
                same_lead[0].identity: DELIVERED,
                same_lead[2].identity: HELD,
            }
            a.commit((), closed(WITHDRAWN, same_lead[2]))
            b.recall_lead(lead, memory)
            assert {row.state for row in memory.read().values()} == {DELIVERED}
            b.recall_lead(5, memory)
            assert len(memory.read()) == 1


class TestClosing:
    def test_what_reading_back_found_is_written_without_a_claim(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit((), [Closing(ONE, DELIVERED, None, None, "Lofty has it already")])
        assert parties.database.rows("state, run_id, error") == [(DELIVERED, "a", "Lofty has it already")]
        assert parties.learn(parties.journal("b"), [1]).states == {ONE.identity: DELIVERED}

    @pytest.mark.parametrize("state", [DELIVERED, INTENDED])
    def test_it_changes_nothing_of_a_row_that_others_have(self, parties: Parties, state: str) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], closed(state, ONE) if state != INTENDED else ())
        before = parties.database.rows("*")
        b.commit((), [Closing(ONE, DELIVERED, None, None, "Lofty has it already")])
        assert parties.database.rows("*") == before

    def test_it_counts_more_than_that_another_run_was_refused(self, parties: Parties) -> None:
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE], ())
        a.commit((), closed(REJECTED, ONE))
        b.commit((), [Closing(ONE, DELIVERED, None, None, "Lofty has it already")])
        assert parties.learn(parties.journal("c"), [1]).states == {ONE.identity: DELIVERED}

    @pytest.mark.parametrize("error", ["x" * 5000, "é" * 5000, "a\0b", "100 % of ?s and %s", ""],
        ids=["long", "long in bytes", "NUL", "placeholders", "empty"])  # fmt: skip
    @pytest.mark.parametrize("is_claimed", [True, False])
    def test_an_error_may_have_any_text(self, parties: Parties, error: str, is_claimed: bool) -> None:
        a = parties.started("a")
        if is_claimed:
            a.commit([ONE], ())
        a.commit((), [Closing(ONE, REJECTED, 400, 20012, error)])
        ((state, kept),) = parties.database.rows("state, error")
        assert state == REJECTED
        assert len(kept or "") <= 500
        assert (kept or "").startswith(error[:1])

    def test_rows_with_different_ends_get_each_their_own(self, parties: Parties) -> None:
        a = parties.started("a")
        rows = [made(n) for n in range(6)]
        a.commit(rows, ())
        a.commit((), [
            Closing(rows[0], DELIVERED, 200), Closing(rows[1], DELIVERED, 200, None, "merged"),
            Closing(rows[2], REJECTED, 400, 1, "no"), Closing(rows[3], REJECTED, 404, 2, "no"),
            Closing(rows[4], DOUBTED), Closing(rows[5], WITHDRAWN),
        ])  # fmt: skip
        assert [row[1:] for row in parties.database.rows("row_key, state, http_status, error_code, error")] == [
            (DELIVERED, 200, None, None), (DELIVERED, 200, None, "merged"), (REJECTED, 400, 1, "no"),
            (REJECTED, 404, 2, "no"), (INTENDED, None, None, None),
        ]  # fmt: skip


class TestAudit:
    def test_it_says_who_sent_which_row_when_and_what_came_of_it(self, parties: Parties) -> None:
        a = parties.started("run 1", index=3)
        a.commit([ONE, made(2, 1)], ())
        a.commit((), closed(DOUBTED, ONE))
        a.commit((), [*closed(DELIVERED, made(1, 1)), *closed(REJECTED, made(2, 1))])
        columns = "row_key, dag_id, run_id, task_id, map_index, state, attempts, http_status, error_code, error"
        assert parties.database.rows(columns) == [
            (ONE.identity.hex(), "d", "run 1", "send", 3, DELIVERED, 2, 200, None, None),
            (made(2).identity.hex(), "d", "run 1", "send", 3, REJECTED, 2, *SAID[REJECTED]),
        ]
        for intended, ended in parties.database.rows("intended_at, closed_at"):
            assert "2026" <= intended <= ended
            assert intended.endswith("+00:00")
        lead, kind = ONE.sought.lead_id, ONE.sought.type
        assert (lead, kind, ONE.sought.created) in parties.database.rows("lead_id, activity_type, created_ms")

    def test_what_reading_back_found_counts_no_further_attempt(self, parties: Parties) -> None:
        a = parties.started("a")
        a.commit([ONE], ())
        a.commit((), closed(DOUBTED, ONE))
        a.commit((), [Closing(made(1, 1), DELIVERED, None, None, "found by reading back")])
        assert parties.database.rows("state, attempts") == [(DELIVERED, 1)]

    def test_runs_are_listed_with_their_rows(self, parties: Parties) -> None:
        parties.started("a", index=3).start(77)
        assert parties.database.do(f"SELECT dag_id, run_id, task_id, map_index, row_count FROM {RUNS_TABLE}") == [
            ("d", "a", "send", 3, 77)
        ]

    def test_nothing_of_text_or_link_is_in_any_column(self, parties: Parties) -> None:
        secrets = "marigold", "https://homes.example.com/primrose"
        body = {"type": "Browse", "text": secrets[0], "link": secrets[1], "picture": "p", "created": 1_772_359_200_000}
        row = PendingRow(1, 1, 5, json.dumps(body).encode(), bytes(12), bytes(16), bytes(12))
        a = parties.started("a")
        a.commit([intent_of(row, 0)], ())
        a.commit((), [Closing(intent_of(row, 0), DELIVERED, 200)])
        kept = repr(parties.database.rows("*"))
        assert "Browse" in kept
        for secret in secrets:
            assert secret not in kept
            assert secret.encode().hex() not in kept


class Flaky:
    """A connection that fails at one step and may be gone from then on."""

    def __init__(self, connection: Any, left: list[int], *, stays_down: bool) -> None:
        self._connection = connection
        self._left = left
        self._stays_down = stays_down

    def step(self) -> None:
        self._left[0] -= 1
        if self._left[0] == -1 or (self._stays_down and self._left[0] < 0):
            raise OSError("the connection is gone")

    def cursor(self) -> Any:
        return FlakyCursor(self._connection.cursor(), self)

    def commit(self) -> None:
        self.step()
        self._connection.commit()

    def rollback(self) -> None:
        self._connection.rollback()

    def close(self) -> None:
        self._connection.close()


class FlakyCursor:
    """A cursor of such a connection."""

    def __init__(self, cursor: Any, connection: Flaky) -> None:
        self._cursor = cursor
        self._connection = connection

    def execute(self, *args: Any) -> None:
        self._connection.step()
        self._cursor.execute(*args)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._cursor.fetchall())

    @property
    def rowcount(self) -> int:
        return int(self._cursor.rowcount)

    def close(self) -> None:
        self._cursor.close()


class TestFailures:
    ROWS = 12

    def run(self, journal: SqlJournal, parties: Parties, states: dict[bytes, set[str | None]]) -> bool:
        """Send some rows until the database fails, if it does; keep the books of what must be known."""
        ends = {DELIVERED: DELIVERED, REJECTED: REJECTED, WITHDRAWN: None, DOUBTED: INTENDED}
        now: dict[bytes, str | None] = {}
        try:
            parties.learn(journal, range(self.ROWS))
            journal.start(self.ROWS)
            before: Sequence[Intent] = ()
            for start in range(0, self.ROWS, 4):
                intents = [made(n) for n in range(start, start + 4)]
                closings = [closing for state, row in zip(ends, before, strict=False) for closing in closed(state, row)]
                now = {closing.intent.identity: ends[closing.state] for closing in closings}
                now.update((intent.identity, INTENDED) for intent in intents)
                journal.commit(intents, closings)
                states.update((identity, {state}) for identity, state in now.items())
                now, before = {}, intents
        except JournalError as error:
            assert not isinstance(error, JournalUnusable)
            for identity, state in now.items():
                states[identity] = {state, *states.get(identity, {None})}
            return True
        return False

    @pytest.mark.parametrize("stays_down", [True, False])
    def test_whatever_step_fails_it_is_told_and_no_row_is_lost(self, database: Database, stays_down: bool) -> None:
        Parties(database).started("warm up")
        failures, connect = 0, database.connect
        for steps in range(60):
            left = [steps]
            database.connect = lambda left=left: Flaky(connect(), left, stays_down=stays_down)
            parties = Parties(database)
            journal = parties.journal("r", scope=f"s{steps}", task=f"t{steps}")
            states: dict[bytes, set[str | None]] = {}
            failures += self.run(journal, parties, states)
            with suppress(JournalError):
                journal.close()
            database.connect = connect
            again = parties.journal("r", scope=f"s{steps}", task=f"t{steps}")
            found = parties.learn(again, range(self.ROWS)).states
            for identity, allowed in states.items():
                assert found.get(identity) in allowed, (steps, identity)
            again.close()
        assert failures >= 20

    @pytest.mark.parametrize("failing", ["cursor", "commit", "rollback"])
    def test_a_connection_that_is_gone_is_always_the_same_error(
        self, parties: Parties, failing: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Gone(Flaky):
            def cursor(self) -> Any:
                if failing == "cursor" and self._left[0] < 0:
                    raise psycopg2.InterfaceError("connection already closed")
                return super().cursor()

            def rollback(self) -> None:
                if failing == "rollback" and self._left[0] < 0:
                    raise psycopg2.InterfaceError("connection already closed")
                super().rollback()

        left, connect = [10_000], parties.database.connect
        monkeypatch.setattr(parties.database, "connect", lambda: Gone(connect(), left, stays_down=True))
        journal = parties.started("a")
        journal.commit([ONE], ())
        left[0] = -1
        calls: list[Callable[[], Any]] = [
            lambda: journal.commit([made(2)], ()),
            lambda: journal.commit((), closed(DELIVERED, ONE)),
            lambda: journal.tend(),
            lambda: journal.start(1),
            lambda: parties.learn(journal),
        ]
        for call in calls:
            with pytest.raises(JournalError):
                call()

    def test_a_connection_that_the_server_ends_is_an_error_once_and_then_made_anew(self, postgres_uri: str) -> None:
        schema = f"s{uuid4().hex}"
        Database("%s", lambda: psycopg2.connect(postgres_uri)).do(f"CREATE SCHEMA {schema}")
        database = Database("%s", lambda: psycopg2.connect(postgres_uri, options=f"-c search_path={schema}"))
        journal = Parties(database).started("a")
        journal.commit([ONE], ())
        process = database.connections[-1].info.backend_pid
        database.do(f"SELECT pg_terminate_backend({process})")
        with pytest.raises(JournalError):
            journal.commit([made(2)], closed(DELIVERED, ONE))
        journal.commit([], closed(DELIVERED, ONE))
        journal.close()
        assert Parties(database).learn(Parties(database).journal("a"), [1]).states == {ONE.identity: DELIVERED}
        database.close()

    def test_a_database_that_cannot_be_reached_is_an_error(self) -> None:
        def refuse() -> Any:
            raise psycopg2.OperationalError("connection refused")

        with pytest.raises(JournalError, match="OperationalError"):
            Parties(Database("%s", refuse)).journal().begin()

    def test_closing_twice_is_harmless(self, parties: Parties) -> None:
        journal = parties.started()
        journal.close()
        journal.close()
        parties.journal().close()
        assert parties.database.rows("state") == []
