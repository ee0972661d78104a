"""Numbers and ids are read exactly, or refused."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from support.values import HUGE, Number

from airflow_provider_lofty.rows.numbers import double, identifier, int32, int64
from airflow_provider_lofty.rows.values import InvalidValue


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
    def test_anything_but_an_id_is_refused(self, value: Any) -> None:
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
    def test_anything_but_a_whole_number_is_refused(self, value: Any) -> None:
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
    def test_anything_but_a_finite_number_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidValue, match="number"):
            double(value)
