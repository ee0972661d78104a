"""Wherever a row waits: it is fetched once, sent only after its intent, and found again wherever it was put."""

from __future__ import annotations

import pytest
from support.desk import Clock, MakeDesk

from airflow_provider_lofty.delivery.backlog import MOST_AHEAD, Hold, Lookahead
from airflow_provider_lofty.journal.journal import JournalError
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import JournalState
from airflow_provider_lofty.spool.spool import PendingRow, Result


class Holds:
    """What keeps rows back, by their number."""

    def __init__(self, **numbers: Hold) -> None:
        self.by_number = {int(n.lstrip("row")): hold for n, hold in numbers.items()}

    def __call__(self, row: PendingRow) -> Hold | None:
        return self.by_number.get(row.n)


class TestFetching:
    def test_rows_go_in_the_order_they_were_read(self, make_desk: MakeDesk) -> None:
        desk = make_desk(*range(1, 7))
        assert desk.make_ready(3) == [1, 2, 3]
        assert desk.make_ready(3) == [1, 2, 3, 4, 5]

    def test_the_last_of_a_type_goes_when_all_before_it_are_answered(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1, 2)
        work = desk.post()
        assert desk.make_ready(2) == []
        assert not desk.backlog.is_drained
        desk.in_flight.settle(work)
        assert desk.make_ready(2) == [2]

    def test_the_backlog_is_drained_when_nothing_waits(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1)
        assert not desk.backlog.is_drained
        desk.post()
        assert desk.backlog.is_drained
        assert not desk.backlog.holds_rows

    def test_rows_behind_leads_are_fetched_only_so_far_ahead(self, make_desk: MakeDesk) -> None:
        desk = make_desk(*range(1, 2002), holds=lambda row: Hold.LEAD)
        assert not desk.backlog.refill()
        assert MOST_AHEAD <= len(desk.backlog.leads_to_read) < MOST_AHEAD + 500

    def test_rows_behind_a_doubt_hold_no_others_up(self, make_desk: MakeDesk) -> None:
        desk = make_desk(*range(1, 2002), holds=lambda row: Hold.DOUBT if row.n <= 2000 else None)
        assert desk.make_ready() == [2001]


class TestIntending:
    def test_the_intents_are_committed_before_the_rows_are_ready(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1, 2)
        desk.journal.is_down = True
        with pytest.raises(JournalError):
            desk.backlog.intend(2, desk.lapse())
        assert not desk.backlog.has_ready
        desk.journal.is_down = False
        desk.backlog.withdraw()
        desk.recorder.finish()
        # Whether they were durable is unknown: left open, they would be in doubt, and nobody else could send them.
        assert desk.journal.closed == [(row.row_key, JournalState.WITHDRAWN) for row in desk.rows]

    def test_two_that_look_alike_never_go_at_once(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1, 2, 9)
        desk.backlog.put([desk.rows[0]])  # the same trace under another key
        assert desk.make_ready(3) == [1, 2]
        work = desk.backlog.pop_ready()
        assert work is not None
        desk.in_flight.post(work, desk.backlog.take_back)
        assert desk.make_ready(3) == [2]
        desk.in_flight.settle(work)
        assert desk.make_ready(3) == [2, 1]

    def test_after_a_doubt_another_lead_is_tried_first(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 7, 8, 7)
        desk.backlog.avoid_lead = 7
        assert desk.make_ready() == [3]
        assert desk.make_ready(2) == [3]  # no other is there: from now on the lead will do
        assert desk.make_ready(2) == [3, 1, 2]

    def test_an_expired_intent_is_replaced_in_the_commit_of_the_new_one(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1, 2, 9)
        desk.make_ready(2)
        desk.clock.now += 10
        desk.backlog.return_expired()
        assert not desk.backlog.has_ready
        assert sorted(desk.make_ready(2)) == [1, 2]
        assert [(len(intents), closings) for intents, closings in desk.journal.commits] == [(2, []), (2, [])]

    def test_what_is_not_expired_stays_ready(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1)
        desk.make_ready()
        desk.clock.now += 9.9
        desk.backlog.return_expired()
        assert desk.backlog.has_ready


