"""Short floats keep what is known of them inside lists, objects and maps, whoever has the types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support.practice import collected

from airflow_provider_lofty.rows.short_floats import mark_of_duckdb, mark_of_polars
from airflow_provider_lofty.rows.upstream import read_rows
from airflow_provider_lofty.rows.values import HalfFloat, ShortFloat, plain

TENTH = float(np.float32(0.1))  # as Python has it


def shape(value: Any) -> Any:
    """Give a value with each float as what it is: of so many bits, and so written."""
    if isinstance(value, float):
        return type(value), float(value)
    if isinstance(value, dict):
        return {shape(key): shape(held) for key, held in value.items()}
    return type(value)(map(shape, value)) if isinstance(value, (list, tuple)) else value


SHORT = (ShortFloat, 0.1)


@dataclass
class Duck:
    """A type as DuckDB describes it: one that is not nested has no children, and raises."""

    id: str
    inner: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def children(self) -> list[tuple[str, Any]]:
        if not self.inner:
            raise TypeError
        return self.inner


FLOAT, DOUBLE, TEXT = Duck("float"), Duck("double"), Duck("varchar")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (FLOAT, TENTH, SHORT),
        (FLOAT, None, None),
        (Duck("struct", [("a", FLOAT), ("b", DOUBLE)]), {"a": TENTH, "b": 0.5}, {"a": SHORT, "b": (float, 0.5)}),
        (Duck("struct", [("a", Duck("list", [("child", FLOAT)]))]), {"a": [TENTH, None]}, {"a": [SHORT, None]}),
        (Duck("struct", [("a", FLOAT)]), None, None),
        (Duck("array", [("child", FLOAT), ("size", 2)]), (TENTH, TENTH), (SHORT, SHORT)),
        (Duck("map", [("key", TEXT), ("value", FLOAT)]), {"a": TENTH}, {"a": SHORT}),
        (Duck("map", [("key", FLOAT), ("value", TEXT)]), {TENTH: "a"}, {SHORT: "a"}),
        (Duck("map", [("key", FLOAT), ("value", TEXT)]), None, None),
        (Duck("tuple", [("", DOUBLE), ("", FLOAT)]), (0.5, TENTH), ((float, 0.5), SHORT)),
        (Duck("union", [("", Duck("utinyint")), ("a", FLOAT), ("b", FLOAT), ("c", TEXT)]), TENTH, SHORT),
    ],
)
def test_duckdbs(kind: Any, value: Any, expected: Any) -> None:
    mark = mark_of_duckdb(kind)
    assert mark is not None
    assert shape(mark(value)) == expected


@pytest.mark.parametrize(
    "kind",
    [
        DOUBLE,
        Duck("decimal", [("precision", 5), ("scale", 2)]),
        Duck("enum", [("values", ["a"])]),
        Duck("struct", [("a", DOUBLE)]),
        Duck("list", [("child", DOUBLE)]),
        Duck("map", [("key", TEXT), ("value", DOUBLE)]),
        Duck("union", [("a", DOUBLE)]),
    ],
)
def test_duckdbs_types_without_them_need_no_second_look(kind: Any) -> None:
    assert mark_of_duckdb(kind) is None


@dataclass
class Polar:
    """A type as Polars describes it."""

    name: str
    fields: list[Any] | None = None
    inner: Any = None

    def __str__(self) -> str:
        return self.name


@dataclass
class PolarField:
    name: str
    dtype: Polar


P32, P64 = Polar("Float32"), Polar("Float64")
STRUCT = Polar("Struct", fields=[PolarField("a", P32), PolarField("b", P64)])


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        (P32, TENTH, SHORT),
        (Polar("Float16"), float(np.float16(0.1)), (HalfFloat, 0.1)),
        (STRUCT, {"a": TENTH, "b": 0.5}, {"a": SHORT, "b": (float, 0.5)}),
        (STRUCT, None, None),
        (Polar("List", inner=STRUCT), [{"a": TENTH, "b": None}], [{"a": SHORT, "b": None}]),
        (Polar("Array", inner=Polar("Array", inner=P32)), [[TENTH]], [[SHORT]]),
    ],
)
def test_those_of_polars(dtype: Any, value: Any, expected: Any) -> None:
    mark = mark_of_polars(dtype)
    assert mark is not None
    assert shape(mark(value)) == expected


@pytest.mark.parametrize("dtype", [P64, Polar("List", inner=P64), Polar("Struct", fields=[PolarField("a", P64)])])
def test_types_of_polars_without_them_need_no_second_look(dtype: Any) -> None:
    assert mark_of_polars(dtype) is None


def test_a_frame_of_polars_marks_them_inside_its_objects() -> None:
    class DataFrame:
        columns = ("n", "listing")
        dtypes = (Polar("Int64"), STRUCT)

        def iter_rows(self) -> Any:
            yield from ((1, {"a": TENTH, "b": 0.5}), (2, None))

    found = [tuple(cells.values()) for cells in collected(read_rows, DataFrame()).dicts]
    assert [shape(cells) for cells in found] == [(1, {"a": SHORT, "b": (float, 0.5)}), (2, None)]


@pytest.mark.parametrize("dtype", ["float32", "Float32", "float[pyarrow]", "category"])
@pytest.mark.parametrize("as_array", [False, True], ids=["series", "array"])
def test_a_dict_of_columns_of_pandas_keeps_them(dtype: str, *, as_array: bool) -> None:
    series = pd.Series(np.array([0.1, 2**24 + 2], dtype="float32")).astype(dtype)
    columns = {"n": [1, 2], "a": series.array if as_array else series}
    found = [plain(cells["a"]) for cells in collected(read_rows, columns).dicts]
    assert shape(found) == [SHORT, (ShortFloat, 2.0**24 + 2)]


def test_a_dict_of_columns_of_pandas_keeps_them_inside_objects() -> None:
    kind = pd.ArrowDtype(pa.struct([("x", pa.float32())]))
    columns = {"n": [1], "a": pd.Series([{"x": 0.1}], dtype=kind)}
    (cells,) = collected(read_rows, columns).dicts
    assert shape(cells["a"]) == {"x": SHORT}
