"""When results are committed and signs of life are written, whatever else the run is doing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pytest
from support.practice import Log

from airflow_provider_lofty.delivery.progress import Progress
from airflow_provider_lofty.delivery.recorder import COMMIT_SECONDS, Ledger
from airflow_provider_lofty.journal.journal import (
    ABANDONED,
    DELIVERED,
    DOUBTED,
    WITHDRAWN,
    Closing,
    Freed,
    Intent,
    JournalError,
    NoJournal,
)
from airflow_provider_lofty.lofty.trace import Sought
from airflow_provider_lofty.spool.spool import UNKNOWN, Result, Spool, SpoolRow

INTENT = Intent(b"identity", b"fing", Sought(5, b"trace", "Browse", 1_772_359_200_000, b"txt", b"lnk"), 1)
SAID = Result(1, DELIVERED, 200, None, "merged", 2)


class Kept(NoJournal):
    """A journal that keeps what it was told, and when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.commits: list[tuple[Sequence[Intent], Sequence[Closing]]] = []
        self.tended_at: list[float] = []
        self.is_down = False

    def commit(self, intents: Sequence[Intent], closings: Sequence[Closing]) -> Collection[bytes]:
        if self.is_down:
            raise JournalError("down")
        self.commits.append((intents, list(closings)))
        return ()

    def tend(self) -> Sequence[Freed]:
        self.tended_at.append(self._clock.now)
        return [Freed(b"other", DELIVERED)]


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(clock: Clock) -> Kept:
    return Kept(clock)


@pytest.fixture
def spool() -> Iterator[Spool]:
    spool = Spool(keep_cells=False)
    spool.add_source("leads")
    spool.add(SpoolRow(0, 1, (), (), 5, b"{}", INTENT.identity, b"content", b"trace"))
    spool.flush()
    yield spool
    spool.close()


@pytest.fixture
def ledger(spool: Spool, journal: Kept, clock: Clock) -> Ledger:
    return Ledger(spool, journal, Progress(1, Log(), clock), clock)


class TestTending:
    @pytest.mark.parametrize("pause", [0.05, 0.3, 0.9])
    def test_a_run_that_commits_all_the_time_shows_life_all_the_same(
        self, ledger: Ledger, journal: Kept, clock: Clock, pause: float
    ) -> None:
        end = clock.now + 60
        while clock.now < end:
            clock.now += pause
            ledger.intend([INTENT])
            ledger.close(INTENT, WITHDRAWN)
            ledger.tend()
        pauses = [after - before for before, after in zip(journal.tended_at, journal.tended_at[1:], strict=False)]
        assert max(pauses) < COMMIT_SECONDS + pause + 0.01
        assert min(pauses) >= COMMIT_SECONDS
        assert len(journal.commits) == pytest.approx(60 / pause, abs=2)

    def test_a_run_that_only_waits_shows_life_once_a_second(self, ledger: Ledger, journal: Kept, clock: Clock) -> None:
        for _ in range(100):
            clock.now += 0.2
            ledger.tend()
        assert len(journal.tended_at) == 20
        assert journal.commits == []

    def test_what_became_of_rows_of_others_is_told(self, ledger: Ledger, clock: Clock) -> None:
        assert ledger.tend() == ()
        clock.now += COMMIT_SECONDS
        assert ledger.tend() == [Freed(b"other", DELIVERED)]
        assert ledger.tend() == ()


class TestCommitting:
    def test_results_wait_no_longer_than_a_second(self, ledger: Ledger, journal: Kept, clock: Clock) -> None:
        ledger.close(INTENT, DELIVERED, SAID)
        ledger.tend()
        assert journal.commits == []
        clock.now += COMMIT_SECONDS
        ledger.tend()
        ledger.tend()
        assert journal.commits == [((), [Closing(INTENT, DELIVERED, 200, None, "merged", 2)])]

    def test_they_go_with_the_next_intent_and_only_once(self, ledger: Ledger, journal: Kept) -> None:
        ledger.close(INTENT, DELIVERED, SAID)
        ledger.intend([INTENT])
        ledger.intend([INTENT])
        ledger.finish()
        assert [(len(intents), len(closings)) for intents, closings in journal.commits] == [(1, 1), (1, 0)]

    def test_what_the_journal_did_not_take_is_told_again(self, ledger: Ledger, journal: Kept) -> None:
        ledger.close(INTENT, DELIVERED, SAID)
        journal.is_down = True
        with pytest.raises(JournalError):
            ledger.intend([INTENT])
        journal.is_down = False
        ledger.finish()
        assert [(len(intents), len(closings)) for intents, closings in journal.commits] == [(0, 1)]

    @pytest.mark.parametrize(
        ("write", "closing", "outcome"),
        [
            ("close", Closing(INTENT, DELIVERED, 200, None, "merged", 2), DELIVERED),
            ("doubt", Closing(INTENT, DOUBTED, 200, None, "merged", 2), None),
            ("abandon", Closing(INTENT, ABANDONED, 200, None, "merged", 2), UNKNOWN),
        ],
    )
    def test_journal_and_spool_are_told_the_same(
        self, ledger: Ledger, journal: Kept, spool: Spool, write: str, closing: Closing, outcome: str | None
    ) -> None:
        said: Any = SAID._replace(outcome=outcome or UNKNOWN)
        if write == "close":
            ledger.close(INTENT, DELIVERED, said)
        else:
            getattr(ledger, write)(INTENT, said)
        assert len(spool.doubtful()) == (outcome is None)
        spool.close_books(UNKNOWN)
        ledger.finish()
        (row,) = spool.report_rows()
        assert (row.outcome, row.http_status, row.error, row.attempts) == (outcome or UNKNOWN, 200, "merged", 2)
        assert journal.commits == [((), [closing])]

    @pytest.mark.parametrize("state", [DELIVERED, ABANDONED])
    def test_of_a_row_that_the_input_has_no_more_only_the_journal_is_told(
        self, ledger: Ledger, journal: Kept, spool: Spool, state: str
    ) -> None:
        if state == DELIVERED:
            ledger.close(INTENT, DELIVERED)
        else:
            ledger.abandon(INTENT)
        ledger.finish()
        assert journal.commits == [((), [Closing(INTENT, state, attempts=INTENT.attempts)])]
        assert spool.count_pending() == 1
