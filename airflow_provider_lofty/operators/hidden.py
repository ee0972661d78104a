"""
What keeps rows and parameters out of the places that list a task's attributes.

Airflow stores template fields and shows them under Rendered Templates; OpenLineage's provider writes an operator's
attributes into its events as JSON.
"""

from __future__ import annotations

import json
from collections import UserDict, UserList
from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN = (str, int, float, bool, type(None))


def hidden(value: object) -> str:
    """Stand in for a value that must not be shown."""
    return f"<{type(value).__name__}, not shown>"


def shown(value: object) -> object:
    """Show a value that is one word or number, and hide what may hold rows."""
    return value if isinstance(value, _SHOWN) else hidden(value)


def unlisted(parameters: Any) -> Any:
    """
    Keep parameters out of what lists a task's attributes as JSON, as lineage does, and let them be used as before.

    Airflow's own pages, which need a login, still show them: they ask for :meth:`_Unlisted.serialize`.
    """
    if isinstance(parameters, Mapping):
        return _UnlistedDict(parameters)
    is_list = isinstance(parameters, Sequence) and not isinstance(parameters, (str, bytes))
    return _UnlistedList(parameters) if is_list else parameters


class _Unlisted:
    data: Any

    def serialize(self) -> Any:
        return json.loads(json.dumps(self.data, default=str, skipkeys=True))


class _UnlistedDict(_Unlisted, UserDict[str, Any]):
    pass


class _UnlistedList(_Unlisted, UserList[Any]):
    pass
