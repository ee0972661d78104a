"""A later try goes on where the earlier one stopped, whatever stopped it."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.practice import Run, Store, read_report, row, run, run_operator, task_instance

from airflow_provider_lofty.exceptions import (
    AirflowFailException,
    LoftyConfigurationError,
    LoftyDeliveryIncomplete,
    LoftyRowsFailed,
    LoftySourceNotReady,
)
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.sandbox import Sandbox

ROWS = [row(1 + n % 20, text=f"event {n}", created=1763290000000 + n) for n in range(60)]


@pytest.fixture(autouse=True)
def connected(lofty: Sandbox, connect: Any) -> None:
    connect(lofty, extra={"timeout_seconds": 0.4, "settle_seconds": 0.3})


def again(store: Store, try_number: int = 2, max_tries: int = 0, **arguments: Any) -> Run:
    """Run the next try; another ``max_tries`` means that the task was cleared."""
    ti = task_instance(try_number=try_number, max_tries=max_tries)
    return run(ti, store=store, **{"rows": ROWS, **arguments})


def arrived(lofty: Sandbox) -> Counter[str]:
    return Counter(activity.body["text"] for activity in lofty.activities)


def posts(lofty: Sandbox) -> int:
    return len([request for request in lofty.requests if request.method == "POST"])


def test_a_run_that_finds_its_journal_says_what_it_found(lofty: Sandbox) -> None:
    store = Store()
    assert run(store=store, rows=ROWS[:20]).counts == {"delivered": 20}
    later = again(store)
    assert later.counts == {"already_delivered": 20, "delivered": 40}
    assert "resuming: 20 delivered, 0 in doubt, 40 to send" in later.log
    assert set(arrived(lofty).values()) == {1}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("writes", [1, 2, 3, 4, 5, 6])
def test_when_the_journal_fails_nothing_more_is_sent(lofty: Sandbox, writes: int) -> None:
    store = Store()
    store.fails_after = writes
    ended = run(store=store, rows=ROWS)
    assert type(ended.error) is LoftyDeliveryIncomplete
    assert posts(lofty) < len(ROWS)
    store.fails_after = 10**9
    later = again(store)
    assert later.error is None
    assert arrived(lofty) == {each["text"]: 1 for each in ROWS}


@pytest.mark.parametrize("writes", [0, 3])
def test_a_journal_that_is_away_for_a_while_costs_nothing_but_time(lofty: Sandbox, writes: int) -> None:
    class Away(Store):
        """It fails a few times from one write on, and then it is back."""

        failures = 4

        def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
            if self.failures and len(self.written) >= writes:
                self.failures -= 1
                raise RuntimeError("the api-server does not answer")
            super().set(key, value, retention=retention)

    ended = run(store=Away(), rows=ROWS)
    assert ended.error is None
    assert ended.counts == {"delivered": len(ROWS)}
    assert arrived(lofty) == {each["text"]: 1 for each in ROWS}
    assert sum("nothing is sent until it answers" in line for line in ended.log) == 1
    assert sum("the journal answers again" in line for line in ended.log) == 1


@pytest.mark.usefixtures("impatient")
def test_a_journal_that_fails_before_the_first_row_is_a_retryable_error(lofty: Sandbox) -> None:
    store = Store()
    store.fails_after = 0
    ended = run(store=store, rows=ROWS)
    assert type(ended.error) is LoftyDeliveryIncomplete
    assert "Nothing was sent" in str(ended.error)
    assert lofty.requests == []


def test_a_damaged_journal_stops_the_run_with_nothing_sent(lofty: Sandbox) -> None:
    store = Store()
    run(store=store, rows=ROWS[:5])
    (tail,) = [key for key in store.values if key.endswith("tail.1")]
    store.values[tail] = store.values[tail].replace("A", "B")
    before = len(lofty.requests)
    ended = again(store)
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "is damaged" in str(ended.error)
    assert len(lofty.requests) == before


def test_a_run_stops_by_itself_before_its_time_is_over(lofty: Sandbox, connect: Any) -> None:
    connect(lofty, extra={"timeout_seconds": 0.4, "settle_seconds": 0.3, "max_in_flight": 1})
    lofty.change(latency_seconds=0.1)
    store = Store()
    operator = LoftyAddActivityOperator(task_id="send", rows=ROWS, execution_timeout=timedelta(seconds=2))
    ended = run_operator(operator, store=store)
    assert type(ended.error) is LoftyDeliveryIncomplete
    assert "execution_timeout is near" in str(ended.error)
    assert 0 < ended.counts["delivered"] < len(ROWS)
    assert ended.summary["seconds"] < 2
    lofty.change(latency_seconds=0)
    assert again(store).error is None
    assert arrived(lofty) == {each["text"]: 1 for each in ROWS}


def test_rejected_rows_are_kept_on_a_retry_and_tried_again_on_a_clear(lofty: Sandbox, tmp_path: Any) -> None:
    store, report = Store(), str(tmp_path / "r.csv")
    lofty.change(missing_leads={3})
    first = run(store=store, rows=ROWS[:20])
    assert first.counts == {"delivered": 19, "rejected": 1}
    lofty.change(missing_leads=frozenset())
    before = posts(lofty)
    kept = again(store, rows=ROWS[:20], report_path=report)
    assert isinstance(kept.error, LoftyRowsFailed)
    assert kept.counts == {"already_delivered": 19, "rejected": 1}
    (line,) = [line for line in read_report(report) if line["lofty_outcome"] == "rejected"]
    assert (line["lofty_http_status"], line["lofty_error_code"]) == ("404", "20006")
    assert posts(lofty) == before
    assert again(store, 3, 1, rows=ROWS[:20]).counts == {"already_delivered": 19, "delivered": 1}


@pytest.mark.parametrize("discards", [False, True], ids=["Airflow 3.3", "Airflow 3.4"])
def test_a_cleared_task_sends_nothing_twice_whether_or_not_airflow_keeps_its_state(
    lofty: Sandbox, discards: bool
) -> None:
    store = Store()
    lofty.change(missing_leads={3}, scripted_faults=[None, "drop_after_storing"])
    first = run(store=store, rows=ROWS[:20])
    assert first.counts == {"delivered": 19, "rejected": 1}
    lofty.change(missing_leads=frozenset(), scripted_faults=[])
    store.clear_task(discards=discards)
    cleared = again(store, 2, 1, rows=[*ROWS[:20], ROWS[30]])
    assert cleared.error is None
    assert cleared.counts == {"already_delivered": 19, "delivered": 2}
    assert any("left no journal" in line for line in cleared.log) is discards
    assert arrived(lofty) == {each["text"]: 1 for each in [*ROWS[:20], ROWS[30]]}


@pytest.mark.parametrize(
    ("tries", "may_retry"),
    [
        ({"try_number": 1, "max_tries": 0}, False),
        ({"try_number": 1, "max_tries": 1}, True),
        ({"try_number": 2, "max_tries": 1}, False),
        ({"try_number": 2, "max_tries": 3}, True),
        ({"max_tries": None}, True),
    ],
)
class TestAnErrorThatARetryWouldMend:
    """A task that has no retry left is told what to do in its place."""

    def test_of_a_run_that_stopped(self, lofty: Sandbox, connect: Any, tries: dict[str, Any], may_retry: bool) -> None:
        connect(lofty, extra={"timeout_seconds": 0.4, "settle_seconds": 0.3, "max_in_flight": 1})
        lofty.change(latency_seconds=0.1)
        limits: dict[str, Any] = {"check_existing": "never", "execution_timeout": timedelta(seconds=1)}
        operator = LoftyAddActivityOperator(task_id="send", rows=ROWS, **limits)
        ended = run_operator(operator, task_instance(**tries), Store())
        assert type(ended.error) is LoftyDeliveryIncomplete
        assert ("clear it to go on" in str(ended.error)) is not may_retry
        assert ended.xcom["lofty_progress"]["error"]["text"] == str(ended.error)

    def test_of_a_source_that_is_not_there(self, tmp_path: Path, tries: dict[str, Any], may_retry: bool) -> None:
        ended = run(task_instance(**tries), path=str(tmp_path / "*.csv"))
        assert type(ended.error) is LoftySourceNotReady
        assert ("has no retry left" in str(ended.error)) is not may_retry

    def test_but_not_of_one_that_it_would_not(self, tries: dict[str, Any], may_retry: bool) -> None:
        ended = run(task_instance(**tries), rows=[row("x")])
        assert type(ended.error) is LoftyRowsFailed
        assert "retry" not in str(ended.error)


def test_another_input_in_the_place_of_the_first_is_refused(lofty: Sandbox) -> None:
    store = Store()
    run(store=store, rows=ROWS[:20])
    before = len(lofty.requests)
    moved = [{**each, "created": each["created"] + 1} for each in ROWS[:20]]
    ended = again(store, rows=moved)
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "different input" in str(ended.error)
    assert ended.counts == {"not_attempted": 20}
    assert len(lofty.requests) == before
    assert again(store, 3, rows=ROWS[:20]).counts == {"already_delivered": 20}


def test_a_mapped_list_that_moved_is_called_so(lofty: Sandbox) -> None:
    store = Store()
    run(task_instance(map_index=0), store=store, rows=ROWS[:1])
    ended = run(task_instance(map_index=0, try_number=2, max_tries=1), store=store, rows=ROWS[1:2])
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "the list that the task is mapped over has moved" in str(ended.error)
    assert "journal_conn_id" in str(ended.error)


def test_an_input_that_has_shrunk_is_no_other_one(lofty: Sandbox) -> None:
    store = Store()
    run(store=store, rows=ROWS[:20])
    assert again(store, rows=ROWS[15:20]).counts == {"already_delivered": 5}


def test_a_delivered_row_whose_content_has_changed_says_so(lofty: Sandbox, tmp_path: Any) -> None:
    store, report = Store(), str(tmp_path / "r.csv")
    run(store=store, rows=ROWS[:20])
    changed = [{**ROWS[0], "picture": "https://homes.example.com/new.jpg"}, *ROWS[1:20]]
    ended = again(store, rows=changed, report_path=report)
    assert ended.counts == {"already_delivered": 20}
    assert [line["lofty_error"] for line in read_report(report)[:2]] == [
        "its content has changed since it was delivered", ""
    ]  # fmt: skip


@pytest.mark.parametrize(("fault", "there"), [("drop_before_storing", 0), ("drop_after_storing", 1)])
def test_a_doubtful_row_that_is_gone_is_settled_and_never_sent_again(
    lofty: Sandbox, connect: Any, fault: str, there: int
) -> None:
    connect(lofty, extra={"timeout_seconds": 1.0, "settle_seconds": 0.3, "max_in_flight": 1})
    store = Store()
    lofty.change(scripted_faults=[None, fault], read_back_status=403)
    assert run(store=store, rows=ROWS[:20]).counts == {"delivered": 19, "unknown": 1}
    lofty.change(scripted_faults=[], read_back_status=None)
    rest = [ROWS[0], *ROWS[2:20], ROWS[30]]
    ended = again(store, rows=rest)
    assert ended.counts == {"already_delivered": 19, "delivered": 1}
    assert ended.summary["carried_over"] == 1
    assert arrived(lofty)["event 1"] == there
    assert again(store, 3, rows=rest).summary["carried_over"] == 0


def test_an_unknown_row_that_nothing_can_settle_is_not_retried(lofty: Sandbox) -> None:
    lofty.change(scripted_faults=["drop_before_storing"])
    ended = run(store=Store(), rows=ROWS[:1])
    assert ended.counts == {"unknown": 1}
    assert "no other Browse activity was delivered" in ended.summary["errors"][0]["error"]
    assert isinstance(ended.error, AirflowFailException)


def test_a_preview_knows_no_journal(lofty: Sandbox) -> None:
    store = Store()
    assert run(store=store, rows=ROWS, preview=True).counts == {"would_send": len(ROWS)}
    assert store.values == {}


def test_nothing_of_a_row_is_in_the_store_but_what_is_needed_to_find_it(lofty: Sandbox) -> None:
    store = Store()
    lofty.change(faults={"drop_before_storing": 0.2}, read_back_status=403)
    run(store=store, rows=[{**each, "text": f"marigold {each['text']}"} for each in ROWS])
    kept = str(store.values)
    assert "marigold" not in kept
    assert "homes.example.com" not in kept


@pytest.mark.parametrize(("name", "value"), [("check_existing", "sometimes"), ("on_unknown", None)])
def test_a_choice_that_is_none_is_refused(lofty: Sandbox, name: str, value: Any) -> None:
    with pytest.raises(LoftyConfigurationError, match=name):
        LoftyAddActivityOperator(task_id="send", rows=ROWS, **{name: value}).execute({})
    assert lofty.requests == []


class TestTheSameWrittenOtherwise:
    """One Lofty and one key stay the same, however a connection and a Dag write them."""

    @pytest.fixture(params=["{}/", "HTTP://@{}", "http://:@{}/a/../"])
    def spelled(self, lofty: Sandbox, request: pytest.FixtureRequest) -> str:
        server = lofty.url.removeprefix("http://")
        return str(request.param).format(lofty.url if request.param == "{}/" else server)

    def test_runs_that_share_a_journal_send_nothing_twice(
        self, lofty: Sandbox, connect: Any, spelled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "journal.db")})
        monkeypatch.setenv("AIRFLOW_CONN_JOURNAL", journal)
        rows = [{**each, "day": n % 2, "event": n} for n, each in enumerate(ROWS[:10])]
        shared = {"rows": rows, "journal_conn_id": "journal", "check_existing": "never"}
        assert run(unique_key=["event", "day"], **shared).counts == {"delivered": 10}
        connect(spelled, extra={"settle_seconds": 0.3}, password=lofty.settings.api_key)
        for number, unique_key in enumerate((["day", "event"], ["EVENT", "Day"], ["day", "event", "day"])):
            ended = run(task_instance(run_id=str(number)), unique_key=unique_key, **shared)
            assert ended.counts == {"already_delivered": 10}
        assert posts(lofty) == 10

    def test_a_later_try_knows_its_journal(self, lofty: Sandbox, connect: Any, spelled: str) -> None:
        store = Store()
        run(store=store, rows=ROWS[:10])
        connect(spelled, extra={"settle_seconds": 0.3}, password=lofty.settings.api_key)
        later = again(store, rows=ROWS[:10], check_existing="never")
        assert later.counts == {"already_delivered": 10}
        assert not any("left no journal" in line for line in later.log)
        assert later.summary["read_backs"] == 0


@pytest.mark.parametrize(
    ("shared", "later"),
    [
        (False, {"try_number": 2}),
        (False, {"try_number": 2, "max_tries": 1}),
        (True, {"try_number": 2}),
        (True, {"run_id": "next"}),
        (True, {"dag_id": "another"}),
    ],
)
def test_a_key_that_was_delivered_to_another_lead_is_invalid(
    lofty: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool, later: dict[str, Any]
) -> None:
    connection = {"conn_type": "sqlite", "host": str(tmp_path / "journal.db")}
    monkeypatch.setenv("AIRFLOW_CONN_JOURNAL", json.dumps(connection))
    wanted: dict[str, Any] = {"unique_key": "event", "journal_conn_id": "journal" if shared else None}
    store = Store()
    assert run(store=store, rows=[row(1, event="E1"), row(2, event="E2")], **wanted).counts == {"delivered": 2}
    ended = run(task_instance(**later), store=store, rows=[row(3, event="E1"), row(2, event="E2")], **wanted)
    assert ended.counts == {"invalid": 1, "already_delivered": 1}
    assert ended.summary["errors"][0]["error_field"] == "unique_key"
    assert "sent to another lead" in ended.summary["errors"][0]["error"]
    assert sorted(activity.lead_id for activity in lofty.activities) == [1, 2]
