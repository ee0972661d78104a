"""
From a source into the spool: every row becomes a checked activity or gets its outcome at once.

A source with a ``lofty_outcome`` column is a report that came back: what it calls delivered is not sent again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from airflow_provider_lofty.clock import boot_seconds
from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.lofty.trace import content_of_body, trace_of_body
from airflow_provider_lofty.log import PROGRESS_SECONDS, Log
from airflow_provider_lofty.outcomes import OUTCOMES, Outcome
from airflow_provider_lofty.report.format import FORMAT_MARK, Notes, fingerprint_in, notes_in
from airflow_provider_lofty.report.status import Status
from airflow_provider_lofty.rows.builder import InvalidRow, RowBuilder
from airflow_provider_lofty.rows.cell_kinds import kinds_of, restored_cells
from airflow_provider_lofty.rows.columns import MappingError, closest, normalise
from airflow_provider_lofty.rows.mapping import RowMapping
from airflow_provider_lofty.rows.numbers import identifier, whole_number
from airflow_provider_lofty.rows.report_format import OUTCOME_COLUMN, outcome_place
from airflow_provider_lofty.rows.seal import key_seal_of, seal_of
from airflow_provider_lofty.rows.source import Source, SourceRow, row_name
from airflow_provider_lofty.rows.values import InvalidValue, is_missing, plain
from airflow_provider_lofty.run.publisher import SHOW_SECONDS, StatusPublisher
from airflow_provider_lofty.spool.codec import shown
from airflow_provider_lofty.spool.history import CONTENT_HAS_CHANGED, FINGERPRINT_BYTES
from airflow_provider_lofty.spool.schema import RowState
from airflow_provider_lofty.spool.spool import Spool, SpoolRow

_FINGERPRINT_COLUMN = "lofty_fingerprint"
_LEAD_COLUMN = "lofty_lead_id"
_ERROR_FIELD_COLUMN = "lofty_error_field"
_FINGERPRINT = re.compile(f"([0-9a-f]{{2}}){{{FINGERPRINT_BYTES},16}}")
_MOST_ATTEMPTS = 1000  # more is a slip of whoever edited the report
_MOST_NAMES_LOGGED = 40
_LONGEST_COLUMN_SHOWN = 100  # on the task's page
_MOST_TABLES = 20  # sets of columns that are compared and logged
_OTHER_FORMAT = (
    f"{{}} of {{}} comes from a report of another format: its {_FINGERPRINT_COLUMN} does not begin with "
    f"{FORMAT_MARK}, so what it says became of the row may mean something else here. Nothing was sent. Send the "
    "original source instead: clear the task that wrote the report, whose journal knows what it delivered, or use "
    "check_existing='always', which reads every lead before anything is sent to it"
)
_NO_HEADER = (
    "none of the %d columns has the name of a field, or one that mapping or unique_key name, so their names are not "
    "shown: they may be values. If the file has no header, name its cells with columns=[…]"
)
_CHANGED_IN_DOUBT = (
    "its report says unknown, and its content has changed since: what may be stored cannot be looked for; look at the "
    f"lead, then write delivered into {OUTCOME_COLUMN}, or leave it empty to send the row"
)
_NOT_SHOWN = (
    "its report does not show all that the row was: what would be sent is not what would have been. Send its source "
    f"again (clear the task that wrote the report), or correct the row, or empty its {OUTCOME_COLUMN} to send it as it "
    "is shown"
)
_HOW_TO_SEND = f"; correct the row and empty its {OUTCOME_COLUMN} to send it"
_NOWHERE_IN_DOUBT = (
    f"its report says unknown, and not in {_LEAD_COLUMN} which lead it may have been sent to: it cannot be looked for; "
    f"write delivered into {OUTCOME_COLUMN}, or leave it empty to send the row"
)


@contextmanager
def mapping_errors() -> Iterator[None]:
    """
    Say what columns that do not fit mean.

    :raises LoftyConfigurationError: naming them
    """
    try:
        yield
    except MappingError as error:
        raise LoftyConfigurationError(f"{error}; nothing was sent") from None


Fates = dict[str, object]  # what a report says of a row, by its columns


class Ingest:
    """
    Takes sources one after the other.

    :param mapping: how rows become activities
    :param spool: where they go
    :param log: gets the columns that are used and those that are ignored
    :param publisher: shows how many rows were read so far
    :param clock: seconds, which also pass while the machine is suspended
    :ivar renamed: field → the column that fills it, of those that do not have the same name
    """

    def __init__(
        self,
        mapping: RowMapping,
        spool: Spool,
        log: Log,
        publisher: StatusPublisher,
        clock: Callable[[], float] = boot_seconds,
    ) -> None:
        self._mapping = mapping
        self._spool = spool
        self._log = log
        self._publisher = publisher
        self._clock = clock
        self._reading = mapping.reading
        self._has_logged_columns = False
        self.renamed: dict[str, str] = {}
        self._tables: dict[tuple[str, ...], str] = {}  # the sets of columns so far → the first source with them
        self._publish_at = self._clock() + SHOW_SECONDS
        self._log_at = self._clock() + PROGRESS_SECONDS

    def take(self, source: Source) -> None:
        """
        Read one source to its end.

        :raises MappingError: when its columns do not fit
        """
        number = self._spool.add_source(source.name, source.columns)
        self._mapping.start_source(source.file)
        self._reading = self._mapping.reading
        if source.columns is not None:
            self._take_columns(source.name, self._mapping.builder(source.columns, table=True))
        add, spooled = self._spool.add, self._spooled
        columns: tuple[str, ...] | None = None
        for row in source.rows:
            if self._clock() >= self._publish_at:
                self._show_progress()
            if row.columns is not columns and row.columns != columns and row.problem is None:
                columns = row.columns
                builder = self._mapping.builder(columns, table=source.columns is not None)
                spooled = self._report_row if outcome_place(columns) is not None else self._spooled
                self._log_columns(builder)
            add(_broken(number, row) if row.problem else spooled(number, row, builder))

    def finish(self) -> None:
        """
        End the reading: nothing more comes.

        :raises MappingError: when no row of the whole input had a column that is needed
        """
        self._spool.flush()
        if self._spool.read:
            self._mapping.require_columns()
        if self._mapping.nested_ignored:
            self._log.info("ignored inside listing: %s", _some(sorted(self._mapping.nested_ignored)))
        for remark, count in self._mapping.remarks.items():
            self._log.warning("%s (%d times)", remark, count)
        self._spool.find_duplicates(", ".join(self._mapping.unique_key) or "identity")

    def _show_progress(self) -> None:
        now = self._clock()
        self._publish_at = now + SHOW_SECONDS
        if self._publisher.is_due:
            self._publisher.publish(Status(read=self._spool.read))
        if now >= self._log_at:
            self._log_at = now + PROGRESS_SECONDS
            self._log.info("%d rows read and checked so far", self._spool.read)

    def _take_columns(self, name: str, builder: RowBuilder) -> None:
        """
        Compare a file's or query's columns with those that came before.

        :raises MappingError: when a column seems to have another name here, and would be left out without a word
        """
        if builder.columns in self._tables or len(self._tables) >= _MOST_TABLES:
            return
        for columns, before in self._tables.items():
            other = self._mapping.builder(columns, table=True)
            renamed = _renamed(other, builder) or _renamed(builder, other)
            if renamed:
                raise MappingError(f"the columns of {name} are not those of {before}: {renamed}")
        if self._tables:
            self._log.warning("%s has other columns than %s", name, next(iter(self._tables.values())))
        self._tables[builder.columns] = name
        self._log_builder(builder)

    def _log_columns(self, builder: RowBuilder) -> None:
        if not self._has_logged_columns:  # once is enough: rows of an upstream task may differ in shape without end
            self._log_builder(builder)

    def _log_builder(self, builder: RowBuilder) -> None:
        self._has_logged_columns = True
        if builder.columns and not builder.named:
            self._log.warning(_NO_HEADER, len(builder.columns))
            return
        for column, field in builder.used.items():
            if normalise(column) != normalise(field) and len(column) <= _LONGEST_COLUMN_SHOWN:
                self.renamed[field] = column
        used = [f"{column} → {field}" for column, field in builder.used.items()]
        self._log.info("columns used: %s; ignored: %s", _some(used), _some(builder.ignored))

    def _spooled(self, source: int, row: SourceRow, builder: RowBuilder) -> SpoolRow:
        self._mapping.timestamps.has_given_zone = False
        try:
            activity = builder.build(row.cells)
        except InvalidRow as error:
            kept, notes = self._kept(row, None)
            lead_id = error.lead_id
            return SpoolRow(source, row.row_number, row.columns, kept, lead_id, None, None, None, None, Outcome.INVALID,
                            error.fields, str(error), line=row.line, notes=notes)  # fmt: skip
        kept, notes = self._kept(row, activity.row_key)
        return SpoolRow(source, row.row_number, row.columns, kept, *activity[:5], line=row.line, email=activity.email,
                        phone=activity.phone, notes=notes)  # fmt: skip

    def _kept(self, row: SourceRow, row_key: bytes | None) -> tuple[Sequence[object], str | None]:
        """Give a row's cells as its report shows them, and what is noted beside them; nothing where there is none."""
        if not self._spool.keeps_cells:
            return (), None
        timestamps = self._mapping.timestamps
        zone = timestamps.zone_name if timestamps.has_given_zone else None
        kinds = kinds_of(row.columns, row.cells, self._reading, zone)
        kept = row.cells
        if not _WITHOUT_TIME.issuperset(map(type, kept)):
            kept = [self._zoned(cell) for cell in kept]
        return kept, Notes(self._seal(row.columns, kept), key_seal_of(row_key), kinds).written()

    def _seal(self, columns: tuple[str, ...], cells: Sequence[object]) -> str:
        return seal_of(columns, cells, self._mapping.digest, shown)

    def _zoned(self, cell: object) -> object:
        """Give a time its zone, which a report given back could not know."""
        moment = plain(cell)
        if not isinstance(moment, datetime) or moment.tzinfo is not None or is_missing(moment):
            return cell
        try:
            return self._mapping.timestamps.aware(moment)
        except InvalidValue:
            return cell

    def _report_row(self, source: int, row: SourceRow, builder: RowBuilder) -> SpoolRow:
        """
        Honour what a report says became of the row.

        :raises LoftyConfigurationError: when the report is of another format
        """
        said: Fates = {column.casefold(): cell for column, cell in zip(row.columns, row.cells, strict=True)}
        outcome = said[OUTCOME_COLUMN]
        if not is_missing(outcome) and fingerprint_in(said.get(_FINGERPRINT_COLUMN)) is None:
            name = row_name(row.row_number, row.line)
            raise LoftyConfigurationError(_OTHER_FORMAT.format(name, self._spool.source(source)))
        notes = notes_in(said.get(_FINGERPRINT_COLUMN))
        is_as_written = notes.seal == self._seal(row.columns, row.cells)
        spooled = self._spooled(source, self._restored(row, notes), builder)
        if is_missing(outcome):
            return spooled
        if not isinstance(outcome, str) or outcome not in OUTCOMES:
            problem = f"is none of a report's outcomes ({', '.join(OUTCOMES)})"
            return spooled._replace(outcome=Outcome.INVALID, row_key=None, error_field=OUTCOME_COLUMN, error=problem)
        if spooled.lead_id is None and spooled.body is not None:
            spooled = _sent_to(spooled, said)
        if outcome in _STORED and spooled.lead_id and spooled.body and not is_missing(said.get("lofty_error")):
            self._spool.leads.add_stray(None, content_of_body(spooled.body) or b"", spooled.lead_id)
        if outcome == Outcome.INVALID and _is_still_invalid(spooled, said):
            return _invalid_before(spooled, said)
        if settled := _SETTLED.get(outcome):
            return settled(spooled, said)
        if is_as_written and _is_read_otherwise(spooled, said, notes):
            return _invalid_before(spooled, said) if outcome == Outcome.INVALID else _not_shown(spooled)
        return spooled

    def _restored(self, row: SourceRow, notes: Notes) -> SourceRow:
        """
        Give the row's cells back what its report does not show of them.

        :raises MappingError: when this task has another timezone than the one that wrote it
        """
        if not notes.kinds:
            return row
        try:
            cells = restored_cells(row.columns, row.cells, notes.kinds, self._mapping.timestamps, shown)
        except InvalidValue as error:
            raise MappingError(f"{row_name(row.row_number, row.line)} of a report {error}") from None
        return row._replace(cells=cells)


