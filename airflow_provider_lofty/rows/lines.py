"""Text in whole lines, in blocks of some 64 KiB: in constant memory however long the file, or a line of it, may be."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Protocol

from airflow_provider_lofty.rows.source import RefusedFile

LONGEST_LINE = 2**23  # characters; also of one record. No CRM takes a text of a megabyte
_BLOCK = 2**16
_NEWLINE = "a newline"
_RETURN = "a carriage return alone"
_TWICE = "two carriage returns and a newline"


class Readable(Protocol):
    """What is used of a stream of text."""

    def read(self, size: int, /) -> str: ...


class LineEnds:
    """
    What ends the rows of a file, which can be told from a character of a cell only while all of them end alike.

    A newline with or without a carriage return before it is one kind. A carriage return alone ended lines on old Macs.
    Two and a newline are what a program leaves that converts line ends twice.
    """

    def __init__(self) -> None:
        self._first: dict[str, int] = {}  # each kind → the first line that it ends
        self._open = 0  # a line that ends with a carriage return, of which kind the line behind it will say

    def note(self, line: str, number: int) -> None:
        """
        Note what ends a row's last line, or one that is blank.

        :raises RefusedFile: when another row ends otherwise
        """
        if self._open and line == "\r\n":
            begun, self._open = self._open, 0
            self._add(_TWICE, begun)
        elif line.endswith("\n"):
            self.finish()
            self._add(_NEWLINE, number)
        elif line:
            self.finish()
            self._open = number * line.endswith("\r")

    def note_all(self, block: str, number: int) -> None:
        """
        Note the ends of lines, each of which is a row.

        :param number: of the first of them
        :raises RefusedFile: when two rows end differently
        """
        if self._open or block.count("\r") > block.count("\r\n"):
            for place, line in enumerate(StringIO(block, newline=""), start=number):
                self.note(line, place)
        elif "\n" in block:
            self._add(_NEWLINE, number)

    def finish(self) -> None:
        """
        End the file, or go on behind a line that is not blank.

        :raises RefusedFile: when a carriage return alone was at the end, and other rows end otherwise
        """
        if self._open:
            begun, self._open = self._open, 0
            self._add(_RETURN, begun)

    def _add(self, kind: str, number: int) -> None:
        if kind in self._first:
            return
        self._first[kind] = number
        if len(self._first) > 1:
            (one, before), (other, behind) = sorted(self._first.items(), key=lambda item: item[1])
            raise RefusedFile(
                f"line {before} ends with {one}, line {behind} with {other}: one of them may be a character of a cell. "
                "Write cells that hold such a character in quotes, or give all lines the same end"
            )


class Lines:
    """
    The lines of a text, with their ends, one by one or many at once.

    :param stream: opened so that line ends come as they are
    :ivar number: of the line that was read last, from 1
    """

    def __init__(self, stream: Readable) -> None:
        self._blocks = _blocks(stream, self)
        self._open = StringIO()
        self.number = 0

    def line(self) -> str:
        """Read the next line; ``""`` at the end."""
        line = self._open.readline()
        if not line:
            line = self.open_block(next(self._blocks, "")).readline()
        if line:
            self.number += 1
        return line

    def unread(self, line: str) -> None:
        """Put back the line that was read last."""
        self.open_block(line + self._open.read())
        self.number -= bool(line)

    def block(self) -> str:
        """Take the next lines at once; ``""`` at the end. Whoever takes them counts them."""
        return self._open.read() or next(self._blocks, "")

    def open_block(self, block: str) -> StringIO:
        """Give the lines of a block one by one; whoever takes them so counts them, :meth:`line` goes on behind them."""
        self._open = StringIO(block, newline="")
        return self._open


def _blocks(stream: Readable, lines: Lines) -> Iterator[str]:
    rest = ""
    while chunk := stream.read(_BLOCK):
        text = rest + chunk
        # A carriage return at the end may be the first half of a line's end.
        end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
        if end:
            yield text[:end]
        rest = text[end:]
        if len(rest) > LONGEST_LINE:
            raise RefusedFile(too_long(lines.number + 1, "line"))
    if rest:
        yield rest


def too_long(number: int, what: str) -> str:
    """Say that a line, or what began in it, is longer than anything that could be meant."""
    return f"line {number}: the {what} has more than {LONGEST_LINE:,} characters"
