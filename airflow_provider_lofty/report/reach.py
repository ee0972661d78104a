"""Whether Airflow's web server can see a report that a task writes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from airflow_provider_lofty import config

ADVICE = "a volume that workers and web server share, or a URL such as s3://conn_id@bucket/folder"
_OF_ONE_MACHINE = ("tmpfs", "ramfs", "overlay")
_MOUNTS = Path("/proc/mounts")


def reach_warning(folder: str) -> str | None:
    """
    Warn of a report folder that most likely only this worker sees.

    :param folder: ``[lofty] report_folder``
    :return: None where the web server may see it: it runs here, or the folder is a URL or lies on a volume
    """
    local = folder.removeprefix("file://")
    if "://" in local or not config.may_run_elsewhere() or _is_on_a_volume(local):
        return None
    return (
        f"report_folder {folder} is on a disk of this worker ({socket.gethostname()}), and the web server may run on "
        f'another machine: then the tab "Lofty rows" cannot show rows. Set it to {ADVICE}'
    )


def _is_on_a_volume(folder: str) -> bool:
    """Whether something was mounted there, which may be shared."""
    place = Path(os.path.realpath(folder))
    while not place.is_mount():
        place = place.parent
    return place != Path("/") and _file_systems().get(str(place)) not in _OF_ONE_MACHINE


def _file_systems() -> dict[str, str]:
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # a system that has no such file
        return {}
    return {fields[1]: fields[2] for fields in map(str.split, lines) if len(fields) > 2}
