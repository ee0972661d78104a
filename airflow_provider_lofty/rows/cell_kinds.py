"""
What a report does not show of a cell: that it was a truth value and no word, or a time that named no zone.

Read as the text that it is, such a cell would be another one: of another key, so that its row is sent again, or of
another meaning. So its kind is noted beside the row, and given back to it when the report is the source. A cell that
was changed in between is what it is now.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation

from airflow_provider_lofty.rows.timestamps import TimestampChecks
from airflow_provider_lofty.rows.values import NAMES, EitherText, InvalidValue, SessionTime, is_missing, plain
from airflow_provider_lofty.rows.written import Decimals, json_number, written

OTHER_ZONE = (
    "was a time without a zone, which the task that wrote the report took for one of another timezone: give this task "
    "the same timezone"
)
_TEXT_SHOWS = frozenset((str, int, type(None)))  # of most rows all cells
_MICROSECONDS = 26  # characters of a time that has them; a report shows no more
_NUMBERS_OR_TIMES = (int, float, Decimal, date, time)


def kinds_of(
    columns: Sequence[str], cells: Sequence[object], *, decimals: Decimals, is_for_functions: bool
) -> dict[str, str]:
    """
    Note what text does not show of these cells, by column.

    :param decimals: what decimals of the source's texts are written behind
    :param is_for_functions: whether an author's functions get the cells: to these, a number is no text either
    """
    is_usual = decimals is not Decimals.EITHER and not is_for_functions
    if is_usual and _TEXT_SHOWS.issuperset(map(type, cells)) and "" not in cells:
        return {}  # nearly every row: no second look
    found = {
        column: _kind_of(plain(cell), decimals, is_for_functions=is_for_functions)
        for column, cell in zip(columns, cells, strict=False)
    }
    return {column: kind for column, kind in found.items() if kind}


def _kind_of(cell: object, decimals: Decimals, *, is_for_functions: bool) -> str:
    if isinstance(cell, str):
        return _kind_of_text(cell, decimals)
    if is_missing(cell) or isinstance(cell, NAMES):
        return ""
    if isinstance(cell, bool):
        return "bool"
    if isinstance(cell, SessionTime):
        return f"session time {cell.isoformat()}"
    if isinstance(cell, datetime) and cell.tzinfo is None:
        return f"local time {cell.isoformat()}"
    if isinstance(cell, Decimal) and cell.is_finite():
        return f"decimal {cell}" if is_for_functions else ""
    if isinstance(cell, float) and cell - cell != 0:
        return "json"
    if isinstance(cell, _NUMBERS_OR_TIMES) and not isinstance(cell, Decimal):
        return _name_of(cell) if is_for_functions else ""
    return "json"  # or what a report writes as such, since no field takes it


def _kind_of_text(text: str, decimals: Decimals) -> str:
    if not text:
        return "empty"
    if isinstance(text, EitherText):
        return "either"
    number = written(text.strip(), decimals, is_money=True) if decimals is Decimals.EITHER else None
    return "either" if number is not None and number.is_ambiguous else ""


def _name_of(cell: object) -> str:
    names = ((int, "int"), (float, "float"), (datetime, "datetime"), (date, "date"))
    return next((name for kind, name in names if isinstance(cell, kind)), "time")


def restored_cells(
    columns: Sequence[str], cells: Sequence[object], kinds: Mapping[str, str], timestamps: TimestampChecks
) -> list[object]:
    """
    Give cells of a report back what it does not show of them.

    :param kinds: what :func:`kinds_of` noted when it was written; of a column in other case, too, as a database may
        have made of it
    :raises InvalidValue: for a time without a zone that another timezone would now be taken for
    """
    by_column = {column.casefold(): kind for column, kind in kinds.items()}
    return [
        _restored(cell, by_column[column.casefold()], timestamps) if column.casefold() in by_column else cell
        for column, cell in zip(columns, cells, strict=True)
    ]


def _restored(cell: object, kind: str, timestamps: TimestampChecks) -> object:
    if kind == "empty":
        return "" if is_missing(cell) else cell
    if not isinstance(cell, str):
        return cell
    if kind.startswith("local time "):
        return _local(cell, kind.removeprefix("local time "), timestamps)
    if kind.startswith("session time "):
        shown = kind.removeprefix("session time ")
        return SessionTime.of(datetime.fromisoformat(shown)) if cell.startswith(f"{shown} ") else cell
    if kind.startswith("decimal "):
        return _decimal(cell, kind.removeprefix("decimal "))
    try:
        return _READERS[kind](cell) if kind in _READERS else cell
    except (ValueError, RecursionError):
        return cell


def _local(cell: str, shown: str, timestamps: TimestampChecks) -> object:
    if not cell.startswith(shown[:_MICROSECONDS]):
        return cell
    try:
        local, now = datetime.fromisoformat(shown[:_MICROSECONDS]), datetime.fromisoformat(cell)
    except ValueError:
        return cell
    if now.tzinfo is not None and timestamps.aware(local) != now:
        raise InvalidValue(OTHER_ZONE)
    return local if local.isoformat() == shown else shown  # with nanoseconds, which Python's times do not have


def _decimal(cell: str, shown: str) -> object:
    try:
        return Decimal(shown) if Decimal(cell) == Decimal(shown) else cell
    except InvalidOperation:
        return cell


def _truth(cell: str) -> object:
    return {"true": True, "false": False}.get(cell.casefold(), cell)  # a spreadsheet writes capitals


_READERS: Mapping[str, Callable[[str], object]] = {
    "bool": _truth,
    "either": EitherText,
    "int": int,
    "float": float,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "json": lambda cell: json.loads(cell, parse_float=json_number),
}
