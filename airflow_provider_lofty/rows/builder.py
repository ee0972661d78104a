"""
A row becomes an activity: columns are matched to Lofty's fields, every value is checked, identities are taken.

A :class:`Mapping` is made once per task. For each set of columns that a source delivers it compiles a
:class:`Layout`, which then builds activities from bare lists of values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping as MappingABC, Sequence
from datetime import datetime, timezone
from hashlib import blake2b
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from airflow_provider_lofty.lofty.fields import FIELDS, Field
from airflow_provider_lofty.lofty.trace import TRACE_BYTES, trace_of
from airflow_provider_lofty.rows.columns import (
    FIELDS_BY_NAME,
    FIELDS_BY_PATH,
    LISTING,
    MappingError,
    by_field,
    closest,
    normalise,
)
from airflow_provider_lofty.rows.values import (
    Check,
    InvalidValue,
    TimestampChecks,
    checks,
    is_missing,
    kind_of,
    plain,
    text,
)

REPORT_PREFIX = "lofty_"  # the columns that a report adds; never taken for a field
_LISTING_DOT = "listing."
_LISTING_KEYS = tuple(path.removeprefix(_LISTING_DOT) for path in FIELDS_BY_PATH if path.startswith(_LISTING_DOT))
_SIMPLE_TYPES = frozenset((str, int, bool))
_MOST_NESTED_NAMES = 50

MappingSource = str | Callable[[dict[str, Any]], Any]
encode_json = msgspec.json.Encoder().encode


class InvalidRow(ValueError):
    """
    A row cannot become an activity.

    :param problems: (field, rule) of every value that is wrong
    :param lead_id: the row's lead, where that much is right
    """

    def __init__(self, problems: Sequence[tuple[str, str]], lead_id: int | None = None) -> None:
        self.lead_id = lead_id
        self.fields = ", ".join(dict.fromkeys(field for field, _ in problems))
        super().__init__("; ".join(f"{field} {rule}" for field, rule in problems))


class Activity(NamedTuple):
    """
    A checked row, ready to be sent.

    :param lead_id: the lead, part of the request's path
    :param body: Lofty's ``LeadActivity`` as JSON
    :param identity: 12 bytes; the trace, or a hash of the author's ``unique_key``
    :param fingerprint: 16 bytes; lead id and body
    :param trace: 12 bytes; what reading back can see: lead id, type, created, text and link
    """

    lead_id: int
    body: bytes
    row_key: bytes
    fingerprint: bytes
    trace_hash: bytes


class _Step(NamedTuple):
    """How one field gets its value: from ``values[place]``, else ``default``."""

    key: str  # the name in Lofty's object, without "listing."
    name: str
    place: int
    check: Check
    default: Any
    required: bool


class Mapping:
    """
    The Dag author's wishes about rows and activities, checked once.

    :param mapping: field → column name, or a callable that gets the row as a dict; laid over matching by name
    :param defaults: field → value where the row has none
    :param unique_key: column or columns that identify a row
    :param zone: IANA name of the zone of timestamps that name none
    :param now: the present, aware
    :raises MappingError: when a name is no field of an activity, a default breaks its field's rule, or the zone
        is unknown
    """

    def __init__(
        self,
        mapping: MappingABC[str, MappingSource] | None = None,
        defaults: MappingABC[str, Any] | None = None,
        unique_key: str | Sequence[str] | None = None,
        zone: str = "UTC",
        now: datetime | None = None,
    ) -> None:
        self.moments = TimestampChecks(_zone(zone), now or datetime.now(timezone.utc))
        self.checks = checks(self.moments)
        self.sources = by_field(mapping or {}, "mapping", objects=True)
        for name, source in self.sources.items():
            if not isinstance(source, str) and not callable(source):
                raise MappingError(f"mapping[{name!r}] must be a column name or a callable, not {kind_of(source)}")
        self.defaults = self._checked_defaults(defaults or {})
        self.unique_key = _columns_of_key(unique_key)
        self.nested_ignored: set[str] = set()
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._unmet: dict[str, str] | None = None

    def _checked_defaults(self, defaults: MappingABC[str, Any]) -> dict[str, Any]:
        checked = {}
        for name, value in by_field(defaults, "defaults").items():
            value = plain(value)
            if is_missing(value):
                continue
            try:
                checked[name] = self.checks[FIELDS_BY_PATH[name].kind](value)
            except InvalidValue as error:
                raise MappingError(f"defaults[{name!r}] {error}") from None
        return checked

    def layout(self, columns: tuple[str, ...], *, table: bool) -> Layout:
        """
        Compile the way from these columns to an activity.

        :param table: every row of the source has these columns (a file, a query), so what is missing here is
            missing for good; otherwise :meth:`require_columns` tells at the end of the input
        :raises MappingError: for a tie, an ambiguous column, or (table) a column or required field that is missing
        """
        layout = self._layouts.get(columns)
        if layout is None:
            if len(self._layouts) > 500:  # rows of objects may have endlessly many shapes
                self._layouts.clear()
            layout = self._layouts[columns] = Layout(self, columns)
            unmet = layout.unmet
            if table and unmet:
                raise MappingError("; ".join(unmet.values()))
            seen = self._unmet
            self._unmet = unmet if seen is None else {key: seen[key] for key in seen.keys() & unmet.keys()}
        return layout

    def require_columns(self) -> None:
        """
        Say what no row of the whole input had a column for.

        :raises MappingError: for a mapped column or a required field that never came
        """
        if self._unmet:
            raise MappingError("; ".join(self._unmet.values()))


class Layout:
    """
    The compiled way from one set of columns to an activity.

    ``used`` tells which column fills which field, ``ignored`` the columns that fill none, ``unmet`` what is
    missing (key → sentence).
    """

    def __init__(self, mapping: Mapping, columns: tuple[str, ...]) -> None:
        self.columns = columns
        self.unmet: dict[str, str] = {}
        self.used: dict[str, str] = {}
        self._mapping = mapping
        self._calls: list[tuple[str, Callable[[dict[str, Any]], Any]]] = []
        indexes = self._field_indexes()
        self._nested_index = indexes.get(LISTING)
        steps = [self._step(field, indexes.get(field.name)) for field in FIELDS]
        found = [step for step in steps if step is not None]
        self._lead = [step for step in found if step.name == "leadId"]
        self._head = [step for step in found if "." not in step.name and step.name in _BEFORE_LISTING]
        self._listing = [step for step in found if step.name.startswith(_LISTING_DOT)]
        self._tail = [step for step in found if step.name in _AFTER_LISTING]
        self._key = [(column, self._column_index(column, "unique_key")) for column in mapping.unique_key]
        taken = {*self.used, *(columns[index] for _, index in self._key if index is not None)}
        self.ignored = [c for c in columns if c not in taken and not c.casefold().startswith(REPORT_PREFIX)]

    def _field_indexes(self) -> dict[str, int | None]:
        """Which value fills which field; callables come after the columns, in the order they are called."""
        indexes: dict[str, int | None] = {}
        for name, source in self._mapping.sources.items():
            if callable(source):
                indexes[name] = len(self.columns) + len(self._calls)
                self._calls.append((name, source))
            else:
                index = indexes[name] = self._column_index(source, f"mapping[{name!r}]")
                if index is not None:
                    self.used[self.columns[index]] = name
        for name, index in self._matches_by_name(indexes).items():
            indexes[name] = index
            self.used[self.columns[index]] = name
        return indexes

    def _column_index(self, column: str, asked_by: str) -> int | None:
        same = [i for i, name in enumerate(self.columns) if name == column]
        like = same or [i for i, name in enumerate(self.columns) if normalise(name) == normalise(column)]
        if len(like) > 1:
            raise MappingError(f"{asked_by} names the column {column!r}, which the source has {len(like)} times")
        if like:
            return like[0]
        hint = closest(column, self.columns)
        constant = "; for a constant use defaults" if asked_by.startswith("mapping") else ""
        self.unmet[asked_by + column] = (
            f"{asked_by} names the column {column!r}, which the source lacks{hint}{constant}"
        )
        return None

    def _matches_by_name(self, mapped: dict[str, int | None]) -> dict[str, int]:
        matches: dict[str, int] = {}
        for index, column in enumerate(self.columns):
            if column in self.used or column.casefold().startswith(REPORT_PREFIX):
                continue
            name = self._field_for(column, mapped)
            if name is None or name in mapped:
                continue
            if name in matches:
                other = self.columns[matches[name]]
                raise MappingError(
                    f"the columns {other!r} and {column!r} both match the field {name}; say which in mapping"
                )
            matches[name] = index
        return matches

    def _field_for(self, column: str, mapped: dict[str, int | None]) -> str | None:
        plain_name = normalise(column)
        if plain_name == LISTING:
            return LISTING
        field = FIELDS_BY_NAME.get(plain_name)
        if field is None:
            return None
        if field.name == "listing.id" and column.strip().casefold() != "listing.id":
            if "listing.id" in mapped and "listing.listingId" in mapped:
                return None
            raise MappingError(
                f"the column {column!r} may mean listing.id (the id of an address in Lofty) or listing.listingId "
                f"(the MLS id); say which in mapping, for example {{'listing.listingId': {column!r}}}"
            )
        return field.name

    def _step(self, field: Field, index: int | None) -> _Step | None:
        default = self._mapping.defaults.get(field.name)
        if index is None and default is None:
            if field.required and field.name not in self._mapping.sources:
                hint = closest(field.name, self.columns)
                self.unmet[field.name] = f"the required field {field.name} has neither a column nor a default{hint}"
            if not field.required:
                return None
        key = field.name.removeprefix(_LISTING_DOT)
        check = self._mapping.checks[field.kind]
        return _Step(key, field.name, -1 if index is None else index, check, default, field.required)

    def with_empty_texts(self, values: Sequence[Any]) -> list[Any]:
        """
        Take a missing value of a required text for an empty one.

        A CSV report writes both as an empty cell; of a row that passed the checks then, only the empty text can
        have been meant.
        """
        empty = {s.place for s in self._head if s.check is text and s.required and s.default is None}
        return ["" if value is None and index in empty else value for index, value in enumerate(values)]

    def build(self, values: Sequence[Any]) -> Activity:
        """
        Build the activity of one row.

        :param values: the row's values in the order of the columns; None where there is none
        :raises InvalidRow: naming every field that is wrong
        """
        problems: list[tuple[str, str]] = []
        values = [*values, *self._called(values, problems), None]  # [-1] stands for "no column"
        lead = _fill(self._lead, values, problems)
        body = _fill(self._head, values, problems)
        nested = self._nested(values, problems) if self._nested_index is not None else {}
        if not nested:
            listing = _fill(self._listing, values, problems)
        else:  # a column of its own stands before the object, the object before a default
            steps = [step._replace(default=nested.get(step.key, step.default)) for step in self._listing]
            found = {**nested, **_fill(steps, values, problems)}
            listing = {key: found[key] for key in _LISTING_KEYS if key in found}  # in one order: it is hashed
        if listing:
            body["listing"] = listing
        if self._tail:
            body.update(_fill(self._tail, values, problems))
        key = self._unique_key(values, problems)
        if problems:
            raise InvalidRow(problems, lead.get("leadId"))
        return _activity(lead["leadId"], body, key)

    def _called(self, values: Sequence[Any], problems: list[tuple[str, str]]) -> list[Any]:
        if not self._calls:
            return []
        results = []
        for name, call in self._calls:
            try:
                results.append(call(dict(zip(self.columns, values, strict=True))))
            except Exception as error:  # the author's own code, which may raise anything; its text may be personal
                problems.append((name, f"could not be computed: its mapping callable raised {type(error).__name__}"))
                results.append(_FAILED)
        return results

    def _nested(self, values: Sequence[Any], problems: list[tuple[str, str]]) -> dict[str, Any]:
        """Take apart a ``listing`` that is one object, or an object written as JSON text."""
        assert self._nested_index is not None
        nested = values[self._nested_index]
        if nested is None or nested is _FAILED or (not isinstance(nested, dict) and is_missing(nested)):
            return {}
        if isinstance(nested, str):
            nested = _object_from_json(nested)
        if not isinstance(nested, dict):
            problems.append((LISTING, f"must be an object, got {kind_of(nested)}"))
            return {}
        steps: dict[str, _Step] = {}
        given: list[Any] = []
        for key, value in nested.items():
            field = FIELDS_BY_NAME.get(LISTING + normalise(str(key)))
            if field is None:
                if len(self._mapping.nested_ignored) < _MOST_NESTED_NAMES:
                    self._mapping.nested_ignored.add(f"listing.{key}")
                continue
            if field.name in steps:
                problems.append((field.name, "comes twice inside listing"))
            check = self._mapping.checks[field.kind]
            place = len(given)
            steps[field.name] = _Step(field.name.removeprefix(_LISTING_DOT), field.name, place, check, None, False)
            given.append(value)
        return _fill(steps.values(), given, problems)

    def _unique_key(self, values: Sequence[Any], problems: list[tuple[str, str]]) -> list[str]:
        key = []
        for column, index in self._key:
            value = None if index is None else plain(values[index])
            try:
                key.append(str(value) if isinstance(value, bool) else text(value))
            except InvalidValue as error:
                rule = "is NULL, but it is part of unique_key" if is_missing(value) else str(error)
                problems.append((column, rule))
        return key


_FAILED = object()
_BEFORE_LISTING = ("type", "text", "link", "picture", "created")
_AFTER_LISTING = ("scheduledDate", "pageName")


def _fill(steps: Iterable[_Step], values: Sequence[Any], problems: list[tuple[str, str]]) -> dict[str, Any]:
    """Check the values of one object of the body; runs once a row, so it is written for speed."""
    filled = {}
    for key, name, place, check, default, required in steps:
        value = values[place]
        if value is None or type(value) not in _SIMPLE_TYPES:
            if value is _FAILED:
                continue
            value = plain(value)
            if is_missing(value):
                if default is not None:
                    filled[key] = default
                elif required:
                    problems.append((name, "is required, but has no value and no default"))
                continue
        try:
            filled[key] = check(value)
        except InvalidValue as error:
            problems.append((name, str(error)))
    return filled


def _activity(lead_id: int, body: dict[str, Any], key: list[str]) -> Activity:
    trace_hash = trace_of(lead_id, body["type"], body["created"], body["text"], body["link"])
    encoded = encode_json(body)
    return Activity(
        lead_id,
        encoded,
        blake2b(encode_json(key), digest_size=TRACE_BYTES).digest() if key else trace_hash,
        blake2b(b"%d\n%b" % (lead_id, encoded), digest_size=16).digest(),
        trace_hash,
    )


def _object_from_json(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _columns_of_key(unique_key: Any) -> tuple[str, ...]:
    if unique_key is None or isinstance(unique_key, str):
        return (unique_key,) if unique_key else ()
    if isinstance(unique_key, (list, tuple)) and all(isinstance(column, str) for column in unique_key):
        return tuple(unique_key)
    raise MappingError(f"unique_key must be a column name or a list of them, got {kind_of(unique_key)}")


def _zone(name: str) -> Any:
    if str(name).upper() == "UTC":
        return timezone.utc  # spares a look-up a row
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        raise MappingError(f"timezone={name!r} is not a known IANA time zone, such as 'America/New_York'") from None
