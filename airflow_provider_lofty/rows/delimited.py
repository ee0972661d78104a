"""Rows from text whose cells are separated by a delimiter: CSV and TSV, reports that came back among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO

from airflow_provider_lofty.rows.file_options import FileOptions
from airflow_provider_lofty.rows.lines import Lines
from airflow_provider_lofty.rows.notes import BLANK, SURPLUS, Notes, undressed
from airflow_provider_lofty.rows.records import Record, Records
from airflow_provider_lofty.rows.report_format import outcome_place, restored
from airflow_provider_lofty.rows.source import DamagedFile, RefusedFile, SourceRow

DELIMITERS = ",;\t|\x01"  # the last one is Hive's
_BYTE_ORDER_MARK = "\ufeff"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # as Excel writes and reads it
_ENCLOSED = re.compile('"[^"]*"')


def delimited_rows(
    stream: IO[str],
    options: FileOptions,
    delimiter: str | None = None,
    columns: tuple[str, ...] | None = None,
    notes: Notes | None = None,
) -> tuple[tuple[str, ...] | None, Iterator[SourceRow]]:
    """
    Read the header; the rows follow on demand.

    :param options: what the author says of the file
    :param delimiter: what the file's name says; None: the one that splits the first line into most cells
    :param columns: the names of the cells of a file that has no header
    :param notes: gets what is noticed
    :raises RefusedFile: when quotes or backslashes do not add up, or could mean two things
    """
    lines, notes = Lines(stream), notes or Notes()
    delimiter = notes.delimiter = _delimiter(lines, options, delimiter, columns)
    records = Records(lines, delimiter, options, notes)
    found = iter(records)
    first = next((record for record in found if not _is_blank(record[1])), None)
    if first is None:
        return columns, iter(())
    if columns is not None:
        _refuse_header(first, columns)
        records.strict.width = len(columns)
        return columns, _rows(chain([first], found), records, columns, notes, "columns names")
    header = tuple(first[1])
    records.strict.width = len(header)
    if outcome_place(header) is None:
        return header, _rows(found, records, header, notes)
    if not options.has_quotes:
        raise RefusedFile("it is a report, which has its cells in quotes; leave quoting out of file_options")
    records.take_backslashes_as_text()  # as reports are written
    names = tuple(map(restored, header))
    as_written = ((number, list(map(restored, cells))) for number, cells in found)
    return names, _rows(as_written, None, names, notes)


def _delimiter(lines: Lines, options: FileOptions, by_name: str | None, columns: tuple[str, ...] | None) -> str:
    """Read what stands before the header or first row, and find the delimiter."""
    line = _first_line(lines, options)
    separator = _SEPARATOR_LINE.fullmatch(line)
    if separator is not None:
        if options.delimiter not in (None, separator[1]):
            raise RefusedFile("its first line names another delimiter than file_options does")
        return separator[1]
    lines.unread(line)
    bare = _ENCLOSED.sub("", line) if options.has_quotes else line
    fitting = (mark for mark in DELIMITERS if columns and bare.count(mark) == len(columns) - 1)
    return options.delimiter or by_name or next(fitting, None) or max(DELIMITERS, key=bare.count)


def _first_line(lines: Lines, options: FileOptions) -> str:
    line = lines.line().lstrip(_BYTE_ORDER_MARK)
    for _ in range(options.skip_rows):
        if not line:
            raise RefusedFile(f"it has fewer lines than file_options says to skip ({options.skip_rows})")
        line = lines.line()
    while line and not line.strip():
        line = lines.line()
    if "\0" in line:
        raise DamagedFile(
            'it is not UTF-8 text; if it is UTF-16 without its mark, say file_options={"encoding": "utf-16-le"}'
        )
    return line


def _is_blank(cells: list[str]) -> bool:
    return all(not cell or cell.isspace() for cell in cells)


def _refuse_header(first: Record, columns: tuple[str, ...]) -> None:
    if [cell.strip().casefold() for cell in first[1]] == [name.casefold() for name in columns]:
        raise RefusedFile(f"line {first[0]} is a header, but columns says that there is none; leave columns out")


def _rows(
    found: Iterable[Record],
    dressed: Records | None,
    columns: tuple[str, ...],
    notes: Notes,
    named_by: str = "the header has",
) -> Iterator[SourceRow]:
    """
    Make rows of records.

    :param dressed: knows whether cells may be dressed for a spreadsheet; None: a report, whose cells are not
    :param named_by: what says how many cells there should be
    """
    width, row_number = len(columns), 0
    named = max(place for place, name in enumerate(columns, start=1) if name.strip())
    for line, cells in found:
        if dressed is not None and dressed.may_be_dressed:
            cells = [undressed(cell, line, notes) if cell[:1] in ("'", "=") else cell for cell in cells]
        values: list[str | None] = [cell or None for cell in cells]
        first = values[0]
        if (first is None or first.isspace()) and _is_blank(cells):
            notes.add(BLANK, line)
            continue
        row_number += 1
        if len(values) > width and not any(values[width:]):
            notes.add(SURPLUS, line)
            del values[width:]
        if named <= len(values) < width:  # a spreadsheet left columns over that have no name
            values += [None] * (width - len(values))
        if len(values) == width:
            yield SourceRow(row_number, columns, values, None, line)
        else:
            problem = f"has {len(cells)} cells where {named_by} {width}"
            yield SourceRow(row_number, columns, [*values, *[None] * width][:width], problem, line)
