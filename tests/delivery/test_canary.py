"""Without a journal that knows all, one row shows first whether Lofty would show the others."""

from __future__ import annotations

import pytest
from support.desk import SETTLE, Desk, MakeDesk

from airflow_provider_lofty.exceptions import LoftyRequestRejected
from airflow_provider_lofty.lofty.answers import LEAD_NOT_FOUND, Meaning, Verdict
from airflow_provider_lofty.lofty.settings import ABSENCE, PATIENCE


@pytest.fixture
def blind(make_desk: MakeDesk) -> Desk:
    """A later try that knows nothing of the one before, when that has had time to show; none of its rows is shown."""
    desk = make_desk(7, 8, 9, has_gaps=True)
    desk.clock.now += ABSENCE * SETTLE
    desk.backlog.refill()
    return desk


def read_all(desk: Desk) -> None:
    """No lead shows anything."""
    while (lead_id := desk.precheck.next_lead(())) is not None:
        desk.show(lead_id)
    desk.make_ready(3)


def send_one(desk: Desk, verdict: Verdict) -> int:
    work = desk.post()
    desk.verdicts.take(work, verdict)
    desk.in_flight.settle(work)
    return work.row.n


def delivered(lead_id: int) -> Verdict:
    return Verdict(Meaning.DELIVERED, 200, lead_id=lead_id)


class TestGoingAhead:
    def test_the_last_row_goes_ahead_when_all_leads_were_read(self, blind: Desk) -> None:
        assert blind.make_ready(3) == []
        read_all(blind)
        assert blind.make_ready(3) == []
        assert blind.canary.advance()
        assert blind.make_ready(3) == [3]

    def test_when_it_is_shown_the_others_are_looked_for_again_and_sent(self, blind: Desk) -> None:
        read_all(blind)
        blind.canary.advance()
        assert send_one(blind, delivered(9)) == 3
        assert blind.precheck.next_lead(()) == 9
        blind.clock.now += 1
        blind.show(9, 3)
        assert blind.canary.advance()
        assert blind.make_ready(3) == []
        assert blind.precheck.next_lead(()) == 7
        blind.clock.now += 1
        blind.show(7, 1)  # which was not shown before
        blind.show(8)
        assert blind.make_ready(3) == [2]
        assert not blind.canary.advance()
        assert blind.outcomes == ["already_delivered", None, "delivered"]
        assert blind.canary.failure == ""

    def test_one_that_is_found_there_is_proof_enough(self, blind: Desk) -> None:
        blind.show(7, 1, took=1)
        for lead_id in (8, 9):
            assert blind.precheck.next_lead(()) == lead_id
            blind.show(lead_id)
        assert not blind.canary.advance()
        assert blind.make_ready(3) == [2]

    def test_so_is_one_that_comes_to_be_shown_while_another_is_waited_for(self, make_desk: MakeDesk) -> None:
        desk = make_desk(9, 9, has_gaps=True)
        desk.clock.now += ABSENCE * SETTLE
        desk.backlog.refill()
        read_all(desk)
        desk.canary.advance()
        assert send_one(desk, Verdict(Meaning.DOUBT, 502)) == 2
        desk.clock.now += 1
        desk.show(9, 1, took=1)
        assert desk.canary.advance()
        desk.backlog.avoid_lead = None
        assert desk.make_ready(3) == []
        assert desk.precheck.next_lead(()) == 9
        desk.clock.now += 1
        desk.show(9, 1)
        assert desk.outcomes == ["already_delivered", None]
        assert desk.canary.failure == ""

    @pytest.mark.parametrize(
        "refusal", [Verdict(Meaning.REJECTED, 400, 20012, "no"), Verdict(Meaning.REJECTED, 404, LEAD_NOT_FOUND, "no")]
    )
    def test_where_it_is_refused_the_next_one_goes(self, blind: Desk, refusal: Verdict) -> None:
        read_all(blind)
        blind.canary.advance()
        assert send_one(blind, refusal) == 3
        assert blind.canary.advance()
        assert blind.make_ready(3) == [2]

    def test_when_the_last_of_them_was_refused_there_is_nothing_left_to_wait_for(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, has_gaps=True)
        desk.clock.now += ABSENCE * SETTLE
        desk.backlog.refill()
        read_all(desk)
        assert desk.canary.advance()
        assert send_one(desk, Verdict(Meaning.REJECTED, 400, 20012, "no")) == 1
        assert not desk.canary.advance()
        assert (desk.outcomes, desk.canary.failure) == (["rejected"], "")

    def test_in_doubt_it_is_settled_first(self, blind: Desk) -> None:
        read_all(blind)
        blind.canary.advance()
        send_one(blind, Verdict(Meaning.DOUBT, 502))
        assert blind.canary.advance()
        assert blind.make_ready(3) == []
        blind.clock.now += 1
        blind.show(9, 3, took=1)
        assert blind.canary.advance()
        blind.make_ready(3)
        read_all(blind)
        assert blind.make_ready(3) == [1, 2]

    def lose_one(self, desk: Desk) -> int:
        """Send the row that goes ahead, whose answer is lost, and look for it in vain."""
        n = send_one(desk, Verdict(Meaning.DOUBT, 502))
        assert desk.canary.advance()
        assert desk.make_ready(3) == []
        desk.clock.now += SETTLE
        desk.show(desk.rows[n - 1].lead_id)
        assert desk.canary.advance()
        return n

    def test_where_it_is_not_shown_the_one_before_it_is_its_control(self, blind: Desk) -> None:
        read_all(blind)
        blind.canary.advance()
        assert self.lose_one(blind) == 3
        blind.backlog.avoid_lead = None
        assert send_one(blind, delivered(8)) == 2
        blind.clock.now += 1
        blind.show(8, 2, took=1)
        assert blind.canary.advance()
        for _ in range(2):
            blind.clock.now += ABSENCE * SETTLE
            blind.show(9)
        assert blind.canary.failure == ""
        assert blind.outcomes == [None, "delivered", None]
        assert blind.make_ready(3) == []
        read_all(blind)
        assert send_one(blind, delivered(7)) == 1
        assert blind.make_ready(3) == [3]

    def test_after_three_that_are_lost_no_other_goes(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 8, 9, 10, 11, has_gaps=True)
        desk.clock.now += ABSENCE * SETTLE
        desk.backlog.refill()
        read_all(desk)
        desk.canary.advance()
        for n in (5, 4, 3):
            assert self.lose_one(desk) == n
            desk.backlog.avoid_lead = None
        assert desk.make_ready(3) == []

    def test_where_something_near_is_shown_no_other_goes(self, blind: Desk) -> None:
        read_all(blind)
        blind.canary.advance()
        send_one(blind, Verdict(Meaning.DOUBT, 502))
        for _ in range(10):
            blind.clock.now += SETTLE
            blind.show(9, blind.trace(3)._replace(trace_hash=b"altered"))
            blind.canary.advance()
            assert blind.make_ready(3) == []
        assert blind.outcomes == ["unknown"] * 3

    def test_on_the_authors_word_none_is_needed(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 8, 9, has_gaps=True, on_unknown="resend")
        desk.clock.now += ABSENCE * SETTLE
        desk.backlog.refill()
        read_all(desk)
        assert desk.make_ready(3) == [1, 2]

    def test_a_lead_that_cannot_be_read_sends_none(self, blind: Desk) -> None:
        failure = LoftyRequestRejected("no")
        failure.code = 20012
        blind.reconciler.failed(9, failure)
        read_all(blind)
        assert blind.make_ready(3) == []
        blind.canary.advance()
        assert blind.make_ready(3) == [2]
        assert blind.outcomes == [None, None, "unknown"]


