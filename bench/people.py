"""Rows that know people by e-mail, and the leads among which these are: a CSV file, the same as SQLite, and a list."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.rows import FIRST_CREATED

COLUMNS = ("email", "type", "text", "link", "picture", "created")
ROWS_EACH = 5
FIRST_LEAD = 1001
FIRST_RELATIVE = 500_001
SHARED_EVERY, SHARED_FROM = 10, 3  # these people's address is that of another lead, too
STRANGER_EVERY, STRANGER_FROM = 20, 9  # no lead has these people's address
CAPITALS_EVERY = 7  # Lofty has these people's address in capitals


@dataclass(frozen=True)
class Person:
    """
    A person, by number.

    :param number: from 0
    """

    number: int

    @property
    def email(self) -> str:
        """The address that rows have."""
        return f"person{self.number}@example.com"

    @property
    def is_shared(self) -> bool:
        """Whether two leads have the address."""
        return self.number % SHARED_EVERY == SHARED_FROM

    @property
    def lead_id(self) -> int | None:
        """The person's own lead: of those who share an address, every other one is the second that has it."""
        if self.number % STRANGER_EVERY == STRANGER_FROM:
            return None
        is_second = self.is_shared and self.number // SHARED_EVERY % 2
        return self.number + (FIRST_RELATIVE if is_second else FIRST_LEAD)

    def texts(self) -> list[str]:
        """Give the texts of the person's rows, by which they are told apart."""
        first = self.number * ROWS_EACH
        return [f"Viewed home {number}" for number in range(first, first + ROWS_EACH)]


def everybody(count: int) -> list[Person]:
    """Give so many people."""
    return [Person(number) for number in range(count)]


def write_leads(path: Path, people: list[Person]) -> Path:
    """Write all leads, half as many again as people: a JSON object from id to addresses."""
    leads = {str(FIRST_LEAD + each.number): [_as_stored(each)] for each in people if each.lead_id}
    leads |= {str(FIRST_RELATIVE + each.number): [each.email] for each in people if each.is_shared}
    missing = len(people) * 3 // 2 - len(leads)
    leads |= {str(FIRST_LEAD + len(people) + number): [f"other{number}@example.com"] for number in range(missing)}
    path.write_text(json.dumps(leads), encoding="utf-8")
    return path


def _as_stored(person: Person) -> str:
    return person.email.upper() if person.number % CAPITALS_EVERY == 0 else person.email


def write_rows(path: Path, people: list[Person]) -> Path:
    """Write the people's rows; give the CSV file."""
    rows = [_row(each, text) for each in people for text in each.texts()]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    with closing(sqlite3.connect(path.with_suffix(".sqlite"))) as connection, connection:
        connection.execute(f"CREATE TABLE activities ({', '.join(COLUMNS)})")
        connection.executemany("INSERT INTO activities VALUES (?, ?, ?, ?, ?, ?)", rows)
    return path


def _row(person: Person, text: str) -> tuple[str, str, str, str, str, int]:
    number = int(text.rpartition(" ")[2])
    link = f"https://homes.example.com/{number}"
    return person.email, "Browse", text, link, f"{link}.jpg", FIRST_CREATED + number * 1000
