"""Doubt becomes an outcome: what is shown was stored, and what is not shown is judged with patience and a control."""

from __future__ import annotations

import math
from typing import Any

import pytest

from airflow_provider_lofty.delivery.controls import Controls
from airflow_provider_lofty.delivery.doubt import PATIENCE, Doubt, Page, Proof, Settled
from airflow_provider_lofty.delivery.matching import Match, match
from airflow_provider_lofty.delivery.settling import Settling
from airflow_provider_lofty.journal.journal import Intent
from airflow_provider_lofty.lofty.trace import Trace, trace_in_entry

SETTLE = 60.0
CREATED = 1_772_359_200_000
LATE = PATIENCE * SETTLE


def activity(n: int, lead_id: int, kind: str = "Browse", **changes: Any) -> Trace:
    """Make an activity that is unlike those with other numbers."""
    entry = {"type": kind, "created": CREATED + n * 10**6, "text": f"home {n}", "link": f"link {n}", **changes}
    found = trace_in_entry(lead_id, entry)
    assert found is not None
    return found


SENT = activity(1, 5)
ALTERED = activity(1, 5, text="home")
CONTROL = activity(2, 6)
CONTROL_ALTERED = activity(2, 6, text="home")


class Desk:
    """A settling with its clock, and Lofty's pages as they come in."""

    def __init__(self, *, is_proving: bool = True, **older: Trace) -> None:
        self.now = 0.0
        self.is_idle = True
        self.controls = Controls(older.get)
        self.settling = Settling(self.controls, is_proving=is_proving, clock=lambda: self.now)

    def doubt(self, wanted: Trace = SENT, *, sent: float = 0.0, since: float = 1.0) -> Doubt:
        doubt = Doubt(Intent(wanted.trace_hash, b"f", wanted), None, sent, since, SETTLE)
        self.settling.add(doubt)
        return doubt

    def page(self, lead_id: int, *entries: Trace, at: float, took: float = 1.0, is_complete: bool = True) -> Page:
        return Page(lead_id, entries, is_complete, at, at + took)

    def take(self, page: Page, claimed: tuple[Trace, ...] = (CONTROL,)) -> list[Settled]:
        """Take a page as a run does."""
        self.now = max(self.now, page.ended)
        doubts = [doubt for doubt in self.settling.of_lead(page.lead_id) if doubt.since <= page.started]
        claims = {one.trace_hash: 1 for one in claimed}
        found, surplus = match([doubt.wanted for doubt in doubts], page.entries, claims)
        self.settling.look_at_controls(page, surplus, claims)
        return self.settling.take(page, dict(zip(doubts, found, strict=True)), is_idle=self.is_idle)

    def show(self, lead_id: int, *entries: Trace, at: float, **how: Any) -> list[tuple[Proof, str]]:
        """What a page of this lead settles, and why."""
        return [(end.proof, end.reason) for end in self.take(self.page(lead_id, *entries, at=at, **how))]

    def wants(self, at: float, busy: tuple[int, ...] = ()) -> Trace | None:
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


