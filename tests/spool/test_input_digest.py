"""The digest of an input is the same for the same rows in any order, and another one for any other rows."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from itertools import permutations

from hypothesis import given, strategies as st

from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.input_digest import Differences
from airflow_provider_lofty.spool.schema import RowState
from airflow_provider_lofty.spool.spool import Spool, SpoolRow

HOST = "https://api.example.com"
Row = tuple[bytes, bytes]


def row(key: int, content: int = 0, **others: object) -> SpoolRow:
    row_key, fingerprint = key.to_bytes(12, "big"), content.to_bytes(16, "big")
    return SpoolRow(0, 1, (), (), 7, b"{}", row_key, fingerprint, b"trace")._replace(**others)  # type: ignore[arg-type]


def digest(*rows: SpoolRow, host: str = HOST) -> str:
    with closing(filled(*rows)) as spool:
        return spool.input_digest.of(host)


def filled(*rows: SpoolRow) -> Spool:
    spool = Spool(keep_cells=False)
    spool.add_source("leads.csv")
    for each in rows:
        spool.add(each)
    spool.flush()
    spool.find_duplicates("identity")
    return spool


def test_order_does_not_matter() -> None:
    rows = [row(1), row(2, 5), row(3), row(3)]
    assert len({digest(*each) for each in permutations(rows)}) == 1
    assert len(digest()) == 64


def test_whatever_else_differs_does() -> None:
    inputs = [
        [], [row(1)], [row(1), row(1)], [row(1), row(1), row(1)], [row(1), row(2)], [row(1, 1)], [row(2)],
        [row(1, outcome=Outcome.ALREADY_DELIVERED)], [row(1, state=RowState.IN_DOUBT.value)],
        [row(0, 2**64)], [row(2**64, 0)],
    ]  # fmt: skip
    assert len({digest(*each) for each in inputs}) == len(inputs)
    assert digest(row(1)) != digest(row(1), host="https://other.example.com")


def test_an_invalid_row_is_not_part_of_it() -> None:
    invalid = row(9, outcome=Outcome.INVALID, row_key=None, fingerprint=None)
    assert digest(row(1), invalid) == digest(row(1))


def test_of_two_rows_that_disagree_the_one_that_would_be_sent_counts() -> None:
    """Which of them that is depends on their order, and so does what was approved."""
    assert digest(row(1, 1), row(1, 2)) == digest(row(1, 1))
    assert digest(row(1, 2), row(1, 1)) == digest(row(1, 2))


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8)


@given(ROWS, ROWS)
def test_it_is_the_same_exactly_where_nothing_would_be_sent_otherwise(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    assert (digest(*(row(*each) for each in one)) == digest(*(row(*each) for each in other))) == (
        valid(one) == valid(other)
    )


def valid(rows: Sequence[tuple[int, int]]) -> Counter[tuple[int, int]]:
    """The rows that are not invalid: of one identity, those with the content of the first."""
    first = dict(reversed(rows))
    return Counter(each for each in rows if each[1] == first[each[0]])


class TestDifferences:
    @staticmethod
    def between(now: Sequence[tuple[int, int]], before: Sequence[tuple[int, int]]) -> Differences:
        with closing(filled(*(row(*each) for each in now))) as spool:
            spool.input_digest.add_seen(
                (key.to_bytes(12, "big"), content.to_bytes(16, "big")) for key, content in before
            )
            return spool.input_digest.differences()

    def test_rows_are_new_gone_or_changed(self) -> None:
        now = [(1, 1), (2, 9), (4, 4), (5, 5), (5, 5)]
        before = [(1, 1), (2, 2), (3, 3), (5, 5)]
        assert self.between(now, before) == Differences(new=2, gone=1, changed=1)

    def test_nothing_seen_is_all_new_and_an_empty_input_all_gone(self) -> None:
        assert self.between([(1, 1), (2, 2)], []) == Differences(2, 0, 0)
        assert self.between([], [(1, 1), (2, 2)]) == Differences(0, 2, 0)
        assert self.between([], []) == Differences(0, 0, 0)

    @given(ROWS, ROWS)
    def test_they_account_for_every_row(self, now: list[tuple[int, int]], before: list[tuple[int, int]]) -> None:
        there = valid(now)
        new, gone, changed = self.between(now, before)
        assert new + changed == (there - Counter(before)).total()
        assert gone + changed == (Counter(before) - there).total()


def test_memory_stays_flat() -> None:
    """SQLite's own memory is bounded by its cache; what Python holds does not grow with the rows."""
    with closing(filled(*(row(n, n) for n in range(20_000)))) as spool:
        tracemalloc.start()
        try:
            spool.input_digest.of(HOST)
            assert tracemalloc.get_traced_memory()[1] < 100_000
        finally:
            tracemalloc.stop()
