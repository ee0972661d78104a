"""Where a task's journal lies, and by what its rows and its source are known there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from airflow_provider_lofty import config
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.journal.journal import Journal, NoJournal
from airflow_provider_lofty.journal.task_state import TaskStateJournal
from airflow_provider_lofty.log import Log
from airflow_provider_lofty.rows.columns import normalise
from airflow_provider_lofty.rows.mapping import key_columns
from airflow_provider_lofty.task_key import TaskKey

if TYPE_CHECKING:
    from airflow.sdk import Context


def task_journal(
    context: Context,
    key: TaskKey,
    hook: LoftyHook,
    *,
    conn_id: str | None,
    durable: bool,
    unique_key: str | Sequence[str] | None,
    match_by: object,
    source_names: Sequence[object],
    log: Log,
    clock: Callable[[], float],
    now: Callable[[], float],
) -> Journal:
    """
    Open the journal that the arguments ask for.

    :param conn_id: of the database that keeps it; None: Airflow's task state store does, where there is one
    :param durable: whether that store is to be used
    :param match_by: what leads are looked for by; such rows have keys that do not say to which lead they go
    :param source_names: where rows come from: the same on every try
    """
    max_tries = getattr(context.get("ti"), "max_tries", None)
    if conn_id:
        from airflow_provider_lofty.journal.database import SqlJournal
        from airflow_provider_lofty.journal.engine import journal_engine
        from airflow_provider_lofty.journal.owner import TaskPlace
        from airflow_provider_lofty.rows.providers import database_hook

        scope = _scope(hook, unique_key, match_by)
        return SqlJournal(
            journal_engine(database_hook(str(conn_id)), log),
            scope=digest(*scope),
            source=digest(*scope, *source_names),
            place=TaskPlace(*key.instance),
            max_tries=max_tries,
            stale_seconds=hook.client.settings.resumed_settle_seconds,
            clock=clock,
            now=now,
        )
    store: Any = context.get("task_state_store") if durable else None
    if store is None:
        return NoJournal()
    _warn_of_clear_on_success(log)
    source = digest(*_scope(hook, unique_key, match_by), *source_names)
    return TaskStateJournal(store, source=source, keyed=bool(unique_key or match_by), max_tries=max_tries, now=now)


def preview_journal(conn_id: str | None, *, has_cursor: bool, log: Log, clock: Callable[[], float]) -> Journal:
    """
    Open what a preview knows of earlier runs: how far a source was read, and nothing else.

    :param conn_id: of the database that keeps the journal
    """
    if not conn_id or not has_cursor:
        return NoJournal()
    from airflow_provider_lofty.journal.cursor import PreviewJournal
    from airflow_provider_lofty.journal.engine import journal_engine
    from airflow_provider_lofty.journal.tables import Tables
    from airflow_provider_lofty.rows.providers import database_hook

    return PreviewJournal(Tables(journal_engine(database_hook(str(conn_id)), log), "", clock))


def _scope(hook: LoftyHook, unique_key: object, match_by: object) -> list[object]:
    """
    Name what tells row keys apart: which Lofty, and which key, the same however they are written.

    Where leads are looked for, also in which account: a lead's id is one in all of Lofty, but two accounts may have a
    lead each with the same address, and what one of them got says nothing of the other. A connection stands for its
    account: not every credential can be asked whose it is.
    """
    scope: list[object] = [hook.client.host, [normalise(column) for column in key_columns(unique_key)]]
    return [*scope, hook.lofty_conn_id] if match_by else scope


def _warn_of_clear_on_success(log: Log) -> None:
    if config.clears_state_on_success():
        log.warning(
            "[state_store] clear_on_success is on: a task that has succeeded and is cleared has no journal, and "
            "reads every lead before anything is sent to it"
        )


def digest(*named: object) -> str:
    """Name things in few characters, the same ones always alike."""
    return blake2b(json.dumps(named, default=str).encode(), digest_size=8).hexdigest()
