"""Rows from an upstream task: whatever shape they come in, each is one row with its values untouched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import pytest
from support.practice import collected, row, run

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.upstream import read_rows

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


@pytest.mark.parametrize("rows", ["[{'lead_id': 1}]", "{{ ti.xcom_pull('extract') }}", b"[]"])
def test_text_is_refused_and_the_fix_is_named(rows: Any) -> None:
    with pytest.raises(LoftyConfigurationError) as raised:
        collected(read_rows, rows)
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
