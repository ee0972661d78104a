"""The journal on a MariaDB that is set up in other ways, that ends connections, that restarts, with runs in processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from journal.test_lost_connections import CALLS
from sqlalchemy import event
from support.mariadb import MariaDb, maria
from support.practice import row, run
from support.shared_journal import ONE, STALE_SECONDS, Database, Memory, Parties, closed, committing, made, sent

from airflow_provider_lofty.journal.journal import JournalUnavailable, JournalUnusable
from airflow_provider_lofty.journal.tables import JOURNAL, RUNS, ConnectionLost
from airflow_provider_lofty.sandbox import Sandbox
from airflow_provider_lofty.spool.history import JournalState

DRIVERS = ["pymysql", "MySQLdb"]
SESSIONS = {
    "as it comes": "",
    "READ UNCOMMITTED": "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
    "READ COMMITTED": "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SERIALIZABLE": "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "strict snapshots": "SET SESSION innodb_snapshot_isolation = ON",  # as it comes from MariaDB 11.6.2 on
    "lenient": "SET SESSION sql_mode = ''",
    "ANSI": "SET SESSION sql_mode = 'ANSI,TRADITIONAL,NO_BACKSLASH_ESCAPES'",
    "Oracle": "SET SESSION sql_mode = 'ORACLE'",
    "padded": "SET SESSION sql_mode = 'PAD_CHAR_TO_FULL_LENGTH'",
    "commits itself": "SET SESSION autocommit = 1",
}
CHARACTER_SETS = [
    "utf8mb4 COLLATE utf8mb4_general_ci",
    "utf8mb4 COLLATE utf8mb4_nopad_bin",
    "utf8mb3",
    "latin1",
    "ucs2",
    "ascii",
]
ODD = "“naïve” – 顧客 \U0001f3e0 \\ ' % \" \0"


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("first", SESSIONS.values(), ids=SESSIONS)
def test_a_row_is_one_runs_whatever_a_session_is_set_to(mariadb: MariaDb, driver: str, first: str) -> None:
    with closing(maria(mariadb, driver, first=first)) as database:
        own_a_row(Parties(database))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("character_set", CHARACTER_SETS)
def test_a_row_is_one_runs_whatever_text_a_database_is_made_for(
    mariadb: MariaDb, driver: str, character_set: str
) -> None:
    with closing(maria(mariadb, driver, character_set=character_set)) as database:
        own_a_row(Parties(database))


def own_a_row(parties: Parties) -> None:
    """Claim rows of which another run was told that they are free, and close them with words of any kind."""
    a, b = parties.started(ODD[:-1], dag="Ünï"), parties.started("b")
    assert set(parties.learn(b, range(6)).rows) == set()
    assert set(a.commit([ONE, made(2), made(3)], ())) == set()
    # This one has read the tables before, and no snapshot of that time hides the claims of the other one.
    assert set(b.commit([made(4), ONE, made(2)], ())) == {ONE.row_key, made(2).row_key}
    a.commit((), [
        *closed(JournalState.DELIVERED, ONE),
        *(one._replace(error=ODD * 50) for one in closed(JournalState.REJECTED, made(2))),
    ])  # fmt: skip
    assert [released.state for released in b.heartbeat()] == [JournalState.DELIVERED, JournalState.WITHDRAWN]
    assert set(b.commit([made(2), made(3)], ())) == {made(3).row_key}
    parties.now += STALE_SECONDS
    assert [(end.state, end.intent) for end in b.heartbeat()] == [(JournalState.DOUBTED, sent(3))]
    b.commit((), closed(JournalState.DELIVERED, made(2), made(3), made(4)))
    learned = parties.learn(parties.journal("c"), range(6))
    assert learned.states == {made(n).row_key: JournalState.DELIVERED for n in range(1, 5)}
    assert sorted(parties.database.do(f"SELECT journal_rows FROM {RUNS}")) == [(0,), (1,), (3,)]


def test_words_are_kept_as_they_are(mariadb: MariaDb) -> None:
    for driver in DRIVERS:
        with closing(maria(mariadb, driver, character_set="latin1")) as database:
            parties = Parties(database)
            a = parties.started("a")
            a.commit([ONE], ())
            a.commit((), [one._replace(error=ODD) for one in closed(JournalState.REJECTED, ONE)])
            found = parties.learn(parties.journal("a"), [1])
            assert found.rows[ONE.row_key].error == ODD[:-1]


@pytest.fixture(params=DRIVERS)
def parties(request: pytest.FixtureRequest, mariadb: MariaDb) -> Iterator[Parties]:
    with closing(maria(mariadb, request.param)) as database:
        yield Parties(database)


def kill(database: Database) -> None:
    """End the journal's session from another one, as an administrator does."""
    database.do(f"KILL CONNECTION {database.connections[-1].thread_id()}")


@pytest.mark.parametrize("call", CALLS)
def test_a_connection_that_ended_between_transactions_is_replaced(parties: Parties, call: str) -> None:
    journal = parties.started("a")
    journal.commit([ONE], ())
    parties.now += STALE_SECONDS
    kill(parties.database)
    with closing(Memory([ONE.row_key])) as memory:
        CALLS[call](journal, memory)
    journal.commit([], closed(JournalState.DELIVERED, ONE))
    assert parties.learn(parties.journal("a"), [1]).states == {ONE.row_key: JournalState.DELIVERED}


@pytest.mark.parametrize("call", CALLS)
def test_one_that_ends_within_a_transaction_is_lost_and_nothing_is_half_done(parties: Parties, call: str) -> None:
    kills: list[bool] = []

    def kill_it(*_: Any) -> None:
        if kills:
            kills.clear()
            kill(parties.database)

    parties.database.on_engine = lambda engine: event.listen(engine, "begin", kill_it)
    journal = parties.started("a")
    journal.commit([ONE], ())
    parties.now += STALE_SECONDS
    before = parties.database.rows("*")
    kills.append(True)
    with closing(Memory([ONE.row_key])) as memory:
        with pytest.raises(ConnectionLost):
            CALLS[call](journal, memory)
        assert parties.database.rows("*") == before
        CALLS[call](journal, memory)
    journal.commit([], closed(JournalState.DELIVERED, ONE))
    assert parties.learn(parties.journal("a"), [1]).states == {ONE.row_key: JournalState.DELIVERED}


def test_one_that_is_killed_while_it_executes_is_lost(parties: Parties) -> None:
    a, b = parties.started("a"), parties.started("b")
    a.commit([ONE], ())
    with (
        closing(parties.database.connect()) as holder,
        closing(holder.cursor()) as cursor,
        ThreadPoolExecutor(1) as pool,
    ):
        cursor.execute(f"UPDATE {JOURNAL} SET attempts = 7")
        thread = parties.database.connections[0].thread_id()
        waits = pool.submit(a.commit, (), closed(JournalState.DELIVERED, ONE))
        busy = f"SELECT COUNT(*) FROM information_schema.processlist WHERE id = {thread} AND info LIKE 'UPDATE%'"
        while parties.database.do(busy) != [(1,)]:
            assert not waits.done()
        parties.database.do(f"KILL CONNECTION {thread}")
        with pytest.raises(ConnectionLost):
            waits.result(30)
        holder.rollback()
    assert set(b.commit([ONE], ())) == {ONE.row_key}
    a.commit((), closed(JournalState.DELIVERED, ONE))
    assert [released.state for released in b.heartbeat()] == [JournalState.DELIVERED]


@pytest.mark.parametrize("commits_itself", [False, True])
def test_runs_that_lock_each_others_rows_in_other_orders_all_get_through(
    parties: Parties, commits_itself: bool
) -> None:
    """A deadlock ends the transaction of one of them, of which nothing is left, and which is done again."""
    if commits_itself:
        parties.database.connect = committing(parties.database.connect)
    journals = [parties.started(name) for name in "abcd"]
    rows = [made(n) for n in range(120)]

    def claim(number: int) -> list[bytes]:
        order = rows if number % 2 else rows[::-1]
        mine: list[bytes] = []
        for start in range(0, len(rows), 10):
            part = order[start : start + 10]
            while True:
                try:
                    refused = set(journals[number].commit(part, ()))
                except JournalUnavailable:  # as often as the runs' own patience allows
                    continue
                break
            mine += [intent.row_key for intent in part if intent.row_key not in refused]
        return mine

    with ThreadPoolExecutor(4) as pool:
        claimed = Counter(key for keys in pool.map(claim, range(4)) for key in keys)
    assert claimed == {intent.row_key: 1 for intent in rows}
    assert len(parties.database.rows("row_key")) == len(rows)
    assert parties.database.do(f"SELECT SUM(journal_rows) FROM {RUNS}") == [(len(rows),)]


