"""
Rows from files: CSV, TSV, JSON lines and Parquet, streamed in constant memory.

Each format has a module of its own, whose function takes an open file and gives the columns (None where each row is
an object of its own) and the rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import IO, Any, NamedTuple

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftySourceNotReady
from airflow_provider_lofty.rows.delimited import delimited_rows
from airflow_provider_lofty.rows.file_options import NOTHING_SAID, FileOptions
from airflow_provider_lofty.rows.json_lines import json_rows
from airflow_provider_lofty.rows.parquet import parquet_rows
from airflow_provider_lofty.rows.source import Source, SourceRow, Take
from airflow_provider_lofty.rows.storage import StoredFile, file_errors, matching_files


class Format(NamedTuple):
    """
    How files with an ending are read.

    :param read: gets the open file
    :param is_text: opened as text, and perhaps compressed with gzip; otherwise as bytes
    """

    read: Callable[[IO[Any]], tuple[tuple[str, ...] | None, Iterator[SourceRow]]]
    is_text: bool = True


_FORMATS = {
    ".csv": Format(partial(delimited_rows, delimiter=None)),
    ".tsv": Format(partial(delimited_rows, delimiter="\t")),
    ".jsonl": Format(json_rows),
    ".ndjson": Format(json_rows),
    ".parquet": Format(parquet_rows, is_text=False),
}


def read_files(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    take: Take,
    matched: Callable[[list[str]], None] = lambda names: None,
    options: FileOptions = NOTHING_SAID,
    columns: tuple[str, ...] | None = None,
) -> None:
    """
    Read files one after the other.

    :param path: one path or URL, or several; each may be a glob. Files of one glob come in the order of their names
    :param take: gets each file
    :param matched: gets the names of all files before the first is opened
    :param options: what the author says of them
    :param columns: the names of their cells, where they have no header
    :raises LoftySourceNotReady: when a path matches no file, or a file cannot be read just now
    :raises LoftyConfigurationError: for an unknown ending, a missing filesystem package, or a damaged file
    """
    files = {file.name: file for pattern in _patterns(path) for file in matching_files(pattern)}
    formats = [_format_of(name) for name in files]
    matched(list(files))
    for file, file_format in zip(files.values(), formats, strict=True):
        _read_file(file, file_format, options, take)


def _patterns(path: object) -> list[str]:
    given = list(path) if isinstance(path, (list, tuple)) else [path]
    patterns = [os.fspath(each) for each in given if isinstance(each, (str, os.PathLike))]
    if len(patterns) < len(given) or not all(patterns):
        raise LoftyConfigurationError("path must be a path or a list of paths, none of them empty; nothing was sent")
    if not patterns:
        raise LoftySourceNotReady("path is an empty list: there is no file to read; nothing was sent")
    return patterns


def _format_of(name: str) -> Format:
    stem = name.lower()
    found = _FORMATS.get("." + stem.removesuffix(".gz").rpartition(".")[2])
    if found is None or (stem.endswith(".gz") and not found.is_text):
        known = ".csv, .tsv, .jsonl, .ndjson (each also with .gz) or .parquet"
        raise LoftyConfigurationError(f"{name}: the file's ending must be {known}")
    return found


def _read_file(file: StoredFile, file_format: Format, options: FileOptions, take: Take) -> None:
    with file_errors(file.name):
        stream = _opened(file, file_format)
    with stream:
        with file_errors(file.name):
            columns, rows = file_format.read(stream)
        take(Source(file.name, columns, _guarded(rows, file.name), options))


def _opened(file: StoredFile, file_format: Format) -> IO[Any]:
    options: dict[str, str | None] = {"mode": "rb", "compression": None}
    if file_format.is_text:
        options = {"mode": "rt", "compression": "gzip" if file.name.lower().endswith(".gz") else None}
        # Bytes that are not UTF-8 become lone surrogates, so that only the rows that hold them are invalid.
        options |= {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    stream: IO[Any] = file.fs.open(file.path, **options)
    return stream


def _guarded(rows: Iterator[SourceRow], name: str) -> Iterator[SourceRow]:
    with file_errors(name):
        yield from rows
