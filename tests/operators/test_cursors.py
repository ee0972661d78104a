"""What a mapped task with a cursor may expand over, as its Dag tells."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from support.practice import run_operator, task_instance

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.operators.cursors import expanded_over
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator

CURSOR = {"task_id": "send", "cursor": "at", "journal_conn_id": "journal", "report_path": "/reports/"}
SQL = "SELECT * FROM visits WHERE at >= :cursor"


def mapped(expanded: dict[str, list[Any]] | list[dict[str, Any]], **given: Any) -> LoftyAddActivityOperator:
    """Make the first instance of a mapped task, as Airflow does before it runs."""
    with DAG("a_dag", schedule=None):
        partial = LoftyAddActivityOperator.partial(**CURSOR, **given)
        if isinstance(expanded, dict):
            task = partial.expand(**expanded)
            return task.unmap({name: values[0] for name, values in expanded.items()})
        return partial.expand_kwargs(expanded).unmap(expanded[0])


@pytest.mark.parametrize(
    "expanded", [{"parameters": [{"city": "a"}, {"city": "b"}]}, [{"parameters": {"city": "a"}}, {"cursor_from": 2}]]
)
def test_instances_that_would_share_a_watermark_are_refused_before_one_reads(expanded: Any) -> None:
    ended = run_operator(mapped(expanded, source_conn_id="warehouse", sql=SQL), task_instance(map_index=0))
    assert isinstance(ended.error, LoftyConfigurationError)
    for words in ("must expand over table, sql, source_conn_id or lofty_conn_id", "parameters", "nothing was sent"):
        assert words in str(ended.error)


@pytest.mark.parametrize(
    ("expanded", "given"),
    [
        ({"table": ["a", "b"]}, {"source_conn_id": "warehouse"}),
        ({"sql": [SQL], "parameters": [{}]}, {"source_conn_id": "warehouse"}),
        ([{"source_conn_id": "one"}, {"source_conn_id": "two"}], {"table": "a"}),
        ({"lofty_conn_id": ["one", "two"]}, {"source_conn_id": "warehouse", "table": "a"}),
    ],
)
def test_instances_with_watermarks_of_their_own_are_not(expanded: Any, given: dict[str, Any]) -> None:
    operator = mapped(expanded, **given)
    assert expanded_over(operator) >= set(expanded if isinstance(expanded, dict) else expanded[0])
    assert operator._cursor_arguments().check() == "at"


def test_a_task_that_is_not_mapped_expands_over_nothing() -> None:
    assert expanded_over(LoftyAddActivityOperator(**CURSOR, table="a")) == frozenset()
