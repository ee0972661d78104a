"""Rows from an upstream task: whatever shape they come in, each is one row with its values untouched."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections import namedtuple
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pydantic
import pytest
import sqlalchemy
from airflow.sdk import DAG, task
from pyarrow import compute
from support.practice import COLUMNS, collected, row, run, run_operator, task_instance

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.rows.upstream import read_rows
from airflow_provider_lofty.rows.values import HalfFloat, ShortFloat, plain

EXACT = 2**53 + 1  # a float cannot hold it


class Outputs(Sequence[Any]):
    """Stands for what a mapped upstream gives: a sequence that is no list, one item for each of its tasks."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


def lead_ids(rows: Any) -> list[Any]:
    return [cells["lead_id"] for cells in collected(read_rows, rows).dicts]


def generated() -> Iterator[dict[str, Any]]:
    yield from (row(1), row(2))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row(1), row(2)], [1, 2]),
        (row(1), [1]),
        ((row(1), row(2)), [1, 2]),
        ([[row(1), row(2)], [row(3)]], [1, 2, 3]),
        ([(row(1),), [], row(2)], [1, 2]),
        ([], []),
        (pd.DataFrame([row(1), row(2)]), [1, 2]),
        ([pd.DataFrame([row(1)]), pd.DataFrame([row(2), row(3)])], [1, 2, 3]),
        ([[pd.DataFrame([row(1)])], [row(2)]], [1, 2]),
        (Outputs([row(1), row(2)], [row(3)]), [1, 2, 3]),
        (Outputs(pd.DataFrame([row(1)]), [row(2)], row(3)), [1, 2, 3]),
        (generated(), [1, 2]),
    ],
    ids=[
        "list", "one_dict", "tuple", "list_of_lists", "mixed", "empty", "frame", "list_of_frames",
        "lists_of_frames", "mapped_lists", "mapped_anything", "generator",
    ],
)  # fmt: skip
def test_rows_come_in_order_whatever_holds_them(rows: Any, expected: list[int]) -> None:
    assert lead_ids(rows) == expected


def test_row_numbers_count_through_all_outputs_of_a_mapped_upstream() -> None:
    found = collected(read_rows, Outputs([row(1)], pd.DataFrame([row(2)]), [row(3)]))
    assert [item.row_number for item in found.rows] == [1, 2, 3]
    assert found.names == ["rows"]


Pair = namedtuple("Pair", ["lead_id", "listing"])


@dataclasses.dataclass
class Home:
    price: int


@dataclasses.dataclass
class Visit:
    lead_id: int
    listing: Home


class HomeModel(pydantic.BaseModel):
    price: int


class VisitModel(pydantic.BaseModel):
    lead_id: int
    listing: HomeModel


class Keyed:
    """As BigQuery's Row: keys and values, but no Mapping, and no iteration."""

    def __init__(self, **cells: Any) -> None:
        self._cells = cells

    def keys(self) -> Any:
        return self._cells.keys()

    def values(self) -> tuple[Any, ...]:
        return tuple(self._cells.values())

    def __getitem__(self, key: Any) -> Any:
        return self._cells[key] if isinstance(key, str) else self.values()[key]


def sqlite_row() -> sqlite3.Row:
    with closing(sqlite3.connect(":memory:")) as database:
        database.row_factory = sqlite3.Row
        found: sqlite3.Row = database.execute("SELECT 1 AS lead_id, 5 AS listing").fetchone()
        return found


def sqlalchemy_row() -> Any:
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.text("SELECT 1 AS lead_id, 5 AS listing")).fetchone()
    engine.dispose()
    return found


HOME = {"price": 5}
NAMED = [
    Pair(1, HOME), Visit(1, Home(5)), VisitModel(lead_id=1, listing=HomeModel(price=5)), Keyed(lead_id=1, listing=HOME),
    sqlite_row(), sqlalchemy_row(),
]  # fmt: skip


@pytest.mark.parametrize("item", NAMED, ids=lambda item: type(item).__module__ + type(item).__name__)
@pytest.mark.parametrize("wrap", [lambda item: item, lambda item: [item], lambda item: Outputs([item], [])])
def test_a_row_with_names_is_a_row(item: Any, wrap: Any) -> None:
    (found,) = collected(read_rows, wrap(item)).dicts
    assert found["lead_id"] == 1
    assert found["listing"] in (5, HOME)


def test_a_row_with_the_same_name_twice_keeps_both_for_whoever_maps_them() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.row_factory = sqlite3.Row
        found = collected(read_rows, database.execute("SELECT 1 AS lead_id, 2 AS lead_id").fetchall()).rows[0]
    assert (found.columns, found.cells) == (("lead_id", "lead_id"), (1, 2))


@pytest.mark.parametrize(
    "frame",
    [
        pa.table({"lead_id": [EXACT, 2]}),
        pa.record_batch({"lead_id": [EXACT, 2]}),
        [pa.table({"lead_id": [EXACT]}), pa.table({"lead_id": [2]})],
        {"lead_id": [EXACT, 2]},
        [{"lead_id": [EXACT]}, {"lead_id": (2,)}],
        {"lead_id": np.array([EXACT, 2])},
        {"lead_id": pd.Series([EXACT, 2])},
        np.array([(EXACT, 0.5), (2, 0.5)], dtype=[("lead_id", "i8"), ("size", "f4")]),
    ],
    ids=["arrow", "batch", "arrows", "lists", "mapped_lists", "arrays", "series", "structured_array"],
)
def test_columns_are_rows(frame: Any) -> None:
    assert lead_ids(frame) == [EXACT, 2]


def test_a_frame_is_known_by_what_it_can_do() -> None:
    class DataFrame:
        """As polars has it."""

        columns = ("lead_id", "size")
        dtypes = ("Int64", "Float32")

        def iter_rows(self) -> Iterator[tuple[Any, ...]]:
            yield from ((1, float(np.float32(0.1))), (2, None))

    assert [tuple(cells.values()) for cells in collected(read_rows, DataFrame()).dicts] == [(1, 0.1), (2, None)]


TUPLES = [tuple(row(n).values()) for n in (1, 2)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (TUPLES, [1, 2]),
        (tuple(TUPLES), [1, 2]),
        (list(map(list, TUPLES)), [1, 2]),
        (TUPLES[0], [1]),
        (list(TUPLES[0]), [1]),
        ([TUPLES, TUPLES], [1, 2, 1, 2]),
        (Outputs([TUPLES], [TUPLES[:1], []]), [1, 2, 1]),
        (iter(TUPLES), [1, 2]),
    ],
)
def test_columns_names_the_cells_of_lists_and_tuples(rows: Any, expected: list[int]) -> None:
    found = collected(read_rows, rows, columns=COLUMNS)
    assert [cells["lead_id"] for cells in found.dicts] == expected
    assert not found.problems


OF_OBJECTS = np.array(TUPLES, dtype=object)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (OF_OBJECTS, [1, 2]),
        (OF_OBJECTS[0], [1]),
        (list(OF_OBJECTS), [1, 2]),
        (Outputs(OF_OBJECTS, [], OF_OBJECTS[:1]), [1, 2, 1]),
        (np.stack([OF_OBJECTS, OF_OBJECTS]), [1, 2, 1, 2]),
        (OF_OBJECTS[:0], []),
        (np.array(TUPLES), ["1", "2"]),
    ],
    ids=["rows", "one_row", "list_of_rows", "mapped", "three_dimensions", "none", "texts"],
)
def test_so_are_those_of_plain_arrays(rows: Any, expected: list[object]) -> None:
    found = collected(read_rows, rows, columns=COLUMNS)
    assert [cells["lead_id"] for cells in found.dicts] == expected
    assert not found.problems


def test_an_array_of_rows_with_names_needs_no_columns() -> None:
    rows = np.empty(2, dtype=object)
    rows[:] = [row(1), row(2)]
    assert lead_ids(rows) == lead_ids([rows]) == [1, 2]


def test_cells_of_arrays_are_no_more_exact_than_they_were(lofty: Any, connect: Any) -> None:
    connect(lofty)
    others = {"type": "Browse", "text": "t", "link": "l", "picture": "", "created": "2026-03-01"}
    for cells, counts in (
        (np.array([[EXACT, 0.5]]), {"invalid": 1}),  # as 64-bit floats
        (np.array([[20_000_001, 0.5]], dtype="float32"), {"invalid": 1}),
        (np.array([[4711, 0.5], [np.nan, 0.5]]), {"delivered": 1, "invalid": 1}),
        (np.array([[EXACT, 2]]), {"delivered": 1}),
        (np.ma.array([[4712, 2]], mask=[[True, False]]), {"invalid": 1}),  # whose mask would be lost
    ):
        ended = run(rows=cells, columns=["lead_id", "listing.lotSize"], defaults=others, max_failed_rows="100%")
        assert ended.counts == counts, cells
    assert sorted(activity.lead_id for activity in lofty.activities) == [4711, EXACT]


