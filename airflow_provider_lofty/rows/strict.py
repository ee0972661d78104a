r"""
The strict way to read one record of delimited text, cell by cell; what may mean two things is refused.

A backslash in an enclosed cell that nobody said anything about: ``\"`` before text can only be an escaped quote, and
``\""`` before text only a backslash and a quote that is written twice. Before a delimiter or a line's end the cell may
end there or go on: a reader that guessed would now and then give one person's row to another.
"""

from __future__ import annotations

import re

from airflow_provider_lofty.rows.file_options import Backslash, FileOptions
from airflow_provider_lofty.rows.habits import SAY_ESCAPE, SAY_QUOTE, Habit, Habits
from airflow_provider_lofty.rows.lines import LONGEST_LINE, LineEnds, Lines, too_long
from airflow_provider_lofty.rows.notes import SPANNING, Notes
from airflow_provider_lofty.rows.source import RefusedFile

# What a backslash makes of a letter where nothing is enclosed: PostgreSQL's COPY and ``mysql --batch``.
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0", "N": "\\N"}
_BACKSLASHES = re.compile(r"\\+")
_QUOTES = re.compile('"*')


class StrictReader:
    """
    Reads records that cannot simply be split.

    :param lines: where a record goes on that spans lines
    :param delimiter: between cells
    :param options: what quotes and backslashes are
    :param notes: gets records that span lines, one of which has as many delimiters as a row
    :ivar habits: how quotes and backslashes were used so far
    :ivar ends: what ended rows so far
    :ivar width: how many cells a record should have; 0 while that is unknown
    """

    def __init__(self, lines: Lines, delimiter: str, options: FileOptions, notes: Notes) -> None:
        self.width = 0
        self._notes = notes
        self._lines = lines
        self._delimiter = delimiter
        self._has_quotes = options.has_quotes
        self.habits = Habits()
        self.ends = LineEnds()
        self._line = ""
        self._at = 0
        self._begins_in = 0
        self._length = 0
        self._is_noted = False
        self._opened_in = 0  # the line where the enclosed cell begins
        self._is_padded = False  # whether blanks stand before the quote of the enclosed cell
        self.take_backslashes_as(options.backslash)

    def take_backslashes_as(self, backslash: Backslash) -> None:
        """Say what a backslash is."""
        self._backslash = backslash
        self.habits.is_undecided = self._has_quotes and backslash is Backslash.UNDECIDED
        delimiter, blank = re.escape(self._delimiter), "[ \t]".replace(self._delimiter, "")
        outside = rf"\r\n{delimiter}"
        if self._backslash is Backslash.ESCAPE or not (self._has_quotes or self._backslash is Backslash.TEXT):
            outside += r"\\"
        self._outside = re.compile(f"[{outside}]")
        self._inside = re.compile('"' if self._backslash is Backslash.TEXT else r'["\\]')
        self._opening = re.compile(rf'{blank}*"')
        self._closing = re.compile(rf"(?P<blanks>{blank}*)(?:(?P<mark>{delimiter})|(?=[\r\n])|\Z)")
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
        self.ends.note(self._line, self._lines.number)
        return cells

    def _cell(self) -> tuple[str, bool]:
        """Read a cell; the flag says whether another follows."""
        opening = self._opening.match(self._line, self._at) if self._has_quotes else None
        if opening is None:
            return self._bare_cell()
        self._is_padded = opening.end() - self._at > 1
        if self._is_padded:
            self.habits.note(Habit.FORGIVEN, self._lines.number)
        self._at = opening.end()
        self._opened_in = self._lines.number
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
            raise RefusedFile(f"line {self._lines.number} has a backslash, which may be text or escape: {SAY_ESCAPE}")
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
        has_blanks = end is not None and end.end("blanks") > self._at
        if has_blanks:
            self.habits.note(Habit.FORGIVEN, self._lines.number)
        if end is None or (has_blanks and self._opened_in != self._lines.number):
            what = _kind(self._line[self._at])
            raise RefusedFile(f"{self._place()}: a quote that should end the cell is followed by {what}; {SAY_QUOTE}")
        self._at = end.end()
        return end["mark"] is not None

    def _place(self) -> str:
        number = self._lines.number
        return f"line {number}" if number == self._begins_in else f"line {number}, of a row from line {self._begins_in}"

    def _take_next_line(self) -> None:
        if self._is_padded:  # the quote may as well be a character of a cell that is not enclosed
            raise RefusedFile(f"{self._place()}: a quote behind a blank is not closed in its line; {SAY_QUOTE}")
        line = self._lines.line()
        if not line:
            raise RefusedFile(f"line {self._begins_in}: a quote is never closed; {SAY_QUOTE}")
        self._note_lines(self._line, line)
        self._line, self._at = line, 0

    def _note_lines(self, *lines: str) -> None:
        """Look at the lines that a record spans."""
        self._length += len(lines[-1])
        if self._length > LONGEST_LINE:
            raise RefusedFile(f"{too_long(self._begins_in, 'row')}; is one of its quotes never closed?")
        if "\\\\" in lines[-1]:
            self.habits.note(Habit.DOUBLED, self._lines.number)
        looks_like_rows = self.width > 1 and any(line.count(self._delimiter) == self.width - 1 for line in lines)
        if looks_like_rows and not self._is_noted:
            self._is_noted = True
            self._notes.add(SPANNING, self._begins_in)
            self.habits.note(Habit.SPANNING, self._begins_in)

    def _undecided(self) -> str:
        """Read backslashes in an enclosed cell that may be text or escape; the first was just read."""
        backslashes = "\\" * _count(_BACKSLASHES, self._line, self._at - 1)
        self._at += len(backslashes) - 1
        if len(backslashes) % 2:
            quotes = _count(_QUOTES, self._line, self._at)
            if quotes and self._escapes_quote(quotes):
                self._at += 1
                return backslashes[1:] + '"'
        if self._line[self._at : self._at + 1] in ("\r", "\n"):
            self.habits.note(Habit.DOUBLED, self._lines.number)
        return backslashes

    def _escapes_quote(self, quotes: int) -> bool:
        """Whether an undecided backslash escapes the first of some quotes."""
        if quotes <= 2 and self._closing.match(self._line, self._at + quotes):
            raise RefusedFile(
                f"{self._place()}: a quote behind a backslash may be escaped, or end the cell: {SAY_ESCAPE}"
            )
        if quotes == 1:
            self.habits.note(Habit.ESCAPED, self._lines.number)
            self.habits.note(Habit.FORGIVEN, self._lines.number)
            return True
        self.habits.note(Habit.DOUBLED, self._lines.number)
        return False

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
            raise RefusedFile(f"{self._place()}: a backslash is followed by {_kind(after)}; {SAY_ESCAPE}")
        return _LETTERS[after]

    def _escaped_line_end(self) -> str:
        end = self._line[self._at :]
        line = self._lines.line()
        if line:
            self._note_lines(line)
        self._line, self._at = line, 0
        return end


def _count(characters: re.Pattern[str], line: str, at: int) -> int:
    found = characters.match(line, at)
    return 0 if found is None else found.end() - at


def _kind(character: str) -> str:
    """Say what kind of character this is, without showing it: it may be of a person's text."""
    if character.isspace():
        return "a blank"
    return "a letter" if character.isalpha() else "a digit" if character.isdigit() else "a mark"
