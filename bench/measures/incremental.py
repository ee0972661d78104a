"""Only what is new: two days of a table that grows, with a failure on the second."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bench.contenders import DRT_NEW, DRT_NEW_LAG, PROVIDER, UNLIMITED, unlimited
from bench.lofty import Lofty
from bench.plan import Plan
from bench.processes import Client, Ended, Runner, Running, at_once
from bench.rows import FIRST_CREATED, ROWS_PER_LEAD

CLIENTS = (PROVIDER, DRT_NEW, DRT_NEW_LAG)
FIRST_DAY = datetime.fromisoformat("2026-10-01")
APART = timedelta(minutes=5)  # so that the lag holds a few rows only
LATE = timedelta(minutes=7)
LAG_MINUTES = 15
TIES = 2
SETTLE_SECONDS = 0.5
TIMEOUT_SECONDS = 2
LATENCY_SECONDS = 0.02
IN_FLIGHT = 4  # with more, few rows would be sent before the kill comes
MOST_SECONDS = 120.0


def measure(plan: Plan, runner: Runner) -> dict[str, Any]:
    """
    Let each client run on the first day, be killed half-way on the second, and run again.

    :return: ``two days`` → client → ``rows``, ``new`` (of the second day), ``read`` (by the last run), ``twice`` (rows
        sent again, each time) and ``lost``
    """
    for client in CLIENTS:
        runner.can_run(client)  # make its environment now, once
    found = at_once(lambda client: _measure(plan, runner, client), CLIENTS, len(CLIENTS))
    return {"two days": {client.name: each for client, each in zip(CLIENTS, found, strict=True)}}


def _measure(plan: Plan, runner: Runner, client: Client) -> dict[str, Any]:
    if reason := runner.can_run(client):
        return {"not_run": reason}
    first, later = plan.incremental_rows
    rows, home, state = runner.new("rows").with_suffix(".csv"), runner.new("home"), runner.new("state")
    table = rows.with_suffix(".sqlite")
    arguments = (*unlimited(client), *(_cursor(state) if client.is_provider else ()))
    with Lofty(requests_per_minute=UNLIMITED * 60, latency_seconds=LATENCY_SECONDS) as lofty:
        texts = _insert(table, _first_day(first))
        with runner.start(client, lofty, rows, *arguments, *_run(client, 1), home=home) as running:
            _ended_well(client, running.wait(MOST_SECONDS))
        new = _insert(table, _second_day(first, later))
        with runner.start(client, lofty, rows, *arguments, *_run(client, 2), home=home) as running:
            _kill_half_way(running, lofty, first + len(new) // 2)
        with runner.start(client, lofty, rows, *arguments, *_run(client, 2, 2), home=home) as running:
            ended = _ended_well(client, running.wait(MOST_SECONDS))
        sent = [text for text, _ in lofty.ask("posted")["posted"]]
    return {
        "rows": len(texts) + len(new),
        "new": len(new),
        "read": ended.read,
        "twice": len(sent) - len(set(sent)),
        "lost": len({*texts, *new} - {*sent}),
    }


def _kill_half_way(running: Running, lofty: Lofty, rows: int) -> None:
    while lofty.ask("count")["stored"] < rows and not running.poll():
        time.sleep(0.001)
    if running.kill().status != -signal.SIGKILL:
        raise RuntimeError(f"{running.client.name} ended before it could be killed; see {running.home}")


def _cursor(state: Path) -> tuple[Any, ...]:
    quick = ("--in-flight", IN_FLIGHT, "--settle", SETTLE_SECONDS, "--timeout", TIMEOUT_SECONDS)
    return ("--cursor", "updated_at", "--lag-minutes", LAG_MINUTES, "--journal", state, *quick)


def _run(client: Client, day: int, try_number: int = 1) -> tuple[Any, ...]:
    return ("--run", f"day-{day}", "--try-number", try_number) if client.is_provider else ()


def _ended_well(client: Client, ended: Ended) -> Ended:
    if not ended.is_green:
        raise RuntimeError(f"{client.name} did not end as it should: {ended}")
    return ended


def _first_day(rows: int) -> Iterator[tuple[int, datetime]]:
    """Give number and cursor of each row; the last ones share a value."""
    for number in range(rows):
        yield number, FIRST_DAY + min(number, rows - TIES) * APART


def _second_day(first: int, later: int) -> Iterator[tuple[int, datetime]]:
    """Give some rows with the last value of the day before, one that was committed late, and new ones."""
    last = FIRST_DAY + (first - TIES) * APART
    before = [*[last] * TIES, last - LATE]
    values = before + [last + timedelta(days=1) + APART * number for number in range(later - len(before))]
    yield from enumerate(values, first)


def _insert(table: Path, rows: Iterator[tuple[int, datetime]]) -> list[str]:
    """Add rows to the table; give their texts, by which they are told apart."""
    filled = [_row(number, updated_at) for number, updated_at in rows]
    with closing(sqlite3.connect(table)) as connection, connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS activities (lead_id INTEGER, type TEXT, text TEXT, link TEXT, picture TEXT, "
            "created INTEGER, updated_at TEXT)"
        )
        connection.executemany("INSERT INTO activities VALUES (?, ?, ?, ?, ?, ?, ?)", filled)
    return [row[2] for row in filled]


def _row(number: int, updated_at: datetime) -> tuple[int, str, str, str, str, int, str]:
    link = f"https://homes.example.com/{number}"
    created = FIRST_CREATED + number * 1000
    lead_id = 1000 + number // ROWS_PER_LEAD
    return lead_id, "Browse", f"Viewed home {number}", link, f"{link}.jpg", created, str(updated_at)
