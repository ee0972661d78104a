"""
The table of rows.

It lives as long as one run, so no format is owed to anybody: columns may change from one version to the next.
"""

from __future__ import annotations

from enum import IntEnum

from airflow_provider_lofty.outcomes import FAILED_OUTCOMES, Outcome


class RowState(IntEnum):
    """Where a row without an outcome stands."""

    WAITING = 0  # to be sent
    IN_DOUBT = 1  # sent, and it is unknown whether it is stored
    RESENDING = 2  # proved not to be stored, and in the sender's hands again
    ASIDE = 3  # not shown by Lofty, which has not shown yet that it would show such a row
    REPEATED = 4  # its report calls it a duplicate; of which row is found when all are read
    UNTRACEABLE = 5  # sent with other content than it has now, or to an unknown lead: it cannot be looked for


IS_WAITING = f"outcome IS NULL AND state = {RowState.WAITING:d}"
IS_ASIDE = f"outcome IS NULL AND state = {RowState.ASIDE:d}"
IS_IN_DOUBT = f"outcome IS NULL AND state = {RowState.IN_DOUBT:d}"
MAY_BE_STORED = f"outcome IS NULL AND state IN ({RowState.IN_DOUBT:d}, {RowState.REPEATED:d}, {RowState.UNTRACEABLE:d})"
FAILED_SQL = ", ".join(f"'{outcome}'" for outcome in FAILED_OUTCOMES)
CONTENT = "content_of(body)"  # a function of the spool: what an activity says, whatever lead it is of
KIND = "substr(body, 10, instr(substr(body, 10, 40), x'22') - 1)"  # a body begins with {"type":"Browse", …
MAY_FAIL = f"outcome IN ({FAILED_SQL}, '{Outcome.UNMATCHED}', '{Outcome.DUPLICATE}')"
LOOKS_FOR_LEAD = "(email IS NOT NULL OR phone IS NOT NULL)"  # rows with a lead id of their own have neither
LACKS_LEAD = f"{IS_WAITING} AND lead_id IS NULL AND {LOOKS_FOR_LEAD}"

_ROWS = (
    "CREATE TABLE rows ("
    " n INTEGER PRIMARY KEY, source INTEGER NOT NULL, row_number INTEGER NOT NULL, layout INTEGER, cells BLOB,"
    " lead_id INTEGER, body BLOB, row_key BLOB, fingerprint BLOB, trace_hash BLOB,"
    " outcome TEXT, http_status INTEGER, error_code INTEGER, error_field TEXT, error TEXT,"
    " attempts INTEGER NOT NULL DEFAULT 0, sent_at TEXT, duplicate_of INTEGER,"
    f" state INTEGER NOT NULL DEFAULT {RowState.WAITING:d},"
    " sent_fingerprint BLOB, line INTEGER,"  # where another content than this was sent; perhaps its first bytes only
    " email TEXT, phone TEXT, matched_by TEXT,"  # what the lead is looked for by, as it is compared; what found it
    " notes TEXT)"  # for the report: what the cells do not show, and what the row is known by
)
# Failed rows are asked for several times; they are few, and without an index each time reads the whole file.
_ROWS_FAILED = f"CREATE INDEX rows_failed ON rows (outcome, n) WHERE {MAY_FAIL}"
_LAYOUTS = "CREATE TABLE layouts (id INTEGER PRIMARY KEY, columns BLOB NOT NULL)"

SCHEMA = (_ROWS, _ROWS_FAILED, _LAYOUTS)

# Made when they are first needed: keeping an index while rows are read would cost each of them.
INDEX_ROW_KEYS = "CREATE INDEX rows_by_key ON rows (row_key) WHERE row_key IS NOT NULL"
INDEX_ROW_TRACES = "CREATE INDEX IF NOT EXISTS rows_by_trace ON rows (trace_hash) WHERE trace_hash IS NOT NULL"
INDEX_CONTENTS = f"CREATE INDEX IF NOT EXISTS rows_by_content ON rows ({CONTENT}) WHERE body IS NOT NULL"
INDEX_ASIDE = f"CREATE INDEX IF NOT EXISTS rows_aside ON rows ({KIND}) WHERE {IS_ASIDE}"
INDEX_OPEN_KINDS = (
    f"CREATE INDEX IF NOT EXISTS rows_open_by_kind ON rows (lead_id, {KIND}) WHERE body IS NOT NULL AND outcome IS NULL"
)
INDEX_OPEN_LEADS = "CREATE INDEX IF NOT EXISTS rows_open_by_lead ON rows (lead_id) WHERE outcome IS NULL"
INDEX_LEADS = "CREATE INDEX IF NOT EXISTS rows_by_lead ON rows (lead_id)"
