"""
Rows from a table or query on any Airflow ``DbApiHook``, in constant memory where the database can.

There are two ways. Through SQLAlchemy with a server-side cursor, rows arrive as they are read. Where a hook has no
SQLAlchemy engine, its own ``run`` executes the statement and its cursor is read with ``fetchmany``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timezone, tzinfo
from functools import partial
from typing import Any, Protocol, TypeVar

from airflow.providers.common.sql.hooks.sql import DbApiHook
from sqlalchemy.engine import Connection, CursorResult, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftySourceNotReady
from airflow_provider_lofty.lofty.redaction import redact
from airflow_provider_lofty.rows.infinite_time import refuse_infinite_times
from airflow_provider_lofty.rows.json_columns import keep_json_digits
from airflow_provider_lofty.rows.newer import PARAMETER, Facts, Newer, Style, bare_name
from airflow_provider_lofty.rows.providers import database_hook
from airflow_provider_lofty.rows.session_time import TIMESTAMP, as_shown, timestamp_conversion
from airflow_provider_lofty.rows.short_floats import Mark, mark_of_duckdb, mark_of_float
from airflow_provider_lofty.rows.source import Source, SourceRow, Take
from airflow_provider_lofty.rows.values import ShortFloat, SixDigitFloat

_BATCH = 1000
# The code of a column of 32-bit floats, by driver.
_SHORT_FLOATS: dict[str, tuple[int, Callable[[float], float]]] = {
    "psycopg": (700, ShortFloat),
    "psycopg2": (700, ShortFloat),
    "pymysql": (4, SixDigitFloat),
    "MySQLdb": (4, SixDigitFloat),
}
_MYSQL = frozenset(("mysql", "mariadb"))
_IDENTIFIER_PART = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')
_IDENTIFIER = re.compile(rf"(?:{_IDENTIFIER_PART.pattern})(?:\.(?:{_IDENTIFIER_PART.pattern}))*")

# What drivers raise when parameters do not fit a statement.
_MISFITS = (TypeError, ValueError, LookupError, OverflowError)
_NOT_OF_ITS_KIND = (
    ". Or the cursor has values of another kind than cursor_from, or than it had before: give cursor_from"
)

Parameters = Iterable[object] | Mapping[str, object] | None
DriverParameters = dict[str, object] | tuple[object, ...] | None
Row = TypeVar("Row")


class _Cursor(Protocol):
    """What is used of a driver's cursor (PEP 249)."""

    description: Sequence[Sequence[object]] | None

    def fetchmany(self, size: int, /) -> Sequence[Sequence[object]]: ...


def read_sql(
    conn_id: str,
    *,
    sql: str | None = None,
    table: str | None = None,
    parameters: Parameters = None,
    hook_params: dict[str, object] | None = None,
    newer: Newer | None = None,
    zone: tzinfo = timezone.utc,
    take: Take,
) -> None:
    """
    Read the rows of one query or one table.

    :param conn_id: a connection whose hook is a ``DbApiHook``
    :param sql: one statement that returns rows, in the driver's own parameter style
    :param table: instead of ``sql``: a table, with or without its schema
    :param parameters: for the statement
    :param hook_params: for the constructor of the hook
    :param newer: which rows only; those of a table come in the order of its cursor
    :param zone: the zone of times that name none
    :param take: gets the result
    :raises LoftyConfigurationError: when the connection is missing or leads to no ``DbApiHook``
    :raises LoftySourceNotReady: when the database refuses or does not answer
    """
    hook = database_hook(conn_id, hook_params)
    engine = _engine(hook)
    name = f"table {table}" if table else "query"
    if sql:
        statement = sql
        if newer is not None:
            parameters = _style(hook, engine).parameters(sql, parameters, _shown(engine, newer.since(None), zone))
    elif newer is None:
        statement = f"SELECT * FROM {_quoted(table or '', hook, engine)}"  # noqa: S608 - quoted by the dialect
    else:
        statement, parameters = _newer_in(table or "", name, hook, engine, newer, zone)
    _read(hook, engine, name, statement, parameters, zone, take)


