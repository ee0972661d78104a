"""What the operator's arguments may be, and what is said of one that is something else."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.columns import MappingError
from airflow_provider_lofty.rows.file_options import FileOptions, FileOptionsError
from airflow_provider_lofty.rows.mapping import RowMapping
from airflow_provider_lofty.rows.values import kind_of, plain
from airflow_provider_lofty.run.policy import Limit, Policy
from airflow_provider_lofty.spool.input_digest import DIGEST_DIGITS

SOURCES = ("rows", "path", "sql", "table")

Check = Callable[[str, Any], object]  # gets the argument's name and what it is

_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_ONE_SOURCE = "give exactly one source of rows, path, sql and table"
_LONGEST_WORD_SHOWN = 20
_DIGEST = re.compile(f"[0-9a-f]{{{DIGEST_DIGITS}}}")


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


def expected_digest(name: str, value: object) -> str | None:
    """
    Read the digest of an input that was approved; None where none is asked for.

    :raises LoftyConfigurationError: for anything but a digest: an approval that is not there allows nothing
    """
    if value is None:
        return None
    digest = value.strip().lower() if isinstance(value, str) else ""
    if not _DIGEST.fullmatch(digest):
        raise _must_be(name, f"the digest of a preview's summary, {DIGEST_DIGITS} hexadecimal digits", value)
    return digest


def constants(
    given: Mapping[str, Any], absent: Mapping[str, Any], is_template: Callable[[object], bool]
) -> dict[str, Any]:
    """
    Take out what is known only when the task runs. Of a dict that is templated in part the keys stay.

    :param given: arguments
    :param absent: what they are where they are not given
    """
    known = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            known[name] = {key: None if is_template(item) else item for key, item in value.items()}
        else:
            known[name] = absent[name] if is_template(value) else value
    return known


def check_arguments(given: Mapping[str, Any]) -> None:
    """
    Check all arguments.

    :raises LoftyConfigurationError: naming the argument and what it may be, for a misspelt name the closest
    """
    for name, value in given.items():
        CHECKS[name](name, value)
    policy(given)
    try:
        row_mapping(given)
    except MappingError as error:
        raise LoftyConfigurationError(str(error)) from None
    sources = given_sources(given)
    if sources:
        shape(sources[0], given["columns"], given["file_options"])


def given_sources(given: Mapping[str, object]) -> list[str]:
    """
    Name the source that is given.

    :raises LoftyConfigurationError: when there are several
    """
    names = [name for name in SOURCES if given[name] is not None]
    if len(names) > 1:
        raise LoftyConfigurationError(f"{_ONE_SOURCE}; got {' and '.join(names)}")
    return names


def policy(given: Mapping[str, Any]) -> Policy:
    """
    Read what the author allows.

    :raises LoftyConfigurationError: when a value makes no sense
    """
    return Policy(
        Limit("max_failed_rows", given["max_failed_rows"]),
        Limit("max_invalid_rows", given["max_invalid_rows"]),
        Limit("max_rows", given["max_rows"]),
        given["stop_after_rejections"],
        given["check_existing"],
        given["on_unknown"],
        given["preview"],
        Limit("max_unmatched_rows", given["max_unmatched_rows"]),
    )


def row_mapping(given: Mapping[str, Any]) -> RowMapping:
    """
    Read how rows become activities.

    :raises MappingError: naming the argument and what is wrong with it
    """
    return RowMapping(
        given["mapping"],
        given["defaults"],
        given["unique_key"],
        given["timezone"],
        options=file_options(given["file_options"]),
        match_by=given["match_by"],
    )


def _must_be(name: str, rule: str, value: object) -> LoftyConfigurationError:
    is_shown = isinstance(plain(value), (int, float)) or (isinstance(value, str) and len(value) <= _LONGEST_WORD_SHOWN)
    return LoftyConfigurationError(f"{name} must be {rule}, not {repr(value) if is_shown else kind_of(value)}")


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
        raise _must_be(name, "a whole number of rows, or 0", value)


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
    "mapping": _anything,  # a RowMapping checks these five together
    "defaults": _anything,
    "unique_key": _anything,
    "match_by": _anything,
    "timezone": _anything,
    "requests_per_minute": _optional(_pace),
    "durable": boolean,
    "journal_conn_id": _optional(_text),
    "check_existing": _anything,  # a Policy checks these, and what the limits allow
    "on_unknown": _anything,
    "max_failed_rows": Limit,
    "max_invalid_rows": Limit,
    "max_unmatched_rows": Limit,
    "max_rows": _optional(_count),
    "stop_after_rejections": _anything,
    "report_path": _optional(_location),
    "expect_digest": expected_digest,
    "preview": boolean,
}


def one_source(given: Mapping[str, object], why_none: Callable[[], str]) -> str:
    """
    Name the one source that is given.

    :param why_none: says where a missing one may have gone
    """
    names = given_sources(given)
    if not names:
        raise LoftyConfigurationError(f"{_ONE_SOURCE}; got none. {why_none()}")
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
        raise LoftyConfigurationError(f"file_options is for path; for {source} it takes decimal and null_values only")
    if columns is not None and source not in ("path", "rows"):
        raise LoftyConfigurationError(f"columns is for path and rows, not for {source}")
    return _names(columns), checked


def file_options(given: Mapping[str, Any] | None) -> FileOptions:
    """Check ``file_options``."""
    try:
        return FileOptions.from_dict(given)
    except FileOptionsError as error:
        raise LoftyConfigurationError(str(error)) from None


def _names(columns: object) -> tuple[str, ...] | None:
    if columns is None:
        return None
    names = tuple(columns) if isinstance(columns, Sequence) and not isinstance(columns, str) else ()
    if not names or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
        raise LoftyConfigurationError("columns must be a list of different names")
    return names


def _skipped(ti: Any, task_ids: Collection[str]) -> list[str]:
    """Which of these tasks were skipped in this Dag run, as far as Airflow tells."""
    ask = getattr(ti, "get_task_states", None)
    if ask is None or not task_ids:
        return []
    states = ask(dag_id=ti.dag_id, task_ids=sorted(task_ids), run_ids=[ti.run_id]).get(ti.run_id, {})
    return [task_id for task_id, state in states.items() if state == "skipped"]
