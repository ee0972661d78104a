"""
The check of one value.

Lofty answers a bad value with ``400/20012`` and never says which field it was, so every value is checked here before
any request is made.

A check takes a value that is not missing and returns what goes on the wire, or raises :class:`InvalidValue`. Its
text names the rule and the kind of value, never the value, which may be personal.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID

from airflow_provider_lofty.lofty.fields import ACTIVITY_TYPES

if sys.version_info >= (3, 11):
    _parse_iso = datetime.fromisoformat
else:  # the standard library reads only a part of ISO 8601 before Python 3.11
    from dateutil.parser import isoparse as _parse_iso

Check = Callable[[Any], Any]


class InvalidValue(ValueError):
    """A value breaks its field's rule. The text names the rule and the kind of value only."""


_INT64 = 2**63
_INT32 = 2**31
_FLOAT_EXACT = 2**53  # from here on a float may stand for another whole number
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)
_FINE_TIMES = frozenset(f"datetime64[{unit}]" for unit in ("ns", "ps", "fs", "as"))
_ISO_DATE = re.compile(r"\d{4}-?(\d\d-?\d\d|W\d\d(-?\d)?)([Tt ].*)?", re.ASCII | re.DOTALL)
_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")
_YES = frozenset(("true", "t", "yes", "y", "1"))
_NO = frozenset(("false", "f", "no", "n", "0"))
_TYPES_BY_NAME = {name.lower(): name for name in ACTIVITY_TYPES}

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_OLDEST_MS = (datetime(1990, 1, 1, tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND
_YEAR_MS = 366 * 24 * 3600 * 1000


def is_missing(value: Any) -> bool:
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
        return value.item()
    # Of times finer than Python's, and of years beyond it, a bare number would come out.
    moment = value.astype("datetime64[us]") if value.dtype.name in _FINE_TIMES else value
    held = moment.item()
    return value if isinstance(held, int) else held


def kind_of(value: Any) -> str:
    """Say what kind of value this is, in a Dag author's words and without the value."""
    for types, words in _KINDS:
        if isinstance(value, types):
            return words
    return f"a value of type {type(value).__name__}"


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
)


def text(value: Any) -> str:
    """Text as it is; a number as its plain digits; dates as ISO 8601."""
    if type(value) is str and value.isascii() and "\0" not in value:  # nearly every value: no second look
        return value
    if not isinstance(value, str):
        value = _as_text(value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidValue("holds bytes that are not UTF-8 text (a lone surrogate)") from None
    if "\0" in value:
        raise InvalidValue("holds a NUL character")
    return str.__str__(value)  # of an enum that is text: its value, not its name


def _as_text(value: Any) -> str:
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return _plain_digits(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, UUID):
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
    return str(int(exact)) if exact == exact.to_integral_value() else format(exact, "f").rstrip("0")


def _too_long() -> str:
    raise InvalidValue("must be text, got a number with hundreds of digits")


def whole_number(value: Any) -> int:
    """
    Read a whole number exactly: an int, digits, or an integral float below 2**53 or Decimal.

    :raises InvalidValue: when it is no whole number or could only be had by rounding
    """
    if isinstance(value, bool):
        raise InvalidValue("must be a whole number, got true/false")
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return _whole_from_text(value.strip())
    if isinstance(value, float):
        return _whole_from_float(value)
    if isinstance(value, Decimal):
        return _whole_from_decimal(value)
    raise InvalidValue(f"must be a whole number, got {kind_of(value)}")


def _whole_from_text(digits: str) -> int:
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


def _within(bound: int, bits: int) -> Check:
    surely_within = len(str(bound)) - 1  # digits

    def check(value: Any) -> int:
        if type(value) is str and len(value) <= surely_within and value.isdigit() and value.isascii():
            return int(value)  # nearly every number of a CSV file: no second look
        number: int = value if type(value) is int else whole_number(value)
        if not -bound <= number < bound:
            raise InvalidValue(f"must be a whole number within {bits} bits")
        return number

    return check


int64 = _within(_INT64, 64)
int32 = _within(_INT32, 32)


def identifier(value: Any) -> int:
    """An id: digits or int, above zero, within 64 bits; never rounded."""
    if isinstance(value, str):
        value = value.strip()
        if not (value.isdigit() and value.isascii()):
            raise InvalidValue(f"must be an id of digits only, got {'text' if value else 'empty text'}")
    number: int = int64(value)
    if number <= 0:
        raise InvalidValue("must be an id above zero")
    return number


def double(value: Any) -> float:
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


def boolean(value: Any) -> bool:
    """True or false; also 1 and 0, and the usual words."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float, Decimal)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _YES or word in _NO:
            return word in _YES
    raise InvalidValue(f"must be true or false, got {kind_of(value)}")


def activity_type(value: Any) -> str:
    """One of the five types, whatever its case."""
    name = _TYPES_BY_NAME.get(value.strip().lower()) if isinstance(value, str) else None
    if name is None:
        raise InvalidValue(f"must be one of {', '.join(ACTIVITY_TYPES)}, got {kind_of(value)}")
    return name


class TimestampChecks:
    """
    The checks of dates and times, which depend on a time zone and on today.

    :param zone: the zone of timestamps that name none
    :param now: the present, aware; ``created`` may lie at most a year after it
    """

    def __init__(self, zone: tzinfo, now: datetime) -> None:
        self._zone = zone
        self._newest_ms = (now - _EPOCH) // _MILLISECOND + _YEAR_MS

    def milliseconds(self, value: Any) -> int:
        """
        ``created``: a timestamp, a date (its midnight), ISO 8601 text, or a number of milliseconds since 1970.

        :raises InvalidValue: outside 1990 to a year ahead, naming seconds, microseconds or nanoseconds when the
            number reads as those; or when the zone has no such local time
        """
        if isinstance(value, str):
            value = value.strip()
            if value.isascii() and value.isdigit():
                return self._number_in_range(_whole_from_text(value))
            return self._in_range(self._since_epoch(_from_iso(value)))
        if isinstance(value, date):
            return self._in_range(self._since_epoch(value))
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            raise InvalidValue(f"must be a time, got {kind_of(value)}")
        if isinstance(value, float) and math.isfinite(value):
            self._refuse_other_unit(math.floor(value))  # time.time() has a fraction: its unit is what is wrong
        return self._number_in_range(whole_number(value))

    def date_text(self, value: Any) -> str:
        """``scheduledDate``: text as it is, a timestamp as ISO 8601 with its offset, a date as ISO 8601."""
        return text(self.aware(value).isoformat() if isinstance(value, datetime) else value)

    def aware(self, moment: datetime) -> datetime:
        """
        Give a timestamp the zone if it has none; of a time that occurs twice the earlier is meant.

        :raises InvalidValue: when clocks in the zone skip that time
        """
        moment = _standard(moment)
        if moment.tzinfo is not None and moment.utcoffset() is not None:
            return moment
        local = moment.replace(tzinfo=self._zone, fold=0)
        if self._zone is not timezone.utc and _round_trip(local) != local.replace(tzinfo=None):
            raise InvalidValue(f"is a local time that clocks in {self._zone} skip")
        return local

    def _since_epoch(self, value: date) -> int:
        try:
            return (self.aware(_standard(value)) - _EPOCH) // _MILLISECOND
        except OverflowError:
            raise InvalidValue("lies outside 1990 to one year ahead") from None

    def _in_range(self, number: int) -> int:
        if not _OLDEST_MS <= number <= self._newest_ms:
            raise InvalidValue("lies outside 1990 to one year ahead")
        return number

    def _number_in_range(self, number: int) -> int:
        if _OLDEST_MS <= number <= self._newest_ms:
            return number
        self._refuse_other_unit(number)
        raise InvalidValue("lies outside 1990 to one year ahead")

    def _refuse_other_unit(self, number: int) -> None:
        for factor, unit in ((1000, "seconds"), (0.001, "microseconds"), (0.000001, "nanoseconds")):
            if abs(number) < _INT64 and _OLDEST_MS <= number * factor <= self._newest_ms:
                raise InvalidValue(f"must be milliseconds since 1970, but looks like {unit}")


def _from_iso(value: str) -> datetime:
    # The parsers take any character between date and time: the offset of "2024-01-01+02:00" would pass for a time.
    if _ISO_DATE.fullmatch(value):
        try:
            return _parse_iso(_LONG_FRACTION.sub(r"\1", value.upper()))
        except (ValueError, OverflowError):
            pass
    kind = "text" if value else "empty text"
    raise InvalidValue(f"must be a time in ISO 8601 or milliseconds since 1970, got {kind}")


def _standard(value: date) -> datetime:
    """Reduce subclasses (pandas, pendulum) to the standard type: their arithmetic differs."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    if type(value) is datetime:
        return value
    clock = (value.hour, value.minute, value.second, value.microsecond, value.tzinfo)
    return datetime(value.year, value.month, value.day, *clock, fold=value.fold)


def _round_trip(local: datetime) -> datetime:
    try:
        return local.astimezone(timezone.utc).astimezone(local.tzinfo).replace(tzinfo=None)
    except OverflowError:
        raise InvalidValue("lies outside 1990 to one year ahead") from None


def checks(moments: TimestampChecks) -> dict[str, Check]:
    """The check of each kind that :data:`FIELDS <airflow_provider_lofty.lofty.fields.FIELDS>` names."""
    return {
        "id": identifier,
        "activity type": activity_type,
        "text": text,
        "milliseconds": moments.milliseconds,
        "int64": int64,
        "int32": int32,
        "double": double,
        "boolean": boolean,
        "date text": moments.date_text,
    }
