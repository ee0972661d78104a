"""What errors mean and what to do about them."""

from __future__ import annotations

import pytest

from airflow_provider_lofty.lofty import answers
from airflow_provider_lofty.outcomes import FAILED_OUTCOMES, Outcome
from airflow_provider_lofty.report.advice import CODES, OUTCOMES, STATUSES, advice_on


def test_every_outcome_that_may_fail_has_its_advice() -> None:
    assert set(OUTCOMES) == {*FAILED_OUTCOMES, Outcome.UNMATCHED, Outcome.DUPLICATE}


def test_every_code_that_this_provider_knows_has_its_advice() -> None:
    known = {answers.LEAD_NOT_FOUND, answers.PERMISSION_MISSING, *answers.CREDENTIAL_CODES, *answers._ROW_CODES}
    assert known <= set(CODES)


@pytest.mark.parametrize(
    ("outcome", "status", "code", "expected"),
    [
        (Outcome.REJECTED, 404, 20006, CODES[20006]),
        (Outcome.REJECTED, 400, 20012, CODES[20012]),
        (Outcome.REJECTED, 200, 200057, CODES[200057]),
        (Outcome.REJECTED, 403, 999, STATUSES[403]),
        (Outcome.REJECTED, 404, None, STATUSES[404]),
        (Outcome.REJECTED, 418, None, OUTCOMES[Outcome.REJECTED]),
        (Outcome.REJECTED, None, None, OUTCOMES[Outcome.REJECTED]),
        (Outcome.UNKNOWN, 500, 20005, OUTCOMES[Outcome.UNKNOWN]),  # it may be stored, whatever the code
        (Outcome.INVALID, None, None, OUTCOMES[Outcome.INVALID]),
    ],
)
def test_the_closest_that_is_known_is_said(
    outcome: str, status: int | None, code: int | None, expected: object
) -> None:
    assert advice_on(outcome, status, code) == expected


@pytest.mark.parametrize("advice", [*CODES.values(), *STATUSES.values(), *OUTCOMES.values()])
def test_advice_is_sentences(advice: tuple[str, str]) -> None:
    for text in advice:
        assert text[0].isupper()
        assert text.endswith(".")
