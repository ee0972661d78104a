"""
Thirty days of one Dag that reads only what is new, at one Lofty and one journal.

Every few hours rows come into its source; some become visible late, some can only be sent once they are repaired, days
later. Every morning a run reads what is new. Its tries are killed, frozen beside their retry and told to stop; Lofty is
out for hours; runs of days ago are cleared; others are triggered while one is running. On the last day nothing goes
wrong any more.
"""

from __future__ import annotations

import csv
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest import mock

from sqlalchemy import create_engine
from sqlalchemy.engine import Engine

from airflow_provider_lofty.exceptions import AirflowFailException
from simulation.history import History
from simulation.lofty import Lofty, LoftySettings
from simulation.network import Network
from simulation.processes import EPOCH, Process, SimulatedOperator
from simulation.scheduler import Scheduler
from simulation.stores import Database, StoreFaults
from simulation.worlds import DATABASE_HOOK, connection_to_lofty

DAYS = 30
HOUR, DAY = 3600, 86_400
LAG = 2 * HOUR
MOST_STEPS = 3_000_000
RETRIES = 2
_RETRY_SECONDS = 600.0
_MISSING = 404
_STRIKES = ("kill", "kill", "freeze", "term", None, None, None)
_OPEN = ("not_attempted", "unknown")
_NOTED = ("POST leaves", "commits", "log: resuming: %s delivered, %s in doubt, %s to send")
SQL = "SELECT * FROM visits WHERE seen >= :cursor ORDER BY seen"


Seen = tuple[str, str]  # a row, and its cursor


@dataclass
class DagRun:
    """A Dag run, with all its tries."""

    name: str
    max_tries: int = RETRIES
    try_number: int = 0
    is_faultless: bool = False


@dataclass
class DayTry:
    """One try, and what it said in the end."""

    run: DagRun
    number: int
    process: Process
    operator: SimulatedOperator
    report: Path
    error: BaseException | None = None
    is_superseded: bool = False
    has_ended: bool = False
    cursor: dict[str, Any] | None = None
    rows: list[dict[str, str]] = field(default_factory=list)
    known: frozenset[Seen] = frozenset()
    allowed: Any = None


