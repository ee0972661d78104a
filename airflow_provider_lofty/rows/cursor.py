"""
Values of a column that only grows: what they are, how they are kept exactly, and which of two comes first.

The database that they come from compares them, whenever rows are asked for. What is compared here is what both agree
on: numbers, times, dates, and texts of one shape. Of other texts only the database knows the order.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

from airflow_provider_lofty.rows.timestamp_text import timestamp_from_text
from airflow_provider_lofty.rows.values import ShortFloat, is_missing, kind_of

LONGEST = 1000  # characters, as they are stored
_EXACT_FLOATS_BELOW = 2**53
_CERTAIN_DIGITS = 15  # of a float: so many are those of the number that it was made of
_ISO_TEXT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:([ T])(\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)
_FRACTION = re.compile(r"(:00)\.0+$")


class CursorError(ValueError):
    """A value cannot be a cursor's, or does not fit the others; the text says why, and what to do."""


class Kind(str, Enum):
    """What a cursor's values are, as it is stored."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    TIMESTAMP = "timestamp"
    ZONED = "timestamp with zone"
    DATE = "date"
    TEXT = "text"

    __str__ = str.__str__

    @property
    def family(self) -> str:
        """What values must be alike to be compared."""
        return "number" if self in _NUMBERS else self.value


_NUMBERS = (Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT)


class CursorValue(NamedTuple):
    """
    One value, typed and exact.

    :param text: as it is stored: in ASCII, whatever the database's character set
    """

    kind: Kind
    text: str

    @classmethod
    def of(cls, value: object) -> CursorValue:
        """
        Type a value that a database or a Dag author gave.

        :raises CursorError: when it cannot be told exactly where it stands among others
        """
        kind, text = _typed(value)
        if len(text) > LONGEST:
            raise CursorError(f"is longer than {LONGEST} characters")
        return cls(kind, text)

    @property
    def value(self) -> Any:
        """The value as it was given."""
        return _READERS[self.kind](self.text)

    @property
    def family(self) -> str:
        """What it must have in common with a value that it is compared with."""
        return self.kind.family

    def __str__(self) -> str:
        value = self.value
        return value.isoformat(" ") if isinstance(value, datetime) else str(value)

    def comes_before(self, other: CursorValue) -> bool | None:
        """Tell whether this one is the lower one; None where only their database knows."""
        if self == other:
            return False
        if self.family != other.family or (self.kind is Kind.TEXT and _shape(self.value) != _shape(other.value)):
            return None
        return bool(self.value < other.value)

    def at_least(self, other: CursorValue) -> CursorValue:
        """
        Give the higher one of two values of one family.

        For texts that cannot be compared this is a guess that costs nothing: a column that only grows has nothing new
        below either of them.
        """
        return max(self, other, key=lambda one: one.value)


_READERS: dict[Kind, Callable[[str], Any]] = {
    Kind.INTEGER: int,
    Kind.DECIMAL: Decimal,
    Kind.FLOAT: float,
    Kind.TIMESTAMP: datetime.fromisoformat,
    Kind.ZONED: datetime.fromisoformat,
    Kind.DATE: date.fromisoformat,
    Kind.TEXT: json.loads,
}


def _typed(value: object) -> tuple[Kind, str]:
    if isinstance(value, bool) or is_missing(value):
        raise CursorError(f"is {kind_of(value)}, which has no order")
    if isinstance(value, int):
        return Kind.INTEGER, str(int(value))
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise CursorError("is not a finite number")
        return Kind.DECIMAL, str(value)
    if isinstance(value, float):
        return Kind.FLOAT, _exact_float(value)
    if isinstance(value, datetime):
        kind = Kind.TIMESTAMP if value.utcoffset() is None else Kind.ZONED
        return kind, datetime.isoformat(value if kind is Kind.ZONED else value.replace(tzinfo=None))
    if isinstance(value, date):
        return Kind.DATE, date.isoformat(value)
    if isinstance(value, str):
        return Kind.TEXT, json.dumps(str(value))
    raise CursorError(
        f"is {kind_of(value)}: a cursor is a timestamp, a date, a whole or decimal number, or text; cast it"
    )


def _exact_float(value: float) -> str:
    """
    Write a float that can stand for one number only.

    :raises CursorError: when it may have lost digits on its way here: the row that has it would not be found again
    """
    digits = repr(float(value))
    significant = re.sub(r"e.*|\D", "", digits).strip("0")
    if isinstance(value, ShortFloat) or not math.isfinite(value) or abs(value) >= _EXACT_FLOATS_BELOW:
        is_exact = False
    else:
        is_exact = len(significant) <= _CERTAIN_DIGITS
    if not is_exact:
        raise CursorError(
            "is a float that may stand for another number, of which digits were lost; let the source give it exactly: "
            "cast it to a decimal number, or name another column"
        )
    return digits


def _shape(text: str) -> str:
    """Reduce a text to what must be alike in two, so that digits alone decide in whatever order databases know."""
    shape = re.sub(r"[0-9]", "0", text)
    found = _ISO_TEXT.fullmatch(text)
    return _FRACTION.sub(r"\1", shape) if found and not found[5] else shape


# What a Dag author gives


class Lag(NamedTuple):
    """How far behind the watermark reading begins, for rows that become visible late."""

    amount: timedelta | int | Decimal

    @classmethod
    def of(cls, given: object) -> Lag | None:
        """
        Read ``cursor_lag``: a ``timedelta``, a number, or either as text; None where there is none.

        :raises CursorError: when it is something else
        """
        if given is None or (isinstance(given, str) and not given.strip()):
            return None
        amount = _amount(given.strip()) if isinstance(given, str) else given
        if isinstance(amount, float) and math.isfinite(amount):
            amount = Decimal(repr(amount))
        is_number = isinstance(amount, (int, Decimal)) and not isinstance(amount, bool)
        if not is_number and not isinstance(amount, timedelta):
            raise CursorError(f"cursor_lag={given!r} is neither a timedelta, nor '2 hours', nor a number")
        if amount < (timedelta(0) if isinstance(amount, timedelta) else 0):  # type: ignore[operator]
            raise CursorError(f"cursor_lag={given!r} is below zero")
        return cls(amount) if amount else None  # type: ignore[arg-type]

    def before(self, value: CursorValue) -> CursorValue:
        """
        Go back by it.

        :raises CursorError: when such a value has no distance of this kind
        """
        if value.family == "number" and not isinstance(self.amount, timedelta):
            return _as_number(Decimal(value.text) - self.amount, value.kind)
        if value.kind in (Kind.TIMESTAMP, Kind.ZONED):
            return CursorValue.of(_earlier(value.value, self._seconds))
        if value.kind is Kind.DATE and isinstance(self.amount, timedelta):
            return CursorValue.of(_earlier(datetime.combine(value.value, datetime.min.time()), self.amount).date())
        if value.kind is Kind.TEXT and (found := _ISO_TEXT.fullmatch(value.value)):
            return CursorValue.of(_earlier_text(found, self._seconds))
        raise CursorError(f"cursor_lag={self.amount} cannot be taken from {value}: it is {_NEEDED[value.family]}")

    @property
    def _seconds(self) -> timedelta:
        return self.amount if isinstance(self.amount, timedelta) else timedelta(seconds=float(self.amount))


_NEEDED = {
    "number": "a number, which needs a number",
    "date": "a date, which needs a timedelta or '2 days'",
    "text": "text that is no timestamp such as 2026-11-01 06:00:00",
}
_UNITS = {
    timedelta(seconds=1): ("s", "sec", "secs", "second", "seconds"),
    timedelta(minutes=1): ("min", "mins", "minute", "minutes"),
    timedelta(hours=1): ("h", "hour", "hours"),
    timedelta(days=1): ("d", "day", "days"),
    timedelta(weeks=1): ("week", "weeks"),
}
_LENGTHS = {word: length for length, words in _UNITS.items() for word in words}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.ASCII)
_RENDERED_TIMEDELTA = re.compile(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d(?:\.\d+)?)", re.ASCII)  # as a template does
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)


def _as_number(number: Decimal, kind: Kind) -> CursorValue:
    """Write a number to begin with as a column has its own: drivers do not take each for another."""
    if kind is Kind.FLOAT:
        return CursorValue(kind, repr(float(number)))
    return CursorValue.of(math.floor(number) if kind is Kind.INTEGER else number)


def _amount(text: str) -> object:
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    if found := _RENDERED_TIMEDELTA.fullmatch(text):
        days, hours, minutes, seconds = found.groups()
        return timedelta(int(days or 0), hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    if (found := _DURATION.fullmatch(text)) and found[2] in _LENGTHS:
        return float(found[1]) * _LENGTHS[found[2]]
    return text


def _earlier(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment - by
    except OverflowError:
        return datetime.min.replace(tzinfo=moment.tzinfo)


def _earlier_text(found: re.Match[str], by: timedelta) -> str:
    """Go back in a text that is a timestamp."""
    day, _, clock, fraction, _ = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day} {clock or '00:00'}")
    except ValueError:
        raise CursorError(f"cursor_lag cannot be taken from {found[0]}, which is no day or time") from None
    return _written(_earlier(moment + timedelta(microseconds=int(f"{fraction or '':0<6}"[:6])), by), found)


def _written(moment: datetime, like: re.Match[str]) -> str:
    """Write a timestamp in the form of another one; what has no place there is left out, so that it is no later."""
    _, separator, clock, fraction, zone = like.groups()
    day = moment.date().isoformat()
    if clock is None:
        return day
    digits = f".{f'{moment:%f}'[: len(fraction)]:0<{len(fraction)}}" if fraction else ""
    return f"{day}{separator}{f'{moment:%H:%M:%S}'[: len(clock)]}{digits}{zone or ''}"


def fitted(given: CursorValue, like: CursorValue, zone: tzinfo) -> CursorValue:
    """
    Make of what the author gave a value like those that the column has.

    :param given: often text, because a template rendered it
    :param like: one of the column's values
    :param zone: of times that name none
    :raises CursorError: when it is none
    """
    if given.family == like.family:
        return given if given.family != "number" else _as_number(Decimal(given.text), like.kind)
    found: object = None
    if like.family == "number" and given.kind is Kind.TEXT and _NUMBER.fullmatch(given.value.strip()):
        return _as_number(Decimal(given.value.strip()), like.kind)
    if like.kind in (Kind.TIMESTAMP, Kind.ZONED, Kind.DATE):
        found = _fitted_time(given, like.kind, zone)
    elif like.kind is Kind.TEXT and (form := _ISO_TEXT.fullmatch(like.value)):
        found = _time_as_text(given, form, zone)
    if found is None:
        raise CursorError(
            f"cursor_from={str(given)!r} is {given.family}, and the column has values of kind {like.family}"
        )
    return CursorValue.of(found)


def _fitted_time(given: CursorValue, kind: Kind, zone: tzinfo) -> date | None:
    value = timestamp_from_text(given.value.strip()) if given.kind is Kind.TEXT else given.value
    if not isinstance(value, date):
        return None
    if kind is Kind.DATE:
        return value.date() if isinstance(value, datetime) else value
    moment = value if isinstance(value, datetime) else datetime.combine(value, datetime.min.time())
    if kind is Kind.ZONED:
        return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
    return moment if moment.tzinfo is None else moment.astimezone(zone).replace(tzinfo=None)


def _time_as_text(given: CursorValue, form: re.Match[str], zone: tzinfo) -> str | None:
    if form[5] is None:
        moment = _fitted_time(given, Kind.TIMESTAMP, zone)
    elif form[5] in ("Z", "+00:00", "+00", "+0000"):
        moment = _fitted_time(given, Kind.TIMESTAMP, timezone.utc)
    else:
        return None
    return _written(moment, form) if isinstance(moment, datetime) else None
