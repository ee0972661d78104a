"""Doubt becomes an outcome: what is shown was stored, and what is not shown is judged with patience and a control."""

from __future__ import annotations

import math
from typing import Any

import pytest

from airflow_provider_lofty.delivery.controls import Controls
from airflow_provider_lofty.delivery.doubt import Doubt, Page, Proof, Settled
from airflow_provider_lofty.delivery.matching import Match, match
from airflow_provider_lofty.delivery.settling import Reading, Settling
from airflow_provider_lofty.journal.journal import Intent
from airflow_provider_lofty.lofty.settings import ABSENCE, PATIENCE
from airflow_provider_lofty.lofty.trace import Trace, trace_in_entry

SETTLE = 60.0
CREATED = 1_772_359_200_000
WAIT = ABSENCE * SETTLE
LATE = PATIENCE * SETTLE


def activity(n: int, lead_id: int, kind: str = "Browse", **changes: Any) -> Trace:
    """Make an activity that is unlike those with other numbers."""
    entry = {"type": kind, "created": CREATED + n * 10**6, "text": f"home {n}", "link": f"link {n}", **changes}
    found = trace_in_entry(lead_id, entry)
    assert found is not None
    return found


SENT = activity(1, 5)
ALTERED = activity(1, 5, text="home")
OWN = activity(3, 5)
ELSEWHERE = activity(1, 9)
CONTROL = activity(2, 6)
CONTROL_ALTERED = activity(2, 6, text="home")


class Desk:
    """A settling with its clock, and Lofty's pages as they come in."""

    def __init__(self, *, is_proving: bool = True) -> None:
        self.now = 0.0
        self.is_idle = True
        self.has_more = False  # rows of the doubtful lead that may be sent
        self.lacks: tuple[float, ...] = ()  # deliveries to the lead that its page does not show, by when they began
        self.is_proving = is_proving
        self.settling = Settling(
            Controls(), is_proving=is_proving, send_soon=lambda doubt: self.has_more, clock=lambda: self.now
        )

    def doubt(
        self, wanted: Trace = SENT, *, sent: float = 0.0, since: float = 1.0, wait: float = WAIT,
        elsewhere: Trace | None = None,
    ) -> Doubt:  # fmt: skip
        wait = wait if self.is_proving else SETTLE
        intent = Intent(wanted.trace_hash, b"f", wanted)
        doubt = Doubt(intent, None, sent, since, SETTLE, wait, elsewhere=elsewhere)
        self.settling.add(doubt)
        return doubt

    def delivered(self, wanted: Trace, sent: float) -> None:
        self.settling.delivered(wanted, sent)

    def page(self, lead_id: int, *entries: Trace, at: float, took: float = 1.0, is_complete: bool = True) -> Page:
        return Page(lead_id, entries, is_complete, at, at + took)

    def take(self, page: Page, claimed: tuple[Trace, ...] = (CONTROL, OWN)) -> list[Settled]:
        """Take a page as a run does."""
        self.now = max(self.now, page.ended)
        doubts = [doubt for doubt in self.settling.of_lead(page.lead_id) if doubt.since <= page.started]
        claims = {one.trace_hash: 1 for one in claimed}
        wanted = [doubt.views[page.lead_id].wanted for doubt in doubts]
        found, surplus = match(wanted, page.entries, claims, claims)
        near = [said if said is Match.FOUND or not surplus else Match.NEAR for said in found]
        reading = Reading(page, surplus, claims, lambda doubt, before: all(sent >= before for sent in self.lacks))
        self.settling.look_at_controls(reading)
        return self.settling.take(reading, dict(zip(doubts, near, strict=True)), is_idle=self.is_idle)

    def show(self, lead_id: int, *entries: Trace, at: float, **how: Any) -> list[tuple[Proof, str]]:
        """What a page of this lead settles, and why."""
        return [(end.proof, end.reason) for end in self.take(self.page(lead_id, *entries, at=at, **how))]

    def wants(self, at: float, busy: tuple[int, ...] = ()) -> int | None:
        """The lead that is to be read now."""
        self.now = at
        return self.settling.next_read(busy, self.is_idle)


@pytest.fixture
def desk() -> Desk:
    return Desk()


