"""How arguments get what upstream tasks gave, without customers' text ever being run as a template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg
from airflow.sdk.definitions.param import DagParam

if TYPE_CHECKING:
    from airflow.sdk import Context


def resolved(rows: Any, context: Context) -> Any:
    """Put what upstream tasks gave in the place of references to it, however deep these stand."""
    if isinstance(rows, (XComArg, DagParam)):
        return rows.resolve(context)
    if type(rows) is dict:
        return {name: resolved(value, context) for name, value in rows.items()}
    return type(rows)(resolved(item, context) for item in rows) if type(rows) in (list, tuple) else rows
