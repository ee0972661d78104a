"""What a task leaves for Airflow's pages, in whatever store of XComs Airflow was given."""

from __future__ import annotations

from typing import Any

from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time.xcom import XCom


class XComs:
    """
    The XComs of a task instance.

    A store of the admin's choice, such as object storage, may keep a value elsewhere and leave a reference in
    Airflow's database. What it keeps is then removed before the next value takes its place: nobody else would.

    :param ti: the task instance
    """

    def __init__(self, ti: Any) -> None:
        self._ti = ti
        self._pushed: set[str] = set()

    def push(self, key: str, value: object) -> bool:
        """
        Leave a value under a key.

        :return: whether it lies in Airflow's database itself, where it may be replaced often
        """
        if XCom is BaseXCom:
            self._ti.xcom_push(key=key, value=value)
            return True
        if key in self._pushed:
            self._pushed.remove(key)
            XCom.delete(key, **self._place())
        self._ti.xcom_push(key=key, value=value)
        self._pushed.add(key)
        return bool(XCom._get_xcom_db_ref(key=key, **self._place()).value == value)

    def push_link(self, key: str, url: str) -> None:
        """Leave a link where Airflow's pages look for one: in the database, whatever the store."""
        if XCom is BaseXCom:
            self._ti.xcom_push(key=key, value=url)
        else:
            BaseXCom.set(key, url, **self._place())

    def _place(self) -> dict[str, Any]:
        return {name: getattr(self._ti, name) for name in ("dag_id", "task_id", "run_id", "map_index")}


def leave_nothing(key: str, value: object) -> None:
    """Stand in for XComs that nobody wants."""
