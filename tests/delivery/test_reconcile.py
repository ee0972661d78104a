"""What a lead's page means for rows in doubt, and what becomes of them where nothing can be read."""

from __future__ import annotations

from typing import Any

import pytest
from support.desk import SETTLE, Desk, MakeDesk

from airflow_provider_lofty.delivery.doubt import Page
from airflow_provider_lofty.delivery.identities import NO_QUESTIONS
from airflow_provider_lofty.delivery.matching import reach_of
from airflow_provider_lofty.delivery.stop import Stop, StopKind
from airflow_provider_lofty.exceptions import (
    LoftyConfigurationError,
    LoftyCredentialRefused,
    LoftyRequestRejected,
    LoftyUnreachable,
)
from airflow_provider_lofty.journal.journal import Released, intent_of
from airflow_provider_lofty.lofty.answers import PERMISSION_MISSING, Meaning, Verdict
from airflow_provider_lofty.lofty.settings import ABSENCE
from airflow_provider_lofty.lofty.trace import trace_of_body
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import CONTENT_HAS_CHANGED, JournalState, OfAnother, PastRow
from airflow_provider_lofty.spool.spool import Result

LOST = Verdict(Meaning.DOUBT, 502, message="an HTML page")


def doubt(desk: Desk) -> None:
    """Send the next row; its answer is lost."""
    work = desk.post()
    desk.verdicts.take(work, LOST)
    desk.in_flight.settle(work)


def deliver(desk: Desk) -> None:
    work = desk.post()
    desk.verdicts.take(work, Verdict(Meaning.DELIVERED, 200, lead_id=work.row.lead_id))
    desk.in_flight.settle(work)


def fail(desk: Desk, lead_id: int, error: type[Any] = LoftyUnreachable, code: int | None = None) -> Stop | None:
    failure = error("no")
    failure.code = code
    return desk.reconciler.failed(lead_id, failure)


def closed(desk: Desk) -> list[str]:
    """What the journal was told last of each row, in input order."""
    desk.recorder.finish()
    states = dict(desk.journal.closed)
    return [states.get(row.row_key, "") for row in desk.rows]


