"""What a page shows of all that ought to be there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from airflow_provider_lofty.delivery.completeness import Completeness
from airflow_provider_lofty.delivery.doubt import Page
from airflow_provider_lofty.lofty.trace import Trace, trace_of_body
from airflow_provider_lofty.spool.history import OfAnother
from airflow_provider_lofty.spool.spool import PendingRow

CREATED = 1_772_359_200_000
ALWAYS = ("", "z")


def made(n: int, like: int | None = None) -> PendingRow:
    told = {"type": "Browse", "text": f"home {like or n}", "link": "", "picture": "", "created": CREATED + (like or n)}
    body = msgspec.json.encode(told)
    return PendingRow(n, n, 5, body, b"k%d" % n, b"f", trace_of_body(5, body).trace_hash)


def shown(*rows: PendingRow) -> list[Trace]:
    return [trace_of_body(row.lead_id, row.body) for row in rows]


def sent_by_others(n: int, closed_at: str) -> OfAnother:
    return OfAnother(b"o%d" % n, 5, made(n).trace_hash, CREATED + n, closed_at)


def completeness(
    page: list[Trace], rows: list[PendingRow], others: Any = (), reached: int | None = None, **began: float
) -> Completeness:
    started = {int(name[1:]): at for name, at in began.items()}
    return Completeness(Page(5, page, True, 0.0, 0.0, reached=reached), rows, started, others)


def test_a_page_that_shows_every_row_shows_all() -> None:
    rows = [made(1), made(2), made(3, like=1)]
    assert completeness(shown(*rows), rows).shows_all(0.0, *ALWAYS)
    assert not completeness(shown(*rows[:2]), rows).shows_all(0.0, *ALWAYS)


@pytest.mark.parametrize(("before", "shows_all"), [(4.0, True), (5.0, True), (5.1, False)])
def test_what_was_begun_later_need_not_be_shown(before: float, shows_all: bool) -> None:
    rows = [made(1), made(2)]
    assert completeness(shown(rows[0]), rows, n2=5.0).shows_all(before, *ALWAYS) is shows_all


@pytest.mark.parametrize(("before", "shows_all"), [(3.0, True), (6.0, True), (8.0, False)])
def test_of_rows_that_look_alike_the_older_ones_are_shown(before: float, shows_all: bool) -> None:
    rows = [made(1), made(2, like=1), made(3, like=1)]
    page = shown(*rows[:2])
    assert completeness(page, rows, n1=7.0, n2=2.0, n3=5.0).shows_all(before, *ALWAYS) is shows_all


def test_what_is_older_than_what_was_asked_for_need_not_be_shown() -> None:
    assert completeness([], [made(1)], reached=CREATED + 2).shows_all(0.0, *ALWAYS)
    assert not completeness([], [made(2)], reached=CREATED + 2).shows_all(0.0, *ALWAYS)
    assert completeness([], [], [sent_by_others(1, "b")], reached=CREATED + 2).shows_all(0.0, *ALWAYS)


@pytest.mark.parametrize(
    ("since", "until", "shows_all"), [("a", "c", False), ("b", "c", False), ("a", "b", True), ("c", "d", True)]
)
def test_what_others_delivered_meanwhile_has_to_be_shown_too(since: str, until: str, shows_all: bool) -> None:
    found = completeness(shown(made(1)), [made(1)], [sent_by_others(2, "b")])
    assert found.shows_all(0.0, since, until) is shows_all


def test_rows_and_those_of_others_that_look_alike_are_counted_together() -> None:
    others = [sent_by_others(1, "b")]
    assert completeness(shown(made(1), made(1)), [made(1)], others).shows_all(0.0, *ALWAYS)
    assert not completeness(shown(made(1)), [made(1)], others).shows_all(0.0, *ALWAYS)
    assert completeness(shown(made(1)), [made(1)], others, n1=3.0).shows_all(2.0, *ALWAYS)
    assert completeness(shown(made(1)), [made(1)], others).shows_all(0.0, "c", "d")


def test_all_rows_are_looked_at_once_however_often_it_is_asked() -> None:
    looked_at: list[int] = []

    def rows() -> Iterator[PendingRow]:
        for n in range(1, 101):
            looked_at.append(n)
            yield made(n)

    found = Completeness(Page(5, [], True, 0.0, 0.0), rows(), {n: float(n) for n in range(1, 101)}, ())
    assert [found.shows_all(before, *ALWAYS) for before in (0.5, 1.5, 99.0)] == [True, False, False]
    assert looked_at == list(range(1, 101))