def _sent_to(row: SpoolRow, said: Fates) -> SpoolRow:
    """What was sent was sent to the lead that was found then, whichever would be found now."""
    cell = plain(said.get(_LEAD_COLUMN))
    if said[OUTCOME_COLUMN] not in _SETTLED or is_missing(cell) or row.body is None:
        return row
    try:
        lead_id = identifier(cell)
    except InvalidValue:
        return row
    return row._replace(lead_id=lead_id, trace_hash=trace_of_body(lead_id, row.body).trace_hash)


def _delivered_before(row: SpoolRow, said: Fates) -> SpoolRow:
    row = row._replace(outcome=Outcome.ALREADY_DELIVERED, error_field=None, error=None)
    before = _fingerprint_before(said)
    if _has_changed(row, said) or (not before and said.get("lofty_error") == CONTENT_HAS_CHANGED):
        # It goes on being compared with what was delivered, through any number of reports.
        row = row._replace(error=CONTENT_HAS_CHANGED, sent_fingerprint=before or None)
    return row


def _repeated_before(row: SpoolRow, said: Fates) -> SpoolRow:
    if row.outcome is not None:
        return row  # invalid by now: it has no key by which to find the row that it repeats
    error = "its report says duplicate, and not what became of the row that it repeats: it may be stored"
    return row._replace(state=RowState.REPEATED.value, attempts=_attempts_before(said), error=error)


