"""The check of one value: what goes on the wire, exactly, or one refusal that names the rule and never the value."""

from __future__ import annotations

import enum
import json
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from airflow_provider_lofty.lofty.fields import ACTIVITY_TYPES, FIELDS
from airflow_provider_lofty.rows.values import (
    InvalidValue,
    TimestampChecks,
    activity_type,
    boolean,
    checks,
    double,
    identifier,
    int32,
    int64,
    is_missing,
    kind_of,
    plain,
    text,
)

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)
MOMENTS = TimestampChecks(timezone.utc, NOW)
NEW_YORK = TimestampChecks(ZoneInfo("America/New_York"), NOW)
CHECKS = checks(MOMENTS)
HUGE = pytest.param(10**5000, id="5001 digits")
YEAR_MS = 366 * 24 * 3600 * 1000
OLDEST_MS = 631_152_000_000
NEWEST_MS = int(NOW.timestamp() * 1000) + YEAR_MS


class Colour(str, enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    SEVEN = 7


class TestMissing:
    @pytest.mark.parametrize(
        "value",
        [None, float("nan"), np.float64("nan"), Decimal("NaN"), Decimal("sNaN"), pd.NaT, pd.NA],
        ids=repr,
    )
    def test_null_nan_and_nat_are_no_value(self, value: Any) -> None:
        assert is_missing(value)

    @pytest.mark.parametrize("value", ["", " ", 0, 0.0, False, Decimal(0), [], {}, "NaN", "null", np.array([1.0])])
    def test_empty_text_zero_and_false_are_values(self, value: Any) -> None:
        assert not is_missing(value)

    @pytest.mark.parametrize("value", [np.datetime64("NaT"), np.timedelta64("NaT"), np.float32("nan")])
    def test_a_numpy_scalar_without_a_value_is_missing(self, value: Any) -> None:
        assert is_missing(plain(value))


class TestNumpy:
    @pytest.mark.parametrize(
        ("value", "held"),
        [
            (np.int64(2**62 + 1), 2**62 + 1),
            (np.float64(1.5), 1.5),
            (np.bool_(True), True),
            (np.str_("x"), "x"),
            (np.array(5), 5),
            (np.datetime64("2024-05-01T10:00:00.123456789"), datetime(2024, 5, 1, 10, 0, 0, 123456)),
            (np.datetime64("2024-05-01"), date(2024, 5, 1)),
        ],
    )
    def test_a_scalar_becomes_the_value_it_holds(self, value: Any, held: Any) -> None:
        assert plain(value) == held
        assert type(plain(value)) is type(held)

    @pytest.mark.parametrize(
        "value", [np.timedelta64(5, "ns"), np.datetime64("20000-01-01"), np.datetime64(2**62, "s")]
    )
    @pytest.mark.parametrize("kind", sorted(CHECKS))
    def test_a_time_that_python_cannot_hold_never_passes_for_a_number(self, kind: str, value: Any) -> None:
        with pytest.raises(InvalidValue):
            CHECKS[kind](plain(value))

    @pytest.mark.parametrize("kind", sorted(CHECKS))
    def test_an_array_is_no_value_of_any_field(self, kind: str) -> None:
        with pytest.raises(InvalidValue):
            CHECKS[kind](plain(np.array([1, 2])))


class TestText:
    @pytest.mark.parametrize("value", ["02134", "", "  padded ", "Zoë 🏠", "line\nbreak", "=1+1", "x" * 100_000])
    def test_text_stays_as_it_is(self, value: str) -> None:
        assert text(value) == value

    @pytest.mark.parametrize(
        ("value", "sent"),
        [
            (2134, "2134"),
            (2134.0, "2134"),
            (1e22, "10000000000000000000000"),
            (0.1, "0.1"),
            (1e-7, "0.0000001"),
            (-0.0, "0"),
            (Decimal("85001.00"), "85001"),
            (Decimal("85001.50"), "85001.5"),
            (Decimal("1E+3"), "1000"),
            (Decimal("1.23456789012345678901234567890123"), "1.23456789012345678901234567890123"),
            (2**63, "9223372036854775808"),
            (Number.SEVEN, "7"),
        ],
    )
    def test_a_number_becomes_its_plain_digits(self, value: Any, sent: str) -> None:
        assert text(value) == sent

    def test_an_enum_that_is_text_becomes_its_value_and_not_its_name(self) -> None:
        assert text(Colour.RED) == "red"
        assert type(text(Colour.RED)) is str

    @pytest.mark.parametrize(
        ("value", "sent"),
        [
            (date(2024, 5, 1), "2024-05-01"),
            (datetime(2024, 5, 1, 10, 30), "2024-05-01T10:30:00"),
            (time(10, 30), "10:30:00"),
            (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ],
    )
    def test_dates_times_and_uuids_are_written_out(self, value: Any, sent: str) -> None:
        assert text(value) == sent

    @pytest.mark.parametrize(
        ("value", "rule"),
        [
            ("bad \ud800", "surrogate"),
            ("bad\udcffbytes", "surrogate"),
            ("a\0b", "NUL"),
            ("Zoë\0", "NUL"),
            (["a"], "a list"),
            (("a",), "a list"),
            ({"a": 1}, "an object"),
            ({"a"}, "a list"),
            (b"bytes", "bytes"),
            (True, "true/false"),
            (float("inf"), "finite"),
            (Decimal("-Infinity"), "finite"),
            pytest.param(10**5000, "hundreds of digits", id="huge"),
            (Decimal("1E+1000000"), "hundreds of digits"),
            (Decimal("1E-1000000"), "hundreds of digits"),
            (timedelta(1), "timedelta"),
            (1j, "complex"),
            (object(), "object"),
        ],
    )
    def test_what_is_no_text_is_refused_with_its_kind(self, value: Any, rule: str) -> None:
        with pytest.raises(InvalidValue, match=rule):
            text(value)


class TestIds:
    @pytest.mark.parametrize(
        ("value", "sent"),
        [
            (1, 1),
            ("1", 1),
            (" 42 ", 42),
            ("007", 7),
            (2**63 - 1, 2**63 - 1),
            ("9223372036854775807", 2**63 - 1),
            (9007199254740993, 9007199254740993),
            ("9007199254740993", 9007199254740993),
            (42.0, 42),
            (float(2**53 - 1), 2**53 - 1),
            (Decimal("9007199254740993"), 9007199254740993),
            (Decimal("42.00"), 42),
            (Number.SEVEN, 7),
        ],
    )
    def test_an_id_arrives_exactly(self, value: Any, sent: int) -> None:
        assert identifier(value) == sent
        assert type(identifier(value)) is int

    @pytest.mark.parametrize(
        "value",
        [
            0, -1, "0", "-1", "+1", "", " ", "abc", "1.0", "1e3", "1_000", "1,000", "0x1F", "１２", "²", "٣", "1 2",
            2**63, str(2**63), "9" * 5000, HUGE, 1.5, float(2**53), 9007199254740993.0, 1e300, float("inf"),
            -0.0, Decimal("1.5"), Decimal("1E+40"), Decimal("Infinity"), Decimal("1E-1000000"), True, False,
            b"1", ["1"], {"id": 1}, datetime(2024, 1, 1), date(2024, 1, 1), 1j, Fraction(1), object(),
        ],
    )  # fmt: skip
    def test_what_is_no_id_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidValue):
            identifier(value)

    def test_a_float_that_may_have_lost_digits_says_so(self) -> None:
        with pytest.raises(InvalidValue, match="last digits are lost"):
            identifier(9007199254740993.0)


class TestNumbers:
    @pytest.mark.parametrize(("check", "bits"), [(int64, 64), (int32, 32)])
    def test_whole_numbers_keep_within_their_bits(self, check: Any, bits: int) -> None:
        bound = 2 ** (bits - 1)
        assert [check(-bound), check(bound - 1), check(str(bound - 1))] == [-bound, bound - 1, bound - 1]
        for value in (bound, -bound - 1, str(bound), Decimal(bound)):
            with pytest.raises(InvalidValue, match=f"{bits} bits"):
                check(value)

    @pytest.mark.parametrize(
        ("value", "sent"), [("450000", 450000), ("450000.00", 450000), ("-5", -5), ("+5", 5), (450000.0, 450000)]
    )
    def test_a_whole_number_may_be_written_with_zeros_behind_the_point(self, value: Any, sent: int) -> None:
        assert int64(value) == sent

    @pytest.mark.parametrize(
        "value",
        ["450,000", "$450000", "4.5", "4.5e5", "1e3", "", "NaN", "inf", "0x10", "1_0", True, 1.5, None, [], {}, b"1"],
    )
    def test_what_is_no_whole_number_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidValue, match="whole number"):
            int64(value)

    @pytest.mark.parametrize(
        ("value", "sent"),
        [(2, 2.0), ("2", 2.0), (2.5, 2.5), ("2.5", 2.5), (" .5 ", 0.5), ("1e3", 1000.0), (Decimal("0.25"), 0.25)],
    )
    def test_a_double_is_the_same_however_it_was_written(self, value: Any, sent: float) -> None:
        assert json.dumps(double(value)) == json.dumps(sent)

    def test_a_double_has_no_minus_zero(self) -> None:
        assert [str(double(value)) for value in (-0.0, "-0", Decimal("-0"))] == ["0.0"] * 3

    @pytest.mark.parametrize(
        "value",
        [float("inf"), "inf", "nan", "NaN", "1e999", "-1e999", 10**400, Decimal("1E+999"), Decimal("Infinity"), "1_0",
         "１", "", "two", "1,5", True, [], {}, b"1", 1j, "1" * 401],
    )  # fmt: skip
    def test_what_is_no_finite_number_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidValue, match="number"):
            double(value)

    @pytest.mark.parametrize("value", [True, 1, 1.0, "true", " YES ", "t", "Y", "1", Decimal(1)])
    def test_yes(self, value: Any) -> None:
        assert boolean(value) is True

    @pytest.mark.parametrize("value", [False, 0, 0.0, "false", "No", "f", "n", "0", Decimal(0)])
    def test_no(self, value: Any) -> None:
        assert boolean(value) is False

    @pytest.mark.parametrize("value", [2, -1, 0.5, "", "maybe", "on", "10", [], [True], {}, b"1", float("inf")])
    def test_what_is_neither_yes_nor_no_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidValue, match="true or false"):
            boolean(value)


