"""Rows from JSON: lines, one array, or objects written over several lines."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.files import read
from support.practice import row, run

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


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("12345678.123456789012345", Decimal("12345678.123456789012345")),
        ("0.10000000000000001", Decimal("0.10000000000000001")),
        ("9007199254740990.25", Decimal("9007199254740990.25")),
        ("9007199254740993.0", 2.0**53),  # stays what is refused: so is a float written that has lost digits
        ("1152921504606846976.0", 2.0**60),
        ("1.2345678e-320", Decimal("1.2345678e-320")),
        ("1e-400", Decimal("1e-400")),
        ("0.1", 0.1),
        ("0.0", 0.0),
        ("-123456789.12345", -123456789.12345),
        ("0.1000000000000000000000", 0.1),
        ("0.30000000000000004", 0.30000000000000004),
        ("1e300", 1e300),
        ("1e400", math.inf),
        ("-1e400", -math.inf),
        ("1e-99999999999999999999", 0.0),
    ],
)
@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_a_number_of_more_digits_than_a_float_holds_keeps_them(
    tmp_path: Path, ending: str, number: str, expected: object
) -> None:
    line = f'{{"a": {number}, "b": {{"c": [{number}]}}}}'
    (tmp_path / f"a.{ending}").write_text(line if ending == "jsonl" else f"[{line}]", encoding="utf-8")
    (found,) = read(tmp_path / f"a.{ending}").dicts
    assert found == {"a": expected, "b": {"c": [expected]}}
    assert type(found["a"]) is type(expected)


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_digits_beyond_a_float_reach_lofty_and_come_back_out_of_a_report(
    tmp_path: Path, lofty: Any, connect: Any, ending: str
) -> None:
    connect(lofty)
    long, longer = "12345678.123456789012345", "12345678.123456789012399"
    as_text = f'"{{\\"zipCode\\": {long}, \\"lotSize\\": {long}}}"'
    lines = [
        json.dumps({**row(1), "k": 0, "listing": 1, "text": 2}).replace('"k": 0', f'"k": {k}')
        .replace('"listing": 1', f'"listing": {as_text}').replace('"text": 2', f'"text": {long}')
        for k in (long, longer)
    ]  # fmt: skip
    lines.append(json.dumps({**row(2), "k": 5, "listing": {"price": 1}}).replace('"price": 1', f'"price": {long}'))
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    report = str(tmp_path / f"r{ending}")
    ended = run(path=str(tmp_path / "a.jsonl"), unique_key="k", report_path=report)
    assert ended.counts == {"delivered": 2, "invalid": 1}
    assert [(a.body["text"], a.body["listing"]) for a in lofty.activities] == [
        (long, {"zipCode": long, "lotSize": float(long)})
    ] * 2
    again = str(tmp_path / f"s{ending}")
    assert run(path=report, unique_key="k", report_path=again).counts == {"already_delivered": 2, "invalid": 1}
    assert run(path=again, unique_key="k").counts == {"already_delivered": 2, "invalid": 1}
