"""Rows a second where Lofty sets no limit, and the work of a row, as ratios to a bare loop's."""

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

Found = dict[str, float]


def measure(plan: Plan, runner: Runner) -> dict[str, Any]:
    """
    Run all clients in turn, several times, against a server that only answers.

    :return: latency in ms → client → ``ratio`` (rows a second to the loop's of the same turn, the median), ``least``
        and ``most`` of it, ``rate`` (rows a second, the median), ``seconds`` (of the whole process, the median),
        ``busy`` (the server's share of the time, the most); without latency also ``cpu_ms`` (of a row, the median)
        and ``cpu_ratio`` (to the loop's of the same turn, the median), ``cpu_least`` and ``cpu_most``
    """
    return {f"{latency * 1000:g}": _measure(plan, runner, latency, rows) for latency, rows in plan.speed_rows.items()}


def _measure(plan: Plan, runner: Runner, latency: float, count: int) -> dict[str, Any]:
    runs: dict[str, list[Found]] = {client.name: [] for client in CLIENTS}
    measured: dict[str, Any] = {}
    few = 0 if latency else plan.speed_few_rows  # who waits works no less: once is enough
    for _ in range(plan.speed_repeats):
        for client in CLIENTS:
            if reason := runner.can_run(client):
                measured[client.name] = {"not_run": reason}
                continue
            runs[client.name].append(
                _with_cost(runner, client, few, count) if few else _run(runner, client, latency, count)
            )
    if latency == max(plan.speed_rows):  # once is enough: the HttpOperator's own work takes far longer
        if reason := runner.can_run(HTTP_OPERATOR):
            measured[HTTP_OPERATOR.name] = {"not_run": reason}
        else:
            runs[HTTP_OPERATOR.name] = [_run(runner, HTTP_OPERATOR, latency, HTTP_OPERATOR_ROWS)]
    return measured | {name: _compared(found, runs[LOOP.name]) for name, found in runs.items() if found}


def _with_cost(runner: Runner, client: Client, few: int, count: int) -> Found:
    """Deliver few rows and all; the difference is free of what the start costs."""
    start, found = _run(runner, client, 0, few), _run(runner, client, 0, count)
    return {**found, "cpu_ms": (found["cpu_seconds"] - start["cpu_seconds"]) * 1000 / (count - few)}


def _run(runner: Runner, client: Client, latency: float, count: int) -> Found:
    """Deliver the rows; give the rate from the first POST to the last, and time and work of the whole process."""
    rows = write_rows(runner.folder / f"speed-{count}.csv", 1, count)
    arguments = (*journal(runner.new("state")), "--report", 1) if client.is_provider else ()
    with Lofty("bench.fast_server", latency_seconds=latency) as lofty:
        with runner.start(client, lofty, rows, *unlimited(client), *arguments) as running:
            ended = running.wait(MOST_SECONDS)
        record = lofty.ask("record")
    if record["distinct"] != count or not ended.is_green:
        raise RuntimeError(f"{client.name} delivered {record['distinct']} of {count} rows; see {running.home}")
    return {
        "rate": (record["posts"] - 1) / record["seconds"],
        "busy": record["busy"],
        "seconds": ended.seconds,
        "cpu_seconds": ended.cpu_seconds,
    }


def _compared(runs: list[Found], reference: list[Found]) -> Found:
    compared = {
        **_ratios("rate", runs, reference, ("ratio", "least", "most")),
        "rate": median(run["rate"] for run in runs),
        "seconds": median(run["seconds"] for run in runs),
        "busy": max(run["busy"] for run in runs),
    }
    if "cpu_ms" in runs[0]:
        compared |= _ratios("cpu_ms", runs, reference, ("cpu_ratio", "cpu_least", "cpu_most"))
        compared["cpu_ms"] = median(run["cpu_ms"] for run in runs)
    return compared


def _ratios(what: str, runs: list[Found], reference: list[Found], names: tuple[str, str, str]) -> Found:
    # Turn by turn: both met the same other load on this machine.
    ratios = [each[what] / against[what] for each, against in zip(runs, reference, strict=False)]
    return dict(zip(names, (median(ratios), min(ratios), max(ratios)), strict=True))
