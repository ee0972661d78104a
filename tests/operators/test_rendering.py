"""What is a template: what the author of a Dag wrote, and no text of customers, whatever way it came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup, XComArg, task
from airflow.sdk.definitions.mappedoperator import MappedOperator
from support.practice import row

from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator

SECRET = "{{ 6 * 7 }}"
HOSTILE = [
    SECRET,
    "{{ first_name }}",
    "{% raw",
    "{# note",
    "Please read offer.sql",
    "{{ conn.lofty_default.password }}",
]


def rows_of(operator: Any) -> Any:
    return operator._rendered_rows()


def unmapped(mapped: Any, index: int, given: Any) -> Any:
    """The operator that a mapped task makes of what the task ``extract`` gave."""
    ti = SimpleNamespace(map_index=index, xcom_pull=lambda **asked: given, _upstream_map_indexes={}, task=mapped)
    context = {"ti": ti, "dag": mapped.dag, "dag_run": SimpleNamespace(conf={}), "params": {}}
    mapped.render_template_fields(context)
    return ti.task


@pytest.fixture
def dag() -> DAG:
    return DAG("a_dag", schedule=None, default_args={"report_path": "/reports/{{ 1 + 1 }}/"})


@pytest.fixture
def extract(dag: DAG) -> XComArg:
    @task
    def extract() -> list[Any]:
        return []

    with dag:
        return extract()


def partial(dag: DAG, task_id: str = "send", **arguments: Any) -> Any:
    with dag:
        return LoftyAddActivityOperator.partial(task_id=task_id, **arguments)


class TestWhatATaskGives:
    """With ``expand_kwargs`` from a task nothing that it gave is rendered; what the author wrote beside it is."""

    @pytest.mark.parametrize("text", HOSTILE)
    def test_text_in_rows_stays(self, dag: DAG, extract: XComArg, text: str) -> None:
        mapped = partial(dag).expand_kwargs(extract)
        given = [{"rows": [row(1)]}, {"rows": [row(2, text=text), {text: text}]}]
        assert rows_of(unmapped(mapped, 1, given)) == [row(2, text=text), {text: text}]

    @pytest.mark.parametrize("text", HOSTILE)
    @pytest.mark.parametrize(
        "name", ["rows", "path", "sql", "lofty_conn_id", "table", "source_conn_id", "journal_conn_id", "report_path"]
    )
    def test_text_of_any_argument_stays(self, dag: DAG, extract: XComArg, name: str, text: str) -> None:
        operator = unmapped(partial(dag).expand_kwargs(extract), 0, [{name: text}])
        assert (rows_of(operator) if name == "rows" else getattr(operator, name)) == text

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("defaults", {"text": SECRET}),
            ("parameters", [SECRET, [SECRET]]),
            ("path", [SECRET]),
            ("source_hook_params", {"a": {"b": SECRET}}),
        ],
    )
    def test_so_does_text_inside(self, dag: DAG, extract: XComArg, name: str, value: Any) -> None:
        operator = unmapped(partial(dag).expand_kwargs(extract), 0, [{name: value}])
        assert getattr(operator, name) == value

    def test_what_the_author_wrote_is_rendered(self, dag: DAG, extract: XComArg) -> None:
        mapped = partial(dag, defaults={"text": SECRET}, lofty_conn_id="lofty_{{ 1 }}").expand_kwargs(extract)
        operator = unmapped(mapped, 0, [{"rows": [row(1)], "journal_conn_id": SECRET}])
        assert (operator.defaults, operator.lofty_conn_id, operator.journal_conn_id) == (
            {"text": "42"},
            "lofty_1",
            SECRET,
        )
        assert operator.report_path == "/reports/2/"

    def test_a_task_may_give_what_the_author_wrote_as_well(self, dag: DAG, extract: XComArg) -> None:
        mapped = partial(dag, table="ours_{{ 1 }}").expand_kwargs(extract, strict=False)
        assert unmapped(mapped, 0, [{"table": "theirs_{{ 1 }}"}]).table == "theirs_{{ 1 }}"
        assert unmapped(mapped, 0, [{"columns": None}]).table == "ours_1"

    def test_expand_renders_nothing_either(self, dag: DAG, extract: XComArg) -> None:
        mapped = partial(dag).expand(rows=extract)
        given = [[row(1)], [row(2, text=SECRET)]]
        assert rows_of(unmapped(mapped, 1, given)) == [row(2, text=SECRET)]
        assert rows_of(unmapped(partial(dag, "again").expand(rows=extract), 0, [SECRET])) == SECRET

    def test_a_statement_from_a_task_is_no_file(self, dag: DAG, extract: XComArg, tmp_path: Path) -> None:
        (tmp_path / "other.sql").write_text("SELECT 1", encoding="utf-8")
        dag.template_searchpath = [str(tmp_path)]
        assert unmapped(partial(dag).expand(sql=extract), 0, ["other.sql"]).sql == "other.sql"
        assert unmapped(partial(dag, "again").expand_kwargs(extract), 0, [{"sql": "other.sql"}]).sql == "other.sql"
        assert unmapped(partial(dag, "third").expand(sql=["other.sql"]), 0, None).sql == "SELECT 1"

    def test_one_of_several_tasks_may_give_the_arguments(self, dag: DAG, extract: XComArg) -> None:
        mapped = partial(dag).expand_kwargs([{"table": SECRET}, extract])
        assert unmapped(mapped, 0, {"table": SECRET}).table == "42"
        assert unmapped(mapped, 1, {"table": SECRET}).table == SECRET


class TestWhatTheAuthorWrites:
    """A literal list is the author's: all is rendered but what stands inside of rows."""

    def test_of_a_literal_list_all_but_rows_is_rendered(self, dag: DAG) -> None:
        mapped = partial(dag).expand_kwargs([{"rows": [row(1, text=SECRET)], "defaults": {"picture": SECRET}}])
        operator = unmapped(mapped, 0, None)
        assert (rows_of(operator), operator.defaults) == ([row(1, text=SECRET)], {"picture": "42"})

    def test_rows_that_are_one_string_are_a_template(self, dag: DAG) -> None:
        assert rows_of(unmapped(partial(dag).expand_kwargs([{"rows": SECRET}]), 0, None)) == "42"
        assert rows_of(unmapped(partial(dag, "again").expand(rows=[SECRET]), 0, None)) == "42"

    def test_references_in_it_are_resolved(self, dag: DAG, extract: XComArg) -> None:
        mapped = partial(dag).expand_kwargs([{"rows": extract, "defaults": {"text": extract}, "report_path": extract}])
        operator = unmapped(mapped, 0, SECRET)
        assert (rows_of(operator), operator.defaults, operator.report_path) == (SECRET, {"text": SECRET}, SECRET)

    @pytest.mark.parametrize("wrapped", [lambda rows: rows, lambda rows: (rows, rows), lambda rows: {"a": rows}])
    def test_no_text_inside_of_rows_is_one(self, wrapped: Callable[[Any], Any]) -> None:
        rows = wrapped([row(1, text=text) for text in HOSTILE])
        operator = LoftyAddActivityOperator(task_id="send", rows=rows)
        operator.render_template_fields({})  # type: ignore[typeddict-item]
        assert rows_of(operator) == rows


