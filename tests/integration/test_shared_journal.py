"""Two runs at once over the same rows; and a later try of which nothing but Lofty itself knows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.practice import Run, row, run, task_instance

from airflow_provider_lofty.sandbox import Sandbox

ROW_LIST = [row(1 + n % 40, text=f"event {n}", created=1763290000123 + n) for n in range(240)]

# Only the first requests are lost: what is lost last of all has nothing after it that could prove its absence.
LOST = ["drop_before_storing" if n % 17 == 9 else "drop_after_storing" if n % 13 == 5 else None for n in range(100)]


@pytest.fixture(autouse=True)
def connected(lofty: Sandbox, connect: Any) -> None:
    connect(lofty, extra={"timeout_seconds": 0.5, "settle_seconds": 0.6, "max_in_flight": 4})


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
def journal(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the connection of a database that has no tables yet."""
    if request.param == "sqlite":
        connection = {"conn_type": "sqlite", "host": str(tmp_path / "journal.db")}
    else:
        import psycopg2

        uri = request.getfixturevalue("postgres_uri")
        with psycopg2.connect(uri) as database, database.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS lofty_journal, lofty_journal_runs, lofty_journal_format")
        database.close()
        host = uri.partition("host=")[2]
        connection = {"conn_type": "postgres", "login": "postgres", "schema": "postgres", "host": host}
    monkeypatch.setenv("AIRFLOW_CONN_JOURNAL", json.dumps(connection))
    return "journal"


def at_once(*arguments: dict[str, Any], **ti: list[str]) -> list[Run]:
    """Run the operator several times at the same time, each as a Dag run of its own."""
    ended: dict[int, Run] = {}

    def one(number: int) -> None:
        own = {name: values[number] for name, values in ti.items()}
        ended[number] = run(task_instance(run_id=f"run {number}", **own), **arguments[number])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(arguments))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [ended[number] for number in range(len(arguments))]


def arrived(lofty: Sandbox) -> Counter[str]:
    return Counter(activity.body["text"] for activity in lofty.activities)


def test_two_runs_with_overlapping_windows_send_each_row_once(lofty: Sandbox, journal: str) -> None:
    lofty.change(latency_seconds=0.01, scripted_faults=LOST)
    shared = {"journal_conn_id": journal, "check_existing": "never"}
    ended = at_once({"rows": ROW_LIST[:160], **shared}, {"rows": ROW_LIST[80:], **shared})
    assert set(arrived(lofty).values()) == {1}
    assert len(arrived(lofty)) == len(ROW_LIST), [(each.counts, each.summary["errors"]) for each in ended]
    for each in ended:
        assert set(each.counts) <= {"delivered", "already_delivered"}
        assert sum(each.counts.values()) == 160
    assert sum(each.counts["delivered"] for each in ended) + sum(
        "found by" in line for each in ended for line in each.log
    ) == len(ROW_LIST)
    posts = len(lofty.requests)
    later = run(task_instance(run_id="later"), rows=ROW_LIST, **shared)
    assert later.counts == {"already_delivered": len(ROW_LIST)}
    assert len(lofty.requests) == posts


def test_two_dags_at_once_whose_keys_mean_different_rows_lose_none_without_a_word(lofty: Sandbox, journal: str) -> None:
    lofty.change(latency_seconds=0.02)
    shared = {"journal_conn_id": journal, "check_existing": "never", "unique_key": "key"}
    rows = [
        [row(lead + n, text=f"{lead} {n}", key=n, created=1763290000123 + n) for n in range(30)] for lead in (1, 101)
    ]
    ended = at_once({"rows": rows[0], **shared}, {"rows": rows[1], **shared}, dag_id=["one", "two"])
    for each, own in zip(ended, rows, strict=True):
        assert set(each.counts) <= {"delivered", "invalid"}
        there = [item for item in own if arrived(lofty)[item["text"]] == 1]
        assert each.counts.get("delivered", 0) == len(there)
        assert sum(each.counts.values()) == 30
    assert sum(arrived(lofty).values()) == 30
    assert any(
        "this key was sent to another lead" in group["error"] for each in ended for group in each.summary["errors"]
    )


PROCESS = """
import json, sys
from support.practice import row, run, task_instance
first, last, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
rows = [row(1 + n % 40, text=f"event {n}", created=1763290000123 + n) for n in range(first, last)]
ended = run(task_instance(run_id=name), rows=rows, journal_conn_id="journal", check_existing="never")
print(json.dumps([str(ended.error or ""), ended.counts]))
"""


