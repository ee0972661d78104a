r"""
The strict way to read one record of delimited text, cell by cell; what may mean two things is refused.

A backslash in an enclosed cell that nobody said anything about: ``\"`` before text can only be an escaped quote. Before
a delimiter, a line's end or another quote, the cell may end there or go on: a reader that guessed would now and then
give one person's row to another.
"""

from __future__ import annotations

import re

from airflow_provider_lofty.rows.file_options import Backslash, FileOptions
from airflow_provider_lofty.rows.lines import LONGEST_LINE, Lines, too_long
from airflow_provider_lofty.rows.notes import SPANNING, Notes
from airflow_provider_lofty.rows.source import RefusedFile

_SAY_ESCAPE = (
    r'say file_options={"escape": "\\"} where a backslash escapes what follows, {"escape": None} where it is text'
)
_SAY_QUOTE = (
    r'write a quote inside an enclosed cell twice (""), or say file_options={"quoting": "none"} where quotes enclose '
    r'nothing, {"escape": "\\"} where a backslash escapes them'
)
_SAY_COPY = (
    r'say file_options={"quoting": "none", "escape": "\\"} for what COPY or mysql --batch wrote, {"escape": "\\"} '
    r'where cells are enclosed and a backslash escapes, {"escape": None} where it is text'
)
# What a backslash makes of a letter where nothing is enclosed: PostgreSQL's COPY and ``mysql --batch``.
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0", "N": "\\N"}
_BACKSLASHES = re.compile(r"\\+")


