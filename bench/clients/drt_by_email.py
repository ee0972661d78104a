"""
What drt's users would have to write to find leads by e-mail.

drt's ``lookups`` ask the destination's own database, so ``rest_api`` has none, and it has one URL for all rows. So a
step before the sync looks each address up, once, and takes the first lead; then the sync runs once for each lead, whose
id is in its environment.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
from common import find_path, first_lead, headers, options, path_of, read, tell
from drt_project import run, write_project

MODEL = "\"SELECT * FROM activities WHERE email = '${EMAIL}'\""


def find(given: Any, emails: Mapping[str, int]) -> dict[str, int | None]:
    """Look each address up."""
    found: dict[str, int | None] = {}
    with httpx.Client(headers=headers(given.key)) as client:
        for email in emails:
            found[email] = first_lead(client.get(given.url + find_path(email)).raise_for_status().json())
    return found


def main() -> None:
    """Look up, then run the sync for each address that has a lead; the others are counted as failed."""
    given = options()
    rows = Counter(row["email"] for row in read(given.rows))
    url = given.url + path_of("${LEAD_ID}")
    project = write_project(given, url, database=given.rows.with_suffix(".sqlite"), model=MODEL)
    delivered = failed = 0
    for email, lead_id in find(given, rows).items():
        if lead_id is None:
            failed += rows[email]
            continue
        os.environ.update(EMAIL=email, LEAD_ID=str(lead_id))
        result = run(project)
        delivered += result["rows_synced"]
        failed += result["rows_failed"]
    tell(given.told, delivered=delivered, failed=failed)
    sys.exit(1 if failed else 0)


main()