class TestType:
    @pytest.mark.parametrize("name", ACTIVITY_TYPES)
    def test_the_five_types_whatever_their_case(self, name: str) -> None:
        assert {activity_type(way) for way in (name, name.upper(), name.lower(), f" {name} ")} == {name}

    @pytest.mark.parametrize("value", ["", "Brows", "Browse,Search", "Viewed", 1, True, ["Browse"], b"Browse"])
    def test_no_other_type(self, value: Any) -> None:
        with pytest.raises(InvalidValue, match="must be one of Search, Browse, Favorite, Request, Submission"):
            activity_type(value)


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
    def test_what_is_no_time_is_refused(self, value: Any) -> None:
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


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(allow_nan=None), st.text(),
    st.text(st.characters(codec=None)), st.binary(), st.dates(), st.datetimes(), st.times(), st.timedeltas(), st.uuids(),
    st.complex_numbers(), st.fractions(), st.datetimes(timezones=st.timezones()), st.integers(-(2**70), 2**70).map(str),
    st.floats().map(repr), st.decimals().map(str), st.dates().map(str), st.datetimes().map(str),
    st.integers(OLDEST_MS - 10**6, NEWEST_MS + 10**6), st.sampled_from(("9" * 5000, 10**300, Colour.RED, Number.SEVEN)),
    st.integers(-(2**63), 2**63 - 1).map(np.int64), st.floats().map(np.float64), st.datetimes().map(np.datetime64),
    st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(pd.Timestamp),
    st.integers(-(2**62), 2**62).map(lambda number: np.datetime64(number, "ns")),
)  # fmt: skip
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)


