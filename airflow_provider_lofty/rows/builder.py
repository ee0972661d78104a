"""A row becomes an activity: every value is checked, and the row gets the key and the hashes it is recognised by."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from airflow_provider_lofty.lofty.fields import FIELDS, Field
from airflow_provider_lofty.lofty.lead_keys import KEY_NAMES, KeyKind
from airflow_provider_lofty.lofty.trace import TRACE_BYTES, trace_of
from airflow_provider_lofty.rows.checks import Check, TextCheck, is_null
from airflow_provider_lofty.rows.columns import (
    FIELDS_BY_NAME,
    FIELDS_BY_PATH,
    LISTING,
    ColumnMatch,
    ColumnMissing,
    RowFunction,
    closest,
    header_names,
    normalise,
    row_view,
)
from airflow_provider_lofty.rows.report_format import REPORT_PREFIX
from airflow_provider_lofty.rows.values import NULL_MARK, InvalidValue, NoValue, is_missing, kind_of, plain
from airflow_provider_lofty.rows.written import json_value

# Raise it whenever the same row would get another row key, fingerprint or trace than before: by a change here or in
# ``lofty.trace`` (a digest's size, the order or the spelling of what is hashed), in the checks (a value that is sent
# otherwise changes its trace), or in what the operator's scope names. Journals and reports carry the number.
# What was written by other rules is refused: its rows would not be recognised, and all of them would be sent again.
KEY_RULES = 3

_LISTING_DOT = "listing."
_LISTING_KEYS = tuple(path.removeprefix(_LISTING_DOT) for path in FIELDS_BY_PATH if path.startswith(_LISTING_DOT))
_BEFORE_LISTING = ("type", "text", "link", "picture", "created")
_MAY_BE_EMPTY = ("text", "link", "picture")  # required, but Lofty takes an empty text
_SIMPLE_TYPES = frozenset((str, int, bool))
_MOST_NESTED_NAMES = 50
_NULL_KEY = "is NULL, but it is part of unique_key"
_FAILED = object()  # stands for the value of a mapping function that raised

Problems = list[tuple[str, str]]  # (field, rule)
encode_json = msgspec.json.Encoder().encode


class InvalidRow(ValueError):
    """
    A row cannot become an activity.

    :param problems: (field, rule) of every value that is wrong
    :param lead_id: the row's lead, if that is right
    """

    def __init__(self, problems: Sequence[tuple[str, str]], lead_id: int | None = None) -> None:
        self.lead_id = lead_id
        self.fields = ", ".join(dict.fromkeys(field for field, _ in problems))
        super().__init__("; ".join(f"{field} {rule}" for field, rule in problems))


class Activity(NamedTuple):
    """
    A checked row, ready to be sent.

    :param lead_id: the lead, part of the request's path; None where it is yet to be found
    :param body: Lofty's ``LeadActivity`` as JSON
    :param row_key: 12 bytes; the trace hash, or a hash of the author's ``unique_key``. Where the lead is yet to be
        found, a hash of all that it is looked for by, together with type, created, text and link: the same whichever
        lead that turns out to be
    :param fingerprint: 16 bytes; a hash of the body and of the lead id, or of what that is looked for by
    :param trace_hash: 12 bytes; a hash of what reading back shows: lead id, type, created, text and link. None without
        a lead
    :param email: what the lead is looked for by, as it is compared; None where the row has a lead id or no address
    :param phone: the same
    """

    lead_id: int | None
    body: bytes
    row_key: bytes
    fingerprint: bytes
    trace_hash: bytes | None
    email: str | None = None
    phone: str | None = None


class FieldRules(NamedTuple):
    """
    Where the fields' values come from and what is checked of them, whatever columns a source has.

    :param sources: field → column name or function, from the Dag author
    :param defaults: field → checked value where the row has none
    :param checks: kind of field → its check
    :param unique_key: the columns that identify a row
    :param key_check: the check of each of them
    :param match_by: what leads are found by where a row has no lead id
    :param lead_key_checks: the checks of that
    :param nulls: the texts that stand for no value
    :param nested_ignored: collects names inside ``listing`` objects that match no field
    :param may_lack_header: whether what stands for the columns' names may be a row
    """

    sources: Mapping[str, str | RowFunction]
    defaults: Mapping[str, object]
    checks: Mapping[str, Check]
    unique_key: tuple[str, ...]
    key_check: TextCheck
    match_by: tuple[KeyKind, ...]
    lead_key_checks: Mapping[KeyKind, TextCheck]
    nulls: Collection[str]
    nested_ignored: set[str]
    may_lack_header: bool = False


class _Step(NamedTuple):
    """How one field gets its value: from ``values[place]``, else ``default``."""

    key: str  # the name in Lofty's object, without "listing."
    name: str
    place: int
    check: Check
    default: object
    required: bool


class RowBuilder:
    """
    The compiled way from one set of columns to an activity.

    :ivar named: the columns whose names may be shown
    :ivar used: column → the field that it fills
    :ivar ignored: the columns that fill none
    :ivar unmet: key → sentence about what is missing
    """

    def __init__(self, columns: tuple[str, ...], rules: FieldRules) -> None:
        written = (*rules.sources.values(), *rules.unique_key)
        self.named = header_names(columns, written) if rules.may_lack_header else columns
        match = ColumnMatch(columns, rules.sources, self.named, rules.match_by)
        self.columns = columns
        self.used = match.used
        self.unmet = match.unmet
        self._rules = rules
        self._functions = match.functions
        self._nested_index = match.indexes.get(LISTING)
        steps = [step for field in FIELDS if (step := self._step(field, match.indexes.get(field.name)))]
        self._match = [(kind, self._key_place(kind, match.indexes.get(kind))) for kind in rules.match_by]
        self._lead = [step for step in steps if step.name == "leadId"]
        self._head = [step for step in steps if step.name in _BEFORE_LISTING]
        self._listing = [step for step in steps if step.name.startswith(_LISTING_DOT)]
        self._tail = [step for step in steps if step not in (*self._lead, *self._head, *self._listing)]
        self._key = [(column, match.index_of(column, "unique_key")) for column in rules.unique_key]
        taken = {*self.used, *(columns[index] for _, index in self._key if index is not None)}
        self.ignored = [c for c in columns if c not in taken and not c.casefold().startswith(REPORT_PREFIX)]

    def _key_place(self, kind: KeyKind, index: int | None) -> int:
        if index is None and kind not in self._rules.sources:
            self.unmet[f"match_by {kind}"] = (
                f"match_by names {kind}, for which there is no column{closest(kind, self.named)}; say which it is in "
                f'mapping={{"{kind}": …}}'
            )
        return -1 if index is None else index

    def _step(self, field: Field, index: int | None) -> _Step | None:
        default = self._rules.defaults.get(field.name)
        required = field.required and not (field.name == "leadId" and self._rules.match_by)
        if index is None and default is None:
            if required and field.name not in self._rules.sources:
                hint = closest(field.name, self.named)
                self.unmet[field.name] = (
                    f"the required field {field.name} has neither a column nor a default{hint}{_empty_hint(field.name)}"
                )
            if not required:
                return None
        key = field.name.removeprefix(_LISTING_DOT)
        check = self._rules.checks[field.kind]
        return _Step(key, field.name, -1 if index is None else index, check, default, required)

    def build(self, values: Sequence[object]) -> Activity:
        """
        Build the activity of one row.

        :param values: the row's values in the order of the columns; None where there is none
        :raises InvalidRow: naming every field that is wrong
        """
        problems: Problems = []
        values = [*values, *self._computed(values, problems), None]  # [-1] stands for "no column"
        lead = _fill(self._lead, values, problems)
        lead_keys = self._lead_keys(values, problems) if self._match and not lead and not problems else {}
        body = _fill(self._head, values, problems)
        listing = self._listing_of(values, problems)
        if listing:
            body[LISTING] = listing
        if self._tail:
            body.update(_fill(self._tail, values, problems))
        key = self._unique_key(values, problems)
        if problems:
            raise InvalidRow(problems, lead.get("leadId"))
        if lead_keys:
            return _activity_of_somebody(lead_keys, body, key)
        return _activity(lead["leadId"], body, key)

    def _lead_keys(self, values: Sequence[object], problems: Problems) -> dict[KeyKind, str | None]:
        """Read what the lead is looked for by, in the order of ``match_by``."""
        keys = {kind: self._lead_key(kind, values[place], problems) for kind, place in self._match}
        if not any(keys.values()) and not problems:
            problems.append(("leadId", "has no value"))
            problems += [(kind, f"has no {KEY_NAMES[kind]} to find the lead by") for kind in keys]
        return keys

    def _lead_key(self, kind: KeyKind, value: object, problems: Problems) -> str | None:
        value = plain(value)
        if is_missing(value):
            return None
        try:
            return self._rules.lead_key_checks[kind](value)
        except NoValue:
            return None
        except InvalidValue as error:
            problems.append((kind, str(error)))
            return None

    def _computed(self, values: Sequence[object], problems: Problems) -> list[object]:
        """Call the author's functions on the row."""
        if not self._functions:
            return []
        nulls = self._rules.nulls
        cells = [None if is_null(value, nulls) else value for value in values]
        row = row_view(self.columns, cells, self.named)
        results: list[object] = []
        for name, function in self._functions:
            try:
                results.append(function(row))
            except ColumnMissing as error:
                problems.append((name, f"could not be computed: its mapping callable reads {error.args[0]}"))
                results.append(_FAILED)
            except Exception as error:  # the author's own code, which may raise anything; its text may be personal
                problems.append((name, f"could not be computed: its mapping callable raised {type(error).__name__}"))
                results.append(_FAILED)
        return results

    def _listing_of(self, values: Sequence[object], problems: Problems) -> dict[str, Any]:
        nested = {} if self._nested_index is None else self._nested(values[self._nested_index], problems)
        if not nested:
            return _fill(self._listing, values, problems)
        # A column of its own comes before the object, the object before a default.
        steps = [step._replace(default=nested.get(step.key, step.default)) for step in self._listing]
        found = {**nested, **_fill(steps, values, problems)}
        return {key: found[key] for key in _LISTING_KEYS if key in found}  # always in one order: it is hashed

    def _nested(self, nested: object, problems: Problems) -> dict[str, Any]:
        """Take apart a ``listing`` that is one object, or an object written as JSON text."""
        if nested is None or nested is _FAILED or is_null(nested, self._rules.nulls):
            return {}
        if not isinstance(nested, dict) and is_missing(nested):
            return {}
        try:
            pairs = _pairs_of(nested)
        except InvalidValue as error:
            problems.append((LISTING, str(error)))
            return {}
        steps: dict[str, _Step] = {}
        given: list[object] = []
        for key, value in pairs:
            field = FIELDS_BY_NAME.get(LISTING + normalise(str(key)))
            if field is None:
                if len(self._rules.nested_ignored) < _MOST_NESTED_NAMES:
                    self._rules.nested_ignored.add(f"listing.{key}")
                continue
            if field.name in steps:
                problems.append((field.name, "comes twice inside listing"))
            check = self._rules.checks[field.kind]
            place = len(given)
            steps[field.name] = _Step(field.name.removeprefix(_LISTING_DOT), field.name, place, check, None, False)
            given.append(value)
        return _fill(steps.values(), given, problems)

    def _unique_key(self, values: Sequence[object], problems: Problems) -> list[str]:
        if not self._key:
            return []
        key = []
        for column, index in self._key:
            value = None if index is None else plain(values[index])
            try:
                key.append(self._rules.key_check(value))
            except NoValue:
                problems.append((column, _NULL_KEY))
            except InvalidValue as error:
                problems.append((column, _NULL_KEY if is_missing(value) else str(error)))
        if len(key) == len(self._key) and not any(map(str.strip, key)):
            problems += [(column, _NULL_KEY) for column, _ in self._key]
        return key


