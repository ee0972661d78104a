"""How far a run is: what is counted, what is logged, and what is left unsaid where it is unknown."""

from __future__ import annotations

import pytest
from support.desk import Clock
from support.practice import Log

from airflow_provider_lofty.delivery.progress import Progress, duration
from airflow_provider_lofty.log import PROGRESS_SECONDS


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> Log:
    return Log()


def test_rows_in_doubt_do_not_count_for_the_rate(clock: Clock, log: Log) -> None:
    progress = Progress(10, log, clock)
    progress.count("delivered", 6)
    clock.now += 31
    progress.in_doubt = 2
    assert progress.seconds_left == pytest.approx(2 * 31 / 6, rel=0.01)
    progress.count("delivered", 2)
    assert progress.seconds_left is None
    progress.report()
    assert log.lines == ["8 of 10 rows done (8 delivered), 15 rows/min, 2 in doubt, being read back"]


def test_rows_that_were_not_sent_count_for_no_rate(clock: Clock, log: Log) -> None:
    progress = Progress(3000, log, clock)
    progress.count("rejected", 2000, were_sent=False)
    progress.count("delivered", 100)
    clock.now += 31
    progress.report()
    assert progress.rows_per_minute == pytest.approx(100 * 60 / 31)
    assert progress.seconds_left == pytest.approx(900 * 31 / 100)


def test_a_row_that_has_another_outcome_now_is_counted_as_that(clock: Clock, log: Log) -> None:
    progress = Progress(2, log, clock)
    progress.count("rejected")
    progress.count("delivered", before="rejected")
    clock.now += PROGRESS_SECONDS
    progress.report()
    assert log.lines[0].startswith("1 of 2 rows done (1 delivered)")
    assert progress.left == 1


def test_it_is_logged_every_half_minute(clock: Clock, log: Log) -> None:
    progress = Progress(100, log, clock)
    for _ in range(int(2 * PROGRESS_SECONDS) + 1):
        progress.report()
        progress.count("delivered")
        clock.now += 1
    assert [line.split(" rows")[0] for line in log.lines] == ["30 of 100", "60 of 100"]


def test_before_the_first_row_no_time_is_promised(clock: Clock, log: Log) -> None:
    progress = Progress(3, log, clock)
    clock.now += PROGRESS_SECONDS
    progress.report()
    assert log.lines == ["0 of 3 rows done (none), 0 rows/min, no row done yet"]
    assert progress.seconds_left is None


def test_the_rate_is_that_of_the_last_minute(clock: Clock, log: Log) -> None:
    progress = Progress(10_000, log, clock)
    for second in range(300):
        progress.report()
        progress.count("delivered", 10 if second < 200 else 1)
        clock.now += 1
    assert progress.rows_per_minute == pytest.approx(60, rel=0.05)
    assert progress.left == 10_000 - 2_100
    assert progress.seconds_left == pytest.approx(progress.left, rel=0.05)


def test_rows_that_earlier_tries_left_in_doubt_are_added(clock: Clock, log: Log) -> None:
    progress = Progress(3, log, clock)
    progress.total += 2
    progress.count("unknown")
    assert (progress.done, progress.left) == (1, 4)


@pytest.mark.parametrize(
    ("knows_limit", "said"),
    [
        (True, "120 rows to send at 60 requests/min: about 2 min"),
        (False, "120 rows to send at 60 requests/min, until Lofty names its limit: about 2 min"),
    ],
)
def test_the_plan_says_how_long_it_takes(clock: Clock, log: Log, knows_limit: bool, said: str) -> None:
    Progress(120, log, clock).plan(60, knows_limit, seconds_allowed=121, settling_seconds=1)
    assert log.lines == [said]


def test_the_plan_warns_when_there_is_no_time_to_settle_what_is_lost(clock: Clock, log: Log) -> None:
    Progress(120, log, clock).plan(60, knows_limit=True, seconds_allowed=420, settling_seconds=600)
    assert "up to 10 min" in log.lines[1]
    assert "execution_timeout leaves 7 min: make it longer by 300 s" in log.lines[1]


def test_the_plan_warns_when_the_time_will_not_do(clock: Clock, log: Log) -> None:
    Progress(120, log, clock).plan(60, knows_limit=True, seconds_allowed=60, settling_seconds=1)
    assert "execution_timeout leaves 60 s" in log.lines[1]


@pytest.mark.parametrize("seconds_allowed", [60, 420])
@pytest.mark.parametrize("may_retry", [True, False])
def test_the_plan_leaves_nothing_to_a_retry_that_will_not_be(
    clock: Clock, log: Log, seconds_allowed: float, may_retry: bool
) -> None:
    plan = Progress(120, log, clock).plan
    plan(60, knows_limit=True, seconds_allowed=seconds_allowed, settling_seconds=600, may_retry=may_retry)
    assert ("no retry left" in log.lines[1]) is not may_retry


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (99, "99 s"), (100, "2 min"), (5940, "99 min"), (6000, "1 h 40 min")]
)
def test_durations_are_written_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words
