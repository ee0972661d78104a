"""A drt project with one sync from SQLite to the ``rest_api`` destination, run as drt's Airflow integration does it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

SYNC = """\
name: activities
model: {model}
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
{mode}  on_error: skip
  rate_limit:
    requests_per_second: {per_second}
"""
FULL = "  mode: full\n"


def write_project(
    given: Any, url: str, *, database: Path, model: str = "ref('activities')", mode: str = FULL, per_second: float = 0
) -> Path:
    """
    Write a drt project, and the environment that it is run in.

    :param given: the client's options
    :param url: where each row is posted
    :param database: the SQLite file that is its source
    :param model: which rows
    :param mode: the lines that say how much is read
    :param per_second: drt's ``rate_limit``; 0: none
    :return: the project's folder
    """
    os.environ.update(HOME=str(given.home), LOFTY_AUTHORIZATION=f"token {given.key}", DRT_TELEMETRY_DISABLED="1")
    project = given.home / "project"
    (project / "syncs").mkdir(parents=True, exist_ok=True)
    (given.home / ".drt").mkdir(exist_ok=True)
    (given.home / ".drt" / "profiles.yml").write_text(f"warehouse:\n  type: sqlite\n  database: {database}\n")
    (project / "drt_project.yml").write_text('name: lofty\nversion: "0.1"\nprofile: warehouse\n')
    sync = SYNC.format(url=url, model=model, mode=mode, per_second=per_second)
    (project / "syncs" / "activities.yml").write_text(sync)
    return project


def run(project: Path) -> dict[str, Any]:
    """Run the sync; a result with failed rows is returned, not raised."""
    from drt.integrations.airflow import run_drt_sync

    result: dict[str, Any] = run_drt_sync("activities", project_dir=str(project))
    return result
