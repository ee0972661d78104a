"""
Rows from files: CSV, TSV, JSON lines and Parquet, local or in object storage, streamed in constant memory.

Files are read through Airflow's ``ObjectStoragePath``, so ``s3://connection_id@bucket/key`` and the like work
wherever the provider package that owns the scheme is installed.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from gzip import BadGzipFile
from pathlib import Path
from typing import IO, Any, NamedTuple

from airflow.sdk import ObjectStoragePath

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftySourceNotReady
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.rows.report_format import NUL_STAND_IN, restored
from airflow_provider_lofty.rows.source import Source, SourceRow, Take, outcome_place
from airflow_provider_lofty.rows.values import kind_of

_DELIMITERS = ",;\t|"
_LONGEST_CELL = 2**26  # characters; csv's own default of 131 072 would refuse honest texts
_GLOB_MARKS = "*?["
LOCAL_PROTOCOLS = ("", "file", "local")
_PACKAGES = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "gs": "apache-airflow-providers-google",
    "gcs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
    "abfss": "apache-airflow-providers-microsoft-azure",
    "adl": "apache-airflow-providers-microsoft-azure",
}

RowReader = Callable[[Any], tuple["tuple[str, ...] | None", Iterator[SourceRow]]]


def read_files(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    take: Take,
    matched: Callable[[list[str]], None] = lambda names: None,
) -> None:
    """
    Read files one after the other.

    :param path: one path or URL, or several; each may be a glob. Files of one glob come in the order of their names
    :param take: gets each file
    :param matched: gets the names of all files before the first is opened
    :raises LoftySourceNotReady: when a path matches no file, or a file cannot be read just now
    :raises LoftyConfigurationError: for an unknown ending, a missing filesystem package, or a damaged file
    """
    patterns: list[Any] = list(path) if isinstance(path, (list, tuple)) else [path]
    if not all(isinstance(pattern, (str, os.PathLike)) and os.fspath(pattern) for pattern in patterns):
        raise LoftyConfigurationError("path must be a path or a list of paths, none of them empty; nothing was sent")
    if not patterns:
        raise LoftySourceNotReady("path is an empty list: there is no file to read; nothing was sent")
    files: dict[str, _File] = {}
    for pattern in patterns:
        for file in _matches(os.fspath(pattern)):
            files.setdefault(file.name, file)
    readers = [_reader_for(name) for name in files]
    matched(list(files))
    for file, (read, compressed) in zip(files.values(), readers, strict=True):
        _read_file(file, read, compressed, take)


class _File(NamedTuple):
    name: str  # the path or URL, for people
    fs: Any
    path: str  # as ``fs`` knows it


def _matches(pattern: str) -> list[_File]:
    root = storage_path(pattern)
    with _file_errors(pattern):
        if root.fs.isfile(root.path):
            return [_file(root, root.path)]
        if root.fs.isdir(root.path):
            raise LoftyConfigurationError(
                f"{pattern} is a folder; name its files, for example {pattern.rstrip('/')}/*.csv"
            )
        names = sorted(root.fs.glob(root.path)) if any(mark in pattern for mark in _GLOB_MARKS) else []
        files = [_file(root, name) for name in names if root.fs.isfile(name)]
    if not files:
        raise LoftySourceNotReady(f"no file matches {pattern}; nothing was sent")
    return files


def _file(root: ObjectStoragePath, path: str) -> _File:
    if root.protocol in LOCAL_PROTOCOLS:
        return _File(path, root.fs, path)
    conn_id = getattr(root, "conn_id", None) or root.storage_options.get("conn_id")  # Airflow 3.1 has the latter
    connection = f"{conn_id}@" if conn_id else ""
    return _File(f"{root.protocol}://{connection}{path.lstrip('/')}", root.fs, path)


def storage_path(url: str) -> ObjectStoragePath:
    """
    Make a path of a URL or local path.

    :raises LoftyConfigurationError: when the package for its scheme is missing, naming the package
    """
    try:
        # Some versions of universal_pathlib take a relative path for one from the root.
        path = ObjectStoragePath(url if "://" in url else str(Path(url).absolute()))
        path.fs  # noqa: B018 - only now is the scheme looked up
    except (ValueError, ImportError) as error:
        scheme = url.partition("://")[0]
        package = _PACKAGES.get(scheme, "the Airflow provider package that serves it")
        raise LoftyConfigurationError(
            f"no filesystem for {scheme}:// is installed; install {package} ({type(error).__name__})"
        ) from None
    return path


@contextmanager
def _file_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (csv.Error, EOFError, BadGzipFile, zlib.error, _Damaged) as error:
        raise LoftyConfigurationError(f"{name} is damaged: {error}; nothing was sent") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LoftySourceNotReady(f"{name} cannot be read: {reason}; nothing was sent") from None


def _reader_for(name: str) -> tuple[RowReader, bool]:
    stem = name.lower()
    compressed = stem.endswith(".gz")
    ending = "." + stem.removesuffix(".gz").rpartition(".")[2]
    reader = _READERS.get(ending)
    if reader is None or (compressed and reader is _parquet_rows):
        known = ".csv, .tsv, .jsonl, .ndjson (each also with .gz) or .parquet"
        raise LoftyConfigurationError(f"{name}: the file's ending must be {known}")
    return reader, compressed


def _read_file(file: _File, read: RowReader, compressed: bool, take: Take) -> None:
    name = file.name
    compression = "gzip" if compressed else None
    # Bytes that are not UTF-8 become lone surrogates, so that only the rows that hold them are invalid.
    as_text = {"mode": "rt", "encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    with _file_errors(name):
        stream = file.fs.open(
            file.path, compression=compression, **({"mode": "rb"} if read is _parquet_rows else as_text)
        )
    with stream:
        with _file_errors(name):
            columns, rows = read(stream)
        take(Source(name, columns, _guarded(rows, name)))


def _guarded(rows: Iterator[SourceRow], name: str) -> Iterator[SourceRow]:
    with _file_errors(name):
        yield from rows


class _Damaged(Exception):
    """The file as a whole cannot be read; the text says why."""


def _delimited_rows(stream: IO[str], delimiter: str | None) -> tuple[tuple[str, ...] | None, Iterator[SourceRow]]:
    first = next((line for line in stream if line.strip()), "")
    if "\0" in first:
        raise _Damaged("it is not UTF-8 text (UTF-16, or binary)")
    with _long_cells():
        delimiter = delimiter or max(_DELIMITERS, key=lambda mark: _cells_in(first, mark))
        records = _records(first, stream, delimiter)
        header = next((tuple(cells) for cells in records if cells), None)
    if header is None:
        return None, iter(())
    if outcome_place(header) is not None:
        return tuple(map(restored, header)), _cell_rows(records, tuple(map(restored, header)), report=True)
    return header, _cell_rows(records, header, report=False)


def _records(first: str, rest: IO[str], delimiter: str) -> Iterator[list[str]]:
    """
    Split lines into cells.

    :raises _Damaged: when a quote is never closed; ``csv`` would take all that follows, rows of other people, for one
        cell
    """
    is_read = False

    def lines() -> Iterator[str]:
        nonlocal is_read
        yield first
        yield from rest if sys.version_info >= (3, 11) else (line.replace("\0", NUL_STAND_IN) for line in rest)
        is_read = True

    for number, cells in enumerate(csv.reader(lines(), delimiter=delimiter)):
        if is_read:  # the reader had asked for more
            raise _Damaged(f"a quote in row {number} is never closed")
        yield cells


def _cells_in(line: str, delimiter: str) -> int:
    return len(next(csv.reader([line], delimiter=delimiter), ()))


@contextmanager
def _long_cells() -> Iterator[None]:
    """Lift csv's limit on a cell's length, which is global, only while we read."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _cell_rows(reader: Iterator[list[str]], columns: tuple[str, ...], *, report: bool) -> Iterator[SourceRow]:
    width, number = len(columns), 0
    outcome = outcome_place(columns) or 0
    with _long_cells():
        for cells in reader:
            if not cells:
                continue
            number += 1
            values: list[Any] = [cell or None for cell in (map(restored, cells) if report else cells)]
            if len(values) == width:
                if report and values[outcome] == Outcome.INVALID:
                    values = [_typed(value) for value in values]
                yield SourceRow(number, columns, values)
            else:
                problem = f"has {len(cells)} cells where the header has {width}"
                yield SourceRow(number, columns, [*values, *[None] * width][:width], problem)


