"""
Folders of files that mean more than their files say: partitions, drafts, and tables that only their log can read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from airflow_provider_lofty.rows.columns import normalise
from airflow_provider_lofty.rows.source import RefusedFile, SourceRow

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

GLOB_MARKS = "*?["
HIDDEN_MARKS = (".", "_", "~$")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_TABLES = (("Delta", "_delta_log"), ("Hudi", ".hoodie"), ("Iceberg", "metadata/*.metadata.json"))


def _is_glob(part: str) -> bool:
    return any(mark in part for mark in GLOB_MARKS)


def _globbed_parts(path: str, pattern: str) -> list[str]:
    """The parts of a path that a glob found, and did not name."""
    named = PurePosixPath(pattern).parts
    literal = next((place for place, part in enumerate(named) if _is_glob(part)), len(named))
    return [part for part in PurePosixPath(path).parts[literal:] if part not in named]


def is_hidden(path: str, pattern: str) -> bool:
    """
    Whether a file that a glob found is a draft or a marker by its name, or lies in such a folder.

    A glob that begins with the same mark wants them, and a folder ``_key=value`` is a partition.
    """
    name = PurePosixPath(path).name
    wanted = tuple(part[:1] for part in PurePosixPath(pattern).parts if _is_glob(part))
    return any(
        part.startswith(HIDDEN_MARKS) and (part == name or "=" not in part) and part[0] not in wanted
        for part in _globbed_parts(path, pattern)
    )


def partitions_of(path: str, pattern: str) -> dict[str, str | None]:
    """
    Read the folders ``key=value`` that a glob found as columns; they are not in the files.

    :raises RefusedFile: for a key that is there twice
    """
    found: dict[str, str | None] = {}
    for folder in _globbed_parts(str(PurePosixPath(path).parent), pattern):
        key, equals, value = folder.partition("=")
        if not (key and equals):
            continue
        if unquote(key) in found:
            raise RefusedFile(f"it lies in two folders of the partition {unquote(key)!r}")
        found[unquote(key)] = None if value == _NO_VALUE else unquote(value)
    return found


def with_partitions(
    columns: tuple[str, ...] | None, rows: Iterator[SourceRow], partitions: Mapping[str, str | None]
) -> tuple[tuple[str, ...] | None, Iterator[SourceRow]]:
    """
    Add what a file's folders say of its rows.

    :raises RefusedFile: when the file has such a column, too
    """
    if not partitions:
        return columns, rows
    if columns is None:
        return None, (_with_partitions(row, partitions) for row in rows)
    _refuse_twice(columns, partitions)
    columns = (*columns, *partitions)
    values = tuple(partitions.values())
    return columns, (row._replace(columns=columns, cells=(*row.cells, *values)) for row in rows)


def _with_partitions(row: SourceRow, partitions: Mapping[str, str | None]) -> SourceRow:
    _refuse_twice(row.columns, partitions)
    return row._replace(columns=(*row.columns, *partitions), cells=(*row.cells, *partitions.values()))


def _refuse_twice(columns: tuple[str, ...], partitions: Mapping[str, str | None]) -> None:
    own = {normalise(column): column for column in columns}
    for key in partitions:
        if normalise(key) in own:
            raise RefusedFile(
                f"it has the column {own[normalise(key)]!r} and lies in a folder {key}=…, which may differ: name the "
                "files without a glob in that folder's place to leave the folder out"
            )


class Tables:
    """
    Knows folders that are tables of a lake, whose log says which of their files count.

    :param fs: where they lie
    """

    def __init__(self, fs: AbstractFileSystem) -> None:
        self._fs = fs
        self._seen: dict[str, str | None] = {}

    def refuse(self, path: str) -> None:
        """
        Refuse a file of such a table.

        :raises RefusedFile: naming the table's format
        """
        for folder in _folders_above(path):
            if folder not in self._seen:
                self._seen[folder] = self._table_format(folder)
            kind = self._seen[folder]
            if kind is not None:
                raise RefusedFile(
                    f"it is part of a {kind} table. Its files alone would bring deleted and replaced rows back; read "
                    "the table with a query (table or sql), or export it"
                )

    def _table_format(self, folder: str) -> str | None:
        with suppress(PermissionError):  # who may read a file need not be allowed to list its folder
            for kind, log in _TABLES:
                if self._fs.glob(f"{folder}/{log}") if _is_glob(log) else self._fs.exists(f"{folder}/{log}"):
                    return kind
        return None


def _folders_above(path: str) -> Iterator[str]:
    for folder in PurePosixPath(path).parents:
        if "=" not in folder.name and folder.name:  # a partition is not the table's own folder
            yield str(folder)
