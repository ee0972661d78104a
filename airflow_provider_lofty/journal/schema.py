"""
The making of a shared journal's tables on first use, and the proof that this version may use them.

Tables carry the number of their format and of the rules by which their keys were formed. Rows that another version
wrote would not be recognised, and would be sent again; so a run that meets another number, or none, sends nothing.
Several runs may make the tables at once, of different versions too: the row that holds the numbers has a primary key,
and whoever comes second reads what the first one wrote.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple
from uuid import uuid4

from sqlalchemy import delete, insert, inspect, literal, select
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

from airflow_provider_lofty.journal.journal import JournalError, JournalUnusable
from airflow_provider_lofty.journal.tables import FORMAT, JOURNAL, RUNS, KeyTaken, Tables, Values
from airflow_provider_lofty.rows.builder import KEY_RULES

_ALL = (FORMAT, JOURNAL, RUNS)


class Format(NamedTuple):
    """By which format tables were made, and by which rules their keys."""

    format: int
    key_rules: int

    def __str__(self) -> str:
        return f"format {self.format} and key rules {self.key_rules}"


CURRENT = Format(3, KEY_RULES)


def prepare(tables: Tables, run: Values) -> None:
    """
    Make what is missing, and refuse tables in which a row could be sent twice.

    :param run: values of a task that may be inserted, and are removed again
    :raises JournalUnusable: when another version made them, or the database does not enforce primary keys
    :raises JournalError: when it cannot be reached
    """
    found = _look(tables)
    is_ours = found.format == CURRENT or (found.format is None and not found.is_bound)
    if is_ours and not found.is_complete:
        found = _make(tables)
    if found.format != CURRENT:
        raise JournalUnusable(_made_by_another_version(found.format))
    if not _enforces_keys(tables, {**run, "task_key": uuid4().hex[:16]}):
        raise JournalUnusable(
            "its database does not enforce primary keys, so that two runs could send the same row. Let journal_conn_id "
            "name a PostgreSQL, MySQL, MariaDB or SQLite database"
        )


class _Found(NamedTuple):
    """
    What there is of the tables.

    :param is_complete: nothing has to be made
    :param is_bound: they must have a format: they hold rows, lack columns, or were made when there were no formats
    """

    is_complete: bool
    is_bound: bool
    format: Format | None


def _look(tables: Tables) -> _Found:
    """Look for the format last: whoever wrote a row that is seen here has written the format before it."""
    with tables.transaction() as connection:
        inspector = inspect(connection)
        there = [table for table in (JOURNAL, RUNS) if inspector.has_table(table.name)]
        is_bound = any(
            connection.execute(select(literal(1)).select_from(table).limit(1)).first() is not None
            or not {column["name"] for column in inspector.get_columns(table.name)}.issuperset(table.columns.keys())
            for table in there
        )
    with tables.transaction() as connection:  # another one, which sees what was written since
        if not inspect(connection).has_table(FORMAT.name):
            return _Found(False, bool(there), None)
        found = connection.execute(select(FORMAT.c.format, FORMAT.c.key_rules)).first()
        return _Found(len(there) == 2 and found is not None, is_bound, None if found is None else Format(*found))


def _make(tables: Tables) -> _Found:
    for statement in _statements():
        with suppress(JournalError), tables.transaction() as connection:  # it is there, or another run has just made it
            connection.execute(statement)
    with suppress(JournalError), tables.transaction() as connection:  # another run was faster
        connection.execute(insert(FORMAT), [{"id": 1, **CURRENT._asdict()}])
    with tables.transaction() as connection:
        for table in _ALL:
            connection.execute(select(table).limit(1)).all()
    found = _look(tables)
    if found.format is None:
        row = ", ".join(f"{name} {number}" for name, number in {"id": 1, **CURRENT._asdict()}.items())
        raise JournalError(f"its table {FORMAT} has no row and takes none from this account: insert one with {row}")
    return found


def _statements() -> list[DDLElement]:
    statements: list[DDLElement] = []
    for table in _ALL:
        statements += [CreateTable(table), *map(CreateIndex, sorted(table.indexes, key=lambda index: str(index.name)))]
    return statements


def _made_by_another_version(found: Format | None) -> str:
    return (
        f"its tables {JOURNAL} and {RUNS} were made by another version of this provider, with {found or 'no format'}; "
        f"this version needs {CURRENT}, and would not recognise their rows. Let the Dag runs that use them end with "
        f"the version that made them. Then drop {JOURNAL}, {RUNS} and {FORMAT}, or let journal_conn_id name another "
        'database or schema, and run with check_existing="always" at first: it finds at Lofty what was delivered before'
    )


def _enforces_keys(tables: Tables, run: Values) -> bool:
    """Try whether a key can be inserted twice, and leave nothing of it."""
    inserted = 0
    try:
        with tables.transaction() as connection:
            for _ in range(2):
                connection.execute(insert(RUNS), [run])
                inserted += 1
    except KeyTaken:
        if not inserted:  # by somebody else
            raise
        return True
    finally:
        with tables.transaction() as connection:  # also of a connection that commits by itself
            connection.execute(delete(RUNS).where(RUNS.c.task_key == run["task_key"]))
    return False