def _fill(steps: Iterable[_Step], values: Sequence[object], problems: Problems) -> dict[str, Any]:
    """
    Check the values of one object of the body.

    Runs several times per row, so it is written for speed.
    """
    filled: dict[str, Any] = {}
    for key, name, place, check, default, required in steps:
        value = values[place]
        if value is None or type(value) not in _SIMPLE_TYPES:
            if value is _FAILED:
                continue
            value = plain(value)
            if is_missing(value):
                _fill_missing(filled, key, name, default, required, problems)
                continue
        try:
            filled[key] = check(value)
        except NoValue:
            _fill_missing(filled, key, name, default, required, problems)
        except InvalidValue as error:
            if isinstance(value, str) and value.strip() == NULL_MARK:
                _fill_missing(filled, key, name, default, required, problems)
            else:
                problems.append((name, str(error)))
    return filled


def _fill_missing(
    filled: dict[str, Any], key: str, name: str, default: object, required: bool, problems: Problems
) -> None:
    if default is not None:
        filled[key] = default
    elif required:
        problems.append((name, f"is required, but has no value and no default{_empty_hint(name)}"))


def _empty_hint(name: str) -> str:
    return f'; where it may be empty, say defaults={{"{name}": ""}}' if name in _MAY_BE_EMPTY else ""


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


