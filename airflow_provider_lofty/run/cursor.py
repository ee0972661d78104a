"""
Only what is new: from where a task reads a source that only grows, and how far the next run may go on.

The first try of a task instance decides from where it reads, and every later one reads from there, with no upper end:
the journal knows what was delivered since. When the books are closed, the watermark moves to the highest value that was
read; rows that were not sent, or whose doubt can still be settled, hold the next run back to the lowest of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import Protocol, TypeVar

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.journal.cursor import CursorStore, Mark, Stream
from airflow_provider_lofty.journal.journal import JournalError
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.report.summary import CursorSummary
from airflow_provider_lofty.rows.columns import closest
from airflow_provider_lofty.rows.cursor import CursorError, CursorValue, Lag, fitted
from airflow_provider_lofty.rows.newer import Facts, Newer, column_place
from airflow_provider_lofty.rows.source import Source, SourceRow, Take, row_name
from airflow_provider_lofty.rows.values import is_missing
from airflow_provider_lofty.run.watermark import Reach, goes_on_from, next_since
from airflow_provider_lofty.spool.cursor import CursorColumn
from airflow_provider_lofty.spool.spool import Spool

T = TypeVar("T")
_MOST_MOVES = 20  # by others, while this run tries to move the watermark
_SENT_OR_HELD = (
    Outcome.DELIVERED, Outcome.ALREADY_DELIVERED, Outcome.DUPLICATE, Outcome.NOT_ATTEMPTED, Outcome.WOULD_SEND,
)  # fmt: skip
_WITHOUT_REPORT = "the report, which was not written"
_OF_ANOTHER_RUN = "rows of another run"


class Persist(Protocol):
    """Makes a call to the journal's store, and makes it again while the store is away."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


@dataclass(frozen=True, kw_only=True)
class CursorOptions:
    """
    What the author says of the cursor.

    :param given: ``cursor_from``
    :param lag: ``cursor_lag``
    :param is_table: rows come from a table, in the cursor's order
    :param is_mapped: the task reads several sources, each in an instance of its own
    :param is_preview: nothing is written down
    :param zone: of a ``cursor_from`` that names none
    """

    given: CursorValue | None
    lag: Lag | None
    is_table: bool
    is_mapped: bool
    is_preview: bool
    zone: tzinfo


