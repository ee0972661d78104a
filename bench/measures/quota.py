"""Share of the quota that is used, against latency."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from bench.contenders import POOL_8, POOL_16, PROVIDER, RETRYING_LOOP, journal
from bench.lofty import Lofty
from bench.plan import Plan
from bench.processes import Client, Runner, Running
from bench.rows import write_rows

CLIENTS = (PROVIDER, RETRYING_LOOP, POOL_8, POOL_16)
WARM_UP_WINDOWS = 2
START_SECONDS = 30.0


def measure(plan: Plan, runner: Runner) -> dict[str, Any]:
    """
    Run each client at each latency, all at once, each against a Lofty of its own.

    :return: latency in ms → client → ``used`` and ``refused``, both shares
    """
    windows = WARM_UP_WINDOWS + plan.quota_windows
    # More than any client can deliver: all of them still send when the last window ends.
    rows = write_rows(runner.folder / "quota.csv", 1, plan.requests_in(plan.window_seconds) * (windows + 3))
    measured: dict[str, Any] = {}
    with ExitStack() as stack:
        started: list[tuple[str, Client, Lofty, Running]] = []
        for latency in plan.quota_latencies:
            for client in CLIENTS:
                if reason := runner.can_run(client):
                    measured.setdefault(_label(latency), {})[client.name] = {"not_run": reason}
                    continue
                lofty = stack.enter_context(_lofty(plan, latency))
                state = journal(runner.new("state")) if client.is_provider else ()
                running = stack.enter_context(runner.start(client, lofty, rows, *state))
                started.append((_label(latency), client, lofty, running))
        _wait([lofty for _, _, lofty, _ in started], windows * plan.window_seconds)
        for label, client, lofty, running in started:
            measured.setdefault(label, {})[client.name] = _shares(plan, lofty.ask("times"))
            running.kill()
    return measured


def _label(latency: float) -> str:
    return f"{latency * 1000:g}"


def _lofty(plan: Plan, latency: float) -> Lofty:
    return Lofty(
        requests_per_minute=plan.requests_per_minute, window_seconds=plan.window_seconds, latency_seconds=latency
    )


def _wait(lofties: Sequence[Lofty], seconds: float) -> None:
    """Wait until so much time has passed since the first request to each."""
    deadline = time.monotonic() + seconds + START_SECONDS
    while time.monotonic() < deadline and any(lofty.ask("age")["seconds"] < seconds for lofty in lofties):
        time.sleep(0.5)


def _shares(plan: Plan, times: dict[str, list[float]]) -> dict[str, float]:
    """What was stored, of what could have been; what was refused, of what was asked."""
    first = WARM_UP_WINDOWS * plan.window_seconds
    last = first + plan.quota_windows * plan.window_seconds
    stored, refused = (sum(first <= at < last for at in times[kind]) for kind in ("stored", "refused"))
    return {
        "used": stored / (plan.requests_in(plan.window_seconds) * plan.quota_windows),
        "refused": refused / max(stored + refused, 1),
    }
