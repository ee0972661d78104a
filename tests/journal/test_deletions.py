"""Rows that are gone are told from rows that another try writes or withdraws at this very moment."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_lofty.journal.deletions import has_deletions


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
        ([(10, 10, 10)], False),
        ([(10, 9, 10)], True),
        ([(10, 11, 11), (11, 11, 11)], False),
        ([(10, 9, 9), (9, 9, 9)], False),
        ([(10, 10, 11), (11, 10, 11)], True),
        ([(10, 11, 11), (11, 12, 12), (12, 13, 13)], False),
        ([(10, 9, 11)] * 3, True),
        ([(None, 0, None)], True),
        ([(10, 10, None)], True),
    ],
)
def test_what_is_gone(looks: Sequence[tuple[int | None, int, int | None]], expected: bool) -> None:
    tables: Any = Moving(looks)
    assert has_deletions(tables, "t") is expected
