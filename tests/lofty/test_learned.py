"""The limit that a server does not state. Time is simulated: no test waits."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import pytest
from support.rate_model import Clock, Outcome, Server, Simulation, simulate

from airflow_provider_lofty.lofty.learned import MOST_WITHOUT_HEADERS, LearnedLimit
from airflow_provider_lofty.lofty.pacing import Pacer

FIXED = [{"counts": "fixed", "phase": phase} for phase in (0.0, 31.0, 50.0)]
SLIDING = {"counts": "sliding"}
BUCKETS = [{"counts": "bucket"}, {"counts": "bucket", "burst": 10}]
SMALL_BURSTS = {"counts": "bucket", "burst": 5}
SERVERS = [*FIXED, SLIDING, *BUCKETS]
KINDS = [FIXED[1], SLIDING, BUCKETS[0], SMALL_BURSTS]


def silent(limit: int, *, windows: int = 12, workers: int = 1, seed: int = 1, **server: object) -> Outcome:
    """Send to a server without rate headers."""
    model = Server(limit, reading=None, **server)  # type: ignore[arg-type]
    return simulate(model, windows=windows, workers=workers, seed=seed)


def spread(outcomes: list[Outcome]) -> float:
    """How unlike the shares of six are: the standard deviation of their logarithms."""
    shares: list[float] = []
    for outcome in outcomes:
        fair = outcome.of_workers.total() / 6
        shares += [math.log(sent / fair) for sent in outcome.of_workers.values()]
    return statistics.pstdev(shares)


def words(server: dict[str, object]) -> str:
    return " ".join(map(str, server.values()))


@pytest.mark.once
@pytest.mark.no_cover
class TestAlone:
    @pytest.mark.parametrize(
        ("limit", "server"),
        [(limit, server) for limit in (60, 300) for server in SERVERS]
        + [(1000, FIXED[1]), (1000, SLIDING), (1000, BUCKETS[1])],
        ids=lambda value: words(value) if isinstance(value, dict) else str(value),
    )
    def test_it_uses_the_quota_after_three_minutes(self, limit: int, server: dict[str, object]) -> None:
        outcome = silent(limit, **server)
        assert outcome.share_from(3) >= 0.93
        assert outcome.wasted <= 0.02

    @pytest.mark.parametrize("server", SERVERS, ids=words)
    def test_the_fourth_minute_is_used_already(self, server: dict[str, object]) -> None:
        assert silent(300, windows=4, **server).share_from(3) >= 0.85

    def test_a_large_bucket_is_seen_through_once_it_is_empty(self) -> None:
        outcome = silent(500, windows=6, counts="bucket")  # for two minutes it takes twice as many
        assert min(outcome.accepted[3:]) >= 0.9 * 500
        assert outcome.wasted <= 0.005

    @pytest.mark.parametrize(
        ("server", "wasted"),
        [(server, 0.02) for server in [*FIXED, SLIDING]] + [(server, 0.025) for server in [*BUCKETS, SMALL_BURSTS]],
        ids=lambda value: words(value) if isinstance(value, dict) else "",
    )
    def test_of_ten_a_minute_few_are_refused(self, server: dict[str, object], wasted: float) -> None:
        outcome = silent(10, windows=60, **server)
        assert outcome.refused_in(0) <= 8
        assert max(map(outcome.refused_in, range(1, 60))) <= 2
        assert outcome.share_from(3) >= 0.9
        assert outcome.wasted_from(3) <= 0.02
        assert outcome.wasted <= wasted

    @pytest.mark.parametrize("server", [*SERVERS, SMALL_BURSTS], ids=words)
    @pytest.mark.parametrize("limit", [15, 20, 30, 45])
    def test_small_limits_are_used_after_three_minutes(self, limit: int, server: dict[str, object]) -> None:
        outcome = silent(limit, windows=30, **server)
        assert outcome.share_from(3) >= 0.85
        assert outcome.wasted_from(3) <= 0.02

    def test_over_hours_it_is_refused_seldom(self) -> None:
        outcome = silent(300, windows=60)
        assert outcome.share_from(3) >= 0.97
        assert outcome.wasted <= 0.002

    @pytest.mark.parametrize("latency", [1.0, 3.0])
    def test_latency_costs_nothing(self, latency: float) -> None:
        outcome = silent(200, latency=latency)
        assert outcome.share_from(3) >= 0.9
        assert outcome.wasted <= 0.02

    def test_a_server_that_dislikes_many_at_once_gets_fewer_at_once(self) -> None:
        outcome = silent(1000, latency=1.0, most_at_once=4)  # which are 228 a minute
        assert outcome.share_from(3) * 1000 >= 0.8 * 228
        assert outcome.wasted <= 0.02

    @pytest.mark.parametrize(("limit", "later", "found"), [(100, 500, range(35, 45)), (10, 20, range(70, 90))])
    def test_a_limit_that_is_raised_is_found(self, limit: int, later: int, found: range) -> None:
        outcome = silent(limit, windows=found.stop, later=(300.0, later))
        assert sum(outcome.accepted[found.start :]) / len(found) >= 0.9 * later

    @pytest.mark.parametrize(
        ("limit", "later", "windows", "refused"), [(500, 100, 20, 25), (50, 10, 40, 30), (100, 20, 40, 30)]
    )
    def test_a_limit_that_is_lowered_is_followed(self, limit: int, later: int, windows: int, refused: int) -> None:
        outcome = silent(limit, windows=windows, later=(605.0, later))
        assert sum(outcome.accepted[13:]) / (windows - 13) >= 0.9 * later
        assert sum(time > 605 for time in outcome.refused) <= refused

    def test_without_any_limit_there_is_one_all_the_same(self) -> None:
        outcome = silent(10**6, windows=6)
        assert max(outcome.accepted) <= MOST_WITHOUT_HEADERS + 1
        assert outcome.accepted[5] >= 0.98 * MOST_WITHOUT_HEADERS

    @pytest.mark.parametrize("limit", [300, 50])
    def test_a_cap_binds(self, limit: int) -> None:
        outcome = simulate(Server(limit, reading=None), cap=100, windows=20)
        assert max(outcome.accepted) <= 101
        assert sum(outcome.accepted[3:]) / 17 >= 0.93 * min(limit, 100)


@pytest.mark.once
@pytest.mark.no_cover
class TestSix:
    @pytest.mark.parametrize("server", [FIXED[0], FIXED[1], SLIDING, *BUCKETS], ids=words)
    def test_they_share_it(self, server: dict[str, object]) -> None:
        outcome = silent(300, windows=30, workers=6, **server)
        assert outcome.share_from(3) >= 0.9
        assert outcome.wasted <= 0.02
        fair = 27 * 300 / 6
        assert fair / 2 <= min(outcome.of_workers.values()) <= max(outcome.of_workers.values()) <= fair * 2

    @pytest.mark.parametrize("server", [BUCKETS[1], SMALL_BURSTS], ids=words)
    def test_over_hours_shares_are_much_alike_where_bursts_are_refused(self, server: dict[str, object]) -> None:
        outcomes = [silent(300, windows=180, workers=6, seed=seed, **server) for seed in range(1, 7)]
        assert min(outcome.share_from(3) for outcome in outcomes) >= 0.97
        assert max(outcome.wasted_from(3) for outcome in outcomes) <= 0.005
        assert spread(outcomes) <= 0.3  # the most of six has 1.5 times a share, the least two thirds

    @pytest.mark.parametrize(
        ("limit", "server"),
        [(limit, server) for limit in (20, 30, 60, 100, 300) for server in (BUCKETS[1], SMALL_BURSTS)]
        + [(200, BUCKETS[0])],
        ids=lambda value: words(value) if isinstance(value, dict) else str(value),
    )
    def test_within_half_an_hour_shares_are_alike_where_a_server_does_not_count(
        self, limit: int, server: dict[str, object]
    ) -> None:
        outcomes = [silent(limit, windows=30, workers=6, seed=seed, **server) for seed in range(1, 7)]
        assert max(outcome.wasted_from(3) for outcome in outcomes) <= 0.03
        assert spread(outcomes) <= 0.34

    @pytest.mark.parametrize("server", KINDS, ids=words)
    @pytest.mark.parametrize(("limit", "share"), [(10, 0.8), (20, 0.85), (60, 0.9), (100, 0.95)])
    def test_over_hours_nobody_is_left_out(self, limit: int, share: float, server: dict[str, object]) -> None:
        outcome = silent(limit, windows=120, workers=6, **server)
        assert outcome.share_from(3) >= share
        assert outcome.wasted_from(30) <= 0.04
        fair = sum(outcome.of_workers.values()) / 6
        assert fair / 2.5 <= min(outcome.of_workers.values()) <= max(outcome.of_workers.values()) <= fair * 2.5

    @pytest.mark.parametrize(("limit", "wasted"), [(10, 0.12), (60, 0.03), (300, 0.01)])
    def test_over_hours_small_bursts_leave_nobody_out(self, limit: int, wasted: float) -> None:
        outcome = silent(limit, windows=120, workers=6, **SMALL_BURSTS)
        assert outcome.share_from(3) >= 0.95
        assert outcome.wasted <= wasted
        fair = 117 * limit / 6
        assert fair / 4 <= min(outcome.of_workers.values()) <= max(outcome.of_workers.values()) <= fair * 2.5

    @pytest.mark.parametrize("server", KINDS, ids=words)
    def test_of_ten_a_minute_few_are_refused(self, server: dict[str, object]) -> None:
        outcome = silent(10, windows=180, workers=6, **server)
        assert outcome.share_from(3) >= 0.8
        assert outcome.wasted_from(3) <= 0.04

    def test_small_limits_are_found_soon(self) -> None:
        outcome = silent(20, windows=120, workers=6)
        assert outcome.wasted <= 0.045

    @pytest.mark.parametrize("limit", [60, 600])
    def test_they_use_all_of_any_limit(self, limit: int) -> None:
        outcome = silent(limit, workers=6)
        assert outcome.share_from(3) >= 0.9
        assert outcome.wasted <= 0.06


class TestWhatIsLearned:
    def test_nothing_before_a_refusal(self) -> None:
        assert LearnedLimit(60, 1200, Clock(), lambda: 0.5).limit is None

    @pytest.mark.parametrize("limit", [10, 60, 300])
    @pytest.mark.parametrize("counts", ["fixed", "sliding"])
    def test_the_limit_after_a_few_minutes(self, limit: int, counts: str) -> None:
        pacer = self.send(limit, counts)
        assert pacer.learned_limit == pytest.approx(limit, rel=0.1)

    @pytest.mark.parametrize("cap", [0.5, 1, 7])
    @pytest.mark.parametrize("refused_of_five", [1, 5])
    def test_refusals_never_make_it_faster_than_the_cap(self, cap: float, refused_of_five: int) -> None:
        clock = Clock()
        pacer = Pacer(cap, clock, chance=random.Random(1).random)  # noqa: S311
        left = []
        for number in range(60):
            clock.now += max(pacer.delay(), 0.0)
            pacer.reserve()
            left.append(clock.now)
            pacer.ended(pacer.begin(), {}, 0.0, is_refused=number % 5 < refused_of_five)
        assert min(later - earlier for earlier, later in itertools.pairwise(left)) >= 60 / cap - 1e-6

    def test_what_an_earlier_try_learned_is_kept_to_from_the_start(self) -> None:
        clock = Clock()
        pacer = Pacer(None, clock, chance=lambda: 0.5)
        pacer.recall(300)
        assert 270 <= pacer.requests_per_minute <= 300
        assert pacer.learned_limit == 300

    def test_one_request_at_a_time_shows_whether_it_is_over(self) -> None:
        clock = Clock()
        pacer = Pacer(None, clock, chance=lambda: 0.5)
        tickets = [pacer.begin() for _ in range(3)]
        clock.now += 1
        for ticket in tickets:
            pacer.ended(ticket, {}, 0.0, is_refused=True)
        assert (pacer.most_in_flight, pacer.learned_limit) == (1, None)
        assert pacer.requests_per_minute == pytest.approx(60 * 0.8)  # once for all that were on their way
        clock.now += max(pacer.delay(), 0.0)
        pacer.reserve()
        pacer.ended(pacer.begin(), {}, 0.0, is_refused=False)
        assert pacer.most_in_flight > 16

    @staticmethod
    def send(limit: int, counts: str) -> Pacer:
        simulation = Simulation(Server(limit, counts=counts, reading=None), 1, None, 16, 1)  # type: ignore[arg-type]
        simulation.run(600)
        return simulation.pacers[0]
