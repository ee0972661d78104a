"""Rows that arrive twice, and rows that are lost without a word, for each kind of fault."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import Any

from bench.contenders import DLT, DRT, HTTP_OPERATOR, LOOP, POOL_8, PROVIDER, SINGER, UNLIMITED, journal, unlimited
from bench.lofty import Lofty
from bench.plan import Plan
from bench.processes import Client, Ended, Runner, Running, at_once
from bench.rows import write_rows

CLIENTS = (PROVIDER, LOOP, POOL_8, SINGER, DLT, DRT, HTTP_OPERATOR)
TIMEOUT_SECONDS = 1.0
SETTLE_SECONDS = 2.0
MOST_SECONDS = 120.0
HTTP_OPERATOR_ROWS = 20
AT_ONCE = 5  # counts do not depend on how fast it goes
KILL_LATENCY_SECONDS = 0.005


@dataclass(frozen=True)
class Case:
    """
    One fault.

    :param name: its key in results
    :param rows: of the smallest case; a plan takes some times as many
    :param fault: the sandbox's name for it
    :param fault_every: each such activity meets it
    :param bad_every: each such row is bad
    :param is_killed: the client is killed half-way and run again
    :param is_disk_gone: what it kept on its own disk is gone by then
    """

    name: str
    rows: int
    fault: str = ""
    fault_every: int = 0
    bad_every: int = 0
    is_killed: bool = False
    is_disk_gone: bool = False
    lofty: dict[str, Any] = field(default_factory=dict)

    def settings(self, rows: int) -> dict[str, Any]:
        """Give the sandbox's settings for so many rows."""
        every = min(self.fault_every, rows) or 1
        # In the middle of each stretch: neither the first nor the last row of all is struck.
        scripted = [self.fault if self.fault and number % every == every // 2 else None for number in range(rows)]
        return {"requests_per_minute": UNLIMITED * 60, "scripted_faults": scripted, **self.lofty}


KILLED = {"latency_seconds": KILL_LATENCY_SECONDS}
CASES = (
    Case("dropped", 20, fault="drop_after_storing", fault_every=50),
    Case("killed, disk kept", 60, is_killed=True, lofty=KILLED),
    Case("killed, disk gone", 60, is_killed=True, is_disk_gone=True, lofty=KILLED),
    Case("bad", 60, bad_every=10),
    Case("refused in 200", 20, fault="error_in_200", fault_every=10),
)


def measure(plan: Plan, runner: Runner) -> dict[str, Any]:
    """
    Run each client through each fault.

    :return: fault → client → ``rows``, ``delivered``, ``duplicates``, ``told`` (not delivered, and said so), ``silent``
        (not delivered, and nobody said so), ``green``, ``finished`` and ``seconds`` of the last run
    """
    for client in CLIENTS:
        runner.can_run(client)  # make its environment now, once
    pairs = [(case, client) for client in CLIENTS for case in CASES]
    pairs.sort(key=lambda pair: not pair[0].is_killed)  # they wait longest: the others run beside them
    found = at_once(lambda pair: _measure(plan, runner, *pair), pairs, AT_ONCE)
    measured: dict[str, Any] = {case.name: {} for case in CASES}
    for (case, client), each in zip(pairs, found, strict=True):
        measured[case.name][client.name] = each
    return measured


def _measure(plan: Plan, runner: Runner, case: Case, client: Client) -> dict[str, Any]:
    if reason := runner.can_run(client):
        return {"not_run": reason}
    count = case.rows * plan.fault_scale
    if client is HTTP_OPERATOR:
        if case.is_killed:
            return {
                "not_run": "dag.test() keeps nothing to go on from; under a scheduler each row is a task of its own"
            }
        count = HTTP_OPERATOR_ROWS
    rows = write_rows(runner.new("rows").with_suffix(".csv"), 1, count, case.bad_every)
    home, state = runner.new("home"), runner.new("state")
    arguments = (*_settling(client), *unlimited(client), *(journal(state) if client.is_provider else ()))
    with Lofty(**case.settings(count)) as lofty:
        if case.is_killed:
            with runner.start(client, lofty, rows, *arguments, home=home) as running:
                _kill_half_way(running, lofty, count)
            if case.is_disk_gone:
                shutil.rmtree(home)
            arguments += ("--try-number", 2) if client.is_provider else ()
        with runner.start(client, lofty, rows, *arguments, home=home) as running:
            ended = running.wait(MOST_SECONDS)
        return _counted(count, lofty.ask("record"), ended)


def _settling(client: Client) -> tuple[Any, ...]:
    return ("--timeout", TIMEOUT_SECONDS, "--settle", SETTLE_SECONDS) if client.is_provider else ()


def _kill_half_way(running: Running, lofty: Lofty, rows: int) -> None:
    while lofty.ask("count")["stored"] < rows // 2 and not running.poll():
        time.sleep(0.001)
    running.kill()


def _counted(rows: int, record: dict[str, Any], ended: Ended) -> dict[str, Any]:
    missing = rows - record["distinct"]
    silent = _silently_lost(missing, record["distinct"], ended)
    return {
        "rows": rows,
        "delivered": record["distinct"],
        "duplicates": record["stored"] - record["distinct"],
        "told": missing - silent,
        "silent": silent,
        "green": ended.is_green,
        "finished": ended.status is not None,
        "seconds": ended.seconds,
    }


def _silently_lost(missing: int, stored: int, ended: Ended) -> int:
    """A red run has said that something is missing, but for what it calls delivered and is not."""
    if ended.is_green:
        return max(missing - (ended.failed or 0), 0)
    return max((ended.delivered or 0) - stored, 0)
