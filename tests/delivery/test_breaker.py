"""When sending pauses, when it may be tried again, and when the run is over."""

from __future__ import annotations

import pytest
from support.desk import Clock

from airflow_provider_lofty.delivery.breaker import (
    EARLY_OUTAGE_SECONDS,
    OUTAGE_SECONDS,
    TROUBLE_IN_A_ROW,
    CircuitBreaker,
    RejectionLimit,
)
from airflow_provider_lofty.lofty.answers import Meaning, Verdict


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(clock)


def fail(breaker: CircuitBreaker, times: int = TROUBLE_IN_A_ROW) -> None:
    for _ in range(times):
        breaker.record_failure("HTTP 502")


class TestOpening:
    def test_five_failures_in_a_row_open_it(self, breaker: CircuitBreaker) -> None:
        fail(breaker, 4)
        assert not breaker.is_open
        fail(breaker, 1)
        assert breaker.is_open

    @pytest.mark.parametrize("end", ["record_answer", "record_success", "record_throttled"])
    def test_any_answer_begins_the_count_anew(self, breaker: CircuitBreaker, end: str) -> None:
        fail(breaker, 4)
        getattr(breaker, end)()
        fail(breaker, 4)
        assert not breaker.is_open

    def test_only_a_success_proves_that_several_may_go_at_once(self, breaker: CircuitBreaker) -> None:
        breaker.record_answer()
        assert not breaker.is_proven
        breaker.record_success()
        assert breaker.is_proven
        breaker.record_answer()
        assert breaker.is_proven
        fail(breaker, 1)
        assert not breaker.is_proven


class TestProbing:
    def test_after_an_answer_one_failure_opens_it_again(self, breaker: CircuitBreaker) -> None:
        fail(breaker)
        breaker.is_probing = True
        breaker.probed(answered=True)
        assert (breaker.is_open, breaker.is_probing) == (False, False)
        fail(breaker, 1)
        assert breaker.is_open

    def test_waits_double_up_to_half_a_minute(self, breaker: CircuitBreaker, clock: Clock) -> None:
        fail(breaker)
        waits = []
        for _ in range(7):
            began = clock.now
            while not breaker.may_probe():
                clock.now += 0.5
            waits.append(clock.now - began)
            breaker.probed(answered=False)
        assert waits == [1, 2, 4, 8, 16, 30, 30]
        assert breaker.is_open

    def test_an_answered_row_makes_the_waits_short_again(self, breaker: CircuitBreaker, clock: Clock) -> None:
        fail(breaker)
        breaker.probed(answered=False)
        breaker.record_answer()
        fail(breaker)
        clock.now += 1
        assert breaker.may_probe()


class TestOutage:
    @pytest.mark.parametrize(("is_sent", "seconds"), [(True, OUTAGE_SECONDS), (False, EARLY_OUTAGE_SECONDS)])
    def test_it_is_one_when_it_lasts(
        self, breaker: CircuitBreaker, clock: Clock, is_sent: bool, seconds: float
    ) -> None:
        fail(breaker)
        clock.now += seconds
        assert not breaker.is_outage(is_sent)
        clock.now += 0.1
        assert breaker.is_outage(is_sent)
        assert (breaker.seconds(), breaker.last) == (pytest.approx(seconds + 0.1), "HTTP 502")

    def test_a_few_failures_are_none_however_long_ago(self, breaker: CircuitBreaker, clock: Clock) -> None:
        fail(breaker, 4)
        clock.now += 10 * OUTAGE_SECONDS
        assert not breaker.is_outage(anything_sent=True)

    def test_a_probe_that_is_answered_does_not_hide_how_long_it_lasts(
        self, breaker: CircuitBreaker, clock: Clock
    ) -> None:
        fail(breaker)
        clock.now += OUTAGE_SECONDS
        breaker.probed(answered=True)
        fail(breaker, 1)
        clock.now += 1
        assert breaker.is_outage(anything_sent=True)

    def test_refusals_for_the_rate_are_one_after_ten_minutes(self, breaker: CircuitBreaker, clock: Clock) -> None:
        breaker.record_throttled()
        clock.now += OUTAGE_SECONDS / 2
        breaker.record_throttled()
        assert not breaker.is_outage(anything_sent=False)
        clock.now += OUTAGE_SECONDS / 2 + 1
        assert breaker.is_outage(anything_sent=False)
        breaker.record_success()
        assert not breaker.is_outage(anything_sent=False)


def refused(message: str = "", code: int | None = None, status: int = 400) -> Verdict:
    return Verdict(Meaning.REJECTED, status, code, message)


class TestRejectionLimit:
    def test_it_counts_different_leads(self) -> None:
        limit = RejectionLimit(3)
        assert [limit.is_reached(lead_id, refused(code=20012)) for lead_id in (1, 1, 1, 2, 2, 3)] == [False] * 5 + [
            True
        ]

    def test_it_counts_what_is_refused_alike(self) -> None:
        limit = RejectionLimit(2)
        assert not limit.is_reached(1, refused(code=20012))
        assert not limit.is_reached(2, refused(code=20013))
        assert not limit.is_reached(3, refused(code=20012, status=404))
        assert limit.is_reached(4, refused(code=20012))

    def test_without_a_code_the_words_count_but_not_the_numbers_in_them(self) -> None:
        limit = RejectionLimit(2)
        assert not limit.is_reached(1, refused("lead 4711 is odd"))
        assert limit.is_reached(2, refused("lead 4712 is odd"))

    def test_after_a_success_it_is_never_reached(self) -> None:
        limit = RejectionLimit(1)
        limit.record_success()
        assert not limit.is_reached(1, refused(code=20012))

    def test_answers_that_are_never_alike_take_no_memory(self) -> None:
        limit = RejectionLimit(2)
        for code in range(1000):
            limit.is_reached(code, refused(code=code))
        assert not limit.is_reached(1, refused(code=0))
