"""Requests that are wasted and rows that are lost when several processes share one limit."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bench.contenders import DLT, DRT, POOL_8, PROVIDER, RETRYING_LOOP, journal
from bench.lofty import Lofty
from bench.plan import Plan
from bench.processes import Client, Ended, Runner, Running, at_once
from bench.rows import write_rows

CLIENTS = (PROVIDER, RETRYING_LOOP, POOL_8, DLT, DRT)
LATENCY_SECONDS = 0.05
MOST_SECONDS = 240.0
AT_ONCE = 2


@dataclass(frozen=True)
class Case:
    """
    Some processes that share one limit.

    :param workers: how many
    :param window_seconds: how long a window lasts
    :param window_rows: what the limit allows in a window
    :param share: rows of each process
    """

    workers: int
    window_seconds: float
    window_rows: int
    share: int

    @property
    def rows(self) -> int:
        """Of all processes."""
        return self.workers * self.share

    @property
    def least_seconds(self) -> float:
        """The least time: what the first window allows may go at once, so one window less must pass."""
        return (self.rows / self.window_rows - 1) * self.window_seconds

    @property
    def even_pace(self) -> float:
        """What an even pace takes, as a multiple of the least time."""
        windows = self.rows / self.window_rows
        return windows / (windows - 1)


def cases(plan: Plan) -> list[Case]:
    """Give the cases of a plan."""
    return [_case(plan, workers, window_seconds) for workers, window_seconds in plan.waste_cases]


def measure(plan: Plan, runner: Runner) -> dict[str, Any]:
    """
    Share rows out to some processes of each kind, each kind against a Lofty of its own, all kinds at once.

    :return: case → client → ``refused`` (share of requests), ``lost`` (share of rows), ``slowness`` (how many times
        the least time that the limit allows it took; None when rows were lost), and of the processes the ``workers``,
        the ``green`` and the ``unfinished`` ones
    """
    for client in CLIENTS:
        runner.can_run(client)  # make its environment now, once
    # The long one first, so that the others run beside it: they wait most of the time.
    longest_first = sorted(cases(plan), key=lambda case: -case.least_seconds)
    found = at_once(lambda case: _measure(plan, runner, case), longest_first, AT_ONCE)
    measured = dict(zip(longest_first, found, strict=True))
    return {f"{case.workers} × {case.window_seconds:g} s": measured[case] for case in cases(plan)}


def _case(plan: Plan, workers: int, window_seconds: float) -> Case:
    window_rows = plan.requests_in(window_seconds)
    return Case(workers, window_seconds, window_rows, window_rows * plan.waste_windows[window_seconds] // workers)


def _measure(plan: Plan, runner: Runner, case: Case) -> dict[str, Any]:
    measured: dict[str, Any] = {}
    started: list[tuple[Client, Lofty, list[Running]]] = []
    with ExitStack() as stack:
        for client in CLIENTS:
            if reason := runner.can_run(client):
                measured[client.name] = {"not_run": reason}
                continue
            lofty = stack.enter_context(
                Lofty(
                    requests_per_minute=plan.requests_per_minute,
                    window_seconds=case.window_seconds,
                    latency_seconds=LATENCY_SECONDS,
                )
            )
            workers = [_start(plan, runner, case, client, lofty, number) for number in range(case.workers)]
            started.append((client, lofty, [stack.enter_context(worker) for worker in workers]))
        for client, lofty, running in started:
            ended = [each.wait(MOST_SECONDS) for each in running]
            measured[client.name] = _shares(case, lofty.ask("record"), ended)
    return measured


def _start(plan: Plan, runner: Runner, case: Case, client: Client, lofty: Lofty, number: int) -> Running:
    rows = write_rows(runner.new("rows").with_suffix(".csv"), number * case.share + 1, (number + 1) * case.share)
    arguments: tuple[Any, ...] = ()
    if client.is_provider:
        arguments = journal(runner.new("state"))
    if client is DRT:
        arguments = ("--per-second", plan.requests_per_minute / 60)
    return runner.start(client, lofty, rows, *arguments)


def _shares(case: Case, record: dict[str, Any], ended: list[Ended]) -> dict[str, Any]:
    return {
        "refused": record["refused"] / max(record["requests"], 1),
        "lost": (case.rows - record["distinct"]) / case.rows,
        "slowness": record["seconds"] / case.least_seconds if record["distinct"] == case.rows else None,
        "workers": case.workers,
        "green": sum(each.is_green for each in ended),
        "unfinished": sum(each.status is None for each in ended),
    }
