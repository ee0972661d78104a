"""Red or green, and what the error says: one case for each way a run can end."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_lofty.delivery.stop import Stop, StopKind
from airflow_provider_lofty.exceptions import (
    LoftyConfigurationError,
    LoftyCredentialRefused,
    LoftyDeliveryIncomplete,
    LoftyError,
    LoftyRowsFailed,
    LoftySourceNotReady,
)
from airflow_provider_lofty.report.summary import ErrorGroup, Summary
from airflow_provider_lofty.run.policy import Limit
from airflow_provider_lofty.run.verdict import Ending, counts_text, failure_of, failure_of_disk, status_text

NONE_MAY_FAIL = Limit("max_failed_rows", 0)
GROUP = ErrorGroup(count=2, outcome="invalid", error="text must be text", example_source="leads.csv", example_row=7)
MIXED = Summary(read=5, delivered=3, invalid=2, errors=[GROUP], report_path="r.csv")


def ended(summary: Summary = MIXED, failed: int = 2, **others: Any) -> LoftyError | None:
    return failure_of(Ending(summary=summary, failed=failed, **others), NONE_MAY_FAIL)


def test_no_failed_row_is_green() -> None:
    assert ended(Summary(read=3, delivered=2, duplicate=1), failed=0) is None


def test_so_many_failed_rows_as_are_allowed_are_green() -> None:
    ending = Ending(summary=MIXED, failed=2)
    assert failure_of(ending, Limit("max_failed_rows", 2)) is None
    assert failure_of(ending, Limit("max_failed_rows", "40%")) is None
    assert isinstance(failure_of(ending, Limit("max_failed_rows", "39.9%")), LoftyRowsFailed)


def test_failed_rows_are_counted_and_what_to_do_is_said() -> None:
    error = ended()
    assert type(error) is LoftyRowsFailed
    assert str(error) == (
        "2 of 5 rows failed, more than max_failed_rows=0 allows: 3 delivered, 2 invalid. Correct failed rows at their "
        "source and clear the task: delivered rows are not sent again. Report: r.csv"
    )


def test_books_that_do_not_balance_are_red_whatever_is_allowed() -> None:
    error = failure_of(Ending(summary=Summary(read=6, delivered=5), failed=0), Limit("max_failed_rows", None))
    assert type(error) is LoftyRowsFailed
    assert str(error) == "the books do not balance: 6 rows read, 5 delivered"


def test_a_closed_gate_says_that_nothing_was_sent() -> None:
    error = ended(gate="5 rows were read, more than max_rows=4 allows")
    assert type(error) is LoftyRowsFailed
    assert str(error).startswith("nothing was sent: 5 rows were read, more than max_rows=4 allows: ")


@pytest.mark.parametrize("kind", [StopKind.KILLED, StopKind.TIME, StopKind.OUTAGE, StopKind.JOURNAL])
def test_what_a_retry_may_mend_is_retryable(kind: StopKind) -> None:
    error = ended(stop=Stop(kind, "the reason"))
    assert type(error) is LoftyDeliveryIncomplete
    assert str(error).startswith("stopped: the reason: ")
    assert str(error).endswith("A retry goes on from here")


def test_a_pattern_of_rejections_is_not() -> None:
    assert type(ended(stop=Stop(StopKind.REJECTIONS, "refused alike"))) is LoftyRowsFailed


@pytest.mark.parametrize("cause", [LoftyCredentialRefused, LoftyConfigurationError])
def test_a_cause_with_an_exception_of_its_own_keeps_it(cause: type[LoftyError]) -> None:
    error = ended(stop=Stop(StopKind.CREDENTIAL, "no", cause("no")))
    assert type(error) is cause
    assert "3 delivered, 2 invalid" in str(error)


@pytest.mark.parametrize(
    ("may_settle_later", "unknown", "kind"),
    [(True, 1, LoftyDeliveryIncomplete), (False, 1, LoftyRowsFailed), (True, 0, LoftyRowsFailed)],
)
def test_doubt_is_retryable_where_a_retry_may_settle_it(
    may_settle_later: bool, unknown: int, kind: type[LoftyError]
) -> None:
    summary = Summary(read=2, unknown=unknown, delivered=1, invalid=1 - unknown)
    assert type(ended(summary, failed=1, may_settle_later=may_settle_later)) is kind


def test_a_report_that_could_not_be_written_is_red() -> None:
    error = ended(Summary(read=1, delivered=1), failed=0, report_error="the report r.csv could not be written")
    assert type(error) is LoftyRowsFailed
    assert str(error).startswith("the report r.csv could not be written: 1 delivered")


@pytest.mark.parametrize(("sent", "kind"), [(0, LoftySourceNotReady), (3, LoftyDeliveryIncomplete)])
def test_a_full_disk_says_whether_anything_was_sent(sent: int, kind: type[LoftyError]) -> None:
    error = failure_of_disk(OSError("disk I/O error"), sent)
    assert type(error) is kind
    assert "disk I/O error" in str(error)
    assert ("Nothing was sent" in str(error)) is not bool(sent)


def test_rows_that_may_be_stored_are_to_be_looked_at() -> None:
    assert status_text(Summary(read=2, delivered=1, unknown=1)) == (
        "1 delivered, 1 unknown. Rows that are unknown may be stored: look at their leads, then clear the task with "
        "on_unknown set to resend or assume_delivered"
    )


def test_what_nobody_tried_asks_for_nothing() -> None:
    assert status_text(Summary(read=9, not_attempted=9)) == "9 not_attempted"


def test_outcomes_that_did_not_occur_are_left_out() -> None:
    assert counts_text(Summary(read=3, delivered=3).outcomes) == "3 delivered"
    assert counts_text(Summary().outcomes) == "none"