def fits(kind: str, sent: Any) -> bool:
    """Whether Lofty's specification allows this value for a field of this kind."""
    return {
        "id": lambda: type(sent) is int and 0 < sent < 2**63,
        "int64": lambda: type(sent) is int and -(2**63) <= sent < 2**63,
        "int32": lambda: type(sent) is int and -(2**31) <= sent < 2**31,
        "milliseconds": lambda: type(sent) is int and OLDEST_MS <= sent <= NEWEST_MS,
        "double": lambda: type(sent) is float and abs(sent) != float("inf") and sent == sent,
        "boolean": lambda: type(sent) is bool,
        "activity type": lambda: sent in ACTIVITY_TYPES,
        "text": lambda: type(sent) is str and "\0" not in sent and bool(sent.encode() or True),
        "date text": lambda: type(sent) is str and "\0" not in sent and bool(sent.encode() or True),
    }[kind]()


@given(value=ANYTHING)
def test_any_value_is_either_sent_as_the_specification_allows_or_refused(value: Any) -> None:
    value = plain(value)
    if is_missing(value):
        return
    for kind, check in (*CHECKS.items(), *checks(NEW_YORK).items()):
        try:
            sent = check(value)
        except InvalidValue as error:
            assert str(error)
        else:
            assert fits(kind, sent), (kind, sent)


MARK = "xq7zw"


@pytest.mark.parametrize(
    "value",
    [MARK, f"{MARK}\0", f"{MARK}\ud800", {MARK: MARK}, [MARK], MARK.encode(), 918273645.5, -918273645, 10**30 + 918273645,
     Decimal("918273645.25"), datetime(1918, 2, 7), date(1918, 2, 7)],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
@pytest.mark.parametrize("kind", sorted(CHECKS))
def test_a_refusal_never_quotes_the_value(kind: str, value: Any) -> None:
    try:
        CHECKS[kind](value)
    except InvalidValue as error:
        assert not any(secret in str(error) for secret in (MARK, "918273645", "1918"))
        assert error.__cause__ is None


@given(value=ANYTHING)
def test_the_kind_of_a_value_is_named_without_it(value: Any) -> None:
    assert kind_of(value) in {
        "true/false", "text", "a whole number", "a decimal number", "a timestamp", "a date", "bytes", "an object", "a list",
    } or kind_of(value).startswith("a value of type ")  # fmt: skip


def test_every_field_has_a_kind_that_is_checked_and_a_name_of_its_own() -> None:
    assert {field.kind for field in FIELDS} == set(CHECKS)
    assert len({field.name for field in FIELDS}) == len(FIELDS)
