"""
What a run has pushed for the page, read back with distrust: whoever may write XComs may write anything there.

What does not fit its type is left out, and the rest is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TypeVar

import msgspec

from airflow_provider_lofty.lofty.urls import checked_lead_url
from airflow_provider_lofty.outcomes import OUTCOMES, WRONG_OUTCOMES, Outcome
from airflow_provider_lofty.report.status import Failure, Status
from airflow_provider_lofty.report.summary import Count, CursorSummary, ErrorGroup, Summary

_MOST_GROUPS = 20

_Struct = TypeVar("_Struct", bound=msgspec.Struct)
_fields_of = cache(msgspec.structs.fields)  # each call evaluates the annotations anew, a millisecond for one status


def status_from(pushed: object) -> Status | None:
    """Read a status; None for anything else, such as the reference that some stores of XComs leave."""
    # A lone surrogate in a text could not be sent to a browser.
    return _fitting(Status, json.loads(json.dumps(pushed, ensure_ascii=False).encode("utf-8", "replace")))


def _fitting(struct: type[_Struct], given: object) -> _Struct | None:
    """Keep of an object what fits the struct, whose fields all have defaults."""
    if not isinstance(given, dict):
        return None
    kept: dict[str, object] = {}
    for field in _fields_of(struct):
        if field.encode_name in given:
            value, reader = given[field.encode_name], _READERS.get((struct, field.name))
            with suppress(msgspec.ValidationError):
                kept[field.name] = msgspec.convert(value, field.type) if reader is None else reader(value)
    return struct(**kept)


def _summary(value: object) -> Summary | msgspec.UnsetType:
    found = _fitting(Summary, value)
    if found is None or not value:
        return msgspec.UNSET
    return found if found.is_readable else Summary(format=found.format)


def _cursor(value: object) -> CursorSummary | msgspec.UnsetType:
    return _fitting(CursorSummary, value) or msgspec.UNSET


def _failure(value: object) -> Failure | msgspec.UnsetType:
    return (_fitting(Failure, value) or msgspec.UNSET) if value else msgspec.UNSET


def _outcomes(value: object) -> dict[str, int]:
    given = value if isinstance(value, dict) else {}
    return {name.value: given[name] for name in OUTCOMES if _is_count(given.get(name))}


def _is_count(value: object) -> bool:
    try:
        msgspec.convert(value, Count)
    except msgspec.ValidationError:
        return False
    return True


def _lead_url(value: object) -> str:
    try:
        return checked_lead_url(value)
    except ValueError:
        return ""


_EXPLAINED = (*WRONG_OUTCOMES, Outcome.DUPLICATE)


def _groups(value: object) -> list[ErrorGroup]:
    found = [_fitting(ErrorGroup, group) for group in value[:_MOST_GROUPS]] if isinstance(value, list) else []
    return [group for group in found if group and group.outcome in _EXPLAINED]


# Where one part that does not fit must not take the others with it.
_READERS: dict[tuple[type[msgspec.Struct], str], Callable[[object], object]] = {
    (Status, "summary"): _summary,
    (Status, "error"): _failure,
    (Status, "outcomes"): _outcomes,
    (Status, "errors"): _groups,
    (Status, "lead_url"): _lead_url,
    (Summary, "errors"): _groups,
    (Summary, "cursor"): _cursor,
}
