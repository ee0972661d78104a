"""Numbers and ids are read exactly, or refused."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from support.values import HUGE, Number

from airflow_provider_lofty.rows.numbers import double, finite, identifier, int32, int64, whole
from airflow_provider_lofty.rows.values import InvalidValue, NoValue, plain
from airflow_provider_lofty.rows.written import Decimals


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
            ("4711.0", 4711),
            ("4711.000000", 4711),
            ("9007199254740993.0", 9007199254740993),
        ],
    )
    def test_an_id_arrives_exactly(self, value: Any, sent: int) -> None:
        assert identifier(value) == sent
        assert type(identifier(value)) is int

    @pytest.mark.parametrize(
        "value",
        [
            0, -1, "0", "-1", "+1", "", " ", "abc", "1.5", "450.000", ".0", "1.", "1e3", "1_000", "1,000", "0x1F", "１２", "²", "٣", "1 2",
            2**63, str(2**63), "9" * 5000, HUGE, 1.5, float(2**53), 9007199254740993.0, 1e300, float("inf"),
            -0.0, Decimal("1.5"), Decimal("1E+40"), Decimal("Infinity"), Decimal("1E-1000000"), Decimal("1.8E+18"), True, False,
            b"1", ["1"], {"id": 1}, datetime(2024, 1, 1), date(2024, 1, 1), 1j, Fraction(1), object(),
        ],
    )  # fmt: skip
    def test_anything_but_an_id_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidValue):
            identifier(value)

    def test_a_float_that_may_have_lost_digits_says_so(self) -> None:
        with pytest.raises(InvalidValue, match="last digits are lost"):
            identifier(9007199254740993.0)

    @pytest.mark.parametrize("check", [identifier, int64])
    @pytest.mark.parametrize("value", ["1.79571E+18", "4.5E+05", "2e19"])
    def test_scientific_notation_says_that_digits_may_be_lost(self, check: Any, value: str) -> None:
        with pytest.raises(InvalidValue, match="all its digits, got scientific notation"):
            check(value)

    @pytest.mark.parametrize("check", [identifier, int64])
    def test_a_float_of_32_bits_is_exact_below_2_to_the_24(self, check: Any) -> None:
        assert check(plain(np.float32(2**24 - 1))) == 2**24 - 1
        with pytest.raises(InvalidValue, match="32-bit float"):
            check(plain(np.float32(2**24 + 1)))

    @pytest.mark.parametrize("check", [identifier, int64])
    def test_a_float_of_16_bits_is_exact_below_2_to_the_11(self, check: Any) -> None:
        assert check(plain(np.float16(2**11 - 1))) == 2**11 - 1
        with pytest.raises(InvalidValue, match="16-bit float of 2048 or more"):
            check(plain(np.float16(4711)))


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
        [
            "45,00,000",
            "$450000",
            "€450000",
            "450000 EUR",
            "4.5",
            "4,5",
            "1,2345",
            "1,234,56",
            "1.234,567.8",
            "12 34",
            "--5",
            "4.5e5",
            "1e3",
            "",
            "NaN",
            "inf",
            "0x10",
            "1_0",
            True,
            1.5,
            None,
            [],
            {},
            b"1",
        ],
    )
    def test_anything_but_a_whole_number_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidValue, match="whole number"):
            int64(value)

    @pytest.mark.parametrize(
        ("value", "sent"),
        [
            (2, 2.0),
            ("2", 2.0),
            (2.5, 2.5),
            ("2.5", 2.5),
            (" .5 ", 0.5),
            ("1e3", 1000.0),
            (Decimal("0.25"), 0.25),
            ("2,5", 2.5),
            ("1,850.25", 1850.25),
            ("1.850,25", 1850.25),
            ("1,850", 1850.0),
            ("1.850", 1.85),
            ("0.500", 0.5),
            ("0,500", 0.5),
            (plain(np.float32(0.1)), 0.1),
        ],
    )
    def test_a_double_is_the_same_however_it_was_written(self, value: Any, sent: float) -> None:
        assert json.dumps(double(value)) == json.dumps(sent)

    def test_a_double_has_no_minus_zero(self) -> None:
        assert [str(double(value)) for value in (-0.0, "-0", Decimal("-0"))] == ["0.0"] * 3

    @pytest.mark.parametrize(
        "value",
        [float("inf"), "inf", "nan", "NaN", "1e999", "-1e999", 10**400, Decimal("1E+999"), Decimal("Infinity"), "1_0",
         "１", "", "two", "1,5,5", "1,", ".", "-", True, [], {}, b"1", 1j, "1" * 401],
    )  # fmt: skip
    def test_anything_but_a_finite_number_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidValue, match="number"):
            double(value)


AMBIGUOUS = "is ambiguous"
POINT, COMMA, UNSAID, EITHER = Decimals.POINT, Decimals.COMMA, Decimals.UNSAID, Decimals.EITHER


class TestNumbersAsPeopleWriteThem:
    @pytest.mark.parametrize(
        "value",
        ["1,250,000", "1.250.000", "1 250 000", "1'250'000", "1\u00a0250\u00a0000", "1\u202f250\u202f000", "1,250,000.00",
         "1.250.000,00", "1250000.000", "1250000,00", " 1250000 ", "+1250000", "1250000."],
    )  # fmt: skip
    @pytest.mark.parametrize("decimals", [UNSAID, EITHER])
    def test_what_only_one_convention_reads_is_read(self, value: str, decimals: Decimals) -> None:
        assert whole(64, decimals)(value) == 1250000

    @pytest.mark.parametrize(
        ("value", "decimals", "read"),
        [
            ("450.000", UNSAID, AMBIGUOUS),
            ("450.000", EITHER, AMBIGUOUS),
            ("450.000", POINT, 450),
            ("450.000", COMMA, 450000),
            ("450,000", UNSAID, 450000),
            ("450,000", EITHER, AMBIGUOUS),
            ("450,000", POINT, 450000),
            ("450,000", COMMA, 450),
            ("-450,000", UNSAID, -450000),
            ("0.000", UNSAID, 0),
        ],
    )
    def test_three_digits_behind_one_separator(self, value: str, decimals: Decimals, read: Any) -> None:
        if read is AMBIGUOUS:
            with pytest.raises(InvalidValue, match=r"450000.*or 450 .*file_options=.*cast"):
                whole(64, decimals)(value)
        else:
            assert whole(64, decimals)(value) == read

    @pytest.mark.parametrize(
        ("value", "decimals", "read"),
        [
            ("1.000", UNSAID, 1.0),
            ("1.000", POINT, 1.0),
            ("1.000", COMMA, 1000.0),
            ("1.000", EITHER, AMBIGUOUS),
            ("1,000", EITHER, AMBIGUOUS),
            ("2,5", EITHER, 2.5),
            ("2.5", EITHER, 2.5),
            ("2,5", COMMA, 2.5),
        ],
    )
    def test_a_point_is_the_decimals_of_a_double_unless_the_file_has_commas(
        self, value: str, decimals: Decimals, read: Any
    ) -> None:
        if read is AMBIGUOUS:
            with pytest.raises(InvalidValue, match=AMBIGUOUS):
                finite(decimals)(value)
        else:
            assert finite(decimals)(value) == read

    @pytest.mark.parametrize(
        ("value", "decimals"),
        [("1.250.000", POINT), ("1,250,000", COMMA), ("2,5", POINT), ("2.5", COMMA), ("1,5.", COMMA)],
    )
    def test_a_number_against_what_the_author_said_is_refused(self, value: str, decimals: Decimals) -> None:
        for check in (whole(64, decimals), finite(decimals)):
            with pytest.raises(InvalidValue):
                check(value)

    @pytest.mark.parametrize(
        "value",
        ["$450,000", "$450,000.00", "$ 450000", "450000.00 USD", "USD 450,000", "US$450,000", "450,000$", "+$450000"],
    )
    def test_a_price_may_be_in_dollars(self, value: str) -> None:
        assert whole(64, is_money=True)(value) == 450000

    def test_a_price_may_be_below_zero(self) -> None:
        assert [whole(64, is_money=True)(value) for value in ("-$5.00", "$-5.00", "-5")] == [-5, -5, -5]

    @pytest.mark.parametrize(
        "value", ["€450,000", "450000 EUR", "$", "-$-5", "$450.000", "$450,00,000", "450k", "$1-2"]
    )
    def test_other_prices_are_refused(self, value: str) -> None:
        with pytest.raises(InvalidValue):
            whole(64, is_money=True)(value)

    @pytest.mark.parametrize("value", [450000, 450000.0, Decimal("450.000"), Decimal("450000")])
    @pytest.mark.parametrize("decimals", Decimals)
    def test_what_is_no_text_is_never_ambiguous(self, value: Any, decimals: Decimals) -> None:
        assert whole(64, decimals)(value) in (450, 450000)

    @pytest.mark.parametrize("check", [identifier, int64, int32, double])
    @pytest.mark.parametrize("value", ["", " ", "\u00a0"])
    def test_blank_text_is_no_value(self, check: Any, value: str) -> None:
        with pytest.raises(NoValue):
            check(value)

    @pytest.mark.parametrize("check", [identifier, int64, double])
    @pytest.mark.parametrize("word", ["NULL", "nan", "#N/A", "None", "N/A", "-"])
    def test_a_programs_word_for_no_value_names_the_option(self, check: Any, word: str) -> None:
        with pytest.raises(InvalidValue, match="null_values"):
            check(word)