class Warehouse:
    """
    The source, as a hook.

    :param is_text: whether its cursor is a timestamp as text, or a number
    """

    def __init__(self, path: Path, *, is_text: bool) -> None:
        self.path = path
        self.is_text = is_text
        self._do(
            "CREATE TABLE visits (id INTEGER PRIMARY KEY, lead_id, type, text, link, picture, created, seen,"
            " visible REAL)"
        )

    def get_sqlalchemy_engine(self, engine_kwargs: dict[str, Any] | None = None) -> Engine:
        return create_engine(f"sqlite:///{self.path}", **(engine_kwargs or {}))

    def _do(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as database, database:
            return list(database.execute(statement, values))

    def seen(self, at: float) -> Any:
        """Write a moment as the cursor has it; several rows have the same one."""
        at = EPOCH + at // 60 * 60
        if not self.is_text:
            return int(at)
        ((text,),) = self._do("SELECT datetime(?, 'unixepoch')", int(at))
        return text

    def add(self, lead_id: Any, at: float, now: float) -> None:
        (((n,),)) = self._do("SELECT COUNT(*) + 1 FROM visits")
        row = (
            n, lead_id, "Browse", f"visit {n}", f"https://homes.example.com/{n}", f"https://pictures.example.com/{n}",
            int((EPOCH - 40 * DAY + n) * 1000), self.seen(at), now,
        )  # fmt: skip
        self._do(f"INSERT INTO visits VALUES ({', '.join('?' * len(row))})", *row)

    def repair(self, n: int, lead_id: int, now: float) -> None:
        self._do("UPDATE visits SET lead_id = ?, seen = ?, visible = ? WHERE id = ?", lead_id, self.seen(now), now, n)

    def broken(self) -> list[int]:
        return [n for (n,) in self._do("SELECT id FROM visits WHERE lead_id IN ('nobody', ?)", _MISSING)]

    def rows(self) -> set[Seen]:
        return {(str(n), str(seen)) for n, seen in self._do("SELECT id, seen FROM visits")}


class Days:
    """Plays thirty days of one seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = rng = Random(seed)
        self.folder = folder
        self.history = History(f"{folder}/")
        self.scheduler = Scheduler((DAYS + 2) * DAY, MOST_STEPS)
        last = DAYS * DAY
        outages = tuple(
            (day * DAY + 6 * HOUR - 60.0, day * DAY + 9 * HOUR) for day in range(DAYS) if rng.random() < 0.1
        )
        self.lofty = Lofty(
            LoftySettings(
                lag=3.0, lost=0.03, swallowed=0.02, errors=0.02, refused=0.01, outages=outages, until=last,
                missing=frozenset((_MISSING,)),
            ),
            self.scheduler, self.history, rng, (),
        )  # fmt: skip
        self.network = Network(self.lofty.latency, self.lofty.opens, self.lofty.arrived)
        faults = StoreFaults(lost=0.003, unacknowledged=0.003, unreadable=0.002, until=last)
        self.database = Database(folder / "journal.sqlite", faults, rng)
        self.warehouse = Warehouse(folder / "warehouse.sqlite", is_text=rng.random() < 0.5)
        self.is_table = rng.random() < 0.5
        self.runs: list[DagRun] = []
        self.tries: list[DayTry] = []
        self.start = self.warehouse.seen(0)
        self.last_word: dict[Seen, str] = {}
        self.highest: Any = None

    def play(self) -> Days:
        for hour in range(0, DAYS * 24, 2):
            self.scheduler.at(hour * HOUR + self.rng.uniform(0, 2 * HOUR), self._rows_come)
        for day in range(DAYS):
            self.scheduler.at(day * DAY + 6 * HOUR, self._begin_run, f"day {day:02}")
            if self.rng.random() < 0.2:
                self.scheduler.at(day * DAY + 6 * HOUR + self.rng.uniform(0, 20), self._begin_run, f"by hand {day:02}")
            if self.rng.random() < 0.2:
                self.scheduler.at(day * DAY + self.rng.uniform(0, DAY), self._clear)
        self.scheduler.at(DAYS * DAY, self._begin_run, "the last day", True)
        with ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, {"AIRFLOW_CONN_LOFTY_DEFAULT": connection_to_lofty()}))
            stack.enter_context(mock.patch("urllib3.util.connection.create_connection", self.network.connect))
            for hook in (DATABASE_HOOK, "airflow_provider_lofty.rows.database.database_hook"):
                stack.enter_context(mock.patch(hook, side_effect=self._hook))
            self.scheduler.run()
            for one in self.tries:
                one.process.bury()
        self.database.close()
        return self

    def _hook(self, conn_id: str, hook_params: object = None) -> Any:
        return self.database if conn_id == "journal" else self.warehouse

    # The source

    def _rows_come(self) -> None:
        now, rng = self.scheduler.now, self.rng
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            late = rng.uniform(0, LAG - 120) if rng.random() < 0.5 else 0.0
            lead_id = rng.choice(("nobody", _MISSING)) if rng.random() < 0.1 else rng.randrange(100, 130)
            self.warehouse.add(lead_id, max(now - late, 0.0), now)
        broken = self.warehouse.broken()
        if broken and rng.random() < 0.1:
            self.warehouse.repair(rng.choice(broken), rng.randrange(100, 130), now)
        if now > (DAYS - 1) * DAY:
            for n in broken:
                self.warehouse.repair(n, 100, now)

    # Tries

    def _begin_run(self, name: str, is_faultless: bool = False) -> None:
        run = DagRun(name, is_faultless=is_faultless)
        self.runs.append(run)
        self._begin(run)

    def _clear(self) -> None:
        over = [run for run in self.runs if all(one.has_ended for one in self.tries if one.run is run)]
        if over:
            run = self.rng.choice(over)
            self.history.note(self.scheduler.now, run.name, "is cleared")
            run.max_tries = run.try_number + RETRIES
            self._begin(run)

    def _begin(self, run: DagRun) -> None:
        run.try_number += 1
        name = f"{run.name}.{run.try_number}"
        process = Process(name, self.scheduler, self.history, self.rng)
        report = self.folder / f"{name}.csv"
        given: dict[str, Any] = {"table": "visits"} if self.is_table else {"sql": SQL}
        if not self.is_table and not self._has_watermark():
            given["cursor_from"] = self.start
        operator = SimulatedOperator(
            task_id="send", source_conn_id="warehouse", journal_conn_id="journal", cursor="seen",
            cursor_lag=LAG if not self.warehouse.is_text else "2 hours", report_path=str(report), unique_key="id",
            check_existing="never", **given,
        ).on(process, 0.002)  # fmt: skip
        one = DayTry(run, run.try_number, process, operator, report)
        one.known = frozenset(seen for seen, outcome in self.last_word.items() if outcome not in _OPEN)
        one.allowed = self._allowed()
        self.tries.append(one)
        strike = None if run.is_faultless else self.rng.choice(_STRIKES)
        if strike:
            process.befalls = partial(self._strike, one, strike, self.rng.choice(_NOTED), self.rng.randrange(1, 12))
        process.note("begins")
        process.start(lambda: self._run(one))

    def _has_watermark(self) -> bool:
        with closing(self.database.open()) as connection:
            there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'lofty_cursor'").fetchone()
            return bool(there and connection.execute("SELECT 1 FROM lofty_cursor").fetchone())

    def _run(self, one: DayTry) -> None:
        pushed: dict[str, Any] = {}
        ti = SimpleNamespace(
            dag_id="daily", run_id=one.run.name, task_id="send", map_index=-1, try_number=one.number,
            max_tries=one.run.max_tries, xcom_push=lambda key, value: pushed.update({key: value}),
        )  # fmt: skip
        try:
            summary = one.operator.execute({"ti": ti})
        except Exception as error:  # noqa: BLE001 - a task may end in any way
            one.error, summary = error, pushed.get("return_value")
        one.has_ended = True
        one.cursor = summary and summary.get("cursor")
        if one.report.exists():
            with one.report.open(newline="", encoding="utf-8") as stream:
                one.rows = list(csv.DictReader(stream))
            self._learn(one)
        one.process.note("ends: %s", "green" if one.error is None else f"{type(one.error).__name__}: {one.error}")
        if one.error is not None and not isinstance(one.error, AirflowFailException):
            self._retry(one, _RETRY_SECONDS)

    def _retry(self, one: DayTry, seconds: float) -> None:
        run = one.run
        if not one.is_superseded and run.try_number <= run.max_tries:
            one.is_superseded = True
            self.scheduler.after(seconds, self._begin, run)

    def _strike(self, one: DayTry, kind: str, noted: str, times: int, process: Process) -> None:
        if process.noted[noted] < times:
            return
        process.befalls = None
        if kind == "term":
            one.operator.on_kill()
        elif kind == "freeze":
            process.freeze(self.rng.uniform(1, 200))
            self.scheduler.after(20.0, self._give_up, one)
        else:
            self.scheduler.after(1.0, self._give_up, one)
            process.kill()

    def _give_up(self, one: DayTry) -> None:
        """Begin the next try: the scheduler takes this one for dead, and may be wrong."""
        if not one.has_ended:
            self._retry(one, 0.0)
            one.has_ended = one.process.is_dead

    # What must hold

    def _learn(self, one: DayTry) -> None:
        """Take in what a report says, unless its run could not move the watermark."""
        if one.cursor is None or "journal" in (one.cursor["held_back_by"] or ""):
            return
        for row in one.rows:
            self.last_word[row["id"], row["seen"]] = row["lofty_outcome"]
            self.highest = max(self.highest or self._value(row["seen"]), self._value(row["seen"]))

    def _allowed(self) -> Any:
        """From where on a run may read rows again: within the lag, and from what was held back."""
        if self.highest is None:
            return None
        held = [self._value(seen) for (_, seen), outcome in self.last_word.items() if outcome in _OPEN]
        return min([self._before(self.highest), *held])

    def _value(self, seen: str) -> Any:
        return seen if self.warehouse.is_text else int(seen)

    def _before(self, highest: Any) -> Any:
        if not self.warehouse.is_text:
            return highest - LAG
        with closing(sqlite3.connect(":memory:")) as database:
            return database.execute("SELECT datetime(?, '-2 hours')", (highest,)).fetchone()[0]

    def violations(self) -> Iterator[str]:
        stored = Counter(entry.row for entry in self.lofty.ours())
        said = {n for n, seen in self.warehouse.rows() if self.last_word.get((n, seen)) in ("unknown", "invalid")}
        yield from (f"twice: row {n}" for n, times in stored.items() if times > 1)
        yield from (
            f"lost: row {n}" for n in sorted({n for n, _ in self.warehouse.rows()} - set(stored) - said, key=int)
        )
        last = self.tries[-1]
        if not last.rows or any(row["lofty_outcome"] == "not_attempted" for row in last.rows):
            yield f"the last day ends with {last.error}"
        for one in self.tries:
            if one.number == 1 and one.allowed is not None:
                yield from (
                    f"{one.process.name} reads row {row['id']} of {row['seen']} again, below {one.allowed}"
                    for row in one.rows
                    if (row["id"], row["seen"]) in one.known and self._value(row["seen"]) < one.allowed
                )
