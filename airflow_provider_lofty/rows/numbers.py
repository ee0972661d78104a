"""The checks of numbers and ids, which are read exactly or refused: nothing is ever rounded."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal

from airflow_provider_lofty.rows.values import InvalidValue, kind_of

_INT64 = 2**63
_INT32 = 2**31
_FLOAT_EXACT = 2**53  # from here on a float may stand for another whole number
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)


def whole_number(value: object) -> int:
    """
    Read a whole number exactly: an int, digits, or an integral float below 2**53 or Decimal.

    :raises InvalidValue: when it is not a whole number, or only would be one after rounding
    """
    if isinstance(value, bool):
        raise InvalidValue("must be a whole number, got true/false")
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return whole_from_text(value.strip())
    if isinstance(value, float):
        return _whole_from_float(value)
    if isinstance(value, Decimal):
        return _whole_from_decimal(value)
    raise InvalidValue(f"must be a whole number, got {kind_of(value)}")


def whole_from_text(digits: str) -> int:
    """
    Read a whole number from text without outer blanks.

    :raises InvalidValue: when it is not one
    """
    if digits.isdigit() and digits.isascii():
        if len(digits) > 40:
            raise InvalidValue("must be a whole number within 64 bits")
        return int(digits)
    if len(digits) <= 40 and _WHOLE.fullmatch(digits):
        return int(digits.partition(".")[0])
    if len(digits) <= 40 and _NUMBER.fullmatch(digits):
        raise InvalidValue("must be a whole number, got text with a decimal number")
    raise InvalidValue("must be a whole number, got text" if digits else "must be a whole number, got empty text")


def _whole_from_float(value: float) -> int:
    if not value.is_integer():
        raise InvalidValue("must be a whole number, got a decimal number")
    if abs(value) >= _FLOAT_EXACT:
        raise InvalidValue("is a float of 2**53 or more, whose last digits are lost; read the column as int or text")
    return int(value)


def _whole_from_decimal(value: Decimal) -> int:
    if not value.is_finite() or value.adjusted() > 30:
        raise InvalidValue("must be a whole number within 64 bits")
    if value != value.to_integral_value():
        raise InvalidValue("must be a whole number, got a decimal number")
    return int(value)


def _within(bound: int, bits: int) -> Callable[[object], int]:
    surely_within = len(str(bound)) - 1  # digits

    def check(value: object) -> int:
        if type(value) is str and len(value) <= surely_within and value.isdigit() and value.isascii():
            return int(value)  # nearly every number of a CSV file: no second look
        number = value if type(value) is int else whole_number(value)
        if not -bound <= number < bound:
            raise InvalidValue(f"must be a whole number within {bits} bits")
        return number

    return check


int64 = _within(_INT64, 64)
int32 = _within(_INT32, 32)


def identifier(value: object) -> int:
    """An id: digits or int, above zero, within 64 bits; never rounded."""
    if isinstance(value, str):
        value = value.strip()
        if not (value.isdigit() and value.isascii()):
            raise InvalidValue(f"must be an id of digits only, got {'text' if value else 'empty text'}")
    number = int64(value)
    if number <= 0:
        raise InvalidValue("must be an id above zero")
    return number


def double(value: object) -> float:
    """A finite number; 2, 2.0 and "2" are the same, on the wire too."""
    if isinstance(value, bool):
        raise InvalidValue("must be a number, got true/false")
    if isinstance(value, str):
        value = value.strip()
        if not (value.isascii() and len(value) <= 400 and _NUMBER.fullmatch(value)):
            raise InvalidValue("must be a number, got text")
    elif not isinstance(value, (int, float, Decimal)):
        raise InvalidValue(f"must be a number, got {kind_of(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidValue("must be a finite number")
    return number + 0.0  # no minus zero
