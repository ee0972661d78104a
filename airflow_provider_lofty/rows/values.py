"""
What a value is, and the checks of texts and words.

A check's refusal names the rule and the kind of value, never the value, which may be personal.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Mapping
from ctypes import c_float
from datetime import date, datetime, time
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any
from uuid import UUID

from airflow_provider_lofty.lofty.fields import ACTIVITY_TYPES

EXACT_BELOW = 2**53  # from here on a float may stand for another whole number
_NO_TEXT = (
    "holds bytes that are not UTF-8 text (a lone surrogate); where they come from a file that is in Windows-1252, say "
    'file_options={"encoding": "cp1252"}'
)
_FINE_TIMES = frozenset(f"datetime64[{unit}]" for unit in ("ns", "ps", "fs", "as"))
_YES = frozenset(("true", "t", "yes", "y", "1", "1.0"))
_NO = frozenset(("false", "f", "no", "n", "0", "0.0"))
_BITS = {b"\0": False, b"\1": True}  # MySQL's BIT(1)
_TYPES_BY_NAME = {name.lower(): name for name in ACTIVITY_TYPES}

# Values with one way to write them: PostgreSQL's uuid, inet and cidr.
NAMES = (UUID, IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network)

NULL_MARK = "\\N"  # as COPY, UNLOAD and mysqldump write NULL; nobody writes it for anything else
# Written by databases, spreadsheets and data frames. What people write, too, such as None and N/A, is not among them.
_WORDS_FOR_NO_VALUE = frozenset(
    ("NULL", "null", "(NULL)", "(null)", "<NULL>", "<null>", "[NULL]", "[null]", "<nil>", "NaN", "nan", "NAN",
     "-nan", "NaT", "<NA>", "#N/A", "#NA", "#NULL!", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "undefined")
)  # fmt: skip
# In a field that is not text, these stand for no value, too, or for another column.
_PEOPLES_WORDS = frozenset(("none", "n/a", "na", "-", "--", "nil", "unknown", "tbd", "?"))
# As programs write a float: one digit in front of the point, and the exponent with a sign unless there is a point.
# 5E10 and 1234e567 may be codes.
_FLOAT = re.compile(r"[+-]?\d(\.\d+[eE][+-]?|[eE][+-])\d+", re.ASCII)
# Not 450.000, which may also be thousands.
_POINT_ZERO = re.compile(r"\d+\.0{1,2}|\d{4,}\.0+", re.ASCII)
LONGEST_SUSPECT = 30
SUSPECT_STARTS = frozenset({*"0123456789+- \t\\", *(word[0] for word in _WORDS_FOR_NO_VALUE)})


class InvalidValue(ValueError):
    """A value breaks its field's rule. The text names the rule and the kind of value only."""


class NoValue(InvalidValue):
    """What a field that is not text takes for no value: blank text, the date of no day."""


class ShortFloat(float):
    """
    A float that had 32 bits.

    :cvar bits: so many
    :cvar exact_below: from here on it may stand for another whole number
    """

    bits = 32
    exact_below = 2**24


class HalfFloat(ShortFloat):
    """A float that had 16 bits."""

    bits = 16
    exact_below = 2**11


class SixDigitFloat(ShortFloat):
    """One that MySQL or MariaDB gave: they write six digits of it."""

    exact_below = 10**6


class EitherText(str):
    """
    Text from a file whose decimals may be behind a point or a comma, in a report, which shows neither.

    A number in it that can be two is refused, as it was in that file.
    """


class SessionTime(datetime):
    """
    What MySQL shows of a ``TIMESTAMP`` in the time zone of its session, where that is not known.

    It names no instant, and so becomes no time.

    :cvar why: what is wrong, and what to do
    """

    why = (
        "is a TIMESTAMP that the database shows in the time zone of its machine, which differs from timezone: name the "
        "machine's zone as timezone, or set the session's, such as init_command=\"SET time_zone = '+00:00'\""
    )

    @classmethod
    def of(cls, moment: datetime) -> SessionTime:
        """Mark a time without a zone as such."""
        return cls(*moment.timetuple()[:6], moment.microsecond)


