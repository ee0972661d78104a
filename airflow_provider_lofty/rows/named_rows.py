"""
Rows that know their columns' names, and frames of them, recognised by what they can do.

Their packages are not imported: whoever has such a row has its package, and nobody else needs it. Values are taken as
they are: a float column that once held ids must still look like one, so that an id that lost its last digits is refused
instead of sent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeGuard

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.short_floats import mark_of_arrow, mark_of_polars
from airflow_provider_lofty.rows.values import SHORT_FLOATS

Record = tuple[tuple[str, ...], Sequence[object]]  # columns and cells


def record_of(item: object) -> Record | None:
    """Give the columns and cells of a row that knows their names; None for anything else."""
    if isinstance(item, Mapping):
        return tuple(map(str, item)), tuple(item.values())
    if isinstance(item, Sequence):
        # A namedtuple or SQLAlchemy's Row; Spark's.
        fields = getattr(item, "_fields", None) or getattr(item, "__fields__", None)
        if fields:
            return tuple(map(str, fields)), tuple(item)
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return record_of(dataclasses.asdict(item))
    dump = getattr(item, "model_dump", None)  # pydantic
    if callable(dump):
        return record_of(dump())
    return _keyed(item)


def _keyed(item: Any) -> Record | None:
    """Rows of sqlite3, BigQuery, psycopg2, asyncpg; not a Series of pandas, whose values have changed their types."""
    keys, values = getattr(item, "keys", None), getattr(item, "values", None)
    if not callable(keys) or not hasattr(item, "__getitem__") or not (values is None or callable(values)):
        return None
    return tuple(map(str, keys())), tuple(values() if values else item)


class _Index(Protocol):
    names: Sequence[object]


class _PandasFrame(Protocol):
    """What is used of a pandas DataFrame."""

    columns: Sequence[object]
    index: _Index
    iloc: Any

    def reset_index(self, level: Sequence[object]) -> _PandasFrame: ...


def records_in_frame(item: Any) -> Iterator[Record] | None:
    """
    Give the rows of a frame; None for anything else.

    :raises LoftyConfigurationError: when it has a column twice
    """
    kind = type(item).__name__
    if kind == "DataFrame" and hasattr(item, "itertuples"):
        return _in_pandas(item)
    if kind == "DataFrame" and hasattr(item, "iter_rows"):  # polars
        return _in_polars(item)
    if kind in ("Table", "RecordBatch") and hasattr(item, "schema") and hasattr(item, "to_pylist"):  # Arrow
        return _in_arrow(item)
    fields = getattr(getattr(item, "dtype", None), "names", None)
    if fields and getattr(item, "ndim", None) == 1:  # a structured array of NumPy
        return _paired(fields, zip(*(item[field] for field in fields), strict=True))
    return None


def _in_pandas(frame: _PandasFrame) -> Iterator[Record]:
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    if named:
        frame = frame.reset_index(level=named)
    series = [frame.iloc[:, place] for place in range(len(frame.columns))]
    return _paired(frame.columns, zip(*map(_cells_in_pandas, series), strict=True))


def _cells_in_pandas(series: Any) -> Iterable[object]:
    """Give the cells of a column: of short floats it gives Python's, but its array gives its own."""
    dtype = series.dtype
    if _is_short(dtype):
        cells: Iterable[object] = series.to_numpy()
        return cells
    kind = getattr(dtype, "pyarrow_dtype", None)
    mark = None if kind is None else mark_of_arrow(kind)
    return series if mark is None else map(mark, series)


def _is_short(dtype: Any) -> bool:
    """Whether a column holds short floats, each on its own or as one of its categories."""
    categories = getattr(dtype, "categories", None)
    name = str(dtype if categories is None else categories.dtype)
    return name.removesuffix("[pyarrow]") in SHORT_FLOATS


def _in_polars(frame: Any) -> Iterator[Record]:
    marks = {place: mark for place, dtype in enumerate(frame.dtypes) if (mark := mark_of_polars(dtype))}
    rows: Iterable[Sequence[object]] = frame.iter_rows()
    if marks:
        rows = (
            tuple(marks[place](cell) if place in marks else cell for place, cell in enumerate(cells)) for cells in rows
        )
    return _paired(frame.columns, rows)


def _in_arrow(table: Any) -> Iterator[Record]:
    from airflow_provider_lofty.rows.parquet import values_of

    batches = table.to_batches() if hasattr(table, "to_batches") else [table]
    marks = [mark_of_arrow(kind) for kind in table.schema.types]
    rows = (cells for batch in batches for cells in zip(*map(values_of, batch.columns, marks), strict=True))
    return _paired(table.schema.names, rows)


def _paired(names: Iterable[object], rows: Iterable[Sequence[object]]) -> Iterator[Record]:
    columns = tuple(map(str, names))
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise LoftyConfigurationError(f"the DataFrame has the column {twice!r} twice; nothing was sent")
    return ((columns, cells) for cells in rows)


def columns_of_lists(item: Mapping[Any, Any]) -> Callable[[], Iterator[Record]] | None:
    """
    Read a dict of lists, each a column; None where it is something else.

    :raises LoftyConfigurationError: when they are not equally long
    """
    lists = list(item.values())
    if not lists or not all(map(is_column, lists)):
        return None
    if len({len(values) for values in lists}) > 1:
        raise LoftyConfigurationError("rows is a dict of lists that are not equally long; nothing was sent")
    columns = [_cells_in_pandas(values) if _is_of_pandas(values) else values for values in lists]
    return lambda: _paired(item, zip(*columns, strict=True))


def _is_of_pandas(values: object) -> bool:
    """Whether this is a Series, or an array as pandas keeps one."""
    return hasattr(values, "dtype") and hasattr(values, "to_numpy")


def is_column(value: object) -> TypeGuard[Sequence[object]]:
    """Whether this may be the values of a column: a list, or an array of one dimension."""
    return isinstance(value, (list, tuple)) or (hasattr(value, "__len__") and getattr(value, "ndim", None) == 1)
