"""The extra link of a task, and the place that Airflow's tab looks at."""

from __future__ import annotations

import pytest
from support.practice import row, run, task_instance

from airflow_provider_lofty.links import HREF, LoftyReportLink
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator


def link_of(**ids: object) -> str:
    return LoftyReportLink().get_link(LoftyAddActivityOperator(task_id="send"), ti_key=task_instance(**ids))


def test_it_leads_to_the_page_of_the_try() -> None:
    ids = {"dag_id": "a_dag", "run_id": "manual__2026-03-01T10:00:00+00:00", "task_id": "group.send", "map_index": 3}
    assert link_of(**ids, try_number=2) == (
        "/lofty/rows/a_dag/manual__2026-03-01T10%3A00%3A00%2B00%3A00/group.send/3?try=2"
    )


def test_no_id_leads_elsewhere() -> None:
    assert link_of(dag_id="../x", run_id="a/b?c#d", task_id="é\"<'") == (
        "/lofty/rows/..%2Fx/a%2Fb%3Fc%23d/%C3%A9%22%3C%27/-1?try=1"
    )


def test_it_begins_where_the_web_server_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.com/airflow/")
    assert link_of() == "/airflow/lofty/rows/a_dag/a_run/send/-1?try=1"


def test_the_tab_leads_to_the_same_page() -> None:
    filled = HREF.format(DAG_ID="a_dag", RUN_ID="a_run", TASK_ID="send", MAP_INDEX=3)
    assert f"/{filled}?try=1" == link_of(map_index=3)


def test_the_operator_has_it_from_its_first_moment_on() -> None:
    (link,) = LoftyAddActivityOperator(task_id="send").operator_extra_links
    assert isinstance(link, LoftyReportLink)
    ended = run(rows=[row(1)])  # which fails: there is no connection
    assert ended.error is not None
    assert ended.xcom[link.xcom_key] == link_of()