@pytest.mark.parametrize("parties", ["MySQLdb"], indirect=True)  # PyMySQL leaves sockets open that are refused
def test_a_server_that_crashes_and_restarts_knows_every_claim(parties: Parties, mariadb: MariaDb) -> None:
    a, b = parties.started("a"), parties.started("b")
    a.commit([ONE, made(3)], ())
    b.commit([made(2)], ())
    mariadb.stop(crash=True)
    for _ in range(2):
        with pytest.raises(JournalUnavailable) as caught:
            a.commit([made(4)], ())
        assert not isinstance(caught.value, JournalUnusable)
    mariadb.start()
    parties.now += 1  # a pause, after which a connection is tried before it is used
    assert set(b.commit([ONE], closed(JournalState.DELIVERED, made(2)))) == {ONE.row_key}
    a.commit((), closed(JournalState.DELIVERED, ONE))
    assert [released.state for released in b.heartbeat()] == [JournalState.DELIVERED]
    assert set(b.commit([made(3)], ())) == {made(3).row_key}
    parties.now += STALE_SECONDS
    assert [released.state for released in b.heartbeat()] == [JournalState.DOUBTED]


def in_a_process(url: str, connection: str, rows: list[dict[str, Any]], name: str) -> subprocess.Popen[str]:
    """Start a run of so many rows in a process of its own."""
    environment = {
        **os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "AIRFLOW_CONN_JOURNAL": connection,
        "AIRFLOW_CONN_LOFTY_DEFAULT": json.dumps({"conn_type": "lofty", "host": url, "password": "made-up-api-key",
            "extra": {"requests_per_minute": 6000, "settle_seconds": 0.05}}),
    }  # fmt: skip
    program = [sys.executable, "-c", PROCESS, json.dumps(rows), name]
    return subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True)


ROWS = [row(1 + n % 20, text=f"event {n}", created=1763290000000 + n) for n in range(60)]
PROCESS = """
import json, sys
from support.practice import run, task_instance
rows, name = json.loads(sys.argv[1]), sys.argv[2]
ended = run(task_instance(run_id=name), rows=rows, journal_conn_id="journal", check_existing="never")
print("COUNTS", json.dumps(ended.counts), flush=True)
"""


@pytest.fixture(name="journal")
def in_a_connection(mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Name a database in the connection ``journal``, which Airflow's own hook opens."""
    database = maria(mariadb, "MySQLdb")
    ((name,),) = database.do("SELECT DATABASE()")
    extra = json.dumps({"unix_socket": str(mariadb.socket)})
    connection = {"conn_type": "mysql", "login": "root", "host": "localhost", "schema": name, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_JOURNAL", json.dumps(connection))
    return database


def test_a_restart_in_the_middle_of_a_run_costs_nothing_but_time(
    journal: Database, mariadb: MariaDb, lofty: Sandbox, connect: Callable[..., None]
) -> None:
    connect(lofty)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(run, rows=ROWS, journal_conn_id="journal", requests_per_minute=600)
        while len(lofty.activities) < 15:
            assert not ended.done()
            time.sleep(0.01)
        mariadb.stop(crash=True)
        arrived = len(lofty.activities)
        mariadb.start()
        outcome = ended.result(60)
    assert outcome.error is None
    assert outcome.counts == {"delivered": len(ROWS)}
    assert arrived < len(ROWS)
    assert Counter(activity.body["text"] for activity in lofty.activities) == {each["text"]: 1 for each in ROWS}
    assert journal.do(f"SELECT state, count(*) FROM {JOURNAL} GROUP BY 1") == [("delivered", len(ROWS))]


def test_two_processes_that_send_the_same_rows_at_once_send_each_once(journal: Database, lofty: Sandbox) -> None:
    connection = os.environ["AIRFLOW_CONN_JOURNAL"]
    runs = [in_a_process(lofty.url, connection, rows, name) for name, rows in (("a", ROWS), ("b", ROWS[::-1]))]
    counts = []
    for each in runs:
        said, _ = each.communicate(timeout=120)
        counts.append(json.loads(said.partition("COUNTS")[2].splitlines()[0]))
    assert sum(each.get("delivered", 0) for each in counts) == len(ROWS)
    assert sum(each.get("already_delivered", 0) for each in counts) == len(ROWS)
    assert Counter(activity.body["text"] for activity in lofty.activities) == {each["text"]: 1 for each in ROWS}
    assert journal.do(f"SELECT state, count(*) FROM {JOURNAL} GROUP BY 1") == [("delivered", len(ROWS))]
