"""What a Dag author wants of rows is checked before any row is read."""

from __future__ import annotations

import gc
import json
import weakref
from typing import Any

import pytest
from support.activities import ROW, body_of, mapping, refusal

from airflow_provider_lofty.rows.builder import InvalidRow
from airflow_provider_lofty.rows.columns import MappingError
from airflow_provider_lofty.rows.file_options import FileOptions


class TestMapping:
    def test_it_lies_over_matching_by_name(self) -> None:
        row = {**ROW, "text": "by name", "NOTE": "mapped"}
        assert body_of(row, mapping={"text": "NOTE"})["text"] == "mapped"

    def test_a_mapped_column_may_differ_in_case(self) -> None:
        assert body_of({**ROW, "NOTE": "mapped"}, mapping={"text": "note"})["text"] == "mapped"

    def test_a_callable_gets_the_row_as_a_dict(self) -> None:
        seen: list[Any] = []

        def kind(row: dict[str, Any]) -> str:
            seen.append(row)
            return "Request"

        assert body_of({**ROW, "x": 1}, mapping={"type": kind})["type"] == "Request"
        assert seen == [{**ROW, "x": 1}]

    @pytest.mark.parametrize(
        "raised", [ValueError("Ada Example"), KeyError("Ada Example"), RecursionError("Ada Example")]
    )
    def test_a_callable_that_raises_makes_the_row_invalid_and_is_not_quoted(self, raised: Exception) -> None:
        def broken(row: dict[str, Any]) -> str:
            raise raised

        error = refusal(ROW, mapping={"text": broken})
        assert error.fields == "text"
        assert str(error) == f"text could not be computed: its mapping callable raised {type(raised).__name__}"

    def test_a_column_that_a_callable_misspells_is_named_with_the_closest(self) -> None:
        error = refusal({**ROW, "NOTE": "hi"}, mapping={"text": lambda row: row["NOTES"]})
        assert str(error) == (
            "text could not be computed: its mapping callable reads the column 'NOTES', which the source lacks; "
            "the closest name is 'NOTE'"
        )

    def test_a_column_that_is_named_by_a_value_is_not_quoted(self) -> None:
        error = refusal({**ROW, "NOTE": "Ada Example"}, mapping={"text": lambda row: row[row["NOTE"]]})
        assert "Ada" not in str(error)

    def test_a_callable_may_catch_that_a_column_is_not_there(self) -> None:
        def either(row: dict[str, Any]) -> Any:
            try:
                return row["NOTES"]
            except KeyError:
                return row.get("NOTE", "none")

        assert body_of(ROW, mapping={"text": either})["text"] == "none"

    @pytest.mark.parametrize("read", [lambda row: row["NOTE"], lambda row: row.get("NOTE")])
    def test_a_column_that_is_there_twice_is_not_read(self, read: Any) -> None:
        columns = (*ROW, "NOTE", "NOTE", "HOME")
        builder = mapping(mapping={"text": read}).builder(columns, table=True)
        with pytest.raises(InvalidRow, match="'NOTE', which the source has twice"):
            builder.build([*ROW.values(), "one", "two", "7"])

    def test_a_column_that_such_a_source_lacks_is_named_with_the_closest(self) -> None:
        columns = (*ROW, "NOTE", "NOTE", "HOME")
        builder = mapping(mapping={"text": lambda row: row["HOMES"]}).builder(columns, table=True)
        with pytest.raises(InvalidRow, match="'HOMES', which the source lacks; the closest name is 'HOME'"):
            builder.build([*ROW.values(), "one", "two", "7"])

    def test_the_other_columns_of_such_a_source_are_read(self) -> None:
        columns = (*ROW, "NOTE", "NOTE", "HOME")
        builder = mapping(mapping={"text": lambda row: f"{row['HOME']} {row.get('x')}"}).builder(columns, table=True)
        assert b'"text":"7 None"' in builder.build([*ROW.values(), "one", "two", "7"]).body

    @pytest.mark.parametrize(
        ("cell", "options"),
        [
            ("\\N", FileOptions()),
            (" \\N", FileOptions()),
            ("-", FileOptions(null_values=("-",))),
            ("- ", FileOptions(null_values=("-",))),
            ("\\N", FileOptions(null_values=("-",))),
        ],
    )
    def test_what_stands_for_no_value_is_none(self, cell: str, options: FileOptions) -> None:
        kept: list[Any] = []
        row = {**ROW, "NOTE": cell, "HOME": "7"}
        body_of(row, mapping={"text": lambda row: kept.append((row["NOTE"], row["HOME"])) or "x"}, options=options)
        assert kept == [(None, "7")]

    @pytest.mark.parametrize(
        ("cell", "options"),
        [("NULL", FileOptions()), ("-", FileOptions()), ("\\N", FileOptions(null_values=())), (" ", FileOptions())],
    )
    def test_other_text_reaches_a_callable_as_it_is(self, cell: str, options: FileOptions) -> None:
        kept: list[Any] = []
        body_of({**ROW, "NOTE": cell}, mapping={"text": lambda row: kept.append(row["NOTE"]) or "x"}, options=options)
        assert kept == [cell]

    def test_what_a_callable_returns_is_checked(self) -> None:
        assert refusal(ROW, mapping={"text": lambda row: ["a"]}).fields == "text"
        assert refusal(ROW, mapping={"text": lambda row: None}).fields == "text"

    def test_a_callable_may_give_the_whole_listing(self) -> None:
        assert body_of(ROW, mapping={"listing": lambda row: {"price": 5}})["listing"] == {"price": 5}

    @pytest.mark.parametrize(
        ("wishes", "said"),
        [
            ({"mapping": {"txt": "a"}}, "closest name is 'text'"),
            ({"mapping": {"text": 5}}, "must be a column name or a callable, not a whole number"),
            ({"mapping": {5: "a"}}, "no such field"),
            ({"mapping": {"listing_id": "a"}}, "listing.id or listing.listingId"),
            ({"mapping": {"text": "a", "TEXT": "b"}}, "text twice"),
            ({"mapping": ["text"]}, "mapping must be a dict, not a list"),
            ({"defaults": {"txt": "a"}}, "closest name is 'text'"),
            ({"defaults": {"type": "Viewed"}}, r"defaults\['type'\] must be one of"),
            ({"defaults": {"created": 1714557600}}, "looks like seconds"),
            ({"defaults": "{'type': 'Browse'}"}, "defaults must be a dict, not text"),
            ({"zone": "Mars/Olympus"}, "not a known IANA time zone"),
            ({"zone": "America"}, "not a known IANA time zone"),
            ({"zone": "../etc/passwd"}, "not a known IANA time zone"),
            ({"zone": ""}, "not a known IANA time zone"),
            ({"zone": None}, "not a known IANA time zone"),
        ],
    )
    def test_a_wrong_argument_fails_before_any_row(self, wishes: dict[str, Any], said: str) -> None:
        with pytest.raises(MappingError, match=said):
            mapping(**wishes)

    def test_a_mapped_column_that_the_source_lacks_fails_before_any_row(self) -> None:
        with pytest.raises(MappingError, match=r"mapping\['text'\] names the column 'NOTES'.*closest name is 'NOTE'"):
            mapping(mapping={"text": "NOTES"}).builder((*ROW, "NOTE"), table=True)

    @pytest.mark.parametrize("columns", [("NOTE", "NOTE"), ("Note", "n_o_t_e")])
    @pytest.mark.parametrize(
        ("wishes", "asked_by"),
        [({"mapping": {"text": "NOTE"}}, r"mapping\['text'\]"), ({"unique_key": ["NOTE"]}, "unique_key")],
    )
    def test_a_named_column_that_the_source_has_twice_fails_before_any_row(
        self, columns: tuple[str, ...], wishes: dict[str, Any], asked_by: str
    ) -> None:
        with pytest.raises(MappingError, match=f"{asked_by} names the column 'NOTE', which the source has 2 times"):
            mapping(**wishes).builder((*ROW, *columns), table=True)

    def test_of_two_columns_that_are_alike_the_one_as_it_is_written_is_meant(self) -> None:
        row = {**ROW, "Note": "one", "NOTE": "two"}
        assert body_of(row, mapping={"text": "NOTE"})["text"] == "two"


