"""
What shows that a row of a report is as it was written, and is read by a task with the same arguments.

Such a row has to come to the same end as when it was written. Where it does not, the report does not show all that it
was: rows of other shapes, say, or values that only Python has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from types import CodeType

from airflow_provider_lofty.rows.columns import normalise
from airflow_provider_lofty.rows.report_format import REPORT_COLUMNS

_BYTES = 6


def seal_of(columns: tuple[str, ...], cells: Sequence[object], arguments: bytes, shown: Callable[[object], str]) -> str:
    """
    Make the seal of a row's own cells; empty ones may have been left out.

    :param arguments: a digest of the task's
    :param shown: writes a cell as a report shows it
    """
    parts = [arguments]
    for name, place in _own_places(columns):
        if text := shown(cells[place]):
            parts += name, text.encode("utf-8", "surrogatepass")
    return _digest(*parts)


@lru_cache
def _own_places(columns: tuple[str, ...]) -> list[tuple[bytes, int]]:
    """Say where the row's own cells are, in an order that does not hang on theirs."""
    own = (place for place, column in enumerate(columns) if column.casefold() not in REPORT_COLUMNS)
    found = sorted((normalise(columns[place]), columns[place], place) for place in own)
    return [(name.encode("utf-8", "surrogatepass"), place) for name, _, place in found]


def key_seal_of(row_key: bytes | None) -> str:
    """Make the seal of a row's key; empty where it has none."""
    return _digest(row_key) if row_key else ""


def digest_of_arguments(*given: object) -> bytes:
    """Make a digest of arguments, functions by their code; another one may belong to the same, but not the reverse."""
    return _digest(repr([_plain(each) for each in given]).encode("utf-8", "surrogatepass")).encode()


def _plain(given: object) -> object:
    if isinstance(given, Mapping):
        return sorted((str(key), repr(_plain(value))) for key, value in given.items())
    code = getattr(given, "__code__", None)
    if isinstance(code, CodeType):
        return _of_code(code)
    return getattr(given, "__qualname__", given)


def _of_code(code: CodeType) -> object:
    constants = [_of_code(each) if isinstance(each, CodeType) else each for each in code.co_consts]
    return code.co_code, code.co_names, repr(constants)


def _digest(*parts: bytes) -> str:
    found = blake2b(digest_size=_BYTES)
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()