class RepeatedTime(SessionTime):
    """The same where the zone is known, and its clocks show this time twice."""

    why = (
        "is a TIMESTAMP of the hour that clocks in the session's time zone show twice: set another one, such as "
        "init_command=\"SET time_zone = '+00:00'\""
    )


class UnreadableJson:
    """
    Stands for JSON that Python cannot hold, such as a number of thousands of digits; no field takes it.

    :param written: that JSON
    """

    def __init__(self, written: str) -> None:
        self._written = written

    def __str__(self) -> str:
        return self._written


class RepeatedNames(UnreadableJson):
    """The same of JSON that has a name twice in one object, of which only the last value would be left."""


def is_missing(value: object) -> bool:
    """Whether a value stands for no value: None, NaN, NaT and pandas' NA (an empty text is a value)."""
    if value is None:
        return True
    if isinstance(value, float):
        return value != value
    if isinstance(value, Decimal):
        return value.is_nan()
    return type(value).__name__ in ("NAType", "NaTType")


def plain(value: Any) -> Any:
    """Turn a NumPy scalar into the Python value it holds; everything else stays."""
    if type(value).__module__ != "numpy" or not hasattr(value, "item") or getattr(value, "ndim", None):
        return value
    if not type(value).__name__.endswith("64") or not hasattr(value, "dtype") or value.dtype.kind not in "mM":
        short = SHORT_FLOATS.get(type(value).__name__)
        return short(value.item()) if short else value.item()
    # Of times finer than Python's, and of years beyond it, a bare number would come out.
    moment = value.astype("datetime64[us]") if value.dtype.name in _FINE_TIMES else value
    held = moment.item()
    return value if isinstance(held, int) else held


def short_float(value: float) -> float:
    """Give what a float of 32 bits was written as: 0.1, and not 0.10000000149011612."""
    return _as_written(value, (6, 7, 8, 9), lambda number: c_float(number).value, ShortFloat)


def half_float(value: float) -> float:
    """The same of a float of 16 bits."""
    return _as_written(value, (3, 4, 5), lambda number: struct.unpack("e", struct.pack("e", number))[0], HalfFloat)


def _as_written(value: float, digits: Iterable[int], narrow: Callable[[float], float], kind: type[ShortFloat]) -> float:
    """
    Write a number in the fewest digits that give it again.

    :param digits: how many to try; the last tell any two of these numbers apart
    :param narrow: gives what so few bits hold of a number
    """
    for count in digits:
        short = float(f"{value:.{count}g}")
        if narrow(short) == value:
            return kind(short)
    return value  # NaN


# By the names of types in NumPy, Arrow and Polars.
SHORT_FLOATS: Mapping[str, Callable[[float], float]] = {
    **dict.fromkeys(("float32", "float", "Float32"), short_float),
    **dict.fromkeys(("float16", "halffloat", "Float16"), half_float),
}


def kind_of(value: object) -> str:
    """Say what kind of value this is, in a Dag author's words and without the value."""
    for types, words in _KINDS:
        if isinstance(value, types):
            return words
    return f"a value of type {type(value).__name__}"


def given(value: object) -> str:
    """Say what was given instead of what is wanted; the words for no value are no secret."""
    if not isinstance(value, str):
        return kind_of(value)
    word = value.strip()
    if word in _WORDS_FOR_NO_VALUE or word.lower() in _PEOPLES_WORDS:
        return _word_for_no_value(word)
    return "text" if word else "empty text"


def _word_for_no_value(word: str) -> str:
    return f'the word {word}; if it stands for no value, name it in file_options={{"null_values": ["{word}"]}}'


def may_have_lost_digits(number: Decimal) -> bool:
    """Whether a Decimal has an exponent in place of its last digits, and is so large that they count."""
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent > 0 and abs(number) >= EXACT_BELOW