class TestAMappedGroup:
    def test_a_groups_argument_is_resolved_and_no_template(self, dag: DAG, extract: XComArg) -> None:
        from airflow.sdk import task_group

        made: list[Any] = []

        @task_group
        def shard(rows: Any) -> None:
            made.append(LoftyAddActivityOperator(task_id="send", rows=rows, defaults={"text": SECRET}))

        with dag:
            shard.expand(rows=extract)
        operator = made[0]
        ti = SimpleNamespace(map_index=1, xcom_pull=lambda **asked: [[row(1)], [row(2, text=SECRET)]])
        operator.render_template_fields({"ti": ti})
        assert rows_of(operator) == [row(2, text=SECRET)]
        assert operator.defaults == {"text": "42"}


class TestADecoratedFunction:
    @staticmethod
    def mapped(dag: DAG, arguments: Sequence[Any] | XComArg, **beside: Any) -> MappedOperator:
        @task.lofty_add_activity(defaults={"text": SECRET})
        def send(**kwargs: Any) -> list[Any]:
            return []

        with dag, TaskGroup("group"):
            return send.partial(**beside).expand_kwargs(arguments).operator

    def test_what_a_task_gave_is_not_rendered(self, dag: DAG, extract: XComArg) -> None:
        mapped = self.mapped(dag, extract, day="{{ 1 + 1 }}")
        operator = unmapped(mapped, 0, [{"rows": [row(1, text=SECRET)], "note": SECRET}])
        assert operator._rendered_arguments()[1] == {"rows": [row(1, text=SECRET)], "note": SECRET, "day": "2"}
        assert operator.defaults == {"text": "42"}

    def test_a_literal_list_is(self, dag: DAG, extract: XComArg) -> None:
        operator = unmapped(self.mapped(dag, [{"note": SECRET, "rows": extract}]), 0, [row(1, text=SECRET)])
        assert operator._rendered_arguments()[1] == {"note": "42", "rows": [row(1, text=SECRET)]}

    def test_but_never_inside_of_its_rows(self, dag: DAG) -> None:
        operator = unmapped(self.mapped(dag, [{"note": [SECRET], "rows": [row(1, text=SECRET)]}]), 0, None)
        assert operator._rendered_arguments()[1] == {"note": ["42"], "rows": [row(1, text=SECRET)]}

    def test_nor_of_rows_that_it_is_called_with(self, dag: DAG) -> None:
        @task.lofty_add_activity
        def send(day: str, rows: Any, *more: Any) -> Any:
            return rows

        with dag:
            operator = send(SECRET, [row(1, text=SECRET)], [SECRET]).operator
        operator.render_template_fields({})
        assert operator._rendered_arguments()[0] == ["42", [row(1, text=SECRET)], ["42"]]