def _unknown_before(row: SpoolRow, said: Fates) -> SpoolRow:
    if row.outcome is not None:
        return row  # invalid by now: it cannot be looked for
    row = row._replace(attempts=_attempts_before(said))
    if _has_changed(row, said):
        sent = _fingerprint_before(said)
        return row._replace(state=RowState.UNTRACEABLE.value, error=_CHANGED_IN_DOUBT, sent_fingerprint=sent)
    if row.lead_id is None:
        return row._replace(state=RowState.UNTRACEABLE.value, error=_NOWHERE_IN_DOUBT)
    return row._replace(state=RowState.IN_DOUBT.value, error="its report says unknown: it may be stored")


def _invalid_before(row: SpoolRow, said: Fates) -> SpoolRow:
    error = str(said.get("lofty_error") or "its report calls it invalid").removesuffix(_HOW_TO_SEND) + _HOW_TO_SEND
    field = str(said.get(_ERROR_FIELD_COLUMN) or OUTCOME_COLUMN)
    return row._replace(outcome=Outcome.INVALID, row_key=None, error_field=field, error=error)


def _is_still_invalid(row: SpoolRow, said: Fates) -> bool:
    """
    Whether a row was invalid for something that its cells no longer show.

    One that did not add up has lost what was left over, and one whose key another row had is checked by itself only.
    """
    has_lost_cells = said.get(_ERROR_FIELD_COLUMN) == _WHOLE_ROW
    passes_by_itself = row.outcome is None and bool(_fingerprint_before(said)) and not _has_changed(row, said)
    return has_lost_cells or passes_by_itself


