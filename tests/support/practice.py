"""What tests of sources and of the operator share: rows, a task that sends them, and its result."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import structlog

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.report.status import Status
from airflow_provider_lofty.rows.source import Source, SourceRow
from airflow_provider_lofty.run.publisher import StatusPublisher

COLUMNS = ("lead_id", "type", "text", "link", "picture", "created")


def row(lead_id: Any = 1, **values: Any) -> dict[str, Any]:
    """Make a row that passes every check."""
    return {
        "lead_id": lead_id,
        "type": "Browse",
        "text": f"Viewed home {lead_id}",
        "link": "https://homes.example.com/7",
        "picture": "https://homes.example.com/7.jpg",
        "created": "2026-03-01T10:00:00Z",
        **values,
    }


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], **settings: Any) -> str:
    """Write rows as a CSV file; return its path."""
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), **settings)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def read_report(path: Path | str) -> list[dict[str, str]]:
    """Read a CSV report as any other program would."""
    with Path(path).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


class Collected:
    """A ``take`` that keeps the sources and rows it is given."""

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self.rows: list[SourceRow] = []

    def __call__(self, source: Source) -> None:
        self.sources.append(source)
        self.rows += source.rows

    @property
    def names(self) -> list[str]:
        return [source.name for source in self.sources]

    @property
    def dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(row.columns, row.cells, strict=True)) for row in self.rows]

    @property
    def problems(self) -> list[tuple[int, str]]:
        return [(row.row_number, row.problem) for row in self.rows if row.problem]


def collected(read: Any, *args: Any, **kwargs: Any) -> Collected:
    """Read a source to its end."""
    take = Collected()
    read(*args, take=take, **kwargs)
    return take


class Run(NamedTuple):
    """
    One run of the operator.

    :param returned: what ``execute`` returned; None when it raised
    :param error: what it raised
    :param xcom: what it pushed itself
    :param log: its log lines
    """

    returned: dict[str, Any] | None
    error: BaseException | None
    xcom: dict[str, Any]
    log: list[str]

    @property
    def summary(self) -> dict[str, Any]:
        found = self.returned if self.error is None else self.xcom.get("return_value")
        assert found is not None, f"no summary, but {self.error!r}"
        return found

    @property
    def counts(self) -> dict[str, int]:
        """The outcomes that occurred."""
        names = (
            "delivered", "already_delivered", "duplicate", "invalid", "rejected", "unknown", "not_attempted",
            "unmatched", "would_send",
        )  # fmt: skip
        assert self.summary["read"] == sum(self.summary[name] for name in names), "the books do not balance"
        return {name: self.summary[name] for name in names if self.summary[name]}


def task_instance(**overrides: Any) -> Any:
    """Stand in for a task instance: it has an identity and keeps what is pushed."""
    xcom: dict[str, Any] = {}
    known = {"dag_id": "a_dag", "run_id": "a_run", "task_id": "send", "map_index": -1, "try_number": 1, "max_tries": 0,
             "xcom": xcom}  # fmt: skip
    ti = SimpleNamespace(**{**known, **overrides})
    ti.xcom_push = lambda key, value: xcom.__setitem__(key, value)
    return ti


class Log:
    """A logger that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, message: str, /, *args: Any) -> None:
        self.lines.append(message % args)

    warning = error = info


def no_publisher(log: Log) -> StatusPublisher:
    """Make a publisher whose status nobody reads."""
    return StatusPublisher(lambda key, value: None, log, Status())


class Store:
    """
    Stands in for Airflow's task state store: JSON values under keys, and a record of what was written.

    :ivar fails_after: the store fails after this many more writes
    """

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.written: list[tuple[str, int]] = []
        self.retentions: dict[str, timedelta | None] = {}
        self.fails_after = math.inf

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        if self.fails_after <= 0:
            raise RuntimeError("the store is down")
        self.fails_after -= 1
        self.values[key] = json.dumps(value)
        self.written.append((key, len(self.values[key])))
        self.retentions[key] = retention

    def delete(self, key: str) -> None:
        self.values.pop(key, None)

    def clear_task(self, *, discards: bool) -> None:
        """
        Play what Airflow does to the store when the task is cleared.

        :param discards: it is emptied, as from Airflow 3.4 on; 3.3 keeps it
        """
        if discards:
            self.values.clear()

    @property
    def size(self) -> int:
        """Number of characters stored."""
        return sum(map(len, self.values.values()))


def run(ti: Any = None, store: Store | None = None, **arguments: Any) -> Run:
    """Run the operator as a task would; its error is returned, not raised, that of a Dag's author as well."""
    try:
        operator = LoftyAddActivityOperator(task_id="send", **arguments)
    except LoftyConfigurationError as error:  # which Airflow shows as an import error
        return Run(None, error, {}, [])
    return run_operator(operator, ti, store)


def run_operator(operator: LoftyAddActivityOperator, ti: Any = None, store: Store | None = None) -> Run:
    """Run an operator that was made before, as a task would."""
    ti = ti or task_instance()
    with structlog.testing.capture_logs() as lines:
        try:
            returned, error = operator.execute({"ti": ti, "task_state_store": store}), None
        except Exception as raised:  # noqa: BLE001 - returned, for the test to look at
            returned, error = None, raised
    return Run(returned, error, ti.xcom, [line["event"] for line in lines])