def test_two_processes_with_overlapping_windows_send_each_row_once(lofty: Sandbox, journal: str) -> None:
    lofty.change(latency_seconds=0.02, scripted_faults=LOST)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, *part], env=environment, stdout=subprocess.PIPE, text=True,
        )
        for part in (("0", "160", "one"), ("80", "240", "two"))
    ]  # fmt: skip
    told = [json.loads(process.communicate(timeout=120)[0].splitlines()[-1]) for process in processes]
    assert [error for error, _ in told] == ["", ""]
    assert [sum(counts.values()) for _, counts in told] == [160, 160]
    assert set(told[0][1]) | set(told[1][1]) <= {"delivered", "already_delivered"}
    assert arrived(lofty) == {each["text"]: 1 for each in ROW_LIST}


def test_a_run_takes_over_what_a_dead_one_held(lofty: Sandbox, journal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_lofty.spool.spool import Spool

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    rows = ROW_LIST[:40]
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "record", dies)
        with pytest.raises(KeyboardInterrupt):
            run(task_instance(run_id="dead"), rows=rows, journal_conn_id=journal)
    assert len(lofty.activities) == 1
    ended = run(task_instance(run_id="alive"), rows=rows, journal_conn_id=journal, check_existing="never")
    assert (ended.error, sum(ended.counts.values())) == (None, 40)
    assert arrived(lofty) == {each["text"]: 1 for each in rows}


LIST = [[row(1 + n, text=f"event {n}", created=1763290000123 + n)] for n in range(5)]


@pytest.mark.parametrize("moved", [[4, 0, 1, 2], [1, 2, 3, 4], [3, 2, 1, 0], [0, 4, 2, 3]], ids=str)
def test_a_mapped_task_whose_list_moved_sends_what_is_new(lofty: Sandbox, journal: str, moved: list[int]) -> None:
    for index in range(4):
        assert run(task_instance(map_index=index), rows=LIST[index], journal_conn_id=journal).error is None
    for index, item in enumerate(moved):
        cleared = task_instance(map_index=index, try_number=2, max_tries=1)
        ended = run(cleared, rows=LIST[item], journal_conn_id=journal)
        assert ended.counts == {"delivered" if item == 4 else "already_delivered": 1}
    assert set(arrived(lofty).values()) == {1}


def test_but_rows_that_are_new_on_every_try_are_refused(lofty: Sandbox, journal: str) -> None:
    assert run(task_instance(map_index=1), rows=LIST[1] + LIST[2], journal_conn_id=journal).error is None
    later = [{**each, "created": each["created"] + 5_000} for each in LIST[1] + LIST[2]]
    ended = run(task_instance(map_index=1, try_number=2, max_tries=1), rows=later, journal_conn_id=journal)
    assert "this is a different input" in str(ended.error)
    assert sorted(arrived(lofty).values()) == [1, 1]


def test_without_any_journal_a_later_try_finds_what_is_there(lofty: Sandbox) -> None:
    first = run(rows=ROW_LIST[:100], durable=False)
    assert first.counts == {"delivered": 100}
    again = run(task_instance(try_number=2), rows=ROW_LIST[:140], durable=False)
    assert again.counts == {"already_delivered": 100, "delivered": 40}
    assert any("left no journal" in line for line in again.log)
    assert set(arrived(lofty).values()) == {1}


def test_without_any_journal_and_without_reading_a_later_try_sends_nothing(lofty: Sandbox) -> None:
    run(rows=ROW_LIST[:10], durable=False)
    lofty.change(read_back_status=403)
    again = run(task_instance(try_number=2), rows=ROW_LIST[:10], durable=False)
    assert again.counts == {"unknown": 10}  # the first try may have sent any of them
    assert "no journal says which" in str(again.error)
    assert set(arrived(lofty).values()) == {1}


def test_a_fresh_run_that_meets_its_rows_at_lofty_reads_every_lead(lofty: Sandbox) -> None:
    run(rows=ROW_LIST[:100])
    again = run(task_instance(run_id="another"), rows=ROW_LIST[:120])
    assert again.counts == {"already_delivered": 100, "delivered": 20}
    assert set(arrived(lofty).values()) == {1}
