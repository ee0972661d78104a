"""A decorated function is the source: called once, when its rows are read, and its rows go into no XCom."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from support.practice import Run, row, run_operator

from airflow_provider_lofty.decorators.lofty import LoftyAddActivityDecoratedOperator
from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.sandbox import Sandbox


@pytest.fixture(autouse=True)
def connected(lofty: Sandbox, connect: Callable[..., None]) -> None:
    connect(lofty)


def decorated(function: Callable[..., Any], **arguments: Any) -> LoftyAddActivityDecoratedOperator:
    operator = LoftyAddActivityDecoratedOperator(task_id="send", python_callable=function, **arguments)
    operator.render_template_fields({})  # type: ignore[typeddict-item]
    return operator


def run(function: Callable[..., Any], **arguments: Any) -> Run:
    return run_operator(decorated(function, **arguments))


def returns_a_list() -> list[dict[str, Any]]:
    return [row(1), row(2)]


def yields_rows() -> Iterator[dict[str, Any]]:
    yield row(1)
    yield row(2)


def returns_one_row() -> dict[str, Any]:
    return row(1)


@pytest.mark.parametrize(
    ("function", "leads"), [(returns_a_list, [1, 2]), (yields_rows, [1, 2]), (returns_one_row, [1])]
)
def test_what_it_returns_or_yields_is_sent(lofty: Sandbox, function: Callable[..., Any], leads: list[int]) -> None:
    ended = run(function)
    assert ended.counts == {"delivered": len(leads)}
    assert sorted(activity.lead_id for activity in lofty.activities) == leads
    assert set(ended.returned or {}) >= {"read", "delivered"}  # the summary, whole: not an output for each of its keys


def test_no_row_is_an_empty_list(lofty: Sandbox) -> None:
    assert run(list).counts == {}


def test_it_is_called_once(lofty: Sandbox) -> None:
    calls: list[int] = []

    def function() -> list[dict[str, Any]]:
        calls.append(1)
        return [row(1)]

    operator = decorated(function)
    assert calls == []
    run_operator(operator)
    assert calls == [1]


def test_it_gets_its_arguments_and_the_context(lofty: Sandbox) -> None:
    def function(first: int, ti: Any, *, second: dict[str, Any]) -> list[dict[str, Any]]:
        assert ti.dag_id == "a_dag"
        return [row(first), row(second["lead"])]

    assert run(function, op_args=[1], op_kwargs={"second": {"lead": 2}}).counts == {"delivered": 2}
    assert sorted(activity.lead_id for activity in lofty.activities) == [1, 2]


def test_arguments_that_may_hold_rows_are_not_shown(lofty: Sandbox) -> None:
    operator = decorated(lambda *args, **kwargs: [], op_args=[[row(1, text="marigold")], "plain"], op_kwargs={"n": 7})
    shown = repr([getattr(operator, name) for name in operator.template_fields])
    assert "marigold" not in shown
    assert "'plain'" in shown
    assert "{'n': 7}" in shown


def test_none_is_refused(lofty: Sandbox) -> None:
    ended = run(lambda: None)
    assert type(ended.error) is LoftyConfigurationError
    assert "returned None" in str(ended.error)
    assert lofty.requests == []


async def waits() -> list[dict[str, Any]]:
    return []


async def yields_later() -> AsyncIterator[dict[str, Any]]:
    yield row(1)


@pytest.mark.parametrize("function", [waits, yields_later])
def test_async_is_refused(lofty: Sandbox, function: Callable[..., Any]) -> None:
    ended = run(function)
    assert type(ended.error) is LoftyConfigurationError
    assert "must not be async" in str(ended.error)


def test_what_it_raises_is_raised_and_nothing_is_sent(lofty: Sandbox) -> None:
    def function() -> Iterator[dict[str, Any]]:
        yield row(1)
        raise ValueError("made up")

    ended = run(function)
    assert type(ended.error) is ValueError
    assert ended.summary["not_attempted"] == 1
    assert [request for request in lofty.requests if request.method == "POST"] == []


def test_no_other_source_is_allowed() -> None:
    with pytest.raises(LoftyConfigurationError, match="exactly one source"):
        LoftyAddActivityDecoratedOperator(task_id="send", python_callable=list, path="/nothing.csv")