def test_a_cell_may_be_an_object() -> None:
    (found,) = collected(read_rows, [(1, HOME)], columns=("lead_id", "listing")).dicts
    assert found == {"lead_id": 1, "listing": HOME}


def test_a_row_with_another_number_of_cells_is_one_bad_row() -> None:
    found = collected(read_rows, [TUPLES[0], TUPLES[1][:5]], columns=COLUMNS)
    assert found.problems == [(2, "has 5 cells where columns names 6")]


@pytest.mark.parametrize(
    "rows",
    [TUPLES, TUPLES[0], list(TUPLES[0]), [TUPLES, TUPLES], Outputs(TUPLES), OF_OBJECTS, OF_OBJECTS[0], [(1, HOME)], (1, "Browse", row(1)),
     [row(1), (1, "Browse")], [[row(1), None]], [[1]]],
)  # fmt: skip
def test_cells_without_names_are_one_error_that_says_what_to_do(rows: Any) -> None:
    with pytest.raises(LoftyConfigurationError, match=r"columns=.*sql=.*nothing was sent"):
        collected(read_rows, rows)


@pytest.mark.parametrize("rows", [[row(1)], row(1), pd.DataFrame([row(1)]), [Pair(1, HOME)], {"lead_id": [1, 2]}])
def test_columns_for_rows_that_have_names_is_refused(rows: Any) -> None:
    with pytest.raises(LoftyConfigurationError, match="names of their own"):
        collected(read_rows, rows, columns=COLUMNS)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (pd.DataFrame([row(1), row(2)]).to_dict(), r"to_dict\('records'\)"),
        ({"data": [row(1)], "total": 1}, "under 'data'; pass that list"),
        ({"total": 1, "items": [{"leadId": 1}]}, "under 'items'"),
        ({"lead_id": [1, 2], "type": ["Browse"]}, "not equally long"),
    ],
)
def test_a_dict_that_holds_rows_is_refused_and_the_way_to_them_named(rows: Any, said: str) -> None:
    with pytest.raises(LoftyConfigurationError, match=said):
        collected(read_rows, rows)


def test_the_rows_of_iterrows_say_what_to_pass() -> None:
    found = collected(read_rows, [each for _, each in pd.DataFrame([row(1), row(2)]).iterrows()])
    assert len(found.problems) == 2
    assert "pass the DataFrame itself" in found.problems[0][1]


def test_one_dict_with_lists_in_it_is_one_row() -> None:
    assert lead_ids({"lead_id": 1, "tags": [{"text": "a"}], "homes": [1, 2]}) == [1]


def test_lists_within_lists_have_an_end() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert [problem for _, problem in collected(read_rows, endless).problems] == [
        "is a list, not an object of columns and values"
    ]


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_column_of_32_bit_floats_is_no_more_exact_than_it_was(
    lofty: Any, connect: Any, tmp_path: Path, ending: str
) -> None:
    connect(lofty)
    frame = pd.DataFrame([row(2**24 + 2), row(3)]).astype({"lead_id": "float32"})
    frame["listing.lotSize"] = np.array([0.1, 0.1], dtype="float32")
    report = str(tmp_path / f"r{ending}")
    ended = run(rows=frame, report_path=report)
    assert ended.counts == {"invalid": 1, "delivered": 1}
    assert run(path=report).counts == {"invalid": 1, "already_delivered": 1}
    assert [(a.lead_id, a.body["listing"]) for a in lofty.activities] == [(3, {"lotSize": 0.1})]


def test_floats_of_32_bits_in_an_arrow_table_are_what_they_were_written_as() -> None:
    table = pa.table({"a": pa.array([0.1, None, 2**24], pa.float32()), "b": pa.array([0.1, 1.0, 2.0], pa.float64())})
    assert [tuple(cells.values()) for cells in collected(read_rows, table).dicts] == [
        (0.1, 0.1), (None, 1.0), (2.0**24, 2.0),
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "Float32", "float[pyarrow]"])
def test_floats_of_32_bits_in_a_frame_keep_what_is_known_of_them(dtype: str) -> None:
    frame = pd.DataFrame({"a": [0.1, 2**24 + 2]}).astype({"a": dtype})
    assert {type(plain(cells["a"])) for cells in collected(read_rows, frame).dicts} == {ShortFloat}


