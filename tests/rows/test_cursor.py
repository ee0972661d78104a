"""Values of a cursor: kept exactly, and compared only where their database would say the same."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies
from support.cursors import DENVER, EXACT

from airflow_provider_lofty.rows.cursor import LONGEST, CursorError, CursorValue, Lag, fitted
from airflow_provider_lofty.rows.values import ShortFloat, SixDigitFloat

UTC = timezone.utc
ROME = ZoneInfo("Europe/Rome")


def of(value: Any) -> CursorValue:
    return CursorValue.of(value)


@pytest.mark.parametrize("value", EXACT, ids=repr)
def test_a_value_is_kept_exactly_with_its_type(value: Any) -> None:
    kept = of(value)
    assert (kept.value, type(kept.value)) == (value, type(value))
    assert kept.text.isascii()
    assert "\0" not in kept.text


@given(strategies.datetimes(), strategies.integers(-14 * 60, 14 * 60))
def test_of_a_time_neither_microseconds_nor_offset_are_lost(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert of(moment).value == moment
    assert of(aware).value.isoformat() == aware.isoformat()


@pytest.mark.parametrize(
    "value",
    [
        True, None, float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity"), 2.0**53, 0.1 + 0.2, 1e300,
        1772409600.1234567, ShortFloat(0.5), SixDigitFloat(1.5), b"1", UUID(int=7), [1], timedelta(1), "x" * LONGEST,
    ],
    ids=repr,
)  # fmt: skip
def test_what_could_stand_in_two_places_is_refused(value: Any) -> None:
    with pytest.raises(CursorError) as caught:
        of(value)
    assert "x" * 20 not in str(caught.value)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        (1, 2), (1, Decimal("1.5")), (Decimal("1.5"), 2.25), (-(10**30), 10**30), (date(2026, 1, 1), date(2026, 1, 2)),
        (datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 0, 0, 1)),
        (datetime(2026, 1, 1, 12, tzinfo=ROME), datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("2026-01-01 10:00:00", "2026-01-01 10:00:00.5"), ("2026-01-01 10:00:00.25", "2026-01-01 10:00:00.5"),
        ("a-001", "a-002"), ("2026-01-01T10:00:00Z", "2026-01-01T10:00:01Z"),
    ],
)  # fmt: skip
def test_which_comes_first(lower: Any, higher: Any) -> None:
    assert of(lower).comes_before(of(higher)) is True
    assert of(higher).comes_before(of(lower)) is False
    assert of(lower).comes_before(of(lower)) is False
    assert of(lower).at_least(of(higher)) == of(higher).at_least(of(lower)) == of(higher)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "B"), ("a1", "b1"), ("10", "9"), (1, "1"), (datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)),
        (date(2026, 1, 1), datetime(2026, 1, 1)), ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00.5Z"),
    ],
)  # fmt: skip
def test_what_only_a_database_can_tell(one: Any, other: Any) -> None:
    assert of(one).comes_before(of(other)) is None
    assert of(other).comes_before(of(one)) is None


@pytest.mark.parametrize(
    ("lag", "value", "earlier"),
    [
        (timedelta(hours=1), datetime(2026, 3, 1, 0, 30, 0, 5), datetime(2026, 2, 28, 23, 30, 0, 5)),
        ("2 hours", datetime(2026, 3, 1, tzinfo=ROME), datetime(2026, 2, 28, 22, tzinfo=ROME)),
        ("90 min", "2026-03-01 00:30:00", "2026-02-28 23:00:00"),
        ("1 day, 0:30:00", "2026-03-01T00:30:00.120Z", "2026-02-28T00:00:00.120Z"),
        (str(timedelta(minutes=30)), "2026-03-01T01:00+02:00", "2026-03-01T00:30+02:00"),
        ("60", datetime(2026, 3, 1), datetime(2026, 2, 28, 23, 59)),
        (1.5, datetime(2026, 3, 1), datetime(2026, 2, 28, 23, 59, 58, 500000)),
        ("1 week", date(2026, 3, 8), date(2026, 3, 1)), (timedelta(hours=1), date(2026, 3, 1), date(2026, 2, 28)),
        ("1h", "2026-03-01", "2026-02-28"), (10, 7, -3), ("0.5", 7, 6), (0.25, 1.5, 1.25), ("0.5", Decimal("7.25"), Decimal("6.75")), ("2", 7, 5),
        (timedelta(days=9), datetime(1, 1, 2), datetime(1, 1, 1)),
    ],
    ids=str,
)  # fmt: skip
def test_a_lag_goes_back(lag: Any, value: Any, earlier: Any) -> None:
    found = Lag.of(lag)
    assert found is not None
    before = found.before(of(value))
    assert (before.value, type(before.value)) == (earlier, type(earlier))


@pytest.mark.parametrize("lag", [None, "", " ", 0, "0", timedelta(0)])
def test_no_lag(lag: Any) -> None:
    assert Lag.of(lag) is None


@pytest.mark.parametrize("lag", ["soon", "2 months", "1m", -1, timedelta(seconds=-1), True, float("nan"), [1]])
def test_a_lag_that_is_none(lag: Any) -> None:
    with pytest.raises(CursorError, match="cursor_lag"):
        Lag.of(lag)


@pytest.mark.parametrize(
    ("lag", "value"), [("1 hour", 7), (5, date(2026, 3, 1)), (5, "a-17"), ("1 h", "2026-02-31"), ("1 h", "yesterday")]
)
def test_a_lag_that_does_not_fit_its_values(lag: Any, value: Any) -> None:
    found = Lag.of(lag)
    assert found is not None
    with pytest.raises(CursorError, match="cursor_lag"):
        found.before(of(value))


@pytest.mark.parametrize(
    ("start", "like", "read_as"),
    [
        ("17", 1, 17), ("17.9", 1, 17), ("0.1", 0.5, 0.1), (Decimal("0.1"), 0.5, 0.1), (7.5, 1, 7), (" 17.50", Decimal(1), Decimal("17.50")), ("2026-03-01", datetime(2026, 1, 1), datetime(2026, 3, 1)),
        ("2026-03-01", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=ROME)),
        ("2026-03-01T10:00:00Z", datetime(2026, 1, 1), datetime(2026, 3, 1, 11)),
        (date(2026, 3, 1), datetime(2026, 1, 1), datetime(2026, 3, 1)),
        ("2026-03-01 10:00:00", date(2026, 1, 1), date(2026, 3, 1)),
        (datetime(2026, 3, 1, 10), "2026-01-01 00:00:00", "2026-03-01 10:00:00"),
        (datetime(2026, 3, 1, 10, tzinfo=DENVER), "2026-01-01T00:00:00Z", "2026-03-01T17:00:00Z"),
        ("anything", "text", "anything"), (5, Decimal(1), Decimal(5)),
    ],
    ids=str,
)  # fmt: skip
def test_what_the_author_gives_becomes_a_value_of_the_column(start: Any, like: Any, read_as: Any) -> None:
    found = fitted(of(start), of(like), ROME).value
    assert (found, type(found)) == (read_as, type(read_as))


@pytest.mark.parametrize(
    ("start", "like"),
    [
        ("yesterday", datetime(2026, 1, 1)),
        ("x", 1),
        (1, datetime(2026, 1, 1)),
        (1, "text"),
        (date(2026, 1, 1), 1),
        (datetime(2026, 1, 1), "2026-01-01 10:00:00+02:00"),
    ],
)
def test_what_the_author_gives_is_none_of_the_column(start: Any, like: Any) -> None:
    with pytest.raises(CursorError, match="cursor_from"):
        fitted(of(start), of(like), UTC)


def test_people_read_it_as_it_is() -> None:
    assert str(of(datetime(2026, 3, 1, 10, 0, 0, 5, UTC))) == "2026-03-01 10:00:00.000005+00:00"
    assert [str(of(value)) for value in (7, Decimal("1.10"), "a b", date(2026, 3, 1))] == [
        "7",
        "1.10",
        "a b",
        "2026-03-01",
    ]
    assert json.loads(of("ä").text) == "ä"
