"""Rows from files of every kind: read once, in order; a file that is not whole sends nothing."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.files import HEADER, LINE, read
from support.practice import COLUMNS, row, run, write_csv

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftySourceNotReady


def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{HEADER}\n{LINE}\n", encoding="utf-8-sig")
    (tmp_path / "a.jsonl").write_text(json.dumps(row(1)) + "\n", encoding="utf-8-sig")
    assert read(tmp_path / "a.csv").rows[0].columns[0] == "lead_id"
    assert read(tmp_path / "a.jsonl").rows[0].columns[0] == "lead_id"


@pytest.mark.parametrize("content", ["", "\n\n", HEADER, f"{HEADER}\n\n"])
def test_a_file_without_rows_has_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    (tmp_path / "a.jsonl").write_text("", encoding="utf-8")
    assert read([tmp_path / "a.csv", tmp_path / "a.jsonl"]).rows == []


@pytest.mark.parametrize("name", ["a.csv.gz", "A.CSV.GZ", "a.tsv.gz", "a.jsonl.gz", "a.ndjson.gz"])
def test_gzip_is_read(tmp_path: Path, name: str) -> None:
    mark = "\t" if ".tsv" in name else ","
    content = json.dumps(row(1)) if "json" in name else f"{mark.join(COLUMNS)}\n{LINE.replace(',', mark)}"
    (tmp_path / name).write_bytes(gzip.compress(content.encode()))
    assert read(tmp_path / name).dicts[0]["text"] == "Viewed home 1"


def _many_rows() -> bytes:
    lines = [f"{n},Browse,{n * 7919 % 10007},l,p,2026-03-01" for n in range(1, 20_000)]
    return gzip.compress("\n".join([HEADER, *lines]).encode())


@pytest.mark.parametrize(
    "content",
    [_many_rows()[:-20], _many_rows()[: len(_many_rows()) // 2], _many_rows()[:5], b"no gzip at all"],
    ids=["without_its_end", "half", "a_few_bytes", "something_else"],
)
def test_a_gzip_that_is_not_whole_sends_nothing(tmp_path: Path, lofty: Any, connect: Any, content: bytes) -> None:
    connect(lofty)
    (tmp_path / "a.csv.gz").write_bytes(content)
    ended = run(path=str(tmp_path / "a.csv.gz"))
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "a.csv.gz is damaged" in str(ended.error)
    assert lofty.requests == []


def test_a_gzip_with_a_damaged_middle_sends_nothing(tmp_path: Path, lofty: Any, connect: Any) -> None:
    connect(lofty)
    content = bytearray(_many_rows())
    content[len(content) // 2 : len(content) // 2 + 64] = b"\0" * 64
    (tmp_path / "a.csv.gz").write_bytes(content)
    ended = run(path=str(tmp_path / "a.csv.gz"))
    assert isinstance(ended.error, LoftyConfigurationError)
    assert lofty.requests == []


def test_files_of_several_kinds_are_one_input(tmp_path: Path, lofty: Any, connect: Any) -> None:
    connect(lofty)
    write_csv(tmp_path / "1.csv", [row(1)])
    write_csv(tmp_path / "2.tsv", [row(2)], delimiter="\t")
    (tmp_path / "3.jsonl").write_text(json.dumps(row(3)), encoding="utf-8")
    parquet.write_table(pa.Table.from_pylist([row(4)]), tmp_path / "4.parquet")
    assert run(path=f"{tmp_path}/*").counts == {"delivered": 4}
    assert sorted(activity.lead_id for activity in lofty.activities) == [1, 2, 3, 4]


def test_any_sequence_of_paths_is_a_list_of_them(tmp_path: Path) -> None:
    class Outputs(Sequence[str]):
        """What a mapped upstream task gives: neither a list nor a tuple."""

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: Any) -> Any:
            return [f"{tmp_path}/a.csv", f"{tmp_path}/b.csv"][index]

    write_csv(tmp_path / "a.csv", [row(1)])
    write_csv(tmp_path / "b.csv", [row(2)])
    assert len(read(Outputs()).rows) == 2


def test_lists_of_lists_of_paths_are_read_as_mapped_tasks_give_them(tmp_path: Path) -> None:
    paths = [write_csv(tmp_path / f"{n}.csv", [row(n)]) for n in (1, 2, 3)]
    assert [cells["lead_id"] for cells in read([paths[:2], [], paths[2:]]).dicts] == ["1", "2", "3"]


def test_an_empty_list_of_paths_is_not_ready_yet() -> None:
    with pytest.raises(LoftySourceNotReady, match="empty list"):
        read([])


@pytest.mark.parametrize("path", ["", [""], 5, [None], ["a.csv", 5], {"a.csv": 1}])
def test_anything_but_a_path_is_refused(path: Any) -> None:
    with pytest.raises(LoftyConfigurationError, match="a path or a list of paths"):
        read(path)


@pytest.mark.parametrize(
    ("delimiter", "options", "expected"),
    [
        (",", {}, {"delivered": 1}),
        (";", {}, {"invalid": 1}),
        (";", {"decimal": "."}, {"delivered": 1}),
        ("|", {}, {"delivered": 1}),
    ],
)
def test_in_a_file_of_semicolons_a_comma_may_be_of_decimals(
    tmp_path: Path, lofty: Any, connect: Any, delimiter: str, options: dict[str, str], expected: dict[str, int]
) -> None:
    connect(lofty)
    path = write_csv(tmp_path / "a.csv", [row(1, **{"listing.price": "450,000"})], delimiter=delimiter)
    ended = run(path=path, file_options=options)
    assert ended.counts == expected
    assert [a.body["listing"] for a in lofty.activities] == [{"price": 450000}] * expected.get("delivered", 0)


def test_the_mark_of_null_and_what_the_author_lists_are_no_value(tmp_path: Path, lofty: Any, connect: Any) -> None:
    connect(lofty)
    rows = [row(1, page_name="\\N", **{"listing.city": "NULL"}), row(2, page_name="NULL", **{"listing.city": "x"})]
    path = write_csv(tmp_path / "a.csv", rows)
    assert run(path=path, preview=True).counts == {"invalid": 2}
    assert run(path=path, file_options={"null_values": ["NULL"]}).counts == {"delivered": 2}
    assert ["pageName" in a.body for a in lofty.activities] == [False, False]
    assert ["listing" in a.body for a in sorted(lofty.activities, key=lambda a: a.lead_id)] == [False, True]


def test_rows_whose_key_is_the_mark_of_null_are_not_taken_for_one(tmp_path: Path, lofty: Any, connect: Any) -> None:
    connect(lofty)
    rows = [row(1, event="\\N", text="one"), row(1, event="\\N", text="another"), row(1, event="7")]
    path = write_csv(tmp_path / "a.csv", rows)
    ended = run(path=path, unique_key="event", file_options={"null_values": ["n/a"]}, max_failed_rows=2)
    assert ended.counts == {"delivered": 1, "invalid": 2}