def _read(
    hook: DbApiHook,
    engine: Engine | None,
    name: str,
    statement: str,
    parameters: Parameters,
    zone: tzinfo,
    take: Take,
) -> None:
    if engine is None:
        _through_run(hook, name, statement, parameters, take)
    else:
        _through_engine(engine, name, statement, parameters, zone, take)


def _style(hook: DbApiHook, engine: Engine | None) -> Style:
    if engine is None:
        return Style("qmark" if hook.placeholder == "?" else "format")
    return Style(engine.dialect.paramstyle, knows_names=engine.dialect.name == "sqlite")


def _shown(engine: Engine | None, value: object, zone: tzinfo) -> object:
    """Write an instant as its database shows it: MySQL's drivers drop the zone of a time without a word."""
    if engine is None or engine.dialect.name not in _MYSQL or not isinstance(value, datetime) or value.tzinfo is None:
        return value
    with engine.connect() as connection:
        return as_shown(connection, value, zone)


def _newer_in(
    table: str, name: str, hook: DbApiHook, engine: Engine | None, newer: Newer, zone: tzinfo
) -> tuple[str, Parameters]:
    """Ask for a table's newer rows, the oldest first: a run that ends early holds back only what it has not sent."""
    (name_of_column, is_quoted), place = bare_name(newer.column), _quoted(table, hook, engine)
    column = _quoted_part(name_of_column, hook, engine, is_quoted=is_quoted)
    highest, without = (
        _first_cell(hook, engine, name, statement, zone)
        for statement in (
            f"SELECT MAX({column}) FROM {place}",  # noqa: S608 - quoted by the dialect
            f"SELECT COUNT(*) FROM {place} WHERE {column} IS NULL",  # noqa: S608 - quoted by the dialect
        )
    )
    value = newer.since(Facts(highest, int(str(without or 0))))
    if value is None:
        return f"SELECT * FROM {place} ORDER BY {column}", None  # noqa: S608 - quoted by the dialect
    style = _style(hook, engine)
    mark, parameters = style.condition(_shown(engine, value, zone))
    place, column = style.escaped(place), style.escaped(column)
    return f"SELECT * FROM {place} WHERE {column} >= {mark} ORDER BY {column}", parameters  # noqa: S608 - the same


def _first_cell(hook: DbApiHook, engine: Engine | None, name: str, statement: str, zone: tzinfo) -> object:
    cells: list[object] = []

    def take(source: Source) -> None:
        cells.extend(cell for row in source.rows for cell in row.cells)

    _read(hook, engine, name, statement, None, zone, take)
    return cells[0] if cells else None


def _engine(hook: DbApiHook) -> Engine | None:
    """The hook's SQLAlchemy engine, or None where it has none that works here."""
    try:
        engine: Engine = hook.get_sqlalchemy_engine()
    except Exception as error:  # each hook says "not supported" in its own way
        hook.log.debug("no SQLAlchemy engine (%s); reading through the hook's own run()", type(error).__name__)
        return None
    return engine


def table_parts(table: str) -> list[tuple[str, bool]]:
    """
    Split a table's name into its parts, each with whether it was quoted.

    :raises LoftyConfigurationError: when it is not a name
    """
    parts = [(plain or quoted.replace('""', '"'), bool(quoted)) for quoted, plain in _IDENTIFIER_PART.findall(table)]
    if not _IDENTIFIER.fullmatch(table) or not all(part.strip() for part, _ in parts):
        raise LoftyConfigurationError(f"table={table!r} is not a table name")
    return parts


def _quoted(table: str, hook: DbApiHook, engine: Engine | None) -> str:
    """Quote each part of the name where the dialect needs it; a part that was quoted stays quoted."""
    return ".".join(_quoted_part(part, hook, engine, is_quoted=quoted) for part, quoted in table_parts(table))


