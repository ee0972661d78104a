"""
What is stored has a format: a run that meets another one, or keys that other rules formed, sends nothing.

``fixtures/tables_without_format.sql`` (the dump of a SQLite file) and ``fixtures/task_state_version_1.json`` (the store's
keys and values) were written by the code of commit 0b45889, before there were such numbers: the operator sent ``ROWS`` to
the sandbox, once with ``journal_conn_id`` and once with a task state store; the last row's lead did not exist.
``fixtures/tables_format_1.sql`` was written so by the code before tables had format 2, ``fixtures/tables_format_2.sql``
and ``fixtures/task_state_version_3.json`` by the code before they had 3 and 4. What has ``rules_2`` in its name was
written by the code before rows whose lead is looked for were told apart by the connection.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.practice import Run, Store, row, run, task_instance
from support.shared_journal import ONE, Parties, lite, postgres

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.journal import schema, task_state
from airflow_provider_lofty.journal.database import SqlJournal
from airflow_provider_lofty.journal.journal import JournalError, JournalUnusable
from airflow_provider_lofty.journal.schema import CURRENT, Format
from airflow_provider_lofty.journal.tables import FORMAT, JOURNAL, RUNS
from airflow_provider_lofty.journal.task_state import KEY, VERSION
from airflow_provider_lofty.lofty.trace import trace_of_body
from airflow_provider_lofty.rows.builder import KEY_RULES
from airflow_provider_lofty.rows.mapping import RowMapping
from airflow_provider_lofty.sandbox import Sandbox

FIXTURES = Path(__file__).parent / "fixtures"
ROWS = [row(n, text=f"Viewed home {n}", created="2026-03-01T10:00:00Z") for n in range(1, 8)]


def keys(*, unique_key: list[str] | None = None, **values: object) -> tuple[str, ...]:
    """Row key, fingerprint, trace and marks of a row."""
    given: dict[str, object] = {
        "lead_id": "4711", "type": "browse", "text": "Viewed 12 Made-up Läne", "link": "https://homes.example.com/12",
        "picture": "", "created": "2026-03-01T10:00:00.123Z", **values,
    }  # fmt: skip
    builder = RowMapping(unique_key=unique_key).builder(tuple(given), table=True)
    activity = builder.build(list(given.values()))
    trace = trace_of_body(activity.lead_id, activity.body)
    formed = activity.row_key, activity.fingerprint, activity.trace_hash, trace.text_mark, trace.link_mark
    assert trace.trace_hash == activity.trace_hash
    return tuple(part.hex() for part in formed)


# Never change what stands here: add the next number when the rules have changed.
_TRACE = "baf090f6a9aec222a0acb744"
GOLDEN = {
    1: [
        (_TRACE, "56359b915e70ecf5290c380d0dd0ab05", _TRACE, "9ef326", "4dc9f2"),
        ("9fee27645fe9d45c662f79dd", "56359b915e70ecf5290c380d0dd0ab05", _TRACE, "9ef326", "4dc9f2"),
        (_TRACE, "4cff3a26bca4d9244041c42a7879825e", _TRACE, "9ef326", "4dc9f2"),
    ],
    2: [
        (_TRACE, "56359b915e70ecf5290c380d0dd0ab05", _TRACE, "9ef326", "4dc9f2"),
        ("9fee27645fe9d45c662f79dd", "56359b915e70ecf5290c380d0dd0ab05", _TRACE, "9ef326", "4dc9f2"),
        ("9fee27645fe9d45c662f79dd", "56359b915e70ecf5290c380d0dd0ab05", _TRACE, "9ef326", "4dc9f2"),
        (_TRACE, "4cff3a26bca4d9244041c42a7879825e", _TRACE, "9ef326", "4dc9f2"),
        ("9fee27645fe9d45c662f79dd", "56359b915e70ecf5290c380d0dd0ab05", _TRACE, "9ef326", "4dc9f2"),
        (_TRACE, "56359b915e70ecf5290c380d0dd0ab05", _TRACE, "9ef326", "4dc9f2"),
    ],
    3: [  # as before: what the operator's scope names has changed
        (_TRACE, "56359b915e70ecf5290c380d0dd0ab05", _TRACE, "9ef326", "4dc9f2"),
        ("9fee27645fe9d45c662f79dd", "56359b915e70ecf5290c380d0dd0ab05", _TRACE, "9ef326", "4dc9f2"),
        ("9fee27645fe9d45c662f79dd", "56359b915e70ecf5290c380d0dd0ab05", _TRACE, "9ef326", "4dc9f2"),
        (_TRACE, "4cff3a26bca4d9244041c42a7879825e", _TRACE, "9ef326", "4dc9f2"),
        ("9fee27645fe9d45c662f79dd", "56359b915e70ecf5290c380d0dd0ab05", _TRACE, "9ef326", "4dc9f2"),
        (_TRACE, "56359b915e70ecf5290c380d0dd0ab05", _TRACE, "9ef326", "4dc9f2"),
    ],
}
GOLDEN_SOURCES = {  # host of Lofty, unique_key, connection where leads are looked for, kind of source, match_by
    1: ["90d628e2a5c0253e", "948b6c749b9f08a1"],
    2: ["90d628e2a5c0253e", "948b6c749b9f08a1", "948b6c749b9f08a1"],
    3: ["90d628e2a5c0253e", "948b6c749b9f08a1", "948b6c749b9f08a1",
        "4ce86ecbd9cc8a69", "331141dfb923be23", "6a938ce510300056"],
}  # fmt: skip


def test_keys_are_formed_by_the_rules_of_their_number() -> None:
    formed = [
        keys(),
        keys(unique_key=["a", "b"], a=17, b="x"),
        keys(unique_key=["B", "a"], a=17, b="x"),
        keys(**{"listing.price": "450000", "pageName": "p", "scheduledDate": "2026-04-01"}),
        keys(unique_key=["a", "b"], a="17.0", b="x"),
        keys(link=" https://homes.example.com/12", picture="\u00a0"),
    ]
    assert formed == GOLDEN[KEY_RULES], "raise KEY_RULES in rows/builder.py, and add what is formed now"


def test_what_rows_are_told_apart_by_is_named_by_the_rules_of_their_number(
    tmp_path: Path, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect("https://api.lofty.com")  # which is not asked anything: there are no rows
    path = tmp_path / "journal.db"
    monkeypatch.setenv("AIRFLOW_CONN_JOURNAL", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    monkeypatch.setenv("AIRFLOW_CONN_OFFICE_TWO", os.environ["AIRFLOW_CONN_LOFTY_DEFAULT"])
    ways: list[dict[str, Any]] = [
        {}, {"unique_key": ["a", "b"]}, {"unique_key": ["b", "A"]}, {"match_by": "email"},
        {"match_by": "email", "lofty_conn_id": "office_two"}, {"match_by": ["email", "phone"], "unique_key": "a"},
    ]  # fmt: skip
    for number, way in enumerate(ways):
        run(task_instance(run_id=str(number)), rows=[], journal_conn_id="journal", **way)
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT source FROM lofty_journal_runs ORDER BY run_id").fetchall()
    assert [source for (source,) in found] == GOLDEN_SOURCES[KEY_RULES], "raise KEY_RULES, and add what is named now"


def before(tmp_path: Path, tables: str = "tables_without_format") -> Path:
    """Lay out tables that earlier code wrote."""
    path = tmp_path / "journal.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.executescript((FIXTURES / f"{tables}.sql").read_text())
    return path


class TestTables:
    @pytest.fixture(autouse=True)
    def connected(self, lofty: Sandbox, connect: Callable[..., None]) -> None:
        connect(lofty)

    @pytest.fixture
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        path = before(tmp_path)
        monkeypatch.setenv("AIRFLOW_CONN_JOURNAL", json.dumps({"conn_type": "sqlite", "host": str(path)}))
        return path

    def dump(self, path: Path) -> str:
        with closing(sqlite3.connect(path)) as database:
            return "\n".join(database.iterdump())

    def refused(self, lofty: Sandbox, *says: str) -> None:
        asked = len(lofty.requests)
        for ti in (task_instance(), task_instance(run_id="next"), task_instance(try_number=2)):
            ended: Run = run(ti, rows=ROWS, journal_conn_id="journal")
            assert isinstance(ended.error, LoftyConfigurationError)
            for words in (
                *says,
                "lofty_journal_runs",
                "Dag runs",
                "drop",
                'check_existing="always"',
                "Nothing was sent",
            ):
                assert words in str(ended.error)
        assert len(lofty.requests) == asked

    def test_without_a_format_nothing_is_sent(self, path: Path, lofty: Sandbox) -> None:
        was = self.dump(path)
        self.refused(lofty, "with no format", str(CURRENT))
        assert self.dump(path) == was

    @pytest.mark.parametrize("emptied", ["lofty_journal", "lofty_journal_runs"])
    def test_a_part_of_them_is_enough(self, path: Path, lofty: Sandbox, emptied: str) -> None:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(f"DELETE FROM {emptied}")
        self.refused(lofty, "with no format")

    @pytest.mark.parametrize(
        ("number", "key_rules", "kept"), [(1, 1, "format_1"), (2, 2, "format_2"), (3, 2, "format_3_rules_2")]
    )
    def test_of_an_earlier_format_or_rules_nothing_is_sent(
        self, path: Path, lofty: Sandbox, tmp_path: Path, number: int, key_rules: int, kept: str
    ) -> None:
        before(tmp_path, f"tables_{kept}")
        was = self.dump(path)
        self.refused(lofty, f"with format {number} and key rules {key_rules}", str(CURRENT))
        assert self.dump(path) == was

    @pytest.mark.parametrize(
        "other", [Format(CURRENT.format + 1, KEY_RULES), Format(CURRENT.format, KEY_RULES + 1), Format(0, 0)]
    )
    def test_with_another_format_or_other_keys_nothing_is_sent(self, path: Path, lofty: Sandbox, other: Format) -> None:
        path.unlink()
        assert run(rows=ROWS[:1], journal_conn_id="journal").counts == {"delivered": 1}
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE lofty_journal_format SET format = ?, key_rules = ?", other)
        self.refused(lofty, str(other), str(CURRENT))

    def test_what_the_message_says_works(self, path: Path, lofty: Sandbox) -> None:
        assert run(rows=ROWS[:6], journal_conn_id=None).counts == {"delivered": 6}
        with closing(sqlite3.connect(path)) as database, database:
            for table in ("lofty_journal", "lofty_journal_runs"):
                database.execute(f"DROP TABLE {table}")
        ended = run(task_instance(run_id="next"), rows=ROWS[:6], journal_conn_id="journal", check_existing="always")
        assert ended.counts == {"already_delivered": 6}

    def test_tables_that_an_administrator_made_are_used(self, path: Path, lofty: Sandbox) -> None:
        path.unlink()
        run(rows=[], journal_conn_id="journal")
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("DELETE FROM lofty_journal_runs")
            database.execute("DELETE FROM lofty_journal_format")
        assert run(rows=ROWS[:1], journal_conn_id="journal").counts == {"delivered": 1}
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("SELECT * FROM lofty_journal_format").fetchall() == [(1, *CURRENT)]

    def test_empty_tables_of_an_earlier_version_are_not_used(self, path: Path, lofty: Sandbox) -> None:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("DELETE FROM lofty_journal")
            database.execute("DELETE FROM lofty_journal_runs")
        self.refused(lofty, "with no format", str(CURRENT))

    def test_a_format_that_was_deleted_is_not_guessed(self, path: Path, lofty: Sandbox) -> None:
        path.unlink()
        run(rows=ROWS[:1], journal_conn_id="journal")
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("DELETE FROM lofty_journal_format")
        self.refused(lofty, "with no format")


class TestSeveralVersions:
    @pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
    def parties(self, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
        is_lite = request.param == "sqlite"
        with closing(lite(tmp_path) if is_lite else postgres(request.getfixturevalue("postgres_uri"))) as database:
            yield Parties(database)

    def test_of_two_that_make_the_tables_at_once_one_may_use_them(
        self, parties: Parties, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        together = threading.Barrier(6)
        versions = threading.local()

        class Either:
            """The number of the version that asks."""

            def __eq__(self, found: object) -> bool:
                return bool(found == versions.current)

            def __ne__(self, found: object) -> bool:
                return not self == found

            __hash__ = None  # type: ignore[assignment]

            def _asdict(self) -> dict[str, int]:
                return dict(versions.current._asdict())

        monkeypatch.setattr(schema, "CURRENT", Either())

        def begin(number: int) -> tuple[int, str]:
            versions.current = Format(1, 1 + number % 2)
            journal: SqlJournal = parties.journal(f"r{number}")
            together.wait(30)
            try:
                journal.begin(is_later_try=False)
            except JournalUnusable:
                return versions.current.key_rules, "refused"
            except JournalError:
                return versions.current.key_rules, "unlucky"  # SQLite was locked: a retry mends it
            finally:
                journal.close()
            return versions.current.key_rules, "begun"

        with ThreadPoolExecutor(6) as pool:
            ended = list(pool.map(begin, range(6)))
        ((kept,),) = parties.database.do(f"SELECT key_rules FROM {FORMAT}")
        assert {rules for rules, how in ended if how == "begun"} <= {kept}
        assert all(how != "begun" for rules, how in ended if rules != kept)
        assert {run_id for (run_id,) in parties.database.do(f"SELECT run_id FROM {RUNS}")} == {
            f"r{number}" for number, (_, how) in enumerate(ended) if how == "begun"
        }

    @pytest.mark.server
    def test_an_account_that_may_make_no_tables_uses_those_that_are_there(self, postgres_uri: str) -> None:
        with closing(postgres(postgres_uri)) as database:
            parties = Parties(database)
            parties.started("a").close()
            account = f"u{id(database)}"
            ((schema_name,),) = database.do("SELECT current_schema()")
            database.do(
                f"CREATE ROLE {account}; GRANT USAGE ON SCHEMA {schema_name} TO {account};"
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON {JOURNAL}, {RUNS} TO {account};"
                f"GRANT SELECT ON {FORMAT} TO {account}"
            )
            connect = database.connect

            def connect_as_it() -> Any:
                connection = connect()
                with closing(connection.cursor()) as cursor:
                    cursor.execute(f"SET ROLE {account}")
                connection.commit()
                return connection

            database.connect = connect_as_it
            assert parties.started("b").commit([ONE], ()) == set()
            database.connect = connect
            database.do(f"DROP TABLE {JOURNAL}; DROP TABLE {RUNS}; DROP TABLE {FORMAT}")
            database.connect = connect_as_it
            with pytest.raises(JournalError) as caught:
                parties.journal("c").begin(is_later_try=False)
            assert not isinstance(caught.value, JournalUnusable)


class TestTaskState:
    @pytest.fixture(autouse=True)
    def connected(self, lofty: Sandbox, connect: Callable[..., None]) -> None:
        connect(lofty)

    def store(self, number: int | str = 1, **header: object) -> Store:
        store = Store()
        found = json.loads((FIXTURES / f"task_state_version_{number}.json").read_text())
        found[KEY].update(header)
        store.values.update({key: json.dumps(value) for key, value in found.items()})
        return store

    def refused(self, store: Store, lofty: Sandbox, *says: str) -> None:
        was = dict(store.values)
        for number in (1, 2):
            ended = run(task_instance(try_number=number), store, rows=ROWS)
            assert isinstance(ended.error, LoftyConfigurationError)
            for words in (
                *says,
                f"format {VERSION} with key rules {KEY_RULES}",
                "task's state is removed",
                "Nothing was",
            ):
                assert words in str(ended.error)
        assert (lofty.requests, store.values) == ([], was)

    def test_of_an_earlier_version_nothing_is_sent(self, lofty: Sandbox) -> None:
        self.refused(self.store(), lofty, "format 1 with key rules none")
        self.refused(self.store(3), lofty, "format 3 with key rules 2")
        self.refused(self.store("4_rules_2"), lofty, "format 4 with key rules 2")

    @pytest.mark.parametrize("other", [{"version": VERSION + 1}, {"version": VERSION, "key_rules": KEY_RULES + 1}])
    def test_of_another_one_neither(self, lofty: Sandbox, other: dict[str, int]) -> None:
        self.refused(self.store(**other), lofty, f"format {other['version']} with")

    def test_what_the_message_says_works(self, lofty: Sandbox) -> None:
        store = self.store()
        first = run(rows=ROWS[:6], durable=False)
        store.values.clear()
        ended = run(task_instance(try_number=2), store, rows=ROWS[:6])
        assert (first.counts, ended.counts) == ({"delivered": 6}, {"already_delivered": 6})
        assert json.loads(store.values[KEY])["key_rules"] == KEY_RULES
        assert task_state.VERSION == VERSION
