"""
Rows from files: delimited text, JSON and Parquet, streamed in constant memory.

Each format has a module of its own, whose function takes an open file and gives the columns (None where each row is
an object of its own) and the rows.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import IO

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftySourceNotReady
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.rows.columns import FIELDS_BY_NAME, MappingError, normalise
from airflow_provider_lofty.rows.delimited import delimited_rows
from airflow_provider_lofty.rows.file_options import NOTHING_SAID, FileOptions
from airflow_provider_lofty.rows.json_text import json_line_rows, json_rows
from airflow_provider_lofty.rows.kinds import Kind, decoded, kind_by_content, kind_by_name, unpacked
from airflow_provider_lofty.rows.lake import with_partitions
from airflow_provider_lofty.rows.notes import Notes
from airflow_provider_lofty.rows.parquet import parquet_rows
from airflow_provider_lofty.rows.source import Source, SourceRow, Take
from airflow_provider_lofty.rows.storage import StoredFile, content_errors, matching_files, refuse_tables

_log = logging.getLogger(__name__)
_ROWS_SEARCHED = 20  # for a header below titles

Columns = tuple[str, ...] | None


def read_files(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    take: Take,
    matched: Callable[[list[str]], None] = lambda names: None,
    options: FileOptions = NOTHING_SAID,
    columns: Columns = None,
    log: Log = _log,
) -> None:
    """
    Read files one after the other.

    :param path: one path or URL, or several; each may be a glob. Files of one glob come in the order of their names
    :param take: gets each file
    :param matched: gets the names of all files before the first is read
    :param options: what the author says of them
    :param columns: the names of their cells, where they have no header
    :param log: gets what was noticed
    :raises LoftySourceNotReady: when a path matches no file, or a file cannot be read just now
    :raises LoftyConfigurationError: for a file that is damaged or may mean two things, or a missing filesystem package
    """
    notes = Notes()
    try:
        files = {file.name: file for pattern in _patterns(path) for file in matching_files(pattern, notes)}
        kinds = [_kind(file, options) for file in files.values()]
        refuse_tables([file for file, kind in zip(files.values(), kinds, strict=True) if kind.format == "parquet"])
        _refuse_idle_options(kinds, options, columns)
        matched(list(files))
        for file, kind in zip(files.values(), kinds, strict=True):
            notes.start(file.name)
            _read_file(file, kind, options, columns, notes, take)
    finally:
        notes.log(log)


def _patterns(path: object) -> list[str]:
    given = [item for each in _listed(path) for item in _listed(each)]  # mapped tasks may give a list each
    patterns = [os.fspath(each) for each in given if isinstance(each, (str, os.PathLike))]
    if len(patterns) < len(given) or not all(patterns):
        raise LoftyConfigurationError("path must be a path or a list of paths, none of them empty; nothing was sent")
    if not patterns:
        raise LoftySourceNotReady("path is an empty list: there is no file to read; nothing was sent")
    return patterns


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else [value]


def _kind(file: StoredFile, options: FileOptions) -> Kind:
    with content_errors(file.name):
        kind = kind_by_name(file.name, options)
        if kind is not None:
            return kind
        with file.open() as stream:
            return kind_by_content(file.name, stream, options)


def _refuse_idle_options(kinds: list[Kind], options: FileOptions, columns: Columns) -> None:
    formats = {kind.format for kind in kinds}
    if columns is not None and formats != {"csv"}:
        raise LoftyConfigurationError(
            "columns names the cells of delimited text without a header, but JSON and Parquet have names of their "
            "own; nothing was sent"
        )
    if "csv" not in formats and options.of_delimited_text != NOTHING_SAID.of_delimited_text:
        raise LoftyConfigurationError(
            "file_options says delimiter, quoting, escape or skip_rows, but none of the files is delimited text; "
            "nothing was sent"
        )


def _read_file(file: StoredFile, kind: Kind, options: FileOptions, columns: Columns, notes: Notes, take: Take) -> None:
    with file.reading() as stream:
        with content_errors(file.name):
            names, rows = _opened(stream, kind, options, columns, notes)
            names, rows = with_partitions(names, rows, file.partitions)
        rows = _guarded(rows, file.name)
        try:
            take(Source(file.name, names, rows, replace(options, delimiter=notes.delimiter)))
        except MappingError as error:
            has_header = kind.format == "csv" and columns is None
            is_odd = has_header and not any(map(_is_field, names or ()))
            hint = _header_hint(rows) + _delimiter_hint(names) if is_odd else ""
            raise MappingError(f"{file.name}: {error}{hint}") from None


def _opened(
    stream: IO[bytes], kind: Kind, options: FileOptions, columns: Columns, notes: Notes
) -> tuple[Columns, Iterator[SourceRow]]:
    stream = unpacked(stream, kind)
    if kind.format == "parquet":
        return parquet_rows(stream)
    text = decoded(stream, options)
    if kind.format == "csv":
        return delimited_rows(text, options, kind.delimiter, columns, notes)
    return None, (json_line_rows if kind.format == "jsonl" else json_rows)(text)


def _guarded(rows: Iterator[SourceRow], name: str) -> Iterator[SourceRow]:
    with content_errors(name):
        yield from rows


def _is_field(cell: object) -> bool:
    return isinstance(cell, str) and normalise(cell) in FIELDS_BY_NAME


def _delimiter_hint(names: Columns) -> str:
    is_whole = names is not None and len(names) == 1
    return '; if its cells have another delimiter, say file_options={"delimiter": …}' if is_whole else ""


def _header_hint(rows: Iterator[SourceRow]) -> str:
    """Say how to name the header, when the line that was taken for it has none of the names that are needed."""
    for _, row in zip(range(_ROWS_SEARCHED), rows):  # noqa: B905 - as many as there are
        if any(map(_is_field, row.cells)):
            skipped = (row.line or 1) - 1
            return (
                f"; line {row.line} looks like the header, so say how many lines stand above it: "
                f'file_options={{"skip_rows": {skipped}}}'
            )
    return (
        "; the first line that is not blank is taken for the header: say how many lines stand above it with "
        'file_options={"skip_rows": …}, or name the cells of a file without a header with columns=[…]'
    )
