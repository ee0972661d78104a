"""Rows from Parquet files, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from airflow_provider_lofty.rows.short_floats import Mark, mark_of_arrow
from airflow_provider_lofty.rows.source import DamagedFile, SourceRow

if TYPE_CHECKING:
    from pyarrow import Array, Scalar
    from pyarrow.parquet import ParquetFile

_MOST_ROWS = 64  # at once: repeated values may take hardly any room in the file, and each its own here
_BATCH_BYTES = 2**23


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
    marks = [mark_of_arrow(kind) for kind in file.schema_arrow.types]
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

    :param mark: the one of its type
    """
    try:
        values: list[object] = column.to_pylist()
    except (ValueError, OverflowError):
        values = [_value(scalar) for scalar in column]
    return values if mark is None else list(map(mark, values))


def _value(scalar: Scalar) -> object:
    try:
        value: object = scalar.as_py()
    except (ValueError, OverflowError):
        return UnreadableValue()
    return value
