"""
The check of each kind of field.

Lofty answers a bad value with ``400/20012`` and never says which field it was, so every value is checked before any
request is made. A check takes a value that is not missing and returns what is sent, or raises
:class:`~airflow_provider_lofty.rows.values.InvalidValue`.
"""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_lofty.rows.numbers import double, identifier, int32, int64
from airflow_provider_lofty.rows.timestamps import TimestampChecks
from airflow_provider_lofty.rows.values import activity_type, boolean, text

Check = Callable[[object], object]


def checks(timestamps: TimestampChecks) -> dict[str, Check]:
    """The check of each kind that :data:`~airflow_provider_lofty.lofty.fields.FIELDS` names."""
    return {
        "id": identifier,
        "activity type": activity_type,
        "text": text,
        "milliseconds": timestamps.milliseconds,
        "int64": int64,
        "int32": int32,
        "double": double,
        "boolean": boolean,
        "date text": timestamps.date_text,
    }
