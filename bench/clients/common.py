"""What the clients share: their arguments, the rows, and what they say at the end. Standard library only."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

FIELDS = ("type", "text", "link", "picture")


def options(**more: Any) -> argparse.Namespace:
    """
    Read the command line that every client has.

    :param more: further options, name → default
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=Path, required=True, help="CSV file; the same rows lie beside it as .sqlite")
    parser.add_argument("--url", required=True, help="base URL of the practice Lofty")
    parser.add_argument("--key", required=True, help="its API key")
    parser.add_argument("--home", type=Path, required=True, help="folder for what the client keeps on its own disk")
    parser.add_argument("--told", type=Path, required=True, help="JSON file for what the client says at the end")
    for name, default in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return parser.parse_args()


def headers(key: str) -> dict[str, str]:
    """Give the headers of a request."""
    return {"Authorization": f"token {key}", "Content-Type": "application/json"}


def path_of(lead_id: Any) -> str:
    """Give the path that adds an activity to a lead."""
    return f"/v1.0/leads/{lead_id}/activity"


def body_of(row: dict[str, Any]) -> dict[str, Any]:
    """Give the request's body: the row's fields, ``created`` as a number."""
    return {**{name: row[name] for name in FIELDS}, "created": int(row["created"])}


def read(path: Path) -> Iterator[dict[str, str]]:
    """Read the rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as stream:
        yield from csv.DictReader(stream)


def find_path(email: str) -> str:
    """Give the path that finds the leads with an e-mail address."""
    return f"/v1.0/leads?{urlencode({'email': email, 'preciseSearchFlag': 'true'})}"


def first_lead(found: dict[str, Any]) -> int | None:
    """Give the first lead that Lofty names, which is what most people take; None when there is none."""
    return next((lead["leadId"] for lead in found["leads"]), None)


def tell(path: Path, *, delivered: int | None, failed: int | None, read: int | None = None) -> None:
    """
    Write down what the client says of its rows; a client that dies before says nothing.

    :param delivered: rows that it calls delivered; None when it does not count them
    :param failed: rows that it names or counts as not delivered; None when it does not
    :param read: rows that it has read; None when it does not say
    """
    path.write_text(json.dumps({"delivered": delivered, "failed": failed, "read": read}), encoding="utf-8")


def end(path: Path, outcomes: Iterable[bool]) -> None:
    """Count rows that went well and rows that did not; tell, and exit with 1 when there are any of the latter."""
    counts = {True: 0, False: 0}
    for went_well in outcomes:
        counts[went_well] += 1
    tell(path, delivered=counts[True], failed=counts[False])
    sys.exit(1 if counts[False] else 0)
