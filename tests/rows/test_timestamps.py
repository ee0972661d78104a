"""Dates and times: one moment, however it is written."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from support.values import HUGE, MOMENTS, NEW_YORK, NEWEST_MS, OLDEST_MS

from airflow_provider_lofty.rows.values import InvalidValue


class TestCreated:
    @pytest.mark.parametrize(
        "value",
        [
            1714557600123,
            1714557600123.0,
            Decimal("1714557600123"),
            "1714557600123",
            " 1714557600123 ",
            datetime(2024, 5, 1, 10, 0, 0, 123999),
            datetime(2024, 5, 1, 10, 0, 0, 123000, tzinfo=timezone.utc),
            datetime(2024, 5, 1, 12, 0, 0, 123000, tzinfo=timezone(timedelta(hours=2))),
            pd.Timestamp("2024-05-01T10:00:00.123999999"),
            "2024-05-01T10:00:00.123Z",
            "2024-05-01t10:00:00.123z",
            "2024-05-01 10:00:00.123",
            "2024-05-01T12:00:00.123456789+02:00",
            "2024-05-01T12:00:00.123+0200",
            "20240501T100000.123Z",
        ],
        ids=repr,
    )
    def test_one_moment_however_it_is_written(self, value: Any) -> None:
        assert MOMENTS.milliseconds(value) == 1714557600123

    @pytest.mark.parametrize("value", [date(2024, 5, 1), "2024-05-01", datetime(2024, 5, 1)], ids=repr)
    def test_a_date_is_midnight_in_the_zone(self, value: Any) -> None:
        assert NEW_YORK.milliseconds(value) == 1714536000000

    @pytest.mark.parametrize(
        "value", [datetime(2024, 3, 10, 2, 30), "2024-03-10T02:30:00", pd.Timestamp(2024, 3, 10, 2, 30)], ids=repr
    )
    def test_a_time_that_the_zone_skips_is_invalid(self, value: Any) -> None:
        with pytest.raises(InvalidValue, match="clocks in America/New_York skip"):
            NEW_YORK.milliseconds(value)

    @pytest.mark.parametrize(
        "value", [datetime(2024, 11, 3, 1, 30), datetime(2024, 11, 3, 1, 30, fold=1), "2024-11-03T01:30:00"], ids=repr
    )
    def test_a_time_that_occurs_twice_takes_the_earlier_offset(self, value: Any) -> None:
        assert NEW_YORK.milliseconds(value) == int(datetime(2024, 11, 3, 5, 30, tzinfo=timezone.utc).timestamp() * 1000)

    @pytest.mark.parametrize("value", [OLDEST_MS, NEWEST_MS, str(OLDEST_MS), "1990-01-01T00:00:00Z"])
    def test_the_bounds_belong_to_the_range(self, value: Any) -> None:
        assert OLDEST_MS <= MOMENTS.milliseconds(value) <= NEWEST_MS

    @pytest.mark.parametrize(
        "value",
        [OLDEST_MS - 1, NEWEST_MS + 1, 0, -1, "1989-12-31T23:59:59.999Z", "2199-01-01", date(1, 1, 1), date.max,
         datetime.min, datetime.max, datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))), 2**63, HUGE],
        ids=lambda value: repr(value)[:40],
    )  # fmt: skip
    def test_outside_1990_to_one_year_ahead_is_refused(self, value: Any) -> None:
        for moments in (MOMENTS, NEW_YORK):
            with pytest.raises(InvalidValue, match="lies outside 1990 to one year ahead"):
                moments.milliseconds(value)

    @pytest.mark.parametrize(
        ("value", "unit"),
        [
            (1714557600, "seconds"),
            ("1714557600", "seconds"),
            (1714557600.123, "seconds"),
            (Decimal(1714557600), "seconds"),
            (1714557600123456, "microseconds"),
            (1714557600123456789, "nanoseconds"),
        ],
    )
    def test_a_number_in_another_unit_names_the_unit(self, value: Any, unit: str) -> None:
        with pytest.raises(InvalidValue, match=f"looks like {unit}$"):
            MOMENTS.milliseconds(value)

    @pytest.mark.parametrize(
        "value",
        [
            "", " ", "yesterday", "05/01/2024", "01.05.2024", "2024-13-01", "2024-02-30", "2024-05-01T25:00", "24-05-01",
            "2024-05-01+02:00", "2024-05-01-10:00", "2024-05-01Z", "2024-05-01_10:00", "2024-05-01\ud80010:00",
            "2024-05-01\x0010:00", "２０２４-05-01", "2024-05-01T10:00 Europe/Berlin", "2024-05-01T", "9" * 5000,
            "-1714557600123", "1.7e12", "1714557600123.5", 1714557600123.5, True, time(10), timedelta(1), [], {}, b"2024",
        ],
        ids=lambda value: repr(value)[:30],
    )  # fmt: skip
    def test_anything_but_a_time_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidValue):
            MOMENTS.milliseconds(value)


class TestScheduledDate:
    @pytest.mark.parametrize("value", ["next Tuesday", "2024-05-01", "05/01/2024 10am", ""])
    def test_text_goes_as_it_is(self, value: str) -> None:
        assert NEW_YORK.date_text(value) == value

    @pytest.mark.parametrize("value", [datetime(2024, 5, 1, 10), pd.Timestamp(2024, 5, 1, 10)], ids=repr)
    def test_a_timestamp_goes_with_its_offset(self, value: Any) -> None:
        assert NEW_YORK.date_text(value) == "2024-05-01T10:00:00-04:00"

    def test_a_timestamp_keeps_an_offset_of_its_own(self) -> None:
        value = datetime(2024, 5, 1, 10, tzinfo=timezone(timedelta(hours=2)))
        assert NEW_YORK.date_text(value) == "2024-05-01T10:00:00+02:00"

    def test_a_date_goes_as_a_date(self) -> None:
        assert NEW_YORK.date_text(date(2024, 5, 1)) == "2024-05-01"

    @pytest.mark.parametrize("value", [datetime(2024, 3, 10, 2, 30), pd.Timestamp(2024, 3, 10, 2, 30)], ids=repr)
    def test_a_time_that_the_zone_skips_is_invalid(self, value: Any) -> None:
        with pytest.raises(InvalidValue, match="skip"):
            NEW_YORK.date_text(value)
