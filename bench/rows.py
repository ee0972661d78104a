"""The rows that every client is given: a CSV file, and the same rows beside it as SQLite."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

COLUMNS = ("lead_id", "type", "text", "link", "picture", "created")
FIRST_CREATED = 1763290000000  # milliseconds since 1970
ROWS_PER_LEAD = 3


def write_rows(path: Path, first: int, last: int, bad_every: int = 0) -> Path:
    """
    Write the rows with these numbers.

    :param path: the CSV file; its folder is made
    :param bad_every: each such row has a type that Lofty refuses with 400
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows(_rows(first, last, bad_every))
    database = path.with_suffix(".sqlite")
    database.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "CREATE TABLE activities (lead_id INTEGER, type TEXT, text TEXT, link TEXT, picture TEXT, created INTEGER)"
        )
        connection.executemany("INSERT INTO activities VALUES (?, ?, ?, ?, ?, ?)", _rows(first, last, bad_every))
    return path


def _rows(first: int, last: int, bad_every: int) -> Iterator[tuple[int, str, str, str, str, int]]:
    for number in range(first, last + 1):
        is_bad = bad_every and number % bad_every == 0
        yield (
            1000 + number // ROWS_PER_LEAD,
            "Visit" if is_bad else "Browse",
            f"Viewed home {number}",
            f"https://homes.example.com/{number}",
            f"https://homes.example.com/{number}.jpg",
            FIRST_CREATED + number * 1000,
        )
