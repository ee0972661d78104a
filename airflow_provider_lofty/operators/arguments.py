"""What the operator's arguments may be, and what is said of one that is something else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.file_options import FileOptions, FileOptionsError


def one_source(given: Mapping[str, object], why_none: Callable[[], str]) -> str:
    """
    Name the one source that is given.

    :param why_none: says where a missing one may have gone
    """
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        raise LoftyConfigurationError(
            f"give exactly one source of rows, path, sql and table; got {' and '.join(names) or 'none'}"
            + ("" if names else f". {why_none()}")
        )
    return names[0]


def why_none(ti: Any, upstream_task_ids: Collection[str]) -> str:
    """Say where the rows of upstream tasks may have gone."""
    skipped = _skipped(ti, upstream_task_ids)
    if skipped:
        return f"The upstream task {skipped[0]!r} was skipped, and so gave no rows; a trigger_rule lets this task run"
    return "An upstream task that returned None counts as none: let it return []"


def shape(
    source: str, columns: object, options: Mapping[str, Any] | None
) -> tuple[tuple[str, ...] | None, FileOptions]:
    """Check what the author says of the source's form."""
    checked = file_options(options)
    if source != "path" and checked != checked.of_cells():
        raise LoftyConfigurationError(
            f"file_options is for path; for {source} it takes decimal and null_values only; nothing was sent"
        )
    if columns is not None and source not in ("path", "rows"):
        raise LoftyConfigurationError(f"columns is for path and rows, not for {source}; nothing was sent")
    return _names(columns), checked


def file_options(given: Mapping[str, Any] | None) -> FileOptions:
    """Check ``file_options``."""
    try:
        return FileOptions.from_dict(given)
    except FileOptionsError as error:
        raise LoftyConfigurationError(f"{error}; nothing was sent") from None


def check_pace(requests_per_minute: object) -> None:
    """Check ``requests_per_minute``."""
    pace = requests_per_minute
    if pace is not None and not (isinstance(pace, (int, float)) and pace > 0):
        raise LoftyConfigurationError("requests_per_minute must be a number above 0")


def _names(columns: object) -> tuple[str, ...] | None:
    if columns is None:
        return None
    names = tuple(columns) if isinstance(columns, Sequence) and not isinstance(columns, str) else ()
    if not names or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
        raise LoftyConfigurationError("columns must be a list of different names; nothing was sent")
    return names


def _skipped(ti: Any, task_ids: Collection[str]) -> list[str]:
    """Which of these tasks were skipped in this Dag run, as far as Airflow tells."""
    ask = getattr(ti, "get_task_states", None)
    if ask is None or not task_ids:
        return []
    states = ask(dag_id=ti.dag_id, task_ids=sorted(task_ids), run_ids=[ti.run_id]).get(ti.run_id, {})
    return [task_id for task_id, state in states.items() if state == "skipped"]
