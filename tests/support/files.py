"""A CSV file's lines, and how tests read files."""

from __future__ import annotations

from typing import Any

from airflow_provider_lofty.rows.file_options import FileOptions
from airflow_provider_lofty.rows.files import read_files
from support.practice import COLUMNS, Collected, Log, collected

HEADER = ",".join(COLUMNS)
LINE = "1,Browse,Viewed home 1,https://homes.example.com/7,,2026-03-01"


def read(path: Any, columns: tuple[str, ...] | None = None, log: Log | None = None, **options: Any) -> Collected:
    """
    Read files to their end.

    :param options: ``file_options``
    """
    return collected(
        read_files, path, columns=columns, options=FileOptions.from_dict(options), log=log if log is not None else Log()
    )
