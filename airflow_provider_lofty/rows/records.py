"""
Records of delimited text, split strictly and fast.

Python's ``csv`` forgives too much: after a stray quote it takes the rows of other people for one cell, without a word.
So it only ever gets single lines that hold nothing to forgive. Lines without any quote are split directly; the few
that are left, with backslashes, blanks around quotes or cells of several lines, are read cell by cell.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator

from airflow_provider_lofty.rows.file_options import Backslash, FileOptions
from airflow_provider_lofty.rows.habits import Habit
from airflow_provider_lofty.rows.lines import Lines
from airflow_provider_lofty.rows.notes import Notes
from airflow_provider_lofty.rows.strict import StrictReader

Record = tuple[int, list[str]]
_LETTER = re.compile(r"\\[bfnrtv]")
_END_OF_COPY = "\\."  # the last line that PostgreSQL's COPY wrote for years


class Records:
    """
    The records of a file.

    :param lines: those that are left of it
    :param delimiter: between cells
    :param options: what quotes and backslashes are
    :param notes: gets what is suspicious
    :ivar strict: reads what cannot simply be split
    :ivar may_be_dressed: whether a cell of the records just read may begin with an apostrophe or ``="``
    """

    def __init__(self, lines: Lines, delimiter: str, options: FileOptions, notes: Notes) -> None:
        self.strict = StrictReader(lines, delimiter, options, notes)
        self.may_be_dressed = False
        self._ends = self.strict.ends
        self._lines = lines
        self._delimiter = delimiter
        self._has_quotes = options.has_quotes
        self._backslash = options.backslash
        self._apostrophes = (f"{delimiter}'", "\n'", "\r'", "\"'")
        self._padded_quotes = tuple(f'{blank}"' for blank in " \t" if blank != delimiter)
        mark = re.escape(delimiter)
        self._null = re.compile(rf"(?:^|[{mark}\r\n])\\N(?=[{mark}\r\n]|\Z)")
        self._feed: deque[str] = deque()
        self._csv = csv.reader(iter(self._feed.popleft, None), delimiter=delimiter, strict=True)

    def __iter__(self) -> Iterator[Record]:
        """
        Give each record with the number of the line that it begins in; blank lines have none.

        :raises RefusedFile: naming the line, where quotes, backslashes or line ends do not add up
        """
        while block := self._lines.block():
            self.may_be_dressed = self._has_dress(block)
            if "\\" in block:
                self._note_backslashes(block)
            if self._is_plain(block):
                yield from self._split(block)
            elif self._is_regular(block):
                yield from self._parse(block)
            else:
                yield from self._read(block)
        self._ends.finish()

    def take_backslashes_as_text(self) -> None:
        """From here on, whatever was said, which may be meant for another file: this one is known to be written so."""
        if self._backslash is not Backslash.TEXT:
            self._backslash = Backslash.TEXT
            self.strict.take_backslashes_as(Backslash.TEXT)

    def _note_backslashes(self, block: str) -> None:
        def line_of(at: int) -> int:
            return self._lines.number + 1 + block.count("\n", 0, at)

        habits = self.strict.habits
        if "\\\\" in block:
            habits.note(Habit.DOUBLED, line_of(block.index("\\\\")))
        if found := _LETTER.search(block):
            habits.note(Habit.LETTER, line_of(found.start()))
        if found := self._null.search(block):
            habits.note(Habit.NULL, line_of(found.end()))

    def _has_dress(self, block: str) -> bool:
        if '="' in block or block[0] == "'":
            return True
        return "'" in block and any(mark in block for mark in self._apostrophes)

    def _is_plain(self, text: str) -> bool:
        """Whether text can be split at its delimiters: no quote and no backslash has a meaning in it."""
        if self._has_quotes:
            return '"' not in text and (self._backslash is not Backslash.ESCAPE or "\\" not in text)
        return self._backslash is Backslash.TEXT or "\\" not in text

    def _is_regular(self, text: str) -> bool:
        """Whether ``csv`` has nothing to forgive in these lines, or says so."""
        return self._has_quotes and "\\" not in text and not any(mark in text for mark in self._padded_quotes)

    def _split(self, block: str) -> Iterator[Record]:
        delimiter, number = self._delimiter, self._lines.number
        self._ends.note_all(block, number + 1)
        if "\r" in block:
            block = block.replace("\r\n", "\n").replace("\r", "\n")
        texts = block.removesuffix("\n").split("\n")
        self._lines.number += len(texts)
        for text in texts:
            number += 1
            if text:
                yield number, text.split(delimiter)

    def _parse(self, block: str) -> Iterator[Record]:
        lines, parsed = self._lines, self._parsed
        for line in lines.open_block(block):
            lines.number = number = lines.number + 1
            if cells := parsed(line):
                yield number, cells

    def _parsed(self, line: str) -> list[str]:
        self._feed.append(line)
        try:
            cells = next(self._csv)
        except (csv.Error, IndexError):  # IndexError: the record goes on in the next line
            self._feed.clear()
            return self._record(line)
        self._ends.note(line, self._lines.number)
        return cells

    def _record(self, line: str) -> list[str]:
        self.may_be_dressed = True  # it may go on in lines that were not looked at
        return self.strict.record(line)

    def _read(self, block: str) -> Iterator[Record]:
        lines = self._lines
        for line in lines.open_block(block):
            lines.number = number = lines.number + 1
            text = line.rstrip("\r\n")
            if self._is_plain(text):
                self._ends.note(line, number)
                if text:
                    yield number, text.split(self._delimiter)
            elif self._is_regular(line):
                yield number, self._parsed(line)
            elif self._has_quotes or text != _END_OF_COPY:
                yield number, self._record(line)
