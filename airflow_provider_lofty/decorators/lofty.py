"""``@task.lofty_add_activity``: a function gives the rows, and the same process sends them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory
from airflow.sdk.definitions.context import context_merge

try:
    from airflow.sdk.bases.decorator import determine_kwargs
except ImportError:  # Airflow before 3.2 has it elsewhere
    from airflow.utils.operator_helpers import determine_kwargs  # type: ignore[attr-defined]

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.operators.hidden import shown
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.rows.source import Take
from airflow_provider_lofty.rows.upstream import read_rows

if TYPE_CHECKING:
    from airflow.sdk import Context

_ROWS = "<what the function returns or yields>"


class LoftyAddActivityDecoratedOperator(DecoratedOperator, LoftyAddActivityOperator):
    """
    Send the rows that a function returns or yields.

    All other arguments are those of :class:`~airflow_provider_lofty.operators.lofty.LoftyAddActivityOperator`.

    The function is called when the task reads its source, and once. Its rows go into no XCom.

    :param python_callable: returns what ``rows`` takes, or yields rows one by one; no ``async`` function
    :param op_args: (templated) its positional arguments; objects and lists are not shown under Rendered Templates
    :param op_kwargs: (templated) its other arguments; the same
    """

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *LoftyAddActivityOperator.template_fields)
    _text_fields = LoftyAddActivityOperator._text_fields | set(DecoratedOperator.template_fields)
    template_fields_renderers = {  # noqa: RUF012 - Airflow's own way
        **DecoratedOperator.template_fields_renderers,
        **LoftyAddActivityOperator.template_fields_renderers,
    }
    shallow_copy_attrs: Sequence[str] = (
        *DecoratedOperator.shallow_copy_attrs,
        *LoftyAddActivityOperator.shallow_copy_attrs,
    )
    custom_operator_name = "@task.lofty_add_activity"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs["multiple_outputs"] = False  # else the type that a function of one row returns would split the summary
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, rows=_ROWS, **kwargs)
        self._rendered_arguments: Callable[[], tuple[Collection[Any], Mapping[str, Any]]] | None = None

    def _do_render_template_fields(self, parent: object, *args: Any, **kwargs: Any) -> None:
        """Take other tasks' rows out of what is shown and listed, as for ``rows``."""
        super()._do_render_template_fields(parent, *args, **kwargs)
        if parent is self:
            self.rows = _ROWS
            op_args, op_kwargs = self.op_args, self.op_kwargs
            self._rendered_arguments = lambda: (op_args, op_kwargs)
            self.op_args = [shown(value) for value in op_args]
            self.op_kwargs = {name: shown(value) for name, value in op_kwargs.items()}

    def _rows_reader(self, context: Context, columns: tuple[str, ...] | None) -> Callable[[Take], None]:
        return lambda take: read_rows(self._called(context), take, columns)

    def _called(self, context: Context) -> object:
        function = self.python_callable
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise LoftyConfigurationError("the decorated function must not be async; nothing was sent")
        rendered = self._rendered_arguments
        op_args, op_kwargs = rendered() if rendered is not None else (self.op_args, self.op_kwargs)
        context_merge(context, op_kwargs)
        rows = function(*op_args, **determine_kwargs(function, op_args, context))
        if rows is None:
            raise LoftyConfigurationError(
                "the decorated function returned None; let it return or yield rows, [] where there are none"
            )
        return rows


def lofty_add_activity_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """
    Make a function the source of rows: ``@task.lofty_add_activity(defaults={"picture": ""})``.

    :param python_callable: the function
    :param kwargs: arguments of :class:`~airflow_provider_lofty.operators.lofty.LoftyAddActivityOperator`
    """
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=LoftyAddActivityDecoratedOperator, **kwargs
    )
