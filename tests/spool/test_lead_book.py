"""Whose the rows' addresses and numbers are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.activities import BODY

from airflow_provider_lofty.lofty.lead_pages import ListedLead
from airflow_provider_lofty.lofty.trace import trace_of_body
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.rows.builder import encode_json
from airflow_provider_lofty.spool.schema import RowState
from airflow_provider_lofty.spool.spool import Spool, SpoolRow


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(keep_cells=False, folder=str(tmp_path))
    spool.add_source("people.csv")
    yield spool
    spool.close()


def fill(spool: Spool, *people: tuple[str | None, str | None], **others: Any) -> None:
    for n, (email, phone) in enumerate(people, 1):
        one = SpoolRow(0, n, (), (), None, encode_json(BODY), b"i%d" % n, b"f%d" % n, None, email=email, phone=phone)
        spool.add(one._replace(**others))
    spool.flush()


def lead(lead_id: int, *emails: str, phones: tuple[str, ...] = ()) -> ListedLead:
    return ListedLead(lead_id, {"email": frozenset(emails), "phone": frozenset(phones)}, frozenset(phones))


def fates(spool: Spool) -> list[tuple[Any, ...]]:
    return [(row.outcome, row.lead_id, row.error, row.matched_by) for row in spool.books.rows()]


def test_each_different_key_counts_once(spool: Spool) -> None:
    fill(spool, ("a@x", "1"), ("a@x", "2"), ("b@x", None), (None, "1"))
    assert spool.lead_book.gather(("email", "phone")) == {"email": 2, "phone": 2}


def test_rows_that_need_no_lead_do_not_count(spool: Spool) -> None:
    fill(spool, ("a@x", None), outcome=Outcome.ALREADY_DELIVERED)
    fill(spool, ("b@x", None), lead_id=5)
    fill(spool, ("c@x", None), state=RowState.UNTRACEABLE.value)
    assert spool.lead_book.gather(("email",)) == {}


def test_keys_of_a_later_kind_are_needed_where_no_earlier_one_tells(spool: Spool) -> None:
    fill(spool, ("a@x", "1"), ("b@x", "2"), ("c@x", "3"), ("d@x", "4"), (None, "5"))
    book = spool.lead_book
    book.gather(("email", "phone"))
    answers: dict[str, list[int]] = {"a@x": [1], "b@x": [], "c@x": [2, 3]}
    for key in book.lookups("email"):
        if key in answers:
            book.record("email", key, answers[key])
        else:
            book.refuse("email", key, "refused")
    assert list(book.lookups("phone")) == ["2", "5"]


def test_many_keys_are_taken_in_parts(spool: Spool) -> None:
    fill(spool, *((f"p-{n:04}@x", None) for n in range(1201)))
    spool.lead_book.gather(("email",))
    assert list(spool.lead_book.lookups("email")) == [f"p-{n:04}@x" for n in range(1201)]


def test_a_list_tells_whose_each_key_is(spool: Spool) -> None:
    fill(spool, ("a@x", None), ("b@x", None), ("c@x", "1"), (None, "1"))
    book = spool.lead_book
    book.gather(("email", "phone"))
    book.take_listed([lead(7, "a@x", "z@x"), lead(8, "b@x", phones=("1", "9"))])
    book.take_listed([lead(9, "b@x"), lead(7, "a@x")])
    assert book.count_listed() == 3
    book.end_list()
    book.assign(has_gaps=False)
    assert fates(spool) == [
        (None, 7, None, "email"),
        (Outcome.UNMATCHED, None, "2 leads have this e-mail address: 8, 9", None),
        (None, 8, None, "phone"),
        (None, 8, None, "phone"),
    ]
    waiting = spool.pending()
    assert [row.trace_hash for row in waiting] == [trace_of_body(row.lead_id, row.body).trace_hash for row in waiting]
    assert all(row.may_move for row in waiting)


def test_nothing_of_a_list_that_was_forgotten_is_left(spool: Spool) -> None:
    fill(spool, ("a@x", None))
    book = spool.lead_book
    book.gather(("email",))
    book.take_listed([lead(7, "a@x")])
    book.forget()
    assert book.count_listed() == 0
    book.record("email", "a@x", [])
    book.assign(has_gaps=False)
    assert fates(spool) == [(Outcome.UNMATCHED, None, "no lead has this e-mail address", None)]


def test_many_leads_are_named_in_part(spool: Spool) -> None:
    fill(spool, ("a@x", None))
    spool.lead_book.gather(("email",))
    spool.lead_book.record("email", "a@x", range(1, 31))
    spool.lead_book.assign(has_gaps=False)
    ids = ", ".join(map(str, range(1, 21)))
    assert fates(spool)[0][2] == f"30 leads have this e-mail address: {ids}, …"


def test_repeats_share_what_is_found_of_the_row_that_they_repeat(spool: Spool) -> None:
    fill(spool, ("a@x", None), ("b@x", None))
    fill(spool, ("a@x", None), ("b@x", None))
    spool.find_duplicates("identity")
    spool.lead_book.gather(("email",))
    spool.lead_book.record("email", "a@x", [7])
    spool.lead_book.record("email", "b@x", [])
    spool.lead_book.assign(has_gaps=False)
    assert [(outcome, lead_id) for outcome, lead_id, *_ in fates(spool)] == [
        (None, 7), (Outcome.UNMATCHED, None), (Outcome.DUPLICATE, 7), (Outcome.UNMATCHED, None)
    ]  # fmt: skip


def test_where_earlier_tries_left_gaps_an_unmatched_row_may_be_stored(spool: Spool) -> None:
    fill(spool, ("a@x", None))
    spool.lead_book.gather(("email",))
    spool.lead_book.record("email", "a@x", [])
    spool.lead_book.assign(has_gaps=True)
    error = "no lead has this e-mail address; perhaps sent by an earlier try, which left no journal"
    assert fates(spool) == [(Outcome.UNKNOWN, None, error, None)]
    assert spool.books.count_failed() == 1


def test_an_unmatched_row_that_another_run_holds_may_be_stored(spool: Spool) -> None:
    fill(spool, ("a@x", None), ("a@x", None))
    spool.history.add_held([b"i2"])
    spool.lead_book.gather(("email",))
    spool.lead_book.record("email", "a@x", [])
    spool.lead_book.assign(has_gaps=False)
    assert [outcome for outcome, *_ in fates(spool)] == [Outcome.UNMATCHED, Outcome.UNKNOWN]
    assert "another run is sending it" in str(fates(spool)[1][2])


def test_unmatched_rows_are_not_counted_as_failed_and_are_told_with_them(spool: Spool) -> None:
    fill(spool, ("a@x", None), ("b@x", None), ("c@x", None), ("d@x", None))
    spool.lead_book.gather(("email",))
    for key, found in {"a@x": [1, 2], "b@x": [3, 4], "c@x": [], "d@x": [5, 6, 7]}.items():
        spool.lead_book.record("email", key, found)
    spool.lead_book.assign(has_gaps=False)
    assert spool.books.count_failed() == 0
    assert [(group.rows, group.error) for group in spool.books.failure_groups(9)] == [
        (2, "2 leads have this e-mail address: 1, 2"),
        (1, "no lead has this e-mail address"),
        (1, "3 leads have this e-mail address: 5, 6, 7"),
    ]
