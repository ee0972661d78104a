"""Lineage without an Airflow that asks for it: names of datasets, and what goes wrong."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.practice import row, run_operator

import airflow_provider_lofty
from airflow_provider_lofty.openlineage import Query, lineage
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator


@pytest.mark.parametrize(
    ("source", "namespace", "name"),
    [
        ("/data/a.csv", "file", "/data/a.csv"),
        ("s3://bucket/year/a.csv", "s3://bucket", "year/a.csv"),
        ("s3://aws_default@bucket/to@day/a.csv", "s3://bucket", "to@day/a.csv"),
        ("gcs://bucket/a.csv", "gs://bucket", "a.csv"),
    ],
)
def test_files_are_named_as_openlineage_names_them(source: str, namespace: str, name: str) -> None:
    (told,) = lineage([source], {}, None).inputs
    assert (told.namespace, told.name) == (namespace, name)


def test_of_many_files_the_folders_are_named_and_not_all_of_them() -> None:
    few = lineage([f"/data/{n % 3}/{n}.csv" for n in range(51)], {}, None).inputs
    assert [told.name for told in few] == ["/data/0", "/data/1", "/data/2"]
    assert len(lineage([f"/data/{n}/a.csv" for n in range(1000)], {}, None).inputs) == 50


@pytest.mark.parametrize("conn_id", ["no_such_connection", "lofty_default"], ids=["none", "no database"])
def test_a_database_that_cannot_be_asked_is_left_out(
    lofty: Any, connect: Any, caplog: pytest.LogCaptureFixture, conn_id: str
) -> None:
    connect(lofty)
    told = lineage(Query(conn_id, sql="SELECT 1"), {}, None)
    assert told.inputs == []
    assert told.job_facets["sql"].query == "SELECT 1"
    assert "what was read is missing in the lineage (LoftyConfigurationError)" in caplog.text


def test_a_hook_without_a_namespace_tells_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LITE", '{"conn_type": "sqlite", "host": "/tmp/none.db"}')
    assert lineage(Query("lite", table="visits"), {}, None).inputs == []


def test_a_task_that_ended_before_it_read_has_sent_nothing(lofty: Any, connect: Any) -> None:
    connect(lofty)
    operator = LoftyAddActivityOperator(task_id="send", path="/data/a.csv", lofty_conn_id="nowhere")
    assert run_operator(operator).error is not None
    told = operator.get_openlineage_facets_on_failure(None)
    assert (told.inputs, told.outputs, told.run_facets) == ([], [], {})


def test_a_task_that_reads_a_database_tells_its_statement_and_where_the_rows_went(
    lofty: Any, connect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(lofty)
    with closing(sqlite3.connect(tmp_path / "lite.db")) as database, database:
        database.execute("CREATE TABLE visits (lead_id, type, text, link, picture, created)")
        database.execute("INSERT INTO visits VALUES (?, ?, ?, ?, ?, ?)", [str(cell) for cell in row(1).values()])
    monkeypatch.setenv("AIRFLOW_CONN_LITE", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "lite.db")}))
    sql = "SELECT * FROM visits"
    operator = LoftyAddActivityOperator(task_id="send", source_conn_id="lite", sql=sql)
    assert run_operator(operator).counts == {"delivered": 1}
    told = operator.get_openlineage_facets_on_complete(None)
    assert told.job_facets["sql"].query == sql
    (output,) = told.outputs
    assert (output.namespace, output.name) == (lofty.url.replace("http", "lofty"), "activities")
    assert output.outputFacets["outputStatistics"].rowCount == 1


@pytest.mark.program
def test_nothing_needs_the_optional_provider() -> None:
    provider = "airflow.providers.openlineage"  # whose metadata Airflow itself looks for
    code = (
        f"import sys; sys.modules.update(dict.fromkeys(('openlineage', '{provider}.extractors', '{provider}.sqlparser'))); "
        "import airflow_provider_lofty.operators.lofty, airflow_provider_lofty.openlineage"
    )
    folder = Path(airflow_provider_lofty.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr
