"""Indexes of reports: what reads them is bounded, whatever they hold; where they lie, and how long."""

from __future__ import annotations

import csv
import io
import os
import resource
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_lofty.rows.report_format import REPORT_COLUMNS
from airflow_provider_lofty.task_key import TaskKey
from airflow_provider_lofty.ui import indexer, indexes
from airflow_provider_lofty.ui.index import Filter
from airflow_provider_lofty.ui.indexes import Indexes
from airflow_provider_lofty.ui.reports import OpenedReport, OutOfReachError, ReportFile

from .conftest import Ran, fate, report_of

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

pytestmark = [
    # Airflow's own code, which these tests run whole, warns about itself.
    pytest.mark.filterwarnings("default"),
]
ENDLESS = 1_500_000_000
MEBIBYTE = 2**20


@pytest.fixture
def report(ran: Ran) -> ReportFile:
    return ReportFile(TaskKey(ran.dag_id, ran.run_id, ran.task_id))


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """One entry for each time that a report was read."""
    read, run = [], indexes._run

    def counted(*arguments: Any) -> Any:
        read.append(arguments)
        return run(*arguments)

    monkeypatch.setattr(indexes, "_run", counted)
    return read


def numbers(found: dict[str, Any]) -> list[str]:
    return [row["row_number"] for row in found["rows"]]


