"""Rows from files: read once, in order, exactly; a file that is not whole sends nothing."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from airflow.sdk.io import attach
from pyarrow import parquet
from support.practice import COLUMNS, Collected, collected, row, run, write_csv

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftySourceNotReady
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.rows.files import read_files

HEADER = ",".join(COLUMNS)
LINE = "1,Browse,Viewed home 1,https://homes.example.com/7,,2026-03-01"


def read(path: Any) -> Collected:
    return collected(read_files, path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_the_delimiter(tmp_path: Path, delimiter: str) -> None:
    path = write_csv(tmp_path / "a.csv", [row(1, text="a,b;c\td|e"), row(2)], delimiter=delimiter)
    assert [cells["text"] for cells in read(path).dicts] == ["a,b;c\td|e", "Viewed home 2"]


def test_a_tsv_is_split_at_tabs_whatever_its_header_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("lead_id\ta,b,c,d\n1\tx\n", encoding="utf-8")
    assert read(path).dicts == [{"lead_id": "1", "a,b,c,d": "x"}]


@pytest.mark.parametrize("blank", ["\n", "\r\n\r\n"])
def test_blank_lines_before_the_header_do_not_hide_the_delimiter(tmp_path: Path, blank: str) -> None:
    (tmp_path / "a.csv").write_bytes(f"{blank}lead_id;text\r\n1;x\r\n".encode())
    assert read(tmp_path / "a.csv").dicts == [{"lead_id": "1", "text": "x"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_known(tmp_path: Path, end: str) -> None:
    (tmp_path / "a.csv").write_bytes(end.join(["lead_id,text", "1,a", "", "2,b", ""]).encode())
    found = read(tmp_path / "a.csv")
    assert [(item.row_number, *item.cells) for item in found.rows] == [(1, "1", "a"), (2, "2", "b")]


def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{HEADER}\n{LINE}\n", encoding="utf-8-sig")
    (tmp_path / "a.jsonl").write_text(json.dumps(row(1)) + "\n", encoding="utf-8-sig")
    assert read(tmp_path / "a.csv").rows[0].columns[0] == "lead_id"
    assert read(tmp_path / "a.jsonl").rows[0].columns[0] == "lead_id"


@pytest.mark.parametrize("text", ['two\nlines, and "quotes"', "one\r\ntwo", "\n", "a\rb"])
def test_a_quoted_cell_may_hold_anything(tmp_path: Path, text: str) -> None:
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([["lead_id", "text"], ["1", text], ["2", "after"]])
    assert read(tmp_path / "a.csv").dicts == [{"lead_id": "1", "text": text}, {"lead_id": "2", "text": "after"}]


def test_an_empty_cell_is_no_value(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('lead_id,text,link\n1,,""\n', encoding="utf-8")
    assert read(tmp_path / "a.csv").dicts == [{"lead_id": "1", "text": None, "link": None}]


@pytest.mark.parametrize("last", [True, False], ids=["last_column", "first_column"])
def test_a_quote_that_is_never_closed_does_not_swallow_other_rows(tmp_path: Path, *, last: bool) -> None:
    header, opened = ("lead_id,text", '1,"open') if last else ("text,lead_id", '"open,1')
    (tmp_path / "a.csv").write_text(f"{header}\n5,whole\n{opened}\n2,of another lead\n3,too\n", encoding="utf-8")
    with pytest.raises(LoftyConfigurationError, match="a quote in row 2 is never closed; nothing was sent"):
        read(tmp_path / "a.csv")


def test_a_cell_of_300_000_characters_is_read_and_the_limit_of_csv_is_put_back(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    text = "a long story " * 25_000
    path = write_csv(tmp_path / "a.csv", [row(1, text=text)])
    assert read(path).dicts[0]["text"] == text
    assert csv.field_size_limit() == before


def test_ragged_rows_are_bad_rows_among_good_ones(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("lead_id,text,link\n1,a,b\n2,a\n3,a,b,c\n4,a,b\n", encoding="utf-8")
    found = read(tmp_path / "a.csv")
    assert found.problems == [
        (2, "has 2 cells where the header has 3"),
        (3, "has 4 cells where the header has 3"),
    ]
    assert [item.cells for item in found.rows if item.problem is None] == [["1", "a", "b"], ["4", "a", "b"]]


def test_rows_that_are_not_utf8_are_invalid_and_their_field_is_named(tmp_path: Path, lofty: Any, connect: Any) -> None:
    connect(lofty)
    lines = [HEADER, "1,Browse,caf\xe9,l,p,2026-03-01", "2,Browse,fine,l,p,2026-03-01", "3,Browse,t,l\xff,p,2026-03-01"]
    (tmp_path / "a.csv").write_bytes("\n".join(lines).encode("latin-1"))
    ended = run(path=str(tmp_path / "a.csv"))
    assert ended.counts == {"delivered": 1, "invalid": 2}
    assert [(group["error_field"], group["example_row"]) for group in ended.summary["errors"]] == [
        ("text", 1),
        ("link", 3),
    ]
    assert [activity.body["text"] for activity in lofty.activities] == ["fine"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_recognised(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(f"{HEADER}\n{LINE}\n".encode(encoding))
    with pytest.raises(LoftyConfigurationError, match=r"a\.csv is damaged: it is not UTF-8 text"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize("content", ["", "\n\n", HEADER, f"{HEADER}\n\n"])
def test_a_file_without_rows_has_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    (tmp_path / "a.jsonl").write_text("", encoding="utf-8")
    assert read([tmp_path / "a.csv", tmp_path / "a.jsonl"]).rows == []


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


def test_parquet_ids_beyond_what_a_float_holds_stay_exact_beside_nulls(tmp_path: Path) -> None:
    ids = [2**53 + 1, None, 2**63 - 1]
    parquet.write_table(pa.table({"lead_id": pa.array(ids, pa.int64())}), tmp_path / "a.parquet")
    assert [cells["lead_id"] for cells in read(tmp_path / "a.parquet").dicts] == ids


def test_parquet_types_arrive_as_they_are_meant(tmp_path: Path, lofty: Any, connect: Any) -> None:
    connect(lofty)
    moment = datetime(2026, 3, 1, 10, tzinfo=timezone.utc)
    table = pa.table(
        {
            "lead_id": pa.array([7], pa.int64()),
            "type": pa.array(["Favorite"]).dictionary_encode(),
            "text": pa.array(["a"], pa.large_string()),
            "link": ["l"],
            "picture": [""],
            "created": pa.array([moment], pa.timestamp("ns", "UTC")),
            "listing": [{"price": 5, "zip_code": "02134"}],
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    assert run(path=str(tmp_path / "a.parquet")).counts == {"delivered": 1}
    (arrived,) = lofty.activities
    assert (arrived.lead_id, arrived.body["created"]) == (7, int(moment.timestamp() * 1000))
    assert arrived.body["listing"] == {"price": 5, "zipCode": "02134"}


def test_a_parquet_date_beyond_what_python_holds_makes_only_its_row_invalid(
    tmp_path: Path, lofty: Any, connect: Any
) -> None:
    connect(lofty)
    table = pa.table({**{name: ["x"] * 2 for name in ("text", "link", "picture")}, "type": ["Browse"] * 2})
    table = table.append_column("lead_id", pa.array([1, 2]))
    table = table.append_column("created", pa.array([1_772_359_200_000_000, 2**60], pa.timestamp("us")))
    parquet.write_table(table, tmp_path / "a.parquet")
    ended = run(path=str(tmp_path / "a.parquet"))
    assert ended.counts == {"delivered": 1, "invalid": 1}
    assert ended.summary["errors"][0]["error_field"] == "created"
    assert [activity.lead_id for activity in lofty.activities] == [1]


@pytest.mark.parametrize("cut", [0, 4, 100])
def test_a_damaged_parquet_file_sends_nothing(tmp_path: Path, cut: int) -> None:
    parquet.write_table(pa.table({"lead_id": [1]}), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:cut])
    with pytest.raises(LoftyConfigurationError, match=r"a\.parquet is damaged"):
        read(tmp_path / "a.parquet")


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


def test_files_of_several_kinds_are_one_input(tmp_path: Path, lofty: Any, connect: Any) -> None:
    connect(lofty)
    write_csv(tmp_path / "1.csv", [row(1)])
    write_csv(tmp_path / "2.tsv", [row(2)], delimiter="\t")
    (tmp_path / "3.jsonl").write_text(json.dumps(row(3)), encoding="utf-8")
    parquet.write_table(pa.Table.from_pylist([row(4)]), tmp_path / "4.parquet")
    assert run(path=f"{tmp_path}/*").counts == {"delivered": 4}
    assert sorted(activity.lead_id for activity in lofty.activities) == [1, 2, 3, 4]


@pytest.mark.parametrize("path", ["{}/nothing.csv", "{}/*.csv", "file://{}/nothing.csv", ["{}/a.csv", "{}/b.csv"]])
def test_no_match_is_not_ready_yet(tmp_path: Path, path: Any) -> None:
    write_csv(tmp_path / "a.jsonl", [row(1)])
    named = [part.format(tmp_path) for part in path] if isinstance(path, list) else path.format(tmp_path)
    with pytest.raises(LoftySourceNotReady, match="no file matches"):
        read(named)


def test_an_empty_list_of_paths_is_not_ready_yet() -> None:
    with pytest.raises(LoftySourceNotReady, match="empty list"):
        read([])


@pytest.mark.parametrize("path", ["", [""], 5, [None], ["a.csv", 5], {"a.csv": 1}])
def test_anything_but_a_path_is_refused(path: Any) -> None:
    with pytest.raises(LoftyConfigurationError, match="a path or a list of paths"):
        read(path)


def test_a_folder_is_refused_with_the_way_to_name_its_files(tmp_path: Path) -> None:
    with pytest.raises(LoftyConfigurationError, match=r"is a folder; name its files, for example .*/\*\.csv"):
        read(f"{tmp_path}/")


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.csv.zip", "a.parquet.gz", "csv"])
def test_an_unknown_ending_is_refused_before_any_file_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x", encoding="utf-8")
    good = write_csv(tmp_path / "good.csv", [row(1)])
    with pytest.raises(LoftyConfigurationError, match="ending must be"):
        collected(read_files, [good, tmp_path / name])


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
    """Give an object store that is no local disk, attached to Airflow as a provider would."""
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


def test_a_row_with_a_nul_is_invalid_and_the_others_are_sent(tmp_path: Path) -> None:
    header = ",".join(COLUMNS)
    lines = [
        header,
        *(",".join(str(value) for value in row(n, text=text).values()) for n, text in ((1, "a"), (2, "b\0c"))),
    ]
    source, report = tmp_path / "rows.csv", tmp_path / "report.csv"
    source.write_text("\n".join(lines), encoding="utf-8")
    operator = LoftyAddActivityOperator(
        task_id="t",
        path=str(source),
        report_path=str(report),
        defaults={"picture": ""},
        preview=True,
        max_failed_rows=1,
    )
    summary = operator.execute({})
    assert (summary["would_send"], summary["invalid"]) == (1, 1)
    assert summary["errors"][0]["error_field"] == "text"
    again = LoftyAddActivityOperator(
        task_id="t", path=str(report), defaults={"picture": ""}, preview=True, max_failed_rows=1
    ).execute({})
    assert again["invalid"] == 1
