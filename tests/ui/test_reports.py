"""The report: the right file and no other, and its rows."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import fsspec
import pytest
from airflow.sdk.io import attach

from airflow_provider_lofty.task_key import TaskKey
from airflow_provider_lofty.ui.queries import Try
from airflow_provider_lofty.ui.reports import OpenedReport, ReportFile
from airflow_provider_lofty.ui.structs import status_from

from .conftest import Ran, fate, report_of

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

ASKED = ("", "/standing", "/list", "/report")

pytestmark = [
    # Airflow's own code, which these tests run whole, warns about itself.
    pytest.mark.filterwarnings("default"),
]


class TestRows:
    """The report's rows, filtered and paged."""

    def test_a_failed_row_is_shown_with_its_place_and_columns(self, viewer: TestClient, ran: Ran) -> None:
        found = viewer.get(ran.url("/list")).json()
        assert (found["total"], found["page"], found["pages"]) == (1, 1, 1)
        (row,) = found["rows"]
        assert (row["row_number"], row["outcome"], row["error_field"]) == ("3", "unmatched", "email")
        assert "text" in dict(row["columns"])

    def test_outcome_and_text_filter(self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]) -> None:
        rows = [fate(1, "delivered", "", note="Elm Street"), fate(2, note="elm street"), fate(3, "rejected", "no ELM")]
        report_at(report_of([*rows, fate(4, "not_attempted", "stopped")]))

        def numbers(**wanted: str) -> list[str]:
            return [row["row_number"] for row in viewer.post(ran.url("/list"), json=wanted).json()["rows"]]

        assert numbers() == ["2", "3", "4"]
        assert numbers(outcome="rejected") == ["3"]
        assert numbers(outcome="") == ["1", "2", "3", "4"]
        assert numbers(outcome="", text="elm") == ["1", "2", "3"]
        assert numbers(outcome="", text="elm STREET") == ["1", "2"]
        assert numbers(text="elm") == ["2", "3"]
        assert numbers(outcome="<script>") == []

    def test_rows_of_one_group_are_found_by_its_key(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]
    ) -> None:
        codes = (20012, 20006, "", 20012)
        report_at(report_of([fate(n, "rejected", "no", lofty_error_code=code) for n, code in enumerate(codes)]))
        told = viewer.get(ran.url("/groups")).json()
        assert told["total"] == 3
        assert [(group["count"], group["error_code"]) for group in told["groups"]] == [
            (2, 20012),
            (1, 20006),
            (1, None),
        ]
        found = viewer.get(ran.url(f"/list?group={told['groups'][0]['key']}")).json()
        assert [row["row_number"] for row in found["rows"]] == ["0", "3"]

    def test_a_group_has_the_same_key_whenever_its_report_is_read(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]
    ) -> None:
        keys = []
        for number in (1, 2):
            report_at(
                report_of([fate(number, "unmatched", f"nobody has it: lead {number}", lofty_error_field="email")])
            )
            keys += [group["key"] for group in viewer.get(ran.url("/groups")).json()["groups"]]
        assert keys == ["776bb0a245373bf5"] * 2

    def test_every_group_is_reached(self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]) -> None:
        report_at(report_of([fate(n, error=f"rule {n % 45}") for n in range(100)]))
        pages = [viewer.get(ran.url(f"/groups?page={page}")).json() for page in (1, 2, 3, 4)]
        assert [(page["total"], len(page["groups"])) for page in pages] == [(45, 20), (45, 20), (45, 5), (45, 0)]
        groups = [group for page in pages for group in page["groups"]]
        assert len({group["key"] for group in groups}) == 45
        assert sum(group["count"] for group in groups) == 100

    @pytest.mark.parametrize(
        ("sort", "order"),
        [("", "1234"), ("row", "1234"), ("-row", "4321"), ("lead", "3124"), ("-lead", "2134"), ("outcome", "3412"),
         ("field", "4123"), ("-field", "1243"), ("error", "1423"), ("-error", "2413"), ("code", "2134"), ("-code", "1234")],
    )  # fmt: skip
    def test_rows_are_sorted(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path], sort: str, order: str
    ) -> None:
        report_at(report_of([
            fate(1, "rejected", "a", lofty_lead_id="90", lofty_error_code="20012", lofty_error_field="text"),
            fate(2, "rejected", "c", lofty_lead_id="100", lofty_error_code="9", lofty_error_field="text"),
            fate(3, "delivered", "", lofty_lead_id="7"),
            fate(4, "invalid", "b", lofty_lead_id="", lofty_error_field="created"),
        ]))  # fmt: skip
        for text in ("", "a"):  # "lofty_…" stands in no cell
            asked = {"outcome": "", "sort": sort}
            found = viewer.post(ran.url("/list"), json={**asked, "text": text}).json()
            numbers = "".join(row["row_number"] for row in found["rows"])
            assert numbers == (order if not text else "".join(n for n in order if n in numbers))

    def test_rows_come_in_pages(self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]) -> None:
        report_at(report_of([fate(n) for n in range(1, 102)]))
        pages = [viewer.get(ran.url(f"/list?page={page}")).json() for page in (1, 2, 3, 4)]
        assert [(page["total"], page["pages"]) for page in pages] == [(101, 3)] * 4
        assert [len(page["rows"]) for page in pages] == [50, 50, 1, 0]
        assert pages[2]["rows"][0]["row_number"] == "101"

    def test_odd_cells_come_as_they_are(self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]) -> None:
        odd = "<script>alert(1)</script>\r\n'=1+1 \N{HOUSE BUILDING} \ud800"
        report_at(report_of([fate(1, error=odd, note=odd), fate(2, error="x" * 200_000)]))
        answer = viewer.get(ran.url("/list"))
        first, second = answer.json()["rows"]
        assert answer.headers["content-type"] == "application/json"
        assert "<script>alert(1)</script>\r\n'=1+1 \N{HOUSE BUILDING}" in dict(first["columns"])["note"]
        assert "<script>alert(1)</script>" in first["error"]
        assert second["error"] == "x" * 2000 + "…"  # the download has all of it

    def test_a_large_report_is_answered_at_once(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]
    ) -> None:
        report_at(report_of([fate(n, "delivered" if n % 5 else "rejected", "x" * 60) for n in range(1, 50_001)]))
        began = time.process_time()
        assert viewer.post(ran.url("/list"), json={"text": "xxx", "page": 200}).json()["total"] == 10_000
        assert viewer.get(ran.url("/standing")).status_code == 200
        assert time.process_time() - began < 5  # far above what it takes; a report that is read again and again is not

    def test_a_damaged_report_says_so(self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]) -> None:
        for content in (b"", b"a,b\n1,2\n", b"\xff\xfe\x00", report_of([fate(1)]) + b"1,2\r\n"):
            report_at(content)
            answer = viewer.get(ran.url("/list"))
            assert answer.status_code == 404
            assert "report" in answer.json()["detail"]


