"""When a message goes out, and what it says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from airflow.sdk import BaseNotifier

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.notifications import lofty
from airflow_provider_lofty.notifications.lofty import LoftyChangeNotifier
from airflow_provider_lofty.report.status import XCOM_KEY, Failure, Status
from airflow_provider_lofty.report.summary import Summary


class Variables:
    """Stands in for Airflow's Variables."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: str, description: str) -> None:
        self.values[key] = value

    def delete(self, key: str) -> None:
        del self.values[key]


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    variables = Variables()
    monkeypatch.setattr(lofty, "Variable", variables)
    return variables


class Told(list[dict[str, Any]]):
    """Keeps what is told."""

    def __call__(self, context: Any) -> None:
        self.append(context["lofty"])

    def __copy__(self) -> Told:
        return self

    @property
    def changes(self) -> list[str]:
        return [each["change"] for each in self]


@pytest.fixture
def told(variables: Variables) -> Told:
    return Told()


def ended(read: int = 0, *, error: Failure | None = None, phase: Any = "ended", **counts: int) -> Status:
    """The status that a task leaves."""
    summary = Summary(read=read, delivered=read - sum(counts.values()), **counts)
    return Status(phase=phase, summary=summary, **({} if error is None else {"error": error}))


def notify(notifier: LoftyChangeNotifier, status: Status | None, run_id: str = "a_run", **overrides: Any) -> None:
    """Call it as Airflow calls it when a task has ended."""
    left = {} if status is None else {XCOM_KEY: msgspec.to_builtins(status)}
    identity = {"dag_id": "a_dag", "run_id": run_id, "task_id": "send", "map_index": -1, "try_number": 1, **overrides}
    ti = SimpleNamespace(**identity, task=SimpleNamespace(do_xcom_push=status is not None))
    ti.xcom_pull = lambda task_ids, key, map_indexes: left.get(key)
    notifier.notify({"ti": ti})  # type: ignore[typeddict-item]


FINE, FEW, MANY = ended(100), ended(100, invalid=1), ended(100, invalid=1, rejected=1)
RED = ended(100, rejected=20, error=Failure("LoftyRowsFailed", "20 of 100 rows failed"))


@pytest.mark.parametrize(
    ("statuses", "changes"),
    [
        ([FINE, FINE], []),
        ([FINE, MANY, MANY, FINE, FINE], ["failing", "recovered"]),
        ([MANY, FEW], ["failing", "recovered"]),
        ([RED, MANY, RED], ["failing"]),
        ([RED, FINE, RED], ["failing", "recovered", "failing"]),
        ([ended(0), MANY], ["failing"]),
        ([ended(5, phase="sending")], ["failing"]),
        ([Status(phase="ended", error=Failure("LoftyCredentialRefused", "replace the key")), FINE],
         ["failing", "recovered"]),
        ([MANY, msgspec.structs.replace(FINE, preview=True), RED], ["failing"]),
    ],
    ids=["fine", "and_back", "within_the_limit", "stays_bad", "again", "no_rows", "killed", "no_summary", "preview"],
)  # fmt: skip
def test_a_change_is_told_once(told: Told, statuses: list[Status], changes: list[str]) -> None:
    notifier = LoftyChangeNotifier(told, max_failed_rows="1%")
    for number, status in enumerate(statuses):
        notify(notifier, status, f"run_{number}")
    assert told.changes == changes


def test_it_carries_counts_and_since_when(told: Told) -> None:
    notifier = LoftyChangeNotifier(told, max_failed_rows="1%")
    notify(notifier, MANY, "monday")
    notify(notifier, FINE, "tuesday")
    failing, recovered = told
    assert failing["headline"] == "a_dag, send: 2 of 100 rows failed, 0 found no lead"
    assert failing["text"].startswith("98 delivered, 1 invalid, 1 rejected. Correct failed rows at their source")
    assert failing["summary"]["rejected"] == 1
    assert recovered["headline"] == "a_dag, send has recovered: 0 of 100 rows failed, 0 found no lead"
    assert (failing["since"], recovered["since"]) == ("monday", "monday")


def test_a_red_task_says_why(told: Told) -> None:
    notify(LoftyChangeNotifier(told), Status(phase="ended", error=Failure("LoftyCredentialRefused", "replace the key")))
    assert (told[0]["headline"], told[0]["text"], told[0]["summary"]) == (
        "a_dag, send failed", "replace the key", None,
    )  # fmt: skip


def test_unmatched_rows_are_told_of_where_that_is_asked_for(told: Told) -> None:
    notify(LoftyChangeNotifier(told), ended(10, unmatched=5))
    assert told == []
    notify(LoftyChangeNotifier(told, max_unmatched_rows=4), ended(10, unmatched=5))
    assert told[0]["headline"] == "a_dag, send: 0 of 10 rows failed, 5 found no lead"


def test_each_task_and_map_index_is_told_of_by_itself(told: Told, variables: Variables) -> None:
    notifier, many = LoftyChangeNotifier(told), "a_dag_with_a_name" * 14
    for place in ({}, {"map_index": 1}, {"map_index": 2}, {"dag_id": many}, {"dag_id": many, "task_id": "send_too"}):
        notify(notifier, RED, **place)
    assert len(told) == len(variables.values) == 5
    assert max(map(len, variables.values)) <= 250


def test_a_task_without_xcoms_is_judged_by_its_colour(told: Told) -> None:
    notify(LoftyChangeNotifier(told), None)
    assert told == []


class Mail(BaseNotifier):
    """A notifier with a template, which may not come through."""

    template_fields = ("subject",)
    sent: list[str] = []  # noqa: RUF012 - of all copies
    is_down = False

    def __init__(self) -> None:
        super().__init__()
        self.subject = "{{ lofty.change }} since {{ lofty.since }}"

    def notify(self, context: Any) -> None:
        if self.is_down:
            raise OSError("no mail today")
        self.sent.append(self.subject)


def test_a_notifier_is_rendered_for_each_message_and_tried_again_when_it_failed(variables: Variables) -> None:
    mail = Mail()
    notifier = LoftyChangeNotifier(mail)
    mail.is_down = True
    with pytest.raises(OSError, match="no mail"):
        notify(notifier, RED, "monday")
    assert variables.values == {}
    mail.is_down = False
    notify(notifier, RED, "tuesday")
    notify(notifier, FINE, "wednesday")
    assert mail.sent == ["failing since tuesday", "recovered since tuesday"]


def test_a_limit_that_is_none_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(LoftyConfigurationError, match="max_failed_rows must be a number of rows or a share"):
        LoftyChangeNotifier(print, max_failed_rows="some")
