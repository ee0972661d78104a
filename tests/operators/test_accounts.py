"""Two connections on one host stand for two accounts, each with leads of its own; a lead's id is one in all of Lofty."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.practice import Run, Store, read_report, row, run, task_instance

from airflow_provider_lofty.sandbox import Sandbox

ADA = {"email": "ada@example.com"}


class Offices:
    """
    Two accounts at one Lofty, and a journal that their tasks share.

    The practice Lofty shows the leads of one account at a time.
    """

    def __init__(self, lofty: Sandbox) -> None:
        self.lofty = lofty
        self.open("one", 1)

    def open(self, name: str, lead_id: int) -> None:
        """Let what is asked from now on be asked with the credential of this office, where this lead is Ada."""
        for other in (1, 2):
            self.lofty.remove_lead(other)
        self.lofty.add_lead(lead_id, emails=["ada@example.com"])
        self.name = name

    def run(self, ti: Any = None, store: Store | None = None, **arguments: Any) -> Run:
        given = {"match_by": "email", "check_existing": "never", "lofty_conn_id": f"office_{self.name}", **arguments}
        if store is None:
            given.setdefault("journal_conn_id", "journal")
        return run(ti or task_instance(run_id=self.name), store, **given)

    @property
    def arrived(self) -> list[int]:
        return [activity.lead_id for activity in self.lofty.activities]


@pytest.fixture
def offices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lofty: Sandbox, connect: Callable[..., None]) -> Offices:
    connect(lofty)
    for name in ("ONE", "TWO"):
        monkeypatch.setenv(f"AIRFLOW_CONN_OFFICE_{name}", os.environ["AIRFLOW_CONN_LOFTY_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_JOURNAL", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "j.db")}))
    return Offices(lofty)


def visit(n: int = 1, **more: Any) -> dict[str, Any]:
    return {**row(n), "lead_id": None, "id": n, **ADA, **more}


@pytest.mark.parametrize("unique_key", [None, "id"])
class TestRowsWhoseLeadIsLookedFor:
    def test_what_one_office_got_another_gets_too(self, offices: Offices, unique_key: str | None) -> None:
        first = offices.run(rows=[visit()], unique_key=unique_key)
        offices.open("two", 2)
        second = offices.run(rows=[visit()], unique_key=unique_key)
        assert (first.counts, second.counts, offices.arrived) == ({"delivered": 1}, {"delivered": 1}, [1, 2])

    def test_one_office_gets_it_once(self, offices: Offices, unique_key: str | None) -> None:
        offices.run(rows=[visit()], unique_key=unique_key)
        again = offices.run(task_instance(dag_id="another"), rows=[visit()], unique_key=unique_key)
        assert (again.counts, offices.arrived) == ({"already_delivered": 1}, [1])

    def test_what_is_in_doubt_at_one_office_is_not_at_another(self, offices: Offices, unique_key: str | None) -> None:
        offices.lofty.change(scripted_faults=["drop_after_storing"], read_back_status=403)
        assert offices.run(rows=[visit()], unique_key=unique_key).counts == {"unknown": 1}
        offices.lofty.change(read_back_status=None)
        offices.open("two", 2)
        assert offices.run(rows=[visit()], unique_key=unique_key).counts == {"delivered": 1}
        assert offices.arrived == [1, 2]

    def test_another_connection_of_the_same_account_finds_it_at_lofty(
        self, offices: Offices, unique_key: str | None, tmp_path: Path
    ) -> None:
        offices.run(rows=[visit()], unique_key=unique_key)
        ended = offices.run(
            task_instance(run_id="next"), rows=[visit()], unique_key=unique_key, lofty_conn_id="office_two",
            check_existing="sample", report_path=str(tmp_path / "r.csv"),
        )  # fmt: skip
        assert (ended.counts, offices.arrived) == ({"already_delivered": 1}, [1])
        assert read_report(tmp_path / "r.csv")[0]["lofty_lead_id"] == "1"


class TestClearedWithAnotherConnection:
    """What the journal knows is of the connection before: the task looks for its rows at Lofty."""

    def cleared(self, offices: Offices, store: Store | None, lead_id: int) -> Run:
        rows = [visit(n) for n in range(1, 4)]
        assert offices.run(store=store, rows=rows).counts == {"delivered": 3}
        offices.open("two", lead_id)
        again = offices.run(task_instance(run_id="one", try_number=2, max_tries=1), store, rows=rows)
        assert any("left no journal of all that it sent: every lead is read" in line for line in again.log)
        return again

    @pytest.mark.parametrize("is_durable", [False, True])
    def test_of_the_same_account_nothing_is_sent_again(self, offices: Offices, is_durable: bool) -> None:
        assert self.cleared(offices, Store() if is_durable else None, 1).counts == {"already_delivered": 3}
        assert offices.arrived == [1] * 3

    def test_of_another_account_all_is_sent(self, offices: Offices) -> None:
        assert self.cleared(offices, Store(), 2).counts == {"delivered": 3}
        assert offices.arrived == [1] * 3 + [2] * 3

    def test_of_another_account_nothing_is_called_delivered(self, offices: Offices) -> None:
        """A journal in tables knows that this task has sent rows, and not which: they may be at another lead."""
        again = self.cleared(offices, None, 2)
        assert (again.counts, offices.arrived) == ({"unknown": 3}, [1] * 3)
        assert again.error is not None


class TestRowsThatNameTheirLead:
    @pytest.mark.parametrize("unique_key", [None, "id"])
    def test_they_are_the_same_with_every_connection(self, offices: Offices, unique_key: str | None) -> None:
        rows = [{**visit(), "lead_id": 1}]
        for name, outcome in (("one", "delivered"), ("two", "already_delivered")):
            ended = offices.run(
                task_instance(run_id=name), rows=rows, match_by=None, unique_key=unique_key,
                lofty_conn_id=f"office_{name}",
            )  # fmt: skip
            assert ended.counts == {outcome: 1}
        assert offices.arrived == [1]

    @pytest.mark.parametrize("is_durable", [False, True])
    def test_a_cleared_task_with_another_connection_goes_on(self, offices: Offices, is_durable: bool) -> None:
        store = Store() if is_durable else None
        rows = [{**visit(n), "lead_id": 1} for n in range(1, 4)]
        assert offices.run(store=store, rows=rows, match_by=None).counts == {"delivered": 3}
        ti = task_instance(run_id="one", try_number=2, max_tries=1)
        again = offices.run(ti, store, rows=rows, match_by=None, lofty_conn_id="office_two")
        assert again.counts == {"already_delivered": 3}
        assert any("resuming: 3 delivered" in line for line in again.log)

    def test_a_key_stays_the_same_when_the_source_learns_its_lead(self, offices: Offices) -> None:
        offices.run(rows=[visit()], unique_key="id")
        ended = offices.run(task_instance(run_id="next"), rows=[{**visit(), "lead_id": 1}], unique_key="id")
        assert (ended.counts, offices.arrived) == ({"already_delivered": 1}, [1])
