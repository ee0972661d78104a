"""Rows from an upstream task: dicts, lists of them, DataFrames, or a mapped upstream's outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeGuard

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.source import Source, SourceRow, Take
from airflow_provider_lofty.rows.values import kind_of

_AS_TEXT = (
    "rows came as text. A template such as rows=\"{{ ti.xcom_pull('extract') }}\" renders to text: pass "
    "rows=extract.output (or the called @task function), or set render_template_as_native_obj=True on the Dag"
)


class _Index(Protocol):
    names: Sequence[object]


class _Frame(Protocol):
    """What is used of a pandas DataFrame."""

    columns: Sequence[object]
    index: _Index

    def reset_index(self, level: Sequence[object]) -> _Frame: ...

    def itertuples(self, *, index: bool, name: None) -> Iterable[tuple[object, ...]]: ...


def read_rows(rows: object, take: Take) -> None:
    """
    Read the output of an upstream task.

    :param rows: list of dicts, DataFrame, one dict (one row), or any sequence of lists and DataFrames as a mapped
        upstream gives it, which is flattened by one level
    :raises LoftyConfigurationError: when it is text, or not a collection of rows
    """
    if isinstance(rows, (str, bytes)):
        raise LoftyConfigurationError(_AS_TEXT)
    if isinstance(rows, Mapping) or _is_frame(rows):
        rows = [rows]
    if not isinstance(rows, Iterable):
        raise LoftyConfigurationError(f"rows must be a list of dicts or a DataFrame, got {kind_of(rows)}")
    numbered = enumerate(_flattened(rows), start=1)
    take(Source("rows", None, (_source_row(number, item) for number, item in numbered)))


def _is_frame(value: object) -> TypeGuard[_Frame]:
    """Recognise a DataFrame without importing pandas, which only its owner needs."""
    return type(value).__name__ == "DataFrame" and hasattr(value, "itertuples")


def _flattened(items: Iterable[object]) -> Iterator[object]:
    for item in items:
        if _is_frame(item):
            yield from _frame_rows(item)
        elif isinstance(item, (list, tuple)):
            for inner in item:
                yield from _frame_rows(inner) if _is_frame(inner) else (inner,)
        else:
            yield item


def _frame_rows(frame: _Frame) -> Iterator[dict[str, object]]:
    """
    Give a DataFrame's rows with its values as they are.

    Nothing is converted: a float column that once held ids must still look like one, so that an id that lost its
    last digits is refused instead of sent.
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


def _source_row(number: int, item: object) -> SourceRow:
    if isinstance(item, Mapping):
        return SourceRow(number, tuple(map(str, item)), tuple(item.values()))
    return SourceRow(number, (), (), f"is {kind_of(item)}, not an object of columns and values")
