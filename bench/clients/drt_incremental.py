"""
A drt sync in ``mode: incremental``, with its watermark on ``updated_at``.

``--lag-minutes`` is drt's ``watermark.lag`` (0: none). All rows go to one lead, as the destination has one URL.
"""

from __future__ import annotations

import sys

from common import options, path_of, tell
from drt_project import run, write_project

LEAD_ID = 1000
MODE = """\
  mode: incremental
  cursor_field: updated_at
  watermark:
    storage: local
"""


def main() -> None:
    """Run the sync once; its watermark lies in the client's folder."""
    given = options(lag_minutes=0)
    mode = MODE + (f'    lag: "{given.lag_minutes} minutes"\n' if given.lag_minutes else "")
    database = given.rows.with_suffix(".sqlite")
    result = run(write_project(given, given.url + path_of(LEAD_ID), database=database, mode=mode))
    print(result, file=sys.stderr)
    delivered, failed = result["rows_synced"], result["rows_failed"]
    tell(given.told, delivered=delivered, failed=failed, read=delivered + failed)


main()
