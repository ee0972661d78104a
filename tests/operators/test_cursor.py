"""Only what is new: which rows a cursor lets each run read, and what holds its watermark back."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import psycopg2
import pytest
from airflow.providers.sqlite.hooks.sqlite import SqliteHook
from support.practice import Run, run, task_instance

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyRowsFailed
from airflow_provider_lofty.report.writer import Report
from airflow_provider_lofty.sandbox import Sandbox

MISSING = 404404  # a lead that does not exist
SQL = "SELECT * FROM visits WHERE at >= :cursor ORDER BY at"


class Warehouse:
    """A SQLite file with one table, and the runs that read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "warehouse.db"
        self.runs = 0
        self.made = 0
        self.do(
            "CREATE TABLE visits (id INTEGER, lead_id, type TEXT, text TEXT, link TEXT, picture TEXT,"
            " created TEXT, at, mark TEXT COLLATE NOCASE)"
        )

    def do(self, statement: str, *values: Any) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(statement, values)

    def add(self, *cursors: Any, lead_id: Any = 1) -> None:
        for at in cursors:
            self.made += 1
            created = f"2026-03-01T10:{self.made // 60:02}:{self.made % 60:02}Z"
            self.do(
                "INSERT INTO visits VALUES (?, ?, 'Browse', ?, 'l', '', ?, ?, NULL)",
                self.made, lead_id, f"visit {self.made}", created, at,
            )  # fmt: skip

    def journal(self, table: str = "lofty_cursor") -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.folder / "journal.db")) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(f"SELECT * FROM {table}")]

    def run(self, ti: Any = None, **arguments: Any) -> Run:
        """One Dag run after the other, unless it is named."""
        self.runs += 1
        given = {
            "source_conn_id": "warehouse", "journal_conn_id": "journal", "cursor": "at", "unique_key": "id",
            "report_path": f"{self.folder}/reports/", "check_existing": "never", **arguments,
        }  # fmt: skip
        if "sql" not in given:
            given.setdefault("table", "visits")
        return run(ti or task_instance(run_id=f"run {self.runs}"), **given)


@pytest.fixture
def warehouse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lofty: Sandbox, connect: Callable[..., None]
) -> Warehouse:
    connect(lofty)
    lofty.change(missing_leads={MISSING})
    monkeypatch.setenv("AIRFLOW_CONN_OFFICE_TWO", os.environ["AIRFLOW_CONN_LOFTY_DEFAULT"])
    for name in ("warehouse", "journal"):
        connection = {"conn_type": "sqlite", "host": str(tmp_path / f"{name}.db")}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    return Warehouse(tmp_path)


def span(ended: Run) -> tuple[Any, Any, Any]:
    cursor = ended.summary["cursor"]
    return cursor["from"], cursor["to"], cursor["held_back_by"]


def refused(ended: Run, *words: str) -> None:
    assert isinstance(ended.error, LoftyConfigurationError), ended.error
    for word in (*words, "othing was sent"):
        assert word in str(ended.error)


def arrived(lofty: Sandbox) -> Counter[str]:
    return Counter(activity.body["text"] for activity in lofty.activities)


