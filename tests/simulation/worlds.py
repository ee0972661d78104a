"""Worlds: what one is made of, how a seed becomes one, and how it is played."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest import mock

from airflow_provider_lofty.exceptions import AirflowFailException, AirflowTaskTimeout
from simulation.history import History
from simulation.lofty import NO_FAULTS, Fate, Lofty, LoftySettings
from simulation.network import Network
from simulation.processes import EPOCH, Process, SimulatedOperator
from simulation.scheduler import Endless, Scheduler
from simulation.stores import NO_STORE_FAULTS, Database, StoreFaults, TaskState, TaskStateStore

MOST_SECONDS = 6 * 3600.0
MOST_STEPS = 300_000
_TERM_SECONDS = 5.0  # from SIGTERM to SIGKILL
_HOST = "http://127.0.0.1:80"
DATABASE_HOOK = "airflow_provider_lofty.rows.providers.database_hook"


def connection_to_lofty(settle_seconds: float = 6.0, timeout_seconds: float = 4.0, max_in_flight: int = 4) -> str:
    """Write an Airflow connection to the simulated Lofty."""
    extra = {
        "settle_seconds": settle_seconds, "timeout_seconds": timeout_seconds, "max_in_flight": max_in_flight,
    }  # fmt: skip
    return json.dumps({"conn_type": "lofty", "host": _HOST, "password": "made-up", "extra": extra})


@dataclass(frozen=True)
class Row:
    """
    A row of a source.

    :param key: its unique key; the picture carries it to Lofty, with ``version`` where the content is another
    :param created: seconds before the world begins
    :param person: an e-mail address by which its lead is found; it has no lead id then
    """

    key: str
    lead_id: Any
    type: str = "Browse"
    text: str = "Viewed a home"
    link: str = ""
    created: float = 86_400.0
    version: str = ""
    person: str = ""

    @property
    def mark(self) -> str:
        """What Lofty knows it by."""
        return self.key + self.version

    @property
    def cells(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "lead_id": None if self.person else self.lead_id,
            **({"email": self.person} if self.person else {}),
            "type": self.type,
            "text": self.text,
            "link": self.link,
            "picture": f"https://pictures.example.com/{self.mark}",
            "created": round((EPOCH - self.created) * 1000),
        }


@dataclass(frozen=True)
class Strike:
    """
    What befalls one try.

    :param kind: ``kill``, ``term``, ``timeout``, ``freeze`` (SIGSTOP) or ``suspend`` (the machine sleeps)
    :param step: at which of its steps; with ``noted``: at the first step after so many lines of this kind
    :param seconds: how long it is frozen
    :param given_up: frozen for so long, it is taken for dead and the next try begins beside it
    """

    kind: str
    step: int
    seconds: float = 0.0
    given_up: float = 1e9
    noted: str = ""


@dataclass(frozen=True)
class Task:
    """
    A task, with all its tries, and what its author does afterwards.

    :param journal: ``state``, ``sql`` or ``none``
    :param starts: when its first try begins
    :param strikes: what befalls the first tries, in order
    :param wiped_after: the try after which Airflow's store is empty
    :param clears_state: whether Airflow discards the store when the task is cleared, as it does from 3.4 on
    :param after: ``clear``: the task is cleared; ``feed``: its report is given to a new task
    :param start_seconds: how long a thread may take to begin
    :param later: the rows that the source has from the second try on, where it has others
    :param timeout_seconds: Airflow's ``execution_timeout``
    """

    name: str
    rows: tuple[Row, ...]
    journal: str = "state"
    is_keyed: bool = False
    starts: float = 0.0
    check_existing: str = "sample"
    on_unknown: str = "verify"
    strikes: tuple[Strike | None, ...] = ()
    wiped_after: int = 0
    clears_state: bool = False
    retries: int = 5
    retry_delay: float = 10.0
    after: tuple[str, ...] = ()
    start_seconds: float = 0.002
    report: str = "csv"
    later: tuple[Row, ...] | None = None
    timeout_seconds: float | None = None

    @property
    def has_people(self) -> bool:
        """Whether its rows know people by their addresses."""
        return any(row.person for row in self.all_rows)

    @property
    def all_rows(self) -> tuple[Row, ...]:
        """What the source ever had."""
        return (*self.rows, *(self.later or ()))


def may_be_blind(task: Task) -> bool:
    """Whether a later try may not know what earlier ones sent."""
    return task.journal == "none" or task.wiped_after > 0 or task.clears_state


@dataclass(frozen=True)
class World:
    """All that a world is made of."""

    seed: int
    tasks: tuple[Task, ...]
    lofty: LoftySettings = NO_FAULTS
    database: StoreFaults = NO_STORE_FAULTS
    state: StoreFaults = NO_STORE_FAULTS
    script: tuple[Fate | None, ...] = ()
    settle_seconds: float = 6.0
    timeout_seconds: float = 4.0
    max_in_flight: int = 4
    purges_at: float | None = None  # somebody deletes every other delivered row of the table


@dataclass
class Try:
    """One try of a task, and what it said in the end."""

    task: TaskLife
    number: int
    process: Process
    operator: SimulatedOperator
    report_path: Path
    rows: tuple[Row, ...]
    began: float
    is_superseded: bool = False
    has_ended: bool = False
    error: BaseException | None = None
    summary: dict[str, Any] | None = None
    outcomes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.process.name


class TaskLife:
    """A task on its way through tries, clears and reports given back."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.dag_id = task.name
        self.tries: list[Try] = []
        self.try_number = 0
        self.max_tries = task.retries
        self.state: TaskState | None = None
        self.after = list(task.after)
        self.strikes = list(task.strikes)
        self.rows = task.rows
        self.fed: Path | None = None
        self.last_word: Try | None = None


