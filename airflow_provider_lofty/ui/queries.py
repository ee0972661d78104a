"""What Airflow's database knows of a task instance: its tries, and what its runs have left for the page."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple

from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.models.xcom import XComModel
from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from airflow_provider_lofty.report.status import XCOM_KEY, Status
from airflow_provider_lofty.task_key import TaskKey
from airflow_provider_lofty.ui.xcoms import Stored, status_or_stored

RUNNING = "running"
_Model = type[TaskInstance] | type[TaskInstanceHistory] | type[XComModel]
_OVER = ("success", "failed", "skipped", "upstream_failed", "removed")


class Try(NamedTuple):
    """One try of a task instance, for how long it ran or has been running, and on which host."""

    number: int
    state: str | None
    seconds: float | None
    host: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come, of this try or a later one."""
        return self.state in _OVER


def tries_of(session: Session, task: TaskKey) -> list[Try]:
    """The tries of a task instance, first to last; none where Airflow does not know it."""
    found = {}
    for model in (TaskInstanceHistory, TaskInstance):
        columns = (model.try_number, model.state, model.start_date, model.end_date, model.hostname)
        for number, state, start, end, host in session.execute(select(*columns).where(*_is(model, task))):
            if state is not None or number not in found:  # a task that was cleared still has its last try's number
                found[number] = Try(number, state and str(state), _seconds(start, end), host or "")
    return [found[number] for number in sorted(found)]


class Instance(NamedTuple):
    """One instance of a mapped task, and what it has shown of itself."""

    map_index: int
    state: str | None
    pushed: Status | Stored | None


def mapped_of(session: Session, task: TaskKey) -> list[Instance]:
    """The instances of a mapped task."""
    instances = select(TaskInstance.map_index, TaskInstance.state).where(*_is_mapped(TaskInstance, task))
    values = select(XComModel.map_index, XComModel.value, XComModel.timestamp)
    pushed = {
        index: status_or_stored(value, at)
        for index, value, at in session.execute(values.where(*_is_mapped(XComModel, task), _IS_PROGRESS))
    }
    return [
        Instance(index, state and str(state), pushed.get(index))
        for index, state in session.execute(instances.order_by(TaskInstance.map_index))
    ]


def pushed_status(session: Session, task: TaskKey) -> Status | Stored | None:
    """What the last try that ran has shown of itself, or where that is kept."""
    query = select(XComModel.value, XComModel.timestamp).where(*_is(XComModel, task), _IS_PROGRESS)
    found = session.execute(query.limit(1)).first()
    return None if found is None else status_or_stored(*found)


_IS_PROGRESS = XComModel.key == XCOM_KEY


def _is_mapped(model: _Model, task: TaskKey) -> list[ColumnElement[bool]]:
    return [*_is(model, task)[:3], model.map_index >= 0]


def _is(model: _Model, task: TaskKey) -> list[ColumnElement[bool]]:
    return [getattr(model, name) == value for name, value in zip(TaskKey._fields, task.instance, strict=False)]


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    if start is None:
        return None
    return max(((end or datetime.now(timezone.utc)) - start).total_seconds(), 0.0)