class TestPages:
    def test_what_is_shown_is_delivered(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        doubt(desk)
        desk.show(7, 1)
        assert (desk.outcomes, closed(desk)) == (["delivered"], [JournalState.DELIVERED])
        assert (desk.results[0].error, desk.results[0].http_status) == ("found by reading back", 502)

    def test_what_is_proved_not_to_be_stored_is_sent_again_twice_at_most(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        for _ in range(3):
            doubt(desk)
            desk.clock.now += 1
            control = desk.trace(1)._replace(trace_hash=b"another", created=0, text_mark=b"", link_mark=b"")
            desk.settling.delivered(control, desk.clock.now)
            desk.clock.now += ABSENCE * SETTLE
            desk.show(7, control)
        assert desk.outcomes[0] == "rejected"
        assert desk.results[0].error == "sent 3 times, and each time proved not to be stored; not stored"
        assert closed(desk)[0] == JournalState.REJECTED

    def test_an_entry_of_a_delivered_row_proves_nothing_about_its_twin(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        deliver(desk)
        desk.backlog.put([desk.rows[0]._replace(n=99, row_key=b"twin")])
        doubt(desk)
        desk.show(7, 1)
        assert len(desk.settling) == 1
        desk.show(7, 1, 1)
        assert len(desk.settling) == 0

    def test_nor_does_one_that_may_be_of_a_row_on_its_way(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        doubt(desk)
        page_shows_it = [desk.rows[0].trace_hash]
        desk.in_flight.trace_hashes = lambda: page_shows_it  # type: ignore[method-assign]
        desk.show(7, 1)
        assert len(desk.settling) == 1

    def test_nor_does_one_that_may_be_a_delivered_row_altered(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 8)
        deliver(desk)
        desk.backlog.put([desk.rows[0]._replace(n=99, row_key=b"other")])
        doubt(desk)
        desk.show(7, desk.trace(1)._replace(trace_hash=b"altered"))
        assert len(desk.settling) == 1

    def test_nor_does_one_of_a_row_that_another_run_delivers_while_the_lead_is_read(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 7)
        doubt(desk)
        other = desk.rows[1]
        desk.journal.claims.add(other.row_key)
        desk.backlog.avoid_lead = None
        assert desk.make_ready() == []
        desk.clock.now += SETTLE
        assert desk.reconciler.next_read((), is_idle=True) is not None
        desk.spool.history.add([PastRow(other.row_key, JournalState.DELIVERED, other.fingerprint, other.trace_hash)])
        desk.reconciler.take_released(Released(other.row_key, JournalState.DELIVERED))
        desk.show(7, 2)
        assert (desk.outcomes, len(desk.settling)) == ([None, "already_delivered"], 1)
        desk.show(7, 2, 1)
        assert (desk.outcomes, len(desk.settling)) == (["delivered", "already_delivered"], 0)

    def test_a_row_that_another_try_delivered_after_all_needs_no_entry(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        doubt(desk)
        row = desk.rows[0]
        desk.spool.history.add([PastRow(row.row_key, JournalState.DELIVERED, row.fingerprint, row.trace_hash)])
        desk.show(7)
        assert (desk.outcomes, closed(desk)) == (["delivered"], [JournalState.DELIVERED])
        assert desk.results[0].error == "delivered by an earlier try or another run"
        assert len(desk.settling) == 0

    def test_an_entry_that_cannot_be_read_may_be_the_row(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 7)
        doubt(desk)
        desk.clock.now += 1
        deliver(desk)
        for unreadable in ([b"odd"], [b"odd"], []):
            desk.clock.now += ABSENCE * SETTLE
            assert len(desk.settling) == 1
            desk.reconciler.take(
                Page(7, [desk.trace(2)], True, desk.clock.now, desk.clock.now, unreadable), is_idle=True
            )
        assert (desk.outcomes, desk.make_ready()) == ([None, "delivered"], [1])

    def test_a_twin_waits_for_the_doubt_and_then_goes(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        doubt(desk)
        desk.backlog.put([desk.rows[0]._replace(n=99, row_key=b"twin")])
        assert desk.make_ready() == []
        desk.show(7, 1)
        assert desk.make_ready() == [99]


class TestDoubtsThatLookTheSame:
    """An old try may still be alive, and get its answer after the entry of its row was given to another one."""

    def resumed(self, make_desk: MakeDesk, *are_open: bool) -> Desk:
        desk = make_desk(7)
        for n, is_open in enumerate(are_open):
            intent = intent_of(desk.rows[0], 1)._replace(row_key=b"twin %d" % n, may_be_answered=is_open)
            desk.reconciler.take_earlier(intent, None)
        return desk

    def delivered(self, desk: Desk) -> list[bytes]:
        desk.recorder.finish()
        return [row_key for row_key, state in desk.journal.closed if state == JournalState.DELIVERED]

    def test_an_entry_is_of_the_one_that_may_be_answered_yet(self, make_desk: MakeDesk) -> None:
        desk = self.resumed(make_desk, False, True, False)
        desk.show(7, 1)
        assert self.delivered(desk) == [b"twin 1"]
        desk.show(7, 1, 1)
        assert self.delivered(desk) == [b"twin 1", b"twin 0"]

    def test_of_several_such_ones_it_proves_none_unless_all_are_shown(self, make_desk: MakeDesk) -> None:
        desk = self.resumed(make_desk, False, True, True)
        desk.show(7, 1)
        assert self.delivered(desk) == []
        desk.show(7, 1, 1)
        assert self.delivered(desk) == [b"twin 1", b"twin 2"]


class TestReading:
    def test_a_lead_is_read_down_to_the_oldest_that_is_sought(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 7)
        doubt(desk)
        desk.clock.now += 1
        doubt(desk)
        desk.clock.now += SETTLE
        assert desk.reconciler.next_read((), is_idle=True) == (
            7,
            -SETTLE * 1000,
            NO_QUESTIONS,
        )  # it may be shown as sent then
        assert desk.reconciler.next_read((7,), is_idle=True) is None

    def test_a_sign_of_life_is_sought_where_a_doubt_is(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 8)
        assert desk.reconciler.probe() == (7, 2**63, NO_QUESTIONS)  # one page will do
        doubt(desk)
        assert desk.reconciler.probe() == (
            7,
            -SETTLE * 1000,
            NO_QUESTIONS,
        )  # when it was sent, which may be shown as its time

    def test_or_else_where_a_lead_is_to_be_read_anyway(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, check_existing="always")
        assert desk.reconciler.probe() == (7, reach_of(desk.trace(1)), NO_QUESTIONS)


def take_gone(desk: Desk, answered_lead: int | None = None) -> None:
    """Take a row of lead 7 from an earlier try, which the input no longer has; a row of lead 8 is delivered after it."""
    intent = intent_of(desk.rows[0], 1)
    trace = intent.trace._replace(lead_id=7, trace_hash=b"gone")
    desk.reconciler.take_earlier(intent._replace(row_key=b"gone", trace=trace, answered_lead=answered_lead), None)
    desk.clock.now += 1
    deliver(desk)
    desk.clock.now += SETTLE
    desk.show(8, 1)


class TestEarlierTries:
    def test_they_are_looked_for(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        desk.reconciler.take_earlier(intent_of(desk.rows[0], 1), desk.rows[0])
        desk.show(7, 1)
        assert (desk.outcomes, desk.results[0].attempts) == (["already_delivered"], 1)

    def test_one_that_the_input_no_longer_has_is_never_sent_again(self, make_desk: MakeDesk) -> None:
        desk = make_desk(8)
        take_gone(desk)
        for _ in range(2):
            desk.clock.now += ABSENCE * SETTLE
            desk.show(7)
        desk.recorder.finish()
        assert (b"gone", JournalState.WITHDRAWN) in desk.journal.closed
        assert any("the input no longer has it" in line for line in desk.log.lines)
        assert desk.make_ready() == []

    def test_where_reading_is_not_permitted_one_that_the_input_no_longer_has_is_left_to_people(
        self, make_desk: MakeDesk
    ) -> None:
        desk = make_desk(7)
        gone = intent_of(desk.rows[0], 1)._replace(row_key=b"gone")
        desk.reconciler.take_earlier(gone, None)
        assert fail(desk, 7, LoftyCredentialRefused) is None
        desk.recorder.finish()
        assert desk.journal.closed == [(b"gone", JournalState.ABANDONED)]
        assert any("it may be stored; look at the lead" in line for line in desk.log.lines)

    def test_one_that_lofty_answered_with_another_lead_is_not_said_to_be_nowhere(self, make_desk: MakeDesk) -> None:
        desk = make_desk(8)
        take_gone(desk, answered_lead=70)
        for _ in range(3):
            desk.clock.now += ABSENCE * SETTLE
            for lead_id in (7, 70):
                desk.show(lead_id)
        desk.recorder.finish()
        assert (b"gone", JournalState.ABANDONED) in desk.journal.closed
        assert not any("proved not to be stored" in line for line in desk.log.lines)

    def test_one_under_another_key_is_renamed_in_one_commit(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        old = intent_of(desk.rows[0], 1)._replace(row_key=b"old key")
        desk.reconciler.take_earlier(old, desk.rows[0])
        ((intents, closings),) = desk.journal.commits
        assert [intent.row_key for intent in intents] == [desk.rows[0].row_key]
        assert [(closing.intent.row_key, closing.state) for closing in closings] == [
            (b"old key", JournalState.WITHDRAWN)
        ]

    @pytest.mark.parametrize(
        ("on_unknown", "outcome", "ready"),
        [("report", None, []), ("resend", None, [1]), ("assume_delivered", "already_delivered", [])],
    )
    def test_the_author_may_decide_about_them(
        self, make_desk: MakeDesk, on_unknown: str, outcome: str | None, ready: list[int]
    ) -> None:
        desk = make_desk(7, on_unknown=on_unknown)
        desk.spool.doubt(Result(1, Outcome.UNKNOWN, attempts=1))
        desk.reconciler.take_earlier(intent_of(desk.rows[0], 1), desk.rows[0])
        assert (desk.outcomes, desk.make_ready()) == ([outcome], ready)
        assert len(desk.settling) == (on_unknown == "report")


class TestClaimedRows:
    def claimed(self, make_desk: MakeDesk) -> Desk:
        desk = make_desk(7)
        desk.journal.claims.add(desk.rows[0].row_key)
        assert desk.make_ready() == []
        desk.journal.claims.clear()
        return desk

    @pytest.mark.parametrize(
        ("state", "outcome", "error"),
        [
            (JournalState.DELIVERED, "already_delivered", "delivered by another run"),
            (JournalState.KEY_CONFLICT, "invalid", "unique_key"),
        ],
    )
    def test_some_have_their_outcome(self, make_desk: MakeDesk, state: str, outcome: str, error: str) -> None:
        desk = self.claimed(make_desk)
        desk.reconciler.take_released(Released(desk.rows[0].row_key, state))
        assert desk.outcomes == [outcome]
        assert error in str(desk.results[0].error)

    def test_what_was_withdrawn_is_sent_here(self, make_desk: MakeDesk) -> None:
        desk = self.claimed(make_desk)
        desk.reconciler.take_released(Released(desk.rows[0].row_key, JournalState.WITHDRAWN))
        assert desk.make_ready() == [1]

    def test_what_its_owner_left_in_doubt_is_in_doubt_here(self, make_desk: MakeDesk) -> None:
        desk = self.claimed(make_desk)
        desk.reconciler.take_released(Released(desk.rows[0].row_key, JournalState.DOUBTED, intent_of(desk.rows[0], 1)))
        assert (desk.make_ready(), len(desk.settling)) == ([], 1)
        desk.show(7, 1)
        assert desk.outcomes == ["already_delivered"]

    @pytest.mark.parametrize("state", [JournalState.DELIVERED, JournalState.DOUBTED])
    def test_another_content_under_its_key_is_remarked(self, make_desk: MakeDesk, state: JournalState) -> None:
        desk = self.claimed(make_desk)
        theirs = intent_of(desk.rows[0], 1)._replace(fingerprint=b"else")
        desk.reconciler.take_released(Released(desk.rows[0].row_key, state, theirs))
        desk.show(7, 1)
        assert (desk.outcomes, desk.results[0].error) == (["already_delivered"], CONTENT_HAS_CHANGED)

    @pytest.mark.parametrize("state", [JournalState.DELIVERED, JournalState.DOUBTED])
    def test_a_row_whose_lead_was_looked_for_is_where_the_other_run_sent_it(
        self, make_desk: MakeDesk, state: JournalState
    ) -> None:
        desk = self.claimed(make_desk)
        row = desk.rows[0]
        theirs = intent_of(row, 1)._replace(trace=trace_of_body(8, row.body))
        desk.reconciler.take_released(Released(row.row_key, state, theirs))
        assert desk.results[0].lead_id == 8
        assert [doubt.lead_id for doubt in desk.settling.of_lead(8)] == [8] * (state == JournalState.DOUBTED)

    def test_a_row_that_nobody_claimed_is_no_matter(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        desk.reconciler.take_released(Released(desk.rows[0].row_key, JournalState.DELIVERED))
        assert desk.outcomes == [None]


class TestWithoutReading:
    @pytest.mark.parametrize(
        ("error", "code"), [(LoftyCredentialRefused, None), (LoftyConfigurationError, PERMISSION_MISSING)]
    )
    def test_where_it_is_not_permitted_doubts_stay_unknown(
        self, make_desk: MakeDesk, error: type[Any], code: int | None
    ) -> None:
        desk = make_desk(7, 8)
        doubt(desk)
        assert fail(desk, 7, error, code) is None
        doubt(desk)
        assert (desk.outcomes, closed(desk)) == (
            ["unknown", "unknown"],
            [JournalState.ABANDONED, JournalState.ABANDONED],
        )
        assert len([line for line in desk.log.lines if "reading back does not work" in line]) == 1
        assert not desk.reconciler.may_settle_later

    def test_three_odd_answers_in_a_row_are_as_good_as_that(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        doubt(desk)
        fail(desk, 7, LoftyConfigurationError)
        fail(desk, 7, LoftyConfigurationError)
        desk.show(9)
        for _ in range(2):
            fail(desk, 7, LoftyConfigurationError)
        assert desk.outcomes == [None]
        fail(desk, 7, LoftyConfigurationError)
        assert desk.outcomes == ["unknown"]

    def test_what_a_later_try_may_settle_is_said_so(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        doubt(desk)
        desk.clock.now += 10 * SETTLE
        fail(desk, 7)
        assert (desk.outcomes, desk.reconciler.may_settle_later) == (["unknown"], True)

    def test_without_a_journal_nothing_is_sent(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, has_gaps=True)
        desk.backlog.refill()
        stop = fail(desk, 7, LoftyCredentialRefused)
        assert stop is not None
        assert (stop.kind, type(stop.error)) == (StopKind.CREDENTIAL, LoftyCredentialRefused)
        assert "no journal says which" in stop.reason
        assert desk.make_ready() == []

    @pytest.mark.parametrize("mode", ["sample", "always"])
    def test_a_credential_that_is_refused_before_anything_was_sent_ends_the_run(
        self, make_desk: MakeDesk, mode: str
    ) -> None:
        desk = make_desk(7, 8, check_existing=mode)
        if mode == "always":
            desk.backlog.refill()
        assert desk.reconciler.next_read((), is_idle=False) is not None
        stop = fail(desk, 7, LoftyCredentialRefused)
        assert stop is not None
        assert (stop.kind, stop.reason) == (StopKind.CREDENTIAL, "no")
        assert not any("reading back does not work" in line for line in desk.log.lines)

    @pytest.mark.parametrize("mode", ["sample", "always"])
    def test_a_permission_to_read_that_is_lacking_does_not(self, make_desk: MakeDesk, mode: str) -> None:
        desk = make_desk(7, 8, 9, check_existing=mode)
        if mode == "always":
            desk.backlog.refill()
        assert desk.reconciler.next_read((), is_idle=False) is not None
        assert fail(desk, 7, LoftyConfigurationError, PERMISSION_MISSING) is None
        assert desk.make_ready(2) == [1, 2]

    def test_after_rows_were_found_nothing_more_is_sent(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 8, check_existing="always")
        desk.backlog.refill()
        desk.show(7, 1)
        stop = fail(desk, 8, LoftyConfigurationError, PERMISSION_MISSING)
        assert stop is not None
        assert stop.kind is StopKind.CONFIGURATION
        assert desk.outcomes == ["already_delivered", None]
        assert desk.make_ready() == []

    def test_a_refusal_of_one_lead_is_no_such_thing(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        doubt(desk)
        for _ in range(2):
            assert fail(desk, 7, LoftyRequestRejected) is None
        assert desk.outcomes == [None]
        fail(desk, 7, LoftyRequestRejected)
        assert desk.outcomes == ["unknown"]


class TestWhatOthersDeliver:
    """Absence needs a page that shows what another run has delivered to the lead since the doubt."""

    @pytest.fixture
    def desk(self, make_desk: MakeDesk) -> Desk:
        """A row in doubt and the control of its lead, when its absence counts."""
        desk = make_desk(7, 7)
        doubt(desk)
        desk.clock.now += 1
        deliver(desk)
        desk.clock.now += ABSENCE * SETTLE
        return desk

    def other(self, closed_at: str) -> OfAnother:
        return OfAnother(b"other", 7, b"theirs", 10**12, closed_at)

    @pytest.mark.parametrize(
        ("closed_at", "is_proof"),
        [
            ("1970-01-01T00:00:00.500+00:00", False),  # while the control had not been begun
            ("1969-12-31T23:59:59.000+00:00", True),  # before the doubtful request
            ("1970-01-01T00:00:09.000+00:00", True),  # after the control
        ],
    )
    def test_it_has_to_be_shown(self, desk: Desk, closed_at: str, is_proof: bool) -> None:
        desk.spool.history.add_of_others([self.other(closed_at)])
        desk.show(7, 2)
        assert (len(desk.settling) == 0) is is_proof

    def test_shown_it_is_proof(self, desk: Desk) -> None:
        desk.spool.history.add_of_others([self.other("1970-01-01T00:00:00.500+00:00")])
        shown = desk.trace(2)._replace(trace_hash=b"theirs", created=0, text_mark=b"", link_mark=b"")
        desk.show(7, 2, shown)
        assert len(desk.settling) == 0