class TestSoon:
    """The lead of a row in doubt gets another row, which proves what became of the first."""

    def test_a_row_of_the_lead_and_type_goes_before_others(self, make_desk: MakeDesk) -> None:
        desk = make_desk(*range(1, 600), 7, 8)
        assert desk.backlog.send_soon(7, "Browse", [desk.trace(7).trace_hash])
        assert desk.make_ready() == [600]
        assert desk.backlog.send_soon(7, "Browse", [desk.trace(7).trace_hash])
        rest = desk.make_ready(800)
        assert (len(rest), len(set(rest)), rest.count(600)) == (600, 600, 1)  # all but the last, each once

    @pytest.mark.parametrize(("lead_id", "kind"), [(9, "Browse"), (7, "Search")])
    def test_where_there_is_none_it_is_said_so(self, make_desk: MakeDesk, lead_id: int, kind: str) -> None:
        desk = make_desk(7, 8)
        assert not desk.backlog.send_soon(lead_id, kind, [])

    def test_a_twin_is_none(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 8)
        assert not desk.backlog.send_soon(7, "Browse", [desk.trace(1).trace_hash])

    def test_nor_is_one_that_another_run_claims(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 8)
        desk.journal.claims.add(desk.rows[0].row_key)
        assert desk.backlog.send_soon(7, "Browse", [])
        assert desk.make_ready() == []
        assert not desk.backlog.send_soon(7, "Browse", [])


class TestTheEnd:
    def test_what_was_intended_and_never_sent_is_withdrawn(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1, 2, 3)
        desk.make_ready(2)
        desk.clock.now += 10
        desk.backlog.return_expired()
        desk.make_ready(1)
        desk.backlog.withdraw()
        desk.recorder.finish()
        assert sorted(desk.journal.closed) == sorted((row.row_key, JournalState.WITHDRAWN) for row in desk.rows[:2])

    def test_what_was_sent_before_stays_intended_since_it_may_be_stored(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1)
        work = desk.post()
        desk.in_flight.settle(work)
        desk.backlog.put([work.row._replace(attempts=1)])
        assert desk.make_ready() == [1]
        desk.backlog.withdraw()
        desk.recorder.finish()
        assert desk.journal.closed == []

    def test_what_no_thread_took_up_is_ready_again_and_withdrawn(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1)
        desk.post()
        desk.in_flight.end()
        assert (desk.in_flight.posts, desk.backlog.has_ready) == ({}, True)
        desk.backlog.withdraw()
        desk.recorder.finish()
        assert desk.journal.closed == [(desk.rows[0].row_key, JournalState.WITHDRAWN)]

    def test_rows_that_another_run_has_claimed_may_have_been_sent(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1, 2)
        desk.journal.claims.add(desk.rows[0].row_key)
        assert desk.make_ready(2) == [2]
        desk.backlog.give_up_claimed()
        desk.backlog.give_up_claimed()
        assert desk.outcomes == ["unknown", None]
        assert "another run" in str(desk.results[0].error)
        assert not desk.backlog.holds_rows


