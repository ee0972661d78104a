"""What earlier tries and runs left behind: the journal is opened and read, and its doubts find their rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyDeliveryIncomplete
from airflow_provider_lofty.journal.journal import Intent, Journal, JournalError, JournalUnusable, Loaded, intent_of
from airflow_provider_lofty.spool.spool import PendingRow, Spool

_MOST_GONE = 0.1  # of the delivered rows; more of them gone, and others in their place, is a different input

_CAUSES = {
    False: "a query with now(), a changed mapping or unique_key",
    True: "the list that the task is mapped over has moved, and this map index has the rows of another; or a query "
    "with now(), a changed mapping or unique_key",
}
_WAYS_OUT = {
    False: "Make the source give the same rows on every try, or start a new Dag run",
    True: "Keep the order of the list and add at its end, give a journal_conn_id, whose tables know what all map "
    "indexes delivered, or start a new Dag run",
}

Doubts = list[tuple[Intent, PendingRow | None]]


@contextmanager
def journal_errors() -> Iterator[None]:
    """
    Say what a journal that fails before the first row means.

    :raises LoftyConfigurationError: when it is damaged, or of another version
    :raises LoftyDeliveryIncomplete: when it cannot be reached
    """
    try:
        yield
    except JournalUnusable as error:
        raise LoftyConfigurationError(f"the journal cannot be used: {error}. Nothing was sent") from None
    except JournalError as error:
        raise LoftyDeliveryIncomplete(
            f"the journal cannot be used: {error}. Nothing was sent; a retry is safe"
        ) from None


def load_history(journal: Journal, spool: Spool) -> Loaded:
    """Give the rows what earlier tries and runs know of them; raises as :func:`journal_errors`."""
    with journal_errors():
        loaded = journal.load(spool)
    spool.history.apply()
    return loaded


def refuse_different_input(loaded: Loaded, spool: Spool, *, is_mapped: bool = False) -> None:
    """
    Stop before a source that gives other rows on every try makes the same rows look new.

    Rows that the journal knows as delivered, by whichever task, are not sent again, and so do not count.

    :param is_mapped: whether this is one of a mapped task's instances, whose rows another may have now
    :raises LoftyConfigurationError: when too many delivered rows are gone and as many unseen ones have come
    """
    delivered, gone = loaded.delivered, loaded.gone
    if loaded.before is None or gone <= _MOST_GONE * delivered:
        return
    unseen = spool.unsent_sample().unseen_since(loaded.before)
    if is_mapped and unseen and loaded.has_gone is not None:
        unseen = math.ceil(unseen * _share(map(loaded.has_gone, spool.some_leads())))
    if unseen and unseen >= gone / 2:
        raise LoftyConfigurationError(
            f"{gone} of the {delivered} rows that earlier tries delivered are no longer in the input, and about "
            f"{unseen} that were not there before are: this is a different input ({_CAUSES[is_mapped]}), and rows "
            f"would be sent twice. Nothing was sent. {_WAYS_OUT[is_mapped]}"
        )


def _share(are_so: Iterable[bool]) -> float:
    """
    How many of the leads of new rows are leads of rows that are gone.

    An input that gives each row another key has the same leads; a list that moved has those of others.
    """
    counted = list(are_so)
    return sum(counted) / len(counted) if counted else 0


def doubts_of(loaded: Loaded, spool: Spool, *, has_gaps: bool) -> Doubts:
    """
    Find what was left in doubt, each with its row where the input has it.

    :param has_gaps: whether earlier tries may have sent rows that are not in the journal
    """
    rows = {row.row_key: row for row in spool.doubtful()}
    found: Doubts = []
    for intent in loaded.doubtful:
        row = rows.pop(intent.row_key, None)
        if row is None and spool.history.has_row(intent.row_key, intent.trace.lead_id):
            continue
        if row is None and has_gaps:
            # It was another source, and so perhaps another unique_key: the same activity under another row key.
            row = spool.take_twin(intent.trace.trace_hash, intent.attempts)
        found.append((intent, row))
    return found + [(intent_of(row, row.attempts), row) for row in rows.values()]
