"""The making of a shared journal's tables on first use, and the proof that their keys are enforced."""

from __future__ import annotations

from contextlib import suppress
from uuid import uuid4

from sqlalchemy import delete, insert, select
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

from airflow_provider_lofty.journal.journal import JournalError, JournalUnusable
from airflow_provider_lofty.journal.tables import METADATA, RUNS, ConnectionLost, Tables, Values


def prepare(tables: Tables, run: Values) -> None:
    """
    Make what is missing, and refuse a database in which a row could be claimed twice.

    :param run: values of a task that may be inserted, and are removed again
    :raises JournalUnusable: when the database does not enforce primary keys
    :raises JournalError: when it cannot be reached
    """
    if not _are_there(tables):
        for statement in _statements():
            with suppress(JournalError), tables.transaction() as connection:  # another run may have just made it
                connection.execute(statement)
        _look(tables)
    if not _enforces_keys(tables, {**run, "task_key": uuid4().hex[:16]}):
        raise JournalUnusable("its database does not enforce primary keys, so that two runs could send the same row")


def _statements() -> list[DDLElement]:
    statements: list[DDLElement] = []
    for table in METADATA.sorted_tables:
        statements += [CreateTable(table), *map(CreateIndex, sorted(table.indexes, key=lambda index: str(index.name)))]
    return statements


def _are_there(tables: Tables) -> bool:
    try:
        _look(tables)
    except JournalError:
        return False
    return True


def _look(tables: Tables) -> None:
    with tables.transaction() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(select(table).limit(1)).all()


def _enforces_keys(tables: Tables, run: Values) -> bool:
    """Try whether a key can be inserted twice, and leave nothing of it."""
    inserted = 0
    try:
        with tables.transaction() as connection:
            for _ in range(2):
                connection.execute(insert(RUNS), [run])
                inserted += 1
    except ConnectionLost:
        raise
    except JournalError:
        if not inserted:  # it was not the key
            raise
        return True
    finally:
        with tables.transaction() as connection:  # also of a connection that commits by itself
            connection.execute(delete(RUNS).where(RUNS.c.task_key == run["task_key"]))
    return False
