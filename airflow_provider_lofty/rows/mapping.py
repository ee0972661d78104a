"""
What a Dag author wants of rows and activities: ``mapping``, ``defaults``, ``unique_key``, ``match_by``, ``timezone``.

A :class:`RowMapping` is made once per task. For each set of columns that a source delivers it compiles a
:class:`~airflow_provider_lofty.rows.builder.RowBuilder`, which turns bare lists of values into activities.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone, tzinfo
from zoneinfo import ZoneInfo, available_timezones

from airflow_provider_lofty.lofty.lead_keys import KEY_NAMES, KeyKind
from airflow_provider_lofty.rows.builder import FieldRules, RowBuilder
from airflow_provider_lofty.rows.cell_kinds import Reading
from airflow_provider_lofty.rows.checks import (
    Check,
    Remarks,
    checks,
    decimals_of,
    key_check,
    lead_key_checks,
    nulls_of,
)
from airflow_provider_lofty.rows.columns import FIELDS_BY_PATH, MappingError, RowFunction, by_field, closest, normalise
from airflow_provider_lofty.rows.file_options import NOTHING_SAID, FileOptions
from airflow_provider_lofty.rows.seal import digest_of_arguments
from airflow_provider_lofty.rows.timestamps import TimestampChecks
from airflow_provider_lofty.rows.values import InvalidValue, is_missing, kind_of, plain

_MOST_BUILDERS_KEPT = 500  # rows that are objects may have any number of shapes


class RowMapping:
    """
    How rows become activities, checked once.

    :param mapping: field → column name, or a function that gets the row as a dict; goes before matching by name
    :param defaults: field → value where the row has none
    :param unique_key: column or columns that identify a row
    :param zone: IANA name of the zone of timestamps that name none
    :param now: the current time, aware
    :param match_by: what leads are found by where a row has no lead id: ``email``, ``phone``, or both in order
    :param options: how cells write decimals and no value, in a source that says nothing of it itself
    :ivar timestamps: the checks of dates and times in that zone
    :ivar digest: of these arguments
    :ivar remarks: what was noticed about values, and how often
    :ivar nested_ignored: names inside ``listing`` objects that match no field, as far as they were seen
    :raises MappingError: when a name is not a field of an activity, a default breaks its field's rule, or the zone
        is unknown
    """

    def __init__(
        self,
        mapping: Mapping[str, str | RowFunction] | None = None,
        defaults: Mapping[str, object] | None = None,
        unique_key: str | Sequence[str] | None = None,
        zone: str = "UTC",
        now: datetime | None = None,
        options: FileOptions = NOTHING_SAID,
        match_by: str | Sequence[str] | None = None,
    ) -> None:
        self.timestamps = TimestampChecks(zone_named(zone), now or datetime.now(timezone.utc))
        self.unique_key = key_columns(unique_key)
        self.match_by = key_kinds(match_by)
        self.nested_ignored: set[str] = set()
        self.remarks = Remarks()
        self._options = self._cells = options
        self._rules = FieldRules(
            _checked_sources(mapping or {}, self.match_by),
            _checked_defaults(defaults or {}, checks(self.timestamps)),
            checks(self.timestamps, options, self.remarks),
            self.unique_key,
            key_check(options),
            self.match_by,
            lead_key_checks(options),
            nulls_of(options),
            self.nested_ignored,
        )
        self.digest = digest_of_arguments(
            mapping or {}, defaults or {}, self.unique_key, self.match_by, zone, options.decimal, options.null_values
        )
        if self.match_by and "leadId" in self._rules.defaults:
            raise MappingError("defaults gives every row a leadId, so that match_by would never be used: leave one out")
        self._builders: dict[tuple[str, ...], RowBuilder] = {}
        self._unmet: dict[str, str] | None = None

    def start_source(self, file: FileOptions | None) -> None:
        """
        Read what follows as the cells of a file are written.

        :param file: what is known of it; None where the source is not a file
        """
        cells = file or self._options
        may_lack_header = file is not None and file.delimiter is not None
        if (cells, may_lack_header) != (self._cells, self._rules.may_lack_header):
            self._cells = cells
            self._builders.clear()
            by_kind = checks(self.timestamps, cells, self.remarks)
            self._rules = self._rules._replace(
                checks=by_kind,
                key_check=key_check(cells),
                lead_key_checks=lead_key_checks(cells),
                nulls=nulls_of(cells),
                may_lack_header=may_lack_header,
            )

    @property
    def reading(self) -> Reading:
        """How the cells of the present source are read."""
        nulls = frozenset(self._cells.null_values or ())
        return Reading(decimals_of(self._cells), nulls, any(map(callable, self._rules.sources.values())))

    def builder(self, columns: tuple[str, ...], *, table: bool) -> RowBuilder:
        """
        Compile the way from these columns to an activity.

        :param table: every row of the source has these columns (a file, a query), so what is missing here is
            missing for good; otherwise :meth:`require_columns` reports it at the end of the input
        :raises MappingError: for a tie, an ambiguous column, or (table) a column or required field that is missing
        """
        builder = self._builders.get(columns)
        if builder is None:
            if len(self._builders) > _MOST_BUILDERS_KEPT:
                self._builders.clear()
            builder = self._builders[columns] = RowBuilder(columns, self._rules)
            unmet = builder.unmet
            if table and unmet:
                raise MappingError("; ".join(unmet.values()))
            seen = self._unmet
            self._unmet = unmet if seen is None else {key: seen[key] for key in seen.keys() & unmet.keys()}
        return builder

    def require_columns(self) -> None:
        """
        Report what no row of the whole input had a column for.

        :raises MappingError: for a mapped column or a required field that never came
        """
        if self._unmet:
            raise MappingError("; ".join(self._unmet.values()))


def _checked_sources(
    mapping: Mapping[str, str | RowFunction], keys: Collection[KeyKind]
) -> dict[str, str | RowFunction]:
    sources = by_field(mapping, "mapping", objects=True, keys=keys)
    for name, source in sources.items():
        if not isinstance(source, str) and not callable(source):
            raise MappingError(f"mapping[{name!r}] must be a column name or a callable, not {kind_of(source)}")
    return sources


def _checked_defaults(defaults: Mapping[str, object], by_kind: Mapping[str, Check]) -> dict[str, object]:
    checked = {}
    for name, given in by_field(defaults, "defaults").items():
        value = plain(given)
        if is_missing(value):
            continue
        try:
            checked[name] = by_kind[FIELDS_BY_PATH[name].kind](value)
        except InvalidValue as error:
            raise MappingError(f"defaults[{name!r}] {error}") from None
    return checked


def key_columns(unique_key: object) -> tuple[str, ...]:
    """
    Put the columns that identify a row into one order, whichever they were named in.

    :raises MappingError: for anything but names
    """
    if unique_key is None:
        return ()
    columns = [unique_key] if isinstance(unique_key, str) else unique_key
    if isinstance(columns, (list, tuple)) and all(isinstance(column, str) for column in columns):
        if not all(map(normalise, columns)) or not columns:
            raise MappingError("unique_key names no column; leave it out where no column identifies a row")
        return tuple(sorted(set(columns), key=lambda column: (normalise(column), column)))
    raise MappingError(f"unique_key must be a column name or a list of them, got {kind_of(unique_key)}")


def key_kinds(match_by: object) -> tuple[KeyKind, ...]:
    """
    Read what leads are found by.

    :raises MappingError: for anything but ``email``, ``phone``, or a list of both
    """
    if match_by is None:
        return ()
    given = [match_by] if isinstance(match_by, str) else list(match_by) if isinstance(match_by, (list, tuple)) else []
    kinds = tuple(kind for name in given for kind in KEY_NAMES if name == kind)
    if not kinds or len(set(kinds)) < len(given):
        raise MappingError('match_by must be "email", "phone" or a list of both, in order')
    return kinds


def zone_named(name: str) -> tzinfo:
    """
    Find a time zone.

    :param name: its IANA name
    :raises MappingError: when it is unknown
    """
    if str(name).upper() == "UTC":
        return timezone.utc  # saves a look-up per row
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        like = closest(str(name), available_timezones()) or ", such as 'America/New_York'"
        raise MappingError(f"timezone={name!r} is not a known IANA time zone{like}") from None
