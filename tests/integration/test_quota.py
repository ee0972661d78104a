"""The operator against a real server's limit, whatever it is like: every row arrives, and little is refused."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from support.practice import Run, row, run, task_instance

from airflow_provider_lofty.sandbox import Sandbox

pytestmark = pytest.mark.once

ROWS = [row(1 + n % 30, text=f"event {n}", created=1763290000000 + n) for n in range(110)]
WINDOW = {"requests_per_minute": 1500, "window_seconds": 2.0}  # 50 in 2 s


@pytest.fixture(autouse=True)
def connected(lofty: Sandbox, connect: Any) -> None:
    connect(lofty, extra={"requests_per_minute": None, "timeout_seconds": 2, "settle_seconds": 0.3})


def refused(lofty: Sandbox) -> int:
    return len([request for request in lofty.requests if request.status in (400, 429)])


def arrived(lofty: Sandbox) -> Counter[str]:
    return Counter(activity.body["text"] for activity in lofty.activities)


@pytest.mark.parametrize(
    ("server", "most_refused"),
    [
        ({"rate_reset_reading": "milliseconds_left", "latency_seconds": 0.1}, 9),
        ({"rate_reset_reading": "seconds_left"}, 9),
        ({"rate_reset_reading": "epoch_seconds", "clock_offset_seconds": 300.0}, 9),
        ({"rate_reset_reading": "epoch_milliseconds", "clock_offset_seconds": -300.0}, 9),
        ({"rate_reset_reading": "nonsense"}, 60),
        ({"max_concurrent": 4, "latency_seconds": 0.5}, 20),
        ({"rate_refusal_status": 400}, 9),
    ],
    ids=lambda value: "_".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_every_row_arrives_whatever_the_server_is_like(
    lofty: Sandbox, server: dict[str, Any], most_refused: int
) -> None:
    lofty.change(**WINDOW, **server)
    ended = run(rows=ROWS)
    assert (ended.error, ended.counts) == (None, {"delivered": len(ROWS)})
    assert set(arrived(lofty).values()) == {1}
    assert refused(lofty) <= most_refused
    assert ended.summary["throttled"] == refused(lofty)


def test_a_limit_that_is_lowered_while_rows_are_sent(lofty: Sandbox) -> None:
    lofty.change(**WINDOW)
    lowering = threading.Timer(4.0, lambda: lofty.change(requests_per_minute=600))
    lowering.start()
    ended = run(rows=ROWS)
    lowering.join()
    assert (ended.error, ended.counts) == (None, {"delivered": len(ROWS)})
    assert refused(lofty) <= 20


def test_reading_back_with_a_lower_limit_holds_no_row_up(lofty: Sandbox) -> None:
    lofty.change(**WINDOW, read_requests_per_minute=120, faults={"drop_after_storing": 0.05})
    ended = run(rows=ROWS)
    assert (ended.error, ended.counts) == (None, {"delivered": len(ROWS)})
    assert set(arrived(lofty).values()) == {1}


def test_runs_that_know_nothing_of_each_other_share_the_quota(lofty: Sandbox) -> None:
    lofty.change(**WINDOW)
    ended: list[Run] = []

    def one(part: int) -> None:
        ended.append(run(task_instance(run_id=f"part {part}"), rows=ROWS[part:90:3]))

    threads = [threading.Thread(target=one, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.counts for each in ended] == [{"delivered": 30}] * 3
    assert len(arrived(lofty)) == 90
    assert refused(lofty) <= 9
