"""
In which format a report is written, so that a later version knows whether it understands one that comes back.

The format stands in front of every fingerprint, and behind it what the row's cells do not show of themselves. There
both survive spreadsheets, filters and databases, cost no column, and keep programs from taking a hash for a number.
The key rules are part of the format: a row that was keyed by other rules could not be recognised, nor looked for at
Lofty.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from airflow_provider_lofty.rows.builder import KEY_RULES

REPORT_FORMAT = 2  # raised when a column of the report, or an outcome, changes its meaning
FORMAT_MARK = f"v{REPORT_FORMAT}.{KEY_RULES}:"


class Notes(NamedTuple):
    """
    What stands behind a fingerprint.

    :param seal: of the row's cells, as they are shown, and of the task's arguments
    :param key_seal: of its key; empty where it has none
    :param kinds: what its cells do not show, by column
    """

    seal: str = ""
    key_seal: str = ""
    kinds: dict[str, str] = {}  # noqa: RUF012 - nobody adds to it

    def written(self) -> str:
        """Write them so that :func:`notes_in` reads them."""
        return f"{self.seal}.{self.key_seal} {json.dumps(self.kinds) if self.kinds else ''}".rstrip()


def marked(fingerprint: str | None, notes: str | None = None) -> str:
    """
    Write a row's fingerprint; of a row that has none, the mark alone.

    :param notes: as :meth:`Notes.written` gives them
    """
    return f"{FORMAT_MARK}{fingerprint or ''} {notes or ''}".rstrip()


def fingerprint_in(cell: object) -> str | None:
    """
    Read back what :func:`marked` wrote.

    :return: the fingerprint, ``""`` for a row that had none; None when the report is of another format
    """
    if not isinstance(cell, str) or not cell.startswith(FORMAT_MARK):
        return None
    return cell.removeprefix(FORMAT_MARK).partition(" ")[0]


def notes_in(cell: object) -> Notes:
    """Read back what stands behind a fingerprint; nothing where that is broken, or the row comes from no report."""
    if not isinstance(cell, str) or not cell.startswith(FORMAT_MARK):
        return Notes()
    seals, _, kinds = cell.partition(" ")[2].partition(" ")
    seal, _, key_seal = seals.partition(".")
    try:
        found = json.loads(kinds) if kinds else {}
    except (ValueError, RecursionError):
        return Notes(seal, key_seal)
    known = found.items() if isinstance(found, dict) else ()
    return Notes(seal, key_seal, {column: kind for column, kind in known if isinstance(kind, str)})
