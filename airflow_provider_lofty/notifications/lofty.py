"""Tells people when a delivery begins to fail, and when it no longer does: not at each run."""

from __future__ import annotations

import copy
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from airflow.sdk import BaseNotifier, Variable

from airflow_provider_lofty.outcomes import FAILED_OUTCOMES
from airflow_provider_lofty.report.status import XCOM_KEY, Failure, Status
from airflow_provider_lofty.report.summary import Summary
from airflow_provider_lofty.run.policy import Limit
from airflow_provider_lofty.run.verdict import status_text
from airflow_provider_lofty.task_key import TaskKey

if TYPE_CHECKING:
    from airflow.sdk import Context

_MOST_OF_A_KEY = 250  # of a Variable's


class _Ending(NamedTuple):
    """
    How a task ended.

    :param is_failing: whether people should know
    :param headline: in a few words
    :param text: counts and what to do
    :param summary: of its last try; None where that left none
    """

    is_failing: bool
    headline: str
    text: str
    summary: Summary | None


class LoftyChangeNotifier(BaseNotifier):
    """
    Passes a message on when a task begins to fail, and when it has recovered.

    A task is failing when it is red, and when it is green but more rows failed than ``max_failed_rows`` here. For
    ``on_success_callback`` and ``on_failure_callback``, both. What was last told is kept in an Airflow Variable, so
    that neither the next run nor a cleared one says it again.

    .. code-block:: python

        LoftyChangeNotifier(
            SmtpNotifier(to="data@example.com", subject="{{ lofty.headline }}", html_content="{{ lofty.text | e }}"),
            max_failed_rows="1%",
        )

    :param notifier: sends the message: any notifier, or a function that takes the context. In its templates, and in
        the context, ``lofty`` holds ``change`` (``failing`` or ``recovered``), ``headline``, ``text``, ``since`` (the
        run in which the task began to fail) and ``summary`` (the summary as a dict; None where the task left none)
    :param max_failed_rows: more failed rows than this are worth a word; a number, or a share such as ``"1%"``
    :param max_unmatched_rows: the same for unmatched rows; None for any number
    """

    def __init__(
        self,
        notifier: Callable[[Context], object],
        *,
        max_failed_rows: int | str = 0,
        max_unmatched_rows: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.notifier = notifier
        self._max_failed = Limit("max_failed_rows", max_failed_rows)
        self._max_unmatched = Limit("max_unmatched_rows", max_unmatched_rows)

    def notify(self, context: Context) -> None:
        """Compare how the task ended with what was last told, and tell the change."""
        ti: Any = context["ti"]
        key, name = TaskKey.of(ti), _variable(TaskKey.of(ti))
        status = ti.xcom_pull(task_ids=key.task_id, key=XCOM_KEY, map_indexes=key.map_index)
        ending = self._ending(key, None if status is None else msgspec.convert(status, Status), context)
        since = Variable.get(name, default=None)
        if ending is None or ending.is_failing == (since is not None):
            return
        self._tell(ending, since or key.run_id, context)
        if ending.is_failing:
            Variable.set(name, key.run_id, description="The run in which this task began to fail, and people were told")
        else:
            Variable.delete(name)

    def _tell(self, ending: _Ending, since: str, context: Context) -> None:
        told = {
            "change": "failing" if ending.is_failing else "recovered",
            "headline": ending.headline,
            "text": ending.text,
            "since": since,
            "summary": None if ending.summary is None else msgspec.to_builtins(ending.summary),
        }
        _send(self.notifier, {**context, "lofty": told})

    def _ending(self, key: TaskKey, status: Status | None, context: Context) -> _Ending | None:
        """How it ended; None where that says nothing of a delivery: a preview, or a success that left no counts."""
        if status is None:
            is_red = context.get("exception") is not None or context["ti"].task.do_xcom_push
            return _red(key, "it left no counts", None) if is_red else None
        if status.preview is True:
            return None
        summary = status.summary if isinstance(status.summary, Summary) else None
        if isinstance(status.error, Failure):
            return _red(key, status.error.text or status.error.type, summary)
        if status.phase != "ended" or summary is None:
            return _red(key, "it was killed or ran out of time; what the page shows is as far as it came", summary)
        return self._green(key, summary)

    def _green(self, key: TaskKey, summary: Summary) -> _Ending:
        outcomes = summary.outcomes
        failed = sum(outcomes[outcome] for outcome in FAILED_OUTCOMES)
        is_failing = self._max_failed.is_exceeded_by(failed, summary.read) or self._max_unmatched.is_exceeded_by(
            summary.unmatched, summary.read
        )
        found = f"{failed} of {summary.read} rows failed, {summary.unmatched} found no lead"
        headline = f"{_place(key)}: {found}" if is_failing else f"{_place(key)} has recovered: {found}"
        return _Ending(is_failing, headline, status_text(summary), summary)


def _send(notifier: Callable[[Context], object], context: Any) -> None:
    """
    Send a message, and let whoever tells changes know when that fails.

    A notifier that is called only logs what went wrong, and renders itself in place: the next message needs its
    templates again.
    """
    if not isinstance(notifier, BaseNotifier):
        notifier(context)
        return
    own = copy.copy(notifier)
    own.render_template_fields(context)
    own.notify(context)


def _red(key: TaskKey, why: str, summary: Summary | None) -> _Ending:
    return _Ending(True, f"{_place(key)} failed", why, summary)


def _place(key: TaskKey) -> str:
    return f"{key.dag_id}, {key.task_id}" + (f" [{key.map_index}]" if key.is_mapped else "")


def _variable(key: TaskKey) -> str:
    """Where is kept what was last told of a task."""
    name = f"lofty_failing: {_place(key)}"
    if len(name) <= _MOST_OF_A_KEY:
        return name
    return f"{name[: _MOST_OF_A_KEY - 17]} {blake2b(name.encode(), digest_size=8).hexdigest()}"
