"""Red or green: what a run that has ended raises, and what the error says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_lofty.delivery.stop import Stop, StopKind
from airflow_provider_lofty.exceptions import LoftyDeliveryIncomplete, LoftyError, LoftyRowsFailed, LoftySourceNotReady
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.report.again import send_again
from airflow_provider_lofty.report.summary import Summary
from airflow_provider_lofty.run.policy import Limit

_NONE_UNMATCHED = Limit("max_unmatched_rows", 0)
_CORRECT_THE_SOURCE = "Correct failed rows at their source and clear the task: delivered rows are not sent again"
_MEND_THE_LEADS = "Add or merge the leads of unmatched rows, or correct these rows, and clear the task"
_LOOK_AT_THE_LEADS = (
    "Rows that are unknown may be stored: look at their leads, then clear the task with on_unknown set to resend or "
    "assume_delivered"
)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """
    How a run ended, its books closed.

    :param failed: rows that count as failed
    :param gate: why nothing was sent, where a gate was closed
    :param stop: why it stopped early
    :param may_settle_later: whether a retry may settle rows that are in doubt
    :param blind_spot: why nobody can tell which rows an earlier try has sent, where that is so
    :param report_error: why there is no report
    """

    summary: Summary
    failed: int
    gate: str | None = None
    stop: Stop | None = None
    may_settle_later: bool = False
    blind_spot: str = ""
    report_error: str | None = None


def failure_of(ending: Ending, max_failed: Limit, max_unmatched: Limit = _NONE_UNMATCHED) -> LoftyError | None:
    """
    Decide whether the task is green.

    :param max_failed: how many rows may fail
    :param max_unmatched: how many may have no lead
    :return: what to raise when it is not
    """
    summary, text = ending.summary, status_text(ending.summary)
    read, outcomes = summary.read, summary.outcomes
    if read != sum(outcomes.values()):
        return LoftyRowsFailed(f"the books do not balance: {read} rows read, {counts_text(outcomes)}")
    if ending.gate is not None:
        return LoftyRowsFailed(f"nothing was sent: {ending.gate}: {text}")
    if ending.stop is not None:
        return _failure_of_stop(ending.stop, text)
    if ending.blind_spot:
        return LoftyRowsFailed(f"{ending.blind_spot}: {text}")
    if max_failed.is_exceeded_by(ending.failed, read):
        if ending.may_settle_later and outcomes[Outcome.UNKNOWN]:
            return LoftyDeliveryIncomplete(f"rows are in doubt that a retry may settle: {text}")
        allowed = f"more than max_failed_rows={max_failed} allows"
        return LoftyRowsFailed(f"{ending.failed} of {read} rows failed, {allowed}: {text}")
    if max_unmatched.is_exceeded_by(summary.unmatched, read):
        allowed = f"more than max_unmatched_rows={max_unmatched} allows"
        return LoftyRowsFailed(f"{summary.unmatched} of {read} rows found no lead, {allowed}: {text}")
    if ending.report_error is not None:
        return LoftyRowsFailed(f"{ending.report_error}: {text}")
    return None


def _failure_of_stop(stop: Stop, text: str) -> LoftyError:
    message = f"stopped: {stop.reason}: {text}"
    if stop.error is not None:
        return type(stop.error)(message)
    if stop.kind is StopKind.REJECTIONS:
        return LoftyRowsFailed(message)
    return LoftyDeliveryIncomplete(f"{message}. A retry goes on from here")


def failure_of_disk(error: Exception, sent: int) -> LoftyError:
    """
    Say that the spool on local disk failed, most likely because the disk is full.

    :param sent: rows that had been sent by then
    """
    what = f"the spool on local disk failed ({error}); free space, or point TMPDIR to another disk"
    if sent:
        return LoftyDeliveryIncomplete(f"{what}. {sent} rows had been sent; a retry goes on from there")
    return LoftySourceNotReady(f"{what}. Nothing was sent")


def status_text(summary: Summary) -> str:
    """Counts, what to do now, and where each row stands; the log has the errors."""
    outcomes = summary.outcomes
    parts = [counts_text(outcomes)]
    if outcomes[Outcome.UNKNOWN]:
        parts.append(_LOOK_AT_THE_LEADS)
    if outcomes[Outcome.INVALID] or outcomes[Outcome.REJECTED]:
        parts.append(_CORRECT_THE_SOURCE)
    if outcomes[Outcome.UNMATCHED]:
        parts.append(_MEND_THE_LEADS)
    if summary.report_path:
        parts.append(f"Report: {summary.report_path}")
    if again := send_again(summary.report_path):
        parts.append(f"To send what failed in it, trigger {again.url} with {again.conf}")
    return ". ".join(parts)


def counts_text(counts: Mapping[str, int]) -> str:
    """Name what occurred, and how often."""
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "none"