STORED, NOT_STORED = [(Proof.STORED, "")], [(Proof.NOT_STORED, "")]


class TestShown:
    @pytest.mark.parametrize("at", [1.0, 2.0, 61.0, 5000.0])
    def test_what_is_shown_was_stored(self, desk: Desk, at: float) -> None:
        desk.doubt()
        assert desk.show(5, SENT, at=at) == STORED
        assert len(desk.settling) == 0

    def test_also_on_a_page_that_is_not_whole(self, desk: Desk) -> None:
        desk.doubt()
        assert desk.show(5, SENT, at=2, is_complete=False) == STORED

    def test_also_when_absence_is_not_to_be_proved(self) -> None:
        desk = Desk(is_proving=False)
        desk.doubt()
        assert desk.show(5, SENT, at=2) == STORED

    def test_one_entry_settles_one_doubt(self, desk: Desk) -> None:
        desk.doubt()
        desk.doubt()
        assert desk.show(5, SENT, at=2) == STORED
        assert len(desk.settling) == 1


def test_many_doubts_of_a_lead_ask_once_for_a_row_that_is_to_be_sent() -> None:
    asked: list[Doubt] = []
    desk = Desk()
    desk.settling._send_soon = lambda doubt: asked.append(doubt) is None  # type: ignore[func-returns-value]
    for n in range(50):
        desk.doubt(activity(n, 5), since=1.0)
    desk.doubt(activity(99, 5, "Favorite"), since=1.0)
    asked.clear()
    assert desk.wants(61) == 5
    assert desk.show(5, at=WAIT + 1) == []
    assert [doubt.wanted.type for doubt in asked].count("Browse") <= 2  # for each look


