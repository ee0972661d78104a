"""When the next request may go. Time is simulated: no test waits."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st
from support.rate_model import Clock, Server, simulate

from airflow_provider_lofty.lofty.pacing import START_REQUESTS_PER_MINUTE, Pacer

TOLD = ("milliseconds", "seconds", "seconds, rounded down", "epoch seconds", "epoch milliseconds")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def no_chance() -> float:
    return 0.0


def answer(pacer: Pacer, *, refused: bool = False, **headers: str) -> None:
    """Make a request that is answered at once."""
    named = {f"x-ratelimit-{name}": value for name, value in headers.items()}
    pacer.ended(pacer.begin(), named, 0.0, is_refused=refused)


class TestTurns:
    def test_requests_leave_evenly_spaced(self, clock: Clock) -> None:
        pacer = Pacer(120, clock)
        assert [pacer.reserve() for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]

    def test_turns_that_were_not_taken_are_lost_so_that_there_is_no_burst(self, clock: Clock) -> None:
        pacer = Pacer(60, clock)
        pacer.reserve()
        clock.now += 600
        assert [pacer.reserve() for _ in range(3)] == [0.0, 1.0, 2.0]

    def test_where_it_begins_is_no_cap_and_a_cap_binds(self, clock: Clock) -> None:
        slow, capped = Pacer(None, clock, first=30), Pacer(100, clock, first=500)
        assert (slow.requests_per_minute, capped.requests_per_minute) == (30, 100)
        for _ in range(40):
            clock.now += max(slow.reserve(), 0.0)
            answer(slow)
        assert slow.requests_per_minute > 60

    def test_without_a_cap_it_starts_at_sixty_a_minute(self, clock: Clock) -> None:
        pacer = Pacer(None, clock)
        assert pacer.requests_per_minute == START_REQUESTS_PER_MINUTE == 60
        assert [pacer.reserve(), pacer.reserve()] == [0.0, 1.0]

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
        st.lists(
            st.tuples(
                st.floats(0, 5), st.sampled_from(["20", "60", "600", "x"]), st.integers(0, 600), st.integers(0, 60_000),
                st.booleans(),
            ),
            max_size=30,
        )
    )  # fmt: skip
    def test_nothing_that_lofty_says_makes_it_faster_than_the_cap(
        self, steps: list[tuple[float, str, int, int, bool]]
    ) -> None:
        clock = Clock()
        pacer = Pacer(100, clock)
        turns = []
        for passed, limit, remaining, reset, refused in steps:
            clock.now += passed
            turns.append(clock.now + pacer.reserve())
            answer(pacer, limit=limit, remaining=str(remaining), reset=str(reset), refused=refused)
        assert all(later - earlier >= 60 / 100 - 1e-6 for earlier, later in pairwise(turns))

    def test_turns_that_are_given_back_take_nothing_of_the_quota(self, clock: Clock) -> None:
        pacer = Pacer(None, clock, chance=no_chance)
        sent = [0] * 6
        for turn in range(10**6):
            clock.now += max(pacer.delay(), 0.0)
            window = int(clock.now // 60)
            if window == len(sent):
                break
            pacer.reserve()
            if turn % 2:
                pacer.give_back()
                continue
            sent[window] += 1
            left = str(round(60_000 - clock.now % 60 * 1000))
            answer(pacer, limit="100", remaining=str(100 - sent[window]), reset=left)
        assert min(sent[1:]) >= 45


class TestLimits:
    def test_a_guess_holds_until_lofty_names_the_limit(self, clock: Clock) -> None:
        pacer = Pacer(None, clock)
        pacer.guess(600)
        assert (pacer.requests_per_minute, pacer.knows_limit) == (600, False)
        answer(pacer, limit="20", remaining="19", reset="60000")
        pacer.guess(600)
        assert pacer.knows_limit
        assert pacer.requests_per_minute < 30

    def test_what_a_pacer_learned_is_of_no_account_once_lofty_names_its_limit(self, clock: Clock) -> None:
        pacer = Pacer(None, clock)
        pacer.recall(7)
        assert (pacer.learned_limit, pacer.requests_per_minute < 7) == (7, True)
        answer(pacer, limit="100", remaining="99", reset="60000")
        assert (pacer.learned_limit, pacer.limit, pacer.requests_per_minute > 50) == (None, 100, True)

    def test_a_guess_does_not_lift_the_pace_above_the_cap(self, clock: Clock) -> None:
        pacer = Pacer(30, clock)
        pacer.guess(600)
        assert pacer.requests_per_minute == 30

    def test_a_guess_never_slows_it_down(self, clock: Clock) -> None:
        pacer = Pacer(None, clock)
        pacer.guess(7)
        assert pacer.requests_per_minute == 60

    @pytest.mark.parametrize("value", ["", "0", "-5", "0.5", "nan", "inf", "1e10", "many", "9" * 5000, "20, 20"])
    def test_a_limit_that_makes_no_sense_is_ignored(self, clock: Clock, value: str) -> None:
        pacer = Pacer(None, clock)
        answer(pacer, limit=value, remaining="1", reset="60000")
        assert not pacer.knows_limit

    def test_a_limit_beyond_reach_does_not_count(self, clock: Clock) -> None:
        pacer = Pacer(None, clock)
        answer(pacer, limit="10000000", remaining="9999999", reset="60000")
        assert pacer.requests_per_minute > 100_000

    def test_after_a_refusal_nothing_goes_until_the_window_turns(self, clock: Clock) -> None:
        pacer = Pacer(6000, clock, chance=no_chance)
        pacer.reserve()
        answer(pacer, limit="100", remaining="0", reset="21000", refused=True)
        assert pacer.delay() >= 21

    def test_refusals_that_say_zero_are_not_answered_with_a_storm(self, clock: Clock) -> None:
        pacer = Pacer(6000, clock, chance=no_chance)
        waits = []
        for _ in range(5):
            clock.now += max(pacer.delay(), 0.0)
            pacer.reserve()
            clock.now += 0.01
            answer(pacer, limit="100", remaining="0", reset="0", refused=True)
            waits.append(pacer.delay())
        assert waits == sorted(waits)
        assert waits[0] >= 0.5
        assert waits[-1] >= 5

    @pytest.mark.parametrize(("asked", "least", "most"), [("30", 30, 50), ("86400", 300, 320), ("soon", 0, 30)])
    def test_what_a_gateway_asks_to_wait_is_waited(self, clock: Clock, asked: str, least: float, most: float) -> None:
        pacer = Pacer(None, clock)
        pacer.reserve()
        pacer.ended(pacer.begin(), {"retry-after": asked}, 0.0, is_refused=True)
        assert least <= pacer.delay() <= most


class TestQuota:
    """The whole quota and nothing but the quota, on servers that count and report in every way there is."""

    @pytest.mark.once
    @pytest.mark.no_cover
    @pytest.mark.parametrize("reading", TOLD)
    @pytest.mark.parametrize("latency", [0.05, 0.3, 1.0])
    @pytest.mark.parametrize("limit", [100, 500])
    @pytest.mark.parametrize("counts_after", [0.0, 0.5, 1.0])
    def test_one_worker_uses_all_of_it_and_is_not_refused(
        self, reading: str, latency: float, limit: int, counts_after: float
    ) -> None:
        outcome = simulate(Server(limit, latency=latency, reading=reading, counts_after=counts_after))
        assert outcome.steady_share >= 0.98
        # Where Reset is rounded down, the first turn is expected too early.
        assert [time for time in outcome.refused if time > 60] == []

    @pytest.mark.once
    @pytest.mark.no_cover
    @pytest.mark.parametrize("reading", TOLD)
    @pytest.mark.parametrize("limit", [100, 500])
    def test_a_window_of_another_length_is_learned(self, reading: str, limit: int) -> None:
        outcome = simulate(Server(limit, window=10.0, latency=0.05, reading=reading), windows=20)
        assert sum(outcome.accepted[4:]) / len(outcome.accepted[4:]) >= 0.98 * limit
        assert [time for time in outcome.refused if time > 40] == []

    @pytest.mark.once
    @pytest.mark.no_cover
    @pytest.mark.parametrize("reading", TOLD)
    @pytest.mark.parametrize("limit", [100, 500])
    @pytest.mark.parametrize("workers", [2, 6])
    def test_workers_that_know_nothing_of_each_other_share_it(self, reading: str, limit: int, workers: int) -> None:
        outcome = simulate(Server(limit, reading=reading), workers=workers)
        assert outcome.steady_share >= 0.95
        assert outcome.wasted <= 0.02

    @pytest.mark.parametrize("ahead", [300.0, -300.0])
    @pytest.mark.parametrize("reading", ["epoch seconds", "epoch milliseconds"])
    def test_a_clock_that_is_minutes_off_does_no_harm(self, reading: str, ahead: float) -> None:
        outcome = simulate(Server(100, reading=reading, clock_ahead=ahead))
        assert outcome.steady_share >= 0.98
        assert outcome.refused == []

    @pytest.mark.parametrize("reading", ["nonsense", "always now", "always past"])
    @pytest.mark.parametrize("limit", [100, 500])
    def test_a_reset_that_makes_no_sense_is_done_without(self, reading: str, limit: int) -> None:
        outcome = simulate(Server(limit, reading=reading), windows=20)
        assert outcome.steady_share >= 0.9
        assert outcome.wasted <= 0.02

    @pytest.mark.parametrize("workers", [1, 2, 3])
    def test_a_limit_alone_is_kept(self, workers: int) -> None:
        outcome = simulate(Server(100, reading="limit alone", latency=1.0), workers=workers, windows=20)
        assert outcome.steady_share >= (0.9 if workers == 1 else 0.5)
        assert outcome.wasted <= (0.02 if workers == 1 else 0.7)  # they cannot feel each other

    def test_a_remaining_that_is_always_zero_is_not_believed(self, clock: Clock) -> None:
        pacer = Pacer(None, clock)
        for _ in range(50):
            clock.now += max(pacer.delay(), 0.0)
            pacer.reserve()
            answer(pacer, limit="100", remaining="0", reset="30000")
        assert pacer.requests_per_minute >= 50

    def test_a_limit_that_is_lowered_is_followed_at_once(self) -> None:
        outcome = simulate(Server(500, latency=0.3, later=(130.0, 100)))
        assert outcome.accepted[3:] == pytest.approx([99] * 7, abs=1)
        assert len(outcome.refused) <= 5

    def test_a_server_that_dislikes_many_at_once_gets_fewer_at_once(self) -> None:
        outcome = simulate(Server(500, latency=1.0, most_at_once=4), windows=20)
        assert outcome.wasted <= 0.02
        assert outcome.steady_share >= 0.3  # four at once, a second each, are 228 a minute

    def test_a_cap_is_kept(self) -> None:
        outcome = simulate(Server(500), cap=100)
        assert max(outcome.accepted) <= 101
        assert min(outcome.accepted) >= 99
