"""The most memory that each client takes, for a small and a large input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.contenders import DLT, DRT, LOOP, POOL_16, PROVIDER, SINGER, UNLIMITED, journal, unlimited
from bench.lofty import Lofty
from bench.plan import Plan
from bench.processes import Client, Runner, at_once
from bench.rows import write_rows

CLIENTS = (PROVIDER, LOOP, POOL_16, SINGER, DLT, DRT)
MOST_SECONDS = 400.0
KEPT_REQUESTS = 1000
AT_ONCE = 2  # memory does not depend on how fast it goes


def measure(plan: Plan, runner: Runner) -> dict[str, Any]:
    """
    Deliver inputs of several sizes.

    :return: rows → client → ``peak_mb``
    """
    for client in CLIENTS:
        runner.can_run(client)  # make its environment now, once
    return {str(count): _all(runner, count) for count in plan.memory_rows}


def _all(runner: Runner, count: int) -> dict[str, Any]:
    rows = write_rows(runner.folder / f"{count}.csv", 1, count)
    found = at_once(lambda client: _measure(runner, client, rows, count), CLIENTS, AT_ONCE)
    return {client.name: each for client, each in zip(CLIENTS, found, strict=True)}


def _measure(runner: Runner, client: Client, rows: Path, count: int) -> dict[str, Any]:
    if reason := runner.can_run(client):
        return {"not_run": reason}
    arguments = (*journal(runner.new("state")), "--report", 1) if client.is_provider else ()
    with Lofty(requests_per_minute=UNLIMITED * 60, kept_requests=KEPT_REQUESTS) as lofty:
        with runner.start(client, lofty, rows, *unlimited(client), *arguments) as running:
            ended = running.wait(MOST_SECONDS)
        stored = lofty.ask("count")["stored"]
    if ended.status is None:
        return {"not_run": f"{stored} of {count} rows were delivered in {MOST_SECONDS:g} s"}
    if stored != count:
        raise RuntimeError(f"{client.name} delivered {stored} of {count} rows; see {running.home}")
    return {"peak_mb": ended.peak_mb}