class TestReading:
    def test_a_run_reads_what_is_new_and_the_last_value_again(self, warehouse: Warehouse, lofty: Sandbox) -> None:
        warehouse.add(1, 2, 3)
        first = warehouse.run()
        warehouse.add(3, 4)
        second = warehouse.run()
        assert first.counts == {"delivered": 3}
        assert second.counts == {"already_delivered": 1, "delivered": 2}
        assert (span(first), span(second)) == ((None, "3", None), ("3", "4", None))
        assert set(arrived(lofty).values()) == {1}

    def test_with_sql_the_same(self, warehouse: Warehouse) -> None:
        warehouse.add(1, 2, 3)
        first = warehouse.run(sql=SQL, cursor_from=2)
        warehouse.add(4)
        second = warehouse.run(sql=SQL)
        assert (first.counts, second.counts) == ({"delivered": 2}, {"already_delivered": 1, "delivered": 1})
        assert "must compare with >=" in next(line for line in first.log if "cursor at" in line)

    def test_without_new_rows_nothing_moves(self, warehouse: Warehouse) -> None:
        for _ in range(2):
            ended = warehouse.run(sql=SQL, cursor_from="2")
            assert (ended.error, ended.counts, span(ended)) == (None, {}, ("2", "2", None))
        assert span(warehouse.run(sql=SQL)) == ("2", "2", None)
        assert span(warehouse.run()) == (None, None, None)

    def test_a_start_before_there_were_rows_is_left_behind(self, warehouse: Warehouse) -> None:
        assert warehouse.run(cursor_from="2").counts == {}
        warehouse.add(1, 2, 3)
        assert warehouse.run().counts == {"delivered": 2}
        assert span(warehouse.run()) == ("3", "3", None)

    def test_a_table_that_stays_empty_for_some_runs_is_read_from_its_beginning(self, warehouse: Warehouse) -> None:
        for _ in range(2):
            assert span(warehouse.run()) == (None, None, None)
        warehouse.add(1)
        assert warehouse.run().counts == {"delivered": 1}

    def test_without_a_cursor_nothing_changes(self, warehouse: Warehouse) -> None:
        warehouse.add(1)
        ended = warehouse.run(cursor=None)
        assert "cursor" not in ended.summary
        with pytest.raises(sqlite3.OperationalError):
            warehouse.journal()

    def test_text_goes_by_the_order_of_its_database(self, warehouse: Warehouse, lofty: Sandbox) -> None:
        warehouse.add("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04")
        for at, mark in (("2026-03-01", "a"), ("2026-03-02", "B"), ("2026-03-03", "c"), ("2026-03-04", "D")):
            warehouse.do("UPDATE visits SET mark = ? WHERE at = ?", mark, at)
        assert span(warehouse.run(cursor="mark", max_rows=3)) == (None, "a", "4 not_attempted")
        assert span(warehouse.run(cursor="mark")) == ("a", "D", None)
        warehouse.add("2026-03-05")
        warehouse.do("UPDATE visits SET mark = 'e' WHERE mark IS NULL")
        ended = warehouse.run(cursor="mark")
        assert (span(ended), ended.counts) == (("D", "e", None), {"already_delivered": 1, "delivered": 1})
        for mark in ("f", "G"):
            warehouse.add(mark)
            warehouse.do("UPDATE visits SET mark = at WHERE mark IS NULL")
        sql = "SELECT * FROM visits WHERE mark >= :cursor"
        stopped = warehouse.run(sql=sql, cursor="mark", cursor_from="B", max_rows=1)
        assert span(stopped) == ("B", "B", "2 not_attempted")  # whichever of them is the lower one

    def test_cursor_from_reads_from_there_and_never_moves_the_watermark_back(self, warehouse: Warehouse) -> None:
        warehouse.add(1, 2, 3)
        warehouse.run()
        again = warehouse.run(cursor_from="2")
        assert (again.counts, span(again)) == ({"already_delivered": 2}, ("2", "3", None))
        assert span(warehouse.run()) == ("3", "3", None)

    def test_cursor_from_beyond_the_watermark_says_which_rows_no_run_reads(self, warehouse: Warehouse) -> None:
        warehouse.add(1, 3)
        warehouse.run()
        warehouse.add(5, 9)
        ended = warehouse.run(cursor_from=7)
        assert ended.counts == {"delivered": 1}
        assert "cursor_from is beyond the watermark: rows from 3 to 7 are read by no run" in ended.log
        assert span(warehouse.run()) == ("9", "9", None)

    def test_a_lag_reads_so_much_again(self, warehouse: Warehouse) -> None:
        warehouse.add(*(f"2026-03-01 10:0{n}:00" for n in range(5)))
        warehouse.run()
        warehouse.add("2026-03-01 10:02:30")
        ended = warehouse.run(cursor_lag=timedelta(minutes=2))
        assert ended.counts == {"already_delivered": 3, "delivered": 1}
        assert span(ended)[:2] == ("2026-03-01 10:02:00", "2026-03-01 10:04:00")

    def test_rows_without_a_value_are_told(self, warehouse: Warehouse) -> None:
        warehouse.add(1, None, 2)
        assert warehouse.run().counts == {"delivered": 3}
        ended = warehouse.run()
        assert ended.counts == {"already_delivered": 1}
        assert any("1 rows have no value in at: they are not read" in line for line in ended.log)

    def test_a_preview_reads_what_a_run_would_and_writes_nothing_down(self, warehouse: Warehouse) -> None:
        warehouse.add(1, 2)
        assert warehouse.run(preview=True).counts == {"would_send": 2}
        warehouse.run()
        ti = task_instance(run_id="later")
        assert warehouse.run(ti, preview=True).counts == {"would_send": 1}
        warehouse.add(3)
        assert span(warehouse.run()) == ("2", "3", None)
        assert len(warehouse.journal("lofty_cursor_reads")) == 2


