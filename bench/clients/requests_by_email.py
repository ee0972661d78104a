"""A loop over a ``requests.Session`` that looks each address up, once, and takes the first lead that has it."""

from __future__ import annotations

from functools import cache

import requests
from common import body_of, end, find_path, first_lead, headers, options, path_of, read

given = options()
session = requests.Session()
session.headers.update(headers(given.key))


@cache
def find(email: str) -> int | None:
    """Look an address up; one without a lead is reported by its rows."""
    answer = session.get(given.url + find_path(email), timeout=30)
    answer.raise_for_status()
    return first_lead(answer.json())


def post(row: dict[str, str]) -> bool:
    """Send a row; say whether it has a lead."""
    lead_id = find(row["email"])
    if lead_id is not None:
        session.post(given.url + path_of(lead_id), json=body_of(row), timeout=30).raise_for_status()
    return lead_id is not None


end(given.told, [post(row) for row in read(given.rows)])
