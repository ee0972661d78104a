"""
What a report does not show of a cell: that it was a truth value and no word, a time that named no zone, or no value.

Read as the text that it is, such a cell would be another one: of another key, so that its row is sent again, or of
another meaning. So its kind is noted beside the row, and given back to it when the report is the source. A cell that
was changed in between is what it is now. What was said of the source and not of the report is noted in the same way.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from airflow_provider_lofty.rows.checks import is_null
from airflow_provider_lofty.rows.columns import normalise
from airflow_provider_lofty.rows.timestamps import TimestampChecks
from airflow_provider_lofty.rows.values import (
    NAMES,
    EitherText,
    InvalidValue,
    SessionTime,
    ShortFloat,
    is_missing,
    plain,
)
from airflow_provider_lofty.rows.written import Decimals, json_number, written

_ZONE = ""  # the column of what is noted of the whole row
_OTHER_ZONE = (
    "has a time without a zone, which the task that wrote the report took for one of {}: give this task the same "
    "timezone"
)
_TEXT_SHOWS = frozenset((str, int, type(None)))  # of most rows all cells
_MICROSECONDS = 26  # characters of a time that has them; a report shows no more
_NUMBERS_OR_TIMES = (int, float, date, time)


class Reading(NamedTuple):
    """
    How a source's cells are read.

    :param decimals: what decimals of texts are written behind
    :param nulls: the texts that the author says stand for no value
    :param is_for_functions: whether an author's functions get the cells: to these, a number is no text either
    """

    decimals: Decimals
    nulls: frozenset[str]
    is_for_functions: bool

    @property
    def is_usual(self) -> bool:
        """Whether texts and numbers are what they look like."""
        return self.decimals is Decimals.UNSAID and not self.nulls and not self.is_for_functions


def kinds_of(columns: Sequence[str], cells: Sequence[object], reading: Reading, zone: str | None) -> dict[str, str]:
    """
    Note what text does not show of these cells, by column.

    :param zone: the one that times of the row were given, if any was
    """
    found = {_ZONE: f"zone {zone}"} if zone else {}
    if reading.is_usual and _TEXT_SHOWS.issuperset(map(type, cells)) and "" not in cells:
        return found  # nearly every row: no second look
    kinds = {column: _kind_of(plain(cell), reading) for column, cell in zip(columns, cells, strict=False)}
    return found | {column: kind for column, kind in kinds.items() if kind and column != _ZONE}


def _kind_of(cell: object, reading: Reading) -> str:
    if isinstance(cell, str):
        return _kind_of_text(cell, reading)
    if isinstance(cell, float) and cell != cell and reading.is_for_functions:
        return "nan"
    if is_missing(cell) or isinstance(cell, (*NAMES, ShortFloat)):
        return ""
    if isinstance(cell, bool):
        return "bool"
    if isinstance(cell, SessionTime):
        return f"session time: {cell.isoformat()}"
    if isinstance(cell, datetime) and cell.tzinfo is None:
        return f"local time: {cell.isoformat()}"
    if isinstance(cell, Decimal) and cell.is_finite():
        return f"decimal: {cell}" if reading.is_for_functions else ""
    if isinstance(cell, float) and cell - cell != 0:
        return "json"
    if isinstance(cell, _NUMBERS_OR_TIMES):
        return _name_of(cell) if reading.is_for_functions else ""
    return "json"  # or what a report writes as such, since no field takes it


def _kind_of_text(text: str, reading: Reading) -> str:
    if is_null(text, reading.nulls):
        return f"no value: {text}"
    if not text:
        return "empty"
    if isinstance(text, EitherText):
        return "either"
    is_said = reading.decimals is not Decimals.UNSAID
    number = written(text.strip(), Decimals.EITHER, is_money=True) if is_said else None
    return "either" if number is not None and number.is_ambiguous else ""


def _name_of(cell: object) -> str:
    names = ((int, "int"), (float, "float"), (datetime, "datetime"), (date, "date"))
    return next((name for kind, name in names if isinstance(cell, kind)), "time")


def restored_cells(
    columns: Sequence[str],
    cells: Sequence[object],
    kinds: Mapping[str, str],
    timestamps: TimestampChecks,
    shown: Callable[[object], str],
) -> list[object]:
    """
    Give cells of a report back what it does not show of them.

    :param kinds: what :func:`kinds_of` noted when it was written; of a column in another spelling, too, as a database
        may have made of it
    :param shown: writes a cell as a report shows it
    :raises InvalidValue: where a time without a zone would now be taken for one of another zone
    """
    zone = kinds.get(_ZONE, "").removeprefix("zone ")
    if zone and not timestamps.is_in(zone):
        raise InvalidValue(_OTHER_ZONE.format(zone))
    spelt = Counter(map(normalise, columns))
    alike = {normalise(column): kind for column, kind in kinds.items() if column not in columns}
    found = []
    for column, cell in zip(columns, cells, strict=True):
        kind = kinds.get(column) if column != _ZONE else None
        if kind is None and spelt[name := normalise(column)] == 1:
            kind = alike.get(name)
        found.append(cell if kind is None else _restored(cell, kind, timestamps, shown))
    return found


def _restored(cell: object, kind: str, timestamps: TimestampChecks, shown: Callable[[object], str]) -> object:
    """Give the cell that it was, unless what is shown of that is something else by now."""
    name, _, exact = kind.partition(": ")
    if name not in _READERS or not (cell is None or isinstance(cell, str)):
        return cell
    text = cell or ""
    try:
        before = _READERS[name](exact or text)
    except (ValueError, InvalidOperation, RecursionError):
        return cell
    if name == "local time":
        return _local(text, before, exact, timestamps, shown)
    is_same = name in _FREE or text == (exact if name == "no value" else shown(before))
    return before if is_same else cell


def _local(text: str, before: Any, exact: str, timestamps: TimestampChecks, shown: Callable[[object], str]) -> object:
    """A report shows it with its zone, unless clocks there skip it."""
    try:
        as_shown = shown(timestamps.aware(before))
    except InvalidValue:
        as_shown = shown(before)
    if text not in (as_shown, shown(before)):
        return text
    return before if before.isoformat() == exact else exact  # with nanoseconds, which Python's times do not have


def _truth(text: str) -> bool:
    """A spreadsheet writes capitals."""
    if text.casefold() not in ("true", "false"):
        raise ValueError("was changed")
    return text.casefold() == "true"


_FREE = ("bool", "either")  # may be written otherwise by now
_READERS: Mapping[str, Callable[[str], object]] = {
    "bool": _truth,
    "either": EitherText,
    "empty": str,
    "no value": lambda _: None,
    "nan": lambda _: math.nan,
    "int": int,
    "float": float,
    "decimal": Decimal,
    "local time": lambda exact: datetime.fromisoformat(exact[:_MICROSECONDS]),
    "session time": lambda exact: SessionTime.of(datetime.fromisoformat(exact)),
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "json": lambda text: json.loads(text, parse_float=json_number),
}
