"""How far the next run may go on, whatever other runs have written down meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_lofty.journal.cursor import Mark
from airflow_provider_lofty.rows.cursor import CursorValue, Lag
from airflow_provider_lofty.run.watermark import Reach, goes_on_from, next_since


def of(value: Any) -> CursorValue | None:
    return None if value is None else CursorValue.of(value)


def mark(watermark: Any, *held: Any, by: str | None = "me", generation: int = 1, column: str = "at") -> Mark:
    """A mark that is held at a value, where one is given."""
    return Mark(column, of(watermark), bool(held), of(held[0]) if held else None, by, generation)


def reach(since: Any, generation: int = 1, *, is_ordered: bool = False) -> Reach:
    return Reach(of(since), generation, is_ordered=is_ordered)


def merged(found: Reach, before: Mark | None, own: Mark) -> tuple[Any, Any]:
    """The watermark, and from where the next run goes on."""
    after = found.merged(before, own)
    onwards = goes_on_from(after)
    return after.watermark and after.watermark.value, onwards and onwards.value


OTHER: dict[str, Any] = {"by": "other"}


@pytest.mark.parametrize(
    ("found", "before", "own", "expected"),
    [
        pytest.param(reach(None, 0), None, mark(5), (5, 5), id="the first run"),
        pytest.param(reach(None, 0), None, mark(5, 3), (5, 3), id="the first run, held"),
        pytest.param(reach(None, 0), None, mark(None), (None, None), id="an empty table"),
        pytest.param(reach("x", 0), None, mark(None), (None, "x"), id="nothing from a start on"),
        pytest.param(reach(3), mark(3), mark(5), (5, 5), id="new rows"),
        pytest.param(reach(3), mark(3), mark(None), (3, 3), id="no new rows"),
        pytest.param(reach(1), mark(3), mark(2), (3, 3), id="older rows once more"),
        pytest.param(reach(1), mark(3), mark(2, 2), (3, 2), id="older rows once more, held"),
        pytest.param(reach(2), mark(3, 2, **OTHER), mark(5), (5, 5), id="what was held is read"),
        pytest.param(reach(2), mark(3, 2, **OTHER), mark(5, 4), (5, 4), id="what was held is read, other is held"),
        pytest.param(reach(3), mark(3, 2, **OTHER), mark(5), (5, 2), id="what was held is not read"),
        pytest.param(reach(3), mark(3, 2, **OTHER), mark(5, 4), (5, 2), id="nor that, and more is held"),
        pytest.param(reach(2, 0), mark(3, 2, **OTHER), mark(5), (5, 2), id="it was held after this run began"),
        pytest.param(reach(2), mark(3, None, **OTHER), mark(5), (5, None), id="held from the beginning"),
        pytest.param(reach(None), mark(3, None, **OTHER), mark(5), (5, 5), id="everything is read"),
        pytest.param(reach("b"), mark("C", "a", by="me"), mark("D"), ("D", "D"), id="by an earlier try of its own"),
        pytest.param(reach("b"), mark("C", "aa", **OTHER), mark("D"), ("D", "aa"), id="texts of no known order"),
        pytest.param(reach("x", 0), mark("C", "aa", **OTHER), mark("D", "B"), ("D", None), id="two such held"),
        pytest.param(reach(1), mark("text"), mark(5), (5, 5), id="values of another kind"),
        pytest.param(reach(1), mark(9, column="id"), mark(5), (5, 5), id="another column"),
        pytest.param(reach("a", is_ordered=True), mark("a"), mark("B"), ("B", "B"), id="in the database's order"),
        pytest.param(reach("a"), mark("a"), mark("B"), ("a", "a"), id="in no order"),
    ],
)
def test_what_a_run_knows_is_laid_over_what_is_known(
    found: Reach, before: Mark | None, own: Mark, expected: tuple[Any, Any]
) -> None:
    assert merged(found, before, own) == expected


@pytest.mark.parametrize(
    ("before", "lag", "expected"),
    [
        (mark(9), None, 9), (mark(9), 2, 7), (mark(9, 5), None, 5), (mark(9, 5), 2, 5), (mark(9, 8), 2, 7),
        (mark(9, None), 2, None), (mark(None, "x"), 2, "x"), (mark(None), 2, None),
        (mark("2026-03-02", "2026-03-01 10:00:00"), timedelta(days=1), "2026-03-01 10:00:00"),
    ],
)  # fmt: skip
def test_from_where_the_next_run_reads(before: Mark, lag: Any, expected: Any) -> None:
    since = next_since(before, Lag.of(lag))
    assert (since and since.value) == expected
