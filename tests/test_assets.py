"""What a delivery says to Airflow's assets."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAlias, TaskGroup, task
from support.practice import row, task_instance

from airflow_provider_lofty.assets import ACTIVITIES
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.sandbox import Sandbox


class Accessors(dict[str, Any]):
    """Stands in for a task's ``outlet_events``, where assets are keys though Airflow 3.1 cannot hash them."""

    def __getitem__(self, outlet: Any) -> Any:
        return self.setdefault(repr(outlet), SimpleNamespace(extra={}))


@pytest.fixture
def events(lofty: Sandbox, connect: Callable[..., None]) -> Any:
    """Run an operator; give the extra of each asset's event, by its URI."""
    connect(lofty)

    def run(**arguments: Any) -> dict[str, Any]:
        accessors = Accessors()
        operator = LoftyAddActivityOperator(task_id="send", **arguments)
        operator.execute({"ti": task_instance(), "outlet_events": accessors})
        return {outlet.uri: accessors[outlet].extra for outlet in operator.outlets if isinstance(outlet, Asset)}

    return run


def test_activities_are_what_a_delivery_updates(events: Any) -> None:
    found = events(rows=[row(1), row(2), row(2), row("x")], max_failed_rows=1)
    assert list(found) == [ACTIVITIES]
    counts = {name: count for name, count in found[ACTIVITIES].items() if count}
    assert counts == {"read": 4, "delivered": 2, "duplicate": 1, "invalid": 1}
    assert "report_path" in found[ACTIVITIES]


def test_outlets_that_the_author_names_carry_the_counts_instead(events: Any) -> None:
    found = events(rows=[row(1)], outlets=[Asset("s3://crm/visits"), AssetAlias("later")])
    assert list(found) == ["s3://crm/visits"]
    assert found["s3://crm/visits"]["delivered"] == 1


def test_no_outlets_are_respected(events: Any) -> None:
    assert events(rows=[row(1)], outlets=[]) == {}


def test_a_preview_updates_nothing(events: Any) -> None:
    assert events(rows=[row(1)], preview=True, outlets=[Asset("s3://crm/visits")]) == {}


def test_the_uri_is_as_it_is_written() -> None:
    assert Asset(ACTIVITIES).uri == ACTIVITIES == "lofty://activities"


def no_rows() -> list[Any]:
    return []


OWN = {"outlets": [Asset("s3://crm/visits")]}


@pytest.mark.parametrize("of", ["task", "dag", "group"])
@pytest.mark.parametrize("decorated", [False, True])
def test_outlets_of_default_arguments_win_over_ours(of: str, decorated: bool) -> None:
    with (
        DAG("a_dag", schedule=None, default_args=OWN if of == "dag" else {}),
        TaskGroup("group", default_args=OWN if of == "group" else {}),
    ):
        arguments = {"task_id": "send", "default_args": OWN if of == "task" else {"retries": 1}}
        if decorated:
            operator = task.lofty_add_activity(**arguments)(no_rows)().operator
        else:
            operator = LoftyAddActivityOperator(rows=[], **arguments)
    assert operator.outlets == OWN["outlets"]


def test_default_arguments_may_name_no_outlets() -> None:
    assert LoftyAddActivityOperator(task_id="send", default_args={"outlets": []}).outlets == []
    assert [outlet.uri for outlet in LoftyAddActivityOperator(task_id="send").outlets] == [ACTIVITIES]
