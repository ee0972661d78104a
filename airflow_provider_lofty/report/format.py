"""
In which format a report is written, so that a later version knows whether it understands one that comes back.

The format stands in front of every fingerprint, and behind it what the row's cells do not show of themselves. There
both survive spreadsheets, filters and databases, cost no column, and keep programs from taking a hash for a number.
The key rules are part of the format: a row that was keyed by other rules could not be recognised, nor looked for at
Lofty.
"""

from __future__ import annotations

import json

from airflow_provider_lofty.rows.builder import KEY_RULES

REPORT_FORMAT = 2  # raised when a column of the report, or an outcome, changes its meaning
FORMAT_MARK = f"v{REPORT_FORMAT}.{KEY_RULES}:"


def marked(fingerprint: str | None, kinds: str | None = None) -> str:
    """
    Write a row's fingerprint; of a row that has none, the mark alone.

    :param kinds: what the row's cells do not show, as JSON
    """
    return f"{FORMAT_MARK}{fingerprint or ''}{' ' if kinds else ''}{kinds or ''}"


def fingerprint_in(cell: object) -> str | None:
    """
    Read back what :func:`marked` wrote.

    :return: the fingerprint, ``""`` for a row that had none; None when the report is of another format
    """
    if not isinstance(cell, str) or not cell.startswith(FORMAT_MARK):
        return None
    return cell.removeprefix(FORMAT_MARK).partition(" ")[0]


def kinds_in(cell: object) -> dict[str, str]:
    """Read back what the row's cells do not show; nothing where that is broken, or the row comes from no report."""
    kinds = cell.partition(" ")[2] if isinstance(cell, str) and cell.startswith(FORMAT_MARK) else ""
    try:
        found = json.loads(kinds) if kinds else {}
    except (ValueError, RecursionError):
        return {}
    return {column: kind for column, kind in found.items() if isinstance(kind, str)} if isinstance(found, dict) else {}
