"""The report can be given back as it is."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import fsspec
import pytest
from airflow.sdk.io import attach
from support.practice import collected, read_report, row, run

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.report.writer import Report
from airflow_provider_lofty.rows.files import read_files
from airflow_provider_lofty.rows.report_format import REPORT_COLUMNS
from airflow_provider_lofty.spool.spool import Result, Spool, SpoolRow

HOSTILE_TEXTS = [
    "=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\rx", "\nx", "'", "''", "'=1", "''=1", "＝1",
    "a\rb", "a\r\nb", "a\nb", 'say "hi"', '"', ",;|\t", " padded ", "02134", "-5", "+15", "1e5", "1E400",
    "true", "null", "[1]", '{"a": 1}', "NaN", "Zoë 🏡", "\u2028", "\x7f", "\ufeff", "x" * 200_000,
    "to C:\\, and back", "a, b\\", '5\\", 6', "\\\\, x", "'02134", '="02134"',
]  # fmt: skip


def fill(spool: Spool, *cells: dict[str, Any], outcome: str = Outcome.NOT_ATTEMPTED) -> None:
    for number, values in enumerate(cells, 1):
        spool.add(SpoolRow(0, number, tuple(values), tuple(values.values()), 7, b"{}", outcome=outcome))
    spool.flush()


def test_every_row_is_there_in_order_with_its_own_columns_and_what_became_of_it(tmp_path: Path, spool: Spool) -> None:
    spool.add(SpoolRow(0, 1, ("lead_id", "who"), (1, "a"), 1, b"{}", b"i" * 16, b"\xab" * 16))
    spool.add(
        SpoolRow(0, 2, ("who", "extra"), ("b", 2.5), None, None, None, None, None, Outcome.INVALID, "leadId", "is bad")
    )
    spool.flush()
    spool.record(Result(1, Outcome.REJECTED, 404, 20006, "Lofty refused it", 1, "2026-03-01T10:00:00.000+00:00"))
    Report(str(tmp_path / "r.csv")).write(spool)
    first, second = read_report(tmp_path / "r.csv")
    assert list(first) == ["lead_id", "who", "extra", *REPORT_COLUMNS]
    assert first == {
        "lead_id": "1",
        "who": "a",
        "extra": "",
        "lofty_source": "leads.csv",
        "lofty_row_number": "1",
        "lofty_line": "",
        "lofty_outcome": "rejected",
        "lofty_lead_id": "1",
        "lofty_http_status": "404",
        "lofty_error_code": "20006",
        "lofty_error_field": "",
        "lofty_error": "Lofty refused it",
        "lofty_attempts": "1",
        "lofty_sent_at": "2026-03-01T10:00:00.000+00:00",
        "lofty_fingerprint": "v2.3:" + "ab" * 16,
        "lofty_matched_by": "",
    }
    assert (second["who"], second["extra"], second["lofty_outcome"]) == ("b", "2.5", "invalid")
    assert (second["lofty_error_field"], second["lofty_error"]) == ("leadId", "is bad")


def test_json_lines_hold_the_same_with_their_types(tmp_path: Path, spool: Spool) -> None:
    fill(spool, {"n": 1, "f": 2.5, "b": True, "t": "02134", "none": None, "listing": {"price": 1}})
    Report(str(tmp_path / "r.jsonl")).write(spool)
    (found,) = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines()]
    own = {key: value for key, value in found.items() if key not in REPORT_COLUMNS}
    assert own == {"n": 1, "f": 2.5, "b": True, "t": "02134", "none": None, "listing": {"price": 1}}
    assert set(found) - set(own) == set(REPORT_COLUMNS)


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_report_of_a_report_holds_each_report_column_once(tmp_path: Path, spool: Spool, ending: str) -> None:
    fill(spool, {"lead_id": 1, "lofty_outcome": "unknown", "lofty_error": "old"})
    path = tmp_path / f"r{ending}"
    Report(str(path)).write(spool)
    (found,) = collected(read_files, path).rows
    assert len(set(found.columns)) == len(found.columns) == 1 + len(REPORT_COLUMNS)
    assert "old" not in found.cells


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_what_was_refused_because_a_column_is_there_twice_is_not_sent_when_it_comes_back(
    tmp_path: Path, lofty: Any, connect: Any, ending: str
) -> None:
    connect(lofty)
    header, values = zip(*row(1).items(), strict=True)
    for name, columns in {"1": ("page", "page"), "2": ("page", "other")}.items():
        with (tmp_path / f"{name}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([[*header, *columns], [name, *values[1:], "one", "two"]])
    given: dict[str, Any] = {"mapping": {"pageName": lambda cells: cells["page"]}, "max_failed_rows": 1}
    report = str(tmp_path / f"report.{ending}")
    assert run(path=f"{tmp_path}/?.csv", report_path=report, **given).counts == {"delivered": 1, "invalid": 1}
    again = run(path=report, **given, report_path=str(tmp_path / f"again.{ending}"))
    assert "delivered" not in again.counts
    assert len(lofty.activities) == 1


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_texts_come_back_exactly_as_they_went(tmp_path: Path, spool: Spool, ending: str) -> None:
    fill(spool, *({"text": text, "=column": "x"} for text in HOSTILE_TEXTS))
    path = tmp_path / f"r{ending}"
    Report(str(path)).write(spool)
    found = collected(read_files, path)
    assert [values["text"] for values in found.dicts] == HOSTILE_TEXTS
    assert found.rows[0].columns[:2] == ("text", "=column")
    assert found.problems == []


def test_no_cell_of_a_csv_report_runs_as_a_formula(tmp_path: Path, spool: Spool) -> None:
    fill(spool, *({"=text": text[:100]} for text in HOSTILE_TEXTS))
    Report(str(tmp_path / "r.csv")).write(spool)
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as stream:
        cells = [cell for line in csv.reader(stream) for cell in line]
    for cell in cells:
        assert not cell.startswith(("=", "@", "\t", "\r", "\n", "＝")), cell
        assert not cell.startswith(("+", "-")) or _is_number(cell), cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5.0, "5"),
        (-0.0, "0"),
        (2.5, "2.5"),
        (1e-7, "0.0000001"),
        (2.0**53, "9.0071992547409920e+15"),
        (float("nan"), None),
        (Decimal("5.00"), "5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("123456789012345678901234567890.50"), "123456789012345678901234567890.5"),
        (Decimal("9007199254740993.00"), "9007199254740993"),
        (Decimal("0E-8"), "0"),
        (Decimal("NaN"), None),
        (2**70, str(2**70)),
        (True, "true"),
        (date(2026, 3, 1), "2026-03-01"),
        (datetime(2026, 3, 1, 10, tzinfo=timezone.utc), "2026-03-01T10:00:00+00:00"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    ],
)
def test_values_are_written_as_they_would_be_sent(tmp_path: Path, spool: Spool, value: Any, expected: Any) -> None:
    fill(spool, {"value": value, "other": "x"})
    Report(str(tmp_path / "r.csv")).write(spool)
    assert collected(read_files, tmp_path / "r.csv").dicts[0]["value"] == expected


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        float("inf"),
        Decimal("-Infinity"),
        ["a"],
        {"a": 1},
        {1, 2},
        timedelta(1),
        pytest.param(object(), id="object"),  # its repr is another one in each process
        True,
        "a\0b",
        "\ud800",
    ],
    ids=repr,
)
def test_what_was_no_text_is_no_text_when_it_comes_back(
    tmp_path: Path, spool: Spool, lofty: Any, connect: Any, ending: str, value: Any
) -> None:
    connect(lofty)
    path = str(tmp_path / f"r{ending}")
    assert run(rows=[row(1, text=value)], report_path=path).counts == {"invalid": 1}
    again = run(path=path)
    assert again.counts == {"invalid": 1}
    assert again.summary["errors"][0]["error_field"] == "text"
    assert lofty.requests == []


def test_a_value_without_an_end_does_not_break_the_report(tmp_path: Path, spool: Spool) -> None:
    endless: list[Any] = []
    endless.append(endless)
    fill(spool, {"value": endless}, {"value": {"a": {float("inf"): {"b": b"x"}}}})
    Report(str(tmp_path / "r.csv")).write(spool)
    assert len(read_report(tmp_path / "r.csv")) == 2


def test_a_report_appears_whole_or_not_at_all(tmp_path: Path, spool: Spool) -> None:
    (tmp_path / "r.csv").write_text("an older report", encoding="utf-8")
    fill(spool, {"lead_id": 1})
    report = Report(str(tmp_path / "r.csv"))
    spool.close()
    with pytest.raises(Exception, match="closed database"):
        report.write(spool)
    assert (tmp_path / "r.csv").read_text(encoding="utf-8") == "an older report"
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]


def test_nor_is_one_in_object_storage_half_written(spool: Spool) -> None:
    storage = fsspec.filesystem("memory")
    attach("memory", fs=storage)
    storage.pipe("/lake/r.csv", b"an older report")
    fill(spool, {"lead_id": 1})
    report = Report("memory://lake/r.csv")
    spool.close()
    with pytest.raises(Exception, match="closed database"):
        report.write(spool)
    assert storage.cat("/lake/r.csv") == b"an older report"
    storage.rm("/lake/r.csv")


KILLED_WRITER = """
import sys
from pathlib import Path
from airflow_provider_lofty.report.draft import drafted
with drafted(Path(sys.argv[1]), {"encoding": "utf-8"}) as stream:
    stream.write("a row")
    stream.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


