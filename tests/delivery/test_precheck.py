"""Before a lead is sent to: which leads are read, and what their pages and failures mean for the rows that wait."""

from __future__ import annotations

from typing import Any

import pytest
from support.desk import SETTLE, Desk, MakeDesk

from airflow_provider_lofty.exceptions import LoftyRequestRejected, LoftyUnreachable
from airflow_provider_lofty.lofty.answers import LEAD_NOT_FOUND
from airflow_provider_lofty.lofty.settings import ABSENCE
from airflow_provider_lofty.spool.history import JournalState


def to_read(desk: Desk, *busy: int) -> int | None:
    """The lead that is read next, once rows were fetched."""
    if not desk.precheck.is_sampling:
        desk.backlog.refill()
    return desk.precheck.next_lead(busy)


def fail(desk: Desk, lead_id: int, error: type[Any] = LoftyUnreachable, code: int | None = None) -> None:
    failure = error("no")
    failure.code = code
    assert desk.reconciler.failed(lead_id, failure) is None


class TestModes:
    def test_never_reads_nothing(self, make_desk: MakeDesk) -> None:
        desk = make_desk(1, 2, 9)
        assert (to_read(desk), desk.make_ready(2)) == (None, [1, 2])

    def test_always_reads_each_lead_in_the_order_of_the_rows(self, make_desk: MakeDesk) -> None:
        desk = make_desk(3, 1, 3, 2, check_existing="always")
        assert [to_read(desk), to_read(desk, 3), to_read(desk, 3, 1), to_read(desk, 3, 1, 2)] == [3, 1, 2, None]
        assert desk.make_ready(4) == []
        desk.show(3)
        assert desk.make_ready(4) == []
        assert to_read(desk) == 1

    def test_the_sample_is_spread_over_the_rows(self, make_desk: MakeDesk) -> None:
        desk = make_desk(*range(1, 42), check_existing="sample")
        read: list[int] = []
        while (lead_id := to_read(desk, *read)) is not None:
            read.append(lead_id)
        assert read == [1, 11, 21, 31, 41]
        for lead_id in read:
            assert desk.precheck.is_sampling
            desk.show(lead_id)
        assert not desk.precheck.is_sampling
        assert (to_read(desk), desk.make_ready(2)) == (None, [1, 2])

    @pytest.mark.parametrize("mode", ["sample", "always", "never"])
    def test_without_a_journal_every_lead_is_read_when_it_had_time_to_show(
        self, make_desk: MakeDesk, mode: str
    ) -> None:
        desk = make_desk(1, 2, check_existing=mode, has_gaps=True)
        assert desk.precheck.has_gaps
        desk.clock.now += ABSENCE * SETTLE - 1
        assert to_read(desk) is None
        desk.clock.now += 1
        assert to_read(desk) == 1