def refuse_lost_digits(number: float | Decimal) -> None:
    """
    Refuse a whole number that may have been another one.

    :raises InvalidValue: for a float beyond what floats hold exactly, and a Decimal that was made of such a one
    """
    if isinstance(number, Decimal):
        if may_have_lost_digits(number):
            raise InvalidValue(
                "is a Decimal with an exponent, which may have lost digits; read the column as int or text"
            )
    elif isinstance(number, ShortFloat) and abs(number) >= number.exact_below:
        bound = number.exact_below
        raise InvalidValue(
            f"is a {number.bits}-bit float of {bound} or more, whose last digits are lost; cast the column to int"
        )
    elif abs(number) >= EXACT_BELOW:
        raise InvalidValue("is a float of 2**53 or more, whose last digits are lost; read the column as int or text")


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true/false"),
    (str, "text"),
    (int, "a whole number"),
    ((float, Decimal), "a decimal number"),
    (datetime, "a timestamp"),
    (date, "a date"),
    ((bytes, bytearray, memoryview), "bytes"),
    (dict, "an object"),
    ((list, tuple, set, frozenset), "a list"),
    (RepeatedNames, "JSON that has a name twice in one object"),
    (UnreadableJson, "JSON that cannot be read"),
)


def text(value: object) -> str:
    """
    Text as it is; a number as its plain digits; dates as ISO 8601.

    :raises NoValue: for the mark that databases write for NULL
    :raises InvalidValue: for anything that is not text, a number that may have lost digits, and a word that programs
        write for no value
    """
    if (
        type(value) is str and value.isascii() and "\0" not in value
        and (len(value) > LONGEST_SUSPECT or value[:1] not in SUSPECT_STARTS)
    ):  # fmt: skip
        return value  # nearly every value: no second look
    kept = any_text(value)
    word = kept.strip() if len(kept) <= LONGEST_SUSPECT else kept
    if word == NULL_MARK:
        raise NoValue("is the mark of NULL")
    if word in _WORDS_FOR_NO_VALUE:
        raise InvalidValue(f"is {_word_for_no_value(word)}; [] says that it is text")
    return kept


def any_text(value: object) -> str:
    """Text as :func:`text` reads it, words for no value included."""
    if not isinstance(value, str):
        value = _as_text(value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidValue(_NO_TEXT) from None
    if "\0" in value:
        raise InvalidValue("holds a NUL character")
    if len(value) <= LONGEST_SUSPECT and _FLOAT.fullmatch(value.strip()):
        raise InvalidValue("is a number in scientific notation, which may have lost digits; read the column as text")
    return str.__str__(value)  # of an enum that is text: its value, not its name


def code(value: object, as_text: Callable[[object], str] = text) -> str:
    """Text that names something: ``4711.0``, which is what a column of floats makes of ``4711``, is ``4711``."""
    name = as_text(value)
    return name.partition(".")[0] if "." in name and _POINT_ZERO.fullmatch(name) else name


def _as_text(value: object) -> str:
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return _plain_digits(value)
    if isinstance(value, SessionTime):
        raise InvalidValue(value.why)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, NAMES):
        return str(value)
    raise InvalidValue(f"must be text, got {kind_of(value)}")


def _plain_digits(number: int | float | Decimal) -> str:
    if isinstance(number, int):
        return str(int(number)) if abs(number) < 10**4000 else _too_long()
    exact = Decimal(repr(float(number))) if isinstance(number, float) else number
    if not exact.is_finite():
        raise InvalidValue("must be finite, got infinity")
    if abs(exact.adjusted()) > 400:
        _too_long()
    refuse_lost_digits(number)
    return str(int(exact)) if exact == exact.to_integral_value() else format(exact, "f").rstrip("0")


def _too_long() -> str:
    raise InvalidValue("must be text, got a number with hundreds of digits")


def boolean(value: object) -> bool:
    """True or false; also 1 and 0, as numbers or as a bit, and the usual words."""
    if isinstance(value, bool):
        return value
    if isinstance(value, bytes) and value in _BITS:
        return _BITS[value]
    if isinstance(value, (int, float, Decimal)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _YES or word in _NO:
            return word in _YES
        if not word:
            raise NoValue("must be true or false, got empty text")
    raise InvalidValue(f"must be true or false, got {given(value)}")


def activity_type(value: object) -> str:
    """One of the five types, whatever its case."""
    name = _TYPES_BY_NAME.get(value.strip().lower()) if isinstance(value, str) else None
    if name is None:
        refusal = NoValue if isinstance(value, str) and not value.strip() else InvalidValue
        raise refusal(f"must be one of {', '.join(ACTIVITY_TYPES)}, got {given(value)}")
    return name
