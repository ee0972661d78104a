"""The pages behind the tab: who may see them, what they open, and what they say."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from airflow_provider_lofty.rows.report_format import REPORT_COLUMNS
from airflow_provider_lofty.task_key import TaskKey
from airflow_provider_lofty.ui.queries import Try
from airflow_provider_lofty.ui.reports import ReportFile
from airflow_provider_lofty.ui.structs import cleaned

from .conftest import Ran, token

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

ASKED = ("", "/standing", "/list", "/report")

pytestmark = [
    # Airflow's own code, which these tests run whole, warns about itself.
    pytest.mark.filterwarnings("default"),
]


class TestAccess:
    """Airflow decides who is there and what that user may read."""

    @pytest.mark.parametrize("asked", ASKED)
    def test_nobody_gets_nothing(self, client: TestClient, ran: Ran, asked: str) -> None:
        answer = client.get(ran.url(asked))
        assert answer.status_code == 401
        assert "lofty_from_task" not in answer.text

    @pytest.mark.parametrize("asked", ASKED)
    @pytest.mark.parametrize("how", ["bearer", "cookie"])
    def test_a_user_without_the_right_to_the_dag_gets_nothing(
        self, client: TestClient, ran: Ran, asked: str, how: str
    ) -> None:
        if how == "bearer":
            client.headers["Authorization"] = f"Bearer {token(None)}"
        else:
            client.cookies.set("_token", token(None))
        assert client.get(ran.url(asked)).status_code == 403

    @pytest.mark.parametrize("asked", ASKED)
    def test_a_token_that_is_none_is_refused(self, client: TestClient, ran: Ran, asked: str) -> None:
        client.headers["Authorization"] = "Bearer made.up.token"
        assert client.get(ran.url(asked)).status_code in (401, 403)

    @pytest.mark.parametrize("asked", ASKED)
    def test_the_cookie_of_airflows_page_is_enough(self, client: TestClient, ran: Ran, asked: str) -> None:
        client.cookies.set("_token", token("VIEWER"))
        assert client.get(ran.url(asked)).status_code == 200

    def test_the_right_that_is_asked_for_is_to_this_dags_xcoms(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.api_fastapi.app import get_auth_manager

        asked = []

        def is_authorized_dag(*, method: str, access_entity: Any, details: Any, user: Any) -> bool:
            asked.append((method, access_entity.value, details.id))
            return details.id != ran.dag_id

        monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", is_authorized_dag)
        assert [viewer.get(ran.url(path)).status_code for path in ASKED] == [403] * len(ASKED)
        assert set(asked) == {("GET", "XCOM", ran.dag_id)}

    def test_nothing_but_style_and_script_is_for_everybody(self, client: TestClient) -> None:
        found = {name: client.get(f"/lofty/static/{name}").status_code for name in ("rows.css", "rows.js")}
        assert found == {"rows.css": 200, "rows.js": 200}
        for path in ("/lofty/", "/lofty/docs", "/lofty/openapi.json", "/lofty/static/../app.py"):
            assert client.get(path).status_code in (307, 404), path


class TestStanding:
    """What came of a try."""

    def test_it_tells_tries_outcomes_and_errors(self, viewer: TestClient, ran: Ran) -> None:
        told = viewer.get(ran.url("/standing")).json()
        assert [(one["number"], one["state"]) for one in told["tries"]] == [(1, "success")]
        assert (told["try"], told["state"], told["is_over"]) == (1, "success", True)
        assert told["outcomes"] == {"delivered": 2, "invalid": 1}
        assert told["summary"]["read"] == 3
        assert told["progress"]["phase"] == "ended"
        assert told["report"] == {"is_here": True, "path": str(ran.report), "why": None, "is_configured": True}
        (group,) = told["groups"]
        assert (group["count"], group["outcome"], group["error_field"]) == (1, "invalid", "leadId")
        assert group["meaning"]
        assert group["action"]

    def test_without_a_summary_the_report_tells(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As for a try whose XComs Airflow has removed when the next one began."""
        with_summary = viewer.get(ran.url("/standing")).json()
        monkeypatch.setattr("airflow_provider_lofty.ui.status.progress_of", lambda session, task: None)
        redact = viewer.get(ran.url("/standing")).json()
        assert redact["progress"] is None
        assert redact["outcomes"] == with_summary["outcomes"]
        (group,), (expected,) = redact["groups"], with_summary["groups"]
        assert group == {**expected, "example_lead_id": group["example_lead_id"]}

    def test_a_task_without_a_map_index_comes_as_airflow_leaves_it(self, viewer: TestClient, ran: Ran) -> None:
        assert viewer.get(ran.url("/standing", map_index="{MAP_INDEX}")).json()["try"] == 1

    def test_the_task_of_another_operator_has_nothing(self, viewer: TestClient, ran: Ran) -> None:
        told = viewer.get(ran.url("/standing", task_id="read_visits")).json()
        assert (told["progress"], told["outcomes"], told["groups"]) == (None, {}, [])
        assert told["report"]["is_here"] is False

    @pytest.mark.parametrize(
        "ids",
        [
            {"dag_id": "no_such_dag"},
            {"run_id": "no_such_run"},
            {"task_id": "no_such_task"},
            {"map_index": "7"},
            {"map_index": "0" * 12 + "7"},
            {"map_index": "99999999999999999999"},
            {"map_index": "9" * 5000},
            {"dag_id": "nul\0"},
            {"task_id": "\N{HOUSE BUILDING}<script>"},
            {"run_id": "x" * 5000},
        ],
        ids=lambda ids: "-".join(f"{name}={value[:20]!r}" for name, value in ids.items()),
    )
    @pytest.mark.parametrize("asked", ASKED[1:])
    def test_what_airflow_does_not_know_is_not_found(
        self, viewer: TestClient, ran: Ran, ids: dict[str, str], asked: str
    ) -> None:
        answer = viewer.get(ran.url(asked, **ids))
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/json"

    @pytest.mark.parametrize("number", ["7", "999999999"])
    @pytest.mark.parametrize("asked", ASKED[1:])
    def test_a_try_that_never_was_is_not_found(self, viewer: TestClient, ran: Ran, asked: str, number: str) -> None:
        assert viewer.get(ran.url(f"{asked}?try={number}")).status_code == 404

    @pytest.mark.parametrize("wrong", ["try=-1", "try=x", "try=9999999999999", "page=0", "page=x", "text=" + "x" * 201])
    def test_a_parameter_that_is_none_is_refused(self, viewer: TestClient, ran: Ran, wrong: str) -> None:
        assert viewer.get(ran.url(f"/list?{wrong}")).status_code == 422

    def test_pages_are_not_kept_run_or_framed_elsewhere(self, viewer: TestClient, ran: Ran) -> None:
        for asked in ASKED:
            headers = viewer.get(ran.url(asked)).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
            assert "frame-ancestors 'self'" in headers["content-security-policy"]

    def test_the_page_loads_nothing_from_elsewhere(self, viewer: TestClient, ran: Ran) -> None:
        page = viewer.get(ran.url()).text
        for text in (page, *(viewer.get(f"/lofty/static/{name}").text for name in ("rows.css", "rows.js"))):
            assert "//" not in text.replace("// ", "").replace("://", "//") or "http" not in text


