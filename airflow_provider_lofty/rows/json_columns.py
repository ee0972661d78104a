"""
PostgreSQL's ``json`` and ``jsonb``, which its drivers read into Python's values.

They would round its numbers, and leave the last of two values of one name. Here it is read as JSON of files is.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_lofty.rows.values import InvalidValue, RepeatedNames, UnreadableJson
from airflow_provider_lofty.rows.written import json_value


def keep_json_digits(connection: Any) -> None:
    """
    Let a connection of psycopg2 or psycopg read JSON exactly; leave any other one alone.

    :param connection: the driver's own
    """
    driver = type(connection).__module__.partition(".")[0]
    if driver == "psycopg2":
        from psycopg2 import extras  # type: ignore[import-untyped]

        extras.register_default_json(connection, loads=_read)
        extras.register_default_jsonb(connection, loads=_read)
    elif driver == "psycopg":
        from psycopg.types.json import set_json_loads

        set_json_loads(_read, connection)


def _read(written: str | bytes) -> object:
    """An error would end the query, for a value in a column that nothing uses, perhaps."""
    text = written if isinstance(written, str) else written.decode()
    try:
        return json_value(text)
    except InvalidValue:
        return RepeatedNames(text)
    except (ValueError, RecursionError):  # such as a number of thousands of digits
        return UnreadableJson(text)