class TestTries:
    def test_a_later_try_and_a_clear_read_from_where_the_first_one_did(
        self, warehouse: Warehouse, lofty: Sandbox
    ) -> None:
        warehouse.add(1, 2)
        warehouse.run()
        warehouse.add(3)
        old = task_instance(run_id="old")
        assert span(warehouse.run(old))[0] == "2"
        warehouse.add(4, 5)
        warehouse.run()
        for number in (2, 3):
            ended = warehouse.run(task_instance(run_id="old", try_number=number, max_tries=number), cursor_from=4)
            assert (span(ended)[0], ended.counts) == ("2", {"already_delivered": 4})
        assert span(warehouse.run()) == ("5", "5", None)
        assert set(arrived(lofty).values()) == {1}

    def test_a_row_that_is_repaired_at_the_source_is_sent_by_a_clear(
        self, warehouse: Warehouse, lofty: Sandbox
    ) -> None:
        warehouse.add(1)
        warehouse.add(2, lead_id="nobody")
        warehouse.add(3)
        first = warehouse.run(task_instance(run_id="first"))
        assert isinstance(first.error, LoftyRowsFailed)
        assert first.summary["cursor"]["behind"] == 1
        assert any("1 rows of this run failed for good and lie behind" in line for line in first.log)
        assert span(warehouse.run()) == ("3", "3", None)
        warehouse.do("UPDATE visits SET lead_id = 7 WHERE at = 2")
        cleared = warehouse.run(task_instance(run_id="first", try_number=2, max_tries=2))
        assert cleared.counts == {"already_delivered": 2, "delivered": 1}


