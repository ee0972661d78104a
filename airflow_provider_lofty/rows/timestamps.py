"""The checks of dates and times, which depend on a time zone and on today."""

from __future__ import annotations

import math
import re
import sys
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal

from airflow_provider_lofty.rows.numbers import whole_from_text, whole_number
from airflow_provider_lofty.rows.values import InvalidValue, kind_of, text

if sys.version_info >= (3, 11):
    _parse_iso = datetime.fromisoformat
else:  # the standard library reads only a part of ISO 8601 before Python 3.11
    from dateutil.parser import isoparse as _parse_iso

_INT64 = 2**63
_ISO_DATE = re.compile(r"\d{4}-?(\d\d-?\d\d|W\d\d(-?\d)?)([Tt ].*)?", re.ASCII | re.DOTALL)
_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_OLDEST_MS = (datetime(1990, 1, 1, tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND
_YEAR_MS = 366 * 24 * 3600 * 1000


class TimestampChecks:
    """
    The checks of dates and times, which depend on a time zone and on today.

    :param zone: the zone of timestamps that name none
    :param now: the current time, aware; ``created`` may lie at most a year after it
    """

    def __init__(self, zone: tzinfo, now: datetime) -> None:
        self._zone = zone
        self._newest_ms = (now - _EPOCH) // _MILLISECOND + _YEAR_MS

    def milliseconds(self, value: object) -> int:
        """
        ``created``: a timestamp, a date (its midnight), ISO 8601 text, or a number of milliseconds since 1970.

        :raises InvalidValue: outside 1990 to a year ahead, naming seconds, microseconds or nanoseconds when the
            number reads as those; or when the zone has no such local time
        """
        if isinstance(value, str):
            value = value.strip()
            if value.isascii() and value.isdigit():
                return self._number_in_range(whole_from_text(value))
            return self._in_range(self._since_epoch(_from_iso(value)))
        if isinstance(value, date):
            return self._in_range(self._since_epoch(value))
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            raise InvalidValue(f"must be a time, got {kind_of(value)}")
        if isinstance(value, float) and math.isfinite(value):
            self._refuse_other_unit(math.floor(value))  # time.time() has a fraction: its unit is what is wrong
        return self._number_in_range(whole_number(value))

    def date_text(self, value: object) -> str:
        """``scheduledDate``: text as it is, a timestamp as ISO 8601 with its offset, a date as ISO 8601."""
        return text(self.aware(value).isoformat() if isinstance(value, datetime) else value)

    def aware(self, moment: datetime) -> datetime:
        """
        Give a timestamp the zone if it has none; a time that occurs twice is taken as the earlier one.

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
