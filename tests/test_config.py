"""The section ``[lofty]`` of ``airflow.cfg``, and connections by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.practice import Store, read_report, row, run, task_instance

from airflow_provider_lofty import config
from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.sandbox import Sandbox

NOT_SAID = {"requests_per_minute": None, "timeout_seconds": None}


def configure(monkeypatch: pytest.MonkeyPatch, **options: str) -> None:
    for name, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__LOFTY__{name.upper()}", value)


def test_nothing_is_configured_unless_somebody_did() -> None:
    assert config.numbers() == {}
    assert config.report_folder() is None


def test_numbers_stand_in_for_what_the_connection_does_not_say(
    connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, requests_per_minute="120", timeout_seconds=" 7.5 ")
    connect("http://127.0.0.1:1", extra=NOT_SAID)
    settings = LoftyHook().client.settings
    assert (settings.requests_per_minute, settings.timeout_seconds) == (120, 7.5)


def test_the_connection_comes_first(connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, requests_per_minute="120", timeout_seconds="7.5")
    connect("http://127.0.0.1:1", extra={"requests_per_minute": 900, "timeout_seconds": 3})
    settings = LoftyHook().client.settings
    assert (settings.requests_per_minute, settings.timeout_seconds) == (900, 3)


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "1e99"])
def test_a_wrong_number_is_named_with_its_place(
    connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    configure(monkeypatch, timeout_seconds=value)
    connect("http://127.0.0.1:1", extra=NOT_SAID)
    with pytest.raises(LoftyConfigurationError, match=r"timeout_seconds in \[lofty\] of airflow\.cfg must be"):
        LoftyHook().client.settings  # noqa: B018


@pytest.mark.parametrize("name", ["requests_per_minute", "timeout_seconds", "report_folder"])
def test_an_option_that_cannot_be_read_is_named(
    lofty: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    works = config.conf.get

    def broken(*where: Any, **given: Any) -> Any:
        if where == ("lofty", name):
            raise RuntimeError("marigold")
        return works(*where, **given)

    connect(lofty, extra=NOT_SAID)
    monkeypatch.setattr(config.conf, "get", broken)
    ended = run(rows=[row(1)])
    assert type(ended.error) is LoftyConfigurationError
    assert f"{name} in [lofty] of airflow.cfg cannot be read (RuntimeError)" in str(ended.error)
    assert lofty.requests == []


@pytest.mark.parametrize(("value", "is_on"), [("", False), ("False", False), ("f", False), ("TRUE", True), ("1", True)])
def test_whether_task_state_is_cleared_is_a_boolean(monkeypatch: pytest.MonkeyPatch, value: str, is_on: bool) -> None:
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", value)
    assert config.clears_state_on_success() is is_on


@pytest.mark.parametrize("is_on", [True, False])
def test_a_store_that_is_cleared_on_success_is_warned_of(
    lofty: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, is_on: bool
) -> None:
    connect(lofty)
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", str(is_on))
    ended = run(rows=[row(1)], store=Store())
    assert ended.counts == {"delivered": 1}
    assert any("clear_on_success is on" in line for line in ended.log) is is_on


def test_another_type_is_a_configuration_error(
    lofty: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(lofty)
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", "maybe")
    ended = run(rows=[row(1)], store=Store())
    assert type(ended.error) is LoftyConfigurationError
    assert "clear_on_success in [state_store] of airflow.cfg must be True or False" in str(ended.error)
    assert lofty.requests == []


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("http://localhost:8080", "/"),
        ("https://airflow.example.com/", "/"),
        ("https://example.com/airflow", "/airflow/"),
        ("https://example.com/a/b/", "/a/b/"),
        ("", "/"),
    ],
)
def test_pages_begin_where_the_web_server_says(monkeypatch: pytest.MonkeyPatch, base_url: str, path: str) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    assert config.base_path() == path


@pytest.mark.parametrize("ending", ["", "/"])
def test_every_task_without_a_report_path_writes_into_the_report_folder(
    lofty: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ending: str
) -> None:
    connect(lofty)
    folder = tmp_path / "not" / "there yet"
    configure(monkeypatch, report_folder=f"{folder}{ending}")
    for map_index, try_number in ((-1, 1), (-1, 2), (3, 1)):
        rows = [row(10 + map_index + try_number), row(0)]
        run(task_instance(map_index=map_index, try_number=try_number), rows=rows)
    reports = sorted(folder.iterdir())
    assert len(reports) == 3
    assert [line["lofty_outcome"] for line in read_report(reports[0])] == ["delivered", "invalid"]
    assert {read_report(report)[0]["lead_id"] for report in reports} == {"10", "11", "14"}


def test_a_report_path_comes_first(
    lofty: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connect(lofty)
    configure(monkeypatch, report_folder=str(tmp_path / "general"))
    done = run(rows=[row(1)], report_path=str(tmp_path / "own.csv"))
    assert done.summary["report_path"] == str(tmp_path / "own.csv")
    assert not (tmp_path / "general").exists()


@pytest.mark.parametrize(
    "value",
    ['{"conn_type": "lofty", "port": "SECRET"}', '{"password": "SECRET"', "lofty://:SECRET@lofty.example.com:abc"],
)
def test_a_connection_that_airflow_cannot_read_is_not_called_undefined(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LOFTY_DEFAULT", value)
    with pytest.raises(LoftyConfigurationError, match="AIRFLOW_CONN_LOFTY_DEFAULT is set, but is neither") as caught:
        LoftyHook().client.settings  # noqa: B018
    assert "SECRET" not in str(caught.value)


def test_a_connection_that_is_not_there_is_called_so() -> None:
    with pytest.raises(LoftyConfigurationError, match="isn't defined"):
        LoftyHook().client.settings  # noqa: B018
