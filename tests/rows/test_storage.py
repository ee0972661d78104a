"""Where files are found: by path, glob or URL, on a disk or in object storage."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.sdk.io import attach
from support.files import HEADER, LINE, read
from support.practice import row, run, write_csv

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftySourceNotReady
from airflow_provider_lofty.rows.columns import MappingError
from airflow_provider_lofty.rows.files import read_files
from airflow_provider_lofty.rows.source import Source


def test_files_of_a_glob_come_by_name_and_paths_in_the_order_given(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        write_csv(tmp_path / f"{name}.csv", [row(1, text=name)])
    found = read([tmp_path / "c.csv", f"{tmp_path}/*.csv"])
    assert [cells["text"] for cells in found.dicts] == ["c", "a", "b"]
    assert [Path(name).name for name in found.names] == ["c.csv", "a.csv", "b.csv"]
    assert [item.row_number for item in found.rows] == [1, 1, 1]


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [row(1)])
    assert len(read([path, f"{tmp_path}/*.csv", f"file://{path}", f"{tmp_path}/./a.csv"]).rows) == 1


def test_a_name_with_a_globs_marks_in_it_is_a_name_first(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "part[1].csv", [row(1)])
    assert len(read(path).rows) == 1


@pytest.mark.parametrize("path", ["{}/nothing.csv", "{}/*.csv", "file://{}/nothing.csv", ["{}/a.csv", "{}/b.csv"]])
def test_no_match_is_not_ready_yet(tmp_path: Path, path: Any) -> None:
    write_csv(tmp_path / "a.jsonl", [row(1)])
    named = [part.format(tmp_path) for part in path] if isinstance(path, list) else path.format(tmp_path)
    with pytest.raises(LoftySourceNotReady, match="no file matches"):
        read(named)


def test_a_folder_is_refused_with_the_way_to_name_its_files(tmp_path: Path) -> None:
    with pytest.raises(LoftyConfigurationError, match=r"is a folder; name its files, for example .*/\*\.csv"):
        read(f"{tmp_path}/")


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("s3://conn@bucket/a.csv", "apache-airflow-providers-amazon"),
        ("gs://bucket/a.csv", "apache-airflow-providers-google"),
        ("abfs://bucket/a.csv", "apache-airflow-providers-microsoft-azure"),
        ("carrier-pigeon://coop/a.csv", "the Airflow provider package that serves it"),
    ],
)
def test_a_scheme_without_its_package_names_the_package(url: str, package: str) -> None:
    with pytest.raises(LoftyConfigurationError, match="is installed; install") as raised:
        read(url)
    assert package in str(raised.value)


def test_object_storage_on_local_files(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [row(1)])
    assert len(read(f"file://{tmp_path}/*.csv").rows) == 1


@pytest.fixture
def bucket() -> Any:
    """An object store that is not a local disk, attached to Airflow as a provider would."""
    storage = fsspec.filesystem("memory")
    attach("memory", fs=storage)
    storage.store.clear()
    yield storage
    storage.store.clear()


def test_object_storage_is_read_and_written_like_a_disk(bucket: Any, lofty: Any, connect: Any) -> None:
    connect(lofty)
    bucket.pipe("/lake/b.csv", f"{HEADER}\n2{LINE[1:]}\n".encode())
    bucket.pipe("/lake/a.csv.gz", gzip.compress(f"{HEADER}\n{LINE}\n".encode()))
    ended = run(path="memory://lake/*.csv*", report_path="memory://lake/out/report.jsonl", defaults={"picture": ""})
    assert ended.counts == {"delivered": 2}
    assert [activity.lead_id for activity in lofty.activities] == [1, 2]
    report = [json.loads(line) for line in bucket.cat("/lake/out/report.jsonl").splitlines()]
    assert [entry["lofty_outcome"] for entry in report] == ["delivered", "delivered"]


def test_a_report_in_object_storage_does_not_take_the_place_of_its_source(
    bucket: Any, lofty: Any, connect: Any
) -> None:
    connect(lofty)
    content = f"{HEADER}\n{LINE}\n".encode()
    bucket.pipe("/lake/a.csv", content)
    ended = run(path="memory://lake/*.csv", report_path="memory://lake/a.csv", defaults={"picture": ""})
    assert isinstance(ended.error, LoftyConfigurationError)
    assert bucket.cat("/lake/a.csv") == content
    assert lofty.requests == []


def test_a_relative_path_is_one_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    write_csv(tmp_path / "in" / "a.csv", [row(1)])
    write_csv(tmp_path / "b.csv", [row(2)])
    found = read(["in/*.csv", "b.csv", "./b.csv", tmp_path / "b.csv"])
    assert [cells["lead_id"] for cells in found.dicts] == ["1", "2"]
    assert found.names == [f"{tmp_path}/in/a.csv", f"{tmp_path}/b.csv"]


def overwrite(path: Path) -> None:
    path.write_bytes(b"X" * path.stat().st_size)


def append(path: Path) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"{LINE}\n")


def replace(path: Path) -> None:
    path.with_suffix(".new").write_text(f"{HEADER}\n", encoding="utf-8")
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("happens", [overwrite, append, replace, Path.unlink])
@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl"])
def test_a_local_file_that_changes_while_it_is_read_is_not_ready(
    tmp_path: Path, happens: Callable[[Path], None], ending: str
) -> None:
    path = tmp_path / f"a.{ending}"
    text = f"{json.dumps(row(1))}\n" if ending == "jsonl" else f"{HEADER}\n{LINE}\n"
    path.write_bytes(gzip.compress(text.encode()) if ending == "csv.gz" else text.encode())
    os.utime(path, (1, 1))

    def take(source: Source) -> None:
        assert len(list(source.rows)) == 1
        happens(path)

    with pytest.raises(
        LoftySourceNotReady, match=r"a\.\S+ (was changed while it was|cannot be) read.*; nothing was sent"
    ):
        read_files(path, take)
    assert not any(tmp_path.glob("*.new"))


def test_nothing_of_a_file_that_was_overwritten_is_sent(tmp_path: Path, lofty: Any, connect: Any) -> None:
    connect(lofty)
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}\n{LINE}\n", encoding="utf-8")
    os.utime(path, (1, 1))

    def link(values: dict[str, Any]) -> str:
        path.write_text(f"{HEADER}\n2{LINE[1:]}\n", encoding="utf-8")
        return str(values["link"])

    ended = run(path=str(path), mapping={"link": link}, defaults={"picture": ""})
    assert isinstance(ended.error, LoftySourceNotReady)
    assert lofty.requests == []


@pytest.mark.parametrize("is_changed", [True, False])
@pytest.mark.parametrize("fault", [MappingError("torn"), LoftyConfigurationError("torn")])
def test_what_is_wrong_with_two_halves_is_no_fault_of_the_file(
    tmp_path: Path, fault: Exception, *, is_changed: bool
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}\n{LINE}\n", encoding="utf-8")

    def take(source: Source) -> None:
        if is_changed:
            append(path)
        raise fault

    with pytest.raises(LoftySourceNotReady if is_changed else type(fault)):
        read_files(path, take)