@dataclass
class Ending:
    """What is left when a world is over."""

    world: World
    history: History
    lofty: Lofty
    tries: list[Try]
    lives: list[TaskLife]
    journal: list[dict[str, Any]]
    endless: str = ""


class Stage:
    """Plays one world."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.history = History(f"{folder}/")
        self.scheduler = Scheduler(MOST_SECONDS, MOST_STEPS)
        self.rng = Random(world.seed)
        self.lofty = Lofty(world.lofty, self.scheduler, self.history, self.rng, world.script)
        self.network = Network(self.lofty.latency, self.lofty.opens, self.lofty.arrived)
        self.database = Database(folder / "journal.sqlite", world.database, self.rng)
        self.lives = [TaskLife(task) for task in world.tasks]
        self.tries: list[Try] = []

    def play(self) -> Ending:
        world = self.world
        connection = connection_to_lofty(world.settle_seconds, world.timeout_seconds, world.max_in_flight)
        for life in self.lives:
            self.scheduler.at(life.task.starts, self._begin, life)
        if self.world.purges_at is not None:
            self.scheduler.at(self.world.purges_at, self._purge)
        endless = ""
        with (
            mock.patch.dict(os.environ, {"AIRFLOW_CONN_LOFTY_DEFAULT": connection}),
            mock.patch("urllib3.util.connection.create_connection", self.network.connect),
            mock.patch(DATABASE_HOOK, return_value=self.database),
        ):
            try:
                self.scheduler.run()
            except Endless as error:
                endless = str(error)
            ending = Ending(
                self.world, self.history, self.lofty, self.tries, self.lives, self._journal_rows(), endless
            )  # fmt: skip
            for each in self.tries:
                each.process.bury()
        self.database.close()
        return ending

    def _journal_rows(self) -> list[dict[str, Any]]:
        connection = self.database.open()
        try:
            found = connection.execute("SELECT * FROM lofty_journal ORDER BY row_key")
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found]
        except Exception:  # noqa: BLE001 - no task of this world has a journal there
            return []
        finally:
            connection.close()

    def _purge(self) -> None:
        if not self._journal_rows():
            return  # there may be no table yet
        connection = self.database.open()
        try:
            gone = connection.execute("DELETE FROM lofty_journal WHERE state = 'delivered' AND rowid % 2").rowcount
            connection.commit()
        except sqlite3.OperationalError:  # somebody writes
            self.scheduler.after(0.1, self._purge)
        else:
            self.history.note(self.scheduler.now, "somebody", "purges %d rows of the journal", gone)
        finally:
            connection.close()

    # Tries

    def _begin(self, life: TaskLife) -> None:
        task = life.task
        life.try_number += 1
        if life.fed is None and life.try_number > 1 and task.later is not None:
            life.rows = task.later
        name = f"{life.dag_id}.{life.try_number}"
        strike = life.strikes.pop(0) if life.strikes else None
        process = Process(name, self.scheduler, self.history, self.rng)
        operator = self._operator(life, self.folder / f"{name}.{task.report}")
        operator.on(process, task.start_seconds)
        one = Try(
            life, life.try_number, process, operator, Path(str(operator.report_path)), life.rows, self.scheduler.now
        )
        if strike is not None:
            process.befalls = partial(self._strike, one, strike)
        life.tries.append(one)
        self.tries.append(one)
        process.note("begins")
        process.start(lambda: self._run(one))

    def _operator(self, life: TaskLife, report: Path) -> SimulatedOperator:
        task, seconds = life.task, life.task.timeout_seconds
        return SimulatedOperator(
            task_id="send", rows=[row.cells for row in life.rows] if life.fed is None else None,
            path=None if life.fed is None else str(life.fed),
            execution_timeout=None if seconds is None else timedelta(seconds=seconds), report_path=str(report), check_existing=task.check_existing, on_unknown=task.on_unknown,
            unique_key="key" if task.is_keyed else None, match_by="email" if task.has_people else None,
            max_unmatched_rows=None, durable=task.journal == "state",
            journal_conn_id="journal" if task.journal == "sql" else None,
        )  # fmt: skip

    def _context(self, one: Try) -> dict[str, Any]:
        life, process = one.task, one.process
        pushed: dict[str, Any] = {}

        def push(key: str, value: Any) -> None:
            process.step()
            pushed[key] = value
            if key == "return_value":
                one.summary = value

        ti = SimpleNamespace(
            dag_id=life.dag_id, run_id="run", task_id="send", map_index=-1, try_number=one.number,
            max_tries=life.max_tries, xcom_push=push,
        )  # fmt: skip
        context: dict[str, Any] = {"ti": ti}
        if life.task.journal == "state":
            if life.state is None:
                life.state = TaskState(self.world.state, self.rng)
            if life.task.wiped_after == one.number - 1 > 0:
                life.state.values.clear()
            life.state.owner = process
            context["task_state_store"] = TaskStateStore(life.state, process)
        return context

    def _run(self, one: Try) -> None:
        try:
            one.summary = one.operator.execute(self._context(one))
        except (Exception, AirflowTaskTimeout) as error:  # noqa: BLE001 - a task may end in any way
            one.error = error
        self._ended(one)

    def _ended(self, one: Try) -> None:
        error = one.error
        one.process.note("ends: %s", "green" if error is None else f"{type(error).__name__}: {error}")
        one.has_ended = True
        one.outcomes = _read_report(one.report_path)
        if one.is_superseded:
            return
        if one.outcomes:
            one.task.last_word = one
        is_retryable = error is not None and not isinstance(error, AirflowFailException)
        if is_retryable and one.task.try_number <= one.task.max_tries:
            self.scheduler.after(one.task.task.retry_delay, self._begin, one.task)
        else:
            self._go_on(one)

    def _go_on(self, one: Try) -> None:
        """What the author does when the task is over."""
        life = one.task
        if not life.after:
            return
        what = life.after.pop(0)
        if what == "clear":
            life.max_tries = life.try_number + life.task.retries
            if life.task.clears_state and life.state is not None:
                life.state.values.clear()
        elif one.outcomes:
            life.dag_id += "+"
            life.state, life.try_number, life.max_tries = None, 0, life.task.retries
            life.fed = one.report_path
        else:
            return
        self.history.note(self.scheduler.now, life.task.name, "is cleared" if what == "clear" else "is fed back")
        self.scheduler.after(life.task.retry_delay, self._begin, life)

    def _strike(self, one: Try, strike: Strike, process: Process) -> None:
        if (process.noted[strike.noted] if strike.noted else process.steps) < strike.step:
            return
        process.befalls = None
        retry = partial(self._retry_beside, one)
        if strike.kind == "kill":
            self.scheduler.after(1.0, retry)
            process.kill()
        elif strike.kind == "term":
            process.note("is told to stop")
            one.operator.on_kill()
            self.scheduler.after(_TERM_SECONDS, self._kill_at_last, one)
        elif strike.kind == "timeout":
            process.strike(AirflowTaskTimeout("timed out"))
        else:
            process.freeze(strike.seconds, is_suspended=strike.kind == "suspend")
            if strike.given_up < strike.seconds:
                self.scheduler.after(strike.given_up, retry)

    def _kill_at_last(self, one: Try) -> None:
        if not one.has_ended:
            self.scheduler.after(1.0, self._retry_beside, one)
            one.process.kill()

    def _retry_beside(self, one: Try) -> None:
        """Begin the next try: the scheduler takes this one for dead, and may be wrong."""
        if one.has_ended or one.is_superseded:
            return
        one.is_superseded = True
        if one.task.try_number <= one.task.max_tries:
            self._begin(one.task)


def _read_report(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream)) if path.suffix == ".csv" else [json.loads(line) for line in stream]


def play(world: World) -> Ending:
    """Play a world to its end."""
    with tempfile.TemporaryDirectory(prefix="lofty-world-") as folder:
        return Stage(world, Path(folder)).play()
