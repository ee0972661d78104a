"""Rows from Parquet files, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from airflow_provider_lofty.rows.source import DamagedFile, SourceRow

if TYPE_CHECKING:
    from pyarrow import Array, Scalar
    from pyarrow.parquet import ParquetFile

_BATCH_ROWS = 2000


def parquet_rows(stream: IO[bytes]) -> tuple[tuple[str, ...], Iterator[SourceRow]]:
    """
    Read the schema; the rows follow on demand.

    Not through pandas: it would read the whole file, and turn an id column with a gap into floats.

    :raises DamagedFile: when it, or a part of it, is not Parquet
    """
    from pyarrow import ArrowException, ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(stream)
    except (ArrowInvalid, ArrowException) as error:
        raise DamagedFile(f"it is not a Parquet file ({type(error).__name__})") from None
    return tuple(file.schema_arrow.names), _rows(file)


def _rows(file: ParquetFile) -> Iterator[SourceRow]:
    from pyarrow import ArrowException

    columns, number = tuple(file.schema_arrow.names), 0
    try:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            lists = [values_of(column) for column in batch.columns]
            for cells in zip(*lists, strict=True):
                number += 1
                yield SourceRow(number, columns, cells)
    except ArrowException as error:
        raise DamagedFile(f"a part of the Parquet file cannot be read ({type(error).__name__})") from None


class UnreadableValue:
    """Stands for a value that Python cannot hold, such as a date beyond the year 9999; no field takes it."""

    def __str__(self) -> str:
        return "unreadable"


def values_of(column: Array) -> list[object]:
    """Give the values of an Arrow array."""
    try:
        values: list[object] = column.to_pylist()
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in column]
    return values


def _value(scalar: Scalar) -> object:
    try:
        value: object = scalar.as_py()
    except (ValueError, OverflowError):
        return UnreadableValue()
    return value
