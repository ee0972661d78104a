"""What this provider needs of a logger: Airflow's task log is none of the standard library's."""

from __future__ import annotations

from typing import Any, Protocol

PROGRESS_SECONDS = 30.0  # a long step says how far it is at least so often


class Log(Protocol):
    """Takes messages in the ``%`` style."""

    def info(self, message: str, /, *args: Any) -> Any: ...

    def warning(self, message: str, /, *args: Any) -> Any: ...

    def error(self, message: str, /, *args: Any) -> Any: ...
