"""A Dag of the tests: functions that give rows, each by ``@task.lofty_add_activity``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow.sdk import TaskGroup, dag, task

DEFAULTS = {"type": "Browse", "link": "https://www.example.com", "picture": ""}


def row(number: int) -> dict[str, Any]:
    return {"leadId": number, "text": f"private-{number}", "created": 1763290000000 + number}


@dag(schedule=None)
def decorated_rows() -> None:
    @task
    def upstream() -> list[dict[str, Any]]:
        return [row(100), row(101)]

    @task.lofty_add_activity(defaults=DEFAULTS, check_existing="never")
    def returns(rows: list[dict[str, Any]], day: str, run_id: str | None = None) -> list[dict[str, Any]]:
        return [{**one, "text": f"{one['text']} {day} {run_id}"} for one in rows]

    @task.lofty_add_activity(defaults=DEFAULTS, check_existing="never")
    def yields() -> Iterator[dict[str, Any]]:
        for number in range(200, 1200):
            yield row(number)

    @task.lofty_add_activity(defaults=DEFAULTS, check_existing="never")
    def one_row() -> dict[str, Any]:
        return row(2000)

    @task.lofty_add_activity(defaults=DEFAULTS, check_existing="never")
    def mapped(number: int) -> Iterator[dict[str, Any]]:
        yield row(number)

    @task.lofty_add_activity(defaults=DEFAULTS, check_existing="never")
    def framed() -> Any:
        import pandas as pd

        return pd.DataFrame([row(3200), row(3201)])

    @task.lofty_add_activity(defaults=DEFAULTS)
    def nothing() -> None:
        """Forget to return anything."""

    @task.lofty_add_activity(defaults=DEFAULTS, check_existing="never")
    def breaks() -> Iterator[dict[str, Any]]:
        yield row(4000)
        raise ValueError("the author's own error")

    @task.lofty_add_activity(defaults=DEFAULTS)
    async def hurries() -> list[dict[str, Any]]:
        return [row(5000)]

    returns(upstream(), day="{{ 'mon' + 'day' }}")
    yields()
    one_row()
    mapped.expand(number=[3000, 3001])
    mapped.override(task_id="by_kwargs").expand_kwargs([{"number": 3100}, {"number": 3101}])
    with TaskGroup("group"):
        framed()
    nothing()
    breaks()
    hurries()


made = decorated_rows()
