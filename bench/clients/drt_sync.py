"""
A drt sync from SQLite to its ``rest_api`` destination.

The destination has one fixed URL, so all rows go to one lead. ``on_error: skip`` as in drt's own starter templates;
retries as they are by default. ``--per-second`` is drt's ``rate_limit`` (0: none; its default is 10).
"""

from __future__ import annotations

import sys

from common import options, path_of, tell
from drt_project import run, write_project

LEAD_ID = 1000


def main() -> None:
    """Run the sync."""
    given = options(per_second=0.0)
    database = given.rows.with_suffix(".sqlite")
    result = run(write_project(given, given.url + path_of(LEAD_ID), database=database, per_second=given.per_second))
    print(result, file=sys.stderr)
    tell(given.told, delivered=result["rows_synced"], failed=result["rows_failed"])


main()
