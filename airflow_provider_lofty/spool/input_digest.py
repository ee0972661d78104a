"""
Whether two readings of a source gave the same input, whatever the order of its rows.

Somebody approves what one task has read, and another task reads it again: the digest says whether it is the same. It is
a hash over the host and over all valid rows, sorted, each with its key, its fingerprint, and what the source
itself makes of it: a row that a report calls delivered is not the same as one to be sent. Of what was asked of Lofty or
of a journal it knows nothing, so that it stays as it is when leads are found and rows are sent.

The rows are sorted, and not their hashes added up, which would need no disk: whoever may choose the rows of an input
finds two with the same sum (the generalised birthday problem), and none with the same sorted rows. SQLite sorts on disk
what does not fit into its cache.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.rows.builder import KEY_RULES

DIGEST_DIGITS = 64

_IS_VALID = f"row_key IS NOT NULL AND outcome IS NOT '{Outcome.INVALID}'"  # of two that disagree, the first is valid
# Key and fingerprint have one length each, and no outcome has a line's end in it: two rows never read as another two.
# An index would name the rows in another order than that in which they lie in the file, at three times the cost.
_LINES = (
    "SELECT CAST(row_key || fingerprint || coalesce(outcome, state) || x'0a' AS BLOB) AS line"
    f" FROM rows NOT INDEXED WHERE {_IS_VALID} ORDER BY line"
)
_SEEN_ROWS = "CREATE TABLE IF NOT EXISTS seen_rows (row_key BLOB NOT NULL, fingerprint BLOB NOT NULL)"
# Of each content: how many more rows have it now than had it then. A row that is new and one that is gone, both with
# the same key, are one that has changed.
_DIFFERENCES = f"""
    WITH balance AS (
        SELECT row_key, SUM(count) AS count FROM (
            SELECT row_key, fingerprint, 1 AS count FROM rows NOT INDEXED WHERE {_IS_VALID}
            UNION ALL SELECT row_key, fingerprint, -1 FROM seen_rows)
        GROUP BY row_key, fingerprint),
    by_key AS (SELECT SUM(max(count, 0)) AS come, SUM(max(-count, 0)) AS gone FROM balance GROUP BY row_key)
    SELECT coalesce(SUM(come - min(come, gone)), 0), coalesce(SUM(gone - min(come, gone)), 0),
        coalesce(SUM(min(come, gone)), 0) FROM by_key
"""


class Differences(NamedTuple):
    """How many rows an input has, lacks, and has with another content than before."""

    new: int
    gone: int
    changed: int


class InputDigest:
    """
    The input of one run, and beside it the rows that were seen before.

    :param db: the spool's database
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def of(self, host: str) -> str:
        """
        Name the input; to be asked when all is read, and before anything is known from elsewhere.

        :param host: base URL of the Lofty that the rows are for
        :return: :data:`DIGEST_DIGITS` hexadecimal digits
        """
        found = sha256(f"rows by rules {KEY_RULES} for {host}\n".encode())
        for (line,) in self._db.execute(_LINES):
            found.update(line)
        return found.hexdigest()

    def add_seen(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """
        Keep rows that were seen before.

        :param rows: the key and fingerprint of each valid one
        """
        self._db.execute(_SEEN_ROWS)
        self._db.executemany("INSERT INTO seen_rows VALUES (?, ?)", rows)

    def differences(self) -> Differences:
        """Compare the input with the rows that were seen before."""
        self._db.execute(_SEEN_ROWS)
        return Differences(*self._db.execute(_DIFFERENCES).fetchone())
