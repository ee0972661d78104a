"""Which delivered activity may vouch for a doubt, and what becomes of one that may not."""

from __future__ import annotations

import math

import pytest
from support.desk import CREATED, SETTLE

from airflow_provider_lofty.delivery.controls import Controls
from airflow_provider_lofty.delivery.doubt import MOST_FLAWS, Control, Doubt, Page
from airflow_provider_lofty.journal.journal import Intent
from airflow_provider_lofty.lofty.settings import ABSENCE
from airflow_provider_lofty.lofty.trace import Trace, trace_in_entry


def activity(n: int, kind: str = "Browse", text: str | None = None) -> Trace:
    """An activity of the lead with this number."""
    entry = {"type": kind, "created": CREATED + n * 10**6, "text": text or f"home {n}", "link": f"link {n}"}
    found = trace_in_entry(n, entry)
    assert found is not None
    return found


def doubt(since: float = 1.0, kind: str = "Browse") -> Doubt:
    wanted = activity(1, kind)
    return Doubt(Intent(wanted.trace_hash, b"f", wanted), None, 0.0, since, SETTLE, ABSENCE * SETTLE)


def look(controls: Controls, control: Control, doubts: list[Doubt], *shown: Trace, at: float = 10.0) -> None:
    page = Page(control.wanted.lead_id, shown, True, at, at)
    own = [entry for entry in shown if entry != control.wanted]
    controls.look_at(page, {control: doubts}, own, {control.wanted.trace_hash: 1})


@pytest.fixture
def controls() -> Controls:
    return Controls()


def assigned(controls: Controls, **settings: float) -> Doubt:
    one = doubt(**settings)
    controls.assign(one)
    return one


class TestChoosing:
    def test_the_newest_that_was_begun_after_the_doubt(self, controls: Controls) -> None:
        for sent in (0.5, 2.0, 3.0):
            controls.delivered(activity(int(sent * 10)), sent, ())
        one = assigned(controls)
        assert one.control is not None
        assert one.control.sent == 3.0

    @pytest.mark.parametrize(("sent", "kind"), [(0.9, "Browse"), (5.0, "Search")])
    def test_none_that_is_older_or_of_another_type(self, controls: Controls, sent: float, kind: str) -> None:
        controls.delivered(activity(2, kind), sent, ())
        assert assigned(controls).control is None

    def test_a_doubt_without_one_gets_the_next_that_is_delivered(self, controls: Controls) -> None:
        one, late = assigned(controls), assigned(controls, since=9.0)
        one.next_read = late.next_read = 100.0
        controls.delivered(activity(2), 5.0, ())
        assert one.control is not None
        assert (one.next_read, late.control, late.next_read) == (-math.inf, None, 100.0)

    def test_a_doubt_that_is_over_gets_none(self, controls: Controls) -> None:
        one = assigned(controls)
        controls.forget(one)
        controls.delivered(activity(2), 5.0, ())
        assert one.control is None

    def test_one_that_was_seen_is_better_than_a_newer_one(self, controls: Controls) -> None:
        first = assigned(controls)
        controls.delivered(activity(2), 5.0, ())
        assert first.control is not None
        look(controls, first.control, [first], activity(2))
        controls.delivered(activity(3), 6.0, ())
        later = assigned(controls, since=2.0)
        assert controls.control_of(later) is first.control

    def test_one_of_the_same_lead_is_its_own(self, controls: Controls) -> None:
        one = assigned(controls)
        same_lead = activity(2)._replace(lead_id=one.lead_id)
        for sent, wanted in ((0.5, same_lead), (2.0, activity(3)), (3.0, same_lead), (4.0, same_lead)):
            controls.delivered(wanted, sent, [one])
        assert one.own is not None
        assert (one.own.sent, one.own.wanted) == (3.0, same_lead)


class TestLooking:
    def control(self, controls: Controls) -> tuple[Doubt, Control]:
        one = assigned(controls)
        controls.delivered(activity(2), 5.0, ())
        assert one.control is not None
        return one, one.control

    def test_one_that_is_shown_as_it_was_sent_is_verified(self, controls: Controls) -> None:
        one, control = self.control(controls)
        look(controls, control, [one], activity(2), at=10.0)
        assert (control.is_verified, control.verified_at) == (True, 10.0)

    def test_one_that_is_not_shown_yet_is_looked_for_later(self, controls: Controls) -> None:
        one, control = self.control(controls)
        look(controls, control, [one], at=10.0)
        assert (control.is_verified, control.flaw, one.next_read) == (False, "", 10.0 + one.pause_seconds)

    def test_one_that_is_shown_altered_is_replaced(self, controls: Controls) -> None:
        one, control = self.control(controls)
        controls.delivered(activity(3), 6.0, ())
        look(controls, control, [one], activity(2, text="cut"))
        assert control.flaw
        assert one.flaws == 1
        assert one.control is not None
        assert one.control.wanted == activity(3)

    def test_all_of_several_alike_have_to_be_shown(self, controls: Controls) -> None:
        one, control = self.control(controls)
        page = Page(2, (activity(2),), True, 10.0, 10.0)
        controls.look_at(page, {control: [one]}, [], {activity(2).trace_hash: 2})
        assert not control.is_verified

    def test_so_many_are_tried(self, controls: Controls) -> None:
        one = assigned(controls)
        for n in range(2, 12):
            controls.delivered(activity(n), float(n), ())
        while not one.has_used_up_controls:
            assert one.control is not None
            controls.spoil(one.control, [one], "useless")
        assert (one.flaws, one.flaw) == (MOST_FLAWS, "useless")
