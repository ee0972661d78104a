"""Which failures of a database may pass by themselves, so that asking again is worthwhile."""

from __future__ import annotations

import re

from sqlalchemy.exc import DataError, IntegrityError, NotSupportedError, ProgrammingError

# Something is wrong with the statement, with the program or with its settings.
_LASTING = (
    DataError, IntegrityError, NotSupportedError, ProgrammingError,
    ArithmeticError, AttributeError, ImportError, LookupError, TypeError, ValueError,
)  # fmt: skip
_LASTING_SQLSTATES = (
    "0A",
    "22",
    "28",
    "3D",
    "3F",
    "42",
)  # https://www.postgresql.org/docs/current/errcodes-appendix.html
_LASTING_MYSQL = (1044, 1045, 1049, 1142, 1143, 1146, 1227)  # no right, database or table
_LASTING_SQLITE = (
    1,
    3,
    8,
    11,
    23,
    26,
)  # SQLITE_ERROR, PERM, READONLY, CORRUPT, AUTH, NOTADB: https://sqlite.org/rescode.html

# Drivers of PostgreSQL give no code for a connection that was refused, and before Python 3.11 SQLite's gives none at
# all, so their words decide. Where a server writes them in another language, a lasting failure is retried for a while.
_LASTING_WORDS = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|(role|database) \".*\" does not exist"
    r"|no such (table|column)|has no column named|syntax error|readonly database|not authorized"
    r"|disk image is malformed|file is not a database"
)


def may_pass(error: Exception) -> bool:
    """
    Tell whether a database may answer when it is asked again: it restarts, is full, or waits for a lock.

    :param error: a driver's, or SQLAlchemy's around it
    """
    if isinstance(error, _LASTING):
        return False
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if isinstance(state, str):
        return not state.startswith(_LASTING_SQLSTATES)
    code = getattr(cause, "sqlite_errorcode", None)  # from Python 3.11 on
    if isinstance(code, int):
        return code & 0xFF not in _LASTING_SQLITE
    said = (cause.args or (None,))[0]
    return said not in _LASTING_MYSQL and not _LASTING_WORDS.search(str(said))
