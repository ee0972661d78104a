"""
Numbers as people write them: with thousands separated, decimals behind a point or a comma, in dollars.

Text is read by both conventions, ``1,234.5`` and ``1.234,5``. Where only one of them makes a number of it, that is what
it means. ``450.000`` is a number by both, and not the same one.
"""

from __future__ import annotations

import json
import re
import sys
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import NamedTuple

from airflow_provider_lofty.rows.values import EXACT_BELOW, InvalidValue

EXPONENT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+", re.ASCII)

_SURELY_EXACT = 16  # characters, of which one is a point or an e: floats tell any two numbers of 15 digits apart
_SMALLEST_EXACT = sys.float_info.min  # smaller ones have fewer digits


class Decimals(Enum):
    """What a source's decimals are written behind."""

    POINT = "."
    COMMA = ","
    UNSAID = "unsaid"  # a comma separates thousands, as in the United States
    EITHER = "either"  # such as a file whose cells are separated by semicolons, often because its decimals have commas


class Written(NamedTuple):
    """
    A number taken apart.

    :param digits: in front of the decimals, without separators
    :param is_ambiguous: the same text is another number where decimals are written behind the other mark
    """

    sign: str
    digits: str
    fraction: str
    is_ambiguous: bool = False


def written(text: str, decimals: Decimals, *, is_money: bool = False) -> Written | None:
    """
    Take a number apart; None when the text is not a number.

    :param text: without outer blanks
    :param is_money: whether it may be in dollars
    """
    plain = None if decimals is Decimals.COMMA else PLAIN.fullmatch(text)
    if plain is not None:  # nearly every number: no second look
        return Written(plain[1], plain[2], plain[3] or "")
    found = (_DOLLARS if is_money else _SIGNED).fullmatch(text)
    if found is None or (found["sign"] and found["inner"]):
        return None
    sign, number = found["sign"] or found["inner"] or "", found["number"]
    by_point = None if decimals is Decimals.COMMA else _taken_apart(_WITH_POINT, sign, number)
    by_comma = None if decimals is Decimals.POINT else _taken_apart(_WITH_COMMA, sign, number)
    if by_point is None or by_comma is None or by_point == by_comma:
        return by_point or by_comma
    is_known = decimals is Decimals.UNSAID and "," in number
    return by_point._replace(is_ambiguous=not is_known)


def _taken_apart(convention: re.Pattern[str], sign: str, number: str) -> Written | None:
    found = convention.fullmatch(number)
    if found is None or not (number[:1].isdigit() or found["fraction"]):
        return None
    return Written(sign, _NO_DIGIT.sub("", found["digits"]), found["fraction"] or "")


def _convention(thousands: str, decimal: str, fraction: str) -> re.Pattern[str]:
    grouped = rf"[1-9]\d{{0,2}}(?P<mark>[{thousands}{_NEUTRAL}])\d{{3}}(?:(?P=mark)\d{{3}})*"
    return re.compile(rf"(?P<digits>{grouped}|\d*)(?:{decimal}(?P<fraction>{fraction}))?", re.ASCII)


_NEUTRAL = " '\u00a0\u2009\u2019\u202f"  # separate thousands whatever the decimals are written behind
_WITH_POINT = _convention(",", r"\.", r"\d*")
_WITH_COMMA = _convention(".", ",", r"\d+")
PLAIN = re.compile(r"([+-]?)(\d+)(?:\.(\d{0,2}|\d{4,}))?", re.ASCII)
_NO_DIGIT = re.compile(r"\D", re.ASCII)
_SIGNED = re.compile(r"(?P<sign>[+-]?)(?P<inner>)(?P<number>[\d.,].*)", re.ASCII)
_DOLLARS = re.compile(
    r"(?P<sign>[+-]?)(?:(?:(?:US ?)?\$|USD) ?(?P<inner>[+-]?))?(?P<number>[\d.,].*?)(?: ?(?:USD|\$))?", re.ASCII
)


def json_number(text: str) -> float | Decimal:
    """
    Read a number of JSON that has a point or an exponent: a Decimal where a float would stand for another one.

    From 2**53 on it stays a float, which is refused where digits matter: written as 1152921504606846976.0 it may have
    been one before, and as a Decimal it would pass for exact.
    """
    number = float(text)
    if abs(number) >= EXACT_BELOW or (len(text) <= _SURELY_EXACT and abs(number) >= _SMALLEST_EXACT):
        return number  # nearly every number: no second look
    shortest = repr(number)
    if shortest == text:
        return number
    try:
        exact = Decimal(text)
    except InvalidOperation:  # an exponent of 19 digits, which Decimals do not have either
        return number
    return number if exact == Decimal(shortest) else exact


def json_value(text: str) -> object:
    """
    Read JSON with every digit of its numbers.

    :raises InvalidValue: for an object that has a name twice
    :raises ValueError: for anything that is not JSON
    """
    return json.loads(text, object_pairs_hook=_without_repeats, parse_float=json_number)


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidValue("is JSON that has a name twice in one object")
    return found
