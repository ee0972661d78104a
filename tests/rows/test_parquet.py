"""Rows from Parquet: every value arrives exactly."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from support.files import read
from support.practice import read_report, row, run

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.parquet import parquet_rows


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
    report = str(tmp_path / "r.csv")
    ended = run(path=str(tmp_path / "a.parquet"), report_path=report)
    assert ended.counts == {"delivered": 1, "invalid": 1}
    assert ended.summary["errors"][0]["error_field"] == "created"
    assert "unreadable" in read_report(report)[1]["created"]
    assert run(path=report).counts == {"already_delivered": 1, "invalid": 1}
    assert [activity.lead_id for activity in lofty.activities] == [1]


def test_a_listings_short_floats_that_lost_digits_are_refused_as_those_of_a_column(
    tmp_path: Path, lofty: Any, connect: Any
) -> None:
    connect(lofty)
    kind = pa.struct([("price", pa.float32()), ("lotSize", pa.float32())])
    listings = [{"price": 123456789.0, "lotSize": 0.1}, {"price": 450_000.0, "lotSize": 0.1}]
    table = pa.Table.from_pylist([row(1), row(2)]).append_column("listing", pa.array(listings, kind))
    parquet.write_table(table, tmp_path / "a.parquet")
    report = str(tmp_path / "r.csv")
    ended = run(path=str(tmp_path / "a.parquet"), report_path=report)
    assert ended.counts == {"invalid": 1, "delivered": 1}
    assert "32-bit float" in ended.summary["errors"][0]["error"]
    assert run(path=report).counts == {"invalid": 1, "already_delivered": 1}
    assert [(a.lead_id, a.body["listing"]) for a in lofty.activities] == [(2, {"price": 450_000, "lotSize": 0.1})]


def test_times_in_short_floats_are_refused_instead_of_taken_for_one(tmp_path: Path, lofty: Any, connect: Any) -> None:
    connect(lofty)
    times = np.array([1714557600000 + 20_000 * n for n in range(3)], dtype="float32")
    table = pa.Table.from_pylist([row(1)] * 3).drop_columns("created").append_column("created", pa.array(times))
    parquet.write_table(table, tmp_path / "a.parquet")
    report = str(tmp_path / "r.csv")
    assert run(path=str(tmp_path / "a.parquet"), report_path=report).counts == {"invalid": 3}
    assert run(path=report).counts == {"invalid": 3}
    assert lofty.activities == []


@pytest.mark.parametrize("cut", [0, 4, 100])
def test_a_damaged_parquet_file_sends_nothing(tmp_path: Path, cut: int) -> None:
    parquet.write_table(pa.table({"lead_id": [1]}), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:cut])
    with pytest.raises(LoftyConfigurationError, match=r"a\.parquet is damaged"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_parquet_file_with_a_damaged_middle_sends_nothing(
    tmp_path: Path, lofty: Any, connect: Any, compression: str
) -> None:
    connect(lofty)
    path = tmp_path / "a.parquet"
    rows = [row(n, text=f"Viewed home {n * 7919 % 10007}") for n in range(1, 3000)]
    parquet.write_table(pa.Table.from_pylist(rows), path, compression=compression, use_dictionary=False)
    content = bytearray(path.read_bytes())
    text = parquet.read_metadata(path).row_group(0).column(2)
    middle = text.data_page_offset + text.total_compressed_size // 2
    content[middle : middle + 64] = b"\xff" * 64
    path.write_bytes(content)
    ended = run(path=str(path))
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "a.parquet is damaged" in str(ended.error)
    assert "Viewed home" not in str(ended.error)
    assert lofty.requests == []


def test_old_times_of_spark_are_instants_whatever_the_timezone_argument_says(tmp_path: Path) -> None:
    moment = datetime(2026, 3, 1, 10, tzinfo=timezone.utc)
    table = pa.table({"created": pa.array([moment, None], pa.timestamp("ns")), "other": pa.array([moment] * 2)})
    parquet.write_table(table, tmp_path / "a.parquet", use_deprecated_int96_timestamps=True)
    assert [cells["created"] for cells in read(tmp_path / "a.parquet").dicts] == [moment, None]


@pytest.mark.parametrize(
    "settings",
    # A page is decompressed whole: how many rows share one is up to the writer.
    [{}, {"use_dictionary": False, "write_batch_size": 16}],
    ids=["repeated", "each"],
)
def test_rows_that_are_small_in_the_file_and_large_out_of_it_take_little_memory(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    rows, size = 400, 500_000
    text = pa.array(["x" * size] * rows, pa.large_string())
    parquet.write_table(pa.table({"text": text}), tmp_path / "a.parquet", compression="zstd", **settings)
    del text
    before, most, read_rows = pa.total_allocated_bytes(), 0, 0
    with (tmp_path / "a.parquet").open("rb") as stream:
        for row in parquet_rows(stream)[1]:
            most = max(most, pa.total_allocated_bytes() - before)
            assert len(str(row.cells[0])) == size
            read_rows += 1
    assert (read_rows, most < 80_000_000) == (rows, True)