class TestDefaults:
    def test_a_default_is_used_where_the_row_has_no_value(self) -> None:
        assert body_of({**ROW, "type": None}, defaults={"type": "search"})["type"] == "Search"
        assert body_of(ROW, defaults={"type": "Search", "listing.state": "AZ"})["type"] == "Browse"

    def test_a_default_of_empty_text_sends_empty_text(self) -> None:
        row = {name: value for name, value in ROW.items() if name != "picture"}
        assert body_of(row, defaults={"picture": ""})["picture"] == ""

    def test_a_default_of_no_value_is_none(self) -> None:
        assert refusal({**ROW, "type": None}, defaults={"type": None}).fields == "type"

    def test_a_wrong_value_is_not_replaced_by_the_default(self) -> None:
        assert refusal({**ROW, "type": "Viewed"}, defaults={"type": "Browse"}).fields == "type"


class TestSources:
    def test_each_file_is_read_as_it_is_written(self) -> None:
        wishes = mapping(options=FileOptions(decimal="."))
        columns, cells = (*ROW, "listing.price"), [*ROW.values(), "450.000"]
        prices = []
        for file in (FileOptions(decimal=","), None, FileOptions(decimal=",")):
            wishes.start_source(file)
            prices.append(json.loads(wishes.builder(columns, table=True).build(cells).body)["listing"]["price"])
        assert prices == [450000, 450, 450000]


def test_builders_of_endlessly_many_shapes_are_not_kept() -> None:
    wishes = mapping()
    made = [weakref.ref(wishes.builder((*ROW, f"column{number}"), table=False)) for number in range(1200)]
    gc.collect()
    assert sum(builder() is not None for builder in made) <= 501