class TestAbsentWithAControlOfItsOwn:
    """A row of the same type and lead was delivered later."""

    def test_after_five_settle_times_its_page_proves_it(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(OWN, 5)
        for at in (6, 61, 121, WAIT):
            assert desk.show(5, OWN, at=at) == []
        assert desk.wants(WAIT + 1) == 5
        assert desk.show(5, OWN, at=WAIT + 1) == NOT_STORED
        assert desk.wants(WAIT + 2) is None

    def test_after_one_where_lofty_itself_said_that_it_was_done(self, desk: Desk) -> None:
        desk.doubt(wait=SETTLE)
        desk.delivered(OWN, 5)
        assert desk.show(5, OWN, at=60) == []
        assert desk.show(5, OWN, at=61) == NOT_STORED

    def test_the_page_has_to_show_it(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(OWN, 5)
        desk.show(5, OWN, at=100)  # another of Lofty's servers may answer next
        assert desk.show(5, at=WAIT + 10) == []
        assert desk.show(5, OWN, at=WAIT + 20) == NOT_STORED

    def test_and_all_that_was_delivered_there_before_it(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(OWN, 5)
        desk.lacks = (4.0,)
        assert desk.show(5, OWN, at=WAIT + 10) == []
        desk.lacks = (5.0, 6.0)  # with it, and after it
        assert desk.show(5, OWN, at=WAIT + 20) == NOT_STORED

    def test_a_lead_that_has_rows_left_waits_for_one_of_them(self, desk: Desk) -> None:
        desk.has_more = True
        desk.doubt()
        desk.delivered(CONTROL, 5)
        desk.show(6, CONTROL, at=61)
        for at in (70, 400, 1000, 5000):
            assert desk.show(5, at=at) == []
        desk.delivered(OWN, 5010)
        assert desk.show(5, OWN, at=5020) == NOT_STORED

    @pytest.mark.parametrize(("lead_id", "kind", "sent"), [(5, "Search", 5.0), (5, "Browse", 0.9), (6, "Browse", 5.0)])
    def test_no_other_is_its_own(self, desk: Desk, lead_id: int, kind: str, sent: float) -> None:
        other = activity(2, lead_id, kind)
        desk.doubt()
        desk.delivered(other, sent)
        assert desk.show(5, *[other] * (lead_id == 5), at=WAIT + 10) != NOT_STORED

    def test_one_that_is_never_shown_ends_it(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(OWN, 5)
        for at in range(100, round(5 + LATE), 60):
            assert desk.show(5, at=at) == []
        assert desk.wants(40 + LATE) == 5
        ((proof, reason),) = desk.show(5, at=40 + LATE)
        assert proof is Proof.NONE
        assert "lead 5 does not show what was delivered to it" in reason

    def test_nor_is_another_asked_where_it_is_shown_otherwise(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(OWN, 5)
        desk.delivered(CONTROL, 6)
        desk.show(6, CONTROL, at=61)
        assert desk.show(5, activity(3, 5, text="home"), at=70) == []
        assert desk.show(5, at=WAIT + 10) == [(Proof.NONE, "Lofty does not show activities as they were sent")]


class TestAbsentWithAControlOfAnotherLead:
    """The lead has no other row of this type."""

    def test_two_readings_five_settle_times_apart_prove_it(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(CONTROL, 5)
        assert desk.wants(61) == 6
        assert desk.show(6, CONTROL, at=61) == []
        assert desk.wants(63) == 5
        assert desk.show(5, at=63) == []
        assert [desk.wants(at) for at in (70, 200, 62 + WAIT)] == [None] * 3
        assert desk.wants(63 + WAIT) == 5
        assert desk.show(5, at=63 + WAIT) == NOT_STORED

    def test_both_are_asked_for_after_it_was_seen(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(CONTROL, 5)
        slow = desk.page(5, at=61, took=10)
        desk.show(6, CONTROL, at=61)
        assert desk.take(slow) == []
        assert desk.show(5, at=72) == []
        assert desk.show(5, at=61 + WAIT) == []
        assert desk.show(5, at=72 + WAIT) == NOT_STORED

    def test_what_is_near_between_begins_the_count_anew(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(CONTROL, 5)
        desk.show(6, CONTROL, at=61)
        assert desk.show(5, at=63) == []
        assert desk.show(5, ALTERED, at=100) == []
        assert desk.show(5, at=63 + WAIT) == []
        assert desk.show(5, at=63 + 2 * WAIT) == NOT_STORED

    def test_so_does_a_page_that_lacks_what_was_delivered_there(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(CONTROL, 5)
        desk.show(6, CONTROL, at=61)
        desk.lacks = (2.0,)
        assert desk.show(5, at=63) == []
        assert desk.show(5, at=63 + WAIT) == []
        desk.lacks = ()
        assert desk.show(5, at=70 + WAIT) == []
        assert desk.show(5, at=70 + 2 * WAIT) == NOT_STORED

    @pytest.mark.parametrize("sent", [-5.0, 0.0, 0.9])
    def test_what_was_begun_before_its_request_was_over_is_none(self, desk: Desk, sent: float) -> None:
        desk.delivered(CONTROL, sent)
        desk.doubt(sent=0, since=1)
        desk.show(6, CONTROL, at=61)
        assert desk.show(5, at=63) == []
        ((proof, reason),) = desk.show(5, at=63 + WAIT)
        assert proof is Proof.NONE
        assert "no other Browse activity was delivered after it" in reason

    def test_it_serves_all_doubts_that_were_over_before_it(self, desk: Desk) -> None:
        for lead_id in (11, 12):
            desk.doubt(activity(lead_id, lead_id), sent=lead_id - 11)
        desk.delivered(CONTROL, 5)
        desk.doubt(activity(13, 13), sent=6, since=7)
        desk.show(6, CONTROL, at=70)
        for at, settled in ((80, []), (80 + WAIT, NOT_STORED)):
            assert [desk.show(lead_id, at=at) for lead_id in (11, 12)] == [settled] * 2
        assert len(desk.settling) == 1

    def test_one_of_an_earlier_try_is_over_when_it_is_known(self, desk: Desk) -> None:
        doubt = desk.doubt(sent=-math.inf)
        assert doubt.is_from_before
        desk.delivered(CONTROL, doubt.since)
        desk.show(6, CONTROL, at=61)
        desk.show(5, at=63)
        assert desk.show(5, at=63 + WAIT) == NOT_STORED

    def test_a_page_that_was_asked_for_before_the_doubt_says_nothing(self, desk: Desk) -> None:
        desk.delivered(CONTROL, 5)
        desk.doubt(since=100)
        assert desk.show(5, SENT, at=99) == []
        assert len(desk.settling) == 1


class TestAtTwoLeads:
    """Lofty answered with another lead's id."""

    def test_found_at_either_it_is_stored(self, desk: Desk) -> None:
        desk.doubt(elsewhere=ELSEWHERE)
        assert desk.wants(61) == 5
        assert desk.show(5, at=61) == []
        assert desk.wants(62) == 9
        ((proof, reason),) = desk.show(9, ELSEWHERE, at=62)
        assert (proof, reason) == (Proof.STORED, "found at lead 9: merged")
        assert (len(desk.settling), desk.settling.of_lead(5), desk.settling.of_lead(9)) == (0, (), ())

    def test_absent_only_at_both(self, desk: Desk) -> None:
        desk.doubt(elsewhere=ELSEWHERE)
        desk.delivered(CONTROL, 5)
        desk.show(6, CONTROL, at=61)
        assert [desk.show(lead_id, at=63) for lead_id in (5, 9)] == [[], []]
        assert desk.show(5, at=63 + WAIT) == []
        assert desk.wants(65 + WAIT) == 9
        assert desk.show(9, at=65 + WAIT) == NOT_STORED

    def test_one_that_cannot_be_read_proves_nothing(self, desk: Desk) -> None:
        desk.doubt(elsewhere=ELSEWHERE)
        desk.delivered(OWN, 5)
        assert desk.show(5, OWN, at=WAIT + 10) == []
        ends = []
        for at in (400, 500, 600):
            desk.now = at
            ends += desk.settling.failed(9, "no such lead", is_refused=True)
        assert [end.proof for end in ends] == [Proof.NONE]


class TestControlsThatFail:
    def test_one_that_is_not_shown_yet_is_waited_for(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(CONTROL, 5)
        assert desk.show(6, at=61) == []
        assert desk.wants(62) is None
        assert desk.wants(62 + SETTLE / 2) == 6
        assert desk.show(5, at=95) == []
        desk.show(6, CONTROL, at=130)
        assert desk.show(5, at=135) == []
        assert desk.show(5, at=135 + WAIT) == NOT_STORED

    def test_one_that_is_never_shown_proves_nothing(self, desk: Desk) -> None:
        desk.doubt(since=1)
        desk.delivered(CONTROL, 5)
        at = 61.0
        while at < 5 + LATE:
            assert desk.show(6, at=at) == []
            assert desk.show(5, at=at + 1) == []
            at += SETTLE
        assert desk.wants(at + SETTLE) == 5
        assert [proof for proof, _ in desk.show(5, at=at + SETTLE)] == [Proof.NONE]

    def test_one_that_is_shown_otherwise_than_it_was_sent_proves_nothing(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(CONTROL, 5)
        assert desk.show(6, CONTROL_ALTERED, at=61) == []
        assert desk.wants(63) == 5
        assert desk.show(5, at=63) == []
        assert desk.show(5, at=63 + WAIT) == [(Proof.NONE, "Lofty does not show activities as they were sent")]

    def test_without_any_the_type_is_named(self, desk: Desk) -> None:
        desk.doubt()
        assert desk.wants(61) == 5
        assert desk.show(5, at=61) == []
        assert desk.wants(WAIT + 1) == 5
        ((proof, reason),) = desk.show(5, at=WAIT + 1)
        assert proof is Proof.NONE
        assert "no other Browse activity was delivered" in reason

    def test_one_that_may_be_sent_again_will_be_a_control(self, desk: Desk) -> None:
        control = activity(9, 8)
        desk.doubt(activity(8, 8), since=1)
        desk.delivered(control, 5)
        desk.doubt(since=6)
        assert desk.show(5, at=WAIT + 10) == []
        (end,) = desk.take(desk.page(8, control, at=WAIT + 20), (control,))
        assert end.proof is Proof.NOT_STORED
        desk.delivered(activity(8, 8), WAIT + 30)
        assert desk.wants(WAIT + 200) == 8

    def test_while_rows_are_being_sent_one_may_still_come(self, desk: Desk) -> None:
        desk.is_idle = False
        desk.doubt()
        assert desk.wants(100) is None
        assert desk.show(5, at=WAIT + 101) == []
        desk.delivered(CONTROL, 510)
        assert desk.wants(600) == 6

    def test_however_long_that_takes_the_lead_is_not_read_meanwhile(self, desk: Desk) -> None:
        desk.is_idle = False
        desk.doubt()
        assert [desk.wants(at) for at in (100, WAIT + 10, LATE + 10, LATE + 100, 10 * LATE)] == [None] * 5
        desk.is_idle = True
        assert desk.wants(10 * LATE + 10) == 5


class TestNear:
    def test_three_looks_at_one_nearly_the_same_end_it(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(CONTROL, 5)
        desk.show(6, CONTROL, at=61)
        at = 63 + WAIT
        assert desk.show(5, ALTERED, at=at) == []
        assert desk.wants(at + 2) is None
        assert desk.show(5, ALTERED, at=at + SETTLE) == []
        ((proof, reason),) = desk.show(5, ALTERED, at=at + SETTLE * 2)
        assert proof is Proof.NONE
        assert "nearly the same" in reason
        assert "journal_conn_id" in reason

    def test_looks_before_the_settle_time_do_not_count(self, desk: Desk) -> None:
        doubt = desk.doubt()
        for at in (2, 3, 4, 5):
            assert desk.show(5, ALTERED, at=at) == []
        assert doubt.views[5].times_undecided == 0

    def test_it_may_be_shown_as_it_was_sent_after_all(self, desk: Desk) -> None:
        desk.doubt()
        desk.show(5, ALTERED, at=63)
        assert desk.show(5, SENT, at=120) == STORED


def test_a_page_that_is_not_whole_proves_nothing(desk: Desk) -> None:
    desk.doubt()
    desk.delivered(OWN, 5)
    assert desk.show(5, OWN, at=30, is_complete=False) == []
    for at in (WAIT + 10, WAIT + 50):
        assert desk.show(5, OWN, at=at, is_complete=False) == []
    ((proof, reason),) = desk.show(5, OWN, at=WAIT + 90, is_complete=False)
    assert proof is Proof.NONE
    assert "too many activities" in reason


@pytest.mark.parametrize("entries", [(), (ALTERED,)])
def test_when_absence_is_not_to_be_proved_it_never_is(entries: tuple[Trace, ...]) -> None:
    desk = Desk(is_proving=False)
    desk.is_idle = False
    desk.doubt()
    desk.delivered(CONTROL, 5)
    desk.show(6, CONTROL, at=10)
    assert desk.show(5, *entries, at=30) == []
    assert desk.wants(61) == 5
    assert desk.show(5, *entries, at=63) == [(Proof.NONE, "Lofty does not show it")]


class TestReadsThatFail:
    def failed(self, desk: Desk, lead_id: int, at: float, *, is_refused: bool) -> list[Settled]:
        desk.now = at
        return desk.settling.failed(lead_id, "no", is_refused=is_refused)

    def test_three_refusals_end_it(self, desk: Desk) -> None:
        doubt = desk.doubt()
        assert self.failed(desk, 5, 61, is_refused=True) == []
        assert desk.wants(62) is None
        assert self.failed(desk, 5, 92, is_refused=True) == []
        assert self.failed(desk, 5, 123, is_refused=True) == [
            Settled(doubt, Proof.NONE, "reading back failed: no", may_settle_later=False)
        ]
        assert len(desk.settling) == 0

    def test_no_answer_is_tried_again_until_the_patience_ends(self, desk: Desk) -> None:
        doubt = desk.doubt(since=1)
        for at in range(61, 600, 60):
            assert self.failed(desk, 5, at, is_refused=False) == []
            assert desk.wants(at + SETTLE / 2) == 5
        assert self.failed(desk, 5, 1 + LATE, is_refused=False) == [
            Settled(doubt, Proof.NONE, "reading back failed: no", may_settle_later=True)
        ]

    def test_a_control_whose_lead_is_refused_is_replaced_by_another(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(CONTROL, 5)
        desk.delivered(activity(3, 7), 6)
        assert desk.wants(61) == 6
        assert self.failed(desk, 6, 61, is_refused=True) == []
        assert desk.wants(62) == 7
        desk.show(7, activity(3, 7), at=62)
        desk.show(5, at=64)
        assert desk.show(5, at=64 + WAIT) == NOT_STORED

    def test_where_no_control_can_be_read_it_stays_unknown(self, desk: Desk) -> None:
        desk.doubt()
        desk.delivered(CONTROL, 5)
        assert self.failed(desk, 6, 61, is_refused=True) == []
        assert desk.wants(62) == 5
        assert desk.show(5, at=62) == []
        assert desk.show(5, at=62 + WAIT) == [(Proof.NONE, "what was delivered after it cannot be read: no")]

    def test_while_rows_are_sent_another_control_is_waited_for(self, desk: Desk) -> None:
        desk.is_idle = False
        desk.doubt()
        desk.delivered(CONTROL, 5)
        self.failed(desk, 6, 61, is_refused=True)
        assert desk.wants(62) is None
        desk.delivered(activity(3, 7), 63)
        assert desk.wants(64) == 7

    def test_not_every_control_there_is_gets_tried(self, desk: Desk) -> None:
        desk.doubt()
        for n in range(10):
            desk.delivered(activity(20 + n, 20 + n), 5 + n)
        for n in (0, 9, 8):
            assert desk.wants(62) == 20 + n
            self.failed(desk, 20 + n, 62, is_refused=True)
        assert desk.wants(63) == 5
        assert desk.show(5, at=63) == []
        assert [proof for proof, _ in desk.show(5, at=63 + WAIT)] == [Proof.NONE]

    def test_other_leads_do_not_matter(self, desk: Desk) -> None:
        desk.doubt()
        assert [self.failed(desk, 9, at, is_refused=True) for at in (61, 100, 140)] == [[], [], []]
        assert desk.wants(141) == 5


class TestReading:
    def test_early_and_once_when_nothing_is_left_to_send(self, desk: Desk) -> None:
        desk.doubt(since=1)
        assert [desk.wants(at) for at in (1, 2.5)] == [None, None]
        assert desk.wants(3.6) == 5
        desk.show(5, at=3.6)
        assert [desk.wants(at) for at in (10, 40, 60)] == [None] * 3
        assert desk.wants(61) == 5

    def test_not_early_while_rows_are_being_sent(self, desk: Desk) -> None:
        desk.is_idle = False
        desk.doubt(since=1)
        assert [desk.wants(at) for at in (3, 30, 60)] == [None] * 3

    def test_a_lead_that_is_being_read_is_passed_over(self, desk: Desk) -> None:
        desk.doubt()
        desk.doubt(activity(8, 8))
        assert desk.wants(61) == 5
        assert desk.wants(62, busy=(5,)) == 8
        assert desk.wants(63, busy=(5, 8)) is None

    def test_the_oldest_doubt_is_told(self, desk: Desk) -> None:
        assert desk.settling.oldest() is None
        desk.doubt(activity(8, 8), since=9)
        first = desk.doubt(since=3)
        assert desk.settling.oldest() is first

    def test_a_twin_waits_until_the_doubt_is_over(self, desk: Desk) -> None:
        desk.doubt()
        assert desk.settling.holds(SENT.trace_hash, 5)
        assert not desk.settling.holds(CONTROL.trace_hash, 5)
        desk.show(5, SENT, at=2)
        assert not desk.settling.holds(SENT.trace_hash, 5)

    def test_giving_up_ends_every_doubt(self, desk: Desk) -> None:
        desk.doubt()
        desk.doubt(activity(8, 8))
        ends = desk.settling.give_up("not permitted")
        assert [(end.proof, end.reason) for end in ends] == [(Proof.NONE, "not permitted")] * 2
        assert (len(desk.settling), desk.wants(100)) == (0, None)

    def test_what_was_judged_is_judged_once(self, desk: Desk) -> None:
        doubt = desk.doubt()
        desk.delivered(CONTROL, 5)
        desk.show(6, CONTROL, at=61)
        desk.show(5, at=63)
        reading = Reading(desk.page(5, at=63 + WAIT), [], {}, lambda doubt, before: True)
        assert desk.settling.take(reading, {doubt: Match.ABSENT}, is_idle=True) == [Settled(doubt, Proof.NOT_STORED)]
        assert desk.settling.of_lead(5) == ()