def test_a_template_that_fails_shows_no_row(
    dag: DAG, extract: XComArg, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    mapped = TestADecoratedFunction.mapped(dag, extract, day="{{ nobody.knows }}")
    with pytest.raises(Exception, match="nobody"):
        unmapped(mapped, 0, [{"rows": [row(1, text="marigold")]}])
    assert "marigold" not in caplog.text + "".join(capsys.readouterr())


CONSTANTS = [
    "",
    "0000",
    "02134",
    "None",
    "[1]",
    "1e5",
    "True",
    "(1, 2)",
    "'quoted'",
    "1_000",
    "line\n",
    "see offer.sql",
]


class TestConstants:
    """Only strings that hold template marks are rendered: no constant is re-typed, or read from a file."""

    @pytest.mark.parametrize("native", [False, True])
    @pytest.mark.parametrize("constant", CONSTANTS, ids=repr)
    def test_a_constant_stays_what_it_is(self, constant: str, native: bool) -> None:
        with DAG("a_dag", schedule=None, render_template_as_native_obj=native):
            operator = LoftyAddActivityOperator(task_id="send")
        given = {
            "rows": constant,
            "defaults": {"picture": constant},
            "parameters": [constant],
            "path": ["a", constant],
            "file_options": {"null_values": [constant]},
        }
        for name, value in given.items():
            setattr(operator, name, value)
        operator.render_template_fields({})  # type: ignore[typeddict-item]
        assert rows_of(operator) == constant
        assert {name: getattr(operator, name) for name in given if name != "rows"} == {
            name: value for name, value in given.items() if name != "rows"
        }

    def test_a_template_is_rendered_to_what_its_environment_makes_of_it(self) -> None:
        for native, made in ((False, "42"), (True, 42)):
            with DAG("a_dag", schedule=None, render_template_as_native_obj=native):
                operator = LoftyAddActivityOperator(task_id="send", rows=SECRET, defaults={"text": SECRET})
            operator.render_template_fields({})  # type: ignore[typeddict-item]
            assert (rows_of(operator), operator.defaults) == (made, {"text": made})

    def test_marks_are_those_of_the_dag(self) -> None:
        marks = {"variable_start_string": "[[", "variable_end_string": "]]"}
        with DAG("a_dag", schedule=None, jinja_environment_kwargs=marks):
            operator = LoftyAddActivityOperator(task_id="send", rows=[], defaults={"text": "[[ 7 ]]", "link": SECRET})
        operator.render_template_fields({})  # type: ignore[typeddict-item]
        assert operator.defaults == {"text": "7", "link": SECRET}

    @pytest.mark.parametrize("text", ["{# told #}", "{% if 1 %}{% endif %}", "{{ '' }}"])
    def test_every_mark_counts(self, text: str) -> None:
        operator = LoftyAddActivityOperator(task_id="send", rows=[], defaults={"text": text})
        operator.render_template_fields({})  # type: ignore[typeddict-item]
        assert operator.defaults == {"text": ""}

    @pytest.mark.parametrize("is_parsed", [True, False])
    def test_only_the_statement_may_lie_in_a_file(self, tmp_path: Path, is_parsed: bool) -> None:
        (tmp_path / "rows.sql").write_text("SELECT {{ 6 * 7 }}\n", encoding="utf-8")
        with DAG("a_dag", schedule=None, template_searchpath=[str(tmp_path)]) as dag:
            operator = LoftyAddActivityOperator(
                task_id="send", sql="rows.sql", parameters=["rows.sql"], report_path="/reports/{{ 1 }}.sql",
                source_conn_id="rows.sql",
            )  # fmt: skip
            operator.table, operator.path, operator.rows = "visits.sql", ["rows.sql"], ["rows.sql"]
        if is_parsed:
            dag.resolve_template_files()
        operator.render_template_fields({})  # type: ignore[typeddict-item]
        assert operator.sql.strip() == "SELECT 42"
        assert (operator.table, operator.path, operator.parameters) == ("visits.sql", ["rows.sql"], ["rows.sql"])
        assert (rows_of(operator), operator.report_path) == (["rows.sql"], "/reports/1.sql")
        assert operator.source_conn_id == "rows.sql"

    def test_an_argument_of_a_subclass_is_treated_as_airflow_does(self, tmp_path: Path) -> None:
        class Own(LoftyAddActivityOperator):
            template_fields = (*LoftyAddActivityOperator.template_fields, "before")

            def __init__(self, *, before: str, **arguments: Any) -> None:
                super().__init__(**arguments)
                self.before = before

        (tmp_path / "rows.sql").write_text("SELECT {{ 6 * 7 }}", encoding="utf-8")
        with DAG("a_dag", schedule=None, template_searchpath=[str(tmp_path)]):
            operator = Own(task_id="send", rows=[], before="rows.sql")
        operator.render_template_fields({})  # type: ignore[typeddict-item]
        assert operator.before == "SELECT 42"

    def test_so_is_an_object_in_it_with_templates_of_its_own(self) -> None:
        class Note:
            template_fields = ("text",)
            text = "{{ 6 * 7 }}"

        class Own(LoftyAddActivityOperator):
            template_fields = (*LoftyAddActivityOperator.template_fields, "note")

            def __init__(self, *, note: Note, **arguments: Any) -> None:
                super().__init__(**arguments)
                self.note = note

        rows = [row(1, text=HOSTILE[0])]
        operator = Own(task_id="send", rows=rows, note=Note())
        operator.render_template_fields({})  # type: ignore[typeddict-item]
        assert (operator.note.text, rows_of(operator)) == ("42", rows)

    def test_text_that_a_function_gets_is_no_file_either(self, dag: DAG) -> None:
        @task.lofty_add_activity
        def send(*given: str, note: str) -> list[Any]:
            return []

        with dag:
            operator = send("0000", "a.sql", note="b.sql").operator
        dag.resolve_template_files()
        operator.render_template_fields({})
        assert operator._rendered_arguments() == (["0000", "a.sql"], {"note": "b.sql"})
