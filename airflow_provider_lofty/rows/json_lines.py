"""Rows from JSON lines, each an object of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import IO

from airflow_provider_lofty.rows.source import SourceRow
from airflow_provider_lofty.rows.values import kind_of


def json_rows(stream: IO[str]) -> tuple[None, Iterator[SourceRow]]:
    """Parse line by line; a line that is not an object is a row with a problem."""
    return None, _parsed(stream)


def _parsed(lines: Iterable[str]) -> Iterator[SourceRow]:
    written = (line for line in lines if line.strip())
    for number, line in enumerate(written, start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield SourceRow(number, (), (), "is not JSON")
            continue
        if isinstance(row, dict):
            yield SourceRow(number, tuple(row), tuple(row.values()))
        else:
            yield SourceRow(number, (), (), f"is {kind_of(row)}, not a JSON object")