class TestAbsent:
    def test_before_the_settle_time_it_proves_nothing(self, desk: Desk) -> None:
        desk.doubt(since=1)
        desk.controls.delivered(CONTROL, 5)
        desk.show(6, CONTROL, at=8)
        for at in (10, 30, 60.9):
            assert desk.show(5, at=at) == []
        assert desk.show(5, at=61) == NOT_STORED

    def test_with_a_control_that_is_shown_it_proves_not_stored(self, desk: Desk) -> None:
        desk.doubt()
        desk.controls.delivered(CONTROL, 5)
        assert desk.wants(61) == CONTROL
        assert desk.show(6, CONTROL, at=61) == []
        assert desk.wants(63) == SENT
        assert desk.show(5, at=63) == NOT_STORED
        assert desk.wants(70) is None

    def test_the_control_may_be_on_the_very_page(self, desk: Desk) -> None:
        control = activity(2, 5)
        desk.doubt()
        desk.controls.delivered(control, 5)
        assert [end.proof for end in desk.take(desk.page(5, control, at=61), (control,))] == [Proof.NOT_STORED]

    def test_a_control_seen_on_a_page_asked_for_later_proves_nothing(self, desk: Desk) -> None:
        desk.doubt()
        desk.controls.delivered(CONTROL, 5)
        slow = desk.page(5, at=61, took=10)
        assert desk.show(6, CONTROL, at=62) == []
        assert desk.take(slow) == []
        assert desk.wants(71) == SENT
        assert desk.show(5, at=71) == NOT_STORED

    def test_nor_does_one_whose_page_came_after_this_one_was_asked_for(self, desk: Desk) -> None:
        desk.doubt()
        desk.controls.delivered(CONTROL, 5)
        slow = desk.page(5, at=61, took=10)
        assert desk.show(6, CONTROL, at=60.5) == []
        assert desk.take(slow) == []

    @pytest.mark.parametrize("sent", [-5.0, 0.0])
    def test_what_was_delivered_before_is_no_control_for_a_long_time(self, desk: Desk, sent: float) -> None:
        desk.controls.delivered(CONTROL, sent)
        desk.doubt(sent=0, since=1)
        assert desk.show(6, CONTROL, at=61) == []
        assert desk.show(5, at=63) == []

    def test_nor_is_an_activity_of_another_type(self, desk: Desk) -> None:
        desk.doubt()
        desk.controls.delivered(activity(2, 6, "Search"), 5)
        assert desk.show(6, activity(2, 6, "Search"), at=61) == []
        ((proof, reason),) = desk.show(5, at=63)
        assert proof is Proof.NONE
        assert "Browse" in reason

    def test_a_control_serves_all_doubts_that_were_sent_before_it(self, desk: Desk) -> None:
        for lead_id in (11, 12):
            desk.doubt(activity(lead_id, lead_id), sent=lead_id - 11)
        desk.controls.delivered(CONTROL, 5)
        desk.doubt(activity(13, 13), sent=6, since=7)
        desk.show(6, CONTROL, at=70)
        assert [desk.show(lead_id, at=80) for lead_id in (11, 12)] == [NOT_STORED, NOT_STORED]
        assert desk.show(13, at=80) == []
        assert len(desk.settling) == 1

    def test_any_control_serves_a_doubt_of_an_earlier_try(self, desk: Desk) -> None:
        doubt = desk.doubt(sent=-math.inf)
        assert doubt.is_from_before
        desk.controls.delivered(CONTROL, doubt.since)
        desk.show(6, CONTROL, at=61)
        assert desk.show(5, at=63) == NOT_STORED

    def test_a_doubt_may_come_after_its_control(self, desk: Desk) -> None:
        desk.controls.delivered(CONTROL, 30)
        desk.doubt(sent=0, since=30)
        desk.show(6, CONTROL, at=91)
        assert desk.show(5, at=93) == NOT_STORED

    def test_what_was_sent_while_its_request_was_on_its_way_is_no_control(self, desk: Desk) -> None:
        desk.controls.delivered(CONTROL, 29)
        desk.doubt(sent=0, since=30)
        desk.show(6, CONTROL, at=91)
        assert desk.show(5, at=93) == []

    def test_a_page_that_was_asked_for_before_the_doubt_says_nothing(self, desk: Desk) -> None:
        desk.controls.delivered(CONTROL, 5)
        desk.doubt(since=100)
        assert desk.show(5, SENT, at=99) == []
        assert len(desk.settling) == 1


