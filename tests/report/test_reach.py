"""A report folder that only the worker sees is noticed, and no other."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support.practice import row, run

from airflow_provider_lofty.report import reach
from airflow_provider_lofty.report.reach import reach_warning
from airflow_provider_lofty.sandbox import Sandbox

ELSEWHERE = {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://airflow-apiserver:8080/execution/"}
BY_CELERY = {"AIRFLOW__CORE__EXECUTOR": "LocalExecutor,CeleryExecutor"}


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is mounted where; nothing, wherever these tests run."""
    monkeypatch.setattr(reach, "_MOUNTS", tmp_path / "mounts")
    monkeypatch.setattr(Path, "is_mount", lambda self: str(self) in ("/", "/volume"))
    return tmp_path / "mounts"


@pytest.mark.parametrize("setting", [ELSEWHERE, BY_CELERY])
@pytest.mark.parametrize("folder", ["/reports/", "file:///reports/", "/volume/../reports/"])
def test_a_folder_on_a_disk_of_the_worker_is_warned_of(
    mounts: Path, monkeypatch: pytest.MonkeyPatch, setting: dict[str, str], folder: str
) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    warning = reach_warning(folder)
    assert warning is not None
    assert socket.gethostname() in warning
    assert "a volume that workers and web server share" in warning


@pytest.mark.parametrize("folder", ["/volume/reports/", "s3://bucket/reports/"])
def test_a_place_that_may_be_shared_is_not(mounts: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.setenv(*next(iter(ELSEWHERE.items())))
    assert reach_warning(folder) is None


@pytest.mark.parametrize("kind", ["tmpfs", "overlay"])
def test_what_is_mounted_in_memory_is_no_volume(mounts: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv(*next(iter(ELSEWHERE.items())))
    mounts.write_text(f"none / overlay rw 0 0\nnone /volume {kind} rw 0 0\n", encoding="utf-8")
    assert reach_warning("/volume/reports/") is not None


def test_where_the_web_server_runs_beside_the_task_all_is_well(mounts: Path) -> None:
    assert reach_warning("/reports/") is None


def test_an_address_that_cannot_be_read_is_no_other_machine(mounts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://[airflow-apiserver:8080/execution/")
    assert reach_warning("/reports/") is None


def test_a_task_warns_once_and_only_of_the_folder_that_the_page_looks_in(
    lofty: Sandbox, mounts: Path, tmp_path: Path, connect: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(lofty)  # type: ignore[operator]
    monkeypatch.setenv(*next(iter(ELSEWHERE.items())))
    monkeypatch.setenv("AIRFLOW__LOFTY__REPORT_FOLDER", str(tmp_path / "reports"))
    warned = [line for line in run(rows=[row(1)]).log if "report_folder" in line]
    assert len(warned) == 1
    own = run(rows=[row(2)], report_path=str(tmp_path / "own.csv"))
    assert [line for line in own.log if "report_folder" in line] == []