@pytest.mark.parametrize("halves", [
    lambda floats: pa.table({"a": pa.array(floats, pa.float16())}),
    lambda floats: pd.DataFrame({"a": floats}),
    lambda floats: [{"a": each} for each in floats],
])  # fmt: skip
def test_floats_of_16_bits_keep_what_is_known_of_them(halves: Any) -> None:
    cells = collected(read_rows, halves(np.array([0.1, 4711], dtype="float16"))).dicts
    found = [plain(each["a"]) for each in cells]
    assert found == [0.1, 4710.0]
    assert {type(each) for each in found} == {HalfFloat}


def table_of(value: Any, kind: pa.DataType) -> pa.Table:
    return pa.table({"a": pa.array([value, None], kind)})


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (pa.struct([("x", pa.float32()), ("y", pa.float64())]), {"x": 0.1, "y": 0.1}, {"x": 0.1, "y": 0.1}),
        (pa.struct([("x", pa.struct([("y", pa.float32())]))]), {"x": {"y": 0.1}}, {"x": {"y": 0.1}}),
        (pa.list_(pa.float32()), [0.1, None], [0.1, None]),
        (pa.large_list(pa.float16()), [0.1], [0.1]),
        (pa.list_(pa.float32(), 1), [0.1], [0.1]),
        (pa.map_(pa.string(), pa.float32()), [("x", 0.1)], [("x", 0.1)]),
        (pa.map_(pa.float32(), pa.string()), [(0.1, "x")], [(0.1, "x")]),
        (pa.list_(pa.struct([("x", pa.float32())])), [{"x": 0.1}], [{"x": 0.1}]),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_pandas", [False, True], ids=["arrow", "pandas"])
def test_short_floats_inside_arrow_values_are_what_they_were_written_as(
    kind: pa.DataType, value: Any, expected: Any, *, is_pandas: bool
) -> None:
    if kind == pa.large_list(pa.float16()):
        value = list(np.array(value, dtype="float16"))
    table = table_of(value, kind)
    rows = table.to_pandas(types_mapper=pd.ArrowDtype) if is_pandas else table
    found = [cells["a"] for cells in collected(read_rows, rows).dicts]
    assert found[0] == expected
    assert found[1] is None or found[1] is pd.NA


@pytest.mark.parametrize("encoded", [
    lambda column: column.dictionary_encode(),
    compute.run_end_encode,
])  # fmt: skip
def test_short_floats_of_an_encoded_arrow_column_keep_what_is_known_of_them(encoded: Any) -> None:
    column = encoded(pa.array([0.1, 2.0**24 + 2, 0.1], pa.float32()))
    found = [cells["a"] for cells in collected(read_rows, pa.table({"a": column})).dicts]
    assert (found, {type(each) for each in found}) == ([0.1, 2**24 + 2, 0.1], {ShortFloat})


def test_a_short_float_beside_a_value_that_python_cannot_hold_is_marked_too() -> None:
    kind = pa.struct([("x", pa.float32()), ("at", pa.timestamp("us"))])
    table = table_of({"x": 0.1, "at": 2**60}, kind)
    both = pa.concat_tables([table, table_of({"x": 0.1, "at": 0}, kind)])
    found = [cells["a"] for cells in collected(read_rows, both.combine_chunks()).dicts]
    assert (str(found[0]), found[2]["x"]) == ("unreadable", 0.1)


@pytest.mark.parametrize("dtype", ["float32", "Float32", "float[pyarrow]"])
def test_short_floats_of_a_categorical_column_keep_what_is_known_of_them(dtype: str) -> None:
    frame = pd.DataFrame({"a": pd.Categorical(pd.array([0.1, 2**24 + 2, None, 0.1], dtype=dtype))})
    found = [plain(cells["a"]) for cells in collected(read_rows, frame).dicts]
    assert found[2] != found[2]
    del found[2]
    assert (found, {type(each) for each in found}) == ([0.1, 2**24 + 2, 0.1], {ShortFloat})


HOSTILE = "{{ conn.lofty_default.password }}{{ nothing.here }}"


