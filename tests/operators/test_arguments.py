"""Every argument is what it says, or the task fails before anything is sent."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from airflow.sdk import DAG, Param
from support.practice import Run, Store, row, run_operator, task_instance
from support.values import shown

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.operators.arguments import CHECKS
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.sandbox import Sandbox


@pytest.fixture(autouse=True)
def connected(lofty: Sandbox, connect: Any) -> None:
    connect(lofty)


def rendered(*, native: bool = False, store: Store | None = None, **arguments: Any) -> Run:
    """Run the operator with what other tasks or templates give as arguments."""
    with DAG("a_dag", schedule=None, render_template_as_native_obj=native):
        operator = LoftyAddActivityOperator(task_id="send", rows=[row(1)])
    for name, value in arguments.items():
        setattr(operator, name, value)
    operator.render_template_fields({"params": {"yes": True, "no": False, "none": None, "zero": 0, "one": 1}})
    return run_operator(operator, store=store)


def test_every_argument_is_checked() -> None:
    parameters = inspect.signature(LoftyAddActivityOperator.__init__).parameters
    assert set(CHECKS) == set(parameters) - {"self", "kwargs"}


NO = ["False", "false", " FALSE ", "0", "no", "off", 0, False, np.bool_(False), "{{ params.no }}", "{{ params.zero }}"]
YES = [
    "True",
    "true",
    "1",
    "yes",
    "on",
    1,
    True,
    np.bool_(True),
    "{{ params.yes }}",
    "{{ params.one }}",
    "{{ 'no' != 1 }}",
]
NEITHER = ["None", "", "{{ params.none }}", "{{ '' }}", "maybe", "2", 2, -1, 1.0, [], [True], {}, Param(True), object()]


class TestBooleans:
    """Whatever a template renders to is one of the two, or nothing is sent: never green, and silently nothing sent."""

    @pytest.mark.parametrize("native", [False, True])
    @pytest.mark.parametrize("value", NO, ids=shown)
    def test_no_preview_sends(self, lofty: Sandbox, value: Any, native: bool) -> None:
        assert rendered(preview=value, native=native).counts == {"delivered": 1}
        assert len(lofty.activities) == 1

    @pytest.mark.parametrize("native", [False, True])
    @pytest.mark.parametrize("value", YES, ids=shown)
    def test_a_preview_does_not(self, lofty: Sandbox, value: Any, native: bool) -> None:
        assert rendered(preview=value, native=native).counts == {"would_send": 1}
        assert lofty.requests == []

    @pytest.mark.parametrize("native", [False, True])
    @pytest.mark.parametrize("name", ["preview", "durable"])
    @pytest.mark.parametrize("value", [*NEITHER, None], ids=shown)
    def test_what_is_neither_is_refused(self, lofty: Sandbox, name: str, value: Any, native: bool) -> None:
        ended = rendered(**{name: value}, native=native)
        assert type(ended.error) is LoftyConfigurationError
        assert f"{name} must be True or False" in str(ended.error)
        assert lofty.requests == []
        assert ended.xcom["lofty_progress"]["error"]["text"] == str(ended.error)

    @pytest.mark.parametrize(("value", "is_kept"), [("{{ params.yes }}", True), ("{{ params.no }}", False)])
    def test_durable_is_one_as_well(self, value: str, is_kept: bool) -> None:
        store = Store()
        assert rendered(durable=value, store=store).error is None
        assert bool(store.values) is is_kept

    @pytest.mark.parametrize(("given", "ends"), [("False", "delivered"), (True, "would_send"), (None, "")])
    def test_so_is_what_a_task_gives(self, given: Any, ends: str) -> None:
        with DAG("a_dag", schedule=None):
            output = LoftyAddActivityOperator(task_id="other", rows=[]).output
            operator = LoftyAddActivityOperator(task_id="send", rows=[row(1)], preview=output)
        operator.render_template_fields({"ti": SimpleNamespace(map_index=-1, xcom_pull=lambda **asked: given)})
        ended = run_operator(operator)
        if ends:
            assert ended.counts == {ends: 1}
        else:
            assert "preview must be True or False" in str(ended.error)

    def test_the_page_is_told_which(self) -> None:
        assert rendered(preview="{{ params.yes }}").xcom["lofty_progress"]["preview"] is True
        assert rendered(preview="{{ params.no }}").xcom["lofty_progress"]["preview"] is False


WRONG = [
    *[(name, value) for name in ("lofty_conn_id",) for value in (None, "", " ", 5, ["a"], {"a": 1}, b"a", True)],
    *[(name, value) for name in ("journal_conn_id", "report_path") for value in ("", " ", 5, ["a"], {}, b"a", True)],
    *[("source_conn_id", value) for value in ("", 5, ["a"])],
    *[("source_hook_params", value) for value in ("a", ["a"], {1: 2}, {"a"}, True)],
    *[("parameters", value) for value in ("a", 5, {1}, True, b"a")],
    *[("columns", value) for value in ("a", [], ["a", "a"], [1], {"a"}, {"a": 1}, 5)],
    *[("file_options", value) for value in ("csv", ["csv"], {"formt": "csv"}, {"skip_rows": True}, {"format": 5})],
    *[("mapping", value) for value in ("text", ["text"], {"text": 5}, {"text": None}, {"txt": "a"}, {1: "a"})],
    *[("defaults", value) for value in ("text", ["text"], {"txt": "a"}, {"text": True}, {"leadId": "x"})],
    *[("unique_key", value) for value in ({"lead_id"}, 5, [5], {"lead_id": 1}, True, b"lead_id", "", [], " ", [""])],
    *[("timezone", value) for value in (5, None, "", "Mars/Olympus", ["UTC"], True)],
    *[("requests_per_minute", value) for value in ("60", True, 0, -1, float("inf"), float("nan"), [60], np.bool_(True))],
    *[(name, value) for name in ("check_existing", "on_unknown") for value in (None, "", "Always ", 1, True, ["verify"])],
    *[(name, value) for name in ("max_failed_rows", "max_invalid_rows") for value in (True, 1.5, [], {}, "many", -1)],
    *[("max_rows", value) for value in (True, "100", "1%", 1.5, -1, [], {}, np.bool_(True))],
    *[("stop_after_rejections", value) for value in (True, None, "5", 0, 1.5, [])],
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG, ids=shown)
def test_a_wrong_type_or_value_is_refused_by_its_name(lofty: Sandbox, name: str, value: Any) -> None:
    ended = rendered(**{name: value})
    assert type(ended.error) is LoftyConfigurationError
    assert name in str(ended.error)
    assert lofty.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("sql", value) for value in ({}, ["SELECT 1"], "", 5, True, b"SELECT 1")]
    + [("table", value) for value in ({}, ["visits"], "", 5, True)]
    + [("path", value) for value in ({"a": 1}, {"/a.csv"}, "", 5, True, b"/a.csv", [5], ["/a.csv", ""], [None])],
    ids=shown,
)
def test_so_is_a_wrong_source(lofty: Sandbox, name: str, value: Any) -> None:
    with pytest.raises(LoftyConfigurationError, match=name):
        LoftyAddActivityOperator(task_id="send", source_conn_id="lite", **{name: value})
    operator = LoftyAddActivityOperator(task_id="send", source_conn_id="lite")
    setattr(operator, name, value)
    ended = run_operator(operator)
    assert type(ended.error) is LoftyConfigurationError
    assert name in str(ended.error)


@pytest.mark.parametrize(
    "right",
    [
        {"max_rows": np.int64(5), "max_failed_rows": np.int32(0), "stop_after_rejections": np.int64(3)},
        {"requests_per_minute": np.int64(60_000)},
        {"requests_per_minute": 60_000.5, "unique_key": ("text", "lead_id"), "max_failed_rows": " 5 % "},
        {"source_hook_params": {}, "parameters": (), "defaults": {}, "mapping": {}, "file_options": {}},
    ],
    ids=shown,
)
def test_what_means_one_thing_only_is_read(lofty: Sandbox, right: dict[str, Any]) -> None:
    assert rendered(**right).counts == {"delivered": 1}


def made(**arguments: Any) -> LoftyAddActivityOperator:
    return LoftyAddActivityOperator(**{"task_id": "send", "rows": [], **arguments})


class TestWhileADagIsParsed:
    """What stands in a Dag is checked when it is parsed: an import error, and not the first run, tells of a mistake."""

    @pytest.mark.parametrize(("name", "value"), WRONG, ids=repr)
    def test_a_wrong_constant_is_an_import_error(self, name: str, value: Any) -> None:
        with pytest.raises(LoftyConfigurationError, match=name):
            made(**{name: value})

    @pytest.mark.parametrize(
        ("wrong", "closest"),
        [
            ({"check_existing": "allways"}, "'always'"),
            ({"on_unknown": "verfy"}, "'verify'"),
            ({"timezone": "America/Phonix"}, "'America/Phoenix'"),
            ({"mapping": {"leedId": "a"}}, "'leadId'"),
            ({"defaults": {"listing.prize": 1}}, "'listing.price'"),
            ({"defaults": {"listing.prize": "{{ ds }}", "text": "{{ ds }}"}}, "'listing.price'"),
            ({"file_options": {"delimeter": "{{ ds }}"}}, "'delimiter'"),
        ],
        ids=str,
    )
    def test_it_names_what_was_meant(self, wrong: dict[str, Any], closest: str) -> None:
        with pytest.raises(LoftyConfigurationError, match=f"the closest(?: name)? is {closest}$"):
            made(**wrong)

    @pytest.mark.parametrize("other", [{"path": "a.csv"}, {"sql": "{{ ds }}"}, {"table": "visits"}], ids=str)
    def test_two_sources_are_one_too_many(self, other: dict[str, Any]) -> None:
        with pytest.raises(LoftyConfigurationError, match=r"exactly one source .*; got rows and "):
            made(**other)

    @pytest.mark.parametrize("wrong", [{"columns": ["a"], "table": "t"}, {"file_options": {"format": "csv"}}], ids=str)
    def test_so_is_the_shape_of_another_source(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(LoftyConfigurationError, match="is for path"):
            made(**{"rows": None if "table" in wrong else [], **wrong})

    @pytest.mark.parametrize("name", sorted(set(CHECKS) - set(LoftyAddActivityOperator.template_fields)))
    def test_a_template_where_none_is_rendered_is_called_so(self, name: str) -> None:
        for value in ("{{ params.x }}", ["{{ params.x }}"], {"text": "{{ params.x }}"}):
            with pytest.raises(LoftyConfigurationError, match=f"{name} is not templated"):
                made(**{name: value})

    @pytest.mark.parametrize("name", [name for name in LoftyAddActivityOperator.template_fields if name != "rows"])
    def test_what_is_templated_waits(self, name: str) -> None:
        of_dicts = {"file_options": {"format": "{{ 5 }}"}, "defaults": {"type": "{{ 5 }}"}}
        given = of_dicts.get(name, {"a": "{{ 5 }}"} if name == "source_hook_params" else "{{ 5 }}")
        made(**{"rows": None if name in ("path", "sql", "table") else [], name: given})

    def test_what_another_task_gives_waits_where_it_is_templated(self) -> None:
        with DAG("a_dag", schedule=None):
            output = LoftyAddActivityOperator(task_id="other", rows=[]).output
            made(preview=output, durable=output, lofty_conn_id=output, defaults=output, file_options=output)
            made(task_id="of_files", rows=None, path=[output])
            with pytest.raises(LoftyConfigurationError, match="max_rows is not templated"):
                made(task_id="wrong", max_rows=output)

    def test_a_default_argument_is_checked_as_well(self) -> None:
        with pytest.raises(LoftyConfigurationError, match="check_existing"):
            made(default_args={"check_existing": "allways"})

    def test_a_subclass_may_template_more(self) -> None:
        class Own(LoftyAddActivityOperator):
            template_fields = (*LoftyAddActivityOperator.template_fields, "check_existing", "max_failed_rows")

        operator = Own(task_id="send", rows=[row(1)], check_existing="{{ 'never' }}", max_failed_rows="{{ 5 }}")
        operator.render_template_fields({})  # type: ignore[typeddict-item]
        assert run_operator(operator).counts == {"delivered": 1}


def test_a_mapped_task_is_checked_when_a_try_starts(lofty: Sandbox) -> None:
    with DAG("a_dag", schedule=None):
        mapped = LoftyAddActivityOperator.partial(task_id="send", check_existing="allways").expand(rows=[[row(1)]])
    ti = task_instance(map_index=0, task=mapped)
    mapped.render_template_fields({"ti": ti, "dag": mapped.dag, "dag_run": SimpleNamespace(conf={})})
    ended = run_operator(ti.task, ti)
    assert type(ended.error) is LoftyConfigurationError
    assert "the closest name is 'always'; nothing was sent" in str(ended.error)
    assert ended.xcom["lofty_progress"]["error"]["text"] == str(ended.error)
    assert lofty.requests == []
