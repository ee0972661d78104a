"""How far a try is, or what came of it: put together from Airflow's database and the report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from airflow_provider_lofty import config
from airflow_provider_lofty.outcomes import FAILED_OUTCOMES, OUTCOMES
from airflow_provider_lofty.report.advice import advice_on
from airflow_provider_lofty.run.publisher import ENDED
from airflow_provider_lofty.ui.queries import RUNNING, TaskId, Try, mapped_of, progress_of, tries_of
from airflow_provider_lofty.ui.reports import OutOfReachError, ReportFile, tally


def status_of(session: Session, task: TaskId, try_number: int) -> dict[str, Any] | None:
    """
    Describe one try of a task instance.

    :param try_number: 0 for the last one
    :return: the ids; ``mapped``, the instances of a mapped task that was asked for as a whole; or ``tries``, ``try``
        (its number), ``state``, ``seconds``, ``is_over``, ``progress`` (what it has shown of itself), ``outcomes``,
        ``summary``, ``groups`` of errors with meaning and action, and ``report``. None where there is no such try
    """
    tries = tries_of(session, task)
    if not tries:
        mapped = mapped_of(session, task) if task.map_index < 0 else []
        return {**task._asdict(), "mapped": [_instance(one) for one in mapped]} if mapped else None
    chosen = next((one for one in tries if one.number == try_number), None) if try_number else tries[-1]
    if chosen is None:
        return None
    shown = progress_of(session, task)
    progress = shown if shown is not None and shown.get("try_number") == chosen.number else None
    return {
        **task._asdict(),
        "tries": [one._asdict() for one in tries],
        "try": chosen.number,
        "state": chosen.state,
        "seconds": chosen.seconds,
        "is_over": chosen.is_over or chosen.number != tries[-1].number,
        "progress": progress,
        **_result(task, chosen, progress or {}),
    }


def _instance(mapped: dict[str, Any]) -> dict[str, Any]:
    progress = mapped.pop("progress") or {}
    outcomes = _outcomes_of(progress)
    failed = sum(outcomes.get(outcome, 0) for outcome in FAILED_OUTCOMES)
    return {**mapped, "read": progress.get("read"), "outcomes": outcomes, "failed": failed}


def _outcomes_of(progress: dict[str, Any]) -> dict[str, int]:
    found = progress.get("summary") or progress.get("outcomes") or {}
    return {outcome: found[outcome] for outcome in OUTCOMES if found.get(outcome)}


def _result(task: TaskId, chosen: Try, progress: dict[str, Any]) -> dict[str, Any]:
    """What came of the rows: from the summary while there is one, else from the report of that try."""
    file = ReportFile(*task, chosen.number)
    summary: dict[str, Any] | None = progress.get("summary")
    outcomes, groups = _outcomes_of(progress), (summary or {}).get("errors", [])
    knows_limit = progress.get("phase") == ENDED and summary is not None
    report = _report(file, chosen, progress)
    if report["is_here"] and not knows_limit:
        try:
            outcomes, groups = tally(file)
        except OutOfReachError as error:
            report = {**report, "is_here": False, "why": str(error)}
    return {"outcomes": outcomes, "summary": summary, "groups": _advised(groups), "report": report}


def _advised(groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    advised = []
    for group in groups:
        advice = advice_on(group["outcome"], group["http_status"], group["error_code"])
        advised.append({**group, **advice._asdict()})
    return advised


def _report(file: ReportFile, chosen: Try, progress: dict[str, Any]) -> dict[str, Any]:
    """
    Say whether the report can be opened from here.

    :return: ``is_here``; ``path`` where it lies, as text; ``why`` not; ``is_configured``, whether there is a folder
    """
    has_ended = progress.get("phase") == ENDED
    path = (progress.get("summary") or {}).get("report_path") if has_ended else progress.get("report_path") or file.path
    found: dict[str, Any] = {"is_here": False, "path": path, "is_configured": config.report_folder() is not None}
    if chosen.state == RUNNING and not has_ended:  # what lies there is of a run that had the same ids and is deleted
        return {**found, "why": "it is written when the run ends"}
    if path is None:
        return {**found, "why": "the run wrote no report"}
    if file.path is None:
        return {**found, "why": "this web server has no report_folder under [lofty] in its airflow.cfg"}
    if path.rpartition("/")[2] != file.name:
        return {**found, "why": "it is written where the task's author wanted it, and not opened from here"}
    try:
        with file.opened():
            return {**found, "is_here": True, "path": file.path, "why": None}
    except OutOfReachError as error:
        if progress and not has_ended:
            return {**found, "path": None, "why": "the task ended before it could write one"}
        return {**found, "why": str(error)}