@pytest.fixture
def report_at(ran: Ran) -> Any:
    """Put something else in the place of the task's report, and the report back in the end."""
    kept = ran.report.read_bytes()

    def put(content: bytes | None) -> Path:
        ran.report.unlink(missing_ok=True)
        if content is not None:
            ran.report.write_bytes(content)
        return ran.report

    yield put
    if ran.report.is_dir():
        ran.report.rmdir()
    ran.report.unlink(missing_ok=True)
    ran.report.write_bytes(kept)


def report_of(rows: list[dict[str, Any]], own: tuple[str, ...] = ("lead", "note")) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, [*own, *REPORT_COLUMNS], restval="")
    writer.writeheader()
    writer.writerows({**row, **{name: row.get(name, "") for name in own}} for row in rows)
    return stream.getvalue().encode("utf-8", "surrogatepass")


def fate(number: int, outcome: str = "invalid", error: str = "text must be text", **more: Any) -> dict[str, Any]:
    return {"lofty_source": "rows", "lofty_row_number": number, "lofty_outcome": outcome, "lofty_error": error, **more}


class TestRows:
    """The report's rows, filtered and paged."""

    def test_a_failed_row_is_shown_with_its_place_and_columns(self, viewer: TestClient, ran: Ran) -> None:
        found = viewer.get(ran.url("/list")).json()
        assert (found["total"], found["page"], found["pages"]) == (1, 1, 1)
        (row,) = found["rows"]
        assert (row["row_number"], row["outcome"], row["error_field"]) == ("3", "invalid", "leadId")
        assert "text" in dict(row["columns"])

    def test_outcome_and_text_filter(self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]) -> None:
        rows = [fate(1, "delivered", "", note="Elm Street"), fate(2, note="elm street"), fate(3, "rejected", "no ELM")]
        report_at(report_of([*rows, fate(4, "not_attempted", "stopped")]))

        def numbers(query: str) -> list[str]:
            return [row["row_number"] for row in viewer.get(ran.url(f"/list?{query}")).json()["rows"]]

        assert numbers("") == ["2", "3", "4"]
        assert numbers("outcome=rejected") == ["3"]
        assert numbers("outcome=") == ["1", "2", "3", "4"]
        assert numbers("outcome=&text=elm") == ["1", "2", "3"]
        assert numbers("outcome=&text=elm%20STREET") == ["1", "2"]
        assert numbers("outcome=<script>") == []

    def test_rows_of_one_code_are_found_by_it(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]
    ) -> None:
        rows = [
            fate(n, "rejected", "no", lofty_error_code=code, lead=20012) for n, code in enumerate((20012, 20006, ""))
        ]
        report_at(report_of(rows))
        found = viewer.get(ran.url("/list?code=20012")).json()
        assert [row["row_number"] for row in found["rows"]] == ["0"]

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
        assert viewer.get(ran.url("/list?text=xxx&page=200")).json()["total"] == 10_000
        assert viewer.get(ran.url("/standing")).status_code == 200
        assert time.process_time() - began < 5  # far above what it takes; a report that is read again and again is not

    def test_a_damaged_report_says_so(self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path]) -> None:
        for content in (b"", b"a,b\n1,2\n", b"\xff\xfe\x00", report_of([fate(1)]) + b"1,2\r\n"):
            report_at(content)
            answer = viewer.get(ran.url("/list"))
            assert answer.status_code == 404
            assert "report" in answer.json()["detail"]


