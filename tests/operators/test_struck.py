"""Airflow's time-out is raised by a signal handler, between any two lines: no row sent is ever forgotten."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.practice import Store, read_report, row, run, task_instance

from airflow_provider_lofty.delivery import delivery
from airflow_provider_lofty.sandbox import Sandbox

pytestmark = pytest.mark.once

ROWS = [row(1 + n % 4, text=f"event {n}", created=1763290000000 + n) for n in range(10)]
FAULTS = [None, None, "drop_after_storing", None, "refused", None, "drop_before_storing"]
FILES = {
    "backlog.py", "breaker.py", "controls.py", "delivery.py", "precheck.py", "progress.py", "reconcile.py", "recorder.py",
    "settling.py", "spool.py", "verdicts.py", "workers.py",
}  # fmt: skip
STRIKES = 40


class Struck(BaseException):
    """As Airflow's own ``AirflowTaskTimeout``."""


class Strike:
    """
    Strikes the main thread when it comes to a line of what sends rows.

    :ivar lines: how many lines were passed
    """

    def __init__(self, at: int) -> None:
        self._at = at
        self.lines = 0

    def trace_hash(self, frame: Any, event: str, _: Any) -> Any:
        """Be called by the interpreter before every line."""
        if Path(frame.f_code.co_filename).name not in FILES:
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self._at:
                raise Struck
        return self.trace_hash

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Watch this thread for so long."""
        before = sys.gettrace()
        sys.settrace(self.trace_hash)
        try:
            yield
        finally:
            sys.settrace(before)


@pytest.fixture(autouse=True)
def connected(lofty: Sandbox, connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(lofty, extra={"timeout_seconds": 0.5, "settle_seconds": 0.2, "max_in_flight": 3})
    monkeypatch.setattr(delivery, "LAST_ANSWERS_SECONDS", 0.2)


def arrived(lofty: Sandbox) -> Counter[str]:
    return Counter(activity.body["text"] for activity in lofty.activities)


def send(monkeypatch: pytest.MonkeyPatch, strike: Strike, **arguments: Any) -> None:
    """Run once; the strike is armed while rows are sent, not while they are read and reported."""
    sends = delivery.Delivery.run

    def run_armed(self: delivery.Delivery) -> Any:
        with strike.armed():
            return sends(self)

    with monkeypatch.context() as patch:
        patch.setattr(delivery.Delivery, "run", run_armed)
        run(task_instance(), rows=ROWS, **arguments)


def lines_of_a_run(lofty: Sandbox, monkeypatch: pytest.MonkeyPatch) -> int:
    lofty.change(scripted_faults=FAULTS)
    unarmed = Strike(-1)
    send(monkeypatch, unarmed, store=Store())
    return unarmed.lines


def test_whenever_it_strikes_rows_are_accounted_for_and_arrive_once(
    lofty: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = lines_of_a_run(lofty, monkeypatch)
    struck = number = 0
    while struck < STRIKES:
        number += 1
        assert number < 5 * STRIKES, f"of {number} runs, {struck} were struck"
        lofty.reset()
        lofty.change(scripted_faults=FAULTS)
        store, report = Store(), str(tmp_path / f"{number}.csv")
        strike = Strike(1 + lines * struck // STRIKES)
        try:
            send(monkeypatch, strike, store=store, report_path=report)
            lines = strike.lines  # waiting passes lines, so that no two runs are equally long
        except Struck:
            struck += 1
        sent = arrived(lofty)
        told = {line["text"] for line in read_report(report) if line["lofty_outcome"] in ("delivered", "unknown")}
        assert set(sent) <= told, f"run {number}"
        lofty.change(scripted_faults=[])
        later = run(task_instance(try_number=2, max_tries=1), store=store, rows=ROWS)
        assert set(arrived(lofty).values()) == {1}, f"run {number}"
        there = later.counts.get("delivered", 0) + later.counts.get("already_delivered", 0)
        assert there == len(arrived(lofty)) == len(ROWS) - later.counts.get("unknown", 0), f"run {number}"
