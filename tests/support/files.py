"""A CSV file's lines, and how tests read files."""

from __future__ import annotations

from typing import Any

from airflow_provider_lofty.rows.files import read_files
from support.practice import COLUMNS, Collected, collected

HEADER = ",".join(COLUMNS)
LINE = "1,Browse,Viewed home 1,https://homes.example.com/7,,2026-03-01"


def read(path: Any) -> Collected:
    """Read files to their end."""
    return collected(read_files, path)
