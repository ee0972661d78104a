"""What a task has pushed for its page, made fit for it: an XCom can be written by anybody who may write XComs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_lofty.outcomes import FAILED_OUTCOMES, OUTCOMES, Outcome

_MOST_GROUPS = 20


def cleaned(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what a task pushes, and only where it has the type that it has then."""
    return _kept(given, _PROGRESS)


def _kept(given: Any, known: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        return {}
    found = {name: fit(given[name]) for name, fit in known.items() if name in given}
    return {name: value for name, value in found.items() if value is not None}


def _number(value: Any) -> float | int | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15 else None


def _id(value: Any) -> str | None:
    """An id as text: a browser's numbers are not as long."""
    return str(value) if type(value) is int and abs(value) < 2**63 else _text(value)


def _text(value: Any) -> str | None:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _switch(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _outcomes(value: Any) -> dict[str, Any]:
    return _kept(value, dict.fromkeys(OUTCOMES, _number))


def _groups(value: Any) -> list[dict[str, Any]]:
    found = [_kept(group, _GROUP) for group in value[:_MOST_GROUPS]] if isinstance(value, list) else []
    return [
        {**dict.fromkeys(_GROUP), **group}
        for group in found
        if group.get("outcome") in (*FAILED_OUTCOMES, Outcome.DUPLICATE)
    ]


_GROUP: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("count", "http_status", "error_code", "example_row"), _number),
    "example_lead_id": _id,
    **dict.fromkeys(("outcome", "error_field", "error", "example_source"), _text),
}
_COUNTS = ("read", *OUTCOMES, "carried_over", "seconds", "requests", "throttled", "read_backs")
_SUMMARY: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_COUNTS, _number),
    "errors": _groups,
    "report_path": _text,
}
_PROGRESS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("try_number", "read", "left", "rows_per_minute", "seconds_left"), _number),
    **dict.fromkeys(("requests", "throttled", "limit", "cap", "in_doubt"), _number),
    **dict.fromkeys(("phase", "at", "report_path"), _text),
    "preview": _switch,
    "outcomes": _outcomes,
    "summary": lambda value: {**dict.fromkeys(_COUNTS, 0), **_kept(value, _SUMMARY)} if value else None,
    "error": lambda value: {"type": "", "text": "", **_kept(value, {"type": _text, "text": _text})} if value else None,
}