class Cursor:
    """
    One try's reading of a source that only grows.

    :param stream: what is read
    :param store: keeps the watermark
    :param task_key: names the task instance in the store
    :param persist: makes calls to the store
    """

    def __init__(
        self, stream: Stream, store: CursorStore, task_key: str, options: CursorOptions, log: Log, persist: Persist
    ) -> None:
        self._stream = stream
        self._store = store
        self._task_key = task_key
        self._options = options
        self._log = log
        self._persist = persist
        self._mark: Mark | None = None  # as it was when this try began
        self._start: CursorValue | None = None
        self._since: CursorValue | None = None  # the same, as the column's values are
        self._highest: CursorValue | None = None
        self._without = 0
        self._to: CursorValue | None = None
        self._held_by = ""
        self._behind = 0

    # Where reading begins

    def open(self) -> None:
        """
        Decide from where this try reads, and write it down where it is the first one.

        :raises LoftyConfigurationError: when only the author can say from where
        :raises JournalError: when the store cannot be used
        """
        is_preview = self._options.is_preview
        if not is_preview:
            self._persist(self._store.prepare)
        self._mark = self._persist(self._store.mark)
        read = self._persist(self._store.read)
        if read is not None and (read.stream, read.column) == (self._stream.digest, self._stream.column):
            self._start = self._since = read.since
            self._warn_of_other_start()
        else:
            self._start = self._since = self._first_since(self._mark)
            if not is_preview:
                self._persist(lambda: self._store.record(self._start))
        if not is_preview and self._persist(self._store.is_shared):
            raise LoftyConfigurationError(_SHARED.format(self._stream.source))
        self._to = self._since
        self._log_start()

    def _first_since(self, mark: Mark | None) -> CursorValue | None:
        given = self._options.given
        if given is not None:
            return given if mark is None else self._checked_start(given, mark)
        if mark is None:
            self._refuse_another_source()
            self._require_table()
            return None
        if mark.column != self._stream.column:
            raise LoftyConfigurationError(
                _CHANGED.format(f"the cursor {mark.column!r}", f"the cursor {self._stream.column!r}")
            )
        since = _checked(partial(next_since, mark, self._options.lag))
        if since is None:
            self._require_table()
        return since

    def _require_table(self) -> None:
        """Everything can be read of a table only."""
        if not self._options.is_table:
            raise LoftyConfigurationError(
                f"sql with cursor={self._stream.column!r} needs cursor_from for its first run: a value from which to "
                "read, since nothing compares with NULL; later runs go on from where the last one ended. Nothing was "
                "sent"
            )

    def _refuse_another_source(self) -> None:
        others = [] if self._options.is_mapped else self._persist(self._store.others)
        if others:
            source = self._stream.source
            elsewhere = _ELSEWHERE if others[-1] == source else ""
            raise LoftyConfigurationError(_CHANGED.format(_quoted(others[-1]) + elsewhere, _quoted(source)))

    def _checked_start(self, given: CursorValue, mark: Mark) -> CursorValue:
        """Read what the author gave as the values are that were read before, where it can be one of them."""
        if mark.watermark is None or mark.column != self._stream.column:
            return given
        try:
            start = fitted(given, mark.watermark, self._options.zone)
        except CursorError:
            return given  # the column may have other values now
        if mark.watermark.comes_before(start):
            self._log.warning(
                "cursor_from is beyond the watermark: rows from %s to %s are read by no run", mark.watermark, start
            )
        return start

    def _warn_of_other_start(self) -> None:
        if self._options.given is not None and self._options.given != self._since:
            self._log.info(
                "cursor_from=%s is for new Dag runs: every try of this one reads from where its first try did",
                self._options.given,
            )

    def _log_start(self) -> None:
        column, since = self._stream.column, self._since
        what = "everything" if since is None else f"rows from {since} on, that one included"
        self._log.info(
            "cursor %s: reading %s%s", column, what,
            "" if self._options.is_table else f". The statement must compare with >= ({column} >= …, and not >), or "
            f"rows that share the last value are lost; rows without a value in {column} are not read",
        )  # fmt: skip

    # Reading

    @property
    def newer(self) -> Newer:
        """Which rows are asked for."""
        return Newer(self._stream.column, self._value_for)

    def _value_for(self, facts: Facts | None) -> object:
        if facts is not None:
            _checked(lambda: self._look_at(facts), f"{self._stream.column} ")
        return None if self._since is None else self._since.value

    def _look_at(self, facts: Facts) -> None:
        """Compare what a table has now with what was read from it before."""
        if facts.without:
            self._log.warning(
                "%d rows have no value in %s: %s", facts.without, self._stream.column,
                "only a run that reads everything reads them" if self._since is None else "they are not read",
            )  # fmt: skip
        if is_missing(facts.highest):
            return
        highest = CursorValue.of(facts.highest)
        self._refuse_other_kind(highest)
        since, is_given = self._since, self._options.given is not None
        if since is not None and (is_given or since.family != highest.family):  # else it was read, and is exact
            self._since = fitted(since, highest, self._options.zone)

    def _refuse_other_kind(self, value: CursorValue) -> None:
        before = self._mark.watermark if self._mark is not None else None
        if before is not None and self._options.given is None and before.family != value.family:
            raise LoftyConfigurationError(
                _CHANGED.format(f"a cursor of kind {before.family}", f"one of kind {value.family}")
            )

    def watching(self, take: Take, spool: Spool) -> Take:
        """Look at every row that is taken."""
        column = spool.cursor_column

        def watched(source: Source) -> None:
            place = self._place(source.columns or ())
            take(source._replace(rows=self._watched(source.rows, place, column)))

        return watched

    def _place(self, columns: tuple[str, ...]) -> int:
        place = column_place(columns, self._stream.column)
        if place is None:
            wanted = self._stream.column
            raise LoftyConfigurationError(
                f"the rows must have one column {wanted!r}, the cursor{closest(wanted, columns)}; nothing was sent"
            )
        return place

    def _watched(self, rows: Iterable[SourceRow], place: int, column: CursorColumn) -> Iterator[SourceRow]:
        for n, row in enumerate(rows, start=1):
            column.add(n, self._seen(row, place))
            yield row
        column.flush()

    def _seen(self, row: SourceRow, place: int) -> CursorValue | None:
        cell = row.cells[place]
        if is_missing(cell):
            self._without += 1
            return None
        name = f"{self._stream.column} of {row_name(row.row_number, row.line)} "
        value = _checked(lambda: CursorValue.of(cell), name)
        highest = self._highest
        if highest is None:
            self._refuse_other_kind(value)
        elif highest.family != value.family:
            raise LoftyConfigurationError(
                f"{name}is {value.family}, and that of rows before {highest.family}: they cannot be compared; cast "
                "them to one kind. Nothing was sent"
            )
        self._highest = value if highest is None or self._options.is_table else value.at_least(highest)
        return value

    # Where the next run goes on

    def close(self, spool: Spool, *, with_doubts: bool, is_reported: bool) -> None:
        """
        Move the watermark as far as the outcomes allow.

        :param spool: its books are closed
        :param with_doubts: whether rows that are ``unknown`` may still be settled
        :param is_reported: whether the report has the rows that this run gives up
        :raises JournalError: when it could not be moved; the next run reads these rows again
        """
        column = spool.cursor_column
        held = column.held_back(with_doubts=with_doubts)
        own = Mark(
            self._stream.column, self._highest, is_held=bool(held.counts) or not is_reported,
            held=self._lowest(held.values) if is_reported else self._since, held_by=self._task_key,
        )  # fmt: skip
        after = self._move(own)
        self._to = goes_on_from(after)
        self._held_by = _held_by(own, after, held.counts) if is_reported else _WITHOUT_REPORT
        final = [outcome for outcome in Outcome if outcome not in _SENT_OR_HELD]
        if with_doubts:
            final.remove(Outcome.UNKNOWN)
        self._behind = sum(self._is_behind(value) for value in column.values_of(final))
        self._log_end()

    def fail(self, error: JournalError) -> None:
        """Say that the watermark stays where it was."""
        self._held_by = "the journal, which could not be written"
        self._log.error("the cursor's watermark was not moved, and the next run reads these rows again: %s", error)

    def _lowest(self, values: Iterable[CursorValue | None]) -> CursorValue | None:
        """Find the lowest value; where that cannot be told, go back to where this run began to read."""
        lowest: CursorValue | None = None
        for value in values:
            if value is None:
                return self._since
            if lowest is None:
                lowest = value
            elif not self._options.is_table:  # whose rows come in this order
                is_lower = value.comes_before(lowest)
                if is_lower is None:
                    return self._since
                lowest = value if is_lower else lowest
        return lowest

    def _move(self, own: Mark) -> Mark:
        generation = 0 if self._mark is None else self._mark.generation
        reach = Reach(self._start, generation, is_ordered=self._options.is_table)
        for _ in range(_MOST_MOVES):
            before = self._persist(self._store.mark)
            after = reach.merged(before, own)
            if self._persist(partial(self._store.move, before, after)):
                return after
        raise JournalError("other runs move the same watermark all the time")

    def _is_behind(self, value: CursorValue | None) -> bool:
        return self._to is not None and (value is None or value.comes_before(self._to) is not False)

    # What people are told

    def _log_end(self) -> None:
        self._log.info(
            "cursor %s: read from %s; the next run reads from %s%s%s", self._stream.column,
            "the beginning" if self._since is None else self._since,
            "the beginning" if self._to is None else self._to,
            f", less {self._options.lag.amount} (cursor_lag)" if self._options.lag is not None else "",
            f", held back by {self._held_by}" if self._held_by else "",
        )  # fmt: skip
        if self._behind:
            self._log.warning(
                "%d rows of this run failed for good and lie behind the watermark: no run reads them again unless "
                "their %s changes. Repair them at the source, or give the report back",
                self._behind,
                self._stream.column,
            )
        if self._without:
            self._log.warning("%d of the rows read have no value in %s", self._without, self._stream.column)

    @property
    def summary(self) -> CursorSummary:
        """From where to where, and why not further."""
        return CursorSummary(
            column=self._stream.column,
            since=None if self._since is None else str(self._since),
            to=None if self._to is None else str(self._to),
            held_back_by=self._held_by or None,
            behind=self._behind,
        )


_CHANGED = (
    "this task has a watermark of {}, and reads {} now. What lies behind the watermark may be new to it: say with "
    "cursor_from from where to read; what was delivered before is not sent again. A statement whose text changes from "
    "run to run takes its values from parameters instead. Nothing was sent"
)
_ELSEWHERE = " with another lofty_conn_id, host of Lofty, source_conn_id or source_hook_params"
_SHARED = (
    "two mapped instances of this task read {} in the same Dag run, and would move one watermark: with a cursor, "
    "expand over table, sql, source_conn_id or lofty_conn_id only. Then give cursor_from once, as one of them may have "
    "moved it. Nothing was sent"
)


def _quoted(source: str) -> str:
    return repr(" ".join(source.split())[:80])


def _checked(call: Callable[[], T], name: str = "") -> T:
    try:
        return call()
    except CursorError as error:
        raise LoftyConfigurationError(f"{name}{error}; nothing was sent") from None


def _held_by(own: Mark, after: Mark, counts: dict[str, int]) -> str:
    found = [f"{count} {outcome}" for outcome, count in counts.items()]
    if after.is_held and after.held_by != own.held_by:
        found.append(_OF_ANOTHER_RUN)
    return ", ".join(found)