class TestFound:
    def test_what_is_there_is_already_delivered_and_the_rest_is_sent(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 7, check_existing="always")
        to_read(desk)
        desk.show(7, 1, took=1)
        assert desk.outcomes == ["already_delivered", None]
        assert desk.make_ready(2) == []  # that page was asked for before Lofty had shown anything
        assert to_read(desk) == 7
        desk.show(7, 1)
        assert desk.make_ready(2) == [2]
        assert desk.journal.closed == [(desk.rows[0].row_key, JournalState.DELIVERED)]

    def test_one_entry_is_one_row(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, check_existing="always")
        to_read(desk)
        desk.show(7, 1, 1)
        assert desk.outcomes == ["already_delivered"]

    def test_one_found_in_the_sample_has_every_lead_read(self, make_desk: MakeDesk) -> None:
        desk = make_desk(*range(1, 7), check_existing="sample")
        to_read(desk)
        desk.show(1, 1)
        assert desk.precheck.has_found
        assert any("every lead is read" in line for line in desk.log.lines)
        desk.clock.now += 1
        for lead_id in (2, 3, 4, 6):
            assert to_read(desk) == lead_id
            desk.show(lead_id)
        assert to_read(desk) == 5
        assert desk.make_ready(6) == [2, 3, 4]  # the last one goes when these are answered

    @pytest.mark.parametrize("has_gaps", [False, True])
    def test_what_only_looks_like_a_row_stops_it(self, make_desk: MakeDesk, has_gaps: bool) -> None:
        desk = make_desk(7, check_existing="always", has_gaps=has_gaps)
        desk.clock.now += ABSENCE * SETTLE
        to_read(desk)
        desk.show(7, desk.trace(1)._replace(trace_hash=b"another", text_mark=b"cut"))
        assert desk.outcomes == ["unknown"]
        assert "nearly the same" in str(desk.results[0].error)

    @pytest.mark.parametrize(("hours", "outcome"), [(0, "unknown"), (5, "unknown"), (40, None)])
    def test_so_it_does_among_hundreds_of_others(self, make_desk: MakeDesk, hours: int, outcome: str | None) -> None:
        """As when it is shown by the clock of another time zone; but not of another day."""
        desk = make_desk(7, check_existing="always")
        sought = desk.trace(1)
        others = [
            sought._replace(trace_hash=b"%d" % n, created=n * 10**8, text_mark=b"other", link_mark=b"other")
            for n in range(1000)
        ]
        to_read(desk)
        desk.show(7, *others, sought._replace(trace_hash=b"altered", created=sought.created + hours * 3_600_000))
        assert desk.outcomes == [outcome]

    @pytest.mark.parametrize("has_gaps", [False, True])
    def test_a_page_must_be_whole(self, make_desk: MakeDesk, has_gaps: bool) -> None:
        desk = make_desk(7, 7, check_existing="always", has_gaps=has_gaps)
        desk.clock.now += ABSENCE * SETTLE
        to_read(desk)
        desk.show(7, 1, is_complete=False)
        assert desk.outcomes == ["already_delivered", "unknown"]
        assert "too many activities" in str(desk.results[1].error)


class TestFailures:
    def test_a_lead_is_tried_again_after_a_while(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, check_existing="always")
        to_read(desk)
        fail(desk, 7)
        assert to_read(desk) is None
        desk.clock.now += 5
        assert to_read(desk) == 7
        assert desk.make_ready() == []

    def test_a_sample_that_cannot_be_read_is_given_up(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, check_existing="sample")
        to_read(desk)
        for _ in range(3):
            assert desk.precheck.is_sampling
            desk.clock.now += 1
            fail(desk, 7)
        assert not desk.precheck.is_sampling
        assert any("the sample cannot be read" in line for line in desk.log.lines)
        assert desk.make_ready() == [1]

    def test_a_page_between_begins_the_count_anew(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 8, check_existing="sample")
        to_read(desk)
        fail(desk, 7)
        fail(desk, 7)
        desk.show(8)
        fail(desk, 7)
        assert desk.precheck.is_sampling

    def test_a_missing_lead_is_sent_to_since_lofty_will_refuse(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, check_existing="always")
        to_read(desk)
        fail(desk, 7, LoftyRequestRejected, LEAD_NOT_FOUND)
        assert desk.make_ready() == [1]

    def test_a_lead_that_lofty_refuses_to_show_gets_nothing(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, 8, check_existing="always")
        to_read(desk)
        fail(desk, 7, LoftyRequestRejected, 20012)
        assert desk.outcomes == ["unknown", None]
        assert "cannot be read" in str(desk.results[0].error)
        assert to_read(desk) == 8

    def test_where_earlier_tries_are_unknown_a_missing_lead_gets_nothing_either(self, make_desk: MakeDesk) -> None:
        desk = make_desk(7, has_gaps=True)
        desk.clock.now += ABSENCE * SETTLE
        to_read(desk)
        fail(desk, 7, LoftyRequestRejected, LEAD_NOT_FOUND)
        assert desk.outcomes == ["unknown"]

    def test_a_refused_lead_of_a_sample_that_found_a_row_does_not_keep_the_sample_open(
        self, make_desk: MakeDesk
    ) -> None:
        desk = make_desk(7, 8, check_existing="sample")
        to_read(desk)
        desk.show(7, 1)
        fail(desk, 8, LoftyRequestRejected, 20012)
        assert not desk.precheck.is_sampling
        assert desk.outcomes == ["already_delivered", "unknown"]
