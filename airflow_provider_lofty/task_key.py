"""Which task instance, and which of its tries."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple, Protocol

NOT_MAPPED = -1


class TaskInstanceLike(Protocol):
    """Airflow's task instance, or its own key of one."""

    @property
    def dag_id(self) -> str: ...

    @property
    def run_id(self) -> str: ...

    @property
    def task_id(self) -> str: ...

    @property
    def map_index(self) -> int | None: ...

    @property
    def try_number(self) -> int: ...


class TaskKey(NamedTuple):
    """
    One try of a task instance.

    :param map_index: :data:`NOT_MAPPED` where the task is not mapped
    :param try_number: from 1
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = NOT_MAPPED
    try_number: int = 1

    @classmethod
    def of(cls, ti: TaskInstanceLike) -> TaskKey:
        """Name what Airflow names."""
        map_index = NOT_MAPPED if ti.map_index is None else ti.map_index
        return cls(ti.dag_id, ti.run_id, ti.task_id, map_index, ti.try_number)

    @property
    def is_mapped(self) -> bool:
        """Whether it is one of those that a mapped task was expanded to."""
        return self.map_index != NOT_MAPPED

    @property
    def instance(self) -> tuple[str, str, str, int]:
        """The task instance, whichever try."""
        return self[:4]

    @property
    def digest(self) -> str:
        """A short name of the task instance, the same on every try; it is stored in journals."""
        return blake2b("\n".join(map(str, self.instance)).encode(), digest_size=8).hexdigest()
