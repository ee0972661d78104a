"""
Rows of a task that somebody has deleted from the journal's table: it keeps count of how many must be there.

A run knows what it wrote itself, and what it found when it began. Of what another try of its task writes beside it, a
run learns when it meets the row; one that is deleted before that looks as if it had never been sent. So a run that is
not alone counts, each time that it relies on a row's absence.
"""

from __future__ import annotations

import math

from airflow_provider_lofty.journal.tables import Tables

_MOST_COUNTS = 3


def count_deletions(tables: Tables, task_key: str) -> float:
    """Count the rows that a task wrote and that are gone; rows may be written or withdrawn between these queries."""
    rows, expected = 0, 0
    for _ in range(_MOST_COUNTS):
        before = tables.find_run(task_key)
        rows = tables.count(task_key=task_key)
        after = tables.find_run(task_key)
        if before is None or after is None:
            return math.inf
        expected = min(before.journal_rows, after.journal_rows)
        if before.journal_rows == after.journal_rows:
            break
    return max(expected - rows, 0)


class Company:
    """
    Whether another try of this task writes beside this one, and whether rows were deleted then.

    :param tables: the journal's
    :param task_key: names the task instance
    """

    def __init__(self, tables: Tables, task_key: str) -> None:
        self._tables = tables
        self._task_key = task_key
        self._rows = 0  # as many as the task has, if it has no other try
        self._is_alone = True
        self._deletions = 0.0  # those that this try knows of: it reads leads before it sends to them

    def begin(self) -> None:
        """Take note of what the task has. What it has is read after this."""
        found = self._tables.find_run(self._task_key)
        self._rows = 0 if found is None else found.journal_rows
        self._deletions = count_deletions(self._tables, self._task_key)

    def wrote(self, rows: int) -> None:
        """Count rows that this try has written; those that it has withdrawn are negative."""
        self._rows += rows

    def has_deletions(self) -> bool:
        """Whether rows were deleted since this try began that it may not know of."""
        if self._is_alone:
            found = self._tables.find_run(self._task_key)
            # Once it differs it is never believed again: what the other try wrote may be deleted at any time.
            self._is_alone = found is not None and found.journal_rows == self._rows
        return not self._is_alone and count_deletions(self._tables, self._task_key) > self._deletions