def _quoted_part(part: str, hook: DbApiHook, engine: Engine | None, *, is_quoted: bool = False) -> str:
    if engine is None:
        return _escaped(part, is_quoted, hook)
    preparer = engine.dialect.identifier_preparer
    quoted = str((preparer.quote_identifier if is_quoted else preparer.quote)(part))
    # It writes a percent sign twice, as a statement with parameters needs it, for drivers that mark these with one.
    return quoted if quoted.count("%") == part.count("%") else quoted.replace("%%", "%")


def _escaped(part: str, quoted: bool, hook: DbApiHook) -> str:
    if not quoted and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", part):
        return part
    mark = hook.escape_word_format  # such as '"{}"' or '`{}`'
    return mark.format(part.replace(mark[-1], mark[-1] * 2))


def _through_engine(
    engine: Engine, name: str, statement: str, parameters: Parameters, zone: tzinfo, take: Take
) -> None:
    given = _driver_parameters(parameters)
    options = {
        "stream_results": True,
        "max_row_buffer": _BATCH,
        "no_parameters": given is None,
        "autocommit": False,  # SQLAlchemy 1.4 would commit what an UPDATE has changed
    }
    try:
        with engine.connect().execution_options(**options) as connection:
            _prepare(connection.connection.dbapi_connection)
            as_instant = timestamp_conversion(connection, zone) if engine.dialect.name in _MYSQL else None
            with closing(_executed(connection, name, statement, given)) as result:
                if not result.returns_rows:
                    raise _no_rows(name)
                columns = tuple(map(str, result.keys()))
                rows = _converted(_guarded(result, name), _conversions(result.cursor, as_instant))
                take(Source(name, columns, _numbered(columns, rows)))
    except DBAPIError as error:
        raise _refused(name, error.orig or error, given) from None
    except SQLAlchemyError as error:
        raise _refused(name, error, given) from None
    finally:
        engine.dispose()


def _prepare(connection: object) -> None:
    """Let a driver give values as they are in the database: none that means another, none that has lost something."""
    refuse_infinite_times(connection)
    keep_json_digits(connection)


def _executed(connection: Connection, name: str, statement: str, parameters: DriverParameters) -> CursorResult[Any]:
    try:
        return connection.exec_driver_sql(statement, parameters)
    except _MISFITS as error:
        if not parameters and _is_of_a_value(error):  # SQLAlchemy 1.4 fetches the first rows here
            raise _unreadable(name, error) from None
        raise _misfit(name, error) from None


def _misfit(name: str, error: BaseException) -> LoftyConfigurationError:
    return LoftyConfigurationError(
        f"the {name} and its parameters do not fit together ({type(error).__name__}); nothing was sent"
    )


def _through_run(hook: DbApiHook, name: str, statement: str, parameters: Parameters, take: Take) -> None:
    given = _driver_parameters(parameters)
    connected = answered = False

    def handler(cursor: _Cursor) -> None:
        nonlocal answered
        answered = True
        if cursor.description is None:
            raise _no_rows(name)
        columns = tuple(str(column[0]) for column in cursor.description)
        rows = _converted(_guarded(_fetched(cursor), name), _conversions(cursor))
        take(Source(name, columns, _numbered(columns, rows)))

    connect = hook.get_conn

    def watched() -> object:
        nonlocal connected
        connection = connect()
        connected = True
        _prepare(connection)
        return connection

    hook.get_conn = watched  # type: ignore[method-assign] # run() calls it; the hook was made for this query
    try:
        hook.run(statement, parameters=given, handler=handler)
    except Exception as error:  # drivers share no base class; an error in ``take`` is not theirs
        if answered:
            raise
        if connected and given and isinstance(error, _MISFITS):
            raise _misfit(name, error) from None
        raise _refused(name, error, given) from None


