"""
A row's own cells as bytes, for the spool.

What a report shows must lead to the same activity again, so no value changes on the way but those that JSON cannot
hold, and these come back as something that no field takes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal

import msgspec

from airflow_provider_lofty.rows.values import (
    EXACT_BELOW,
    NAMES,
    SessionTime,
    ShortFloat,
    may_have_lost_digits,
    plain,
)

_json = msgspec.json.Encoder().encode


def encode_cells(cells: Sequence[object]) -> bytes:
    """Write a list of cells."""
    try:
        if _JSON_TYPES.issuperset(map(type, cells)):  # every row of a CSV file
            return _json(cells)
        return _json([cell if type(cell) in _JSON_TYPES else _jsonable(cell) for cell in cells])
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
        return _encode_odd(cells)


def decode_cells(encoded: bytes) -> list[object]:
    """Read what :func:`encode_cells` wrote."""
    try:
        cells: list[object] = msgspec.json.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):  # a lone surrogate
        cells = json.loads(encoded)
    return cells


def _encode_odd(cells: Sequence[object]) -> bytes:
    """Keep what msgspec refuses: lone surrogates, odd keys, values without an end."""
    try:
        return json.dumps([_jsonable(cell) for cell in cells], skipkeys=True, default=str).encode()
    except (TypeError, ValueError, RecursionError):
        return json.dumps([cell if isinstance(cell, str) else str(type(cell)) for cell in cells]).encode()


_JSON_TYPES = frozenset((str, int, bool, type(None)))


def _jsonable(value: object) -> object:
    """Bring a cell to what JSON can hold, exactly: what a report shows must lead to the same activity again."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, ShortFloat):
        # In a form that numbers with decimals are read from, too, and that cannot pass for an exact one.
        return float(value) if abs(value) < value.exact_below else f"{value:.16e}"
    if isinstance(value, float):
        return value if value - value == 0 else None if value != value else ["number", str(value)]
    if isinstance(value, Decimal):
        return None if value.is_nan() else _decimal(value) if value.is_finite() else ["number", str(value)]
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if isinstance(value, SessionTime):
        return f"{value.isoformat()} in the session's time zone"  # nothing that is read as a time again
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    if isinstance(value, NAMES):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return ["bytes", bytes(value).hex()]
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    held = plain(value)
    if held is not value:
        return _jsonable(held)
    # What no field takes must stay so: as text it would pass the checks when the report is given back.
    return [type(value).__name__, str(value)]


def _decimal(value: Decimal) -> str:
    """Write a finite number; one that may have lost digits so that it cannot pass for an exact one."""
    return f"{value:E}" if may_have_lost_digits(value) else plain_decimal(value)


def shown(cell: object) -> str:
    """Write a cell as a CSV report shows it."""
    if type(cell) is str:
        return cell  # nearly every cell: no second look
    try:
        value = _jsonable(cell)
        if isinstance(value, float):
            return _plain_float(value)
        if value is None or isinstance(value, str):
            return value or ""
        return json.dumps(value, ensure_ascii=False, skipkeys=True, default=str)
    except (TypeError, ValueError, RecursionError):
        return str(type(cell))


def _plain_float(number: float) -> str:
    """Write a number as an id or text would be; from 2**53 on so that it cannot pass for an exact one."""
    return plain_decimal(Decimal(repr(number))) if abs(number) < EXACT_BELOW else f"{number:.16e}"


def plain_decimal(value: Decimal) -> str:
    """Write a finite number in plain digits, without the zeros at its end: ``5`` for ``5.00``."""
    if abs(value.adjusted()) > 400:
        return str(value)
    digits = format(value, "f") if value else "0"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
