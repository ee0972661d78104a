"""What somebody has approved: another input than that is not sent, and the error says how it differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.report.format import fingerprint_in, notes_in
from airflow_provider_lofty.rows.cell_kinds import restored_cells
from airflow_provider_lofty.rows.mapping import RowMapping
from airflow_provider_lofty.rows.report_format import OUTCOME_COLUMN
from airflow_provider_lofty.rows.source import Source, Take
from airflow_provider_lofty.spool.codec import shown
from airflow_provider_lofty.spool.input_digest import Differences, InputDigest

_FINGERPRINT_COLUMN = "lofty_fingerprint"
_SHOWN_DIGITS = 12
_OF_CURSOR = " (with a cursor, each task has a watermark of its own: give both tasks the same cursor_from)"


class NoPreviewError(Exception):
    """The report of the preview is not at hand, or its rows are not read as they were then."""


@dataclass(frozen=True)
class Approval:
    """
    The input that was approved.

    :param digest: its digest
    :param read_preview: reads the report of the preview that has this digest; raises :class:`NoPreviewError` where that
        is not at hand
    :param mapping: makes the task's mapping of rows once more: one that is in use knows what it has read
    :param has_cursor: only what is new is read
    """

    digest: str
    read_preview: Callable[[Take], None]
    mapping: Callable[[], RowMapping]
    has_cursor: bool = False

    def refusal(self, found: str | None, rows: InputDigest) -> str | None:
        """
        Say why an input must not be sent; None where it is the one that was approved.

        :param found: its digest
        :param rows: its rows
        """
        if found == self.digest:
            return None
        return (
            f"this is not the input that was approved: its digest begins with {(found or '')[:_SHOWN_DIGITS]}, that of "
            f"expect_digest with {self.digest[:_SHOWN_DIGITS]}; {self._differences_text(rows)}. Look at a new preview, "
            f"and approve that{_OF_CURSOR if self.has_cursor else ''}"
        )

    def _differences_text(self, rows: InputDigest) -> str:
        mapping = self.mapping()
        try:
            self.read_preview(lambda source: rows.add_seen(_valid_rows(source, mapping)))
        except Exception as error:  # noqa: BLE001 - each file system fails in its own way; the refusal matters more
            why = str(error) if isinstance(error, NoPreviewError) else f"cannot be read ({type(error).__name__})"
            return f"which rows differ cannot be said, because the preview's report {why}"
        return _text_of(rows.differences())


def _text_of(differences: Differences) -> str:
    if not any(differences):
        return "its rows are the same, but not the host, or what a report that came back says of them"
    return "rows since the preview: {} new, {} gone, {} changed".format(*differences)


def _valid_rows(source: Source, mapping: RowMapping) -> Iterator[tuple[bytes, bytes]]:
    """
    Give the key and fingerprint of the valid rows of a preview's report.

    :raises NoPreviewError: where a row is not read as it was then; callables may need what a report cannot hold
    """
    mapping.start_source(source.file)
    for row in source.rows:
        said = {column.casefold(): cell for column, cell in zip(row.columns, row.cells, strict=True)}
        before = fingerprint_in(said.get(_FINGERPRINT_COLUMN))
        if before is None:
            raise NoPreviewError("is of another format")
        if not before or said.get(OUTCOME_COLUMN) == Outcome.INVALID:
            continue
        builder = mapping.builder(row.columns, table=False)
        kinds = notes_in(said.get(_FINGERPRINT_COLUMN)).kinds
        activity = builder.build(restored_cells(row.columns, row.cells, kinds, mapping.timestamps, shown))
        if activity.fingerprint.hex() != before:
            raise NoPreviewError("is not read as the source was")
        yield activity.row_key, activity.fingerprint