@pytest.mark.parametrize(
    "rows", [[row(1, text=HOSTILE)], [[(1, HOSTILE)]], {"text": "leads.sql"}, pd.DataFrame([row(1)])]
)
def test_text_of_a_row_is_never_a_template(rows: Any) -> None:
    operator = LoftyAddActivityOperator(task_id="t", rows=rows)
    operator.render_template_fields({})  # type: ignore[typeddict-item]
    kept = operator._rendered_rows() if operator._rendered_rows else None
    assert kept is rows or kept == rows


def test_references_to_other_tasks_are_followed_wherever_they_stand() -> None:
    with DAG("d", schedule=None):

        @task
        def extract() -> list[dict[str, Any]]:
            return []

        given = extract()
        operator = LoftyAddActivityOperator(task_id="t", rows=[given, {"lead_id": 1, "text": HOSTILE}])
    ti = task_instance()
    ti.xcom_pull = lambda **asked: [row(7, text=HOSTILE)]
    ti.get_relevant_upstream_map_indexes = lambda **asked: None
    operator.render_template_fields({"ti": ti})  # type: ignore[typeddict-item]
    kept: Any = operator._rendered_rows() if operator._rendered_rows else None
    assert kept == [[row(7, text=HOSTILE)], {"lead_id": 1, "text": HOSTILE}]


def test_rows_that_are_one_text_are_a_template() -> None:
    operator = LoftyAddActivityOperator(task_id="t", rows="{{ 1 + 1 }}")
    operator.render_template_fields({})  # type: ignore[typeddict-item]
    assert operator._rendered_rows is not None
    assert operator._rendered_rows() == "2"


def test_a_skipped_upstream_is_called_skipped() -> None:
    with DAG("d", schedule=None):

        @task
        def extract() -> None: ...

        operator = LoftyAddActivityOperator(task_id="t")
        extract() >> operator
    for states, said in (({"extract": "skipped"}, "'extract' was skipped"), ({"extract": "success"}, "returned None")):
        ti = task_instance()
        ti.get_task_states = lambda states=states, **asked: {ti.run_id: states}  # noqa: B023
        assert said in str(run_operator(operator, ti).error)


@pytest.mark.parametrize("rows", [json.dumps([row(1)]), "[{'lead_id': 1}]", "{{ ti.xcom_pull('extract') }}", b"[]"])
def test_text_is_refused_and_the_fix_is_named(rows: Any) -> None:
    with pytest.raises(LoftyConfigurationError) as raised:
        collected(read_rows, rows)
    assert "json.loads" in str(raised.value)
    assert "extract.output" in str(raised.value)
    assert "render_template_as_native_obj" in str(raised.value)


@pytest.mark.parametrize("rows", [5, 1.5, object()])
def test_anything_but_a_collection_is_refused(rows: Any) -> None:
    with pytest.raises(LoftyConfigurationError, match="a list of dicts or a DataFrame"):
        collected(read_rows, rows)


@pytest.mark.parametrize(
    ("item", "kind"),
    [(None, "NoneType"), ("lead", "text"), (7, "a whole number"), (pd.Series([1]), "Series"), ({1}, "a list")],
)
def test_an_odd_item_is_one_bad_row_among_good_ones(item: Any, kind: str) -> None:
    found = collected(read_rows, [row(1), item, row(2)])
    assert [bad.row_number for bad in found.rows if bad.problem] == [2]
    assert kind in str(found.rows[1].problem)


def test_column_names_that_are_not_text_become_text() -> None:
    assert collected(read_rows, [{1: "a", None: "b"}]).rows[0].columns == ("1", "None")


def test_an_int_column_stays_exact() -> None:
    assert lead_ids(pd.DataFrame({"lead_id": [EXACT, 2]})) == [EXACT, 2]


def test_a_nullable_int_column_with_a_gap_stays_exact() -> None:
    frame = pd.DataFrame({"lead_id": pd.array([EXACT, None, 3], dtype="Int64")})
    assert lead_ids(frame)[0] == EXACT
    assert lead_ids(frame)[2] == 3


def test_a_named_index_is_a_column() -> None:
    assert lead_ids(pd.DataFrame([row(1), row(2)]).set_index("lead_id")) == [1, 2]


def test_a_named_index_that_repeats_a_column_is_left_out() -> None:
    found = collected(read_rows, pd.DataFrame([row(1), row(2)]).set_index("lead_id", drop=False))
    assert found.rows[0].columns.count("lead_id") == 1
    assert [cells["lead_id"] for cells in found.dicts] == [1, 2]


