"""``@task.lofty_add_activity``, run by an Airflow of its own with an empty home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.own_airflow import run_dag

from airflow_provider_lofty.sandbox import Sandbox

FOLDER = Path(__file__).resolve().parent / "decorated"


@pytest.fixture(scope="module")
def done(starts_server: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("decorated")
    with Sandbox() as lofty:
        lofty.change(requests_per_minute=600_000)
        connection = {"conn_type": "lofty", "host": lofty.url, "password": lofty.settings.api_key}
        connection["extra"] = json.dumps({"requests_per_minute": 600_000})
        yield lofty, run_dag(FOLDER, "decorated_rows", home, AIRFLOW_CONN_LOFTY_DEFAULT=json.dumps(connection))


def test_what_functions_return_or_yield_is_delivered(done: Any) -> None:
    lofty, result = done
    arrived = sorted(activity.lead_id for activity in lofty.activities)
    assert arrived == [100, 101, *range(200, 1200), 2000, 3000, 3001, 3100, 3101, 3200, 3201]
    states = {task: state for task, (state, _) in result.states.items()}
    assert {task for task, state in states.items() if state == "success"} == {
        "upstream", "returns", "yields", "one_row", "mapped", "by_kwargs", "group.framed",
    }  # fmt: skip
    assert {task for task, state in states.items() if state == "failed"} == {"nothing", "breaks", "hurries"}


def test_a_function_gets_its_arguments_and_the_context(done: Any) -> None:
    lofty, _ = done
    (text,) = [activity.body["text"] for activity in lofty.activities if activity.lead_id == 100]
    assert text.startswith("private-100 monday manual__")


def test_rows_are_in_no_xcom_and_no_rendered_template(done: Any) -> None:
    _, result = done
    own = [xcom for xcom in result.xcoms if xcom[0] != "upstream"]
    assert {key for _, _, key, _ in own} == {"return_value", "lofty_progress", "_link_LoftyReportLink"}
    assert "private-" not in json.dumps([own, result.rendered])
    shown = json.dumps([fields for task, _, fields in result.rendered if task == "returns"])
    assert "<list, not shown>" in shown
    assert "monday" in shown


def test_a_summary_is_one_xcom_even_where_a_function_gives_one_row(done: Any) -> None:
    _, result = done
    (summary,) = [value for task, _, key, value in result.xcoms if (task, key) == ("one_row", "return_value")]
    assert summary["delivered"] == 1


def test_what_is_wrong_with_a_function_is_told(done: Any) -> None:
    lofty, result = done
    assert "the decorated function returned None; let it return or yield rows, [] where there are none" in result.log
    assert "the decorated function must not be async" in result.log
    assert "the author's own error" in result.log
    assert not [activity for activity in lofty.activities if activity.lead_id in (4000, 5000)]


def test_the_task_is_named_after_its_decorator(done: Any) -> None:
    _, result = done
    assert result.states["yields"][1] in ("@task.lofty_add_activity", "LoftyAddActivityDecoratedOperator")
