"""What a file is: by what its author says, by its name, or by its bytes where these are certain."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.files import HEADER, LINE, read
from support.practice import row, run

from airflow_provider_lofty.exceptions import LoftyConfigurationError

CSV = f"{HEADER}\n{LINE}\n".encode()
JSON_LINES = (json.dumps(row(1)) + "\n").encode()


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def locked(archive: bytes) -> bytes:
    """Mark the first file of a zip as one with a password, which the standard library cannot write."""
    flags = archive.index(b"PK\1\2") + 8
    return archive[:flags] + b"\1" + archive[flags + 1 :]


def table() -> bytes:
    stream = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist([row(1)]), stream)
    return stream.getvalue()


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


# What follows a whole stream and cannot be read: rows that would be missing.
AFTER_ONE_STREAM = [
    (ending, pack(CSV) + rest)
    for ending, pack in ((".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zstd))
    for rest in (b"\x07" + pack(CSV)[1:], pack(CSV)[:9], b"neither")
]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", CSV),
        ("a.txt", CSV.replace(b",", b"\t")),
        ("a.tab", CSV.replace(b",", b"\t")),
        ("A.PSV", CSV.replace(b",", b"|")),
        ("a.json", JSON_LINES),
        ("a.json", json.dumps([row(1)], indent=2).encode()),
        ("a.json", json.dumps(row(1), indent=2).encode()),
        ("part-00000.json.gz", gzip.compress(JSON_LINES)),
        ("a.csv.gz", gzip.compress(CSV[:30]) + gzip.compress(CSV[30:])),
        ("a.csv.bz2", bz2.compress(CSV)),
        ("a.jsonl.xz", lzma.compress(JSON_LINES)),
        ("a.csv.bz2", bz2.compress(CSV[:30]) + bz2.compress(CSV[30:])),
        ("a.csv.xz", lzma.compress(CSV[:30]) + bytes(8) + lzma.compress(CSV[30:]) + bytes(4)),
        ("a.csv.zst", zstd(CSV)),
        ("a.csv.zip", zipped({"anything": CSV})),
        ("a.zip", zipped({"folder/": b"", "folder/a.jsonl": JSON_LINES, "__MACOSX/._a": b"x"})),
        ("visits_000", CSV.replace(b",", b"|")),
        ("visits0000_part_00", CSV),
        ("visits", JSON_LINES),
        ("visits", json.dumps([row(1)]).encode()),
        ("visits", table()),
        ("visits", gzip.compress(CSV)),
        ("visits", zipped({"a": JSON_LINES})),
        ("visits.000", CSV.decode().encode("utf-16")),
        ("visits.csv", gzip.compress(CSV)),
        ("visits.c000.parquet", table()),
    ],
)
def test_a_file_is_read_for_what_it_is(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name).dicts[0]["text"] == "Viewed home 1"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str, name: str) -> None:
    text = f"{HEADER}\n{LINE}é\n" if name == "a.csv" else json.dumps(row(1, created="é"), ensure_ascii=False)
    (tmp_path / name).write_bytes(text.encode(encoding))
    assert read(tmp_path / name).dicts[0]["created"].endswith("é")
    with pytest.raises(LoftyConfigurationError, match="but file_options says cp1252"):
        read(tmp_path / name, encoding="cp1252")


def test_a_format_that_is_said_stands_before_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(JSON_LINES)
    assert read(tmp_path / "a.csv", format="jsonl").dicts == [row(1)]
    (tmp_path / "one_column").write_text("lead_id\n1\n")
    assert read(tmp_path / "one_column", format="csv").dicts == [{"lead_id": "1"}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", zipped({"a": b"", "b": b""}), 'is a spreadsheet .*save it as "CSV UTF-8"'),
        ("a.xls", b"\xd0\xcf\x11\xe0", "is a spreadsheet"),
        ("a", b"\xd0\xcf\x11\xe0", "is a spreadsheet"),
        ("a", b"x", 'nor its first bytes say what it is; say file_options={"format": "csv"}'),
        ("a.avro", b"Obj\1\0\0", "nor its first bytes"),
        ("csv", b"", "nor its first bytes"),
        ("a.parquet.gz", gzip.compress(table()), "is Parquet inside .gz; unpack it"),
        ("a.csv.zip", zipped({"a": CSV, "b": CSV}), "holds 2 files"),
        ("a.zip", zipped({"a": CSV, "b": CSV}), "holds 2 files"),
        ("a.csv", zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "it is an Excel file"),
        ("a.zip", b"PK\3\4 and no more", "is damaged"),
        ("a.csv.zip", b"no zip at all", "a.csv.zip is damaged: File is not a zip file"),
        ("a.csv.zip", zipped({"a": CSV})[:-9], "a.csv.zip is damaged: File is not a zip file"),
        ("a.csv.zip", locked(zipped({"a": CSV})), "it is a zip with a password; unzip it"),
        ("a.zip", locked(zipped({"a": CSV})), "it is a zip with a password; unzip it"),
        ("a.csv.bz2", bz2.compress(CSV * 99)[:-9], "is damaged"),
        ("a.csv.bz2", b"no bz2 at all", "is damaged"),
        ("a.csv.xz", lzma.compress(CSV * 99)[:-9], "is damaged"),
        ("a.csv.xz", b"no xz at all", "is damaged"),
        *[(f"a.csv{ending}", damaged, "is damaged") for ending, damaged in AFTER_ONE_STREAM],
        ("a.csv.zst", zstd(CSV * 99)[:-9], "is damaged"),
        ("a.csv.zst", b"no zstd at all", "is damaged"),
        ("a.csv", (HEADER + "\n").encode("utf-16")[:-1], "is damaged: it is not text in utf-16"),
    ],
)
def test_what_is_not_read_says_why_and_sends_nothing(
    tmp_path: Path, lofty: Any, connect: Any, name: str, content: bytes, message: str
) -> None:
    connect(lofty)
    (tmp_path / "0.csv").write_bytes(CSV)
    (tmp_path / name).write_bytes(content)
    ended = run(path=[str(tmp_path / "0.csv"), str(tmp_path / name)], defaults={"picture": ""})
    assert isinstance(ended.error, LoftyConfigurationError)
    with pytest.raises(LoftyConfigurationError, match=message):
        raise ended.error
    assert lofty.requests == []


def test_options_that_fit_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(JSON_LINES)
    (tmp_path / "b.csv").write_bytes(CSV)
    with pytest.raises(LoftyConfigurationError, match="none of the files is delimited"):
        read(tmp_path / "a.jsonl", delimiter=";")
    assert len(read(f"{tmp_path}/*", delimiter=",").rows) == 2
    with pytest.raises(LoftyConfigurationError, match="have names of their own"):
        read(f"{tmp_path}/*", columns=("lead_id",))