class TestWithoutProof:
    def check(self, desk: Desk, *, attempts: list[int]) -> None:
        assert not desk.canary.advance()
        assert desk.outcomes == ["unknown"] * 3
        assert [result.attempts for result in desk.results] == attempts
        assert all("perhaps sent by an earlier try" in str(result.error) for result in desk.results[:2])
        assert 'on_unknown="resend"' in desk.canary.failure
        assert desk.progress.counts["unknown"] == 3
        assert desk.progress.counts["delivered"] == 0

    def test_never_shown(self, blind: Desk) -> None:
        read_all(blind)
        blind.canary.advance()
        send_one(blind, delivered(9))
        blind.clock.now += PATIENCE * SETTLE - 1
        blind.show(9)
        assert blind.canary.advance()
        blind.clock.now += 2
        self.check(blind, attempts=[0, 0, 1])

    def test_shown_otherwise_than_it_was_sent(self, blind: Desk) -> None:
        read_all(blind)
        blind.canary.advance()
        send_one(blind, delivered(9))
        for _ in range(20):
            blind.clock.now += SETTLE
            blind.show(9, blind.trace(3)._replace(trace_hash=b"altered"))
        self.check(blind, attempts=[0, 0, 1])

    def test_something_near_is_shown_and_nothing_exactly(self, blind: Desk) -> None:
        blind.show(7, blind.trace(1)._replace(trace_hash=b"altered"))
        read_all(blind)
        assert blind.canary.advance() is False
        assert blind.make_ready(3) == []
        self.check(blind, attempts=[0, 0, 0])
