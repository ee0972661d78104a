"""Rows from JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

from support.files import read
from support.practice import row


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
    assert [item.cells for item in found.rows if item.problem is None] == [(1,), (2,)]


def test_json_lines_keep_ids_and_nested_listings(tmp_path: Path) -> None:
    values = row(2**53 + 1, listing={"price": 1}, text="two\nlines\u2028three")
    (tmp_path / "a.ndjson").write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    assert read(tmp_path / "a.ndjson").dicts == [values]
