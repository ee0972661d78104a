"""How far a try is, or what came of it: put together from Airflow's database and the report."""

from __future__ import annotations

import socket
from collections.abc import Callable
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec
from airflow.utils.session import create_session

from airflow_provider_lofty import config
from airflow_provider_lofty.outcomes import FAILED_OUTCOMES
from airflow_provider_lofty.report.advice import advice_on
from airflow_provider_lofty.report.again import send_again
from airflow_provider_lofty.report.reach import ADVICE
from airflow_provider_lofty.report.status import Status
from airflow_provider_lofty.report.summary import ErrorGroup, Summary
from airflow_provider_lofty.task_key import TaskKey
from airflow_provider_lofty.ui.index import Tally
from airflow_provider_lofty.ui.queries import RUNNING, Instance, Try, mapped_of, pushed_status, tries_of
from airflow_provider_lofty.ui.reports import MissingReportError, OutOfReachError, ReportFile
from airflow_provider_lofty.ui.xcoms import Stored, read_status


class Found(NamedTuple):
    """
    What Airflow's database knows of one try of a task instance, or of a mapped task as a whole.

    :param chosen: the try; None where a mapped task was asked for as a whole
    :param pushed: what the last try that ran has shown of itself
    :param mapped: the instances of that mapped task
    """

    task: TaskKey
    tries: list[Try]
    chosen: Try | None
    pushed: Status | Stored | None
    mapped: list[Instance]


class Told(NamedTuple):
    """
    What the page is told.

    :param answer: see :func:`describe`
    :param counted_by: the report whose rows have yet to be counted
    """

    answer: dict[str, Any]
    counted_by: ReportFile | None = None

    def counted(self, tally: Tally) -> dict[str, Any]:
        """Add what was counted."""
        return {**self.answer, "outcomes": tally.outcomes, "groups": [advised(group) for group in tally.groups]}

    def without_report(self, why: str) -> dict[str, Any]:
        """Say why nothing could be counted."""
        return {**self.answer, "report": {**self.answer["report"], "is_here": False, "why": why}}


def try_numbers(task: TaskKey) -> list[int]:
    """The numbers of a task instance's tries, first to last."""
    with create_session(scoped=False) as session:
        return [one.number for one in tries_of(session, task)]


def look_up(task: TaskKey, try_number: int) -> Found | None:
    """
    Ask Airflow's database, whose connection is given back before anything else is looked at.

    :param try_number: 0 for the last one
    :return: None where there is no such try
    """
    with create_session(scoped=False) as session:
        tries = tries_of(session, task)
        if not tries:
            mapped = mapped_of(session, task) if task.map_index < 0 else []
            return Found(task, tries, None, None, mapped) if mapped else None
        chosen = next((one for one in tries if one.number == try_number), None) if try_number else tries[-1]
        return chosen and Found(task, tries, chosen, pushed_status(session, task), [])


def describe(found: Found, is_given_up: Callable[[], bool] = lambda: False) -> Told:
    """
    Describe one try of a task instance.

    :param is_given_up: whether nobody waits for it any longer
    :return: the ids; ``mapped``, the instances of a mapped task that was asked for as a whole; or ``tries``, ``try``
        (its number), ``state``, ``seconds``, ``is_over``, ``lead_url``, ``columns``, ``progress`` (what it has shown of
        itself), ``outcomes``, ``summary``, ``groups`` of errors with meaning and action, and ``report``
    """
    task, tries, chosen = found.task, found.tries, found.chosen
    if chosen is None:
        # Where XComs are kept elsewhere, each takes a while; what was read is remembered for the next time.
        mapped = takewhile(lambda _: not is_given_up(), found.mapped)
        return Told({**_ids(task), "mapped": [_instance(one) for one in mapped]})
    pushed = read_status(found.pushed)
    status = pushed if pushed is not None and pushed.try_number == chosen.number else None
    result, counted_by = _result(task, chosen, status or Status())
    last = pushed or Status()  # what the connection and the mapping say holds for earlier tries, too
    answer = {
        **_ids(task),
        "tries": [{"number": one.number, "state": one.state, "seconds": one.seconds} for one in tries],
        "try": chosen.number,
        "state": chosen.state,
        "seconds": chosen.seconds,
        "is_over": chosen.is_over or chosen.number != tries[-1].number,
        "lead_url": last.lead_url or None,
        "columns": last.columns or {},
        "progress": None if status is None else msgspec.to_builtins(status),
        **result,
    }
    return Told(answer, counted_by)