@contextmanager
def writer_of(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that is in the middle of writing a report."""
    command = [sys.executable, "-c", KILLED_WRITER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        yield process
        process.kill()


TRIES = [f"dag__run__task__try_{number}__0123456789ab.csv" for number in (1, 2)]


@pytest.mark.program
@pytest.mark.parametrize(("killed", "next_one"), [("r.csv", "r.csv"), ("r.jsonl", "r.jsonl"), TRIES])
def test_what_a_killed_writer_left_goes_with_the_next_report_of_the_task(
    tmp_path: Path, spool: Spool, killed: str, next_one: str
) -> None:
    with writer_of(tmp_path / killed) as process:
        process.kill()
    assert len(list(tmp_path.iterdir())) == 1
    fill(spool, {"lead_id": 1})
    Report(str(tmp_path / next_one)).write(spool)
    assert [path.name for path in tmp_path.iterdir()] == [next_one]


@pytest.mark.program
@pytest.mark.parametrize(("other", "own"), [("r.csv", "r.csv"), TRIES])
def test_what_another_writer_is_about_to_write_stays(tmp_path: Path, spool: Spool, other: str, own: str) -> None:
    fill(spool, {"lead_id": 1})
    with writer_of(tmp_path / other) as process:
        Report(str(tmp_path / own)).write(spool)
        assert len(list(tmp_path.iterdir())) == 2
        process.communicate(b"")
        assert process.returncode == 0
    assert (tmp_path / other).read_text(encoding="utf-8") == "a row"


@pytest.mark.parametrize(
    "name",
    [
        ".r.csv-20260301", ".r.csv-mine.csv", "r.csv-abcdefgh.draft", ".other.csv-abcdefgh.draft",
        ".r.csv-x.csv-abcdefgh.draft", ".dag__run__task__try_1__ba9876543210.csv-abcdefgh.draft",
    ],
)  # fmt: skip
def test_files_of_others_stay(tmp_path: Path, spool: Spool, name: str) -> None:
    (tmp_path / name).touch()
    fill(spool, {"lead_id": 1})
    for report in ("r.csv", TRIES[0]):
        Report(str(tmp_path / report)).write(spool)
    assert (tmp_path / name).exists()


def test_a_report_is_read_by_its_owner_only(tmp_path: Path, spool: Spool) -> None:
    Report(str(tmp_path / "r.csv")).write(spool)
    assert (tmp_path / "r.csv").stat().st_mode & 0o077 == 0


def test_a_folder_that_is_not_there_is_made(tmp_path: Path, spool: Spool) -> None:
    Report(str(tmp_path / "a" / "b" / "r.csv")).write(spool)
    assert read_report(tmp_path / "a" / "b" / "r.csv") == []


@pytest.mark.parametrize("path", ["r.txt", "r", "r.parquet", "r.csv.gz", ""])
def test_another_ending_is_refused(path: str) -> None:
    with pytest.raises(LoftyConfigurationError, match=r"must end in \.csv, \.jsonl"):
        Report(path)


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(LoftyConfigurationError, match="cannot be written"):
        Report(str(tmp_path / "file" / "r.csv"))


@pytest.mark.parametrize("name", ["{}/r.csv", "file://{}/r.csv", "{}/../{}/r.csv", "r.csv", "./r.csv"])
@pytest.mark.parametrize("known", ["{}/r.csv", "file://{}/r.csv", "r.csv", "{}/link.csv"])
def test_a_file_of_the_source_is_recognised_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, known: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.csv").write_text("source", encoding="utf-8")
    Path("link.csv").symlink_to("r.csv")
    name = name.format(tmp_path, tmp_path.name)
    assert Report(name).is_one_of([known.format(tmp_path)])
    assert Path("r.csv").read_text(encoding="utf-8") == "source"


@pytest.mark.parametrize("name", ["rows", "query", "table public.leads", "/tmp/other.csv", 'table "s3://x"'])  # noqa: S108
def test_other_sources_are_no_file_of_the_report(tmp_path: Path, name: str) -> None:
    assert not Report(str(tmp_path / "r.csv")).is_one_of([name])
