"""
Timestamps as text, read by a grammar of our own: those of Python's versions differ.

Read is what has one meaning: the year first (ISO 8601 and its neighbours), or the month by its name (RFC 1123). What
begins with a day or a month in digits has two.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

_FLAGS = re.ASCII | re.IGNORECASE
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH = (
    "(JAN(?:UARY)?|FEB(?:RUARY)?|MAR(?:CH)?|APR(?:IL)?|MAY|JUNE?|JULY?|AUG(?:UST)?|SEP(?:TEMBER)?|OCT(?:OBER)?"
    "|NOV(?:EMBER)?|DEC(?:EMBER)?)"
)
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")

# As nearly every program writes them; the other patterns are looked at only where this one does not fit.
_USUAL = re.compile(r"(\d{4}-\d\d-\d\d[T ](?!24)\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})", _FLAGS)
_DIGITS = re.compile(r"(\d{4})(\d\d)(\d\d)(?=T| |$)", _FLAGS)
_WEEK = re.compile(r"(\d{4})-?W(\d\d)(?:-?(\d))?(?=T| |$)", _FLAGS)
_WEEKDAY = rf"(?:({'|'.join(_WEEKDAYS)})[a-z]*,? +)?"
_DAY_MONTH = re.compile(rf"{_WEEKDAY}(\d{{1,2}})([ -]){_MONTH}\3(\d{{4}})", _FLAGS)
_MONTH_DAY = re.compile(rf"{_WEEKDAY}{_MONTH} (\d{{1,2}}),? (\d{{4}})", _FLAGS)
# After the offset Go writes the zone's abbreviation (+0000 UTC), Java its name (+01:00[Europe/Berlin]).
_LABEL = r"(?: (?P<short>[A-Z]{3,5})|\[(?P<long>[\w/+-]{1,40})\])?"
_ZONE = rf"(?: *(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?){_LABEL})?"
_TIMES = tuple(
    re.compile(rf"(?:T|,? +){clock}{_ZONE}", _FLAGS)
    for clock in (
        r"(?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?",
        r"(?P<hour>\d\d)(?P<minute>\d\d)(?:(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?",
        r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)? ?(?P<half>[AP]M)",
    )
)


def timestamp_from_text(text: str) -> datetime | None:
    """
    Read a timestamp or a date; without a zone where the text names none. None when it is neither.

    :param text: without outer blanks
    """
    try:
        found = _USUAL.fullmatch(text)
        if found is None:
            return _unusual(text)
        moment, fraction, zone = found.groups()
        offset = "+00:00" if zone == "Z" else zone or ""
        # In a form that Python 3.10 reads, too. Its parser is much faster than ``replace``.
        return datetime.fromisoformat(f"{moment}.{fraction[:6]:0<6}{offset}" if fraction else f"{moment}{offset}")
    except (ValueError, OverflowError):
        return None


def _unusual(text: str) -> datetime | None:
    if len(text) == 14 and text.isdigit():
        text = f"{text[:8]}T{text[8:]}"
    for pattern, read in _READINGS:
        found = pattern.match(text)
        if found is not None:
            return _with_time(read(found), text[found.end() :])
    return None


def _year_first(found: re.Match[str]) -> date:
    return date(int(found[1]), int(found[3]), int(found[4]))


def _digits(found: re.Match[str]) -> date:
    return date(int(found[1]), int(found[2]), int(found[3]))


def _week(found: re.Match[str]) -> date:
    return date.fromisocalendar(int(found[1]), int(found[2]), int(found[3] or 1))


def _day_month(found: re.Match[str]) -> date:
    return _on_weekday(found[1], date(int(found[5]), _month(found[4]), int(found[2])))


def _month_day(found: re.Match[str]) -> date:
    return _on_weekday(found[1], date(int(found[4]), _month(found[2]), int(found[3])))


def _month(name: str) -> int:
    return _MONTHS.index(name[:3].upper()) + 1


def _on_weekday(name: str | None, day: date) -> date:
    if name and _WEEKDAYS.index(name.upper()) != day.weekday():
        raise ValueError("the day of the week is that of another date")
    return day


_READINGS = (
    (_YEAR_FIRST, _year_first),
    (_DIGITS, _digits),
    (_WEEK, _week),
    (_DAY_MONTH, _day_month),
    (_MONTH_DAY, _month_day),
)


def _with_time(day: date, rest: str) -> datetime | None:
    midnight = datetime.combine(day, time())
    if not rest:
        return midnight
    found = next((match for pattern in _TIMES if (match := pattern.fullmatch(rest))), None)
    if found is None:
        return None
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    micros = int((found["fraction"] or "")[:6].ljust(6, "0"))
    half = found.groupdict().get("half")
    if half:
        hour = _of_24(hour, half.upper())
    zone = _zone((found["zone"] or "").upper())
    if (hour, minute, second, micros) == (24, 0, 0, 0):
        moment = (midnight + timedelta(days=1)).replace(tzinfo=zone)
    else:
        moment = midnight.replace(hour=hour, minute=minute, second=second, microsecond=micros, tzinfo=zone)
    return moment if _agrees(moment, found["short"], found["long"]) else None


def _of_24(hour: int, half: str) -> int:
    if not 1 <= hour <= 12:
        raise ValueError("there is no such hour")
    return hour % 12 + (12 if half == "PM" else 0)


def _zone(name: str | None) -> timezone | None:
    if not name:
        return None
    if name in ("Z", "UTC", "GMT"):
        return timezone.utc
    digits = name[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if minutes > 59:
        raise ValueError("there is no such offset")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if name[0] == "-" else offset)


def _agrees(moment: datetime, short: str | None, long: str | None) -> bool:
    """Whether a zone that is named beside an offset has that offset; of most abbreviations nobody can say."""
    if short:
        return short.upper() not in ("UTC", "GMT") or not moment.utcoffset()
    try:
        return not long or moment.astimezone(ZoneInfo(long)).utcoffset() == moment.utcoffset()
    except (KeyError, ValueError, OSError):
        return False
