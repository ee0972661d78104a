"""
How a report is written and read back: its columns, and its cells in CSV.

A cell that a spreadsheet would run as a formula is made harmless, and restored when the report is read back: one that
begins with one of ``= + - @``, a tab or a line break gets an apostrophe in front (OWASP, "CSV Injection"); plain
numbers do not. Cells that already begin with apostrophes before such a mark get one more, so restoring gives back
exactly what was written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

REPORT_PREFIX = "lofty_"  # of the columns that a report adds; they never match a field
OUTCOME_COLUMN = "lofty_outcome"

REPORT_COLUMNS = (
    "lofty_source",
    "lofty_row_number",
    "lofty_line",
    "lofty_outcome",
    "lofty_lead_id",
    "lofty_http_status",
    "lofty_error_code",
    "lofty_error_field",
    "lofty_error",
    "lofty_attempts",
    "lofty_sent_at",
    "lofty_fingerprint",
    "lofty_matched_by",
)

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - the full-width marks work in some locales
NUL_STAND_IN = "\udc00"  # csv of Python 3.10 cannot read a NUL; a lone surrogate makes its row just as invalid
SUSPECTS = frozenset("'=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - first characters; most cells have none of them
_PLAIN_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def outcome_place(columns: Sequence[str]) -> int | None:
    """
    Find the outcome's column if the source is a report that came back; else None.

    In any case: a report that was loaded into a warehouse may come back in capitals.
    """
    return next((place for place, column in enumerate(columns) if column.casefold() == OUTCOME_COLUMN), None)


def _runs_as_formula(cell: str) -> bool:
    return _FORMULA.match(cell) is not None and _PLAIN_NUMBER.fullmatch(cell.lstrip("'")) is None


def defused(cell: str) -> str:
    """Put an apostrophe in front of a cell that a spreadsheet would run."""
    return "'" + cell if cell[:1] in SUSPECTS and _runs_as_formula(cell) else cell


def restored(cell: str) -> str:
    """Take back the apostrophe that :func:`defused` put there."""
    return cell[1:] if cell.startswith("'") and _runs_as_formula(cell[1:]) else cell
