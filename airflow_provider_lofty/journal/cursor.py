"""
How far tasks have read sources that only grow: two tables beside the journal's, in the same database.

``lofty_cursor`` holds a watermark for each stream: one task's reading of one table or statement. ``lofty_cursor_reads``
holds from where each task instance reads, which is the same in all its tries. Both are made when the first task uses a
cursor. Every row carries the number of the format that it was written in.

A watermark is moved by whoever finds it as it was: with each move its generation changes. What is asked here may be
asked again, whatever of it has taken effect.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from sqlalchemy import Column, Index, Integer, String, Table, insert, inspect, select, update
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

from airflow_provider_lofty.journal.journal import JournalError, JournalUnusable, NoJournal, utc_now
from airflow_provider_lofty.journal.tables import ANY_TEXT, METADATA, KeyTaken, Tables
from airflow_provider_lofty.rows.cursor import LONGEST, CursorValue, Kind
from airflow_provider_lofty.task_key import TaskKey

CURSOR_FORMAT = 1
_NAME_LENGTH = 250

CURSORS = Table(
    "lofty_cursor",
    METADATA,
    Column("stream", String(16), primary_key=True),  # a hash of what Stream names
    Column("format", Integer, nullable=False),
    Column("dag_id", String(_NAME_LENGTH), nullable=False),
    Column("task_id", String(_NAME_LENGTH), nullable=False),
    Column("source", String(_NAME_LENGTH), nullable=False),  # for people; a statement perhaps shortened
    Column("cursor_column", String(_NAME_LENGTH), nullable=False),
    Column("kind", String(24)),
    Column("watermark", String(LONGEST)),  # the highest value that was read; NULL: none was
    Column("is_held", Integer, nullable=False),  # 1: reading goes on from the held value, and not from the watermark
    Column("held_kind", String(24)),
    Column("held", String(LONGEST)),  # NULL: from the beginning
    Column("held_by", String(16)),  # the task instance whose rows hold it; NULL: several
    Column("generation", Integer, nullable=False),
    Column("run_id", String(_NAME_LENGTH), nullable=False),  # whose run has moved it last
    Column("moved_at", String(32), nullable=False),
    **ANY_TEXT,
)
READS = Table(
    "lofty_cursor_reads",
    METADATA,
    Column("task_key", String(16), primary_key=True),
    Column("format", Integer, nullable=False),
    Column("stream", String(16), nullable=False),
    Column("dag_id", String(_NAME_LENGTH), nullable=False),
    Column("run_id", String(_NAME_LENGTH), nullable=False),
    Column("task_id", String(_NAME_LENGTH), nullable=False),
    Column("map_index", Integer, nullable=False),
    Column("cursor_column", String(_NAME_LENGTH), nullable=False),
    Column("since_kind", String(24)),
    Column("since", String(LONGEST)),  # NULL: everything
    Column("first_read_at", String(32), nullable=False),
    **ANY_TEXT,
)
Index("lofty_cursor_reads_stream", READS.c.stream)


class Stream(NamedTuple):
    """
    One task's reading of one source.

    :param digest: names Lofty's host, the connection to it, Dag, task, the source's connection, and table or statement
    :param source: its table or statement, for people
    """

    digest: str
    dag_id: str
    task_id: str
    source: str
    column: str


class Mark(NamedTuple):
    """
    How far a stream is read.

    :param watermark: the highest value that was read
    :param is_held: whether some of what was read must be read again, from ``held`` on
    :param held: None: from the beginning
    :param held_by: the task instance whose rows these are; None: of several
    """

    column: str
    watermark: CursorValue | None
    is_held: bool = False
    held: CursorValue | None = None
    held_by: str | None = None
    generation: int = 0


class Read(NamedTuple):
    """From where a task instance reads; ``since`` is None for everything."""

    stream: str
    column: str
    since: CursorValue | None


class CursorStore:
    """
    The watermark of one stream.

    :param tables: of the journal, whose connection it shares
    :param now: seconds since 1970
    """

    def __init__(self, tables: Tables, stream: Stream, key: TaskKey, now: Callable[[], float] = time.time) -> None:
        self._tables = tables
        self._stream = stream
        self._key = key
        self._now = now

    def prepare(self) -> None:
        """
        Make the tables where they are missing.

        :raises JournalUnusable: when they are of another version
        """
        for table in (CURSORS, READS):
            if not self._is_there(table):
                statements: list[DDLElement] = [CreateTable(table), *map(CreateIndex, table.indexes)]
                with suppress(JournalError), self._tables.transaction() as connection:  # another run was faster
                    for statement in statements:
                        connection.execute(statement)
            with self._tables.transaction() as connection:
                columns = {column["name"] for column in inspect(connection).get_columns(table.name)}
                if not columns.issuperset(table.columns.keys()):
                    raise JournalUnusable(_ANOTHER_VERSION)

    def _is_there(self, table: Table) -> bool:
        with self._tables.transaction() as connection:
            return bool(inspect(connection).has_table(table.name))

    def mark(self) -> Mark | None:
        """How far the stream is read; None where nobody has read it to an end."""
        row = self._row(CURSORS, CURSORS.c.stream == self._stream.digest)
        if row is None:
            return None
        return Mark(
            row.cursor_column, _value(row.kind, row.watermark), bool(row.is_held), _value(row.held_kind, row.held),
            row.held_by, row.generation,
        )  # fmt: skip

    def others(self) -> list[str]:
        """What else this task has read, or for which other connection: tables and statements, for people."""
        if not self._is_there(CURSORS):
            return []
        stream, table = self._stream, CURSORS.c
        where = (table.dag_id == stream.dag_id, table.task_id == stream.task_id, table.stream != stream.digest)
        with self._tables.transaction() as connection:
            return [row.source for row in connection.execute(select(table.source).where(*where))]

    def read(self) -> Read | None:
        """From where earlier tries of this task instance read; None where there was none."""
        row = self._row(READS, READS.c.task_key == self._key.digest)
        return None if row is None else Read(row.stream, row.cursor_column, _value(row.since_kind, row.since))

    def _row(self, table: Table, where: Any) -> Any:
        if not self._is_there(table):  # a preview makes none
            return None
        with self._tables.transaction() as connection:
            row = connection.execute(select(table).where(where)).one_or_none()
        if row is not None and row.format != CURSOR_FORMAT:
            raise JournalUnusable(_ANOTHER_VERSION)
        return row

    def record(self, since: CursorValue | None) -> None:
        """Write down from where this task instance reads."""
        dag_id, run_id, task_id, map_index = self._key.instance
        values = {
            "format": CURSOR_FORMAT, "stream": self._stream.digest, "cursor_column": self._stream.column,
            "dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index,
            "since_kind": since and since.kind.value, "since": since and since.text,
            "first_read_at": utc_now(self._now),
        }  # fmt: skip
        key = self._key.digest
        try:
            with self._tables.transaction() as connection:
                connection.execute(insert(READS), [{"task_key": key, **values}])
        except KeyTaken:  # of another stream, before its Dag was changed; or its answer was lost
            with self._tables.transaction() as connection:
                connection.execute(update(READS).where(READS.c.task_key == key).values(**values))

    def is_shared(self) -> bool:
        """Whether another instance of this task reads the same stream in the same run."""
        dag_id, run_id, task_id, map_index = self._key.instance
        table = READS.c
        with self._tables.transaction() as connection:
            found = connection.execute(
                select(table.map_index).where(
                    table.stream == self._stream.digest, table.dag_id == dag_id, table.task_id == task_id,
                    table.run_id == run_id, table.map_index != map_index,
                ).limit(1)
            )  # fmt: skip
            return found.first() is not None

    def move(self, before: Mark | None, after: Mark) -> bool:
        """
        Put one mark in the place of another.

        :return: whether it was still there; otherwise somebody else has moved it
        """
        generation = before.generation if before is not None else 0
        values = {
            "format": CURSOR_FORMAT, "dag_id": self._stream.dag_id, "task_id": self._stream.task_id,
            "source": self._stream.source[:_NAME_LENGTH], "cursor_column": after.column,
            "kind": after.watermark and after.watermark.kind.value,
            "watermark": after.watermark and after.watermark.text,
            "is_held": int(after.is_held), "held_kind": after.held and after.held.kind.value,
            "held": after.held and after.held.text, "held_by": after.held_by, "generation": generation + 1,
            "run_id": self._key.run_id, "moved_at": utc_now(self._now),
        }  # fmt: skip
        stream = self._stream.digest
        if before is None:
            try:
                with self._tables.transaction() as connection:
                    connection.execute(insert(CURSORS), [{"stream": stream, **values}])
            except KeyTaken:
                return False
            return True
        where = (CURSORS.c.stream == stream, CURSORS.c.generation == generation)
        with self._tables.transaction() as connection:
            return connection.execute(update(CURSORS).where(*where).values(**values)).rowcount == 1


class PreviewJournal(NoJournal):
    """Keeps nothing, and knows how far a source was read."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def close(self) -> None:
        """Close the connection."""
        self.tables.close()


def _value(kind: str | None, text: str | None) -> CursorValue | None:
    return None if kind is None or text is None else CursorValue(Kind(kind), text)


_ANOTHER_VERSION = (
    f"its tables {CURSORS} and {READS} were written by another version of this provider, whose values this one may "
    "take for others. Use that version, or drop both tables and give cursor_from to each task with a cursor: what was "
    "delivered before is known by the other tables, and not sent again"
)
