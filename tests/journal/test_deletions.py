"""Rows that are gone are told from rows that another try writes or withdraws at this very moment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_lofty.journal.deletions import count_deletions


class Moving:
    """
    Tables that others change between two questions.

    :param looks: of each count of the rows, how many there should be before, how many are there, and should be after
    """

    def __init__(self, looks: Sequence[tuple[int | None, int, int | None]]) -> None:
        self._answers = [answer for look in looks for answer in look]

    def find_run(self, task_key: str) -> Any:
        rows = self._answers.pop(0)
        return None if rows is None else SimpleNamespace(journal_rows=rows)

    def count(self, **equal: Any) -> int:
        return int(self._answers.pop(0) or 0)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([(10, 10, 10)], 0),
        ([(10, 8, 10)], 2),
        ([(10, 11, 11), (11, 11, 11)], 0),
        ([(10, 9, 9), (9, 9, 9)], 0),
        ([(10, 10, 11), (11, 10, 11)], 1),
        ([(10, 11, 11), (11, 12, 12), (12, 13, 13)], 0),
        ([(10, 9, 11)] * 3, 1),
        ([(None, 0, None)], math.inf),
        ([(10, 10, None)], math.inf),
    ],
)
def test_what_is_gone(looks: Sequence[tuple[int | None, int, int | None]], expected: float) -> None:
    tables: Any = Moving(looks)
    assert count_deletions(tables, "t") == expected
