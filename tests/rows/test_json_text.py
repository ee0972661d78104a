"""Rows from JSON: lines, one array, or objects written over several lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.files import read
from support.practice import row

from airflow_provider_lofty.exceptions import LoftyConfigurationError


def test_broken_json_lines_are_bad_rows_among_good_ones(tmp_path: Path) -> None:
    lines = ['{"lead_id": 1}', '{"lead_id": ', "[1, 2]", '"text"', "null", "", "[" * 100_000, '{"lead_id": 2}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    found = read(tmp_path / "a.jsonl")
    assert found.problems == [
        (2, "is not JSON"),
        (3, "is a list, not a JSON object"),
        (4, "is text, not a JSON object"),
        (5, "is a value of type NoneType, not a JSON object"),
        (6, "is not JSON"),
    ]
    assert [(item.line, item.cells) for item in found.rows if item.problem is None] == [(1, (1,)), (8, (2,))]


@pytest.mark.parametrize("name", ["a.ndjson", "a.json"])
def test_json_keeps_ids_and_nested_listings(tmp_path: Path, name: str) -> None:
    values = row(2**53 + 1, listing={"price": 1}, text="two\nlines\u2028three")
    (tmp_path / name).write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    assert read(tmp_path / name).dicts == [values]


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_a_key_that_is_there_twice_makes_its_row_invalid(tmp_path: Path, ending: str) -> None:
    lines = ['{"a": 1, "b": 2}', '{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 1}}', '{"a": 2}']
    text = "\n".join(lines) if ending == "jsonl" else f"[{','.join(lines)}]"
    (tmp_path / f"a.{ending}").write_text(text, encoding="utf-8")
    assert read(tmp_path / f"a.{ending}").problems == [
        (2, "has the key 'a' twice in one object"),
        (3, "has the key 'b' twice in one object"),
    ]


@pytest.mark.parametrize("text", ['[{"a": 1}]', '[\n {\n "a": 1\n }\n]', '{\n "a": 1\n}\n', "[1, 2]"])
def test_lines_that_are_not_whole_objects_refuse_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(LoftyConfigurationError, match='one whole object in each line: say file_options={"format": "j'):
        read(tmp_path / "a.jsonl")


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("is_array", [True, False])
def test_values_are_streamed_whatever_their_layout(tmp_path: Path, indent: int | None, *, is_array: bool) -> None:
    values = [{"n": n, "text": "ab\n" * (n * n % 4000)} for n in range(1, 60)]
    encoded = [json.dumps(value, indent=indent) for value in values]
    (tmp_path / "a.json").write_text(
        f" [ {' , '.join(encoded)} ] \n" if is_array else "\n".join(encoded), encoding="utf-8"
    )
    found = read(tmp_path / "a.json")
    assert found.dicts == values
    lines = [1 + n * 4 for n in range(59)] if indent and not is_array else None
    assert lines is None or [item.line for item in found.rows] == lines


def test_what_is_no_object_in_an_array_is_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"a": 1},\n 5,\n "x", [1],\n {"a": 2}]', encoding="utf-8")
    found = read(tmp_path / "a.json")
    assert found.problems == [
        (2, "is a whole number, not a JSON object"),
        (3, "is text, not a JSON object"),
        (4, "is a list, not a JSON object"),
    ]
    assert [item.line for item in found.rows] == [1, 2, 3, 3, 4]


@pytest.mark.parametrize("text", ["", " \n", "[]", " [ ] \n"])
def test_json_without_rows_has_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    assert read(tmp_path / "a.json").rows == []


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1},\n{"a": 2}',
        '[{"a": 1},\n{"a": 2',
        '[{"a": 1},\n]',
        '[{"a": 1}\n{"a": 2}]',
        '[{"a": 1}\n] x',
        '\n{\n"a": 1',
        '{"a": \n1} x',
        "[\n",
        "[\n" + "[" * 100_000,
    ],
)
def test_json_that_is_not_whole_sends_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(LoftyConfigurationError, match=r"a\.json is damaged: what begins in line 2 is not JSON"):
        read(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_an_object_around_the_rows_is_no_row(tmp_path: Path, name: str) -> None:
    wrapper = {"total": 1, "data": [row(1)]}
    (tmp_path / name).write_text(json.dumps(wrapper), encoding="utf-8")
    with pytest.raises(LoftyConfigurationError, match="its rows lie inside 'data' of an object"):
        read(tmp_path / name)


def test_what_is_no_json_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("lead_id,text\n", encoding="utf-8")
    with pytest.raises(LoftyConfigurationError, match="begins neither with an object nor with an array"):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(("name", "what"), [("a.jsonl", "line"), ("a.json", "object")])
def test_no_object_is_longer_than_memory_bears(tmp_path: Path, name: str, what: str) -> None:
    opening = "[\n" if name == "a.json" else "\n"
    (tmp_path / name).write_text(f'{opening}{{"a": "{"x" * 2**24}"}}', encoding="utf-8")
    with pytest.raises(LoftyConfigurationError, match=f"line 2: the {what} has more than"):
        read(tmp_path / name)
