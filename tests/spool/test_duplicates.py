"""Rows with the same identity, in any mixture that reports, sources and reports of reports may bring together."""

from __future__ import annotations

from contextlib import closing
from typing import NamedTuple

from hypothesis import given, strategies as st

from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import CONTENT_HAS_CHANGED
from airflow_provider_lofty.spool.schema import RowState
from airflow_provider_lofty.spool.spool import Spool, SpoolRow

STATES = [state for state in RowState if state not in (RowState.RESENDING, RowState.ASIDE)]


class Given(NamedTuple):
    key: bytes
    content: bytes
    state: RowState | None  # None: delivered


class Found(NamedTuple):
    outcome: str | None
    state: int
    error: str | None
    duplicate_of: int | None
    sent_fingerprint: bytes | None


rows = st.builds(
    Given, st.sampled_from([b"k1", b"k2"]), st.sampled_from([b"one", b"two"]), st.sampled_from([None, *STATES])
)


def marked(given: list[Given]) -> list[Found]:
    with closing(Spool(keep_cells=False)) as spool:
        spool.add_source("report.csv")
        for n, (key, content, state) in enumerate(given, 1):
            outcome = Outcome.ALREADY_DELIVERED if state is None else None
            spool.add(SpoolRow(
                0, n, (), (), 1, b"{}", key, content * 4, b"trace of " + content, outcome, state=int(state or 0),
            ))  # fmt: skip
        spool.flush()
        spool.find_duplicates("identity")
        names = ", ".join(Found._fields)
        return [Found(*row) for row in spool._db.execute(f"SELECT {names} FROM rows ORDER BY n")]


@given(st.lists(rows, min_size=1, max_size=7))
def test_one_row_stands_for_all_of_its_identity(given: list[Given]) -> None:
    found = marked(given)
    for key in {row.key for row in given}:
        group = [(row, end) for row, end in zip(given, found, strict=True) if row.key == key]
        states = {row.state for row, _ in group}
        is_open = [end for _, end in group if end.outcome is None]
        assert len(is_open) == (None not in states)
        if states & {RowState.IN_DOUBT, RowState.UNTRACEABLE} or states == {RowState.REPEATED}:
            assert all(end.state != RowState.WAITING for end in is_open)  # what may be stored is never just sent
        if None in states:
            assert {end.outcome for _, end in group} <= {Outcome.ALREADY_DELIVERED, Outcome.DUPLICATE}
        for row, end in group:
            assert (row.state is RowState.REPEATED) <= (end.outcome == Outcome.DUPLICATE or end in is_open)
            if end.outcome == Outcome.DUPLICATE:
                first = found[(end.duplicate_of or 0) - 1]
                assert given[(end.duplicate_of or 0) - 1].key == key
                assert first.outcome in (None, Outcome.ALREADY_DELIVERED)
            if end.error == CONTENT_HAS_CHANGED:
                assert end.sent_fingerprint not in (None, row.content * 4)
            if end.outcome == Outcome.INVALID:
                assert row.state is RowState.WAITING


@given(st.lists(rows, min_size=1, max_size=7).flatmap(lambda given: st.tuples(st.just(given), st.permutations(given))))
def test_the_order_of_the_rows_decides_no_more_than_which_of_equals_stands_for_the_others(
    orders: tuple[list[Given], list[Given]],
) -> None:
    states = [
        {key: {end.state for row, end in zip(given, marked(given), strict=True) if row.key == key and not end.outcome}
         for key in (b"k1", b"k2")}
        for given in orders
    ]  # fmt: skip
    assert states[0] == states[1]
