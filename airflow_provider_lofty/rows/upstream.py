"""Rows from an upstream task: rows with names, lists and frames of them, or a mapped upstream's outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.columns import FIELDS_BY_NAME, normalise
from airflow_provider_lofty.rows.named_rows import columns_of_lists, is_column, record_of, records_in_frame
from airflow_provider_lofty.rows.source import Source, SourceRow, Take
from airflow_provider_lofty.rows.values import kind_of

_DEEPEST = 4  # lists in lists: a mapped upstream's outputs, each with the results of several statements
_AS_TEXT = (
    "rows came as text. JSON has to be read first: json.loads(…). A template such as "
    "rows=\"{{ ti.xcom_pull('extract') }}\" renders to text: pass rows=extract.output (or the called @task function), "
    "or set render_template_as_native_obj=True on the Dag"
)
_NO_NAMES = (
    "rows has lists, tuples or plain arrays, whose cells have no column names. Name them with columns=['leadId', …], "
    "return dicts, or let this task read the database itself, with sql= and source_conn_id=; nothing was sent"
)
_HAS_NAMES = (
    "columns names the cells of lists, tuples and arrays, but rows has rows with names of their own; use mapping to "
    "say which of them fills which field; nothing was sent"
)

Columns = tuple[str, ...]
Item = tuple[Columns, Sequence[object], str | None]  # columns, cells, and what is wrong


def read_rows(rows: object, take: Take, columns: Columns | None = None) -> None:
    """
    Read the output of an upstream task.

    :param rows: rows with names (dicts, named tuples, rows of databases, dataclasses, models), DataFrames and Arrow
        tables, dicts of lists, one of these or any sequence of them; or lists, tuples and NumPy arrays, with
        ``columns``. What a mapped upstream gives may be any number of lists
    :param columns: the names of the cells of lists, tuples and arrays
    :raises LoftyConfigurationError: when it is text, when cells have no names, or when it is not a collection of rows
    """
    if isinstance(rows, (str, bytes)):
        raise LoftyConfigurationError(_AS_TEXT)
    if isinstance(rows, Mapping):
        _refuse_wrapped(rows)
    numbered = enumerate(_rows_in(rows, columns), start=1)
    take(Source("rows", None, (SourceRow(number, *item) for number, item in numbered)))


def _rows_in(rows: object, columns: Columns | None) -> Iterator[Item]:
    if _is_row(rows):
        return _rows_of(rows, columns)
    if not isinstance(rows, Iterable):
        raise LoftyConfigurationError(f"rows must be a list of dicts or a DataFrame, got {kind_of(rows)}")
    if _is_array(rows) and getattr(rows, "ndim", None) == 1:  # one with more gives its rows one by one
        rows = list(rows)
    return iter([_without_names(rows, columns)]) if _is_one_row(rows) else _each(rows, columns)


def _is_one_row(rows: object) -> TypeGuard[Sequence[object]]:
    """Whether these are the cells of one row; in a list of rows, an odd item is one bad row."""
    if isinstance(rows, tuple):
        return not all(map(_holds_rows, rows))
    first = next((item for item in rows if item is not None), None) if isinstance(rows, list) else None
    return first is not None and not _holds_rows(first) and not _is_series(first)


def _each(items: Iterable[object], columns: Columns | None) -> Iterator[Item]:
    keys: tuple[object, ...] = ()
    names: Columns = ()
    for item in items:
        if type(item) is dict and columns is None and not is_column(next(iter(item.values()), None)):
            # Nearly every row: no second look, and the names of the row before where they are the same.
            if tuple(item) != keys:
                keys = tuple(item)
                names = tuple(map(str, keys))
            yield names, tuple(item.values()), None
        else:
            yield from _rows_of(item, columns)


def _rows_of(item: object, columns: Columns | None, depth: int = 1) -> Iterator[Item]:
    if _is_array(item):
        item = list(item)  # and not tolist(), whose floats no longer tell how exact they were
    if isinstance(item, Mapping):
        yield from _rows_of_dict(item, columns)
    elif (frame := records_in_frame(item)) is not None:
        yield from _with_names(frame, columns)
    elif (record := record_of(item)) is not None:
        yield from _with_names([record], columns)
    elif _is_list(item) and not all(map(_holds_rows, item)):
        yield _without_names(item, columns)
    elif _is_list(item) and depth < _DEEPEST:
        for inner in item:
            yield from _rows_of(inner, columns, depth + 1)
    elif _is_series(item):
        yield (), (), "is a pandas Series, whose values may have changed their types; pass the DataFrame itself"
    else:
        yield (), (), f"is {kind_of(item)}, not an object of columns and values"


def _rows_of_dict(item: Mapping[Any, Any], columns: Columns | None) -> Iterator[Item]:
    is_frame = is_column(next(iter(item.values()), None))
    read = columns_of_lists(item) if is_frame else None
    yield from _with_names(read() if read else [(tuple(map(str, item)), tuple(item.values()))], columns)


def _with_names(records: Iterable[tuple[Columns, Sequence[object]]], columns: Columns | None) -> Iterator[Item]:
    if columns is not None:
        raise LoftyConfigurationError(_HAS_NAMES)
    return ((names, cells, None) for names, cells in records)


def _without_names(cells: Sequence[object], columns: Columns | None) -> Item:
    if columns is None:
        raise LoftyConfigurationError(_NO_NAMES)
    if len(cells) == len(columns):
        return columns, cells, None
    return (), (), f"has {len(cells)} cells where columns names {len(columns)}"


def _is_array(item: object) -> TypeGuard[Iterable[object]]:
    """Whether this is a plain array of NumPy, whose columns have no names and whose mask, if any, is not lost."""
    has_names = getattr(getattr(item, "dtype", None), "names", None)
    return type(item).__name__ == "ndarray" and not has_names and bool(getattr(item, "ndim", 0))


def _is_row(item: object) -> bool:
    return record_of(item) is not None or records_in_frame(item) is not None


def _is_list(item: object) -> TypeGuard[Sequence[object]]:
    return isinstance(item, Sequence) and not isinstance(item, (str, bytes, bytearray, memoryview))


def _is_series(item: object) -> bool:
    return type(item).__name__ == "Series"


def _holds_rows(item: object) -> bool:
    """Whether this can be rows, and so is no cell of one."""
    return isinstance(item, Mapping) or _is_list(item) or _is_row(item) or _is_array(item)


def _refuse_wrapped(rows: Mapping[Any, Any]) -> None:
    """
    Refuse a dict that is not a row but holds rows somewhere.

    :raises LoftyConfigurationError: saying how to get at them
    """
    if rows and all(isinstance(value, Mapping) for value in rows.values()):
        raise LoftyConfigurationError(
            "rows is a dict of dicts, as DataFrame.to_dict() makes it; pass a list of dicts, to_dict('records'), "
            "or the DataFrame itself; nothing was sent"
        )
    if any(map(_is_field, rows)):
        return
    for name, value in rows.items():
        if _is_list(value) and value and isinstance(value[0], Mapping) and any(map(_is_field, value[0])):
            raise LoftyConfigurationError(
                f"rows is a dict that holds a list of dicts under {str(name)[:60]!r}; pass that list; nothing was sent"
            )


def _is_field(name: object) -> bool:
    return normalise(str(name)) in FIELDS_BY_NAME
