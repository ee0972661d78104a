"""What this provider needs of a logger: Airflow's task log is not a logger of the standard library."""

from __future__ import annotations

from typing import Any, Protocol

from airflow_provider_lofty.printable import printable

PROGRESS_SECONDS = 30.0  # a long step says how far it is at least so often


class Log(Protocol):
    """Takes messages in the ``%`` style."""

    def info(self, message: str, /, *args: Any) -> Any: ...

    def warning(self, message: str, /, *args: Any) -> Any: ...

    def error(self, message: str, /, *args: Any) -> Any: ...


class PrintableLog:
    """
    Passes messages on, with all that goes into them in printable form.

    :param log: where they go
    """

    def __init__(self, log: Log) -> None:
        self._log = log

    def info(self, message: str, /, *args: Any) -> None:
        self._log.info(message, *map(_printable, args))

    def warning(self, message: str, /, *args: Any) -> None:
        self._log.warning(message, *map(_printable, args))

    def error(self, message: str, /, *args: Any) -> None:
        self._log.error(message, *map(_printable, args))


def _printable(arg: object) -> object:
    return arg if isinstance(arg, (int, float)) else printable(str(arg))
