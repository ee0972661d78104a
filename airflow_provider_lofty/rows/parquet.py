"""Rows from Parquet files, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

from airflow_provider_lofty.rows.source import DamagedFile, SourceRow
from airflow_provider_lofty.rows.values import SHORT_FLOATS

if TYPE_CHECKING:
    from pyarrow import Array, DataType, Scalar
    from pyarrow.parquet import ParquetFile

_MOST_ROWS = 64  # at once: repeated values may take hardly any room in the file, and each its own here
_BATCH_BYTES = 2**23

Mark = Callable[[object], object]


def parquet_rows(stream: IO[bytes]) -> tuple[tuple[str, ...], Iterator[SourceRow]]:
    """
    Read the schema; the rows follow on demand.

    Not through pandas: it would read the whole file, and turn an id column with a gap into floats.

    :raises DamagedFile: when it, or a part of it, is not Parquet
    """
    from pyarrow import ArrowException, ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(stream, coerce_int96_timestamp_unit="us")  # in nanoseconds the year 2262 would be too late
    except (ArrowInvalid, ArrowException) as error:
        raise DamagedFile(f"it is not a Parquet file ({type(error).__name__})") from None
    return tuple(file.schema_arrow.names), _rows(file)


def _rows(file: ParquetFile) -> Iterator[SourceRow]:
    from pyarrow import ArrowException

    columns, number = tuple(file.schema_arrow.names), 0
    instants = _int96_columns(file)
    marks = [mark_of(kind) for kind in file.schema_arrow.types]
    try:
        for batch in file.iter_batches(batch_size=_rows_at_once(file)):
            lists = [
                values_of(_as_instants(column) if name in instants else column, mark)
                for name, column, mark in zip(columns, batch.columns, marks, strict=True)
            ]
            for cells in zip(*lists, strict=True):
                number += 1
                yield SourceRow(number, columns, cells)
    except ArrowException as error:
        raise DamagedFile(f"a part of the Parquet file cannot be read ({type(error).__name__})") from None


def _rows_at_once(file: ParquetFile) -> int:
    metadata = file.metadata
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    largest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    return max(1, min(_MOST_ROWS, _BATCH_BYTES // max(largest, 1)))


def _int96_columns(file: ParquetFile) -> frozenset[str]:
    """Find times as Spark, Hive and Impala wrote them for years: instants, though nothing in the file says so."""
    found = (file.schema.column(number) for number in range(len(file.schema)))
    return frozenset(column.path for column in found if column.physical_type == "INT96")


def _as_instants(column: Array) -> Array:
    import pyarrow as pa

    return column.cast(pa.timestamp("us", "UTC"))


class UnreadableValue:
    """Stands for a value that Python cannot hold, such as a date beyond the year 9999; no field takes it."""

    def __str__(self) -> str:
        return "unreadable"


def values_of(column: Array, mark: Mark | None) -> list[object]:
    """
    Give the values of an Arrow array.

    :param mark: what :func:`mark_of` gives for its type
    """
    try:
        values: list[object] = column.to_pylist()
    except (ValueError, OverflowError):
        values = [_value(scalar) for scalar in column]
    return values if mark is None else list(map(mark, values))


def mark_of(kind: DataType) -> Mark | None:
    """
    Make what marks the short floats in a value of this type: Python's no longer tell of how few bits they were.

    None where it holds none, which is nearly every type: its values need no second look.
    """
    from pyarrow import types

    if short := SHORT_FLOATS.get(str(kind)):
        return lambda value: short(value) if isinstance(value, float) else value
    if types.is_struct(kind):
        return _mark_of_struct(kind)
    if types.is_map(kind):
        return _mark_of_map(kind)
    inner = mark_of(kind.value_type) if hasattr(kind, "value_type") else None
    if inner is None or types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return inner
    return lambda value: list(map(inner, value)) if isinstance(value, list) else value


def _mark_of_struct(kind: DataType) -> Mark | None:
    marks = {field.name: mark for field in kind if (mark := mark_of(field.type))}

    def mark_fields(value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {name: marks[name](held) if name in marks else held for name, held in value.items()}

    return mark_fields if marks else None


def _mark_of_map(kind: DataType) -> Mark | None:
    of_key, of_item = mark_of(kind.key_type), mark_of(kind.item_type)

    def mark_pairs(value: object) -> object:
        if not isinstance(value, list):
            return value
        return [(of_key(key) if of_key else key, of_item(item) if of_item else item) for key, item in value]

    return mark_pairs if of_key or of_item else None


def _value(scalar: Scalar) -> object:
    try:
        value: object = scalar.as_py()
    except (ValueError, OverflowError):
        return UnreadableValue()
    return value
