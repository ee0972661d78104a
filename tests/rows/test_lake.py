"""Folders: drafts are passed over, partitions are columns, and tables of a lake are not read past their log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from airflow.sdk.io import attach
from pyarrow import parquet
from support.files import read
from support.practice import Log, row, write_csv

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftySourceNotReady


def put(path: Path, **values: Any) -> str:
    """Write a file of one row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist([values]), path)
    elif path.suffix == ".jsonl":
        path.write_text(json.dumps(values), encoding="utf-8")
    else:
        write_csv(path, [values])
    return str(path)


def test_a_glob_passes_over_drafts_and_markers_and_says_so(tmp_path: Path) -> None:
    for name in ("a.csv", ".a.csv", "_b.csv", "~$c.csv", "_temporary/0/d.csv", ".hidden/e.csv", "sub/f.csv"):
        put(tmp_path / name, lead_id=name)
    log = Log()
    assert [found["lead_id"] for found in read(f"{tmp_path}/**/*.csv", log=log).dicts] == ["a.csv", "sub/f.csv"]
    (line,) = log.lines
    assert "that of a draft or marker (5 of them; the first: " in line


def test_only_a_folder_is_a_partition(tmp_path: Path) -> None:
    for name in ("_year=2025/a.csv", "_year=2025/_tmp=1.csv", "_tmp=1.csv", ".tmp=1.csv", "~$tmp=1.csv", "tmp=1.csv"):
        put(tmp_path / name, lead_id=name)
    found = read(f"{tmp_path}/**/*.csv").dicts
    assert found == [{"lead_id": "_year=2025/a.csv", "_year": "2025"}, {"lead_id": "tmp=1.csv"}]


@pytest.mark.parametrize("pattern", ["_b.csv", "_*.csv", "_temporary/*.csv", ".h*/*.csv"])
def test_a_draft_that_is_asked_for_is_read(tmp_path: Path, pattern: str) -> None:
    for name in ("_b.csv", "_temporary/d.csv", ".hidden/e.csv"):
        put(tmp_path / name, lead_id=name)
    assert len(read(f"{tmp_path}/{pattern}").rows) == 1


def test_drafts_alone_are_no_file_yet(tmp_path: Path) -> None:
    put(tmp_path / "_temporary" / "a.csv", lead_id=1)
    with pytest.raises(LoftySourceNotReady, match="but files that are drafts or markers"):
        read(f"{tmp_path}/*/*.csv")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_partitions_that_a_glob_matched_are_columns(tmp_path: Path, ending: str) -> None:
    put(tmp_path / "type=Favorite" / "city=San%20Jos%C3%A9" / f"a.{ending}", lead_id="1")
    put(tmp_path / "type=__HIVE_DEFAULT_PARTITION__" / "city=Mesa" / f"b.{ending}", lead_id="2")
    expected = [
        {"lead_id": "1", "type": "Favorite", "city": "San José"},
        {"lead_id": "2", "type": None, "city": "Mesa"},
    ]
    for pattern in (f"*/*/*.{ending}", f"**/*.{ending}", f"type=*/city=*/*.{ending}"):
        assert read(f"{tmp_path}/{pattern}").dicts == expected
    assert read(f"{tmp_path}/type=Favorite/*/*.{ending}").dicts == [{"lead_id": "1", "city": "San José"}]
    assert read(f"{tmp_path}/type=Favorite/city=San%20Jos%C3%A9/a.{ending}").dicts == [{"lead_id": "1"}]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_partition_never_takes_the_place_of_a_column(tmp_path: Path, ending: str) -> None:
    put(tmp_path / "lead_id=5" / f"a.{ending}", Lead_ID="1")
    with pytest.raises(LoftyConfigurationError, match=r"has the column 'Lead_ID' and lies in a folder lead_id="):
        read(f"{tmp_path}/*/*.{ending}")


def test_a_partition_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "day=1" / "day=2" / "a.csv", lead_id="1")
    with pytest.raises(LoftyConfigurationError, match="in two folders of the partition 'day'"):
        read(f"{tmp_path}/**/*.csv")


@pytest.mark.parametrize(
    ("kind", "data", "log"),
    [
        ("Delta", "a.parquet", "_delta_log/00000.json"),
        ("Delta", "day=1/a.parquet", "_delta_log/00000.json"),
        ("Iceberg", "data/day=1/a.parquet", "metadata/v1.metadata.json"),
        ("Hudi", "2026/11/01/a.parquet", ".hoodie/hoodie.properties"),
    ],
)
def test_files_of_a_lakes_table_are_refused(tmp_path: Path, kind: str, data: str, log: str) -> None:
    path = put(tmp_path / "table" / data, lead_id=1)
    put(tmp_path / "beside" / "a.parquet", lead_id=2)
    (tmp_path / "table" / log).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "table" / log).write_text("{}")
    for named in (path, f"{tmp_path}/table/**/*.parquet"):
        with pytest.raises(LoftyConfigurationError, match=f"is part of a {kind} table.*deleted and replaced rows"):
            read(named)
    assert len(read(tmp_path / "beside" / "a.parquet").rows) == 1


def test_a_folder_is_refused_with_a_glob_that_finds_its_files(tmp_path: Path) -> None:
    put(tmp_path / "lake" / "type=Browse" / "a.parquet", **row(1))
    with pytest.raises(LoftyConfigurationError, match=r"for example .*/lake/\*\*/\*\.parquet$"):
        read(tmp_path / "lake")
    with pytest.raises(LoftyConfigurationError, match=r"for example .*/type=Browse/\*\.parquet$"):
        read(tmp_path / "lake" / "type=Browse")


def test_object_storage_has_the_same_folders_as_a_disk() -> None:
    storage = fsspec.filesystem("memory")
    attach("memory", fs=storage)
    storage.store.clear()
    try:
        for name in ("visits/type=Browse/a.csv", "visits/type=Browse/_draft.csv", "visits/_temporary/b.csv"):
            storage.pipe(f"/lake/{name}", b"lead_id\n1\n")
        assert read("memory://lake/visits/**/*.csv").dicts == [{"lead_id": "1", "type": "Browse"}]
        storage.pipe("/lake/table/_delta_log/0.json", b"{}")
        storage.pipe("/lake/table/day=1/a.parquet", b"PAR1")
        with pytest.raises(LoftyConfigurationError, match=r"memory://.*a\.parquet: it is part of a Delta table"):
            read("memory://lake/table/*/*.parquet")
        with pytest.raises(LoftyConfigurationError, match=r"for example memory://lake/visits/\*\*/\*\.csv"):
            read("memory://lake/visits")
    finally:
        storage.store.clear()
