"""Requests on their way: each is begun once, and whatever comes of it comes back."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.desk import Clock, Desk, HeldWorkers, MakeDesk

from airflow_provider_lofty.delivery.identities import Questions
from airflow_provider_lofty.delivery.workers import InFlight, PageRead, Posted, PostFailed, ReadFailed, Work, Workers
from airflow_provider_lofty.exceptions import LoftyCredentialRefused, LoftyRequestRejected
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.lofty.answers import Meaning
from airflow_provider_lofty.sandbox import Answer, Sandbox


class TestWorkers:
    def test_jobs_are_done_in_threads_of_their_own(self) -> None:
        workers: Workers[str] = Workers(2)
        both = threading.Barrier(2, timeout=10)  # passed only when both are under way at once

        def job() -> str:
            both.wait()
            return threading.current_thread().name

        workers.start(job)
        workers.start(job)
        names = {workers.result(10), workers.result(10)}
        workers.end()
        assert len(names) == 2
        assert all(name and name.startswith("lofty_") for name in names)

    def test_without_a_result_it_waits_no_longer_than_it_is_told(self) -> None:
        workers: Workers[str] = Workers(1)
        assert workers.result(0) is None
        workers.end()

    def test_at_the_end_only_what_no_thread_has_taken_up_is_cancelled(self) -> None:
        workers: Workers[str] = Workers(1)
        began, may_end, cancelled = threading.Event(), threading.Event(), []

        def job() -> str:
            began.set()
            may_end.wait(10)
            return "done"

        workers.start(job, cancelled=lambda: cancelled.append("first"))
        began.wait(10)
        workers.start(job, cancelled=lambda: cancelled.append("second"))
        workers.end()
        may_end.set()
        assert (workers.result(10), cancelled) == ("done", ["second"])
        assert workers.result(0) is None


class TestCounting:
    def test_a_row_stays_in_flight_until_its_result_is_settled(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1)
        desk.clock.now = 1234.0
        work = desk.post()
        assert (work.began, work.sent_at) == (1234.0, "1970-01-01T00:03:54.000+00:00")
        assert desk.in_flight.trace_hashes() == [work.row.trace_hash]
        desk.in_flight.settle(work)
        assert desk.in_flight.posts == {}

    def test_rows_and_leads_together_fill_the_room(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1, 2, 9)
        for lead_id in (7, 8):
            desk.in_flight.read(lead_id, since=0)
        desk.post()
        assert desk.in_flight.has_room
        desk.post()
        assert (desk.in_flight.most, desk.in_flight.has_room) == (4, False)
        assert (desk.in_flight.reads, desk.in_flight.read_backs) == ({7, 8}, 2)

    def test_what_was_not_begun_goes_back_with_its_turn(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1)
        desk.backlog.intend(1, desk.clock.now + 10)
        back: list[Work] = []
        desk.in_flight.post(desk.backlog.pop_ready(), back.append)
        desk.in_flight.end()
        assert [work.row.n for work in back] == [1]
        assert desk.in_flight.posts == {}


@pytest.fixture
def real(lofty: Sandbox, connect: Any, make_desk: MakeDesk) -> Any:
    """Requests that a practice Lofty answers, in the test's own thread."""
    connect(lofty)
    client = LoftyHook().client
    in_flight = InFlight(client, HeldWorkers(), client.clock, now=lambda: 0.0)
    yield in_flight, make_desk(7)
    client.close()


class TestResults:
    def post(self, in_flight: InFlight, desk: Desk, seconds: float = 10**12) -> Any:
        desk.backlog.intend(1, desk.lapse(seconds))
        in_flight.post(desk.backlog.pop_ready(), desk.backlog.take_back)
        return in_flight.result(0)

    def test_an_answer_comes_back_with_its_row(self, real: tuple[InFlight, Desk], lofty: Sandbox) -> None:
        came = self.post(*real)
        assert isinstance(came, Posted)
        assert (came.work.row.n, came.verdict.meaning) == (1, Meaning.DELIVERED)
        assert [activity.body["text"] for activity in lofty.activities] == ["row 1"]

    def test_after_its_intent_has_lapsed_a_row_is_not_sent(self, real: tuple[InFlight, Desk], lofty: Sandbox) -> None:
        came = self.post(*real, seconds=-1)
        assert isinstance(came, Posted)
        assert came.verdict.meaning is Meaning.NEVER_SENT
        assert lofty.requests == []

    def test_a_page_says_when_it_was_asked_for(self, real: tuple[InFlight, Desk], lofty: Sandbox) -> None:
        in_flight, desk = real
        self.post(in_flight, desk)
        assert not in_flight.has_read
        in_flight.read(7, since=0)
        came = in_flight.result(0)
        assert isinstance(came, PageRead)
        assert [entry.trace_hash for entry in came.page.entries] == [desk.rows[0].trace_hash]
        assert came.page.started <= came.page.ended
        assert (in_flight.reads, in_flight.has_read) == (set(), True)

    def test_which_leads_they_are_is_asked_when_the_page_has_come(
        self, real: tuple[InFlight, Desk], lofty: Sandbox
    ) -> None:
        in_flight, desk = real
        self.post(in_flight, desk)
        lofty.change(merged_leads={5: 8})
        in_flight.read(7, 0, Questions((), {desk.rows[0].trace_hash: (7, 5), b"not shown": (6,)}))
        came = in_flight.result(0)
        assert isinstance(came, PageRead)
        assert came.page.named == {7: 7, 5: 8}
        paths = [request.path for request in lofty.requests[1:]]
        assert paths == ["/v1.0/leads/7/activities", "/v1.0/leads/7", "/v1.0/leads/5", "/v1.0/leads/5"]

    def test_where_lofty_does_not_say_it_of_one_it_is_not_asked_about_others(
        self, real: tuple[InFlight, Desk], lofty: Sandbox
    ) -> None:
        in_flight, _ = real
        lofty.change(canned_answers={"get_lead": Answer(403, {"code": 200100, "message": "no permission"})})
        in_flight.read(7, 0, Questions((7, 5)))
        came = in_flight.result(0)
        assert isinstance(came, PageRead)
        assert came.page.named == {}
        assert [request.path for request in lofty.requests] == ["/v1.0/leads/7/activities", "/v1.0/leads/7"]

    def test_a_lead_that_cannot_be_read_comes_back_as_the_error(
        self, real: tuple[InFlight, Desk], lofty: Sandbox
    ) -> None:
        in_flight, _ = real
        lofty.change(missing_leads={7})
        in_flight.read(7, since=0)
        came = in_flight.result(0)
        assert isinstance(came, ReadFailed)
        assert (came.lead_id, type(came.error)) == (7, LoftyRequestRejected)
        assert (in_flight.reads, in_flight.has_read) == (set(), False)

    def test_a_row_whose_token_is_refused_comes_back_as_the_error(
        self, lofty: Sandbox, connect: Any, make_desk: MakeDesk
    ) -> None:
        extra = {"auth_type": "refresh_token", "client_id": "a", "client_secret": "b", "refresh_token": "stale"}
        connect(lofty, extra={**extra, "token_url": f"{lofty.url}/api/user-web/oauth/token"})
        client = LoftyHook().client
        in_flight = InFlight(client, HeldWorkers(), Clock(), now=lambda: 0.0)
        came = self.post(in_flight, make_desk(7))
        client.close()
        assert isinstance(came, PostFailed)
        assert isinstance(came.error, LoftyCredentialRefused)
        assert lofty.activities == []
