"""
Which values of a column are short floats, alone or inside lists and objects.

Python's floats no longer tell of how few bits they were; a column's type does. What is made of it here is a mark: a
function that gives a value back with its short floats marked. Types without one have no mark, which is nearly all of
them: their values need no second look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_lofty.rows.values import SHORT_FLOATS, short_float

if TYPE_CHECKING:
    from pyarrow import DataType

Mark = Callable[[object], object]


def mark_of_arrow(kind: DataType) -> Mark | None:
    """Make the mark of a type of Arrow."""
    from pyarrow import types

    if short := SHORT_FLOATS.get(str(kind)):
        return mark_of_float(short)
    if types.is_struct(kind):
        return _of_object((field.name, mark_of_arrow(field.type)) for field in kind)
    if types.is_map(kind):
        return _of_map(mark_of_arrow(kind.key_type), mark_of_arrow(kind.item_type))
    inner = mark_of_arrow(kind.value_type) if hasattr(kind, "value_type") else None
    return inner if types.is_dictionary(kind) or types.is_run_end_encoded(kind) else _of_list(inner)


def mark_of_polars(dtype: Any) -> Mark | None:
    """Make the mark of a type of Polars."""
    if short := SHORT_FLOATS.get(str(dtype)):
        return mark_of_float(short)
    if fields := getattr(dtype, "fields", None):
        return _of_object((field.name, mark_of_polars(field.dtype)) for field in fields)
    inner = getattr(dtype, "inner", None)
    return None if inner is None else _of_list(mark_of_polars(inner))


def mark_of_duckdb(kind: Any) -> Mark | None:
    """Make the mark of a type of DuckDB, whose ``FLOAT`` has 32 bits."""
    if kind.id == "float":
        return mark_of_float(short_float)
    if kind.id not in _NESTED_IN_DUCKDB:
        return None  # one that has no children raises when it is asked for them
    # The children of an array are its type and its size.
    marks = [(name, mark_of_duckdb(child)) for name, child in kind.children if hasattr(child, "id")]
    return _NESTED_IN_DUCKDB[kind.id](marks)


def mark_of_float(short: Callable[[float], float]) -> Mark:
    """Make the mark of one kind of short floats."""
    return lambda value: short(value) if isinstance(value, float) else value


def _of_list(inner: Mark | None) -> Mark | None:
    if inner is None:
        return None
    return lambda value: type(value)(map(inner, value)) if isinstance(value, (list, tuple)) else value


def _of_object(fields: Iterable[tuple[str, Mark | None]]) -> Mark | None:
    """Objects whose fields have no names are tuples."""
    named = [(name, mark or _as_it_is) for name, mark in fields]
    marks = dict(named)

    def mark(value: object) -> object:
        if isinstance(value, tuple) and len(value) == len(named):
            return tuple(each(held) for (_, each), held in zip(named, value, strict=True))
        if not isinstance(value, dict):
            return value
        return {name: marks.get(name, _as_it_is)(held) for name, held in value.items()}

    return mark if any(each is not _as_it_is for _, each in named) else None


def _of_map(of_key: Mark | None, of_item: Mark | None) -> Mark | None:
    """Maps are dicts, or lists of pairs."""
    as_key, as_item = of_key or _as_it_is, of_item or _as_it_is

    def mark(value: object) -> object:
        if isinstance(value, dict):
            return {as_key(key): as_item(item) for key, item in value.items()}
        return [(as_key(key), as_item(item)) for key, item in value] if isinstance(value, list) else value

    return mark if of_key or of_item else None


def _of_either(kinds: Sequence[tuple[str, Mark | None]]) -> Mark | None:
    """A union does not say which of its types a value has: a float may be a short one where one of them is."""
    marks = [mark for _, mark in kinds if mark]

    def mark(value: object) -> object:
        for each in marks:
            value = each(value)
        return value

    return mark if marks else None


def _as_it_is(value: object) -> object:
    return value


_Marks = Sequence[tuple[str, Mark | None]]
_NESTED_IN_DUCKDB: dict[str, Callable[[_Marks], Mark | None]] = {
    "struct": _of_object,
    "tuple": _of_object,
    "map": lambda marks: _of_map(*(mark for _, mark in marks)),
    "list": lambda marks: _of_list(marks[0][1]),
    "array": lambda marks: _of_list(marks[0][1]),
    "union": _of_either,
}
