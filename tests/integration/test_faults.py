"""Every fault of the practice Lofty, rare and frequent, alone and mixed, with and without lag: once, or accounted for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from support.practice import Run, Store, row, run, task_instance

from airflow_provider_lofty.exceptions import LoftyRowsFailed
from airflow_provider_lofty.sandbox import FAULTS, Sandbox

pytestmark = pytest.mark.once

ROWS = 80
ROW_LIST = [row(1 + n % 30, text=f"event {n}", created=1763290000123 + n) for n in range(ROWS)]
DOUBTFUL = sorted(set(FAULTS) - {"refused", "error_in_200"})
MIXED = {name: 1 / len(DOUBTFUL) for name in DOUBTFUL}
SETTLE_SECONDS = 0.4


@pytest.fixture(autouse=True)
def connected(lofty: Sandbox, connect: Any) -> None:
    connect(lofty, extra={"settle_seconds": SETTLE_SECONDS})
    lofty.change(
        window_seconds=0.05,
        rate_reset_reading="epoch_milliseconds",
        slow_seconds=0.5,
        late_seconds=2.5 * SETTLE_SECONDS,
        requests_per_minute=10**7,
    )


def arrived(lofty: Sandbox) -> Counter[str]:
    return Counter(activity.body["text"] for activity in lofty.activities)


def until_done(**arguments: Any) -> Run:
    """Run as Airflow would: again while the error is one that is retried."""
    store = Store()
    for try_number in range(1, 6):
        ended = run(task_instance(try_number=try_number, max_tries=5), store=store, rows=ROW_LIST, **arguments)
        if ended.error is None or isinstance(ended.error, LoftyRowsFailed):
            break
    return ended


@pytest.mark.parametrize("lag", [0.0, SETTLE_SECONDS / 2], ids=["", "lag"])
@pytest.mark.parametrize("rate", [0.05, 0.3], ids=["rare", "frequent"])
@pytest.mark.parametrize("fault", [*DOUBTFUL, "mixed"])
def test_every_row_arrives_once(lofty: Sandbox, connect: Any, fault: str, rate: float, lag: float) -> None:
    connect(lofty, extra={"timeout_seconds": 0.3, "settle_seconds": SETTLE_SECONDS})  # shorter than a slow answer takes
    faults = {name: share * rate for name, share in MIXED.items()} if fault == "mixed" else {fault: rate}
    lofty.change(faults=faults, read_lag_seconds=lag)
    ended = until_done()
    there = arrived(lofty)
    assert set(there.values()) == {1}
    # Proven three times not to be stored, or nothing was delivered after the last send that could prove it.
    given_up = ended.counts.get("rejected", 0) + ended.counts.get("unknown", 0)
    assert ROWS - len(there) <= given_up <= (ROWS * rate**3 * 2 + 2 if rate > 0.1 else 1)
    assert ended.counts.get("delivered", 0) + ended.counts.get("already_delivered", 0) == ROWS - given_up


@pytest.mark.parametrize(
    "broken",
    [
        {"trims_text": True},
        {"truncates_created_to_seconds": True},
        {"read_back_status": 404},
        {"read_back_status": 403},
        {"read_back_status": 500},
        {"read_lag_seconds": 3600.0},
    ],
    ids=lambda broken: "_".join(map(str, *broken.items())),
)
def test_where_an_assumption_does_not_hold_rows_are_unknown_and_never_sent_again(
    lofty: Sandbox, broken: dict[str, Any]
) -> None:
    lofty.change(faults={"drop_before_storing": 0.05, "drop_after_storing": 0.05}, **broken)
    rows = [{**each, "text": f" {each['text']} "} for each in ROW_LIST]
    ended = run(rows=rows)
    assert set(arrived(lofty).values()) == {1}
    assert set(ended.counts) == {"delivered", "unknown"}
    posts = Counter(request.body for request in lofty.requests if request.method == "POST" and request.status != 429)
    assert set(posts.values()) == {1}
    assert len(posts) == ROWS


def test_a_lag_that_is_longer_than_thought_is_waited_for(lofty: Sandbox) -> None:
    lofty.change(faults={"drop_before_storing": 0.05, "drop_after_storing": 0.05}, read_lag_seconds=SETTLE_SECONDS * 3)
    ended = run(rows=ROW_LIST)
    assert (ended.error, ended.counts) == (None, {"delivered": ROWS})
    assert set(arrived(lofty).values()) == {1}


def test_a_server_that_stores_twice_makes_nothing_worse(lofty: Sandbox) -> None:
    lofty.change(faults={"drop_before_storing": 0.05}, stores_twice=True)
    ended = run(rows=ROW_LIST)
    assert set(arrived(lofty).values()) == {2}
    assert set(ended.counts) <= {"delivered", "unknown"}


def test_report_never_sends_again(lofty: Sandbox) -> None:
    lofty.change(faults={"drop_before_storing": 0.1, "drop_after_storing": 0.1})
    ended = run(rows=ROW_LIST, on_unknown="report")
    assert len([request for request in lofty.requests if request.method == "POST"]) == ROWS
    assert ended.counts == {"delivered": len(arrived(lofty)), "unknown": ROWS - len(arrived(lofty))}


def test_resend_and_assume_delivered_are_ways_out_when_clearing(lofty: Sandbox, connect: Any) -> None:
    connect(lofty, extra={"settle_seconds": SETTLE_SECONDS, "max_in_flight": 1})
    lofty.change(scripted_faults=[None, "drop_before_storing"], read_back_status=403)
    stores = Store(), Store()
    for store, name in zip(stores, ("one", "two"), strict=True):
        lofty.change(scripted_faults=[None, "drop_before_storing"])
        rows = [row(n, text=name) for n in (1, 2, 3)]
        assert run(store=store, rows=rows).counts == {"delivered": 2, "unknown": 1}
    cleared = task_instance(try_number=2, max_tries=1)
    lofty.change(scripted_faults=[])
    again = run(cleared, store=stores[0], rows=[row(n, text="one") for n in (1, 2, 3)], on_unknown="resend")
    assert (again.error, again.counts) == (None, {"already_delivered": 2, "delivered": 1})
    assumed = run(cleared, store=stores[1], rows=[row(n, text="two") for n in (1, 2, 3)], on_unknown="assume_delivered")
    assert (assumed.error, assumed.counts) == (None, {"already_delivered": 3})
    assert arrived(lofty) == {"one": 3, "two": 2}
