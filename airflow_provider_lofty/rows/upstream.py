"""Rows from an upstream task: dicts, lists of them, DataFrames, or a mapped upstream's outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.source import Source, SourceRow, Take
from airflow_provider_lofty.rows.values import kind_of

_AS_TEXT = (
    "rows came as text. A template such as rows=\"{{ ti.xcom_pull('extract') }}\" renders to text: pass "
    "rows=extract.output (or the called @task function), or set render_template_as_native_obj=True on the Dag"
)


def read_rows(rows: Any, take: Take) -> None:
    """
    Read the output of an upstream task.

    :param rows: list of dicts, DataFrame, one dict (one row), or any sequence of lists and DataFrames as a mapped
        upstream gives it, which is flattened by one level
    :raises LoftyConfigurationError: when it is text or no collection of rows
    """
    if isinstance(rows, (str, bytes)):
        raise LoftyConfigurationError(_AS_TEXT)
    if isinstance(rows, Mapping) or _is_frame(rows):
        rows = [rows]
    if not isinstance(rows, Iterable):
        raise LoftyConfigurationError(f"rows must be a list of dicts or a DataFrame, got {kind_of(rows)}")
    numbered = enumerate(_flattened(rows), start=1)
    take(Source("rows", None, (_source_row(number, item) for number, item in numbered)))


def _is_frame(value: Any) -> bool:
    """Recognise a DataFrame without importing pandas, which only its owner needs."""
    return type(value).__name__ == "DataFrame" and hasattr(value, "itertuples")


def _flattened(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        if _is_frame(item):
            yield from _frame_rows(item)
        elif isinstance(item, (list, tuple)):
            for inner in item:
                yield from _frame_rows(inner) if _is_frame(inner) else (inner,)
        else:
            yield item


def _frame_rows(frame: Any) -> Iterator[dict[str, Any]]:
    """
    Give a DataFrame's rows with its values as they are.

    No conversion comes in between: a float column that once held ids must still look like one, so that an id
    which lost its last digits is refused instead of sent.
    """
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    if named:
        frame = frame.reset_index(level=named)
    columns = [str(column) for column in frame.columns]
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise LoftyConfigurationError(f"the DataFrame has the column {twice!r} twice; nothing was sent")
    for cells in frame.itertuples(index=False, name=None):
        yield dict(zip(columns, cells, strict=True))


def _source_row(number: int, item: Any) -> SourceRow:
    if isinstance(item, Mapping):
        return SourceRow(number, tuple(map(str, item)), tuple(item.values()))
    return SourceRow(number, (), (), f"is {kind_of(item)}, not an object of columns and values")