def _conversions(cursor: object, as_instant: Callable[[datetime], datetime] | None = None) -> dict[int, Mark]:
    """Find the columns whose values say less in Python than in the database; for drivers whose codes are known."""
    code, short = _SHORT_FLOATS.get(type(cursor).__module__.partition(".")[0], (None, ShortFloat))
    found: dict[int, Mark] = {}
    for place, column in enumerate(getattr(cursor, "description", None) or ()):
        kind = column[1]
        if type(kind).__name__ == "DuckDBPyType":  # a whole type, and no code
            if mark := mark_of_duckdb(kind):
                found[place] = mark
        elif code is not None and kind == code:
            found[place] = mark_of_float(short)
        elif as_instant is not None and kind == TIMESTAMP:
            found[place] = partial(_as_instant, as_instant)
    return found


def _as_instant(convert: Callable[[datetime], datetime], value: object) -> object:
    return convert(value) if isinstance(value, datetime) else value


def _converted(rows: Iterable[Sequence[object]], conversions: dict[int, Mark]) -> Iterable[Sequence[object]]:
    if not conversions:
        return rows
    return (_convert(list(cells), conversions) for cells in rows)


def _convert(cells: list[object], conversions: dict[int, Mark]) -> Sequence[object]:
    for place, convert in conversions.items():
        cells[place] = convert(cells[place])
    return cells


def _fetched(cursor: _Cursor) -> Iterator[Sequence[object]]:
    while batch := cursor.fetchmany(_BATCH):
        yield from batch


def _guarded(rows: Iterable[Row], name: str) -> Iterator[Row]:
    """Report only the type of an error while rows arrive: a driver's message may quote their values."""
    try:
        yield from rows
    except Exception as error:  # drivers share no base class
        cause = getattr(error, "orig", None) or error
        if _is_of_a_value(cause):
            raise _unreadable(name, cause) from None
        raise LoftySourceNotReady(
            f"the database aborted the {name}: {type(cause).__name__}; nothing was sent"
        ) from None


def _is_of_a_value(error: BaseException) -> bool:
    """Whether a value is at fault, which a retry would meet again."""
    is_data_error = any(base.__name__ == "DataError" for base in type(error).__mro__)  # every driver has its own
    # SQLite's driver has the same type for a text that is not UTF-8 as for a table that is not there.
    return is_data_error or isinstance(error, (ValueError, OverflowError)) or "decode to UTF-8" in str(error)


def _unreadable(name: str, error: BaseException, more: str = "") -> LoftyConfigurationError:
    return LoftyConfigurationError(
        f"the {name} has a value that the database or its driver cannot read ({type(error).__name__}): infinity, a "
        "date before the year 1 or after 9999, or text in another encoding, perhaps in a column that nothing uses. "
        f"Cast it to text in the statement (created::text), or leave the column out{more}; nothing was sent"
    )


def _no_rows(name: str) -> LoftyConfigurationError:
    return LoftyConfigurationError(f"the {name} returns no rows; it must be one SELECT statement; nothing was sent")


def _refused(
    name: str, error: BaseException, parameters: DriverParameters
) -> LoftySourceNotReady | LoftyConfigurationError:
    """Report the database's message, unless it may quote a value; parameters are removed from it."""
    if _is_of_a_value(error):
        return _unreadable(name, error, "" if parameters is None or PARAMETER not in parameters else _NOT_OF_ITS_KIND)
    given = parameters.values() if isinstance(parameters, Mapping) else parameters or ()
    names = {base.__name__ for base in type(error).__mro__}
    first_line = str(error).strip().partition("\n")[0][:200]
    said = "" if "IntegrityError" in names else f": {redact(first_line, map(str, given))}"
    return LoftySourceNotReady(f"the database refused the {name}: {type(error).__name__}{said}; nothing was sent")


def _driver_parameters(parameters: Parameters) -> DriverParameters:
    """Make a tuple of a list, which drivers take for many sets of parameters."""
    if not parameters:
        return None
    return dict(parameters) if isinstance(parameters, Mapping) else tuple(parameters)


def _numbered(columns: tuple[str, ...], rows: Iterable[Sequence[object]]) -> Iterator[SourceRow]:
    for number, cells in enumerate(rows, start=1):
        yield SourceRow(number, columns, tuple(cells))
