"""
How column names, and the names that a Dag author writes, find Lofty's fields: regardless of case and separators.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from airflow_provider_lofty.lofty.fields import FIELDS
from airflow_provider_lofty.lofty.lead_keys import KeyKind
from airflow_provider_lofty.rows.report_format import REPORT_PREFIX
from airflow_provider_lofty.rows.values import kind_of

LISTING = "listing"
FIELDS_BY_PATH = {field.name: field for field in FIELDS}

RowFunction = Callable[[dict[str, Any]], object]
Value = TypeVar("Value")
_SEPARATORS = re.compile(r"[\s_.\-]+")
_LONGEST_NAME_SHOWN = 60


class MappingError(ValueError):
    """The columns, ``mapping``, ``defaults`` or ``unique_key`` do not fit together. No row was looked at."""


def normalise(name: str) -> str:
    """Column and field names match without regard to case, underscores, hyphens, dots and blanks."""
    return _SEPARATORS.sub("", name.casefold())


FIELDS_BY_NAME = {normalise(field.name): field for field in FIELDS}
# What people call a column of one address or number. "mobile" or "email2" may stand beside another one: say which.
KEYS_BY_NAME: Mapping[str, KeyKind] = {
    **dict.fromkeys(("email", "emailaddress", "emailaddr"), "email"),
    **dict.fromkeys(("phone", "phonenumber", "phoneno", "telephone", "telephonenumber"), "phone"),
}


def by_field(
    given: Mapping[str, Value], argument: str, *, objects: bool = False, keys: Collection[KeyKind] = ()
) -> dict[str, Value]:
    """
    Replace the names that a Dag author wrote with the fields' own names.

    :param argument: what the author wrote them in, for the message
    :param objects: whether ``listing`` as a whole may be named
    :param keys: what else may be named: what leads are found by
    :raises MappingError: for a name that is not a field, could be two fields, or is there twice
    """
    if not isinstance(given, Mapping):
        raise MappingError(f"{argument} must be a dict, not {kind_of(given)}")
    named: dict[str, Value] = {}
    for name, value in ((str(name), value) for name, value in given.items()):
        if objects and normalise(name) == LISTING:
            path = LISTING
        elif KEYS_BY_NAME.get(normalise(name)) in keys:
            path = KEYS_BY_NAME[normalise(name)]
        else:
            path = name if name in FIELDS_BY_PATH else _field_named(name, argument)
        if path in named:
            raise MappingError(f"{argument} names the field {path} twice")
        named[path] = value
    return named


def _field_named(name: str, argument: str) -> str:
    field = FIELDS_BY_NAME.get(normalise(name))
    if field is None:
        key = KEYS_BY_NAME.get(normalise(name))
        hint = (
            f"; match_by={key!r} finds leads by it" if key and argument == "mapping" else closest(name, FIELDS_BY_PATH)
        )
        raise MappingError(f"{argument}[{name!r}]: Lofty has no such field{hint}")
    if field.name == "listing.id" and name.casefold() != "listing.id":
        raise MappingError(f"{argument}[{name!r}] may mean listing.id or listing.listingId; write one of these")
    return field.name


def closest(name: str, names: Iterable[str]) -> str:
    """End a sentence about an unknown name with the one that may have been meant."""
    by_normal = {normalise(candidate): candidate for candidate in names}
    close = difflib.get_close_matches(normalise(name), by_normal, n=1, cutoff=0.6)
    return f"; the closest name is {by_normal[close[0]]!r}" if close else ""


class ColumnMissing(KeyError):
    """A mapping callable reads a column that the row lacks or has twice; its argument names that column."""


class _Row(dict[str, Any]):
    """
    A row as a mapping callable sees it.

    :ivar named: the columns whose names may be shown
    """

    named: Collection[str] = ()

    def __missing__(self, column: object) -> Any:
        if column in self.values():  # which may be personal
            raise ColumnMissing("a column named by one of its values, which the source lacks")
        name = str(column)[:_LONGEST_NAME_SHOWN]
        raise ColumnMissing(f"the column {name!r}, which the source lacks{closest(name, self.named)}")


class _RowWithRepeats(_Row):
    """A row of a source that has the same column more than once: none of them is the one that is meant."""

    repeated: Collection[str] = ()

    def __missing__(self, column: object) -> Any:
        if column in self.repeated:
            raise ColumnMissing(f"the column {column!r}, which the source has twice; give each a name of its own")
        return super().__missing__(column)

    def get(self, column: str, default: Any = None) -> Any:
        return self[column] if column in self.repeated else super().get(column, default)


def repeated_in(columns: Sequence[str]) -> frozenset[str]:
    """Give the names that more than one column has: nobody can tell which of them is meant."""
    if len(set(columns)) == len(columns):
        return frozenset()
    return frozenset(column for column in columns if columns.count(column) > 1)


def row_view(columns: tuple[str, ...], values: Sequence[object], named: Collection[str]) -> dict[str, Any]:
    """
    Give a row as a dict that names a column it lacks, and that has no column which came twice.

    :param named: the columns whose names may be shown
    """
    row: _Row
    if len(set(columns)) == len(columns):
        row = _Row(zip(columns, values, strict=True))
    else:
        row = repeating = _RowWithRepeats(zip(columns, values, strict=True))
        repeating.repeated = repeated_in(columns)
        for column in repeating.repeated:
            del row[column]
    row.named = named
    return row


def header_names(columns: tuple[str, ...], written: Iterable[object]) -> tuple[str, ...]:
    """
    Give the columns of a file whose first line may be a row: none of them, unless one has a name that is expected.

    :param written: the names that the Dag author wrote
    """
    expected = {LISTING, *FIELDS_BY_NAME, *(normalise(name) for name in written if isinstance(name, str))}
    return columns if any(normalise(column) in expected for column in columns) else ()


class ColumnMatch:
    """
    Which column of one source fills which field.

    :param columns: the source's columns
    :param sources: field → column name or function, from the Dag author; these come before matching by name
    :param named: the columns whose names may be shown
    :param keys: what leads are found by, each with a column of its own
    :ivar indexes: field → index of its value. A function's value comes after those of the columns. None where the
        author named a column that the source lacks
    :ivar functions: (field, function) in the order of their values
    :ivar used: column → field
    :ivar unmet: key → sentence about what is missing
    :raises MappingError: when two columns fit one field, or one column two fields
    """

    def __init__(
        self,
        columns: tuple[str, ...],
        sources: Mapping[str, str | RowFunction],
        named: Collection[str],
        keys: Collection[KeyKind] = (),
    ) -> None:
        self.columns = columns
        self._named = named
        self._keys = keys
        self.indexes: dict[str, int | None] = {}
        self.functions: list[tuple[str, RowFunction]] = []
        self.used: dict[str, str] = {}
        self.unmet: dict[str, str] = {}
        for name, source in sources.items():
            self.indexes[name] = self._index_of_source(name, source)
        for name, index in self._matches_by_name().items():
            self.indexes[name] = index
            self.used[columns[index]] = name

    def _index_of_source(self, name: str, source: str | RowFunction) -> int | None:
        if callable(source):
            self.functions.append((name, source))
            return len(self.columns) + len(self.functions) - 1
        index = self.index_of(source, f"mapping[{name!r}]")
        if index is not None:
            self.used[self.columns[index]] = name
        return index

    def index_of(self, column: str, asked_by: str) -> int | None:
        """
        Find a column that the author named; note it as unmet where the source lacks it.

        :raises MappingError: when the source has it more than once
        """
        same = [i for i, name in enumerate(self.columns) if name == column]
        like = same or [i for i, name in enumerate(self.columns) if normalise(name) == normalise(column)]
        if len(like) > 1:
            raise MappingError(f"{asked_by} names the column {column!r}, which the source has {len(like)} times")
        if like:
            return like[0]
        hint = closest(column, self._named)
        constant = "; for a constant use defaults" if asked_by.startswith("mapping") else ""
        self.unmet[asked_by + column] = (
            f"{asked_by} names the column {column!r}, which the source lacks{hint}{constant}"
        )
        return None

    def _matches_by_name(self) -> dict[str, int]:
        matches: dict[str, int] = {}
        for index, column in enumerate(self.columns):
            if column in self.used or column.casefold().startswith(REPORT_PREFIX):
                continue
            name = self._field_for(column)
            if name is None or name in self.indexes:
                continue
            if name in matches:
                other = self.columns[matches[name]]
                raise MappingError(
                    f"the columns {other!r} and {column!r} both match the field {name}; say which in mapping"
                )
            matches[name] = index
        return matches

    def _field_for(self, column: str) -> str | None:
        plain_name = normalise(column)
        if plain_name == LISTING:
            return LISTING
        key = KEYS_BY_NAME.get(plain_name)
        if key in self._keys:
            return key
        field = FIELDS_BY_NAME.get(plain_name)
        if field is None:
            return None
        if field.name == "listing.id" and column.strip().casefold() != "listing.id":
            if "listing.id" in self.indexes and "listing.listingId" in self.indexes:
                return None
            raise MappingError(
                f"the column {column!r} may mean listing.id (the id of an address in Lofty) or listing.listingId "
                f"(the MLS id); say which in mapping, for example {{'listing.listingId': {column!r}}}"
            )
        return field.name
