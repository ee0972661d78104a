"""How a database is asked only for rows whose cursor has reached a value, in the style of its driver."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from airflow_provider_lofty.exceptions import LoftyConfigurationError

PARAMETER = "cursor"
_NO_CODE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)
_COLON = re.compile(rf"(?<![:\w]):{PARAMETER}\b")
_PERCENT = re.compile(rf"(?<!%)(?:%%)*%\({PARAMETER}\)s")


class Facts(NamedTuple):
    """
    What there is to know of a table's cursor before its rows are read.

    :param highest: the highest value of all; None where no row has one
    :param without: how many rows have none
    """

    highest: object
    without: int


class Newer(NamedTuple):
    """
    Which rows are wanted: those whose cursor is not below a value.

    :param column: the cursor
    :param since: gives the value, None for all rows; it is told the facts of a table, and None of a query
    """

    column: str
    since: Callable[[Facts | None], object]


class Style:
    """
    How a driver takes parameters.

    :param paramstyle: as PEP 249 names it
    :param knows_names: whether the driver takes ``:name`` beside its own style, as SQLite's does
    """

    def __init__(self, paramstyle: str, *, knows_names: bool = False) -> None:
        self._paramstyle = paramstyle
        self._named = ":" if knows_names or paramstyle == "named" else ""
        if paramstyle in ("format", "pyformat"):
            self._named = "%"

    def condition(self, value: object) -> tuple[str, dict[str, object] | tuple[object, ...]]:
        """Write the place of one parameter, and give the parameters."""
        if self._paramstyle == "named":
            return f":{PARAMETER}", {PARAMETER: value}
        mark = {"qmark": "?", "numeric": ":1", "numeric_dollar": "$1"}.get(self._paramstyle, "%s")
        return mark, (value,)

    def escaped(self, text: str) -> str:
        """Write a part of a statement with parameters so that none of it is taken for one."""
        return text.replace("%", "%%") if self._paramstyle in ("format", "pyformat") else text

    def parameters(self, statement: str, given: object, value: object) -> dict[str, object]:
        """
        Lay the cursor's value over the parameters of a query.

        :raises LoftyConfigurationError: when the query has no place for it
        """
        self._require(statement)
        if given and not isinstance(given, Mapping):
            raise LoftyConfigurationError(
                f"with cursor, parameters must be a dict, whose names the statement holds as {self._written('name')}; "
                "nothing was sent"
            )
        named = dict(given) if isinstance(given, Mapping) else {}
        if PARAMETER in named:
            raise LoftyConfigurationError(
                f"parameters has a {PARAMETER!r}, which is the name of the cursor's own value; give it another name; "
                "nothing was sent"
            )
        return {**named, PARAMETER: value}

    def _require(self, statement: str) -> None:
        if not self._named:
            raise LoftyConfigurationError(
                f"cursor with sql needs a driver that takes parameters by name; this one takes them by position "
                f"({self._paramstyle}). Use table, with a view of the statement where it is more than one table; "
                "nothing was sent"
            )
        pattern = _PERCENT if self._named == "%" else _COLON
        if not pattern.search(_NO_CODE.sub(" ", statement)):
            raise LoftyConfigurationError(
                f"with cursor, the statement must hold the parameter {self._written(PARAMETER)}, as this driver writes "
                f"it, and compare with >=: WHERE updated_at >= {self._written(PARAMETER)}; nothing was sent"
            )

    def _written(self, name: str) -> str:
        return f"%({name})s" if self._named == "%" else f":{name}"


def bare_name(column: str) -> tuple[str, bool]:
    """Give a column's name without the quotes that its author put around it, and whether there were any."""
    is_quoted = len(column) > 2 and column[0] == column[-1] == '"'
    return (column[1:-1].replace('""', '"'), True) if is_quoted else (column, False)


def column_place(columns: Iterable[str], wanted: str) -> int | None:
    """
    Find a column by its name, or else by its name in another case; None where there is not exactly one.

    :param wanted: as the author wrote it, with or without quotes around it
    """
    names, (bare, _) = list(columns), bare_name(wanted)
    found = [place for place, name in enumerate(names) if name == bare]
    found = found or [place for place, name in enumerate(names) if name.casefold() == bare.casefold()]
    return found[0] if len(found) == 1 else None
