"""
How a file uses quotes and backslashes: each use may be clear by itself, and two of them beside each other not.
"""

from __future__ import annotations

from enum import Enum, auto

from airflow_provider_lofty.rows.source import RefusedFile

SAY_ESCAPE = (
    r'say file_options={"escape": "\\"} where a backslash escapes what follows, {"escape": None} where it is text'
)
SAY_QUOTE = (
    r'write a quote inside an enclosed cell twice (""), or say file_options={"quoting": "none"} where quotes enclose '
    r'nothing, {"escape": "\\"} where a backslash escapes them'
)
_SAY_COPY = (
    r'say file_options={"quoting": "none", "escape": "\\"} for what COPY or mysql --batch wrote, {"escape": "\\"} '
    r'where cells are enclosed and a backslash escapes, {"escape": None} where it is text'
)


class Habit(Enum):
    """What was seen in a line."""

    ESCAPED = auto()  # a backslash escaped a quote, though nobody said that backslashes do
    DOUBLED = auto()  # a backslash that would mean something else where they escape quotes
    LETTER = auto()  # a backslash that would mean something else where COPY or mysql --batch wrote it
    NULL = auto()  # the mark of databases for no value
    FORGIVEN = auto()  # quotes with blanks or backslashes beside them, where a stricter reader would give up
    SPANNING = auto()  # a row that begins here spans lines, one of which could be a row by itself


class Habits:
    """
    What was seen so far.

    :ivar is_undecided: whether nobody said what a backslash is
    """

    def __init__(self) -> None:
        self.is_undecided = True
        self._lines: dict[Habit, int] = {}

    def note(self, habit: Habit, line: int) -> None:
        """
        Note what was seen in a line.

        :raises RefusedFile: when it must not be beside something that was seen before
        """
        self._lines.setdefault(habit, line)
        seen = self._lines.get
        forgiven, spanning = seen(Habit.FORGIVEN), seen(Habit.SPANNING)
        if forgiven and spanning:
            raise RefusedFile(
                f"line {spanning} may begin a cell with a quote that it should not, and take several rows for one, for "
                f"line {forgiven} has blanks or backslashes beside quotes; {SAY_QUOTE}"
            )
        if self.is_undecided:
            self._refuse_backslashes(seen(Habit.ESCAPED), seen(Habit.NULL), seen(Habit.DOUBLED), seen(Habit.LETTER))

    def _refuse_backslashes(
        self, escaped: int | None, null: int | None, doubled: int | None, letter: int | None
    ) -> None:
        if null and (letter or doubled):
            raise RefusedFile(
                f"line {null} has \\N as databases write it, line {letter or doubled} another backslash, which may be "
                f"text or escape: {_SAY_COPY}"
            )
        if escaped and doubled:
            raise RefusedFile(
                f"line {escaped} has a backslash that escapes a quote, line {doubled} one that may be text or escape: "
                f"{SAY_ESCAPE}"
            )