class StrictReader:
    """
    Reads records that cannot simply be split.

    :param lines: where a record goes on that spans lines
    :param delimiter: between cells
    :param options: what quotes and backslashes are
    :param notes: gets records that span lines, one of which has as many delimiters as a row
    :ivar width: how many cells a record should have; 0 while that is unknown
    """

    def __init__(self, lines: Lines, delimiter: str, options: FileOptions, notes: Notes) -> None:
        self.width = 0
        self._notes = notes
        self._lines = lines
        self._delimiter = delimiter
        self._has_quotes = options.has_quotes
        self._escaped_in = 0  # the first line where an undecided backslash escaped a quote
        self._doubled_in = 0  # the first line where one means something else where backslashes escape
        self._null_in = 0  # the first line with a database's mark for no value
        self._letter_in = 0  # the first line where one means something else where databases wrote that mark
        self._line = ""
        self._at = 0
        self._begins_in = 0
        self._length = 0
        self._is_noted = False
        self.take_backslashes_as(options.backslash)

    def take_backslashes_as(self, backslash: Backslash) -> None:
        """Say what a backslash is."""
        self._backslash = backslash
        delimiter, blank = re.escape(self._delimiter), "[ \t]".replace(self._delimiter, "")
        outside = rf"\r\n{delimiter}"
        if self._backslash is Backslash.ESCAPE or not (self._has_quotes or self._backslash is Backslash.TEXT):
            outside += r"\\"
        self._outside = re.compile(f"[{outside}]")
        self._inside = re.compile('"' if self._backslash is Backslash.TEXT else r'["\\]')
        self._opening = re.compile(rf'{blank}*"')
        self._closing = re.compile(rf"{blank}*(?:({delimiter})|(?=[\r\n])|\Z)")
        self._null = re.compile(rf"N(?=[{delimiter}\r\n]|\Z)")

    def record(self, line: str) -> list[str]:
        """
        Read the record that begins with the line that was read last.

        :raises RefusedFile: naming the line
        """
        self._line, self._at = line, 0
        self._begins_in, self._length, self._is_noted = self._lines.number, len(line), False
        cells = []
        goes_on = True
        while goes_on:
            cell, goes_on = self._cell()
            cells.append(cell)
        return cells

    def note_doubled(self, number: int) -> None:
        """Note a line that reads otherwise where backslashes escape: it must not be beside one where they did."""
        self._doubled_in = self._doubled_in or number
        self._refuse_both()

    def note_letter(self, number: int) -> None:
        """Note a line with a backslash before a letter that databases write for a line's end or a tab."""
        self._letter_in = self._letter_in or number
        self._refuse_both()

    def note_null(self, number: int) -> None:
        """Note a line with a cell that databases write for no value, and beside it backslashes that escape."""
        self._null_in = self._null_in or number
        self._refuse_both()

    def _note_escaped(self) -> None:
        self._escaped_in = self._escaped_in or self._lines.number
        self._refuse_both()

    def _refuse_both(self) -> None:
        if self._backslash is not Backslash.UNDECIDED or not self._has_quotes:
            return
        if self._null_in and (self._letter_in or self._doubled_in):
            other = self._letter_in or self._doubled_in
            raise RefusedFile(
                f"line {self._null_in} has \\N as databases write it, line {other} another backslash, which may be "
                f"text or escape: {_SAY_COPY}"
            )
        if self._escaped_in and self._doubled_in:
            raise RefusedFile(
                f"line {self._escaped_in} has a backslash before a quote, line {self._doubled_in} one before another "
                f"backslash or a line's end, which may be text or escaped: {_SAY_ESCAPE}"
            )

    def _cell(self) -> tuple[str, bool]:
        """Read a cell; the flag says whether another follows."""
        opening = self._opening.match(self._line, self._at) if self._has_quotes else None
        if opening is None:
            return self._bare_cell()
        self._at = opening.end()
        return self._enclosed_cell()

    def _bare_cell(self) -> tuple[str, bool]:
        parts: list[str] = []
        while mark := self._outside.search(self._line, self._at):
            parts.append(self._line[self._at : mark.start()])
            self._at = mark.end()
            if mark[0] != "\\":
                return "".join(parts), mark[0] == self._delimiter
            parts.append(self._escaped() if self._backslash is Backslash.ESCAPE else self._null_mark(parts))
        return "".join(parts) + self._line[self._at :], False

    def _null_mark(self, before: list[str]) -> str:
        if any(before) or not self._null.match(self._line, self._at):
            raise RefusedFile(f"line {self._lines.number} has a backslash, which may be text or escape: {_SAY_ESCAPE}")
        return "\\"

    def _enclosed_cell(self) -> tuple[str, bool]:
        parts: list[str] = []
        while True:
            mark = self._inside.search(self._line, self._at)
            if mark is None:
                parts.append(self._line[self._at :])
                self._take_next_line()
                continue
            parts.append(self._line[self._at : mark.start()])
            self._at = mark.end()
            if mark[0] == "\\":
                parts.append(self._escaped() if self._backslash is Backslash.ESCAPE else self._undecided())
            elif self._line.startswith('"', self._at):
                self._at += 1
                parts.append('"')
            else:
                return "".join(parts), self._closed()

    def _closed(self) -> bool:
        """Go behind a closing quote; whether another cell follows."""
        end = self._closing.match(self._line, self._at)
        if end is None:
            what = _kind(self._line[self._at])
            raise RefusedFile(f"{self._place()}: a quote that should end the cell is followed by {what}; {_SAY_QUOTE}")
        self._at = end.end()
        return end[1] is not None

    def _place(self) -> str:
        number = self._lines.number
        return f"line {number}" if number == self._begins_in else f"line {number}, of a row from line {self._begins_in}"

    def _take_next_line(self) -> None:
        line = self._lines.line()
        if not line:
            raise RefusedFile(f"line {self._begins_in}: a quote is never closed; {_SAY_QUOTE}")
        self._note_lines(self._line, line)
        self._line, self._at = line, 0

    def _note_lines(self, *lines: str) -> None:
        """Look at the lines that a record spans."""
        self._length += len(lines[-1])
        if self._length > LONGEST_LINE:
            raise RefusedFile(f"{too_long(self._begins_in, 'row')}; is one of its quotes never closed?")
        if "\\\\" in lines[-1]:
            self.note_doubled(self._lines.number)
        looks_like_rows = self.width > 1 and any(line.count(self._delimiter) == self.width - 1 for line in lines)
        if looks_like_rows and not self._is_noted:
            self._is_noted = True
            self._notes.add(SPANNING, self._begins_in)

    def _undecided(self) -> str:
        """Read backslashes in an enclosed cell that may be text or escape; the first was just read."""
        found = _BACKSLASHES.match(self._line, self._at - 1)
        backslashes = found[0] if found else ""
        self._at += len(backslashes) - 1
        after = self._line[self._at : self._at + 1]
        if after == '"' and len(backslashes) % 2:
            self._refuse_ending()
            self._note_escaped()
            self._at += 1
            return backslashes[1:] + '"'
        if after and after in "\r\n":
            self.note_doubled(self._lines.number)
        return backslashes

    def _refuse_ending(self) -> None:
        behind = self._at + 1
        if self._line.startswith('"', behind) or self._closing.match(self._line, behind):
            raise RefusedFile(
                f"{self._place()}: a quote behind a backslash may be escaped, or end the cell: {_SAY_ESCAPE}"
            )

    def _escaped(self) -> str:
        """Read what follows a backslash that escapes."""
        after = self._line[self._at : self._at + 1]
        if after and after in "\r\n":
            return self._escaped_line_end()
        self._at += 1
        if after == self._delimiter or (after and after in "\"'\\"):
            return after
        if self._has_quotes or not after:
            return "\\" + after  # programs that escape but quotes leave a path such as C:\new as it is
        if after not in _LETTERS:
            raise RefusedFile(f"{self._place()}: a backslash is followed by {_kind(after)}; {_SAY_ESCAPE}")
        return _LETTERS[after]

    def _escaped_line_end(self) -> str:
        end = self._line[self._at :]
        line = self._lines.line()
        if line:
            self._note_lines(line)
        self._line, self._at = line, 0
        return end


def _kind(character: str) -> str:
    """Say what kind of character this is, without showing it: it may be of a person's text."""
    if character.isspace():
        return "a blank"
    return "a letter" if character.isalpha() else "a digit" if character.isdigit() else "a mark"