def memory() -> int:
    """The most bytes that this process, or one that it has started and waited for, has held."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * 1024


class TestHostileReports:
    """Whoever may write into the report folder may write anything."""

    @pytest.mark.parametrize(
        ("begin", "why"),
        [
            (b"", "the file is no report"),
            (b'{"lead_id": 1, "text": "', "the file is no report"),
            (b'"', "the file is no report"),
            (report_of([fate(1)]), "the report is damaged: a row does not end"),
            (report_of([fate(1)]) + b'1,"', "the report is damaged: a row does not end"),
        ],
        ids=["nothing", "json lines", "quote", "row", "quoted row"],
    )
    def test_a_line_without_an_end_takes_no_memory(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path], begin: bytes, why: str
    ) -> None:
        path = report_at(begin)
        before = memory()
        os.truncate(path, ENDLESS)
        answer = viewer.get(ran.url("/list"))
        assert (answer.status_code, answer.json()["detail"]) == (404, why)
        assert memory() < before + 200 * MEBIBYTE

    @pytest.mark.parametrize("line", [b'"\n', b'""', b",\n"])
    def test_lines_that_make_one_row_without_an_end_take_none_either(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path], line: bytes
    ) -> None:
        before = memory()
        report_at(report_of([fate(1)]) + b'"' + line * (24 * MEBIBYTE // len(line)))
        assert "the report is damaged" in viewer.get(ran.url("/list")).json()["detail"]
        assert memory() < before + 300 * MEBIBYTE

    @pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
    def test_what_is_no_plain_file_is_not_even_opened(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path], kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = report_at(None)
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            try:
                os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero
            except PermissionError:
                pytest.skip("only root makes devices")
        answer = viewer.get(ran.url("/list"))
        assert (answer.status_code, answer.json()["detail"]) == (404, "it is no plain file")

    @pytest.mark.parametrize("size", [10, 10_000], ids=["shorter", "longer"])
    def test_a_report_that_changes_while_it_is_read_is_not_shown(
        self,
        viewer: TestClient,
        ran: Ran,
        report_at: Callable[..., Path],
        size: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        path = report_at(report_of([fate(1)]))
        read = OpenedReport.read

        def read_and_change(opened: OpenedReport) -> bytes:
            chunk = read(opened)
            os.truncate(path, size)
            return chunk

        with monkeypatch.context() as patch:
            patch.setattr(OpenedReport, "read", read_and_change)
            assert viewer.get(ran.url("/list")).json()["detail"] == "the report was changed while it was read"
        report_at(report_of([fate(1)]))
        assert viewer.get(ran.url("/list")).status_code == 200

    def test_a_long_cell_is_read_and_the_limit_of_this_process_stays(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]
    ) -> None:
        before = csv.field_size_limit()
        report_at(report_of([fate(1, note="x" * 500_000 + "needle")]))
        assert viewer.post(ran.url("/list"), json={"text": "needle"}).json()["total"] == 1
        assert csv.field_size_limit() == before

    def test_a_report_too_large_for_the_disk_says_so(
        self, indexes: Indexes, report: ReportFile, report_at: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_lofty.ui.indexes._INDEX_BYTES", MEBIBYTE)
        report_at(report_of([fate(n, note="x" * 500) for n in range(5000)]))
        with pytest.raises(OutOfReachError, match="too large to be shown"):
            indexes.make(report)


class TestSearch:
    """Every filter is answered from the index, in which each row is found by what it holds."""

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("STRASSE", ["1"]), ("straße", ["1"]), ("ÉLAN", ["2"]), ("élan", ["2"]), ("%", ["3"]), ("_", ["3"]),
            ("''", ["3"]), ('"', ["3"]), ("\N{HOUSE BUILDING}", ["2"]), ("hall1", []), ("\udcff", []), ("", ["1", "2", "3"]),
        ],
    )  # fmt: skip
    def test_text_is_found_in_any_case_within_one_cell(
        self, indexes: Indexes, report: ReportFile, report_at: Callable[..., Path], text: str, found: list[str]
    ) -> None:
        notes = ("Straße", "Élan \N{HOUSE BUILDING}", "100 %_ '' \"")
        report_at(report_of([fate(n, lead="hall", note=f"{n} {note}") for n, note in enumerate(notes, 1)]))
        assert numbers(indexes.make(report).page(Filter("", text))) == found

    def test_it_is_read_once_however_often_it_is_asked_for(
        self, viewer: TestClient, ran: Ran, readings: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_lofty.ui.status.pushed_status", lambda session, task: None)
        for wanted in (
            {},
            {"outcome": ""},
            {"text": "a"},
            {"group": "0123456789abcdef"},
            {"page": 7},
            {"outcome": "delivered"},
        ):
            assert viewer.post(ran.url("/list"), json=wanted).status_code == 200
        assert viewer.get(ran.url("/standing")).json()["outcomes"] == {"delivered": 2, "unmatched": 1}
        assert len(readings) == 1

    def test_a_report_that_was_changed_is_read_anew(
        self, indexes: Indexes, report: ReportFile, report_at: Callable[..., Path]
    ) -> None:
        path = report_at(report_of([fate(1)]))
        before = path.stat()
        assert numbers(indexes.make(report).page(Filter())) == ["1"]
        path.write_bytes(report_of([fate(2)]))  # as long, and as old
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert indexes.find(report) is None
        assert numbers(indexes.make(report).page(Filter())) == ["2"]

    def test_a_damaged_report_is_not_read_again_and_again(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path], readings: list[Any]
    ) -> None:
        report_at(report_of([fate(1)]) + b"1,2\r\n")
        assert [viewer.get(ran.url("/list")).status_code for _ in range(3)] == [404] * 3
        assert len(readings) == 1

    @pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"x" * 5000), Path.unlink])
    def test_an_index_that_is_lost_is_made_again(
        self, viewer: TestClient, ran: Ran, tmp_path: Path, damage: Callable[[Path], object]
    ) -> None:
        assert viewer.get(ran.url("/list")).status_code == 200
        (index,) = (tmp_path / "indexes").iterdir()
        damage(index)
        answers = [viewer.get(ran.url("/list")) for _ in range(2)]
        assert answers[0].status_code in (200, 503)
        assert answers[1].json()["total"] == 1

    def test_the_reader_is_not_slowed_or_misled_by_where_it_starts(
        self, indexes: Indexes, report: ReportFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It imports the standard library and nothing else, whatever lies in the folder it is started from."""
        (tmp_path / "csv.py").write_text("raise SystemExit(9)", encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        assert indexes.make(report).page(Filter())["total"] == 1


class TestFolder:
    """Rows of customers lie there: it is this user's alone, bounded, and swept."""

    @pytest.fixture
    def temporary(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "tmp"
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        return folder

    def test_nobody_else_can_read_it_and_nothing_lies_beside_the_report(
        self, temporary: Path, report: ReportFile, report_folder: Path
    ) -> None:
        before = sorted(report_folder.iterdir())
        Indexes().make(report)
        (folder,) = temporary.iterdir()
        (index,) = folder.iterdir()
        assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, index)] == [0o700, 0o600]
        assert sorted(report_folder.iterdir()) == before

    @pytest.mark.parametrize("kind", ["open", "link", "file"])
    def test_a_folder_that_somebody_else_has_laid_there_is_not_used(
        self, temporary: Path, tmp_path: Path, report: ReportFile, kind: str
    ) -> None:
        trap = temporary / f"airflow-lofty-{os.geteuid()}"
        if kind == "open":
            trap.mkdir()
            trap.chmod(0o777)
        elif kind == "link":
            (tmp_path / "elsewhere").mkdir(mode=0o700)
            trap.symlink_to(tmp_path / "elsewhere")
        else:
            trap.touch()
        assert Indexes().make(report).page(Filter())["total"] == 1
        assert not trap.is_dir() or list(trap.iterdir()) == []

    def test_two_that_share_it_find_each_others_work(
        self, temporary: Path, report: ReportFile, readings: list[Any]
    ) -> None:
        Indexes().make(report)
        assert Indexes().find(report) is not None
        assert len(readings) == 1

    def test_what_was_not_used_for_long_goes_and_what_a_killed_server_left(
        self, indexes: Indexes, report: ReportFile, tmp_path: Path
    ) -> None:
        folder, long_ago = tmp_path / "indexes", time.time() - 2 * 3600
        for name in ("old.index", "left.draft"):
            (folder / name).touch()
            os.utime(folder / name, (long_ago, long_ago))
        indexes.make(report)
        indexes.sweep()
        assert [path.suffix for path in folder.iterdir()] == [".index"]

    def test_the_oldest_go_where_there_are_too_many_bytes(
        self, indexes: Indexes, report: ReportFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_lofty.ui.indexes._FOLDER_BYTES", 3 * MEBIBYTE)
        monkeypatch.setattr("airflow_provider_lofty.ui.indexes._INDEX_BYTES", MEBIBYTE)
        folder = tmp_path / "indexes"
        for n, name in enumerate(("oldest", "older", "old")):
            (folder / name).write_bytes(b"x" * MEBIBYTE)
            os.utime(folder / name, (time.time() - 100 + n,) * 2)
        indexes.make(report)
        assert sorted(path.name for path in folder.iterdir() if path.suffix != ".index") == ["old", "older"]

    def test_without_a_place_for_it_the_page_says_so(
        self, temporary: Path, report: ReportFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(temporary / "gone"))
        with pytest.raises(OutOfReachError, match="temporary folder: No such file"):
            Indexes().make(report)


class TestProgram:
    """The program that reads a report, in this process, where its steps are seen."""

    def task(self, folder: Path) -> indexer.Task:
        return {
            "index": str(folder / "index"),
            "index_bytes": MEBIBYTE,
            "columns": list(REPORT_COLUMNS),
            "failed": ["invalid"],
        }

    def test_it_writes_every_row_and_what_they_add_up_to(self, tmp_path: Path) -> None:
        rows = [fate(1, "delivered", ""), fate(2, error="no"), fate(3, error="no"), fate(4, error="other")]
        indexer.write_index(io.BytesIO(report_of(rows)), self.task(tmp_path))
        with closing(sqlite3.connect(tmp_path / "index")) as index:
            assert index.execute("SELECT * FROM outcomes").fetchall() == [("invalid", 3), ("delivered", 1)]
            assert index.execute("SELECT rows, example FROM groups").fetchall() == [(2, 2), (1, 4)]

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"", "the file is no report"),
            (b"lead,note\r\n1,a\r\n", "the file is no report"),
            (b"x" * (2**20 + 1), "the file is no report"),
            (report_of([fate(1)]) + b"1,2\r\n", "the report is damaged: a row has too few or too many cells"),
            (report_of([fate(1)]) + b"\r\n", "the report is damaged: a row has too few or too many cells"),
            (report_of([fate(1)]) + b"," * (2**23 + 1), "the report is damaged: a row does not end"),
        ],
        ids=["nothing", "other columns", "no end of the header", "short row", "blank row", "no end of a row"],
    )
    def test_of_what_is_no_whole_report_it_says_why(self, tmp_path: Path, content: bytes, why: str) -> None:
        with pytest.raises(indexer.RefusedReportError) as refused:
            indexer.write_index(io.BytesIO(content), self.task(tmp_path))
        assert str(refused.value) == why

    def test_a_row_that_is_long_in_all_its_cells_is_shown_short(
        self, indexes: Indexes, report: ReportFile, report_at: Callable[..., Path]
    ) -> None:
        own = tuple(f"c{n}" for n in range(400))
        report_at(report_of([fate(1, **dict.fromkeys(own, "y" * 1500))], own))
        (row,) = indexes.make(report).page(Filter())["rows"]  # type: ignore[misc]
        assert {value for _, value in row["columns"]} == {"y" * 100 + "…"}
