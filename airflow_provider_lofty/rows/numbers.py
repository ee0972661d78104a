"""The checks of numbers and ids, which are read exactly or refused: nothing is ever rounded."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from airflow_provider_lofty.rows.values import EitherText, InvalidValue, NoValue, given, kind_of, refuse_lost_digits
from airflow_provider_lofty.rows.written import EXPONENT, PLAIN, Decimals, Written, written

_MOST_DIGITS = 40
_MOST_CHARACTERS = 400
_AMBIGUOUS = (
    "is ambiguous, as 450.000 is, which may be 450000 with its thousands separated, or 450 with three decimals. Of a "
    'file, say which mark its decimals have: file_options={"decimal": "."} or {"decimal": ","}; otherwise cast the '
    "column to a number"
)
_LOST = "got scientific notation, which may have lost some"


def whole(bits: int, decimals: Decimals = Decimals.UNSAID, *, is_money: bool = False) -> Callable[[object], int]:
    """
    Make the check of a whole number.

    :param bits: it fits into so many, one of them for the sign
    :param decimals: how text writes decimals
    :param is_money: whether text may be in dollars
    """
    bound = 2 ** (bits - 1)
    surely_within = len(str(bound)) - 1  # digits

    def check(value: object) -> int:
        if type(value) is str and len(value) <= surely_within and value.isdigit() and value.isascii():
            return int(value)  # nearly every number of a CSV file: no second look
        number = value if type(value) is int else whole_number(value, decimals, is_money=is_money)
        if not -bound <= number < bound:
            raise InvalidValue(f"must be a whole number within {bits} bits")
        return number

    return check


int64 = whole(64)
int32 = whole(32)


def whole_number(value: object, decimals: Decimals = Decimals.UNSAID, *, is_money: bool = False) -> int:
    """
    Read a whole number exactly, whatever its size: an int, text, or an integral float below 2**53 or Decimal.

    :raises InvalidValue: when it is not a whole number, may be two, or only would be one after rounding
    """
    if isinstance(value, str):
        return _whole_from_text(value.strip(), _decimals_of(value, decimals), is_money=is_money)
    if isinstance(value, bool):
        raise InvalidValue("must be a whole number, got true/false")
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _whole_from_float(value)
    if isinstance(value, Decimal):
        return _whole_from_decimal(value)
    raise InvalidValue(f"must be a whole number, got {kind_of(value)}")


def _decimals_of(text: str, decimals: Decimals) -> Decimals:
    """Say how a text writes decimals, where it comes from another source than the one that is read."""
    return Decimals.EITHER if isinstance(text, EitherText) and decimals is Decimals.UNSAID else decimals


def _whole_from_float(value: float) -> int:
    if not value.is_integer():
        raise InvalidValue("must be a whole number, got a decimal number")
    refuse_lost_digits(value)
    return int(value)


def _whole_from_decimal(value: Decimal) -> int:
    if not value.is_finite() or value.adjusted() > 30:
        raise InvalidValue("must be a whole number within 64 bits")
    if value != value.to_integral_value():
        raise InvalidValue("must be a whole number, got a decimal number")
    refuse_lost_digits(value)
    return int(value)


def _whole_from_text(text: str, decimals: Decimals, *, is_money: bool) -> int:
    if not text:
        raise NoValue("must be a whole number, got empty text")
    if len(text) > _MOST_DIGITS:
        raise InvalidValue(f"must be a whole number{' within 64 bits' if text.isdigit() else f', got {given(text)}'}")
    if EXPONENT.fullmatch(text):
        raise InvalidValue(f"must be a whole number with all its digits, {_LOST}")
    number = written(text, decimals, is_money=is_money)
    if number is None:
        raise InvalidValue(f"must be a whole number, got {given(text)}")
    return _whole_from_written(number)


def _whole_from_written(number: Written) -> int:
    if number.is_ambiguous:
        raise InvalidValue(_AMBIGUOUS)
    if number.fraction.strip("0"):
        raise InvalidValue("must be a whole number, got text with a decimal number")
    return int(f"{number.sign}{number.digits or 0}")


def identifier(value: object) -> int:
    """An id: digits or int, above zero, within 64 bits; never rounded. ``4711.0`` is what a float makes of one."""
    if isinstance(value, str):
        value = value.strip()
        if not (value.isdigit() and value.isascii()):
            value = _id_digits(value)
    number = int64(value)
    if number <= 0:
        raise InvalidValue("must be an id above zero")
    return number


def _id_digits(text: str) -> str:
    if not text:
        raise NoValue("must be an id of digits only, got empty text")
    if EXPONENT.fullmatch(text):
        raise InvalidValue(f"must be an id with all its digits, {_LOST}")
    digits, _, fraction = text.partition(".")
    if not (digits.isdigit() and digits.isascii() and fraction and not fraction.strip("0")):
        raise InvalidValue(f"must be an id of digits only, got {given(text)}")
    if len(digits) <= 3 == len(fraction):
        raise InvalidValue("must be an id of digits only; read as 450.000 is, it may be 450000 or 450")
    return digits


def finite(decimals: Decimals = Decimals.UNSAID) -> Callable[[object], float]:
    """
    Make the check of a finite number; 2, 2.0 and "2" are the same, on the wire too.

    :param decimals: how text writes decimals
    """
    has_points = decimals is not Decimals.COMMA

    def check(value: object) -> float:
        # Nearly every value is one of these, and gets no second look.
        if type(value) is float and value - value == 0:
            return value + 0.0  # no minus zero
        if type(value) is str and has_points and len(value) <= _MOST_DIGITS and PLAIN.fullmatch(value):
            return float(value) + 0.0
        if isinstance(value, bool):
            raise InvalidValue("must be a number, got true/false")
        if isinstance(value, str):
            return _finite(_decimal_digits(value.strip(), _decimals_of(value, decimals)))
        if not isinstance(value, (int, float, Decimal)):
            raise InvalidValue(f"must be a number, got {kind_of(value)}")
        return _finite(value)

    return check


double = finite()


def _decimal_digits(text: str, decimals: Decimals) -> str:
    """Write a number as Python does."""
    if not text:
        raise NoValue("must be a number, got empty text")
    number = written(text, decimals) if len(text) <= _MOST_CHARACTERS else None
    if number is None:
        if len(text) <= _MOST_CHARACTERS and EXPONENT.fullmatch(text):
            return text
        raise InvalidValue(f"must be a number, got {given(text)}")
    if number.is_ambiguous and decimals is Decimals.EITHER:
        raise InvalidValue(_AMBIGUOUS)
    return f"{number.sign}{number.digits}.{number.fraction}"


def _finite(value: float | Decimal | str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidValue("must be a finite number")
    return number + 0.0