class TestControlsThatFail:
    def test_one_that_is_not_shown_yet_is_waited_for(self, desk: Desk) -> None:
        desk.doubt()
        desk.controls.delivered(CONTROL, 5)
        assert desk.show(6, at=61) == []
        assert desk.wants(62) is None
        assert desk.wants(62 + SETTLE / 2) == CONTROL
        assert desk.show(5, at=95) == []
        desk.show(6, CONTROL, at=130)
        assert desk.show(5, at=135) == NOT_STORED

    def test_one_that_is_never_shown_proves_nothing(self, desk: Desk) -> None:
        desk.doubt(since=1)
        desk.controls.delivered(CONTROL, 5)
        at = 61.0
        while at < 1 + LATE + SETTLE:
            assert desk.show(6, at=at) == []
            assert desk.show(5, at=at + 1) == []
            at += SETTLE
        assert desk.wants(at + SETTLE) == SENT
        assert desk.show(5, at=at + SETTLE) == [(Proof.NONE, "Lofty does not show what was delivered after it, either")]

    def test_one_that_is_shown_otherwise_than_it_was_sent_proves_nothing(self, desk: Desk) -> None:
        desk.doubt()
        desk.controls.delivered(CONTROL, 5)
        assert desk.show(6, CONTROL_ALTERED, at=61) == []
        assert desk.wants(63) == SENT
        assert desk.show(5, at=63) == [(Proof.NONE, "Lofty does not show activities as they were sent")]

    def test_without_any_the_type_is_named(self, desk: Desk) -> None:
        desk.doubt()
        assert desk.wants(61) == SENT
        ((proof, reason),) = desk.show(5, at=61)
        assert proof is Proof.NONE
        assert "no other Browse activity was delivered" in reason

    def test_while_rows_are_being_sent_one_may_still_come(self, desk: Desk) -> None:
        desk.is_idle = False
        desk.doubt()
        assert desk.wants(100) is None
        assert desk.show(5, at=101) == []
        desk.controls.delivered(CONTROL, 110)
        assert desk.wants(200) == CONTROL

    @pytest.mark.parametrize("how", ["by the journal", "by this run"])
    def test_an_older_one_will_do_after_ten_settle_times(self, how: str) -> None:
        desk = Desk(Browse=CONTROL) if how == "by the journal" else Desk()
        if how == "by this run":
            desk.controls.delivered(CONTROL, -5)
        desk.doubt(since=1)
        assert desk.wants(61) == SENT
        for at in (61, 300, LATE):
            assert desk.show(5, at=at) == []
            assert desk.show(6, CONTROL, at=at) == []
        assert desk.wants(LATE + 2) == CONTROL
        assert desk.show(6, CONTROL, at=LATE + 2) == []
        assert desk.wants(LATE + 4) == SENT
        assert desk.show(5, at=LATE + 4) == NOT_STORED

    def test_while_only_time_can_help_nothing_is_read(self) -> None:
        desk = Desk(Browse=CONTROL)
        desk.doubt(since=1)
        desk.show(5, at=61)
        assert [desk.wants(at) for at in (70, 200, LATE)] == [None] * 3


class TestNear:
    def test_three_looks_at_one_nearly_the_same_end_it(self, desk: Desk) -> None:
        desk.doubt()
        desk.controls.delivered(CONTROL, 5)
        desk.show(6, CONTROL, at=61)
        assert desk.show(5, ALTERED, at=63) == []
        assert desk.wants(65) is None
        assert desk.show(5, ALTERED, at=65 + SETTLE) == []
        assert desk.show(5, ALTERED, at=65 + SETTLE * 2) == [(Proof.NONE, "Lofty shows one that is nearly the same")]

    def test_looks_before_the_settle_time_do_not_count(self, desk: Desk) -> None:
        doubt = desk.doubt()
        for at in (2, 3, 4, 5):
            assert desk.show(5, ALTERED, at=at) == []
        assert doubt.times_near == 0

    def test_it_may_be_shown_as_it_was_sent_after_all(self, desk: Desk) -> None:
        desk.doubt()
        desk.show(5, ALTERED, at=63)
        assert desk.show(5, SENT, at=120) == STORED


def test_a_page_that_is_not_whole_proves_nothing(desk: Desk) -> None:
    desk.doubt()
    desk.controls.delivered(CONTROL, 5)
    desk.show(6, CONTROL, at=10)
    assert desk.show(5, at=30, is_complete=False) == []
    assert desk.show(5, at=63, is_complete=False) == [(Proof.NONE, "its lead has too many activities to look for it")]