def _ids(task: TaskKey) -> dict[str, object]:
    return dict(zip(TaskKey._fields, task.instance, strict=False))


def _instance(one: Instance) -> dict[str, object]:
    status = read_status(one.pushed) or Status()
    outcomes = _outcomes_of(status)
    failed = sum(outcomes.get(outcome, 0) for outcome in FAILED_OUTCOMES)
    read = None if status.read is msgspec.UNSET else status.read
    return {"map_index": one.map_index, "state": one.state, "read": read, "outcomes": outcomes, "failed": failed}


def _outcomes_of(status: Status) -> dict[str, int]:
    summary = _summary_of(status)
    found = summary.outcomes if summary else status.outcomes or {}
    return {outcome: count for outcome, count in found.items() if count}


def _summary_of(status: Status) -> Summary | None:
    return status.summary if status.summary and status.summary.is_readable else None


def _result(task: TaskKey, chosen: Try, status: Status) -> tuple[dict[str, object], ReportFile | None]:
    """What came of the rows: from the summary while there is one, else from the report of that try."""
    file = ReportFile(task._replace(try_number=chosen.number))
    summary = _summary_of(status)
    report = _report(file, chosen, status)
    result = {
        "outcomes": _outcomes_of(status),
        "summary": None if summary is None else msgspec.to_builtins(summary),
        "groups": [advised(group) for group in (summary.errors if summary else status.errors or [])],
        "report": report,
    }
    return result, file if report["is_here"] and not (status.phase == "ended" and summary) else None


def advised(group: ErrorGroup) -> dict[str, object]:
    """Describe a group of rows that failed alike, with what it means and what to do now."""
    lead_id = group.example_lead_id
    return {
        **msgspec.to_builtins(group),
        "example_lead_id": lead_id and str(lead_id),  # a browser's numbers are not as long
        **advice_on(group.outcome, group.http_status, group.error_code)._asdict(),
    }


def _report(file: ReportFile, chosen: Try, status: Status) -> dict[str, object]:
    """
    Say whether the report can be opened from here.

    :return: ``is_here``; ``path`` where it lies, as text; ``why`` not; ``is_configured``, whether there is a folder;
        ``send_again``, the Dag that sends what failed in it, where there is one
    """
    has_ended = status.phase == "ended"
    summary = status.summary or None
    if has_ended and (summary is None or summary.is_readable):
        path = summary and summary.report_path
    else:
        path = status.report_path or file.path
    found: dict[str, object] = {
        "is_here": False,
        "path": path,
        "is_configured": config.report_folder() is not None,
        "send_again": None,
    }
    if chosen.state == RUNNING and not has_ended:  # what lies there is of a run that had the same ids and is deleted
        return {**found, "why": "it is written when the run ends"}
    if path is None:
        return {**found, "why": "the run wrote no report"}
    if file.path is None:
        return {**found, "why": "this web server has no report_folder under [lofty] in its airflow.cfg"}
    if path.rpartition("/")[2] != file.name:
        return {**found, "why": "it is written where the task's author wanted it, and not opened from here"}
    try:
        with file.open():
            again = send_again(file.path)
            return {**found, "is_here": True, "path": file.path, "why": None, "send_again": again and again._asdict()}
    except OutOfReachError as error:
        if status.try_number and not has_ended:
            return {**found, "path": None, "why": "the task ended before it could write one"}
        is_missing = isinstance(error, MissingReportError) and chosen.host
        return {**found, "why": _missing_text(file.path, chosen.host) if is_missing else str(error)}


def _missing_text(path: str, host: str) -> str:
    folder, own = path.rpartition("/")[0], socket.gethostname()
    return (
        f"the host {host} wrote it, and this web server ({own}) finds no such file in {folder}. "
        f"Set report_folder to {ADVICE}, unless somebody has deleted the file"
    )
