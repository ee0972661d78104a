"""
In which format a report is written, so that a later version knows whether it understands one that comes back.

The format stands in front of every fingerprint: there it survives spreadsheets, filters and databases, costs no column,
and keeps programs from taking a hash of digits for a number. The key rules are part of it: a row that was keyed by
other rules could not be recognised, nor looked for at Lofty.
"""

from __future__ import annotations

from airflow_provider_lofty.rows.builder import KEY_RULES

REPORT_FORMAT = 1  # raised when a column of the report, or an outcome, changes its meaning
FORMAT_MARK = f"v{REPORT_FORMAT}.{KEY_RULES}:"


def marked(fingerprint: str | None) -> str:
    """Write a row's fingerprint; of a row that has none, the mark alone."""
    return FORMAT_MARK + (fingerprint or "")


def fingerprint_in(cell: object) -> str | None:
    """
    Read back what :func:`marked` wrote.

    :return: the fingerprint, ``""`` for a row that had none; None when the report is of another format
    """
    return cell.removeprefix(FORMAT_MARK) if isinstance(cell, str) and cell.startswith(FORMAT_MARK) else None
