"""
Where journals are kept: a database that several processes use, and Airflow's task state store.

The database is SQLite in a file, for all processes of a world; between a process and it lies a network with faults. What
is committed stays, whatever became of the answer; what is not is rolled back when a connection is lost.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.engine import Engine

from simulation.processes import Process, current

_LOCK_SECONDS = 5.0  # as long as the journal lets a database wait for a lock
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class StoreFaults:
    """
    What goes wrong between a process and a store.

    :param latency: seconds that a call takes, at most
    :param lost: share of writes that fail before they take effect
    :param unacknowledged: share of writes that take effect while the call fails
    :param unreadable: share of reads that fail
    :param outages: from when to when nothing gets through
    :param until: from then on nothing goes wrong
    """

    latency: float = 0.004
    lost: float = 0.0
    unacknowledged: float = 0.0
    unreadable: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()
    until: float = 1e9

    def is_down(self, now: float) -> bool:
        return any(begin <= now < end for begin, end in self.outages)

    def strikes(self, share: float, rng: Random, now: float) -> bool:
        return share > 0 and now < self.until and rng.random() < share


NO_STORE_FAULTS = StoreFaults()


class Database:
    """The journal's database, as a hook: it stands in for a ``DbApiHook``."""

    def __init__(self, path: Path, faults: StoreFaults, rng: Random) -> None:
        self.path = path
        self.faults = faults
        self.rng = rng
        self._keeper = self.open()
        self._keeper.execute("PRAGMA journal_mode = WAL")

    def open(self) -> sqlite3.Connection:
        """Open a connection that the world itself may use."""
        connection = sqlite3.connect(self.path, timeout=0)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def get_conn(self) -> Connection:
        process = current()
        process.step(self.rng.random() * self.faults.latency)
        if self.faults.is_down(process.scheduler.now):
            process.note("the database cannot be reached")
            raise sqlite3.OperationalError("no connection")
        return Connection(self, process)

    def get_sqlalchemy_engine(self, engine_kwargs: dict[str, Any] | None = None) -> Engine:
        return create_engine("sqlite://", **(engine_kwargs or {}))

    def close(self) -> None:
        self._keeper.close()


class Connection:
    """A connection to the database; once it has failed, it is of no use any more."""

    def __init__(self, database: Database, process: Process) -> None:
        self._database = database
        self._process = process
        self._real = database.open()
        self._is_lost = False
        process.connections.append(self)

    def drop(self) -> None:
        """The database notices that nobody is there any more."""
        self._is_lost = True
        self._real.close()

    def cursor(self) -> Cursor:
        return Cursor(self)

    def create_function(self, *_: Any, **__: Any) -> None:
        """SQLAlchemy brings functions that the journal does not use."""

    def execute(self, statement: str, values: Any, *, many: bool = False) -> sqlite3.Cursor:
        is_read = statement.startswith("SELECT")
        faults = self._database.faults
        self._travel(faults.unreadable if is_read else faults.lost)
        run = self._real.executemany if many else self._real.execute
        cursor = self._without_locks(lambda: run(statement, values))
        self._process.step()
        return cursor

    def commit(self) -> None:
        faults, rng = self._database.faults, self._database.rng
        if not self._is_in_transaction():
            return
        self._travel(faults.lost)
        self._without_locks(self._real.commit)
        self._process.note("commits")
        self._process.step()
        if faults.strikes(faults.unacknowledged, rng, self._process.scheduler.now):
            self._lose("the commit took effect, but its answer is lost")

    def rollback(self) -> None:
        if self._is_in_transaction():
            self._travel(0)
            self._real.rollback()

    def close(self) -> None:
        self.drop()

    def _is_in_transaction(self) -> bool:
        self._process.check()
        if self._is_lost:
            raise _lost("the connection is lost")
        return self._real.in_transaction

    def _travel(self, share: float) -> None:
        self._is_in_transaction()
        faults, rng, scheduler = self._database.faults, self._database.rng, self._process.scheduler
        self._process.step(rng.random() * faults.latency)
        if faults.is_down(scheduler.now) or faults.strikes(share, rng, scheduler.now):
            self._lose("the database does not answer")

    def _lose(self, why: str) -> None:
        self._process.note(why)
        self.drop()
        raise _lost(why)

    def _without_locks(self, call: Callable[[], Any]) -> Any:
        deadline = self._process.clock() + _LOCK_SECONDS
        while True:
            try:
                return call()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or self._process.clock() > deadline:
                    raise
            self._process.wait(_LOOK_SECONDS)


def _lost(why: str) -> Exception:
    """The error by whose words SQLAlchemy knows that a connection to SQLite is of no use any more."""
    return sqlite3.ProgrammingError(f"Cannot operate on a closed database. ({why})")


class Cursor:
    """What SQLAlchemy uses of a cursor."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._real: sqlite3.Cursor | None = None

    def execute(self, statement: str, values: Any = ()) -> None:
        self._real = self._connection.execute(statement, values)

    def executemany(self, statement: str, values: Any) -> None:
        self._real = self._connection.execute(statement, values, many=True)

    def close(self) -> None:
        if self._real is not None:
            self._real.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class TaskState:
    """
    What Airflow keeps for one task instance.

    :ivar owner: the process of the newest try; Airflow refuses what an older one writes
    """

    def __init__(self, faults: StoreFaults, rng: Random) -> None:
        self.values: dict[str, str] = {}
        self.owner: Process | None = None
        self.faults = faults
        self.rng = rng


class TaskStateStore:
    """One process's way to it."""

    def __init__(self, state: TaskState, process: Process) -> None:
        self._state = state
        self._process = process

    def get(self, key: str, default: Any = None) -> Any:
        self._call(self._state.faults.unreadable)
        text = self._state.values.get(key)
        self._process.step()
        return default if text is None else json.loads(text)

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        self._write(lambda: self._state.values.__setitem__(key, json.dumps(value)), key)

    def delete(self, key: str) -> None:
        self._write(lambda: self._state.values.pop(key, None), key)

    def _write(self, write: Callable[[], Any], key: str) -> None:
        faults, rng = self._state.faults, self._state.rng
        self._call(faults.lost)
        if self._state.owner is not self._process:
            self._process.note("Airflow refuses %s: there is a newer try", key)
            raise RuntimeError("a newer try")
        write()
        self._process.note("stores %s", key.rpartition(".")[2] if key.count(".") < 2 else key.split(".", 2)[2])
        self._process.step()
        if faults.strikes(faults.unacknowledged, rng, self._process.scheduler.now):
            self._process.note("which took effect, but its answer is lost")
            raise RuntimeError("no answer")

    def _call(self, share: float) -> None:
        faults, rng, scheduler = self._state.faults, self._state.rng, self._process.scheduler
        self._process.step(rng.random() * faults.latency)
        if faults.is_down(scheduler.now) or faults.strikes(share, rng, scheduler.now):
            self._process.note("Airflow's store does not answer")
            raise RuntimeError("no answer")
