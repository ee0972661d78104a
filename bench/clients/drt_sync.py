"""
A drt sync from SQLite to its ``rest_api`` destination, run as drt's Airflow integration runs it.

The destination has one fixed URL, so all rows go to one lead. ``on_error: skip`` as in drt's own starter templates;
retries as they are by default. ``--per-second`` is drt's ``rate_limit`` (0: none; its default is 10).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from common import options, path_of, tell

LEAD_ID = 1000
SYNC = """\
name: activities
model: ref('activities')
destination:
  type: rest_api
  url: "{url}"
  method: POST
  headers:
    Content-Type: application/json
  auth:
    type: api_key
    header: Authorization
    value_env: LOFTY_AUTHORIZATION
  body_template: |
    {{"type": {{{{ row.type | tojson }}}}, "text": {{{{ row.text | tojson }}}}, "link": {{{{ row.link | tojson }}}},
     "picture": {{{{ row.picture | tojson }}}}, "created": {{{{ row.created }}}}}}
sync:
  mode: full
  on_error: skip
  rate_limit:
    requests_per_second: {per_second}
"""


def write_project(home: Path, database: Path, url: str, per_second: float) -> Path:
    """Write a drt project; give its folder."""
    project = home / "project"
    (project / "syncs").mkdir(parents=True, exist_ok=True)
    (home / ".drt").mkdir(exist_ok=True)
    (home / ".drt" / "profiles.yml").write_text(f"warehouse:\n  type: sqlite\n  database: {database}\n")
    (project / "drt_project.yml").write_text('name: lofty\nversion: "0.1"\nprofile: warehouse\n')
    sync = SYNC.format(url=url + path_of(LEAD_ID), per_second=per_second)
    (project / "syncs" / "activities.yml").write_text(sync)
    return project


def main() -> None:
    """Run the sync; a result with failed rows is returned, not raised."""
    given = options(per_second=0.0)
    os.environ.update(HOME=str(given.home), LOFTY_AUTHORIZATION=f"token {given.key}", DRT_TELEMETRY_DISABLED="1")
    project = write_project(given.home, given.rows.with_suffix(".sqlite"), given.url, given.per_second)

    from drt.integrations.airflow import run_drt_sync

    result = run_drt_sync("activities", project_dir=str(project))
    print(result, file=sys.stderr)
    tell(given.told, delivered=result["rows_synced"], failed=result["rows_failed"])


main()