class TestWhatTasksPush:
    """An XCom may hold anything: whoever may write XComs may write this one."""

    @pytest.mark.parametrize(
        "pushed",
        [
            {"outcomes": "text"}, {"outcomes": [1]}, {"outcomes": {"delivered": {"a": 1}}}, {"summary": 5},
            {"summary": "x"}, {"summary": {"errors": None}}, {"summary": {"errors": [1, {}, {"outcome": []}]}},
            {"summary": {"errors": [{"outcome": "delivered"}, {"outcome": "rejected", "error_code": [1]}]}},
            {"error": 5}, {"error": {"text": "\ud800"}}, {"report_path": {}}, {"limit": float("nan")}, {"left": 10**400},
            {"phase": ["ended"]}, {"phase": "ended", "summary": {"report_path": 7}}, {"at": {"<script>": 1}},
        ],
        ids=repr,
    )  # fmt: skip
    def test_the_page_takes_of_it_what_it_knows(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch, pushed: dict[str, Any]
    ) -> None:
        monkeypatch.setattr(
            "airflow_provider_lofty.ui.status.progress_of", lambda session, task: cleaned({"try_number": 1, **pushed})
        )
        answer = viewer.get(ran.url("/standing"))
        assert answer.status_code == 200
        told = answer.json()
        assert all(isinstance(count, int) for count in told["outcomes"].values())
        assert all(group["action"] for group in told["groups"])

    def test_what_a_task_pushes_passes_whole(self) -> None:
        summary = {"read": 3, "delivered": 2, "invalid": 1, "seconds": 1.5, "report_path": "/r/x.csv", "errors": [
            {"count": 1, "outcome": "invalid", "http_status": None, "error_code": None, "error_field": "leadId",
             "error": "must be an id", "example_source": "rows", "example_row": 3, "example_lead_id": 9007199254740995},
        ]}  # fmt: skip
        given = {"try_number": 1, "phase": "ended", "read": 3, "preview": False, "limit": 500.0, "summary": summary,
                 "error": {"type": "LoftyRowsFailed", "text": "1 of 3"}, "outcomes": {"delivered": 2}}  # fmt: skip
        found = cleaned(given)
        assert {name: found[name] for name in given if name != "summary"} == {
            name: value for name, value in given.items() if name != "summary"
        }
        assert {name: found["summary"][name] for name in summary if name != "errors"} == {
            name: value for name, value in summary.items() if name != "errors"
        }
        (group,) = found["summary"]["errors"]
        assert group == {**summary["errors"][0], "example_lead_id": "9007199254740995"}