def test_a_multi_index_gives_its_named_levels() -> None:
    frame = pd.DataFrame([row(1), row(2)]).set_index(["lead_id", "type"])
    assert [(cells["lead_id"], cells["type"]) for cells in collected(read_rows, frame).dicts] == [
        (1, "Browse"),
        (2, "Browse"),
    ]


def test_an_index_without_a_name_is_not_a_column() -> None:
    assert collected(read_rows, pd.DataFrame({"lead_id": [1]})).rows[0].columns == ("lead_id",)


def test_a_frame_with_a_column_twice_is_refused_instead_of_choosing_one() -> None:
    frame = pd.DataFrame([[1, "first", "second"]], columns=["lead_id", "text", "text"])
    with pytest.raises(LoftyConfigurationError, match="'text' twice"):
        collected(read_rows, frame)


def test_a_float_id_that_lost_its_last_digits_is_refused(lofty: Any, connect: Any) -> None:
    connect(lofty)
    frame = pd.DataFrame([row(EXACT), row(None), row(3)])  # the gap turns the column into floats
    assert frame["lead_id"].dtype == "float64"
    ended = run(rows=frame)
    assert ended.counts == {"invalid": 2, "delivered": 1}
    assert {group["error_field"] for group in ended.summary["errors"]} == {"leadId"}
    assert [activity.lead_id for activity in lofty.activities] == [3]


def test_every_way_of_having_no_value_is_no_value(lofty: Any, connect: Any) -> None:
    connect(lofty)
    missing = [None, float("nan"), pd.NaT, pd.NA]
    rows = [row(n, page_name=value, scheduled_date=value) for n, value in enumerate(missing, 1)]
    rows += pd.DataFrame([row(9, page_name=float("nan"), scheduled_date=pd.NaT)]).to_dict("records")
    assert run(rows=rows).counts == {"delivered": 5}
    assert all(not {"pageName", "scheduledDate"} & activity.body.keys() for activity in lofty.activities)


def test_a_frame_of_every_kind_of_column_arrives_exactly(lofty: Any, connect: Any) -> None:
    connect(lofty)
    frame = pd.DataFrame(
        {
            "lead_id": pd.array([EXACT], dtype="Int64"),
            "type": pd.Categorical(["browse"]),
            "text": pd.array(["Zoë 🏡"], dtype="string"),
            "link": ["https://homes.example.com"],
            "picture": [""],
            "created": pd.to_datetime(["2026-03-01T10:00:00.123+02:00"]),
            "listing.price": pd.array([450_000], dtype="int32"),
            "listing.bathrooms": pd.array([2.5], dtype="float32"),
            "listing.mailAddress": pd.array([True], dtype="boolean"),
        }
    )
    assert run(rows=frame).counts == {"delivered": 1}
    (arrived,) = lofty.activities
    assert arrived.lead_id == EXACT
    assert arrived.body == {
        "type": "Browse",
        "text": "Zoë 🏡",
        "link": "https://homes.example.com",
        "picture": "",
        "created": 1_772_352_000_123,
        "listing": {"price": 450_000, "bathrooms": 2.5, "mailAddress": True},
    }


@pytest.mark.parametrize("far", ["20000-01-01", "-0100-01-01"])
class TestDatesOfAFrameThatPythonCannotHold:
    """A frame of seconds holds years that Python's own dates do not."""

    @staticmethod
    def frame(column: str, far: str) -> pd.DataFrame:
        frame = pd.DataFrame([row(1), row(2)])
        frame[column] = np.array(["2026-03-01", far], "datetime64[s]")
        return frame

    @pytest.mark.parametrize("column", ["created", "scheduled_date"])
    def test_one_makes_its_row_invalid_and_no_other(
        self, lofty: Any, connect: Any, tmp_path: Path, column: str, far: str
    ) -> None:
        connect(lofty)
        ended = run(rows=self.frame(column, far), report_path=str(tmp_path / "report.csv"))
        assert ended.counts == {"delivered": 1, "invalid": 1}
        assert ended.summary["errors"][0]["error_field"] == {"scheduled_date": "scheduledDate"}.get(column, column)
        assert far.strip("-0").partition("-")[0] in (tmp_path / "report.csv").read_text(encoding="utf-8")

    def test_one_that_nobody_uses_does_no_harm(self, lofty: Any, connect: Any, tmp_path: Path, far: str) -> None:
        connect(lofty)
        ended = run(rows=self.frame("unused", far), report_path=str(tmp_path / "report.csv"))
        assert ended.counts == {"delivered": 2}
