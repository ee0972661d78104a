"""
PostgreSQL's times without an end, which psycopg2 gives as the first and the last moment that Python knows.

Those are times as any other, and would be sent as what they are not. Other drivers refuse such a value.
"""

from __future__ import annotations

from typing import Any

_INFINITE = ("infinity", "-infinity")
_KINDS = ("PYDATE", "PYDATETIME", "PYDATETIMETZ")


def refuse_infinite_times(connection: Any) -> None:
    """
    Let a connection of psycopg2 refuse them while rows are read, with a :class:`ValueError`; leave any other one alone.

    :param connection: the driver's own
    """
    if type(connection).__module__.partition(".")[0] != "psycopg2":
        return
    from psycopg2 import extensions  # type: ignore[import-untyped]

    for name in _KINDS:
        kind = getattr(extensions, name)
        extensions.register_type(extensions.new_type(kind.values, name, _refusing(kind)), connection)


def _refusing(kind: Any) -> Any:
    def read(text: str | None, cursor: object) -> object:
        if text in _INFINITE:
            raise ValueError("an infinite time")
        return kind(text, cursor)

    return read
