"""A connection without a hook says which package to install."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook
from support.practice import row, run

from airflow_provider_lofty.config import named_connection
from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.providers import database_hook


def refusal(monkeypatch: pytest.MonkeyPatch, conn_type: str, **hook_params: object) -> str:
    connection = {"conn_type": conn_type, "host": "db.example.com", "password": "SECRET"}
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", json.dumps(connection))
    with pytest.raises(LoftyConfigurationError) as caught:
        database_hook("elsewhere", hook_params or None)
    assert caught.value.__cause__ is None
    said = str(caught.value)
    assert said.startswith("the connection 'elsewhere' ")
    assert "SECRET" not in said
    return said


@pytest.mark.parametrize("conn_type", ["generic", "", "email", "carrier_pigeon"])
def test_a_type_without_a_hook_is_to_be_set(monkeypatch: pytest.MonkeyPatch, conn_type: str) -> None:
    said = refusal(monkeypatch, conn_type)
    assert "has no hook here: set the type of its database, such as 'postgres'" in said
    assert "apache-airflow-providers-postgres" in said


@pytest.mark.parametrize(
    ("conn_type", "package"),
    [
        ("snowflake", "snowflake"),
        ("mysql", "mysql"),
        ("mssql", "microsoft-mssql"),
        ("gcpbigquery", "google"),
        ("google_cloud_platform", "google"),
        ("redshift", "amazon"),
        ("athena", "amazon"),
        ("trino", "trino"),
        ("hiveserver2", "apache-hive"),
        ("databricks", "databricks"),
    ],
)
def test_a_provider_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, conn_type: str, package: str
) -> None:
    assert f"it needs the package apache-airflow-providers-{package}, which" in refusal(monkeypatch, conn_type)


def test_a_type_is_written_as_airflow_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "its type is written 'postgres', not 'Postgres'" in refusal(monkeypatch, "Postgres")


@pytest.mark.parametrize("conn_type", ["fs", "lofty"])
def test_something_else_than_a_database_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch, conn_type: str) -> None:
    assert "is not an SQL database" in refusal(monkeypatch, conn_type)


def test_a_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_hook(self: object, **params: Any) -> DbApiHook:
        raise ModuleNotFoundError("No module named 'made_up_driver'")

    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", "sqlite://")
    monkeypatch.setattr(type(named_connection("elsewhere")), "get_hook", get_hook)  # whose it is differs by Airflow
    assert "its provider lacks a package: No module named 'made_up_driver'" in refusal(monkeypatch, "sqlite")


def test_parameters_that_the_hook_does_not_take_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DbApiHook, "__init__", lambda self, conn_id=None: None)
    assert "takes no such source_hook_params" in refusal(monkeypatch, "sqlite", made_up=1)


@pytest.mark.parametrize("argument", ["source_conn_id", "journal_conn_id"])
def test_a_task_fails_before_anything_is_sent(
    lofty: Any, connect: Any, monkeypatch: pytest.MonkeyPatch, argument: str
) -> None:
    connect(lofty)
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", json.dumps({"conn_type": "generic"}))
    source = {"sql": "SELECT 1"} if argument == "source_conn_id" else {"rows": [row(1)]}
    ended = run(**source, **{argument: "elsewhere"})
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "apache-airflow-providers-postgres" in str(ended.error)
    assert lofty.requests == []
