"""
This provider: its operator's ``execute``, in a process of its own with a home of its own for Airflow.

Airflow's task state store, which is a table behind Airflow's API server, is played by a SQLite file, and each call to
it takes as long as the real one's round trip does: some milliseconds. The file lies where Airflow's database would:
not on the worker's disk. With ``--cursor`` the rows' table is read instead, and the journal is a real one, in SQLite.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from common import options, tell

NOT_DELIVERED = ("invalid", "rejected", "unknown", "not_attempted", "unmatched")


class FileStore:
    """
    Stands in for ``context["task_state_store"]``: JSON values under keys, in a SQLite file.

    :param path: the file
    :param delay_seconds: what the way to Airflow's API server and back takes, added to each call
    """

    def __init__(self, path: Path, delay_seconds: float) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT)")
        self._delay_seconds = delay_seconds

    def get(self, key: str, default: Any = None) -> Any:
        """Read a value."""
        time.sleep(self._delay_seconds)
        found = self._connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return json.loads(found[0]) if found else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Write a value."""
        time.sleep(self._delay_seconds)
        self._connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, json.dumps(value)))

    def delete(self, key: str) -> None:
        """Remove a value."""
        time.sleep(self._delay_seconds)
        self._connection.execute("DELETE FROM state WHERE key = ?", (key,))


def main() -> None:
    """Run the operator; the exit status is 1 when it raises, which makes an Airflow task red."""
    given = options(
        state="", state_delay_ms=5.0, try_number=1, requests_per_minute=0.0, in_flight=16, timeout=30.0, settle=60.0,
        report=0, match_by="", cursor="", lag_minutes=0, journal="", run="run",
    )  # fmt: skip
    extra = {"max_in_flight": given.in_flight, "timeout_seconds": given.timeout, "settle_seconds": given.settle}
    if given.requests_per_minute:
        extra["requests_per_minute"] = given.requests_per_minute
    connection = {"conn_type": "lofty", "host": given.url, "password": given.key, "extra": extra}
    os.environ.update(
        AIRFLOW_HOME=str(given.home / "airflow"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW_CONN_LOFTY_DEFAULT=json.dumps(connection),
        AIRFLOW_CONN_WAREHOUSE=json.dumps({"conn_type": "sqlite", "host": str(given.rows.with_suffix(".sqlite"))}),
        AIRFLOW_CONN_JOURNAL=json.dumps({"conn_type": "sqlite", "host": given.journal}),
    )
    sys.exit(_execute(given))


def _arguments(given: Any) -> dict[str, Any]:
    if given.cursor:
        return {
            "table": "activities",
            "source_conn_id": "warehouse",
            "cursor": given.cursor,
            "cursor_lag": f"{given.lag_minutes} minutes",
            "journal_conn_id": "journal",
            "report_path": f"{given.home / 'reports'}/",
        }
    report = str(given.home / "report.csv") if given.report else None
    return {"path": str(given.rows), "report_path": report, "match_by": given.match_by or None}


def _execute(given: Any) -> int:
    from airflow_provider_lofty.exceptions import LoftyError
    from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator

    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="bench", run_id=given.run, task_id="send", map_index=-1, try_number=given.try_number, max_tries=3,
        xcom_push=lambda key, value: pushed.__setitem__(key, value),
    )  # fmt: skip
    store = FileStore(Path(given.state), given.state_delay_ms / 1000) if given.state else None
    operator = LoftyAddActivityOperator(task_id="send", **_arguments(given))
    status = 0
    try:
        summary = operator.execute({"ti": ti, "task_state_store": store})
    except LoftyError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        summary, status = pushed.get("return_value"), 1
    if summary is not None:
        print(json.dumps(summary), file=sys.stderr)
        delivered = summary["delivered"] + summary["already_delivered"]
        failed = sum(summary[name] for name in NOT_DELIVERED)
        tell(given.told, delivered=delivered, failed=failed, read=summary["read"])
    return status


if __name__ == "__main__":
    main()