class TestReport:
    """The file itself: the right one, and no other."""

    def test_it_is_downloaded_whole(self, viewer: TestClient, ran: Ran) -> None:
        answer = viewer.get(ran.url("/report"))
        assert answer.content == ran.report.read_bytes()
        assert answer.headers["content-disposition"] == f"attachment; filename*=utf-8''{quote(ran.report.name)}"
        assert answer.headers["content-type"].startswith("text/csv")

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
        monkeypatch.setattr("airflow_provider_lofty.ui.status.progress_of", lambda session, task: facts)
        told = viewer.get(ran.url("/standing")).json()
        assert told["outcomes"] == {"delivered": 1}
        assert (told["report"]["is_here"], told["report"]["why"]) == (False, "it is written when the run ends")

    def test_a_killed_run_names_no_report(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        report_at(None)
        facts = {"try_number": 1, "phase": "sending", "report_path": str(ran.report), "outcomes": {"delivered": 1}}
        monkeypatch.setattr("airflow_provider_lofty.ui.status.progress_of", lambda session, task: facts)
        report = viewer.get(ran.url("/standing")).json()["report"]
        assert (report["is_here"], report["path"]) == (False, None)
        assert report["why"] == "the task ended before it could write one"

    def test_a_run_that_wrote_no_report_names_none(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        facts = {"try_number": 1, "phase": "ended", "report_path": str(ran.report), "error": {"type": "X", "text": ""}}
        monkeypatch.setattr("airflow_provider_lofty.ui.status.progress_of", lambda session, task: facts)
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

            def __next__(self) -> bytes:
                raise error

        def opened(path: str) -> Any:
            if when == "opened":
                raise error
            return Broken()

        monkeypatch.setattr("airflow_provider_lofty.ui.reports._open_inside", opened)
        for asked in ("/list", "/report"):
            answer = viewer.get(ran.url(asked))
            assert answer.status_code == 404
            assert "topSecret" not in answer.text
        assert viewer.get(ran.url("/standing")).json()["outcomes"] == {"delivered": 2, "invalid": 1}

    def test_without_a_folder_there_are_counts_and_no_rows(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AIRFLOW__LOFTY__REPORT_FOLDER")
        told = viewer.get(ran.url("/standing")).json()
        assert told["outcomes"] == {"delivered": 2, "invalid": 1}
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

    def test_no_id_leads_out_of_the_folder(self, report_folder: Path) -> None:
        for odd in ("../../etc/passwd", "/etc/passwd", "..", "a\\..\\b", "%2e%2e"):
            path = ReportFile(TaskKey(odd, odd, odd)).path
            assert path is not None
            assert Path(path).resolve().parent == report_folder.resolve()