class TestHeldBack:
    def test_what_was_not_attempted_is_read_by_the_next_run(self, warehouse: Warehouse, lofty: Sandbox) -> None:
        warehouse.add(*range(1, 9))
        closed = warehouse.run(max_rows=5)
        assert (closed.counts, span(closed)) == ({"not_attempted": 8}, (None, "1", "8 not_attempted"))
        assert warehouse.run().counts == {"delivered": 8}
        assert span(warehouse.run()) == ("8", "8", None)

    def test_a_run_that_stops_holds_back_what_it_has_not_sent(self, warehouse: Warehouse, lofty: Sandbox) -> None:
        for n in range(1, 41):
            warehouse.add(n, lead_id=5000 + n)
        lofty.change(missing_leads=set(range(5001, 5041)))
        stopped = warehouse.run(stop_after_rejections=3)
        rejected, waiting = stopped.counts["rejected"], stopped.counts["not_attempted"]
        assert span(stopped) == (None, str(rejected + 1), f"{waiting} not_attempted")
        assert stopped.summary["cursor"]["behind"] == rejected
        lofty.change(missing_leads=set())
        assert warehouse.run().counts == {"delivered": waiting}
        assert set(arrived(lofty).values()) == {1}

    def test_what_failed_for_good_does_not_hold_it(self, warehouse: Warehouse) -> None:
        warehouse.add(1, 2, lead_id=MISSING)
        warehouse.add(3)
        ended = warehouse.run()
        assert ended.counts == {"rejected": 2, "delivered": 1}
        assert span(ended) == (None, "3", None)
        assert ended.summary["cursor"]["behind"] == 2

    def test_a_report_that_could_not_be_written_holds_it(
        self, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(self: Report, spool: Any) -> None:
            raise OSError(28, "No space left on device")

        warehouse.add(1)
        warehouse.run()
        warehouse.add(2)
        with monkeypatch.context() as patch:
            patch.setattr(Report, "write", broken)
            ended = warehouse.run()
        assert isinstance(ended.error, LoftyRowsFailed)
        assert span(ended) == ("1", "1", "the report, which was not written")
        assert warehouse.run().counts == {"already_delivered": 2}

    def test_of_very_many_rows_the_lowest_is_found(self, warehouse: Warehouse) -> None:
        warehouse.do(
            "WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 1200) INSERT INTO visits"
            " SELECT n, 1, 'Browse', 'visit ' || n, 'l', '', '2026-03-01', n + 6, NULL FROM n"
        )
        assert span(warehouse.run(max_rows=0)) == (None, "7", "1200 not_attempted")

    def test_a_row_without_a_value_holds_it_where_its_run_began_to_read(
        self, warehouse: Warehouse, lofty: Sandbox
    ) -> None:
        warehouse.add(1, None, 2)
        closed = warehouse.run(max_rows=0)
        assert span(closed) == (None, None, "3 not_attempted")
        ended = warehouse.run()
        assert (ended.counts, span(ended)) == ({"delivered": 3}, (None, "2", None))
        assert set(arrived(lofty).values()) == {1}

    def test_what_another_run_holds_back_is_kept_for_the_next(self, warehouse: Warehouse) -> None:
        warehouse.add(1, 2, 3)
        warehouse.run()
        warehouse.add(4, 5, 6)
        assert span(warehouse.run(max_rows=0)) == ("3", "4", "3 not_attempted")
        assert span(warehouse.run(cursor_from=5)) == ("5", "4", "rows of another run")
        assert warehouse.run().counts == {"already_delivered": 2, "delivered": 1}

    def test_what_another_run_holds_back_from_the_beginning_stays_so(self, warehouse: Warehouse) -> None:
        warehouse.add(1, None, 2, 3)
        warehouse.run(max_rows=0)
        ended = warehouse.run(cursor_from=3, max_rows=0)
        assert span(ended) == ("3", None, "1 not_attempted, rows of another run")
        assert warehouse.run().counts == {"delivered": 4}

    def test_a_watermark_that_cannot_be_moved_stays_and_fails_no_row(
        self, warehouse: Warehouse, lofty: Sandbox
    ) -> None:
        warehouse.add(1)
        warehouse.run()
        warehouse.add(2)
        with closing(sqlite3.connect(warehouse.folder / "journal.db")) as journal, journal:
            # As if another run were always the faster one.
            journal.execute("CREATE TRIGGER others BEFORE UPDATE ON lofty_cursor BEGIN SELECT RAISE(IGNORE); END")
        ended = warehouse.run()
        assert (ended.error, ended.counts) == (None, {"already_delivered": 1, "delivered": 1})
        assert span(ended) == ("1", "1", "the journal, which could not be written")
        (line,) = [line for line in ended.log if "the cursor's watermark was not moved" in line]
        assert line.endswith("the next run reads these rows again: other runs move the same watermark all the time")
        with closing(sqlite3.connect(warehouse.folder / "journal.db")) as journal, journal:
            journal.execute("DROP TRIGGER others")
        assert warehouse.run().counts == {"already_delivered": 2}
        assert set(arrived(lofty).values()) == {1}

    def test_a_backfill_that_ends_early_is_gone_on_with(self, warehouse: Warehouse) -> None:
        warehouse.add(1, 2, 3)
        warehouse.run(sql=SQL, cursor_from=3)
        failed = warehouse.run(sql=SQL, cursor_from=1, max_rows=1)
        assert span(failed)[1] == "1"
        assert warehouse.journal()[0]["watermark"] == "3"
        assert warehouse.run(sql=SQL).counts == {"delivered": 2, "already_delivered": 1}
        assert span(warehouse.run(sql=SQL))[0] == "3"

    def test_only_the_report_knows_what_lies_behind(self, warehouse: Warehouse, lofty: Sandbox) -> None:
        warehouse.add(1, lead_id=MISSING)
        warehouse.add(2)
        report = warehouse.run().summary["report_path"]
        warehouse.run()
        lofty.change(missing_leads=set())
        fed = warehouse.run(table=None, cursor=None, source_conn_id=None, path=report)
        assert fed.counts == {"already_delivered": 1, "delivered": 1}


class TestRefused:
    def test_arguments_that_do_not_go_together(self, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
        refused(warehouse.run(cursor=None, cursor_from=1), "cursor_from is given")
        refused(warehouse.run(cursor=None, cursor_lag=1), "cursor_lag is given")
        refused(warehouse.run(table=None, rows=[]), "table or sql")
        refused(warehouse.run(journal_conn_id=None), "journal_conn_id")
        refused(warehouse.run(report_path=None), "report")
        refused(warehouse.run(cursor_lag="soon"), "cursor_lag='soon'")
        refused(warehouse.run(cursor_lag=-1), "below zero")
        refused(warehouse.run(cursor_from="None"), "or ''")
        refused(warehouse.run(cursor_from=0.1 + 0.2), "float")

    def test_sql_without_a_place_for_the_cursor(self, warehouse: Warehouse) -> None:
        for sql in (
            "SELECT * FROM visits",
            "SELECT * FROM visits WHERE at >= %(cursor)s",
            "SELECT * FROM visits -- WHERE at >= :cursor",
            "SELECT * FROM visits WHERE text = ':cursor'",
            "SELECT * FROM visits WHERE at >= ?",
        ):
            refused(warehouse.run(sql=sql, cursor_from=1), ":cursor", ">=")
        refused(warehouse.run(sql=SQL, cursor_from=1, parameters=[1]), "must be a dict")
        refused(warehouse.run(sql=SQL, cursor_from=1, parameters={"cursor": 1}), "another name")

    def test_parameters_of_the_author_go_with_the_cursor(self, warehouse: Warehouse) -> None:
        warehouse.add(1, 2, 3)
        sql = "SELECT * FROM visits WHERE at >= :cursor AND id <> :left_out"
        assert warehouse.run(sql=sql, parameters={"left_out": 2}, cursor_from=1).counts == {"delivered": 2}

    def test_sql_without_a_value_to_begin_with(self, warehouse: Warehouse) -> None:
        refused(warehouse.run(sql=SQL), "cursor_from", "first run")
        refused(warehouse.run(sql=SQL, cursor_from=" "), "cursor_from", "first run")

    def test_a_column_that_is_not_there(self, warehouse: Warehouse) -> None:
        warehouse.add(1)
        refused(
            warehouse.run(sql="SELECT id, lead_id, at AS att FROM visits WHERE at >= :cursor", cursor_from=1), "'att'"
        )
        assert warehouse.run(cursor="AT").counts == {"delivered": 1}

    def test_another_statement_or_column_names_cursor_from(self, warehouse: Warehouse, lofty: Sandbox) -> None:
        warehouse.add(1, 2)
        warehouse.run(sql=SQL, cursor_from=1)
        other = SQL.replace("ORDER BY at", "")
        refused(warehouse.run(sql=other), "cursor_from", "SELECT")
        refused(warehouse.run(), "cursor_from", "'visits'")
        refused(warehouse.run(sql=SQL, cursor="id"), "cursor_from", "'at'", "'id'")
        posts = len(lofty.activities)
        assert warehouse.run(sql=other, cursor_from=1).counts == {"already_delivered": 2}
        assert warehouse.run(sql=other).counts == {"already_delivered": 1}
        assert len(lofty.activities) == posts

    @pytest.mark.parametrize("before", ["2026-03-01", 1])
    def test_values_of_another_kind_name_cursor_from(self, warehouse: Warehouse, before: Any) -> None:
        warehouse.add(before)
        warehouse.run()
        warehouse.do("UPDATE visits SET at = ?", 7 if before != 1 else "2026-03-01")
        refused(warehouse.run(), "cursor_from", "text", "number")
        ended = warehouse.run(cursor_from=1 if before != 1 else "2026-01-01")
        assert ended.counts == {"already_delivered": 1}
        assert warehouse.run().counts == {"already_delivered": 1}

    def test_values_of_two_kinds(self, warehouse: Warehouse) -> None:
        warehouse.add(1, "2026-03-01")
        refused(warehouse.run(), "at of row 2", "cannot be compared")

    def test_a_float_that_may_stand_for_another_number(self, warehouse: Warehouse) -> None:
        warehouse.add(0.25, 1772409600.125)
        assert warehouse.run().counts == {"delivered": 2}
        warehouse.add(1772409600.2234567)
        refused(warehouse.run(), "at is a float", "cast it")

    def test_instances_of_a_mapped_task_that_would_move_one_watermark(self, warehouse: Warehouse) -> None:
        warehouse.add(1)
        warehouse.do("CREATE TABLE others AS SELECT * FROM visits WHERE 0")
        one, two, three = (task_instance(run_id="mapped", map_index=index) for index in range(3))
        assert warehouse.run(one).counts == {"delivered": 1}
        assert warehouse.run(two, table="others").error is None
        refused(warehouse.run(three), "expand over", "cursor_from")

    def test_another_connection_to_lofty_names_cursor_from(self, warehouse: Warehouse, lofty: Sandbox) -> None:
        """It stands for another account, which may have got nothing of what lies behind the watermark."""
        warehouse.add(1, 2)
        warehouse.run()
        refused(warehouse.run(lofty_conn_id="office_two"), "cursor_from", "'visits'", "another lofty_conn_id")
        assert len(lofty.activities) == 2
        again = warehouse.run(lofty_conn_id="office_two", cursor_from=1)
        assert (again.counts, span(again)) == ({"already_delivered": 2}, ("1", "2", None))
        warehouse.add(3)
        assert warehouse.run(lofty_conn_id="office_two").counts == {"already_delivered": 1, "delivered": 1}
        back = warehouse.run()  # goes on from where it ended
        assert (back.counts, span(back)) == ({"already_delivered": 2}, ("2", "3", None))

    def test_each_connection_of_a_mapped_task_gets_every_row(self, warehouse: Warehouse, lofty: Sandbox) -> None:
        warehouse.add(1, 2, 3, lead_id=None)
        warehouse.do("UPDATE visits SET mark = 'ada@example.com'")
        for index, office in enumerate(("lofty_default", "office_two")):
            lofty.remove_lead(index)  # the practice Lofty shows one account at a time
            lofty.add_lead(index + 1, emails=["ada@example.com"])
            ended = warehouse.run(
                task_instance(run_id="mapped", map_index=index), lofty_conn_id=office, match_by="email",
                mapping={"email": "mark"},
            )  # fmt: skip
            assert (ended.counts, span(ended)) == ({"delivered": 3}, (None, "3", None))
        assert [activity.lead_id for activity in lofty.activities] == [1] * 3 + [2] * 3
        assert len(warehouse.journal()) == 2

    def test_another_version_of_the_tables(self, warehouse: Warehouse) -> None:
        warehouse.add(1)
        warehouse.run()
        with closing(sqlite3.connect(warehouse.folder / "journal.db")) as journal, journal:
            journal.execute("UPDATE lofty_cursor SET format = 2")
        refused(warehouse.run(), "another version", "lofty_cursor", "cursor_from")


class TestWithoutAnEngine:
    """Where a hook has no SQLAlchemy engine, which tells how its driver takes parameters, its placeholder does."""

    @pytest.fixture(autouse=True)
    def hook_without_an_engine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        engine_of = SqliteHook.get_sqlalchemy_engine

        def only_for_the_journal(self: SqliteHook, *args: Any, **kwargs: Any) -> Any:
            if self.get_conn_id() == "warehouse":
                raise NotImplementedError
            return engine_of(self, *args, **kwargs)

        monkeypatch.setattr(SqliteHook, "get_sqlalchemy_engine", only_for_the_journal)
        monkeypatch.setattr(SqliteHook, "placeholder", "?")

    def test_a_table_is_read_from_where_the_last_run_ended(self, warehouse: Warehouse, lofty: Sandbox) -> None:
        warehouse.add(2, 1, 3)
        first = warehouse.run()
        warehouse.add(4)
        second = warehouse.run()
        assert (first.counts, span(first)) == ({"delivered": 3}, (None, "3", None))
        assert (second.counts, span(second)) == ({"already_delivered": 1, "delivered": 1}, ("3", "4", None))
        assert set(arrived(lofty).values()) == {1}

    def test_sql_is_refused_where_parameters_go_by_position(self, warehouse: Warehouse, lofty: Sandbox) -> None:
        warehouse.add(1)
        refused(warehouse.run(sql=SQL, cursor_from=1), "by position (qmark)", "Use table")
        assert lofty.activities == []


@pytest.mark.server
class TestPostgres:
    """What SQLite does not have: types, zones, collations, and transactions that are committed late."""

    KINDS: ClassVar = {
        "bigint": ("9007199254740993", "9007199254740994", "9007199254740995"),
        "numeric": ("1.10", "1.100000000000000000001", "1.2"),
        "timestamp": ("2026-03-01 10:00:00.123456", "2026-03-01 10:00:00.123457", "2026-03-01 10:00:01"),
        "timestamptz": ("2026-03-01 10:00:00.000001+02", "2026-03-01 10:00:00+01", "2026-03-01 10:00:00-07"),
        'text COLLATE "C"': ("B", "a", "b"),
    }

    @pytest.fixture
    def visits(
        self, postgres_uri: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Callable[..., None]]:
        """Make an empty table for a kind of cursor; what it gives adds a row."""
        host = postgres_uri.partition("host=")[2]
        connection = {"conn_type": "postgres", "login": "postgres", "schema": "postgres", "host": host}
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW_CONN_JOURNAL", json.dumps(connection))
        with closing(psycopg2.connect(postgres_uri)) as database, database.cursor() as cursor:
            made = count(1)

            def add(value: str | None, kind: str = "") -> None:
                if kind:
                    tables = "lofty_cursor, lofty_cursor_reads, lofty_journal, lofty_journal_runs, lofty_journal_format"
                    cursor.execute(f"DROP TABLE IF EXISTS visits, {tables}")
                    cursor.execute(
                        "CREATE TABLE visits (id int, lead_id int, type text, text text, link text, picture text,"
                        f' created timestamptz, "at %" {kind})'
                    )
                n = next(made)
                cursor.execute(
                    "INSERT INTO visits VALUES (%s, 1, 'Browse', %s, 'l', '', '2026-03-01'::date + %s, %s)",
                    (n, f"visit {n}", n, value),
                )
                database.commit()

            yield add
            cursor.execute("DROP TABLE IF EXISTS visits")
            database.commit()

    def run(self, warehouse: Warehouse, **arguments: Any) -> Run:
        return warehouse.run(**{"cursor": "at %", **arguments})

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_kind_of_value_is_kept_and_compared_exactly(
        self, warehouse: Warehouse, visits: Callable[..., None], lofty: Sandbox, kind: str
    ) -> None:
        first, second, third = self.KINDS[kind]
        visits(first, kind)
        assert self.run(warehouse).counts == {"delivered": 1}
        visits(second)
        visits(None)
        ended = self.run(warehouse)
        assert ended.counts == {"already_delivered": 1, "delivered": 1}
        assert any("1 rows have no value" in line for line in ended.log)
        visits(third)
        visits(second)
        assert self.run(warehouse, max_rows=0).counts == {"already_delivered": 1, "not_attempted": 2}
        assert self.run(warehouse).counts == {"already_delivered": 1, "delivered": 2}
        assert self.run(warehouse, cursor_from=second).counts == {"already_delivered": 3}
        assert set(arrived(lofty).values()) == {1}

    def test_with_sql_and_a_lag(self, warehouse: Warehouse, visits: Callable[..., None]) -> None:
        given = {
            "sql": 'SELECT * FROM visits WHERE "at %%" >= %(cursor)s AND lead_id = %(lead)s',
            "parameters": {"lead": 1}, "cursor_lag": "1 hour",
        }  # fmt: skip
        visits("2026-03-01 10:00:00+00", "timestamptz")
        assert self.run(warehouse, **given, cursor_from="2026-03-01").counts == {"delivered": 1}
        visits("2026-03-01 09:00:00.5+00")  # committed late
        visits("2026-03-01 08:59:59+00")
        assert self.run(warehouse, **given).counts == {"already_delivered": 1, "delivered": 1}

    def test_values_of_another_kind_name_cursor_from(
        self, warehouse: Warehouse, visits: Callable[..., None], postgres_uri: str
    ) -> None:
        visits("2026-03-01 10:00:00", "timestamp")
        self.run(warehouse)
        with closing(psycopg2.connect(postgres_uri)) as database, database, database.cursor() as cursor:
            cursor.execute("""ALTER TABLE visits ALTER "at %" TYPE timestamptz""")
        refused(self.run(warehouse), "cursor_from", "timestamp with zone")
        assert self.run(warehouse, cursor_from="2026-03-01").counts == {"already_delivered": 1}

    def test_what_cannot_be_a_cursor(self, warehouse: Warehouse, visits: Callable[..., None]) -> None:
        visits("0.1", "real")
        refused(self.run(warehouse), "float")
        visits("2026-03-01", "timestamp")
        refused(self.run(warehouse, cursor_from="yesterday"), "cursor_from='yesterday'", "timestamp")
        sql = 'SELECT * FROM visits WHERE "at %%" >= %(cursor)s'
        refused(self.run(warehouse, sql=sql, cursor_from="soon"), "cursor_from")
