"""What Airflow's database knows of all deliveries: which tasks make them, and their instances, newest first."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import datetime, timezone
from typing import Any, NamedTuple
from uuid import UUID

from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.team import Team
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import and_, select, tuple_
from sqlalchemy.sql import Select
from sqlalchemy.sql.elements import ColumnElement

from airflow_provider_lofty.report.status import XCOM_KEY
from airflow_provider_lofty.task_key import TaskKey
from airflow_provider_lofty.ui.queries import RUNNING, Try

TaskId = tuple[str, str]  # of a Dag, and of a task in it

_MOST_SHARE = 0.02  # of the time
_MOST_SECONDS = 60.0


class Tasks(NamedTuple):
    """
    Tasks that deliver.

    :param ids: of tasks that have pushed how far they are, for whichever run
    :param teams: of their Dags, where they belong to one
    """

    ids: Collection[TaskId]
    teams: dict[str, str]

    @property
    def dag_ids(self) -> set[str]:
        """Whose tasks they are."""
        return {dag_id for dag_id, _ in self.ids}


class LoftyTasks:
    """
    Finds the tasks that deliver.

    That takes the longer the more deliveries Airflow keeps, so it is done the more rarely.

    :param clock: monotonic seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found = Tasks((), {})
        self._next = clock()

    def find(self) -> Tasks:
        """Ask Airflow's database, unless it was asked a short while ago."""
        began = self._clock()
        if began >= self._next:
            self._found = tasks_that_deliver()
            ended = self._clock()
            self._next = ended + min((ended - began) / _MOST_SHARE, _MOST_SECONDS)
        return self._found


def tasks_that_deliver() -> Tasks:
    """Ask Airflow's database for every one."""
    tasks = select(XComModel.dag_id, XComModel.task_id).where(XComModel.key == XCOM_KEY).distinct()
    teams = select(DagModel.dag_id, Team.name).join(DagBundleModel, DagModel.bundle_name == DagBundleModel.name)
    with create_session(scoped=False) as session:
        ids = [(dag_id, task_id) for dag_id, task_id in session.execute(tasks)]
        of_these = teams.join(DagBundleModel.teams).where(DagModel.dag_id.in_({dag_id for dag_id, _ in ids}))
        return Tasks(ids, {row.dag_id: row.name for row in session.execute(of_these)})


class Delivery(NamedTuple):
    """
    The last try of a task instance, and what Airflow's database holds of what it has shown of itself.

    :param id: Airflow's own, of that try; those of later ones are greater
    :param pushed: as it lies there
    :param pushed_at: when; None where it has shown nothing
    """

    id: str
    task: TaskKey
    state: str | None
    started: datetime
    ended: datetime | None
    pushed: object
    pushed_at: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long it ran, or has been running."""
        ended = datetime.now(timezone.utc) if self.state == RUNNING else self.ended
        return None if ended is None else max((ended - self.started).total_seconds(), 0.0)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come."""
        return Try(self.task.try_number, self.state, None).is_over


def deliveries_of(
    tasks: Collection[TaskId], *, states: Collection[str] = (), before: UUID | None = None, limit: int
) -> list[Delivery]:
    """
    Look up task instances that have begun, newest first.

    :param tasks: of which ones
    :param states: in which states; in any, where none is named
    :param before: the id of a delivery: only older ones
    """
    if not tasks:
        return []
    with create_session(scoped=False) as session:
        return [
            _delivery(*row) for row in session.execute(_with_pushed(_instances(tasks, states, before).limit(limit)))
        ]


def _instances(tasks: Collection[TaskId], states: Collection[str], before: UUID | None) -> Select[Any]:
    """Say which instances, in the order of the primary key: each new try, also of an old run, gets a greater one."""
    one = TaskInstance
    columns = (one.id, *(getattr(one, name) for name in TaskKey._fields), one.state, one.start_date, one.end_date)
    wanted: list[ColumnElement[bool]] = [
        tuple_(one.dag_id, one.task_id).in_(sorted(tasks)),
        one.start_date.is_not(None),
    ]
    if states:
        wanted.append(one.state.in_(states))
    if before is not None:
        wanted.append(one.id < as_key(before))
    return select(*columns).where(*wanted).order_by(one.id.desc())


def as_key(id_: UUID) -> UUID | str:
    """The id of a task instance as Airflow's model has it: before Airflow 3.3 a text."""
    return id_ if getattr(TaskInstance.id.type, "as_uuid", False) else str(id_)


def _with_pushed(instances: Select[Any]) -> Select[Any]:
    """Add what they have pushed, which takes an index' look for each of them."""
    one, xcom = instances.subquery(), XComModel
    same = (getattr(xcom, name) == one.c[name] for name in TaskKey._fields[:4])
    joined = select(one, xcom.value, xcom.timestamp).outerjoin_from(one, xcom, and_(*same, xcom.key == XCOM_KEY))
    return joined.order_by(one.c.id.desc())


def _delivery(id_: object, *columns: Any) -> Delivery:
    *task, state, started, ended, pushed, pushed_at = columns
    return Delivery(str(id_), TaskKey(*task), state and str(state), started, ended, pushed, pushed_at)
