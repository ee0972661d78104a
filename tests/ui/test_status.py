"""What came of a try, and what its task has pushed about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_lofty.ui.index import Index
from airflow_provider_lofty.ui.indexes import Indexes
from airflow_provider_lofty.ui.reports import ReportFile
from airflow_provider_lofty.ui.structs import status_from

from .conftest import Ran, run_from_task, token

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

ASKED = ("", "/standing", "/list", "/report")

pytestmark = [
    # Airflow's own code, which these tests run whole, warns about itself.
    pytest.mark.filterwarnings("default"),
]


class TestStanding:
    """What came of a try."""

    def test_it_tells_tries_outcomes_and_errors(self, viewer: TestClient, ran: Ran) -> None:
        told = viewer.get(ran.url("/standing")).json()
        assert [(one["number"], one["state"]) for one in told["tries"]] == [(1, "success")]
        assert (told["try"], told["state"], told["is_over"]) == (1, "success", True)
        assert told["outcomes"] == {"delivered": 2, "unmatched": 1}
        assert told["summary"]["read"] == 3
        assert told["progress"]["phase"] == "ended"
        assert told["report"] == {
            "is_here": True, "path": str(ran.report), "why": None, "is_configured": True, "send_again": None
        }  # fmt: skip
        (group,) = told["groups"]
        assert (group["count"], group["outcome"], group["error_field"]) == (1, "unmatched", "email")
        assert group["meaning"]
        assert group["action"]

    def test_it_names_the_dag_that_sends_what_failed(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__LOFTY__SEND_REPORT_DAG_ID", "lofty_send_report")
        again = viewer.get(ran.url("/standing")).json()["report"]["send_again"]
        assert again["url"].endswith("/dags/lofty_send_report")
        assert json.loads(again["conf"]) == {"report": str(ran.report)}

    def test_without_a_summary_the_report_tells(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As for a try whose XComs Airflow has removed when the next one began."""
        with_summary = viewer.get(ran.url("/standing")).json()
        monkeypatch.setattr("airflow_provider_lofty.ui.status.pushed_status", lambda session, task: None)
        redact = viewer.get(ran.url("/standing")).json()
        assert redact["progress"] is None
        assert redact["outcomes"] == with_summary["outcomes"]
        (group,), (expected,) = redact["groups"], with_summary["groups"]
        assert group == {**expected, "example_lead_id": group["example_lead_id"]}

    def test_a_report_that_turns_out_to_be_none_leaves_the_rest_of_the_page(
        self, viewer: TestClient, ran: Ran, report_at: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        report_at(b"a,b\n1,2\n")
        monkeypatch.setattr("airflow_provider_lofty.ui.status.pushed_status", lambda session, task: None)
        told = viewer.get(ran.url("/standing")).json()
        assert (told["try"], told["state"], told["outcomes"]) == (1, "success", {})
        assert told["report"]["is_here"] is False
        assert "report" in told["report"]["why"]

    def test_an_index_that_was_just_swept_away_is_asked_for_again(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make = Indexes.make

        def made_and_swept(indexes: Indexes, report: ReportFile) -> Index:
            index = make(indexes, report)
            index.path.unlink()
            return index

        monkeypatch.setattr("airflow_provider_lofty.ui.status.pushed_status", lambda session, task: None)
        with monkeypatch.context() as while_it_is_swept:
            while_it_is_swept.setattr(Indexes, "make", made_and_swept)
            for asked in ("/standing", "/groups", "/list", "/report?rows=failed"):
                answer = viewer.get(ran.url(asked))
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
                assert answer.json()["detail"] == "the report has to be read anew; ask again"
        assert viewer.get(ran.url("/standing")).json()["outcomes"] == {"delivered": 2, "unmatched": 1}

    def test_a_task_without_a_map_index_comes_as_airflow_leaves_it(self, viewer: TestClient, ran: Ran) -> None:
        assert viewer.get(ran.url("/standing", map_index="{MAP_INDEX}")).json()["try"] == 1

    def test_the_task_of_another_operator_has_nothing(self, viewer: TestClient, ran: Ran) -> None:
        told = viewer.get(ran.url("/standing", task_id="read_visits")).json()
        assert (told["progress"], told["outcomes"], told["groups"]) == (None, {}, [])
        assert told["report"]["is_here"] is False


class TestStores:
    """XComs may be kept in a store of the admin's choice."""

    @pytest.fixture
    def progress(self, ran: Ran) -> Iterator[Callable[[Any], Any]]:
        """Give what the task has pushed, with something else in its place in Airflow's database."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session
        from sqlalchemy import select, update

        own = (XComModel.dag_id == ran.dag_id, XComModel.run_id == ran.run_id, XComModel.key == "lofty_progress")
        with create_session() as session:
            kept = session.scalar(select(XComModel.value).where(*own))

        def put(value: Any) -> Any:
            with create_session() as session:
                session.execute(update(XComModel).where(*own).values(value=value, timestamp=datetime.now(timezone.utc)))
            return kept

        yield put
        put(kept)

    @pytest.fixture(autouse=True)
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        from airflow.providers.common.io.xcom import backend

        monkeypatch.setattr(backend, "_get_base_path", lambda: ObjectStoragePath(tmp_path.as_uri()))
        monkeypatch.setattr("airflow_provider_lofty.ui.xcoms.XCom", backend.XComObjectStorageBackend)
        return tmp_path

    def test_what_it_keeps_elsewhere_is_read_through_it(
        self, viewer: TestClient, ran: Ran, store: Path, progress: Callable[[Any], Any]
    ) -> None:
        pushed = progress(f"{store.as_uri()}/progress.json")
        (store / "progress.json").write_text(json.dumps({**pushed, "requests": 4711}), encoding="utf-8")
        told = viewer.get(ran.url("/standing")).json()
        assert (told["progress"]["requests"], told["summary"]["read"]) == (4711, 3)

    @pytest.fixture
    def stored(
        self, viewer: TestClient, store: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Ran]:
        """A task that ran with that store; its run is deleted in the end, for others look at the newest one."""
        from airflow.providers.common.io.xcom import backend

        monkeypatch.setattr(backend, "_get_threshold", lambda: 0)
        for module in ("airflow_provider_lofty.operators.xcoms", "airflow.sdk.execution_time.task_runner"):
            monkeypatch.setattr(f"{module}.XCom", backend.XComObjectStorageBackend)
        run = run_from_task(tmp_path_factory.mktemp("reports"))
        yield run
        headers = {"Authorization": f"Bearer {token('ADMIN')}"}
        gone = viewer.delete(f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}", headers=headers)
        assert gone.status_code == 204

    def test_what_a_task_leaves_in_it_is_shown_and_no_object_is_left_that_nobody_knows(
        self, viewer: TestClient, ran: Ran, stored: Ran, store: Path
    ) -> None:
        told = viewer.get(stored.url("/standing")).json()
        assert (told["progress"]["phase"], told["summary"]["read"]) == ("ended", 3)
        assert told["outcomes"] == {"delivered": 2, "unmatched": 1}
        kept = [json.loads(path.read_bytes()) for path in store.rglob("*") if path.is_file()]
        assert len([one for one in kept if isinstance(one, dict) and one.get("phase")]) == 1
        link = f"/api/v2/dags/{stored.dag_id}/dagRuns/{stored.run_id}/taskInstances/{stored.task_id}/links"
        (shown,) = viewer.get(link).json()["extra_links"].values()
        assert shown.endswith(f"{stored.url()}?try=1")

    def test_what_it_leaves_in_the_database_is_read_there(
        self, viewer: TestClient, ran: Ran, progress: Callable[[Any], Any]
    ) -> None:
        progress(progress(None))
        assert viewer.get(ran.url("/standing")).json()["summary"]["read"] == 3

    @pytest.mark.parametrize(
        "value", ["s3://nobody/serves/it", "{store}/gone.json", "{store}", "/etc/passwd", ["x"], {"ref": 1}]
    )
    def test_what_cannot_be_read_is_nothing(
        self, viewer: TestClient, ran: Ran, store: Path, progress: Callable[[Any], Any], value: Any
    ) -> None:
        progress(value.format(store=store.as_uri()) if isinstance(value, str) else value)
        told = viewer.get(ran.url("/standing")).json()
        assert (told["summary"], told["outcomes"]) == (None, {"delivered": 2, "unmatched": 1})  # the report tells


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
            {"lead_url": 5}, {"lead_url": ["x"]}, {"columns": ["x"]}, {"columns": {"leadId": 5}}, {"errors": 5}, {"errors": [1, {"outcome": "delivered"}, {"outcome": "invalid", "count": "x"}]},
            {"summary": {"cursor": 5}}, {"summary": {"cursor": {"from": [1], "to": "7", "behind": -1}}},
            {"profile_remarks": 5, "summary": {"profile_remarks": [{}]}},
        ],
        ids=repr,
    )  # fmt: skip
    def test_the_page_takes_of_it_what_it_knows(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch, pushed: dict[str, Any]
    ) -> None:
        monkeypatch.setattr(
            "airflow_provider_lofty.ui.status.pushed_status",
            lambda session, task: status_from({"try_number": 1, **pushed}),
        )
        answer = viewer.get(ran.url("/standing"))
        assert answer.status_code == 200
        told = answer.json()
        assert all(isinstance(count, int) for count in told["outcomes"].values())
        assert all(group["action"] for group in told["groups"])

    def test_a_summary_of_another_format_is_left_alone_and_the_report_tells(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pushed = {"try_number": 1, "phase": "ended", "summary": {"format": 2, "read": 99, "delivered": 99}}
        monkeypatch.setattr("airflow_provider_lofty.ui.status.pushed_status", lambda session, task: status_from(pushed))
        told = viewer.get(ran.url("/standing")).json()
        assert told["summary"] is None
        assert told["outcomes"] == {"delivered": 2, "unmatched": 1}
        assert told["report"]["is_here"] is True

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ("https://crm.example.com/leads/{lead_id}", "https://crm.example.com/leads/{lead_id}"),
            ("javascript:alert({lead_id})", None),
            ("http://crm.example.com/{lead_id}", None),
            ("https://{lead_id}.example.com/", None),
        ],
    )
    def test_leads_link_to_a_site_over_https_or_not_at_all(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch, given: str, told: str | None
    ) -> None:
        pushed = {"try_number": 1, "lead_url": given}
        monkeypatch.setattr("airflow_provider_lofty.ui.status.pushed_status", lambda session, task: status_from(pushed))
        assert viewer.get(ran.url("/standing")).json()["lead_url"] == told

    def test_what_is_wrong_is_told_while_the_run_goes_on(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        group = {"count": 3, "outcome": "invalid", "error_field": "created", "error": "created must be a timestamp"}
        pushed = {"try_number": 1, "phase": "sending", "outcomes": {"invalid": 3}, "left": 9, "errors": [group]}
        monkeypatch.setattr("airflow_provider_lofty.ui.status.pushed_status", lambda session, task: status_from(pushed))
        monkeypatch.setattr("airflow_provider_lofty.ui.queries._OVER", ())
        monkeypatch.setattr("airflow_provider_lofty.ui.status.RUNNING", "success")
        (told,) = viewer.get(ran.url("/standing")).json()["groups"]
        assert (told["count"], told["error_field"], told["error"]) == (3, "created", "created must be a timestamp")
        assert "at its source" in told["action"]

    def test_a_long_lead_id_comes_to_the_browser_as_text(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        group = {"count": 1, "outcome": "rejected", "example_lead_id": 9007199254740995}
        pushed = {"try_number": 1, "phase": "ended", "summary": {"read": 1, "rejected": 1, "errors": [group]}}
        monkeypatch.setattr("airflow_provider_lofty.ui.status.pushed_status", lambda session, task: status_from(pushed))
        (told,) = viewer.get(ran.url("/standing")).json()["groups"]
        assert told["example_lead_id"] == "9007199254740995"

    def test_what_a_task_pushes_passes_whole(self) -> None:
        summary = {"read": 3, "delivered": 2, "invalid": 1, "seconds": 1.5, "report_path": "/r/x.csv",
                   "profile_remarks": ["Lofty shows type in lower case"], "errors": [
            {"count": 1, "outcome": "invalid", "http_status": None, "error_code": None, "error_field": "leadId",
             "error": "must be an id", "example_source": "rows", "example_row": 3, "example_line": 5,
             "example_lead_id": 9007199254740995},
        ]}  # fmt: skip
        given = {"try_number": 1, "phase": "ended", "read": 3, "preview": False, "limit": 500.0, "summary": summary,
                 "error": {"type": "LoftyRowsFailed", "text": "1 of 3"}, "outcomes": {"delivered": 2}}  # fmt: skip
        found = msgspec.to_builtins(status_from(given))
        assert {name: found[name] for name in given if name != "summary"} == {
            name: value for name, value in given.items() if name != "summary"
        }
        assert {name: found["summary"][name] for name in summary if name != "errors"} == {
            name: value for name, value in summary.items() if name != "errors"
        }
        (group,) = found["summary"]["errors"]
        assert group == summary["errors"][0]


def test_a_cursor_is_shown_with_what_of_it_fits() -> None:
    cursor = {"column": "at", "from": None, "to": "7", "held_back_by": "2 not_attempted", "behind": 3}
    assert _cursor_of(cursor) == cursor
    assert _cursor_of({**cursor, "from": "1", "to": [7], "behind": "many"}) == {
        **cursor, "from": "1", "to": None, "behind": 0,
    }  # fmt: skip
    assert _cursor_of(None) is None
    assert _cursor_of("at") is None


def _cursor_of(pushed: object) -> Any:
    status = status_from({"phase": "ended", "summary": {"read": 1, "cursor": pushed}})
    return msgspec.to_builtins(status)["summary"].get("cursor")
