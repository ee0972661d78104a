"""Only a report in the report folder is read, whatever somebody types; and errors lead to the Dag that reads it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from support.values import shown

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftySourceNotReady
from airflow_provider_lofty.report.again import report_in_folder, send_again
from airflow_provider_lofty.report.summary import Summary
from airflow_provider_lofty.run.verdict import status_text

Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    def configure(folder: object = None, dag_id: str = "", base_url: str = "") -> None:
        monkeypatch.setenv("AIRFLOW__LOFTY__REPORT_FOLDER", "" if folder is None else str(folder))
        monkeypatch.setenv("AIRFLOW__LOFTY__SEND_REPORT_DAG_ID", dag_id)
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)

    return configure


@pytest.fixture
def folder(tmp_path: Path, configure: Configure) -> Path:
    """A report folder with a report, and a file beside it that nobody may read this way."""
    reports = tmp_path / "reports"
    (reports / "week").mkdir(parents=True)
    for path in (reports / "r.csv", reports / "week" / "r[1].jsonl", tmp_path / "secret.csv", tmp_path / "reports.csv"):
        path.touch()
    configure(reports)
    return reports


class TestOnDisk:
    @pytest.mark.parametrize("slash", ["", "/", "//"])
    def test_a_report_is_found_by_its_path_or_its_name(self, folder: Path, configure: Configure, slash: str) -> None:
        configure(f"{folder}{slash}")
        for name in ("r.csv", "week/r[1].jsonl"):
            assert report_in_folder(f"{folder}/{name}") == f"{folder}/{name}"
        assert report_in_folder(" r.csv\n") == f"{folder}/r.csv"

    def test_so_it_is_where_the_folder_is_a_url_or_a_link(self, folder: Path, configure: Configure) -> None:
        configure(folder.as_uri())
        assert report_in_folder(f"{folder.as_uri()}/r.csv") == f"{folder}/r.csv"
        assert report_in_folder(f"{folder}/r.csv") == f"{folder}/r.csv"
        link = folder.parent / "link"
        link.symlink_to(folder)
        configure(link)
        assert report_in_folder(f"{link}/r.csv") == f"{folder}/r.csv"
        assert report_in_folder(f"{folder}/r.csv") == f"{folder}/r.csv"

    @pytest.mark.parametrize(
        "typed",
        [
            "", " ", "/", "{}", "{}/", "/etc/passwd", "{}/../secret.csv", "{}/week/../../secret.csv", "../secret.csv",
            "{}/./r.csv", "{}//r.csv", "{}.csv", "{}/r.csv\0", "{}/*.csv", "{}/**/r.csv", "{}/week", "{}/gone.csv",
            "r.txt", "{}/r.csv.gz", "s3://bucket/r.csv", "file://{}/r.csv", "~/r.csv", "reports/r.csv", "x" * 10_000,
            "simplecache::file://{}/r.csv", ".", "..", "{}/week/", None, 5, ["{}/r.csv"],
        ],
        ids=shown,
    )  # fmt: skip
    def test_anything_else_is_refused_by_its_name(self, folder: Path, typed: object) -> None:
        given = typed.format(folder) if isinstance(typed, str) else typed
        with pytest.raises(LoftyConfigurationError, match=r"^the report .*; nothing was sent$") as refused:
            report_in_folder(given)  # type: ignore[arg-type]
        assert len(str(refused.value)) < 1000

    def test_no_link_is_followed(self, folder: Path) -> None:
        (folder / "inside.csv").symlink_to("r.csv")
        (folder / "outside.csv").symlink_to(folder.parent / "secret.csv")
        (folder / "away").symlink_to(folder.parent)
        (folder / "broken.csv").symlink_to("gone.csv")
        for name in ("inside.csv", "outside.csv", "away/secret.csv", "broken.csv"):
            with pytest.raises(LoftyConfigurationError, match="is a link, or lies behind one"):
                report_in_folder(name if "/" not in name else f"{folder}/{name}")

    def test_nothing_but_a_plain_file_is_read(self, folder: Path) -> None:
        os.mkfifo(folder / "pipe.csv")
        (folder / "folder.csv").mkdir()
        for name in ("pipe.csv", "folder.csv"):
            with pytest.raises(LoftyConfigurationError, match="is not a plain file"):
                report_in_folder(name)

    def test_without_a_folder_nothing_is_read(self, folder: Path, configure: Configure) -> None:
        configure(None)
        with pytest.raises(LoftyConfigurationError, match="that is not set; nothing was sent"):
            report_in_folder(f"{folder}/r.csv")


class TestInStorage:
    @pytest.fixture(autouse=True)
    def stored(self, configure: Configure) -> Iterator[None]:
        storage = fsspec.filesystem("memory")
        attach("memory", fs=storage)
        for name in ("box/reports/r.csv", "box/secret.csv"):
            storage.pipe_file(name, b"lead_id")
        configure("memory://box/reports")
        yield
        storage.store.clear()

    def test_a_report_is_found_by_its_url_or_its_name(self) -> None:
        for typed in ("memory://box/reports/r.csv", "r.csv"):
            assert report_in_folder(typed) == "memory://box/reports/r.csv"

    @pytest.mark.parametrize(
        "typed",
        [
            "memory://box/secret.csv", "memory://box/reports/../secret.csv", "memory://box/reports/gone.csv",
            "memory://box/reports/*.csv", "memory://other@box/reports/r.csv", "/box/reports/r.csv", "../secret.csv",
            "memory://box/reports//r.csv", "file:///etc/passwd.csv", "memory://box/reports/%2e%2e/secret.csv",
            "r.csv::x.csv",
        ],
    )  # fmt: skip
    def test_anything_else_is_refused(self, typed: str) -> None:
        with pytest.raises(LoftyConfigurationError, match=r"^the report .*; nothing was sent$"):
            report_in_folder(typed)

    def test_storage_that_fails_may_be_there_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(path: str) -> bool:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(ObjectStoragePath("memory://box/reports").fs, "isfile", fails)
        with pytest.raises(LoftySourceNotReady, match="cannot be read: Input/output error"):
            report_in_folder("r.csv")


class TestTheWayThere:
    def test_it_is_the_page_of_the_dag_and_what_to_trigger_it_with(self, configure: Configure) -> None:
        configure("/reports", "send report", "https://airflow.example.com/team/")
        again = send_again('/reports/a "1".csv')
        assert again is not None
        assert (again.dag_id, again.url) == ("send report", "https://airflow.example.com/team/dags/send%20report")
        assert json.loads(again.conf) == {"report": '/reports/a "1".csv'}

    def test_without_a_base_url_it_is_a_path(self, configure: Configure) -> None:
        configure("/reports", "send")
        assert send_again("/reports/r.csv") == ("send", "/dags/send", '{"report": "/reports/r.csv"}')

    @pytest.mark.parametrize(
        ("folder", "dag_id", "report"),
        [("/reports", "", "/reports/r.csv"), (None, "send", "/reports/r.csv"), ("/reports", "send", "/other/r.csv"),
         ("/reports", "send", None), ("/reports", "send", "/reports.csv")],
    )  # fmt: skip
    def test_there_is_none_where_that_dag_would_not_take_the_report(
        self, configure: Configure, folder: str | None, dag_id: str, report: str | None
    ) -> None:
        configure(folder, dag_id)
        assert send_again(report) is None

    def test_an_error_shows_it_behind_the_report(self, configure: Configure) -> None:
        summary = Summary(read=1, invalid=1, report_path="/reports/r.csv")
        assert status_text(summary).endswith(". Report: /reports/r.csv")
        configure("/reports", "send", "http://localhost:8080")
        assert status_text(summary).endswith(
            ". Report: /reports/r.csv. To send what failed in it, trigger http://localhost:8080/dags/send with "
            '{"report": "/reports/r.csv"}'
        )
