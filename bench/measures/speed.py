"""Rows a second where Lofty sets no limit, as ratios to a bare loop."""

from __future__ import annotations

from statistics import median
from typing import Any

from bench.contenders import (
    DLT,
    DLT_8,
    DRT,
    HTTP_OPERATOR,
    LOOP,
    POOL_8,
    POOL_16,
    PROVIDER_8,
    PROVIDER_16,
    SINGER,
    UNLIMITED,
    journal,
    unlimited,
)
from bench.lofty import Lofty
from bench.plan import Plan
from bench.processes import Client, Runner
from bench.rows import write_rows

CLIENTS = (LOOP, PROVIDER_8, PROVIDER_16, POOL_8, POOL_16, SINGER, DLT, DLT_8, DRT)
HTTP_OPERATOR_ROWS = 20
MOST_SECONDS = 120.0


def measure(plan: Plan, runner: Runner) -> dict[str, Any]:
    """
    Run all clients in turn, several times.

    :return: latency in ms → client → ``ratio`` (rows a second to the loop's of the same turn, the median), ``least``
        and ``most`` of it, ``rate`` (rows a second, the median), ``seconds`` (of the whole process, the median)
    """
    return {f"{latency * 1000:g}": _measure(plan, runner, latency, rows) for latency, rows in plan.speed_rows.items()}


def _measure(plan: Plan, runner: Runner, latency: float, count: int) -> dict[str, Any]:
    runs: dict[str, list[dict[str, float]]] = {client.name: [] for client in CLIENTS}
    measured: dict[str, Any] = {}
    for _ in range(plan.speed_repeats):
        for client in CLIENTS:
            if reason := runner.can_run(client):
                measured[client.name] = {"not_run": reason}
                continue
            runs[client.name].append(_run(runner, client, latency, count))
    if latency == max(plan.speed_rows):  # once is enough: the HttpOperator's own work takes far longer
        if reason := runner.can_run(HTTP_OPERATOR):
            measured[HTTP_OPERATOR.name] = {"not_run": reason}
        else:
            runs[HTTP_OPERATOR.name] = [_run(runner, HTTP_OPERATOR, latency, HTTP_OPERATOR_ROWS)]
    return measured | {name: _compared(found, runs[LOOP.name]) for name, found in runs.items() if found}


def _run(runner: Runner, client: Client, latency: float, count: int) -> dict[str, float]:
    """Deliver the rows; give the rate from the first POST to the last, and the time of the whole process."""
    rows = write_rows(runner.folder / f"speed-{count}.csv", 1, count)
    arguments = (*journal(runner.new("state")), "--report", 1) if client.is_provider else ()
    with Lofty(requests_per_minute=UNLIMITED * 60, latency_seconds=latency) as lofty:
        with runner.start(client, lofty, rows, *unlimited(client), *arguments) as running:
            ended = running.wait(MOST_SECONDS)
        record = lofty.ask("record")
    if record["distinct"] != count or not ended.is_green:
        raise RuntimeError(f"{client.name} delivered {record['distinct']} of {count} rows; see {running.home}")
    return {"rate": (record["posts"] - 1) / record["seconds"], "seconds": ended.seconds}


def _compared(runs: list[dict[str, float]], reference: list[dict[str, float]]) -> dict[str, float]:
    # Turn by turn: both met the same other load on this machine.
    ratios = [each["rate"] / against["rate"] for each, against in zip(runs, reference, strict=False)]
    return {
        "ratio": median(ratios),
        "least": min(ratios),
        "most": max(ratios),
        "rate": median(run["rate"] for run in runs),
        "seconds": median(run["seconds"] for run in runs),
    }
