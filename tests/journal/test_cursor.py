"""Watermarks beside the journal: typed values come back as they were, and of two runs one moves a watermark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.cursors import EXACT
from support.practice import Log
from support.shared_journal import Database, lite, postgres

from airflow_provider_lofty.journal.cursor import CURSORS, READS, CursorStore, Mark, Read, Stream
from airflow_provider_lofty.journal.engine import journal_engine
from airflow_provider_lofty.journal.journal import JournalError, JournalUnusable
from airflow_provider_lofty.journal.tables import Tables
from airflow_provider_lofty.rows.cursor import CursorValue
from airflow_provider_lofty.task_key import TaskKey

STREAM = Stream("0123456789abcdef", "d", "t", "crm.visits", "at")
ONE, TWO = CursorValue.of(1), CursorValue.of(2)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    is_lite = request.param == "sqlite"
    with closing(lite(tmp_path) if is_lite else postgres(request.getfixturevalue("postgres_uri"))) as made:
        yield made


def store(database: Database, stream: Stream = STREAM, **key: Any) -> CursorStore:
    tables = Tables(journal_engine(database, Log()), "scope", lambda: 0.0)
    return CursorStore(tables, stream, TaskKey(**{"dag_id": "d", "run_id": "r", "task_id": "t", **key}), lambda: 0.0)


def test_every_value_comes_back_with_its_type(database: Database) -> None:
    one = store(database)
    one.prepare()
    assert (one.mark(), one.read(), one.others()) == (None, None, [])
    before = None
    for value in map(CursorValue.of, EXACT):
        mark = Mark("at", value, is_held=True, held=value, held_by="k")
        assert one.move(before, mark)
        before = one.mark()
        assert before is not None
        assert before._replace(generation=0) == mark
        assert before.held is not None
        assert type(before.held.value) is type(value.value)
        one.record(value)
        assert one.read() == Read(STREAM.digest, "at", value)


def test_nothing_is_a_value_too(database: Database) -> None:
    one = store(database)
    one.prepare()
    one.record(None)
    assert one.read() == Read(STREAM.digest, "at", None)
    assert one.move(None, Mark("at", None))
    assert one.mark() == Mark("at", None, generation=1)


def test_of_two_runs_one_moves_a_watermark(database: Database) -> None:
    one, other = store(database), store(database, run_id="other")
    one.prepare()
    other.prepare()
    assert one.move(None, Mark("at", ONE))
    assert not other.move(None, Mark("at", TWO))
    found = other.mark()
    assert one.move(found, Mark("at", TWO))
    assert not other.move(found, Mark("at", ONE))
    assert one.mark() == Mark("at", TWO, generation=2)


def test_each_stream_has_a_watermark_of_its_own(database: Database) -> None:
    one, other = store(database), store(database, STREAM._replace(digest="f" * 16, source="x" * 1000))
    one.prepare()
    assert one.move(None, Mark("at", ONE))
    assert other.mark() is None
    assert other.others() == ["crm.visits"]
    assert other.move(None, Mark("at", TWO))
    assert one.mark() == Mark("at", ONE, generation=1)
    assert store(database, STREAM._replace(digest="a" * 16, task_id="another")).others() == []


def test_instances_of_one_run_see_each_other(database: Database) -> None:
    one, other = store(database, map_index=0), store(database, map_index=1)
    one.prepare()
    one.record(ONE)
    one.record(ONE)
    assert not one.is_shared()
    other.record(None)
    assert one.is_shared()
    assert other.is_shared()
    assert not store(database, run_id="next", map_index=1).is_shared()


def test_without_tables_a_preview_makes_none(database: Database) -> None:
    one = store(database)
    assert (one.mark(), one.read(), one.others()) == (None, None, [])
    with pytest.raises(JournalError):
        one.move(None, Mark("at", ONE))


@pytest.mark.parametrize("table", [CURSORS, READS], ids=str)
def test_what_another_version_wrote_is_not_used(database: Database, table: Any) -> None:
    one = store(database)
    one.prepare()
    assert one.move(None, Mark("at", ONE))
    one.record(ONE)
    database.do(f"UPDATE {table} SET format = 2")
    with pytest.raises(JournalUnusable, match="another version"):
        (one.mark(), one.read())
    database.do(f"DROP TABLE {table}")
    database.do(f"CREATE TABLE {table} (stream INTEGER)")
    with pytest.raises(JournalUnusable, match="another version"):
        one.prepare()