@pytest.mark.parametrize("entries", [(), (ALTERED,)])
def test_when_absence_is_not_to_be_proved_it_never_is(entries: tuple[Trace, ...]) -> None:
    desk = Desk(is_proving=False)
    desk.is_idle = False
    desk.doubt()
    desk.controls.delivered(CONTROL, 5)
    desk.show(6, CONTROL, at=10)
    assert desk.show(5, *entries, at=30) == []
    assert desk.wants(61) == SENT
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
            assert desk.wants(at + SETTLE / 2) == SENT
        assert self.failed(desk, 5, 1 + LATE, is_refused=False) == [
            Settled(doubt, Proof.NONE, "reading back failed: no", may_settle_later=True)
        ]

    def test_a_control_whose_lead_is_refused_is_replaced_by_another(self, desk: Desk) -> None:
        desk.doubt()
        desk.controls.delivered(CONTROL, 5)
        desk.controls.delivered(activity(3, 7), 6)
        assert desk.wants(61) == CONTROL
        assert self.failed(desk, 6, 61, is_refused=True) == []
        assert desk.wants(62) == activity(3, 7)
        desk.show(7, activity(3, 7), at=62)
        assert desk.show(5, at=64) == NOT_STORED

    def test_where_no_control_can_be_read_it_stays_unknown_at_once(self, desk: Desk) -> None:
        desk.doubt()
        desk.controls.delivered(CONTROL, 5)
        assert self.failed(desk, 6, 61, is_refused=True) == []
        assert desk.wants(62) == SENT
        assert desk.show(5, at=62) == [(Proof.NONE, "what was delivered after it cannot be read: no")]

    def test_while_rows_are_sent_another_control_is_waited_for(self, desk: Desk) -> None:
        desk.is_idle = False
        desk.doubt()
        desk.controls.delivered(CONTROL, 5)
        self.failed(desk, 6, 61, is_refused=True)
        assert desk.wants(62) is None
        desk.controls.delivered(activity(3, 7), 63)
        assert desk.wants(64) == activity(3, 7)

    def test_not_every_control_there_is_gets_tried(self, desk: Desk) -> None:
        desk.doubt()
        for n in range(10):
            desk.controls.delivered(activity(20 + n, 20 + n), 5 + n)
        for n in (0, 9, 8):
            assert desk.wants(62) == activity(20 + n, 20 + n)
            self.failed(desk, 20 + n, 62, is_refused=True)
        assert desk.wants(63) == SENT
        assert [proof for proof, _ in desk.show(5, at=63)] == [Proof.NONE]

    def test_other_leads_do_not_matter(self, desk: Desk) -> None:
        desk.doubt()
        assert [self.failed(desk, 9, at, is_refused=True) for at in (61, 100, 140)] == [[], [], []]
        assert desk.wants(141) == SENT


class TestReading:
    def test_early_and_once_when_nothing_is_left_to_send(self, desk: Desk) -> None:
        desk.doubt(since=1)
        assert [desk.wants(at) for at in (1, 2.5)] == [None, None]
        assert desk.wants(3) == SENT
        desk.show(5, at=3)
        assert [desk.wants(at) for at in (10, 40, 60)] == [None] * 3
        assert desk.wants(61) == SENT

    def test_not_early_while_rows_are_being_sent(self, desk: Desk) -> None:
        desk.is_idle = False
        desk.doubt(since=1)
        assert [desk.wants(at) for at in (3, 30, 60)] == [None] * 3

    def test_a_lead_that_is_being_read_is_passed_over(self, desk: Desk) -> None:
        desk.doubt()
        desk.doubt(activity(8, 8))
        assert desk.wants(61) == SENT
        assert desk.wants(62, busy=(5,)) == activity(8, 8)
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
        desk.controls.delivered(CONTROL, 5)
        desk.show(6, CONTROL, at=61)
        page = desk.page(5, at=63)
        assert desk.settling.take(page, {doubt: Match.ABSENT}, is_idle=True) == [Settled(doubt, Proof.NOT_STORED)]
        assert desk.settling.of_lead(5) == ()
