"""
What of an operator's arguments is a template: what its author wrote, and nothing that customers or other tasks said.

Airflow renders every string that it finds in a template field, however deep. A template can read Airflow's connections
and variables, so text from elsewhere must never be one.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import jinja2
from airflow.sdk import BaseOperator, ObjectStoragePath

from airflow_provider_lofty.operators.hidden import hidden

if TYPE_CHECKING:
    from airflow.sdk import Context

_MARKS = (
    "variable_start_string",
    "block_start_string",
    "comment_start_string",
    "line_statement_prefix",
    "line_comment_prefix",
)

_IsAuthors = Callable[[str, object], bool]


class Verbatim:
    """
    A value that is not a template, whatever text it holds.

    Airflow takes it for a reference to another task's output, and so puts the value in its place, unrendered. It does
    not show the value where Airflow logs a template that fails.
    """

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return hidden(self._value)

    def resolve(self, context: Context) -> Any:
        return resolved(self._value, context)


class AuthoredTemplates(BaseOperator):
    """
    An operator that renders what the author of a Dag wrote, and nothing else.

    :cvar _text_fields: template fields whose text names no file, whatever it ends in
    """

    _text_fields: frozenset[str] = frozenset()

    def resolve_template_files(self) -> None:
        """Load what lies in files while the Dag is parsed."""
        aside = {name: vars(self).pop(name) for name in self._text_fields if name in vars(self)}
        super().resolve_template_files()
        vars(self).update(aside)

    def render_template(
        self, content: Any, context: Context, jinja_env: Any = None, seen_oids: set[int] | None = None
    ) -> Any:
        """Render strings that hold template marks; a native environment would re-type the others."""
        if not isinstance(content, str) or id(content) in (seen_oids or ()):
            return super().render_template(content, context, jinja_env, seen_oids)
        environment = jinja_env or self.get_template_env()
        if not holds_marks(content, environment):
            return content
        return self._render(environment.from_string(content), context)

    def _do_render_template_fields(
        self, parent: object, template_fields: Iterable[str], context: Context, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        if parent is self:
            if _is_expanded_by_kwargs(self):
                seen_oids = set()  # in which Airflow has the references, and would not resolve them
            _shield(self, template_fields, context)
            self._load_files(template_fields, jinja_env, seen_oids)
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

    def _load_files(self, template_fields: Iterable[str], jinja_env: Any, seen_oids: set[int]) -> None:
        """Load what was not there to be loaded while the Dag was parsed: the argument of a mapped task."""
        for name in set(template_fields) - self._text_fields:
            text = getattr(self, name)
            is_file = isinstance(text, str) and text.endswith(tuple(self.template_ext))
            if is_file and id(text) not in seen_oids:  # in which is what tasks gave
                setattr(self, name, jinja_env.loader.get_source(jinja_env, text)[0])


def is_reference(value: object) -> bool:
    """Whether a value stands for one that is known only when the task runs, such as another task's output."""
    # Looked for in the class: a frame may have a column of that name.
    return callable(getattr(type(value), "resolve", None)) and not isinstance(value, (os.PathLike, ObjectStoragePath))


def holds_marks(text: str, environment: jinja2.Environment) -> bool:
    """Whether a template engine would find anything to do here."""
    return any(mark in text for name in _MARKS if (mark := getattr(environment, name)))


def holds_template(value: object, environment: jinja2.Environment) -> bool:
    """Whether a value is known only when the task runs, or anything in it is."""
    if isinstance(value, str):
        return holds_marks(value, environment)
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple, set)):
        return any(holds_template(item, environment) for item in value)
    return is_reference(value)


def resolved(value: Any, context: Context) -> Any:
    """Put what upstream tasks gave in the place of references to it, however deep these stand."""
    if is_reference(value):
        return value.resolve(context)
    if type(value) is dict:
        return {name: resolved(item, context) for name, item in value.items()}
    return type(value)(resolved(item, context) for item in value) if type(value) in (list, tuple) else value


def _shield(operator: BaseOperator, names: Iterable[str], context: Context) -> None:
    """
    Wrap what is not a template.

    Of ``rows`` that is everything but one string: what stands in lists and dicts is customers' text, whoever put it
    there. It is all that ``expand_kwargs`` got from a task, too, which Airflow would render.

    :param names: the template fields; of a decorated function, its arguments count one by one
    """
    is_authors = _authorship(operator, context)

    def shielded(name: str, value: Any) -> Any:
        is_rows = name == "rows" and not isinstance(value, str)
        return Verbatim(value) if is_rows or not is_authors(name, value) else value

    for field in names:
        value = getattr(operator, field)
        if field == "op_kwargs":
            value = {name: shielded(name, item) for name, item in value.items()}
        elif field == "op_args":
            value = [shielded(*named) for named in _named(operator, value)]
        else:
            value = shielded(field, value)
        setattr(operator, field, value)


def _named(operator: Any, values: Sequence[object]) -> Iterator[tuple[str, object]]:
    parameters = list(inspect.signature(operator.python_callable).parameters)
    return zip(chain(parameters, repeat("")), values, strict=False)


def _is_expanded_by_kwargs(operator: BaseOperator) -> bool:
    """Whether this is one of the tasks that ``expand_kwargs`` made."""
    expanded = expand_input(as_mapped(operator))
    return expanded is not None and expanded.EXPAND_INPUT_TYPE == "list-of-dicts"


def _authorship(operator: BaseOperator, context: Context) -> _IsAuthors:
    """Find out which arguments the author of the Dag wrote; the others came from a task."""
    mapped: Any = as_mapped(operator)
    if not _is_expanded_by_kwargs(operator) or _is_literal(expand_input(mapped).value, context):
        return lambda name, value: True
    group = operator.task_group
    written = [
        mapped.partial_kwargs,
        mapped.partial_kwargs.get("op_kwargs", {}),
        group.default_args if group else {},
        mapped.dag.default_args,
    ]
    return lambda name, value: any(value is given.get(name) for given in written)


def as_mapped(operator: BaseOperator) -> Any:
    """Find the mapped operator that this one was made from, as its Dag has it; None for any other."""
    dag = operator.get_dag()
    task: Any = dag.task_dict.get(operator.task_id) if dag else None
    return task if getattr(task, "is_mapped", False) else None


def expand_input(mapped: Any) -> Any:
    """What a mapped operator is expanded over; None of anything else."""
    # A decorated function's arguments are expanded, not those of its operator.
    return getattr(mapped, "op_kwargs_expand_input", getattr(mapped, "expand_input", None))


def _is_literal(expanded: object, context: Context) -> bool:
    """Whether the author wrote these arguments into the Dag."""
    one = expanded[context["ti"].map_index or 0] if isinstance(expanded, Sequence) else expanded
    return isinstance(one, Mapping)
