"""What was noticed while files were read, counted and logged once for each kind."""

from __future__ import annotations

import re

from airflow_provider_lofty.log import Log
from airflow_provider_lofty.rows.report_format import restored

_FORMULA_TEXT = re.compile(r'="((?:[^"]|"")*)"')
_QUOTATION = re.compile(r"'+[^'].*?'(?!\w)", re.DOTALL)

APOSTROPHE = "an apostrophe that keeps a spreadsheet from changing a cell was taken off"
FORMULA = 'a cell written as ="…", which keeps a spreadsheet from changing it, was read without that'
BLANK = "a row without a value in any cell was passed over"
SURPLUS = "empty cells beyond those of the header were passed over"
HIDDEN = "a file was not read, since a name that begins with a dot, _ or ~$ is that of a draft or marker"
SPANNING = (
    "a row spans lines, one of which could be a row by itself. If a quote begins a cell there that it should not, "
    "several rows were taken for one: look at it in a preview"
)
_WARNED_OF = (SPANNING,)


class Notes:
    """
    Counts by kind, and where the first of each was.

    :ivar file: the file that is being read
    :ivar delimiter: between its cells, if it is delimited text
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}
        self.file = ""
        self.delimiter: str | None = None

    def start(self, file: str) -> None:
        """Go on to the next file."""
        self.file, self.delimiter = file, None

    def add(self, kind: str, place: int | str) -> None:
        """Note another one, at a line of the file that is being read, or of a file."""
        if kind not in self._counts:
            self._first[kind] = place if isinstance(place, str) else f"line {place} of {self.file}"
        self._counts[kind] = self._counts.get(kind, 0) + 1

    def log(self, log: Log) -> None:
        """Log each kind."""
        for kind, count in self._counts.items():
            write = log.warning if kind in _WARNED_OF else log.info
            write("%s (%d of them; the first: %s)", kind, count, self._first[kind])


def undressed(cell: str, line: int, notes: Notes) -> str:
    """Take off what a spreadsheet's user put around a cell so that the spreadsheet leaves it as it is."""
    if cell.startswith("'"):
        bare = cell[1:]
        is_guard = restored(cell) != cell and not _QUOTATION.match(cell)
        if (bare.isascii() and bare.isdigit()) or is_guard:
            notes.add(APOSTROPHE, line)
            return bare
    elif cell.startswith("=") and (found := _FORMULA_TEXT.fullmatch(cell)):
        notes.add(FORMULA, line)
        return found[1].replace('""', '"')
    return cell