def _is_read_otherwise(row: SpoolRow, said: Fates, notes: Notes) -> bool:
    """Whether a row would be sent now, and not as it would have been when its report was written."""
    if row.outcome is not None:
        return False
    return not _fingerprint_before(said) or _has_changed(row, said) or key_seal_of(row.row_key) != notes.key_seal


def _not_shown(row: SpoolRow) -> SpoolRow:
    return row._replace(outcome=Outcome.INVALID, row_key=None, error_field=OUTCOME_COLUMN, error=_NOT_SHOWN)


def _has_changed(row: SpoolRow, said: Fates) -> bool:
    """Whether a row has another content than the one that its report is about."""
    before = _fingerprint_before(said)
    return (row.fingerprint or b"")[: len(before)] != before


def _fingerprint_before(said: Fates) -> bytes:
    """What its report says of a row's content: the fingerprint or its first bytes; nothing where that is broken."""
    digits = fingerprint_in(said[_FINGERPRINT_COLUMN]) or ""
    return bytes.fromhex(digits) if _FINGERPRINT.fullmatch(digits) else b""


def _attempts_before(said: Fates) -> int:
    """How often its report says that a row was sent: once, where it says nothing of the kind."""
    try:
        attempts = whole_number(plain(said.get("lofty_attempts")))
    except InvalidValue:
        return 1
    return attempts if 0 <= attempts <= _MOST_ATTEMPTS else 1


_WHOLE_ROW = "row"  # what was wrong, in place of a field
_WITHOUT_TIME = frozenset((str, int, float, bool, type(None)))
_STORED = (Outcome.DELIVERED, Outcome.ALREADY_DELIVERED)  # a remark says that no answer named the row's own lead
_SETTLED: dict[str, Callable[[SpoolRow, Fates], SpoolRow]] = {
    Outcome.DELIVERED: _delivered_before,
    Outcome.ALREADY_DELIVERED: _delivered_before,
    Outcome.DUPLICATE: _repeated_before,
    Outcome.UNKNOWN: _unknown_before,
}


def _broken(source: int, row: SourceRow) -> SpoolRow:
    lacking = (None,) * 5
    outcome = Outcome.INVALID, _WHOLE_ROW, row.problem
    return SpoolRow(source, row.row_number, row.columns, row.cells, *lacking, *outcome, line=row.line)


def _renamed(one: RowBuilder, other: RowBuilder) -> str | None:
    """
    Find a column that fills a field in one source, and is missing in the other, where one that fills none has a name
    like it, or like the field.
    """
    left_over = [column for column in other.ignored if column in other.named and column not in one.columns]
    for column, field in one.used.items():
        if field in other.used.values():
            continue
        called = (column, field, field.rpartition(".")[2])  # a column "price" is far from "listing.price"
        similar = next(filter(None, (closest(name, left_over) for name in called)), "")
        if similar:
            return (
                f"one has {column!r} for {field}, the other has no such column{similar}. If they are the same, give "
                "them one name; if not, send these files by tasks of their own"
            )
    return None


def _some(names: Sequence[str]) -> str:
    more = f", … and {len(names) - _MOST_NAMES_LOGGED} more" if len(names) > _MOST_NAMES_LOGGED else ""
    return (", ".join(names[:_MOST_NAMES_LOGGED]) + more) or "none"
