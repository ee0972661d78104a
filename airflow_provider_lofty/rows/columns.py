"""
How column names and the names that a Dag author writes find Lofty's fields: whatever their case, underscores and dots.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_lofty.lofty.fields import FIELDS
from airflow_provider_lofty.rows.values import kind_of

LISTING = "listing"
FIELDS_BY_PATH = {field.name: field for field in FIELDS}


class MappingError(ValueError):
    """The columns, ``mapping``, ``defaults`` or ``unique_key`` do not fit together. No row was looked at."""


def normalise(name: str) -> str:
    """Column and field names match without regard to case, underscores, dots and outer blanks."""
    return name.strip().casefold().replace("_", "").replace(".", "")


FIELDS_BY_NAME = {normalise(field.name): field for field in FIELDS}


def by_field(given: Mapping[str, Any], argument: str, *, objects: bool = False) -> dict[str, Any]:
    """Bring the names a Dag author wrote to the fields' own names."""
    if not isinstance(given, Mapping):
        raise MappingError(f"{argument} must be a dict, not {kind_of(given)}")
    named: dict[str, Any] = {}
    for name, value in ((str(name), value) for name, value in given.items()):
        if objects and normalise(name) == LISTING:
            path = LISTING
        else:
            path = name if name in FIELDS_BY_PATH else _field_named(name, argument)
        if path in named:
            raise MappingError(f"{argument} names the field {path} twice")
        named[path] = value
    return named


def _field_named(name: str, argument: str) -> str:
    field = FIELDS_BY_NAME.get(normalise(name))
    if field is None:
        raise MappingError(f"{argument}[{name!r}]: Lofty has no such field{closest(name, FIELDS_BY_PATH)}")
    if field.name == "listing.id" and name.casefold() != "listing.id":
        raise MappingError(f"{argument}[{name!r}] may mean listing.id or listing.listingId; write one of these")
    return field.name


def closest(name: str, names: Iterable[str]) -> str:
    """End a sentence about an unknown name with the one that was perhaps meant."""
    by_normal = {normalise(candidate): candidate for candidate in names}
    close = difflib.get_close_matches(normalise(name), by_normal, n=1, cutoff=0.6)
    return f"; the closest name is {by_normal[close[0]]!r}" if close else ""
