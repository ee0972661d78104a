"""When results are committed and signs of life are written, whatever else the run is doing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.desk import Clock, KeptJournal
from support.practice import Log

from airflow_provider_lofty.delivery.progress import Progress
from airflow_provider_lofty.delivery.recorder import COMMIT_SECONDS, Recorder
from airflow_provider_lofty.journal.journal import Closing, Intent, JournalError, Released
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import JournalState
from airflow_provider_lofty.spool.spool import Result, Spool, SpoolRow

INTENT = Intent(b"identity", b"fing", Trace(5, b"trace", "Browse", 1_772_359_200_000, b"txt", b"lnk"), 1)
RESULT = Result(1, JournalState.DELIVERED, 200, None, "merged", 2)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(clock: Clock) -> KeptJournal:
    return KeptJournal(clock)


@pytest.fixture
def spool() -> Iterator[Spool]:
    spool = Spool(keep_cells=False)
    spool.add_source("leads")
    spool.add(SpoolRow(0, 1, (), (), 5, b"{}", INTENT.row_key, b"content", b"trace"))
    spool.flush()
    yield spool
    spool.close()


@pytest.fixture
def recorder(spool: Spool, journal: KeptJournal, clock: Clock) -> Recorder:
    return Recorder(spool, journal, Progress(1, Log(), clock), clock)


class TestHeartbeat:
    @pytest.mark.parametrize("pause", [0.05, 0.3, 0.9])
    def test_a_run_that_commits_all_the_time_shows_life_all_the_same(
        self, recorder: Recorder, journal: KeptJournal, clock: Clock, pause: float
    ) -> None:
        end = clock.now + 60
        while clock.now < end:
            clock.now += pause
            recorder.intend([INTENT])
            recorder.record(INTENT, JournalState.WITHDRAWN)
            recorder.heartbeat()
        pauses = [after - before for before, after in zip(journal.heartbeats, journal.heartbeats[1:], strict=False)]
        assert max(pauses) < COMMIT_SECONDS + pause + 0.01
        assert min(pauses) >= COMMIT_SECONDS
        assert len(journal.commits) == pytest.approx(60 / pause, abs=2)

    def test_a_run_that_only_waits_shows_life_once_a_second(
        self, recorder: Recorder, journal: KeptJournal, clock: Clock
    ) -> None:
        for _ in range(100):
            clock.now += 0.2
            recorder.heartbeat()
        assert len(journal.heartbeats) == 20
        assert journal.commits == []

    def test_what_became_of_rows_that_others_had_claimed_is_handed_on(
        self, recorder: Recorder, journal: KeptJournal, clock: Clock
    ) -> None:
        journal.released = [Released(b"other", JournalState.DELIVERED)]
        assert recorder.heartbeat() == ()
        clock.now += COMMIT_SECONDS
        assert recorder.heartbeat() == [Released(b"other", JournalState.DELIVERED)]
        assert recorder.heartbeat() == ()


class TestCommitting:
    def test_results_wait_no_longer_than_a_second(self, recorder: Recorder, journal: KeptJournal, clock: Clock) -> None:
        recorder.record(INTENT, JournalState.DELIVERED, RESULT)
        recorder.heartbeat()
        assert journal.commits == []
        clock.now += COMMIT_SECONDS
        recorder.heartbeat()
        recorder.heartbeat()
        assert journal.commits == [((), [Closing(INTENT, JournalState.DELIVERED, 200, None, "merged", 2)])]

    def test_they_go_with_the_next_intent_and_only_once(self, recorder: Recorder, journal: KeptJournal) -> None:
        recorder.record(INTENT, JournalState.DELIVERED, RESULT)
        recorder.intend([INTENT])
        recorder.intend([INTENT])
        recorder.finish()
        assert [(len(intents), len(closings)) for intents, closings in journal.commits] == [(1, 1), (1, 0)]

    def test_what_the_journal_did_not_take_is_told_again(self, recorder: Recorder, journal: KeptJournal) -> None:
        recorder.record(INTENT, JournalState.DELIVERED, RESULT)
        journal.is_down = True
        with pytest.raises(JournalError):
            recorder.intend([INTENT])
        journal.is_down = False
        recorder.finish()
        assert [(len(intents), len(closings)) for intents, closings in journal.commits] == [(0, 1)]

    @pytest.mark.parametrize(
        ("closing", "outcome"),
        [
            (Closing(INTENT, JournalState.DELIVERED, 200, None, "merged", 2), JournalState.DELIVERED),
            (Closing(INTENT, JournalState.DOUBTED, 200, None, "merged", 2), None),
            (Closing(INTENT, JournalState.ABANDONED, 200, None, "merged", 2), Outcome.UNKNOWN),
        ],
    )
    def test_journal_and_spool_are_told_the_same(
        self, recorder: Recorder, journal: KeptJournal, spool: Spool, closing: Closing, outcome: str | None
    ) -> None:
        result: Any = RESULT._replace(outcome=outcome or Outcome.UNKNOWN)
        if closing.state == JournalState.DOUBTED:
            recorder.doubt(INTENT, result)
        else:
            recorder.record(INTENT, closing.state, result)
        assert len(spool.doubtful()) == (outcome is None)
        spool.books.close(Outcome.UNKNOWN)
        recorder.finish()
        (row,) = spool.books.rows()
        assert (row.outcome, row.http_status, row.error, row.attempts) == (outcome or Outcome.UNKNOWN, 200, "merged", 2)
        assert journal.commits == [((), [closing])]

    @pytest.mark.parametrize("state", [JournalState.DELIVERED, JournalState.ABANDONED])
    def test_of_a_row_that_the_input_has_no_more_only_the_journal_is_told(
        self, recorder: Recorder, journal: KeptJournal, spool: Spool, state: str
    ) -> None:
        recorder.record(INTENT, state)
        recorder.finish()
        assert journal.commits == [((), [Closing(INTENT, state, attempts=INTENT.attempts)])]
        assert spool.count_pending() == 1

    def test_the_rows_of_a_missing_lead_are_rejected_but_those_being_sent(
        self, recorder: Recorder, journal: KeptJournal, spool: Spool
    ) -> None:
        missing = Result(0, Outcome.REJECTED, 404, 20006, "missing")
        recorder.reject_lead(5, missing, in_flight=[1])
        assert spool.count_pending() == 1
        recorder.reject_lead(5, missing, in_flight=[])
        (row,) = spool.books.rows()
        assert (row.outcome, row.http_status, row.error_code, row.error, row.attempts) == (
            "rejected",
            404,
            20006,
            "missing",
            0,
        )
        recorder.finish()
        assert journal.commits == []  # nothing was sent, so that the next try may find the lead
