"""What counts as no value, and the checks of texts and words."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from support.values import Colour, Number

from airflow_provider_lofty.lofty.fields import ACTIVITY_TYPES
from airflow_provider_lofty.rows.values import (
    InvalidValue,
    NoValue,
    ShortFloat,
    SixDigitFloat,
    activity_type,
    any_text,
    boolean,
    code,
    is_missing,
    plain,
    text,
)


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

    @pytest.mark.parametrize("value", [np.datetime64("NaT", "ns"), np.timedelta64("NaT", "ns"), np.float32("nan")])
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

    @pytest.mark.parametrize("written", ["0.1", "16777216.0", "3.4028235e+38", "-2.5", "nan", "inf"])
    def test_a_float_of_32_bits_is_what_it_was_written_as(self, written: str) -> None:
        held = plain(np.float32(written))
        assert repr(held) == repr(float(written))

    @pytest.mark.parametrize("written", ["0.1", "4710.0", "65500.0", "1234.0", "-2.5", "nan", "inf"])
    def test_a_float_of_16_bits_is_what_it_was_written_as(self, written: str) -> None:
        held = plain(np.float16(written))
        assert repr(held) == repr(float(written))


class TestText:
    @pytest.mark.parametrize(
        "value",
        [
            "02134",
            "",
            "  padded ",
            "Zoë 🏠",
            "5E10",
            "1234e567",
            "built in 2E+5 days",
            "line\nbreak",
            "=1+1",
            "x" * 100_000,
        ],
    )
    def test_text_stays_as_it_is(self, value: str) -> None:
        assert text(value) == value

    @pytest.mark.parametrize(
        ("value", "sent"),
        [
            (2134, "2134"),
            (2134.0, "2134"),
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
            (ip_address("192.0.2.1"), "192.0.2.1"),
            (ip_network("2001:db8::/32"), "2001:db8::/32"),
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
            (1e22, "last digits are lost"),
            (float(2**53), "last digits are lost"),
            (np.float64(2**53 + 2), "last digits are lost"),
            (ShortFloat(2**24), "32-bit float"),
            (SixDigitFloat(10**6), "32-bit float"),
            (Decimal("2.00604E+19"), "lost digits"),
            ("2.00604E+19", "scientific notation"),
            (" 1e+22 ", "scientific notation"),
            ("1.8E18", "scientific notation"),
            pytest.param(10**5000, "hundreds of digits", id="huge"),
            (Decimal("1E+1000000"), "hundreds of digits"),
            (Decimal("1E-1000000"), "hundreds of digits"),
            (timedelta(1), "timedelta"),
            (1j, "complex"),
            (object(), "object"),
        ],
    )
    def test_anything_but_text_is_refused_with_its_kind(self, value: Any, rule: str) -> None:
        with pytest.raises(InvalidValue, match=rule):
            text(value)


class TestWordsForNoValue:
    @pytest.mark.parametrize("word", ["NULL", "null", "nan", "NaN", "NaT", "<NA>", "(null)", "#N/A", " NULL  "])
    def test_a_programs_word_is_refused_and_the_option_named(self, word: str) -> None:
        with pytest.raises(InvalidValue, match=r"null_values.*\[\] says that it is text"):
            text(word)

    @pytest.mark.parametrize("mark", ["\\N", " \\N "])
    def test_the_mark_of_null_is_no_value(self, mark: str) -> None:
        with pytest.raises(NoValue):
            text(mark)

    @pytest.mark.parametrize("word", ["NULL", "nan", "NaT", "#N/A", "\\N"])
    def test_the_author_may_say_that_it_is_text(self, word: str) -> None:
        assert any_text(word) == word

    @pytest.mark.parametrize("word", ["None", "N/A", "NA", "Null", "none", "-", "nil", "Nullarbor", "NULL island"])
    def test_what_people_write_is_text(self, word: str) -> None:
        assert text(word) == word

    @pytest.mark.parametrize("check", [boolean, activity_type])
    def test_blanks_are_no_value_where_text_is_not_wanted(self, check: Any) -> None:
        with pytest.raises(NoValue):
            check("  ")


class TestCode:
    @pytest.mark.parametrize(
        ("value", "sent"),
        [(4711, "4711"), (4711.0, "4711"), ("4711.0", "4711"), ("4711.00", "4711"), ("4711.000", "4711"), ("0123", "0123"),
         ("450.000", "450.000"), ("1.5", "1.5"), ("v1.0", "v1.0"), ("MLS-7", "MLS-7")],
    )  # fmt: skip
    def test_what_a_float_makes_of_digits_is_the_digits(self, value: Any, sent: str) -> None:
        assert code(value) == sent


class TestBoolean:
    @pytest.mark.parametrize("value", [True, 1, 1.0, "true", " YES ", "t", "Y", "1", "1.0", b"\1", Decimal(1)])
    def test_yes(self, value: Any) -> None:
        assert boolean(value) is True

    @pytest.mark.parametrize("value", [False, 0, 0.0, "false", "No", "f", "n", "0", "0.0", b"\0", Decimal(0)])
    def test_no(self, value: Any) -> None:
        assert boolean(value) is False

    @pytest.mark.parametrize("value", [2, -1, 0.5, "", "maybe", "on", "10", [], [True], {}, b"1", float("inf")])
    def test_anything_but_yes_or_no_is_refused(self, value: Any) -> None:
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
