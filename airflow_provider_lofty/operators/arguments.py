"""What the operator's arguments may be, and what is said of one that is something else."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.file_options import FileOptions, FileOptionsError
from airflow_provider_lofty.rows.values import kind_of, plain
from airflow_provider_lofty.run.policy import Limit

Check = Callable[[str, Any], object]  # gets the argument's name and what it is

_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_LONGEST_WORD_SHOWN = 20


def boolean(name: str, value: object) -> bool:
    """
    Read a boolean, or what a template rendered to.

    :raises LoftyConfigurationError: for anything that does not say which of the two it is
    """
    value = plain(value)
    word = str(value).strip().lower() if isinstance(value, (str, bool)) or type(value) is int else ""
    if word not in _BOOLEANS:
        raise _must_be(name, "True or False, or a template that renders to one of these", value)
    return _BOOLEANS[word]


def check_arguments(given: Mapping[str, object]) -> None:
    """
    Check each argument by itself.

    :raises LoftyConfigurationError: naming the argument, what it may be and what kind of value it is
    """
    for name, value in given.items():
        CHECKS[name](name, value)


def _must_be(name: str, rule: str, value: object) -> LoftyConfigurationError:
    is_word = isinstance(value, str) and len(value) <= _LONGEST_WORD_SHOWN
    return LoftyConfigurationError(f"{name} must be {rule}, not {repr(value) if is_word else kind_of(value)}")


def _anything(name: str, value: object) -> None:
    """Leave it to whoever reads it."""


def _text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise _must_be(name, "text that is not empty", value)


def _location(name: str, value: object) -> None:
    if not isinstance(value, os.PathLike):
        _text(name, value)


def _paths(name: str, value: object) -> None:
    # Another sequence is what mapped tasks gave; it is read once, and looked at then.
    for item in value if isinstance(value, (list, tuple)) else [value]:
        is_list = isinstance(item, Sequence) and not isinstance(item, (str, bytes))
        if item == "" or not (is_list or isinstance(item, (str, os.PathLike))):
            raise _must_be(name, "a path or a list of paths, none of them empty", item)


def _parameters(name: str, value: object) -> None:
    if not isinstance(value, (Mapping, Sequence)) or isinstance(value, (str, bytes)):
        raise _must_be(name, "a list or a dict", value)


def _names_and_values(name: str, value: object) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _must_be(name, "a dict with names for its keys", value)


def _pace(name: str, value: object) -> None:
    if not _is_number(value, int, float) or not 0 < plain(value) < math.inf:
        raise _must_be(name, "a number above 0", value)


def _count(name: str, value: object) -> None:
    if not _is_number(value, int) or plain(value) < 0:
        raise _must_be(name, "a whole number of rows", value)


def _is_number(value: object, *types: type) -> bool:
    return isinstance(plain(value), types) and not isinstance(plain(value), bool)


def _optional(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)


CHECKS: dict[str, Check] = {
    "lofty_conn_id": _text,
    "rows": _anything,
    "path": _optional(_paths),
    "sql": _optional(_text),
    "parameters": _optional(_parameters),
    "table": _optional(_text),
    "source_conn_id": _optional(_text),
    "source_hook_params": _optional(_names_and_values),
    "columns": lambda name, value: _names(value),
    "file_options": lambda name, value: file_options(value),
    "cursor": _optional(_text),
    "cursor_from": _anything,  # CursorArguments checks these
    "cursor_lag": _anything,
    "mapping": _anything,  # a RowMapping checks these four together
    "defaults": _anything,
    "unique_key": _anything,
    "timezone": _anything,
    "requests_per_minute": _optional(_pace),
    "durable": boolean,
    "journal_conn_id": _optional(_text),
    "check_existing": _anything,  # a Policy checks these, and what the limits allow
    "on_unknown": _anything,
    "max_failed_rows": Limit,
    "max_invalid_rows": Limit,
    "max_rows": _optional(_count),
    "stop_after_rejections": _anything,
    "report_path": _optional(_location),
    "preview": boolean,
}


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
