"""Dates and times: one moment, however it is written."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.values import HUGE, MOMENTS, NEW_YORK, NEWEST_MS, OLDEST_MS

from airflow_provider_lofty.rows.values import InvalidValue, NoValue, ShortFloat, SixDigitFloat, plain


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
            "2024-05-01 10:00:00.123 UTC",
            "2024-05-01 10:00:00.123456 utc",
            "2024-05-01 02:00:00.123 -0800",
            "2024-05-01 10:00:00.123+00",
            "2024-05-01 10:00:00.123 Z",
            "2024-05-01 10:00:00.123 +0000 UTC",
            "2024-05-01 03:00:00.123456789 -0700 MST",
            "2024-05-01T10:00:00.123Z[UTC]",
            "2024-05-01T12:00:00.123+02:00[Europe/Berlin]",
            "2024-05-01T10:00:00,123Z",
            "2024-05-01 10:00:00.1230000 +00:00",
            "2024/05/01 10:00:00.123",
            "2024.05.01 10:00:00.123",
            "2024-5-1 10:00:00.123",
            "2024-05-01 10:00:00.123 AM",
            "Wed, 01 May 2024 10:00:00.123 GMT",
            "1 May 2024 10:00:00.123",
            "May 1, 2024, 10:00:00.123 AM",
            "Wednesday, May 1, 2024 10:00:00.123",
            "01-MAY-2024 10:00:00.123 +0000",
            "1714557600123.9",
            1714557600123.5,
            Decimal("1714557600123.500000"),
        ],
        ids=repr,
    )
    def test_one_moment_however_it_is_written(self, value: Any) -> None:
        assert MOMENTS.milliseconds(value) == 1714557600123

    @pytest.mark.parametrize(
        "value",
        [date(2024, 5, 1), "2024-05-01", datetime(2024, 5, 1), "20240501", 20240501, 20240501.0, Decimal(20240501),
         "2024/05/01", "2024-05-01 12:00 AM", "2024-04-30T24:00:00", "2024-04-30 24:00:00.000", "20240501000000",
         20240501000000, "2024-W18-3", "1-May-2024", "Wed, 1 May 2024", "May 1, 2024", "May 01 2024"],
        ids=repr,
    )  # fmt: skip
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
        with pytest.raises(InvalidValue, match=f"looks like {unit}: mapping="):
            MOMENTS.milliseconds(value)

    @pytest.mark.parametrize(
        "value",
        [
            "", " ", "yesterday", "05/01/2024", "01.05.2024", "2024-13-01", "2024-02-30", "2024-05-01T25:00", "24-05-01",
            "2024-05-01+02:00", "2024-05-01-10:00", "2024-05-01Z", "2024-05-01_10:00", "2024-05-01\ud80010:00",
            "2024-05-01\x0010:00", "２０２４-05-01", "2024-05-01T10:00 Europe/Berlin", "2024-05-01T", "9" * 5000,
            "-1714557600123", "1.7e12", "1.79353E+12", "2024-05-01T24:00:01", "2024-05-01 13:00 PM", "2024-05-01 0:30 AM",
            "2024-05-01 10:60", "2024-05-01 10:00 +05:99", "2024-05-01 10:00 +24:00", "Mon, 01 May 2024 10:00:00 GMT",
            "01-MAY-24 03.45.00.000000 PM", "20240532", 20240532, "2024-05/01", "2024-W54-1", "2024-05", "2024", "Thursday, May 1, 2024", "Mayor 1, 2024", "May 32, 2024", "May 2024",
            "2024-05-01 10:00:00 +0100 UTC", "2024-05-01T10:00+01:00[America/New_York]", "2024-05-01T10:00Z[No/Where]",
            "2024-05-01T10:00[UTC]", "2024-05-01T10:00Z[../UTC]", True, time(10), timedelta(1), [], {}, b"2024",
        ],
        ids=lambda value: repr(value)[:30],
    )  # fmt: skip
    def test_anything_but_a_time_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidValue):
            MOMENTS.milliseconds(value)

    @pytest.mark.parametrize("value", ["11/05/2026 15:45", "05.11.2026", "yesterday", "01-NOV-26 03.45.00.000000 PM"])
    def test_other_text_gets_a_recipe(self, value: str) -> None:
        with pytest.raises(InvalidValue, match=r"November 5 or May 11.*mapping=.*strptime"):
            MOMENTS.milliseconds(value)

    @pytest.mark.parametrize("value", ["45413.65625", "45413", 45413, 45413.65625, Decimal("45413.65625")])
    def test_the_day_number_of_a_spreadsheet_is_named(self, value: Any) -> None:
        with pytest.raises(InvalidValue, match="day number of a spreadsheet"):
            MOMENTS.milliseconds(value)

    def test_seconds_with_a_fraction_are_named(self) -> None:
        for value in ("1714557600.5", Decimal("1714557600.500000"), 1714557600.5):
            with pytest.raises(InvalidValue, match="looks like seconds"):
                MOMENTS.milliseconds(value)

    @pytest.mark.parametrize("number", [1714557600123, 1714557600, 1714557600123000, 20261101])
    @pytest.mark.parametrize("kind", [ShortFloat, SixDigitFloat, lambda number: plain(np.float32(number))])
    def test_a_short_float_is_no_moment_in_any_unit(self, kind: Any, number: int) -> None:
        with pytest.raises(InvalidValue, match="32-bit float, whose last digits are lost"):
            MOMENTS.milliseconds(kind(number))

    def test_a_short_float_that_has_its_digits_is_named_as_any_other_number(self) -> None:
        with pytest.raises(InvalidValue, match="spreadsheet"):
            MOMENTS.milliseconds(ShortFloat(45413.65))

    def test_scientific_notation_says_that_digits_are_lost(self) -> None:
        with pytest.raises(InvalidValue, match="scientific notation"):
            MOMENTS.milliseconds("1.71456E+12")

    @pytest.mark.parametrize("value", ["", "  ", "0000-00-00", "0000-00-00 00:00:00", "0000-00-00 00:00:00.000000"])
    def test_blanks_and_the_date_of_no_day_are_no_value(self, value: str) -> None:
        with pytest.raises(NoValue):
            MOMENTS.milliseconds(value)


class TestScheduledDate:
    @pytest.mark.parametrize(
        "value", ["next Tuesday", "2024-05-01", "05/01/2024 10am", "", "20240501", "10 am", "1st of May"]
    )
    def test_text_goes_as_it_is(self, value: str) -> None:
        assert NEW_YORK.date_text(value) == value

    @pytest.mark.parametrize("value", [datetime(2024, 5, 1, 10), pd.Timestamp(2024, 5, 1, 10)], ids=repr)
    def test_a_timestamp_goes_with_its_offset(self, value: Any) -> None:
        assert NEW_YORK.date_text(value) == "2024-05-01T10:00:00-04:00"

    def test_a_timestamp_keeps_an_offset_of_its_own(self) -> None:
        value = datetime(2024, 5, 1, 10, tzinfo=timezone(timedelta(hours=2)))
        assert NEW_YORK.date_text(value) == "2024-05-01T10:00:00+02:00"

    def test_a_number_that_is_a_date_goes_as_its_digits(self) -> None:
        assert NEW_YORK.date_text(20240501) == "20240501"

    @pytest.mark.parametrize(
        "value", [1714557600123, 45413.65625, "45413.65625", " 45413 ", "1714557600123", "4.5E+04", "7"]
    )
    def test_a_bare_number_names_no_day(self, value: Any) -> None:
        with pytest.raises(InvalidValue, match="bare number|scientific"):
            NEW_YORK.date_text(value)

    def test_the_date_of_no_day_is_no_value(self) -> None:
        with pytest.raises(NoValue):
            NEW_YORK.date_text("0000-00-00")

    def test_a_date_goes_as_a_date(self) -> None:
        assert NEW_YORK.date_text(date(2024, 5, 1)) == "2024-05-01"

    @pytest.mark.parametrize("value", [datetime(2024, 3, 10, 2, 30), pd.Timestamp(2024, 3, 10, 2, 30)], ids=repr)
    def test_a_time_that_the_zone_skips_is_invalid(self, value: Any) -> None:
        with pytest.raises(InvalidValue, match="skip"):
            NEW_YORK.date_text(value)