def _activity_of_somebody(lead_keys: dict[KeyKind, str | None], body: dict[str, Any], key: list[str]) -> Activity:
    """Make the activity of a row whose lead is yet to be found."""
    encoded = encode_json(body)
    named = list(lead_keys.items())
    identity: Sequence[object] = key or [named, body["type"], body["created"], body["text"], body["link"]]
    return Activity(
        None,
        encoded,
        blake2b(encode_json(identity), digest_size=TRACE_BYTES).digest(),
        blake2b(b"%b\n%b" % (encode_json(named), encoded), digest_size=16).digest(),
        None,
        lead_keys.get("email"),
        lead_keys.get("phone"),
    )


def _pairs_of(nested: object) -> Sequence[tuple[object, object]]:
    """
    Take an object apart: a dict, the pairs of a map, or either as JSON text, written as JSON once more perhaps.

    :raises InvalidValue: when it is none, or has a name twice
    """
    for _ in range(2):
        nested = _from_json(nested) if isinstance(nested, str) else nested
    if nested is None:
        return ()
    if isinstance(nested, dict):
        return tuple(nested.items())
    if isinstance(nested, (list, tuple)) and nested and all(map(_is_pair, nested)):
        return [(name, value) for name, value in nested]
    raise InvalidValue(f"must be an object, or one as JSON text, got {kind_of(nested)}")


def _is_pair(item: object) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)


def _from_json(text: str) -> object:
    if not text.strip():
        return None
    try:
        return json_value(text)
    except InvalidValue:
        raise
    except (ValueError, RecursionError):
        raise InvalidValue("must be an object, or one as JSON text, got text that is not JSON") from None
