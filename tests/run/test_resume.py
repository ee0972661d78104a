"""What a journal knows finds its rows; a different input is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyDeliveryIncomplete
from airflow_provider_lofty.journal.journal import Intent, JournalError, JournalUnusable, Loaded
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.run.resume import doubts_of, journal_errors, refuse_different_input
from airflow_provider_lofty.spool.sample import ROW_KEY_BYTES, InputSample
from airflow_provider_lofty.spool.schema import RowState
from airflow_provider_lofty.spool.spool import Spool, SpoolRow

BODY = b'{"type":"Browse","text":"a home","link":"","picture":"","created":1772359200000}'


@pytest.fixture
def spool() -> Iterator[Spool]:
    spool = Spool(keep_cells=False)
    spool.add_source("rows")
    yield spool
    spool.close()


def key(number: int) -> bytes:
    return b"%012d" % number


def fill(spool: Spool, *numbers: int, state: RowState = RowState.WAITING, trace_hash: bytes | None = None) -> None:
    for n in numbers:
        spool.add(SpoolRow(0, n, (), (), n, BODY, key(n), b"f" * 16, trace_hash or b"t%011d" % n, state=state.value))
    spool.flush()


def intent(number: int, trace_hash: bytes | None = None, attempts: int = 1) -> Intent:
    trace = Trace(number, trace_hash or b"t%011d" % number, "Browse", 1772359200000, "", "")
    return Intent(key(number), b"ffff", trace, attempts)


def sample(*numbers: int) -> InputSample:
    return InputSample(len(numbers), b"".join(sorted(key(n) for n in numbers)))


@pytest.mark.parametrize(
    ("raised", "expected", "advice"),
    [
        (JournalUnusable("a segment is missing. Remove it"), LoftyConfigurationError, "Remove it"),
        (JournalError("no connection"), LoftyDeliveryIncomplete, "a retry is safe"),
    ],
)
def test_a_journal_that_fails_says_what_to_do(raised: Exception, expected: type[Exception], advice: str) -> None:
    with pytest.raises(expected, match="Nothing was sent") as caught, journal_errors():
        raise raised
    assert str(raised) in str(caught.value)
    assert advice in str(caught.value)


class TestDifferentInput:
    """Rows that vanish while as many appear would be sent twice."""

    @staticmethod
    def hashed(*numbers: int) -> InputSample:
        return InputSample(len(numbers), b"".join(key(n)[-ROW_KEY_BYTES:] for n in sorted(numbers)))

    def test_rows_that_are_gone_and_others_in_their_place_are_refused(self, spool: Spool) -> None:
        self.spooled(spool, range(100, 120))
        loaded = Loaded(before=self.hashed(*range(20)), delivered=20, gone=20)
        with pytest.raises(LoftyConfigurationError, match="this is a different input") as caught:
            refuse_different_input(loaded, spool)
        assert "20 of the 20 rows that earlier tries delivered are no longer in the input" in str(caught.value)
        assert "Nothing was sent" in str(caught.value)

    @pytest.mark.parametrize(
        ("delivered", "gone", "rows"),
        [(20, 2, range(100, 120)), (20, 20, ()), (0, 0, range(100, 120))],
        ids=["a tenth is gone", "nothing came in their place", "nothing was delivered"],
    )
    def test_less_than_that_goes_on(self, spool: Spool, delivered: int, gone: int, rows: range) -> None:
        self.spooled(spool, rows)
        refuse_different_input(Loaded(before=self.hashed(*range(20)), delivered=delivered, gone=gone), spool)

    def test_without_an_earlier_input_nothing_is_compared(self, spool: Spool) -> None:
        self.spooled(spool, range(100, 120))
        refuse_different_input(Loaded(delivered=20, gone=20), spool)

    def test_what_is_known_as_delivered_is_no_other_input(self, spool: Spool) -> None:
        self.spooled(spool, range(100, 120))
        spool.books.close("already_delivered")
        refuse_different_input(Loaded(before=self.hashed(*range(20)), delivered=20, gone=20), spool)

    @pytest.mark.parametrize(("is_mapped", "is_refused"), [(False, True), (True, False)])
    def test_rows_of_other_leads_are_another_lists(self, spool: Spool, is_mapped: bool, is_refused: bool) -> None:
        self.spooled(spool, range(100, 120))
        loaded = Loaded(before=self.hashed(*range(20)), delivered=20, gone=20, has_gone=lambda lead_id: lead_id < 20)
        with pytest.raises(LoftyConfigurationError) if is_refused else nullcontext():
            refuse_different_input(loaded, spool, is_mapped=is_mapped)

    def test_rows_of_the_same_leads_are_the_same_rows_perhaps(self, spool: Spool) -> None:
        self.spooled(spool, range(100, 120))
        loaded = Loaded(before=self.hashed(*range(20)), delivered=20, gone=20, has_gone=lambda lead_id: lead_id > 105)
        with pytest.raises(LoftyConfigurationError, match="about 14 that were not there before"):
            refuse_different_input(loaded, spool, is_mapped=True)

    def test_a_mapped_task_is_told_of_its_list(self, spool: Spool) -> None:
        self.spooled(spool, range(100, 120))
        loaded = Loaded(before=self.hashed(*range(20)), delivered=20, gone=20)
        with pytest.raises(LoftyConfigurationError, match="the list that the task is mapped over has moved") as caught:
            refuse_different_input(loaded, spool, is_mapped=True)
        assert "give a journal_conn_id" in str(caught.value)

    @staticmethod
    def spooled(spool: Spool, numbers: range | tuple[()]) -> None:
        for n in numbers:
            spool.add(SpoolRow(0, n, (), (), n, BODY, key(n)[-ROW_KEY_BYTES:] * 2, b"f" * 16, b"t" * 12))
        spool.flush()


class TestDoubts:
    """Each with its row, where the input has it."""

    def test_a_row_in_doubt_is_found_by_its_key(self, spool: Spool) -> None:
        fill(spool, 1, state=RowState.IN_DOUBT)
        fill(spool, 2)
        ((found, row),) = doubts_of(Loaded([intent(1)]), spool, has_gaps=False)
        assert row is not None
        assert (found.row_key, row.row_key) == (key(1), key(1))

    def test_one_that_is_no_longer_in_the_input_is_carried_over(self, spool: Spool) -> None:
        fill(spool, 2)
        assert doubts_of(Loaded([intent(1)]), spool, has_gaps=False) == [(intent(1), None)]
        assert spool.count_pending() == 1

    def test_one_whose_row_has_an_outcome_is_settled(self, spool: Spool) -> None:
        fill(spool, 1)
        spool.books.close("already_delivered")
        assert doubts_of(Loaded([intent(1)]), spool, has_gaps=False) == []

    @pytest.mark.parametrize("has_gaps", [True, False])
    def test_the_same_activity_under_another_key_is_taken_only_where_the_journal_may_be_of_another_key(
        self, spool: Spool, has_gaps: bool
    ) -> None:
        fill(spool, 2, trace_hash=b"t" * 12)
        ((_, row),) = doubts_of(Loaded([intent(1, b"t" * 12, attempts=2)]), spool, has_gaps=has_gaps)
        assert (row is None) is not has_gaps
        assert spool.count_pending() == (0 if has_gaps else 1)
        if row is not None:
            assert (row.row_key, row.attempts) == (key(2), 2)

    def test_a_row_that_only_its_report_calls_unknown_comes_last(self, spool: Spool) -> None:
        fill(spool, 1, 2, state=RowState.IN_DOUBT)
        found = doubts_of(Loaded([intent(2)]), spool, has_gaps=False)
        assert [one.row_key for one, _ in found] == [key(2), key(1)]