class TestReport:
    """The file itself: the right one, and no other."""

    def test_it_is_downloaded_whole(self, viewer: TestClient, ran: Ran) -> None:
        answer = viewer.get(ran.url("/report"))
        assert answer.content == ran.report.read_bytes()
        assert answer.headers["content-disposition"] == f"attachment; filename*=utf-8''{quote(ran.report.name)}"
        assert answer.headers["content-type"].startswith("text/csv")

    def test_failed_rows_alone_are_a_report(self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]) -> None:
        odd = '"quoted",\nin \N{HOUSE BUILDING} lines'
        outcomes = ("invalid", "rejected", "delivered", "unmatched", "duplicate", "not_attempted", "already_delivered")
        rows = [fate(n, outcome, odd, note=odd, lead=n) for n, outcome in enumerate(outcomes)]
        report_at(report_of(rows))
        answer = viewer.get(ran.url("/report?rows=failed"))
        assert answer.content == report_of([rows[n] for n in (0, 1, 3, 5)])
        name = quote(ran.report.name.replace(".csv", "__failed.csv"))
        assert answer.headers["content-disposition"] == f"attachment; filename*=utf-8''{name}"

    def test_with_a_row_that_may_be_stored_come_all_of_its_lead(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]
    ) -> None:
        """Of two that look alike at Lofty one is there: it must not be taken for the other."""
        told = (("delivered", 7), ("unknown", 7), ("delivered", 8), ("unknown", ""), ("delivered", ""))
        rows = [fate(n, outcome, "", lofty_lead_id=lead) for n, (outcome, lead) in enumerate(told)]
        report_at(report_of(rows))
        assert viewer.get(ran.url("/report?rows=failed")).content == report_of([rows[n] for n in (0, 1, 3)])

    def test_many_failed_rows_come_in_chunks(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]
    ) -> None:
        rows = [fate(n, "delivered" if n % 3 else "rejected", "x" * 500) for n in range(2000)]
        report_at(report_of(rows))
        assert viewer.get(ran.url("/report?rows=failed")).content == report_of(rows[::3])

    def test_a_report_that_was_written_anew_is_read_anew(
        self,
        viewer: TestClient,
        ran: Ran,
        report_at: Callable[..., Path],
        indexes: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        report_at(report_of([fate(1)]))
        monkeypatch.setattr(type(indexes), "is_of", lambda *arguments: False)
        assert viewer.get(ran.url("/report?rows=failed")).status_code == 503

    def test_a_link_that_leads_out_of_the_folder_is_refused(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path], tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret.csv"
        secret.write_bytes(report_of([fate(1)]))
        report_at(None).symlink_to(secret)
        for asked in ("/list", "/report"):
            answer = viewer.get(ran.url(asked))
            assert answer.status_code == 404
            assert "leads out of the report folder" in answer.json()["detail"]
        report = viewer.get(ran.url("/standing")).json()["report"]
        assert (report["is_here"], report["why"]) == (False, "a link leads out of the report folder")

    def test_a_link_to_the_report_of_another_dag_is_not_followed(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path], report_folder: Path
    ) -> None:
        (report_folder / "sub").mkdir()
        secret = report_folder / "sub" / "other.csv"
        secret.write_bytes(report_of([fate(1)]))
        for target in (secret, Path("sub/other.csv"), Path("sub/../sub/other.csv"), Path(".", "sub", "other.csv")):
            report_at(None).symlink_to(target)
            for asked in ("/list", "/report"):
                answer = viewer.get(ran.url(asked))
                assert (answer.status_code, answer.json()["detail"]) == (404, "a link to another file is not followed")
        secret.unlink()
        secret.parent.rmdir()

    def test_a_report_folder_that_is_a_link_itself_is_fine(
        self, viewer: TestClient, ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "link").symlink_to(ran.report.parent)
        monkeypatch.setenv("AIRFLOW__LOFTY__REPORT_FOLDER", str(tmp_path / "link"))
        assert viewer.get(ran.url("/report")).content == ran.report.read_bytes()

    @pytest.mark.parametrize("kind", ["folder", "pipe", "nothing", "loop"])
    def test_what_is_no_plain_file_is_not_opened(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path], kind: str
    ) -> None:
        path = report_at(None)
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "loop":
            path.symlink_to(path)
        for asked in ("/list", "/report"):
            assert viewer.get(ran.url(asked)).status_code == 404
        assert viewer.get(ran.url("/standing")).json()["report"]["is_here"] is False

    def test_a_report_of_an_earlier_run_of_the_same_name_is_not_shown_while_this_one_runs(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tries = [Try(1, "running", 3.0)]
        monkeypatch.setattr("airflow_provider_lofty.ui.status.tries_of", lambda session, task: tries)
        facts = {"try_number": 1, "phase": "sending", "read": 9, "left": 8, "outcomes": {"delivered": 1}}
        monkeypatch.setattr("airflow_provider_lofty.ui.status.pushed_status", lambda session, task: status_from(facts))
        told = viewer.get(ran.url("/standing")).json()
        assert told["outcomes"] == {"delivered": 1}
        assert (told["report"]["is_here"], told["report"]["why"]) == (False, "it is written when the run ends")

    def test_a_killed_run_names_no_report(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        report_at(None)
        facts = {"try_number": 1, "phase": "sending", "report_path": str(ran.report), "outcomes": {"delivered": 1}}
        monkeypatch.setattr("airflow_provider_lofty.ui.status.pushed_status", lambda session, task: status_from(facts))
        report = viewer.get(ran.url("/standing")).json()["report"]
        assert (report["is_here"], report["path"]) == (False, None)
        assert report["why"] == "the task ended before it could write one"

    def test_a_report_that_only_the_worker_has_is_named_with_its_host_and_what_to_do(
        self, viewer: TestClient, ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__LOFTY__REPORT_FOLDER", str(tmp_path))
        monkeypatch.setattr(
            "airflow_provider_lofty.ui.status.tries_of", lambda session, task: [Try(1, "success", 3.0, "worker-7")]
        )
        report = viewer.get(ran.url("/standing")).json()["report"]
        assert report["why"].startswith("the host worker-7 wrote it, and this web server (")
        assert f"finds no such file in {tmp_path}. Set report_folder to a volume" in report["why"]

    def test_a_run_that_wrote_no_report_names_none(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        facts = {"try_number": 1, "phase": "ended", "report_path": str(ran.report), "error": {"type": "X", "text": ""}}
        monkeypatch.setattr("airflow_provider_lofty.ui.status.pushed_status", lambda session, task: status_from(facts))
        report = viewer.get(ran.url("/standing")).json()["report"]
        assert (report["is_here"], report["path"], report["why"]) == (False, None, "the run wrote no report")

    @pytest.mark.parametrize("error", [OSError(5, "I/O error"), ValueError("key=topSecret"), KeyError("topSecret")])
    @pytest.mark.parametrize("when", ["opened", "read"])
    def test_a_store_that_fails_in_its_own_way_is_out_of_reach(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch, error: Exception, when: str
    ) -> None:
        class Broken(io.BytesIO):
            """A file whose content cannot be had."""

            def read(self, *size: Any) -> bytes:
                raise error

        def opened(path: str) -> OpenedReport:
            if when == "opened":
                raise error
            return OpenedReport(Broken(), 1000, tuple)

        monkeypatch.setattr("airflow_provider_lofty.ui.reports._open_inside", opened)
        for asked in ("/list", "/report"):
            answer = viewer.get(ran.url(asked))
            assert answer.status_code == 404
            assert "topSecret" not in answer.text
        assert viewer.get(ran.url("/standing")).json()["outcomes"] == {"delivered": 2, "unmatched": 1}

    def test_without_a_folder_there_are_counts_and_no_rows(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AIRFLOW__LOFTY__REPORT_FOLDER")
        told = viewer.get(ran.url("/standing")).json()
        assert told["outcomes"] == {"delivered": 2, "unmatched": 1}
        assert told["groups"][0]["count"] == 1
        assert (told["report"]["is_here"], told["report"]["is_configured"]) == (False, False)
        assert [viewer.get(ran.url(asked)).status_code for asked in ("/list", "/report")] == [404, 404]

    def test_a_report_in_another_place_is_named_and_not_opened(
        self, viewer: TestClient, ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__LOFTY__REPORT_FOLDER", str(tmp_path))
        report = viewer.get(ran.url("/standing")).json()["report"]
        assert (report["is_here"], report["path"]) == (False, str(ran.report))
        assert viewer.get(ran.url("/report")).status_code == 404

    def test_a_folder_may_be_a_url(self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__LOFTY__REPORT_FOLDER", ran.report.parent.as_uri())
        assert viewer.get(ran.url("/report")).content == ran.report.read_bytes()

    def test_a_url_that_nobody_serves_is_out_of_reach(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__LOFTY__REPORT_FOLDER", "gs://reports/lofty")
        answer = viewer.get(ran.url("/report"))
        assert answer.status_code == 404
        assert "gs://" in answer.json()["detail"]

    @pytest.mark.parametrize("says_when", [True, False])
    def test_a_folder_may_lie_in_a_store(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch, says_when: bool
    ) -> None:
        """One may not say when a file was changed; it is read anew all the same when it was."""
        storage = fsspec.filesystem("memory")
        attach("memory", fs=storage)
        if not says_when:  # as one behind HTTP
            monkeypatch.setattr(storage, "modified", partial(fsspec.AbstractFileSystem.modified, storage))
        monkeypatch.setenv("AIRFLOW__LOFTY__REPORT_FOLDER", "memory://box/reports")
        monkeypatch.setattr(storage, "store", {})
        assert viewer.get(ran.url("/report")).json()["detail"] == "the web server finds no such file"
        storage.pipe_file(f"/box/reports/{ran.report.name}", ran.report.read_bytes())
        assert viewer.get(ran.url("/report")).content == ran.report.read_bytes()
        assert [row["row_number"] for row in viewer.get(ran.url("/list")).json()["rows"]] == ["3"]
        storage.pipe_file(f"/box/reports/{ran.report.name}", report_of([fate(1), fate(2)]))
        assert [row["row_number"] for row in viewer.get(ran.url("/list")).json()["rows"]] == ["1", "2"]

    @pytest.mark.parametrize(
        ("put", "why"),
        [
            (os.mkfifo, "no plain file"),
            (Path.mkdir, "no plain file"),
            (lambda path: path.symlink_to("/etc/passwd"), "cannot read it"),
        ],
        ids=["pipe", "folder", "link"],
    )
    def test_what_takes_the_place_of_the_report_while_it_is_looked_at_is_not_read(
        self,
        viewer: TestClient,
        ran: Ran,
        report_at: Callable[..., Path],
        monkeypatch: pytest.MonkeyPatch,
        put: Callable[[Path], None],
        why: str,
    ) -> None:
        look = os.stat

        def replaced(path: Any, **options: Any) -> os.stat_result:
            found = look(path, **options)
            if path == ran.report.name:
                put(report_at(None))
            return found

        for asked in ("/list", "/report"):
            report_at(report_of([fate(1)]))
            with monkeypatch.context() as meanwhile:
                meanwhile.setattr(os, "stat", replaced)
                answer = viewer.get(ran.url(asked))
            assert answer.status_code == 404
            assert why in answer.json()["detail"]
            assert str(ran.report) not in _open_files()

    def test_no_id_leads_out_of_the_folder(self, report_folder: Path) -> None:
        for odd in ("../../etc/passwd", "/etc/passwd", "..", "a\\..\\b", "%2e%2e"):
            path = ReportFile(TaskKey(odd, odd, odd)).path
            assert path is not None
            assert Path(path).resolve().parent == report_folder.resolve()


def _open_files() -> list[str]:
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # of the listing itself
            found.append(str(each.readlink()))
    return found
