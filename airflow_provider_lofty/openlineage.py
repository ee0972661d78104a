"""
Lineage: what was read and what was sent, for OpenLineage events.

Airflow's OpenLineage provider is optional. It is imported inside functions only, and only it asks for what they give.
Datasets are named as https://openlineage.io/docs/spec/naming says. No facet holds a value of a row.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from airflow_provider_lofty.outcomes import OUTCOMES
from airflow_provider_lofty.rows.database import table_parts
from airflow_provider_lofty.rows.providers import database_hook

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import JobFacet, RunFacet

_COUNTS = ("read", *OUTCOMES, "carried_over", "seconds", "requests", "throttled", "read_backs")
_MOST_FILES = 50
_SCHEMES = {"gcs": "gs", "s3a": "s3"}
_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?s")

_Found = TypeVar("_Found")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Query:
    """
    What a database was asked for.

    :param conn_id: its connection
    :param hook_params: given to its hook when it is made
    :param sql: one statement
    :param table: or a table
    """

    conn_id: str
    hook_params: dict[str, object] | None = None
    sql: str | None = None
    table: str | None = None


def lineage(
    read_from: Query | Sequence[str], summary: Mapping[str, Any], sent_to: str | None
) -> OperatorLineage[Any, Any]:
    """
    Describe what was read, what was sent, and how many rows.

    The output is the dataset ``activities`` of ``lofty://<host>``, with the number of delivered rows; all counts are in
    the run facet ``lofty_delivery``. What was read may be missing, with a line in the log: no error gets out of here.

    :param read_from: the query, or the files by the names of their sources. Of more than 50 files their folders are
        named instead, 50 at most
    :param summary: the run's; empty when it ended before it read anything
    :param sent_to: base URL of Lofty; None when nothing can have been sent, as without a summary
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    return OperatorLineage(
        inputs=_or_nothing("what was read", lambda: _inputs(read_from, summary.get("read"))) or [],
        outputs=[_activities(sent_to, summary["delivered"])] if sent_to else [],
        run_facets=_counts(summary) if summary else {},
        job_facets=_or_nothing("the statement", lambda: _statement(read_from)) or {},
    )


def _or_nothing(what: str, find: Callable[[], _Found]) -> _Found | None:
    try:
        return find()
    except Exception as error:  # hooks and parsers raise what they like; rows and the task's state matter more
        _log.warning("%s is missing in the lineage (%s)", what, type(error).__name__)
        return None


def _inputs(read_from: Query | Sequence[str], rows: int | None) -> list[InputDataset]:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import input_statistics_input_dataset

    names = _tables(read_from) if isinstance(read_from, Query) else _files(read_from)
    found = [InputDataset(namespace, name) for namespace, name in names]
    if len(found) == 1 and rows is not None:
        statistics = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=rows)
        found[0].inputFacets = {"inputStatistics": statistics}
    return found


def _activities(base_url: str, delivered: int) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset

    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=delivered)
    namespace = f"lofty://{urlsplit(base_url).netloc}"
    return OutputDataset(namespace, "activities", outputFacets={"outputStatistics": statistics})


def _counts(summary: Mapping[str, Any]) -> dict[str, RunFacet]:
    from openlineage.client.facet_v2 import RunFacet

    facet: Any = RunFacet().with_additional_properties(**{name: summary[name] for name in _COUNTS})
    return {"lofty_delivery": facet}


def _statement(read_from: Query | Sequence[str]) -> dict[str, JobFacet]:
    """Give the statement as Airflow's SQL operators do: its text, without parameters."""
    from airflow.providers.openlineage.sqlparser import SQLParser
    from openlineage.client.facet_v2 import sql_job

    if not isinstance(read_from, Query) or read_from.sql is None:
        return {}
    return {"sql": sql_job.SQLJobFacet(query=SQLParser.normalize_sql(read_from.sql))}


def _files(sources: Iterable[str]) -> list[tuple[str, str]]:
    """Namespace and name of each file; of many, of their folders."""
    files = [_file(source) for source in sources]
    if len(files) > _MOST_FILES:
        files = [(namespace, name.rpartition("/")[0] or "/") for namespace, name in files]
    return list(dict.fromkeys(files))[:_MOST_FILES]


def _file(source: str) -> tuple[str, str]:
    scheme, is_url, rest = source.partition("://")
    if not is_url:
        return "file", source
    bucket, _, key = rest.partition("/")
    return f"{_SCHEMES.get(scheme, scheme)}://{bucket.rpartition('@')[2]}", key


def _tables(query: Query) -> list[tuple[str, str]]:
    """Namespace and name of each table that was read; none where the hook knows no namespace of its database."""
    from airflow.providers.openlineage.sqlparser import SQLParser

    hook = database_hook(query.conn_id, query.hook_params)
    connection = hook.get_connection(query.conn_id)
    database = hook.get_openlineage_database_info(connection)
    if database is None:
        _log.debug("%s knows no namespace for lineage", type(hook).__name__)
        return []
    dialect = hook.get_openlineage_database_dialect(connection)
    tables = [_named(query.table)] if query.table else _parsed(query.sql or "", dialect)
    schema = None
    if not all(table.schema for table in tables):  # asked for only then: a hook may have to connect to know it
        schema = hook.get_openlineage_default_schema() or connection.schema
    names = [".".join(filter(None, (t.database or database.database, t.schema or schema, t.name))) for t in tables]
    namespace = SQLParser.create_namespace(database)
    return [(namespace, name.upper() if database.is_uppercase_names else name) for name in names]


class _Table(NamedTuple):
    database: str | None
    schema: str | None
    name: str


def _named(table: str) -> _Table:
    *outer, name = (part for part, _ in table_parts(table))
    database, schema = [None, None, *outer][-2:]
    return _Table(database, schema, name)


def _parsed(sql: str, dialect: str) -> list[_Table]:
    """The tables that a statement reads; none where the parser does not understand it."""
    from airflow.providers.openlineage.sqlparser import SQLParser

    parser = SQLParser(dialect=dialect)
    found = parser.parse(parser.split_sql_string(_PLACEHOLDER.sub("NULL", sql)))  # it knows no driver's placeholders
    return [_Table(table.database, table.schema, table.name) for table in found.in_tables] if found else []
