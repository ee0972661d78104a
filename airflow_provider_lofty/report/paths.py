"""What a report's file is called."""

from __future__ import annotations

import json
import re
from hashlib import blake2b

from airflow_provider_lofty.task_key import NOT_MAPPED, TaskKey

_MOST_OF_AN_ID = 60  # of three, in a file's name of 255 bytes at most


def report_file(path: str, key: TaskKey) -> str:
    """Name the report file: ``path`` itself, or in a folder one for each Dag run, task, map index and try."""
    if not path.endswith("/"):
        return path
    mapped = f"_{key.map_index}" if key.map_index != NOT_MAPPED else ""
    names = "__".join(name[:_MOST_OF_AN_ID] for name in (key.dag_id, key.run_id, key.task_id))
    # Two tasks never share a file, whatever stands in their ids or was cut off.
    digest = blake2b(json.dumps(key.instance).encode(), digest_size=6).hexdigest()
    return f"{path}{re.sub(r'[^A-Za-z0-9_.+-]', '-', names)}{mapped}__try_{key.try_number}__{digest}.csv"
