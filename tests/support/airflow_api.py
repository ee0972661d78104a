"""An Airflow as its public API shows it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

WAIT_SECONDS = 300.0  # for Airflow to start, or to do what it was asked to


class AirflowApi:
    """
    Asks Airflow's public API; no login is asked for.

    :param url: of the API server
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._token = ""

    def is_healthy(self) -> bool:
        """Whether scheduler and Dag processor are up, and the API answers."""
        try:
            health = self._ask("GET", "/api/v2/monitor/health")
            if all((health[part] or {}).get("status") == "healthy" for part in ("scheduler", "dag_processor")):
                self._token = self._ask("GET", "/auth/token", None)["access_token"]
                return True
        except (OSError, KeyError):
            pass
        return False

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Make a request to the public API; wait while it answers 404, or its SQLite is locked by another process."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return self._ask(method, path, body)
            except urllib.error.HTTPError as error:
                said = error.read()[:500]
                may_pass = error.code == 404 or (error.code == 500 and b"Database error" in said)
                if not may_pass or time.monotonic() > deadline:
                    raise AssertionError(f"{method} {path}: {error.code} {said!r}") from None
                time.sleep(0.5)

    def trigger(self, dag_id: str, run_id: str) -> None:
        """Start a Dag run."""
        self.ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None})

    def clear(self, dag_id: str, run_id: str) -> None:
        """Clear all tasks of a Dag run, so that they run again."""
        self.ask(
            "POST", f"/api/v2/dags/{dag_id}/clearTaskInstances",
            {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True},
        )  # fmt: skip

    def state(self, dag_id: str, run_id: str) -> str:
        """The state of a Dag run."""
        return str(self.ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """A task instance."""
        found: dict[str, Any] = self.ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")
        return found

    def tasks(self, dag_id: str, run_id: str, task_id: str) -> list[dict[str, Any]]:
        """The instances of a mapped task."""
        found = self.ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return [each for each in found if each["task_id"] == task_id]

    def returned(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """What a task returned."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        value = self.ask("GET", f"{path}?map_index={map_index}")["value"]
        return json.loads(value) if isinstance(value, str) else value