def _typed(cell: Any) -> Any:
    """Read back what a CSV report could only write as text, so that what was no text is not sent as one now."""
    if cell is None or not (cell in ("true", "false") or cell.startswith(("[", "{"))):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _json_rows(stream: IO[str]) -> tuple[None, Iterator[SourceRow]]:
    return None, _parsed_lines(stream)


def _parsed_lines(stream: IO[str]) -> Iterator[SourceRow]:
    number = 0
    for line in stream:
        if not line.strip():
            continue
        number += 1
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield SourceRow(number, (), (), "is not JSON")
            continue
        if isinstance(row, dict):
            yield SourceRow(number, tuple(row), tuple(row.values()))
        else:
            yield SourceRow(number, (), (), f"is {kind_of(row)}, not a JSON object")


def _parquet_rows(stream: IO[bytes]) -> tuple[tuple[str, ...], Iterator[SourceRow]]:
    # Not through pandas: it would read the whole file, and turn an id column with a gap into floats.
    from pyarrow import ArrowException, ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(stream)
    except (ArrowInvalid, ArrowException) as error:
        raise _Damaged(f"it is no Parquet file ({type(error).__name__})") from None
    return tuple(file.schema_arrow.names), _batched_rows(file)


def _batched_rows(file: Any) -> Iterator[SourceRow]:
    from pyarrow import ArrowException

    columns, number = tuple(file.schema_arrow.names), 0
    try:
        for batch in file.iter_batches(batch_size=2000):
            lists = [_values(column) for column in batch.columns]
            for cells in zip(*lists, strict=True):
                number += 1
                yield SourceRow(number, columns, cells)
    except ArrowException as error:
        raise _Damaged(f"a part of the Parquet file cannot be read ({type(error).__name__})") from None


class UnreadableValue:
    """Stands for a value that Python cannot hold, such as a date beyond the year 9999; no field takes it."""

    def __str__(self) -> str:
        return "unreadable"


def _values(column: Any) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in column]
    return values


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return UnreadableValue()


_READERS: dict[str, RowReader] = {
    ".csv": partial(_delimited_rows, delimiter=None),
    ".tsv": partial(_delimited_rows, delimiter="\t"),
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".parquet": _parquet_rows,
}
