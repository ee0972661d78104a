"""The checks of dates and times, which depend on a time zone and on today."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from airflow_provider_lofty.rows.timestamp_text import timestamp_from_text
from airflow_provider_lofty.rows.values import InvalidValue, NoValue, SessionTime, ShortFloat, given, kind_of, text
from airflow_provider_lofty.rows.written import EXPONENT

_INT64 = 2**63
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_DAY_MS = 24 * 3600 * 1000
_OLDEST_MS = (datetime(1990, 1, 1, tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND
_YEAR_MS = 366 * _DAY_MS
_SPREADSHEET_EPOCH = 25569  # the day number of 1970-01-01
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?", re.ASCII)
_ZERO_DATE = re.compile(r"0000-00-00(?:[T ]00:00:00(?:\.0+)?)?Z?", re.ASCII)  # MySQL's NULL of a NOT NULL column
_LONGEST_NUMBER = 40

_OTHER_FORMAT = (
    "A date that begins with its day or month (11/05/2026) may be November 5 or May 11: read it with mapping="
    '{"created": lambda row: datetime.strptime(row["COLUMN"], "%m/%d/%Y %H:%M")}'
)
_UNITS = (
    (1000, "seconds", "* 1000"),
    (0.001, "microseconds", "// 1000"),
    (0.000001, "nanoseconds", "// 1000000"),
)


class TimestampChecks:
    """
    The checks of dates and times, which depend on a time zone and on today.

    :param zone: the zone of timestamps that name none
    :param now: the current time, aware; ``created`` may lie at most a year after it
    :ivar zone_name: of that zone
    :ivar has_given_zone: whether a time was given it; for whoever sets this to False before
    """

    def __init__(self, zone: tzinfo, now: datetime) -> None:
        self._zone = zone
        self.zone_name = str(zone)
        self.has_given_zone = False
        self._newest_ms = (now - _EPOCH) // _MILLISECOND + _YEAR_MS

    def is_in(self, zone_name: str) -> bool:
        """Whether the zone is the one of that name, or has always shown the same time."""
        return zone_name == self.zone_name or _are_alike(zone_name, self.zone_name)

    def milliseconds(self, value: object) -> int:
        """
        ``created``: a timestamp, a date (its midnight), either as text, or a number of milliseconds since 1970.

        :raises InvalidValue: outside 1990 to a year ahead, naming seconds, microseconds or nanoseconds when the
            number reads as those; or when the zone has no such local time
        """
        if type(value) is int and _OLDEST_MS <= value <= self._newest_ms:
            return value
        if isinstance(value, str):
            return self._from_text(value.strip())
        if isinstance(value, date):
            return self._in_range(self._since_epoch(value))
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            raise InvalidValue(f"must be a time, got {kind_of(value)}")
        return self._from_number(value)

    def date_text(self, value: object, as_text: Callable[[object], str] = text) -> str:
        """
        ``scheduledDate``: text as it is, a timestamp as ISO 8601 with its offset, a date as ISO 8601.

        :param as_text: the check of texts
        :raises InvalidValue: for a bare number, which names no day unless it is eight digits that are a date
        """
        if isinstance(value, datetime):
            return as_text(self.aware(value).isoformat())
        digits = as_text(value).strip()
        if _ZERO_DATE.fullmatch(digits):
            raise NoValue("must be a date, got the date of no day")
        is_number = _NUMBER.fullmatch(digits) or EXPONENT.fullmatch(digits)
        if is_number and not (len(digits) == 8 and timestamp_from_text(digits)):
            raise InvalidValue(
                "must be a date, got a bare number, such as the day number of a spreadsheet; write 2026-11-01"
            )
        return as_text(value)

    def aware(self, moment: datetime) -> datetime:
        """
        Give a timestamp the zone if it has none; a time that occurs twice is taken as the earlier one.

        :raises InvalidValue: when clocks in the zone skip that time, when it is one of an unknown zone, or of a year
            that Python's dates do not have
        """
        if isinstance(moment, SessionTime):
            raise InvalidValue(moment.why)
        moment = _standard(moment)
        if moment.tzinfo is not None and moment.utcoffset() is not None:
            return moment
        local = moment.replace(tzinfo=self._zone, fold=0)
        if self._zone is not timezone.utc and _round_trip(local) != local.replace(tzinfo=None):
            raise InvalidValue(f"is a local time that clocks in {self._zone} skip")
        self.has_given_zone = True
        return local

    def _since_epoch(self, value: date) -> int:
        since = self.aware(value if isinstance(value, datetime) else _standard(value)) - _EPOCH
        return since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000  # three times as fast as //

    def _is_in_range(self, number: float) -> bool:
        return _OLDEST_MS <= number <= self._newest_ms

    def _in_range(self, number: int) -> int:
        if not self._is_in_range(number):
            raise InvalidValue("lies outside 1990 to one year ahead")
        return number

    def _from_text(self, value: str) -> int:
        if value.isdigit() and value.isascii() and len(value) <= _LONGEST_NUMBER:
            return self._from_number(int(value))
        moment = timestamp_from_text(value)
        if moment is not None:
            return self._in_range(self._since_epoch(moment))
        if len(value) <= _LONGEST_NUMBER and _NUMBER.fullmatch(value):
            return self._from_number(Decimal(value.replace(",", ".")))
        if not value:
            raise NoValue("must be a time, got empty text")
        if _ZERO_DATE.fullmatch(value):
            raise NoValue("must be a time, got the date of no day")
        if EXPONENT.fullmatch(value):
            raise InvalidValue("must be a time, got scientific notation, which has lost digits")
        wanted = "must be a time such as 2026-11-01 15:45:00, or milliseconds since 1970"
        raise InvalidValue(f"{wanted}, got {given(value)}. {_OTHER_FORMAT}")

    def _from_number(self, value: float | Decimal) -> int:
        """Read milliseconds, or the digits of a date: those are milliseconds of no year that is read here."""
        if not -_INT64 < value < _INT64:
            raise InvalidValue("lies outside 1990 to one year ahead")
        if isinstance(value, ShortFloat) and abs(value) >= value.exact_below:
            raise InvalidValue(
                f"is a {value.bits}-bit float, whose last digits are lost: two minutes are one time; have the column "
                "written as an int or a timestamp, since a cast cannot give them back"
            )
        number = math.floor(value)
        if self._is_in_range(number):
            return number
        day = timestamp_from_text(str(number)) if number == value else None
        if day is not None:
            return self._in_range(self._since_epoch(day))
        self._refuse_other_unit(number)
        raise InvalidValue("lies outside 1990 to one year ahead")

    def _refuse_other_unit(self, number: int) -> None:
        for factor, unit, recipe in _UNITS:
            if self._is_in_range(number * factor):
                raise InvalidValue(
                    f"must be milliseconds since 1970, but looks like {unit}: "
                    f'mapping={{"created": lambda row: int(row["COLUMN"]) {recipe}}}'
                )
        if self._is_in_range((number - _SPREADSHEET_EPOCH) * _DAY_MS):
            raise InvalidValue(
                "must be a time, but looks like the day number of a spreadsheet (Excel); export the column as text "
                "such as 2026-11-01 15:45:00"
            )


def _standard(value: date) -> datetime:
    """Reduce subclasses (pandas, pendulum) to the standard type: their arithmetic differs."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    if type(value) is datetime:
        return value
    clock = (value.hour, value.minute, value.second, value.microsecond, value.tzinfo)
    try:
        return datetime(value.year, value.month, value.day, *clock, fold=value.fold)
    except ValueError:  # pandas has others, where it counts in seconds
        raise InvalidValue("lies outside the years 1 to 9999") from None


def _round_trip(local: datetime) -> datetime:
    try:
        return local.astimezone(timezone.utc).astimezone(local.tzinfo).replace(tzinfo=None)
    except OverflowError:
        raise InvalidValue("lies outside 1990 to one year ahead") from None


@lru_cache
def _are_alike(one: str, other: str) -> bool:
    try:
        zones = ZoneInfo(one), ZoneInfo(other)
    except (ValueError, OSError, KeyError):
        return False
    days = (
        datetime(year, month, 1) for year in range(1990, datetime.now(timezone.utc).year + 2) for month in range(1, 13)
    )
    return all(day.replace(tzinfo=zones[0]).utcoffset() == day.replace(tzinfo=zones[1]).utcoffset() for day in days)
