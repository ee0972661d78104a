"""
Sending what failed in a report, without editing a Dag: somebody names the report, a Dag made for that sends it.

What people name is checked: whoever may trigger the Dag could otherwise let it read any file that the worker may read.
"""

from __future__ import annotations

import json
import os
import stat
from typing import NamedTuple
from urllib.parse import quote

from airflow_provider_lofty import config
from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.storage import LOCAL_PROTOCOLS, storage_errors, storage_path

REPORT_PARAM = "report"
_ENDINGS = (".csv", ".jsonl")
_SHOWN = 500  # characters of what somebody typed


class SendAgain(NamedTuple):
    """
    How to send what failed in a report: trigger a Dag.

    :param dag_id: the Dag that ``[lofty] send_report_dag_id`` names
    :param url: its page in Airflow, which has the button Trigger
    :param conf: what to trigger it with, as JSON
    """

    dag_id: str
    url: str
    conf: str


def send_again(report_path: str | None) -> SendAgain | None:
    """
    Say how to send what failed in a report; None where no Dag is configured, or it would not take this report.

    :param report_path: as a summary names it
    """
    dag_id, folder = config.send_report_dag_id(), config.report_folder()
    if not dag_id or folder is None or report_path is None or not report_path.startswith(folder):
        return None
    url = f"{config.base_url()}dags/{quote(dag_id, safe='')}"
    return SendAgain(dag_id, url, json.dumps({REPORT_PARAM: report_path}, ensure_ascii=False))


def report_in_folder(report: str) -> str:
    """
    Check the name of a report that somebody gave, to read nothing else than a report: for the ``path`` of a task.

    :param report: its path or URL as the error, the log and the summary show it, or its name in the folder
    :return: its path or URL; symbolic links to the folder itself are followed, and none in it
    :raises LoftyConfigurationError: when it is not a report in ``[lofty] report_folder``
    :raises LoftySourceNotReady: when it cannot be looked for just now
    """
    folder = config.report_folder()
    if folder is None:
        raise LoftyConfigurationError(
            "only reports in [lofty] report_folder can be sent, and that is not set; nothing was sent"
        )
    root = storage_path(folder)
    is_local = root.protocol in LOCAL_PROTOCOLS
    base = os.path.realpath(root.path) if is_local else folder.rstrip("/")
    name = _name_in((folder, f"{root.path.rstrip('/')}/", f"{base}/") if is_local else (folder,), report)
    path = f"{base}/{name}"
    with storage_errors(path):
        problem = _problem_on_disk(path) if is_local else _problem_in_storage(path, f"{root.path.rstrip('/')}/{name}")
    if problem:
        raise _refused(report, problem)
    return path


def _name_in(folders: tuple[str, ...], report: object) -> str:
    """Take the folder off, however it is written."""
    given = report.strip() if isinstance(report, str) else ""
    name = next((given.removeprefix(folder) for folder in folders if given.startswith(folder)), given)
    if name == given and ("/" in given or not given):
        raise _refused(report, f"is not in the report folder, {folders[0]}")
    if any(part in ("", ".", "..") or not part.isprintable() for part in name.split("/")):
        raise _refused(report, f"is not the plain name of a file in the report folder, {folders[0]}")
    if not name.endswith(_ENDINGS):
        raise _refused(report, f"does not end in {' or '.join(_ENDINGS)}, as a report does")
    return name


def _problem_on_disk(path: str) -> str | None:
    if os.path.realpath(path) != path:
        return "is a link, or lies behind one"
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return "is not there"
    return None if stat.S_ISREG(mode) else "is not a plain file"


def _problem_in_storage(url: str, expected: str) -> str | None:
    target = storage_path(url)
    if target.path != expected:  # some file systems read more into a URL than a path
        return "is another file to its file system than its name says"
    return None if target.fs.isfile(target.path) else "is not there"


def _refused(report: object, problem: str) -> LoftyConfigurationError:
    return LoftyConfigurationError(f"the report {repr(report)[:_SHOWN]} {problem}; nothing was sent")
