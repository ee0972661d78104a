"""
MySQL's ``TIMESTAMP``: an instant, shown as the wall clock time of the session's zone and without saying which.

``DATETIME`` is a wall clock time, as in other databases: it is read in the operator's ``timezone``. There the earlier
of two is taken where clocks show a time twice; of an instant, that would make two events one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone, tzinfo
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from airflow_provider_lofty.rows.values import RepeatedTime, SessionTime

TIMESTAMP = 7  # in a cursor's description; DATETIME is 12
_ZONES = "SELECT @@session.time_zone, @@system_time_zone, TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), CURRENT_TIMESTAMP())"
_OFFSET = re.compile(r"([+-])(\d\d?):(\d\d)")

Conversion = Callable[[datetime], datetime]


def timestamp_conversion(connection: Connection, zone: tzinfo) -> Conversion:
    """
    Say how what a session shows of a ``TIMESTAMP`` becomes the instant that it is.

    The zone of the server's machine is known by an abbreviation only ("CET", whether or not it has a summer time):
    then ``zone`` is believed where its clocks show what the session's do.

    :param connection: to MySQL or MariaDB
    :param zone: the zone of timestamps that name none
    :return: gives a time without a zone where that is read in ``zone``, as any other
    """
    name, system, seconds = connection.exec_driver_sql(_ZONES).one()
    session = _named(str(system if name == "SYSTEM" else name), is_system=name == "SYSTEM")
    if session is not None:
        return partial(_in_zone, session)
    if datetime.now(zone).utcoffset() == timedelta(seconds=int(seconds)):
        return partial(_unless_repeated, zone)
    return SessionTime.of


def as_shown(connection: Connection, moment: datetime, zone: tzinfo) -> datetime:
    """
    Write an instant as the session shows it, to be compared there with a ``TIMESTAMP``.

    :param zone: the zone of timestamps that name none
    """
    conversion = timestamp_conversion(connection, zone)
    session = conversion.args[0] if isinstance(conversion, partial) else zone
    return moment.astimezone(session).replace(tzinfo=None)


def _in_zone(zone: tzinfo, moment: datetime) -> datetime:
    found = _unless_repeated(zone, moment)
    return found if isinstance(found, SessionTime) else found.replace(tzinfo=zone)


def _unless_repeated(zone: tzinfo, moment: datetime) -> datetime:
    local = moment.replace(tzinfo=zone)
    return moment if local.utcoffset() == local.replace(fold=1).utcoffset() else RepeatedTime.of(moment)


def _named(name: str, *, is_system: bool) -> tzinfo | None:
    if name == "UTC":
        return timezone.utc
    offset = _OFFSET.fullmatch(name)
    if offset:
        sign, hours, minutes = offset.groups()
        return timezone(timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1))
    if is_system:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # such as a name that only this server knows
        return None
