"""Where an operator's rows come from when no other task gives them; what reads it is imported only then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.rows.file_options import FileOptions
from airflow_provider_lofty.rows.mapping import key_kinds, zone_named
from airflow_provider_lofty.rows.source import Take

if TYPE_CHECKING:
    from airflow_provider_lofty.rows.newer import Newer


def source_names(given: Mapping[str, Any]) -> list[object]:
    """
    Name where rows come from: the same on every try, another for another table.

    :param given: the operator's arguments
    """
    kind = next((name for name in ("path", "sql", "table") if given[name] is not None), "rows")
    names: list[object] = [kind, given["source_conn_id"], given["table"]]
    # Rows that find their lead by other columns have other keys.
    return [*names, *key_kinds(given["match_by"])] if given["match_by"] else names


def files_reader(
    given: Mapping[str, Any],
    columns: tuple[str, ...] | None,
    options: FileOptions,
    matched: Callable[[list[str]], None],
    log: Log,
) -> Callable[[Take], None]:
    """
    Read the files of ``path``.

    :param matched: gets the files before any is read
    """
    from airflow_provider_lofty.rows.files import read_files

    return partial(read_files, given["path"], matched=matched, options=options, columns=columns, log=log)


def database_reader(given: Mapping[str, Any], source: str, newer: Newer | None) -> Callable[[Take], None]:
    """
    Read what ``sql`` or ``table`` names.

    :param source: which of the two
    :param newer: reads only what is new
    """
    if not given["source_conn_id"]:
        raise LoftyConfigurationError(f"{source} needs source_conn_id, the connection of the database")
    from airflow_provider_lofty.rows.database import read_sql

    return lambda take: read_sql(
        str(given["source_conn_id"]),
        sql=given["sql"],
        table=given["table"],
        parameters=given["parameters"],
        hook_params=given["source_hook_params"],
        newer=newer,
        zone=zone_named(given["timezone"]),
        take=take,
    )
