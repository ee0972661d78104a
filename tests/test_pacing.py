"""When the next request may go. The clock is an argument: no test waits."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from airflow_provider_lofty.pacing import START_REQUESTS_PER_MINUTE, WINDOW_SECONDS, Pacer, seconds_until_reset

NOW = 1_714_557_600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestReset:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("21000", 21.0),
            ("121", 0.121),
            ("120", 60.0),
            ("60", 60.0),
            ("59", 59.0),
            ("1", 1.0),
            ("0", 0.0),
            ("0.5", 0.5),
            (" 30 ", 30.0),
            ("999999999", 60.0),
            (f"{NOW + 30:.0f}", 30.0),
            (f"{NOW - 30:.0f}", 0.0),
            (f"{NOW + 3600:.0f}", 60.0),
            ("1000000000", 0.0),
            (f"{(NOW + 30) * 1000:.0f}", 30.0),
            (f"{(NOW - 30) * 1000:.0f}", 0.0),
            (f"{(NOW + 3600) * 1000:.0f}", 60.0),
            ("1000000000000", 0.0),
        ],
    )
    def test_every_reading_of_the_header(self, value: str, seconds: float) -> None:
        assert seconds_until_reset(value, NOW) == pytest.approx(seconds)

    @pytest.mark.parametrize(
        "value", [None, "", " ", "soon", "-1", "nan", "inf", "-inf", "1e400", "1e15", "9" * 5000, "12,5", "0x10", "1 2"]
    )
    def test_missing_or_unreadable_means_a_whole_window(self, value: str | None) -> None:
        assert seconds_until_reset(value, NOW) == WINDOW_SECONDS

    @given(value=st.text() | st.floats().map(str) | st.integers().map(str))
    def test_whatever_it_holds_the_wait_is_0_to_60_seconds(self, value: str) -> None:
        assert 0 <= seconds_until_reset(value, NOW) <= WINDOW_SECONDS


class TestPacer:
    def test_requests_leave_evenly_spaced(self, clock: Clock) -> None:
        pacer = Pacer(120, clock)
        assert [pacer.reserve() for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]

    def test_turns_that_nobody_took_are_lost_so_that_there_is_no_burst(self, clock: Clock) -> None:
        pacer = Pacer(60, clock)
        pacer.reserve()
        clock.now += 600
        assert [pacer.reserve() for _ in range(3)] == [0.0, 1.0, 2.0]

    def test_without_a_cap_it_starts_at_sixty_a_minute(self, clock: Clock) -> None:
        pacer = Pacer(None, clock)
        assert pacer.requests_per_minute == START_REQUESTS_PER_MINUTE == 60
        assert [pacer.reserve(), pacer.reserve()] == [0.0, 1.0]

    def test_without_a_cap_it_follows_the_limit_that_lofty_names(self, clock: Clock) -> None:
        pacer = Pacer(None, clock)
        pacer.observe({"x-ratelimit-limit": "600"})
        assert [pacer.reserve(), pacer.reserve()] == pytest.approx([0.0, 0.1])
        pacer.observe({"x-ratelimit-limit": "20"})
        assert pacer.requests_per_minute == 20

    @pytest.mark.parametrize(("limit", "pace"), [("600", 30), ("20", 20)])
    def test_the_limit_never_lifts_the_pace_above_the_cap(self, clock: Clock, limit: str, pace: float) -> None:
        pacer = Pacer(30, clock)
        pacer.observe({"x-ratelimit-limit": limit})
        assert pacer.requests_per_minute == pace

    @pytest.mark.parametrize("value", ["", "0", "-5", "0.5", "nan", "inf", "1e7", "many", "9" * 5000, "20, 20"])
    def test_a_limit_that_makes_no_sense_is_ignored(self, clock: Clock, value: str) -> None:
        pacer = Pacer(None, clock)
        pacer.observe({"x-ratelimit-limit": value})
        pacer.observe({})
        assert pacer.requests_per_minute == START_REQUESTS_PER_MINUTE

    def test_after_a_hold_nothing_goes_until_it_is_over(self, clock: Clock) -> None:
        pacer = Pacer(60, clock)
        pacer.hold(21)
        assert pacer.delay() == 21
        assert [pacer.reserve(), pacer.reserve()] == [21, 22]

    def test_a_shorter_hold_does_not_shorten_a_longer_one(self, clock: Clock) -> None:
        pacer = Pacer(60, clock)
        pacer.hold(21)
        pacer.hold(1)
        assert pacer.delay() == 21

    def test_asking_for_the_delay_takes_no_turn(self, clock: Clock) -> None:
        pacer = Pacer(60, clock)
        assert [pacer.delay(), pacer.delay(), pacer.reserve(), pacer.delay()] == [0, 0, 0, 1]

    def test_threads_never_get_the_same_turn(self, clock: Clock) -> None:
        pacer = Pacer(60, clock)
        turns: list[float] = []
        threads = [threading.Thread(target=lambda: turns.extend(pacer.reserve() for _ in range(200))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(turns) == [float(turn) for turn in range(1600)]

    @given(
        st.lists(st.tuples(st.floats(0, 5), st.sampled_from(["20", "60", "600", "x"]), st.floats(0, 60)), max_size=30)
    )
    def test_no_minute_holds_more_than_the_fastest_pace_in_force(self, steps: list[tuple[float, str, float]]) -> None:
        clock = Clock()
        pacer = Pacer(100, clock)
        turns = []
        for passed, limit, held in steps:
            clock.now += passed
            pacer.observe({"x-ratelimit-limit": limit})
            if held > 55:
                pacer.hold(held)
            turns.append(clock.now + pacer.reserve())
        assert all(later - earlier >= 60 / 100 - 1e-6 for earlier, later in pairwise(turns))
