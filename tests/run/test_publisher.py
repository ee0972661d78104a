"""What a task's page is told, and how often."""

from __future__ import annotations

from typing import Any

import pytest
from support.practice import Log

from airflow_provider_lofty.report.status import XCOM_KEY, Status
from airflow_provider_lofty.run.publisher import SHOW_SECONDS, StatusPublisher


class Airflow:
    """Takes what is pushed, in its own time; or does not."""

    def __init__(self) -> None:
        self.now = 100.0
        self.takes_seconds = 0.0
        self.fails: type[BaseException] | None = None
        self.pushed: list[tuple[str, Any]] = []

    def clock(self) -> float:
        return self.now

    def push(self, key: str, value: Any) -> None:
        self.now += self.takes_seconds
        if self.fails is not None:
            raise self.fails("no")
        self.pushed.append((key, value))


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def publisher(airflow: Airflow, log: Log) -> StatusPublisher:
    return StatusPublisher(airflow.push, log, Status(try_number=2), clock=airflow.clock)


def test_facts_are_laid_over_the_earlier_ones(publisher: StatusPublisher, airflow: Airflow) -> None:
    publisher.publish(Status(phase="reading", read=1))
    publisher.publish(Status(read=2))
    (_, first), (key, second) = airflow.pushed
    assert key == XCOM_KEY
    assert (first["try_number"], first["phase"], first["read"]) == (2, "reading", 1)
    assert (second["try_number"], second["phase"], second["read"]) == (2, "reading", 2)
    assert second["at"].endswith("+00:00")


def test_it_is_due_every_two_seconds(publisher: StatusPublisher, airflow: Airflow) -> None:
    assert publisher.is_due
    publisher.publish(Status())
    airflow.now += SHOW_SECONDS - 0.1
    assert not publisher.is_due
    airflow.now += 0.2
    assert publisher.is_due


def test_a_slow_airflow_is_told_less_often(publisher: StatusPublisher, airflow: Airflow) -> None:
    airflow.takes_seconds = 1.0
    publisher.publish(Status())
    airflow.now += 49
    assert not publisher.is_due
    airflow.now += 2
    assert publisher.is_due


def test_a_failure_stops_nothing_and_is_told_once(publisher: StatusPublisher, airflow: Airflow, log: Log) -> None:
    airflow.fails = RuntimeError
    for _ in range(3):
        publisher.publish(Status(phase="sending"))
    assert log.lines == ["the task's page cannot be shown how far the run is (RuntimeError)"]
    airflow.now += 59
    assert not publisher.is_due
    airflow.now += 2
    airflow.fails = None
    assert publisher.is_due
    publisher.publish(Status(read=7))
    assert airflow.pushed[-1][1]["phase"] == "sending"


def test_a_time_out_is_no_failure_of_the_board(publisher: StatusPublisher, airflow: Airflow) -> None:
    class TaskTimeout(BaseException):
        """As Airflow's own."""

    airflow.fails = TaskTimeout
    with pytest.raises(TaskTimeout):
        publisher.publish(Status())


def test_where_nothing_is_live_nothing_is_due(airflow: Airflow, log: Log) -> None:
    publisher = StatusPublisher(airflow.push, log, Status(), is_live=False, clock=airflow.clock)
    airflow.now += 3600
    assert not publisher.is_due


@pytest.mark.parametrize(("error", "is_lost"), [(EOFError, True), (BrokenPipeError, True), (ConnectionError, False)])
def test_a_task_whose_watcher_is_gone_is_told(
    airflow: Airflow, log: Log, error: type[Exception], is_lost: bool
) -> None:
    lost: list[bool] = []
    publisher = StatusPublisher(airflow.push, log, Status(), on_lost=lambda: lost.append(True), clock=airflow.clock)
    airflow.fails = error
    publisher.publish(Status())
    assert bool(lost) is is_lost
