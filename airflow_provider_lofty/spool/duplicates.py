"""
Rows with the same key: one of them stands for all, and what the others are follows from it.

That is found when all rows are read, wherever they stand, and in a few statements whatever their number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import CONTENT_HAS_CHANGED
from airflow_provider_lofty.spool.schema import INDEX_ROW_KEYS, IS_IN_DOUBT, RowState

UNKNOWN_TWICE = (
    "its report says unknown of it twice, with different contents: each may be stored; look at the lead, and keep one"
)

# The first of them stands for all: one that was delivered, else one that may be stored, else one that waits. What a
# report calls a duplicate stands for others only where the row that it repeats is missing.
_ORDER = (
    f"outcome IS NULL, state = {RowState.REPEATED:d}, state = {RowState.WAITING:d}, state = {RowState.IN_DOUBT:d}, n"
)
_BESIDE_FIRST = f"""
    SELECT n, outcome, state, fingerprint, trace_hash, first_value(n) OVER same AS first,
        first_value(source) OVER same AS source, first_value(row_number) OVER same AS row_number,
        first_value(line) OVER same AS line,
        first_value(outcome IS NOT NULL) OVER same AS is_delivered,
        first_value(fingerprint) OVER same AS first_fingerprint,
        first_value(coalesce(sent_fingerprint, fingerprint)) OVER same AS delivered,
        first_value(trace_hash) OVER same AS first_trace
    FROM rows
    WHERE row_key IN (SELECT row_key FROM rows WHERE row_key IS NOT NULL GROUP BY row_key HAVING COUNT(*) > 1)
    WINDOW same AS (PARTITION BY row_key ORDER BY {_ORDER})
"""
# Same content, or a repeat as its report says: a duplicate. Beside one that was delivered, other content is what has
# changed since. Two that may be stored are one. Of two that wait, nobody can say which is right.
_JUDGED = f"""
    SELECT n, first, place(source, row_number, line) AS place, fingerprint = first_fingerprint AS is_same,
        CASE WHEN fingerprint = first_fingerprint OR state = {RowState.REPEATED:d} THEN '{Outcome.DUPLICATE}'
             WHEN is_delivered THEN '{Outcome.ALREADY_DELIVERED}'
             WHEN state <> {RowState.WAITING:d} THEN '{Outcome.DUPLICATE}'
             ELSE '{Outcome.INVALID}' END AS outcome,
        nullif(delivered, substr(fingerprint, 1, length(delivered))) AS other_delivered,
        NOT is_delivered AND state = {RowState.IN_DOUBT:d} AND trace_hash <> first_trace AS is_conflict
    FROM ({_BESIDE_FIRST})
    WHERE n <> first AND outcome IS NULL
"""
_MARKS = (
    "CREATE TEMP TABLE marks (n INTEGER PRIMARY KEY, outcome TEXT, error_field TEXT, error TEXT, first INTEGER,"
    " sent_fingerprint BLOB, is_conflict INTEGER)"
)
_FILL_MARKS = f"""
    INSERT INTO marks
    SELECT n, outcome, CASE outcome WHEN '{Outcome.INVALID}' THEN :name END,
        CASE outcome
            WHEN '{Outcome.INVALID}' THEN :name || ' is the same as of ' || place || ', but the content is another'
            WHEN '{Outcome.DUPLICATE}' THEN 'same as ' || place
                || CASE WHEN is_same THEN '' ELSE ', whose content is another' END
            ELSE CASE WHEN other_delivered IS NOT NULL THEN :changed END END,
        first, CASE outcome WHEN '{Outcome.ALREADY_DELIVERED}' THEN other_delivered END, is_conflict
    FROM ({_JUDGED})
"""
_APPLY_MARKS = (
    "UPDATE rows SET (outcome, error_field, error, duplicate_of, sent_fingerprint) = (SELECT m.outcome,"
    " m.error_field, m.error, m.first, m.sent_fingerprint FROM marks m WHERE m.n = rows.n)"
    " WHERE n IN (SELECT n FROM marks)"
)
_GIVE_UP_CONFLICTS = (
    f"UPDATE rows SET state = {RowState.UNTRACEABLE:d}, error = ? WHERE {IS_IN_DOUBT}"
    " AND n IN (SELECT first FROM marks WHERE is_conflict)"
)
_COUNT_ATTEMPTS = (
    "UPDATE rows SET attempts = (SELECT max(r.attempts) FROM rows r WHERE r.row_key = rows.row_key)"
    f" WHERE {IS_IN_DOUBT} AND n IN (SELECT first FROM marks)"
)
# Whatever became of the row that they repeat, its report does not say: it was filtered.
_DOUBT_REPEATS = (
    f"UPDATE rows SET state = CASE WHEN lead_id IS NULL THEN {RowState.UNTRACEABLE:d} ELSE {RowState.IN_DOUBT:d} END"
    f" WHERE outcome IS NULL AND state = {RowState.REPEATED:d}"
)


def mark_duplicates(db: sqlite3.Connection, place: Callable[[int, int, int | None], str], identity_name: str) -> None:
    """
    Give their outcome to rows for whose key another row stands.

    :param db: the spool's database
    :param place: names a row, by its source, its number and its line there
    :param identity_name: what to call the key where it is at fault
    """
    db.create_function("place", 3, place)
    db.execute(INDEX_ROW_KEYS)
    db.execute(_MARKS)
    db.execute(_FILL_MARKS, {"name": identity_name, "changed": CONTENT_HAS_CHANGED})
    db.execute(_APPLY_MARKS)
    db.execute(_GIVE_UP_CONFLICTS, (UNKNOWN_TWICE,))
    db.execute(_DOUBT_REPEATS)
    db.execute(_COUNT_ATTEMPTS)
    db.execute("DROP TABLE marks")
