"""``file_options``: every option is what it says, or the task fails."""

from __future__ import annotations

from typing import Any

import pytest
from support.practice import row, run, write_csv

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.rows.file_options import Backslash, FileOptions, FileOptionsError


def test_nothing_given_is_nothing_said() -> None:
    assert FileOptions.from_dict(None) == FileOptions.from_dict({}) == FileOptions()
    said = FileOptions()
    assert (said.has_quotes, said.backslash, said.null_values) == (True, Backslash.UNDECIDED, None)


def test_every_option_is_read() -> None:
    given = {
        "format": "CSV", "encoding": "windows-1252", "delimiter": "\x01", "quoting": "none", "escape": "\\",
        "skip_rows": "3", "decimal": ",", "null_values": ["NULL", ""],
    }  # fmt: skip
    expected = FileOptions("csv", "cp1252", "\x01", False, Backslash.ESCAPE, 3, ",", ("NULL", ""))
    assert FileOptions.from_dict(given) == expected


@pytest.mark.parametrize("none", [None, "None"])
def test_escape_none_says_that_a_backslash_is_text(none: Any) -> None:
    assert FileOptions.from_dict({"escape": none}).backslash is Backslash.TEXT


def test_none_of_any_other_option_says_nothing() -> None:
    assert FileOptions.from_dict(dict.fromkeys(["format", "skip_rows", "null_values", "quoting"])) == FileOptions()


def test_no_null_values_is_more_than_nothing_said() -> None:
    assert FileOptions.from_dict({"null_values": []}).null_values == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"delimeter": ";"}, "has no 'delimeter'; the closest is 'delimiter'"),
        ({"xyz": 1}, "has no 'xyz'; it takes format, encoding"),
        ({5: 1}, "has no 5"),
        ("format=csv", "must be a dict"),
        ({"format": "xlsx"}, "one of 'csv', 'jsonl', 'json', 'parquet'"),
        ({"encoding": "latin-9000"}, "an encoding that Python knows"),
        ({"encoding": "hex"}, "an encoding that Python knows"),
        ({"encoding": ""}, "an encoding that Python knows"),
        ({"delimiter": "||"}, "one character"),
        ({"delimiter": '"'}, "one character"),
        ({"quoting": 3}, "'minimal', 'none'"),
        ({"escape": "'"}, "a backslash escapes"),
        ({"skip_rows": -1}, "number of lines"),
        ({"skip_rows": True}, "number of lines"),
        ({"skip_rows": 1.5}, "number of lines"),
        ({"decimal": "'"}, "'.', ','"),
        ({"null_values": "NULL"}, "a list of texts"),
        ({"null_values": [None]}, "a list of texts"),
    ],
)
def test_anything_else_is_refused_and_the_rule_named(given: Any, message: str) -> None:
    with pytest.raises(FileOptionsError, match=r"^file_options") as raised:
        FileOptions.from_dict(given)
    assert message in str(raised.value)


def test_a_wrong_option_ends_the_task_before_anything_is_read(tmp_path: Any) -> None:
    ended = run(path=write_csv(tmp_path / "a.csv", [row(1)]), file_options={"delimeter": ";"}, preview=True)
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "'delimiter'" in str(ended.error)


def test_options_are_templates(tmp_path: Any) -> None:
    operator = LoftyAddActivityOperator(
        task_id="t", path=write_csv(tmp_path / "a.csv", [row(1)]), file_options={"delimiter": "{{ 1 + 1 }}"}
    )
    operator.render_template_fields({})  # type: ignore[typeddict-item]
    assert operator.file_options == {"delimiter": "2"}


@pytest.mark.parametrize("argument", ["file_options", "columns"])
def test_options_of_files_need_files(argument: str) -> None:
    given = {"file_options": {"decimal": ",", "delimiter": ";"}, "columns": ["lead_id"]}
    ended = run(sql="SELECT 1", source_conn_id="c", preview=True, **{argument: given[argument]})
    assert isinstance(ended.error, LoftyConfigurationError)
    assert argument in str(ended.error)


def test_how_cells_are_written_may_be_said_of_any_source(lofty: Any, connect: Any) -> None:
    connect(lofty)
    rows = [row(1, page_name="NULL", **{"listing.price": "450.000"})]
    assert run(rows=rows, preview=True).counts == {"invalid": 1}
    ended = run(rows=rows, file_options={"null_values": ["NULL"], "decimal": ","})
    assert ended.counts == {"delivered": 1}
    assert lofty.activities[0].body["listing"] == {"price": 450000}
    assert "pageName" not in lofty.activities[0].body


@pytest.mark.parametrize("columns", ["lead_id", [], ["a", "a"], ["a", 5], {"a": 1}])
def test_columns_are_a_list_of_different_names(tmp_path: Any, columns: Any) -> None:
    ended = run(path=write_csv(tmp_path / "a.csv", [row(1)]), columns=columns, preview=True)
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "columns must be a list of different names" in str(ended.error)
