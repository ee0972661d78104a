"""
The report: every row with its own columns and what became of it.

Given back as a source, it sends only what was not delivered.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.report.draft import drafted
from airflow_provider_lofty.report.format import marked
from airflow_provider_lofty.rows.columns import repeated_in
from airflow_provider_lofty.rows.report_format import NUL_STAND_IN, REPORT_COLUMNS, SUSPECTS, defused
from airflow_provider_lofty.rows.storage import BLOCK_BYTES, LOCAL_PROTOCOLS, storage_path
from airflow_provider_lofty.spool.books import ReportRow
from airflow_provider_lofty.spool.codec import shown
from airflow_provider_lofty.spool.spool import Spool

_ENDINGS = (".csv", ".jsonl")


class Report:
    """
    A report file, checked before anything is sent.

    :param path: ends in ``.csv`` or ``.jsonl``; local or a URL. Its folder is made where there is none
    :raises LoftyConfigurationError: for another ending, or where it cannot be written
    """

    def __init__(self, path: str) -> None:
        if not path.lower().endswith(_ENDINGS):
            raise LoftyConfigurationError(f"report_path {path!r} must end in .csv, .jsonl or, for a folder, /")
        self.path = path
        self._target = storage_path(path)
        self._local = Path(self._target.path) if self._target.protocol in LOCAL_PROTOCOLS else None
        if self._local is not None:
            self._prepare_folder(self._local.parent)

    def _prepare_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise LoftyConfigurationError(
                f"report_path: {folder} cannot be written: {reason}; nothing was sent"
            ) from None

    def is_one_of(self, names: list[str]) -> bool:
        """Whether one of these files, as their sources name them, has this path."""
        files = [name for name in names if name.lower().endswith(_ENDINGS)]
        return any(_same_file(storage_path(name), self._target) for name in files)

    def write(self, spool: Spool) -> None:
        """
        Write every row, in input order.

        :raises OSError: when the file cannot be written
        :raises LoftyConfigurationError: when it is a file that was read, also when the reading failed
        """
        with self._opened() as stream:
            if self.path.lower().endswith(".csv"):
                _write_csv(stream, spool)
            else:
                _write_json_lines(stream, spool)

    @contextmanager
    def _opened(self) -> Iterator[IO[str]]:
        """Open for writing; the file appears whole or not at all."""
        # Bytes that were no UTF-8 must not become text that passes the checks when the report is given back.
        errors = "surrogatepass" if self.path.lower().endswith(".csv") else "backslashreplace"
        settings: dict[str, Any] = {"encoding": "utf-8", "errors": errors, "newline": ""}
        if self._local is None:
            storage = self._target.fs
            # Closing completes an upload, also while an error is under way; the end of a transaction tells these apart.
            settings["block_size"] = BLOCK_BYTES
            with storage.transaction, storage.open(self._target.path, mode="wt", **settings) as stream:
                yield stream
            return
        with drafted(self._local, settings) as stream:
            yield stream


def _same_file(one: ObjectStoragePath, other: ObjectStoragePath) -> bool:
    if one.protocol in LOCAL_PROTOCOLS and other.protocol in LOCAL_PROTOCOLS:
        return Path(one.path).resolve() == Path(other.path).resolve()
    return (one.protocol, one.path) == (other.protocol, other.path)


def _write_csv(stream: IO[str], spool: Spool) -> None:
    own = tuple(column for column in spool.books.columns() if column.casefold() not in REPORT_COLUMNS)
    writer = csv.writer(stream)  # ends lines with both marks and so quotes cells that hold either
    writer.writerow([*map(defused, own), *REPORT_COLUMNS])
    layout: tuple[str, ...] | None = None
    places: list[int | None] = []
    for row in spool.books.rows():
        if row.columns is not layout:
            layout = row.columns
            index = {column: i for i, column in enumerate(layout)}
            places = [index.get(column) for column in own]
        cells: Sequence[object] = row.cells if layout == own else [_cell_at(place, row.cells) for place in places]
        cells = (*cells, *_fate(row, spool))
        # Nearly every cell is a number, nothing, or text that no spreadsheet runs: no function call for those.
        line = [
            c if type(c) in _CSV_KNOWS or (type(c) is str and c[:1] not in SUSPECTS) else _csv_cell(c) for c in cells
        ]
        try:
            writer.writerow(line)
        except csv.Error:
            writer.writerow([c.replace("\0", NUL_STAND_IN) if isinstance(c, str) else c for c in line])


_CSV_KNOWS = frozenset((int, type(None)))


def _cell_at(place: int | None, cells: list[object]) -> object:
    return None if place is None or place >= len(cells) else cells[place]


def _csv_cell(value: object) -> str:
    return shown(value) if isinstance(value, float) else defused(shown(value))


def _write_json_lines(stream: IO[str], spool: Spool) -> None:
    layout: tuple[str, ...] | None = None
    left_out: Collection[str] = ()
    for row in spool.books.rows():
        if row.columns is not layout:
            layout = row.columns
            left_out = repeated_in(layout).union(c for c in layout if c.casefold() in REPORT_COLUMNS)
        own = {c: v for c, v in zip(row.columns, row.cells, strict=False) if c not in left_out}
        fate = dict(zip(REPORT_COLUMNS, _fate(row, spool), strict=True))
        stream.write(json.dumps({**own, **fate}, ensure_ascii=False) + "\n")


def _fate(row: ReportRow, spool: Spool) -> tuple[object, ...]:
    """The report's own columns of a row, in the order of :data:`REPORT_COLUMNS`."""
    return (
        spool.source(row.source), row.row_number, row.line, row.outcome, row.lead_id, row.http_status,
        row.error_code, row.error_field, row.error, row.attempts, row.sent_at, marked(row.fingerprint, row.notes),
        row.matched_by,
    )  # fmt: skip
