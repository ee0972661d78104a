"""The claims of the shared journal on a real MariaDB or MySQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pymysql
import pytest
from sqlalchemy.engine import make_url
from support.shared_journal import ONE, STALE_SECONDS, Database, Parties, closed, committing, input_sample, made, sent

from airflow_provider_lofty.journal.database import SqlJournal
from airflow_provider_lofty.journal.journal import JournalError
from airflow_provider_lofty.journal.schema import CURRENT
from airflow_provider_lofty.journal.tables import FORMAT, JOURNAL, RUNS
from airflow_provider_lofty.spool.history import JournalState

pytestmark = [pytest.mark.server, pytest.mark.program]


@pytest.fixture(params=["mysql", "mariadb"])
def parties(request: pytest.FixtureRequest, mariadb_url: str) -> Iterator[Parties]:
    address = make_url(mariadb_url)
    given = {**address.translate_connect_args(username="user"), **address.query}
    with closing(Database(f"{request.param}+pymysql://", lambda: pymysql.connect(**given))) as database:
        for table in (JOURNAL, RUNS, FORMAT):
            database.do(f"DROP TABLE IF EXISTS {table}")
        yield Parties(database)


def test_tables_are_made_once_by_many(parties: Parties) -> None:
    together = threading.Barrier(4)

    def begin(journal: SqlJournal) -> bool:
        together.wait(30)
        return journal.begin(is_later_try=False)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(begin, [parties.journal(f"r{n}") for n in range(4)])) == [False] * 4
    assert parties.database.do(f"SELECT * FROM {FORMAT}") == [(1, *CURRENT)]
    assert parties.database.do(f"SELECT COUNT(*) FROM {RUNS}") == [(4,)]


@pytest.mark.parametrize("commits_itself", [False, True])
def test_a_row_is_one_runs_until_it_is_closed(parties: Parties, commits_itself: bool) -> None:
    if commits_itself:
        parties.database.connect = committing(parties.database.connect)
    a, b = parties.started("a"), parties.started("b")
    assert set(a.commit([ONE, made(2)], ())) == set()
    assert set(b.commit([ONE, made(2), made(3)], ())) == {ONE.row_key, made(2).row_key}
    a.commit((), [*closed(JournalState.DELIVERED, ONE), *closed(JournalState.REJECTED, made(2))])
    assert [released.state for released in b.heartbeat()] == [JournalState.DELIVERED, JournalState.WITHDRAWN]
    b.commit((), closed(JournalState.WITHDRAWN, made(3)))
    assert parties.learn(parties.journal("c"), range(4)).states == {ONE.row_key: JournalState.DELIVERED}


def test_what_is_told_twice_counts_once(parties: Parties) -> None:
    a = parties.started("a")
    a.commit([ONE], ())
    for _ in range(2):
        a.commit((), closed(JournalState.DELIVERED, ONE))
    assert parties.database.rows("state, attempts") == [(JournalState.DELIVERED, 1)]


def test_a_dead_owners_claim_is_taken_over_in_doubt(parties: Parties) -> None:
    a, b = parties.started("a"), parties.started("b")
    a.commit([made(1, 3)], ())
    b.commit([ONE], ())
    parties.now += STALE_SECONDS
    assert [(end.state, end.intent) for end in b.heartbeat()] == [(JournalState.DOUBTED, sent(1, 3))]
    assert set(a.commit([ONE], ())) == {ONE.row_key}


def test_two_that_claim_the_same_rows_in_other_orders_share_them(parties: Parties) -> None:
    rows = [made(n) for n in range(200)]
    journals = [parties.started(name) for name in "ab"]
    together = threading.Barrier(2)

    def claim(number: int) -> set[bytes]:
        together.wait(30)
        asked = rows if number == 0 else rows[::-1]
        return {row.row_key for row in asked} - set(journals[number].commit(asked, ()))

    with ThreadPoolExecutor(2) as pool:
        mine, others = pool.map(claim, range(2))
    assert mine | others == {row.row_key for row in rows}
    assert mine & others == set()


def test_a_later_try_knows_what_the_first_one_did(parties: Parties) -> None:
    a = parties.started("a")
    a.start(input_sample(10))
    rows = [made(n) for n in range(1000)]
    a.commit(rows, ())
    a.commit((), closed(JournalState.DELIVERED, *rows[:990]))
    learned = parties.learn(parties.journal("a"), range(1000), is_later_try=True)
    assert not learned.has_gaps
    assert set(learned.loaded.doubtful) == {sent(n) for n in range(990, 1000)}
    assert sum(state == JournalState.DELIVERED for state in learned.states.values()) == 990


def test_a_connection_that_ended_is_replaced_between_transactions(parties: Parties) -> None:
    a = parties.started("a")
    a.commit([ONE], ())
    process = parties.database.connections[-1].thread_id()
    parties.database.do(f"KILL {process}")
    parties.now += 1  # a pause, after which a connection is tried before it is used
    a.commit([made(2)], closed(JournalState.DELIVERED, ONE))
    assert len(parties.database.rows("row_key")) == 2


def test_a_lock_is_waited_for_a_few_seconds(parties: Parties) -> None:
    a, b = parties.started("a"), parties.started("b")
    a.commit([made(2)], ())
    with closing(parties.database.connect()) as stopped, stopped.cursor() as cursor:
        cursor.execute(f"UPDATE {JOURNAL} SET attempts = 7")
        before = time.monotonic()
        with pytest.raises(JournalError):
            a.commit((), closed(JournalState.DELIVERED, made(2)))
        assert time.monotonic() - before < 30  # by itself it waits 50 s
        stopped.rollback()
    assert b.commit([ONE], ()) == set()


def test_any_text_is_kept(parties: Parties) -> None:
    a = parties.started("a")
    a.commit([ONE], ())
    error: Any = "é" * 600 + "\0"
    a.commit((), [closed(JournalState.REJECTED, ONE)[0]._replace(error=error)])
    assert parties.database.rows("error") == [("é" * 500,)]