class TestHeldBack:
    def test_a_row_that_another_run_claimed_waits_for_its_end(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1, 2, 9)
        desk.journal.claims.add(desk.rows[0].row_key)
        assert desk.make_ready(2) == [2]
        assert desk.backlog.holds_rows
        assert desk.backlog.pop_claimed(desk.rows[0].row_key) == desk.rows[0]
        assert desk.backlog.pop_claimed(desk.rows[0].row_key) is None
        assert not desk.backlog.holds_rows

    def test_twins_go_when_their_doubt_is_over(self, make_desk: MakeDesk) -> None:
        holds = Holds(row1=Hold.DOUBT, row2=Hold.DOUBT)
        desk = make_desk(1, 2, 3, holds=holds)
        assert desk.make_ready(3) == [3]
        desk.backlog.release_twins()
        assert desk.make_ready(3) == [3]
        del holds.by_number[2]
        desk.backlog.release_twins()
        assert desk.make_ready(3) == [3, 2]
        assert desk.backlog.holds_rows

    def test_rows_go_when_their_lead_was_read_but_those_that_are_settled(self, make_desk: MakeDesk) -> None:
        holds = Holds(row1=Hold.LEAD, row2=Hold.LEAD, row3=Hold.DOUBT)
        desk = make_desk(7, 7, 7, 8, holds=holds)
        assert desk.make_ready(4) == [4]
        assert list(desk.backlog.leads_to_read) == [7]
        holds.by_number.clear()
        desk.backlog.release_lead(7, settled={1, 3})
        desk.backlog.release_twins()
        assert desk.make_ready(4) == [4, 2]
        assert not desk.backlog.holds_rows

    def test_a_row_that_is_held_back_by_now_is_not_sent_though_it_was_fetched(self, make_desk: MakeDesk) -> None:
        holds = Holds()
        desk = make_desk(1, 2, holds=holds)
        desk.backlog.refill()
        holds.by_number[1] = Hold.DOUBT
        assert desk.make_ready(2) == [2]

    def test_all_leads_may_be_released_at_once(self, make_desk: MakeDesk) -> None:
        holds = Holds(row1=Hold.LEAD, row2=Hold.LEAD, row3=Hold.LEAD)
        desk = make_desk(7, 8, 9, holds=holds)
        desk.backlog.refill()
        holds.by_number.clear()
        desk.backlog.release_leads()
        assert desk.make_ready(2) == [1, 2]

    def test_what_waits_for_a_lead_to_be_read_goes_before_the_next_reading(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 8, 9)
        desk.make_ready(2)
        first = desk.backlog.pop_ready(avoid=(7,))
        assert first is not None
        assert (first.row.lead_id, desk.backlog.leads_in_turn()) == (8, {7})
        assert desk.backlog.pop_ready(avoid=(7,)) is None
        second = desk.backlog.pop_ready()
        assert second is not None
        assert (second.row.lead_id, desk.backlog.leads_in_turn()) == (7, set())

    def test_the_rows_of_a_missing_lead_are_rejected_wherever_they_wait(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 7, 7, 8)
        sent = desk.post()
        desk.make_ready()
        desk.backlog.reject_lead(7, Result(0, Outcome.REJECTED, 404, 20006, "missing"))
        desk.in_flight.settle(sent)
        assert desk.make_ready(4) == [4]
        assert desk.outcomes == [None, "rejected", "rejected", None]
        desk.backlog.withdraw()
        desk.recorder.finish()
        assert (desk.rows[1].row_key, JournalState.WITHDRAWN) in desk.journal.closed

    def test_they_are_counted_once_and_in_no_rate(self, make_desk: MakeDesk) -> None:
        holds = Holds(row3=Hold.DOUBT, row4=Hold.LEAD)
        desk = make_desk(*[7] * 6, 8, 9, holds=holds)
        desk.post()
        assert desk.make_ready() == [2]
        desk.backlog.reject_lead(7, Result(0, Outcome.REJECTED, 404, 20006, "missing"))
        holds.by_number.clear()
        desk.backlog.release_twins()
        desk.backlog.release_lead(7)
        desk.clock.now += 10
        assert desk.make_ready(9) == [7]
        assert (desk.progress.counts, desk.progress.left) == ({"rejected": 5}, 3)
        assert desk.progress.rows_per_minute == 0.0


class TestLookahead:
    def test_it_follows_the_pace_seen_within_the_pace_allowed(self) -> None:
        clock = Clock()
        lookahead = Lookahead(4, clock)
        assert lookahead.next(6000) == 2  # the first commit is long after none
        counts = []
        for _ in range(12):
            clock.now += 0.1
            counts.append(lookahead.next(60_000))
        assert counts == [4, 8, 16, 32, 64, 128, 256, 512, 800, 800, 800, 800]
        clock.now += 2
        assert lookahead.next(60_000) == 400
        assert lookahead.next(120) == 2
        assert lookahead.next(6) == 1
