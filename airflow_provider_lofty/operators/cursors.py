"""What the operator's arguments about a cursor mean, and where its watermark lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.operators.journals import digest
from airflow_provider_lofty.operators.rendering import as_mapped, expand_input
from airflow_provider_lofty.rows.cursor import CursorError, CursorValue, Lag
from airflow_provider_lofty.task_key import NOT_MAPPED, TaskKey

if TYPE_CHECKING:
    from airflow_provider_lofty.journal.retrying import RetryingJournal
    from airflow_provider_lofty.log import Log
    from airflow_provider_lofty.run.cursor import Cursor

_EXPANDED_OVER = ("table", "sql", "source_conn_id", "lofty_conn_id")


@dataclass(frozen=True, kw_only=True)
class CursorArguments:
    """
    What of the operator's arguments concerns a cursor.

    :param has_report: whether every row's outcome is kept somewhere
    :param expanded_over: the arguments that a mapped task expands over; empty where that is not known
    """

    cursor: str | None
    cursor_from: object
    cursor_lag: object
    sql: str | None
    table: str | None
    source_conn_id: str | None
    source_hook_params: dict[str, Any] | None
    journal_conn_id: str | None
    has_report: bool
    preview: bool
    expanded_over: frozenset[str]

    def check(self) -> str | None:
        """
        Give the cursor's column; None where there is no cursor.

        :raises LoftyConfigurationError: when the arguments do not go together
        """
        if self.cursor is None:
            for name in ("cursor_from", "cursor_lag"):
                if getattr(self, name) not in (None, ""):
                    raise LoftyConfigurationError(f"{name} is given, and no cursor; nothing was sent")
            return None
        needs = {
            "table or sql as the source": self.table is not None or self.sql is not None,
            "journal_conn_id, whose database keeps the watermark": bool(self.journal_conn_id),
            "a report, which has the rows that failed: report_path, or [lofty] report_folder": self.has_report,
        }
        for what, is_given in needs.items():
            if not is_given:
                raise LoftyConfigurationError(f"cursor needs {what}; nothing was sent")
        if self.expanded_over and not self.expanded_over.intersection(_EXPANDED_OVER):
            raise LoftyConfigurationError(
                "with cursor, a mapped task must expand over table, sql, source_conn_id or lofty_conn_id, not over "
                f"{' and '.join(sorted(self.expanded_over))}: its instances would move one watermark; nothing was sent"
            )
        return self.cursor

    def start(self) -> CursorValue | None:
        """Read ``cursor_from``; None where nothing is given, or a template rendered nothing."""
        given = self.cursor_from
        if given is None or (isinstance(given, str) and not given.strip()):
            return None
        if isinstance(given, str) and given.strip() == "None":
            raise LoftyConfigurationError(
                "cursor_from renders to the word None: where there may be no value, write {{ … or '' }}; "
                "nothing was sent"
            )
        try:
            return CursorValue.of(given)
        except CursorError as error:
            raise LoftyConfigurationError(f"cursor_from {error}; nothing was sent") from None

    def lag(self) -> Lag | None:
        """Read ``cursor_lag``."""
        try:
            return Lag.of(self.cursor_lag)
        except CursorError as error:
            raise LoftyConfigurationError(f"{error}; nothing was sent") from None


def cursor_of(
    arguments: CursorArguments,
    column: str,
    key: TaskKey,
    hook: LoftyHook,
    kept: Any,
    journal: RetryingJournal,
    *,
    zone: tzinfo,
    log: Log,
    now: Callable[[], float],
) -> Cursor:
    """
    Make the cursor of one try.

    :param kept: the journal in a database, whose connection is shared
    :param journal: the same, behind which its store may be away for a while
    """
    from airflow_provider_lofty.journal.cursor import CursorStore, Stream
    from airflow_provider_lofty.run.cursor import Cursor, CursorOptions

    source = arguments.table if arguments.table is not None else str(arguments.sql).strip()
    kind = "table" if arguments.table is not None else "sql"
    named = [kind, source, arguments.source_conn_id, arguments.source_hook_params or {}]
    # A connection to Lofty stands for an account: what one account got, another may not have.
    name = digest(hook.client.host, hook.lofty_conn_id, key.dag_id, key.task_id, *named)
    stream = Stream(name, key.dag_id, key.task_id, source, column)
    options = CursorOptions(
        given=arguments.start(), lag=arguments.lag(), is_table=kind == "table",
        is_mapped=key.map_index != NOT_MAPPED, is_preview=arguments.preview, zone=zone,
    )  # fmt: skip
    return Cursor(stream, CursorStore(kept.tables, stream, key, now), key.digest, options, log, journal.persist)


def expanded_over(operator: Any) -> frozenset[str]:
    """Name the arguments that a mapped task expands over, as far as its Dag tells."""
    given = getattr(expand_input(as_mapped(operator)), "value", None)
    if isinstance(given, dict):
        return frozenset(given)
    dicts = given if isinstance(given, (list, tuple)) else ()
    return frozenset(name for one in dicts if isinstance(one, dict) for name in one)
