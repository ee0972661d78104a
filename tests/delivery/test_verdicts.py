"""What each answer does with its row, and which of them end the run."""

from __future__ import annotations

import pytest
from support.desk import SETTLE, Desk, MakeDesk

from airflow_provider_lofty.delivery.breaker import TROUBLE_IN_A_ROW
from airflow_provider_lofty.delivery.stop import Stop, StopKind
from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyCredentialRefused
from airflow_provider_lofty.lofty.answers import Meaning, Verdict
from airflow_provider_lofty.spool.history import JournalState

REFUSED = Verdict(Meaning.REJECTED, 400, 20012, "INVALID_PARAMETER")
LOST = Verdict(Meaning.DOUBT, 502, message="an HTML page")


def take(desk: Desk, verdict: Verdict) -> Stop | None:
    """Send the next row and take this answer to it."""
    work = desk.post()
    stop = desk.verdicts.take(work, verdict)
    desk.in_flight.settle(work)
    desk.recorder.finish()
    return stop


def delivered(lead_id: int) -> Verdict:
    return Verdict(Meaning.DELIVERED, 200, lead_id=lead_id)


class TestDelivered:
    def test_journal_spool_and_breaker_learn_of_it(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        assert take(desk, delivered(7)) is None
        assert desk.journal.closed == [(desk.rows[0].row_key, JournalState.DELIVERED)]
        (result,) = desk.results
        assert (result.outcome, result.http_status, result.attempts, result.error) == ("delivered", 200, 1, None)
        assert (desk.verdicts.sent, desk.breaker.is_proven) == (1, True)

    def test_another_leads_id_is_a_remark(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        take(desk, delivered(8))
        assert desk.results[0].error == "Lofty answered with lead 8: the lead was merged"

    def test_it_is_the_control_of_earlier_doubts(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 8)
        take(desk, LOST)
        desk.clock.now += 1
        take(desk, delivered(8))
        (doubt,) = desk.settling.of_lead(7)
        assert doubt.control is not None
        assert doubt.control.wanted == desk.trace(2)


class TestDoubt:
    def test_another_leads_id_is_no_trouble(self, make_desk: MakeDesk) -> None:
        leads = range(1, TROUBLE_IN_A_ROW + 2)
        desk = make_desk(*leads)
        for _ in leads:
            take(desk, Verdict(Meaning.DOUBT, 200, message="the id of lead 7", lead_id=7))
        assert not desk.breaker.is_open
        assert all(desk.settling.of_lead(lead_id) for lead_id in leads)

    def test_it_is_looked_for_from_its_end_on(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        work = desk.post()
        desk.clock.now += 30
        desk.verdicts.take(work, LOST)
        (doubt,) = desk.settling.of_lead(7)
        assert (doubt.sent, doubt.since, doubt.settle_seconds) == (work.began, work.began + 30, SETTLE)
        assert (doubt.intent.attempts, doubt.row) == (1, work.row)
        desk.recorder.finish()
        assert desk.journal.closed == [(work.row.row_key, JournalState.DOUBTED)]
        assert desk.verdicts.sent == 1

    def test_the_next_to_be_tried_is_another_leads(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 7, 8)
        take(desk, LOST)
        assert desk.make_ready() == [3]

    def test_when_it_is_to_be_sent_again_that_is_done_three_times_in_all(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, on_unknown="resend")
        for attempts in (1, 2, 3):
            take(desk, LOST)
            assert desk.results[0].attempts == attempts
        assert desk.make_ready() == []
        assert desk.journal.closed[-1] == (desk.rows[0].row_key, JournalState.ABANDONED)  # so that nobody waits for it
        assert desk.outcomes == ["unknown"]

    def test_it_may_be_taken_for_delivered(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, on_unknown="assume_delivered")
        take(desk, LOST)
        assert desk.journal.closed == [(desk.rows[0].row_key, JournalState.DELIVERED)]
        assert (desk.outcomes, len(desk.settling)) == (["delivered"], 0)

    def test_without_an_answer_it_is_left_to_the_next_try(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        work = desk.post()
        desk.verdicts.take_unanswered(work, "the run ended before the answer came")
        desk.recorder.finish()
        assert desk.journal.closed == [(work.row.row_key, JournalState.DOUBTED)]
        assert (desk.verdicts.sent, desk.verdicts.has_unanswered, len(desk.settling)) == (1, True, 0)
        desk.spool.books.close("not_attempted")
        assert desk.outcomes == ["unknown"]


class TestNotStored:
    @pytest.mark.parametrize("meaning", [Meaning.RATE_LIMITED, Meaning.NEVER_SENT])
    def test_the_row_is_sent_next_and_it_costs_no_attempt(self, make_desk: MakeDesk, meaning: Meaning) -> None:
        desk = make_desk(7, 8)
        assert take(desk, Verdict(meaning, 429)) is None
        assert desk.backlog.pop_ready().row == desk.rows[0]
        assert (desk.outcomes, desk.journal.closed, desk.verdicts.sent) == ([None, None], [], 0)

    @pytest.mark.parametrize(
        ("meaning", "kind", "error"),
        [
            (Meaning.CREDENTIAL_REFUSED, StopKind.CREDENTIAL, LoftyCredentialRefused),
            (Meaning.MISCONFIGURED, StopKind.CONFIGURATION, LoftyConfigurationError),
        ],
    )
    def test_what_concerns_every_row_ends_the_run(
        self, make_desk: MakeDesk, meaning: Meaning, kind: StopKind, error: type[Exception]
    ) -> None:
        desk = make_desk(7)
        stop = take(desk, Verdict(meaning, 401))
        assert stop is not None
        assert (stop.kind, type(stop.error)) == (kind, error)
        assert desk.backlog.has_ready  # and is withdrawn in the end

    def test_connections_that_fail_open_the_breaker(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        for _ in range(TROUBLE_IN_A_ROW):
            work = desk.backlog.pop_ready() if desk.backlog.has_ready else desk.post()
            desk.verdicts.take(work, Verdict(Meaning.NEVER_SENT, message="no connection"))
        assert (desk.breaker.is_open, desk.breaker.last) == (True, "no connection")


class TestRejected:
    def test_the_words_of_the_row_are_cut_from_the_message(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7)
        take(desk, Verdict(Meaning.REJECTED, 400, 20012, "text row 1 is odd"))
        (result,) = desk.results
        assert (result.outcome, result.http_status, result.error_code) == ("rejected", 400, 20012)
        assert str(result.error).startswith("Lofty refused it: ")
        assert "row 1" not in str(result.error)
        assert (desk.journal.closed, desk.verdicts.sent) == ([(desk.rows[0].row_key, JournalState.REJECTED)], 0)

    def test_a_missing_lead_takes_its_other_rows_along(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 7, 8)
        take(desk, Verdict(Meaning.REJECTED, 404, 20006, "no lead"))
        assert desk.outcomes == ["rejected", "rejected", None]
        assert desk.results[1].error == "the lead does not exist, as Lofty said of row 1; not sent"
        assert desk.make_ready(2) == [3]

    def test_many_alike_before_any_success_end_the_run(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 8, 9, stop_after_rejections=2)
        assert take(desk, REFUSED) is None
        stop = take(desk, REFUSED)
        assert stop is not None
        assert stop.kind is StopKind.REJECTIONS
        assert stop.reason == (
            "Lofty refused 2 different leads alike before any success (HTTP 400, code 20012: INVALID_PARAMETER)"
        )

    def test_after_a_success_none_does(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 8, stop_after_rejections=1)
        take(desk, delivered(7))
        assert take(desk, REFUSED) is None
