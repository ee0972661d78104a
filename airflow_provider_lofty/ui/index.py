"""The index of a report, from which its rows are found at once."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from airflow_provider_lofty.outcomes import WRONG_OUTCOMES, Outcome
from airflow_provider_lofty.report.summary import ErrorGroup
from airflow_provider_lofty.rows.report_format import REPORT_COLUMNS, restored
from airflow_provider_lofty.ui.indexer import CELL_MARK, PACKED

PAGE_ROWS = 50
FAILED = "failed"
GROUPS = 20
_SORTED = {  # what a page of rows may be sorted by → what the index is asked for
    "row": "id",
    "lead": "lead",
    "outcome": "outcome",
    "field": "field",
    "error": "error",
    "code": "CAST(nullif(code, '') AS INTEGER)",
}
SORTS = frozenset((*_SORTED, *(f"-{name}" for name in _SORTED)))
_STEPS = 10_000  # of SQLite between two looks at whether anybody still waits
_NAMES = [column.removeprefix("lofty_") for column in REPORT_COLUMNS]


class Tally(NamedTuple):
    """
    What a report's rows add up to.

    :param outcomes: rows by outcome
    :param groups: the first of those that failed, by what went wrong, the largest group first
    """

    outcomes: dict[str, int]
    groups: list[ErrorGroup]


class Groups(NamedTuple):
    """
    Some of the groups of rows that failed alike, the largest first.

    :param total: how many there are
    :param found: (key, group); the key stands in links, and is the same whenever the report is read
    """

    total: int
    found: list[tuple[str, ErrorGroup]]


class Filter(NamedTuple):
    """
    Which rows to show.

    :param outcome: an outcome, ``failed`` for all that count as failed, or empty for every row
    :param text: what a cell has to contain, in any case
    :param group: key of a group, where only its rows are wanted
    :param sort: one of :data:`SORTS`; ``-`` in front: the other way round. Empty: in the report's order
    :param page: from 1
    """

    outcome: str = FAILED
    text: str = ""
    group: str = ""
    sort: str = ""
    page: int = 1


class LostIndexError(Exception):
    """The index is gone or damaged; the next one who asks has it made again."""


class Index:
    """
    What is known of a report's rows.

    :param path: the file
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def page(self, wanted: Filter, is_given_up: Callable[[], bool] = lambda: False) -> dict[str, object]:
        """
        Give one page of the report's rows.

        :param is_given_up: whether nobody waits for it any longer
        :return: ``total`` rows that fit, ``pages``, ``page`` and its ``rows``: the report's columns without ``lofty_``,
            and the row's own as ``columns``. Long cells are cut
        :raises LostIndexError: when it cannot be read, or was given up
        """
        first = (wanted.page - 1) * PAGE_ROWS
        with self._opened(is_given_up) as index:
            # Searching the texts is what takes time: matches go into a table, which is then counted and paged through.
            index.execute(*_query(wanted))
            (total,) = index.execute("SELECT count(*) FROM found").fetchone()
            shown = index.execute(
                "SELECT cells FROM found JOIN shown USING (id) WHERE found.rowid > ? ORDER BY found.rowid LIMIT ?",
                (first, PAGE_ROWS),
            )
            header = _header(index)
            rows = [_row(header, _cells(cells)) for (cells,) in shown]
        return {"total": total, "page": wanted.page, "pages": max(-(-total // PAGE_ROWS), 1), "rows": rows}

    def tally(self) -> Tally:
        """
        Count the report's rows by outcome, and those that failed by what went wrong.

        :raises LostIndexError: when it cannot be read
        """
        with self._opened() as index:
            outcomes = dict(index.execute("SELECT outcome, rows FROM outcomes").fetchall())
            return Tally(outcomes, [group for _, group in _groups(index, 1)])

    def groups(self, page: int = 1) -> Groups:
        """
        Give a page of the groups of rows that failed alike.

        :param page: from 1
        :raises LostIndexError: when it cannot be read
        """
        with self._opened() as index:
            (total,) = index.execute("SELECT count(*) FROM groups").fetchone()
            return Groups(total, _groups(index, page))

    def places_of_failed(self) -> array[int]:
        """
        Say where in the report its header lies, and the rows that make a report of the failed ones.

        With a row that may be stored come all rows of its lead: what Lofty shows of those that were delivered must not
        be taken for it when that report is the source.

        :return: where each stretch begins and ends, in bytes
        :raises LostIndexError: when it cannot be read
        """
        failed = ", ".join(f"'{outcome}'" for outcome in WRONG_OUTCOMES)
        with self._opened() as index:
            places = array("q", [0, *index.execute("SELECT ends FROM header").fetchone()])
            for starts, ends in index.execute(
                f"SELECT starts, ends FROM fates WHERE outcome IN ({failed}) OR lead IN"  # noqa: S608
                f" (SELECT lead FROM fates WHERE outcome = '{Outcome.UNKNOWN}') ORDER BY id"
            ):
                if places[-1] == starts:
                    places[-1] = ends
                else:
                    places.extend((starts, ends))
            return places

    @contextmanager
    def _opened(self, is_given_up: Callable[[], bool] = lambda: False) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro&immutable=1", uri=True)) as index:
                index.set_progress_handler(is_given_up, _STEPS)
                yield index
        except sqlite3.Error as error:
            if not is_given_up():
                self.path.unlink(missing_ok=True)
            raise LostIndexError from error


def _query(wanted: Filter) -> tuple[str, list[object]]:
    outcomes = WRONG_OUTCOMES if wanted.outcome == FAILED else (wanted.outcome,) if wanted.outcome else ()
    conditions: list[tuple[str, list[object]]] = []
    if outcomes:
        conditions.append((f"outcome IN ({', '.join('?' * len(outcomes))})", [str(one) for one in outcomes]))
    if wanted.group:
        conditions.append(("alike = ?", [_hash_of(wanted.group)]))
    if wanted.text:
        conditions.append(("instr(folded, ?)", [wanted.text.casefold().encode(errors="replace")]))
    where = " AND ".join(condition for condition, _ in conditions) or "true"
    query = f"CREATE TEMP TABLE found AS SELECT id FROM {_tables(wanted)} WHERE {where}{_order(wanted.sort)}"  # noqa: S608 - of words of ours alone
    return query, [value for _, values in conditions for value in values]


def _tables(wanted: Filter) -> str:
    """Only those that are needed: of a large report each takes its time."""
    by = wanted.sort.removeprefix("-")
    has_fates = bool(wanted.outcome or wanted.group or by not in ("", "row"))
    tables = [*(["fates"] if has_fates or not wanted.text else []), *(["texts"] if wanted.text else [])]
    joined = " JOIN ".join(tables) + (" USING (id)" if len(tables) > 1 else "")
    return f"{joined} LEFT JOIN kinds USING (alike)" if by in ("field", "error", "code") else joined


def _order(sort: str) -> str:
    """Rows that have nothing to sort by come last, either way; those that are the same, in the report's order."""
    by = _SORTED.get(sort.removeprefix("-"))
    if by is None:
        return " ORDER BY id"
    return f" ORDER BY {by} IS NULL OR {by} = '', {by}{' DESC' if sort.startswith('-') else ''}, id"


def _hash_of(key: str) -> int:
    number = int(key, 16)
    return number - 2**64 if number >= 2**63 else number


def _groups(index: sqlite3.Connection, page: int) -> list[tuple[str, ErrorGroup]]:
    found = index.execute(
        "SELECT alike, rows, cells FROM groups JOIN shown ON id = example ORDER BY groups.rowid LIMIT ? OFFSET ?",
        (GROUPS, (page - 1) * GROUPS),
    )
    return [(f"{alike % 2**64:016x}", _group(rows, _fate(_cells(cells)))) for alike, rows, cells in found]


def _header(index: sqlite3.Connection) -> list[str]:
    (cells,) = index.execute("SELECT cells FROM header").fetchone()
    return _cells(cells)


def _cells(packed: bytes) -> list[str]:
    return packed.decode(**PACKED).split(CELL_MARK)


def _row(header: list[str], cells: list[str]) -> dict[str, object]:
    fate, own = _fate(cells), len(header) - len(_NAMES)
    return {**fate, "error": restored(fate["error"]), "columns": list(zip(header[:own], cells, strict=False))}


def _fate(cells: list[str]) -> dict[str, str]:
    return dict(zip(_NAMES, cells[-len(_NAMES) :], strict=True))


def _group(count: int, example: dict[str, str]) -> ErrorGroup:
    return ErrorGroup(
        count=count,
        outcome=example["outcome"],
        http_status=_number(example["http_status"]),
        error_code=_number(example["error_code"]),
        error_field=example["error_field"] or None,
        error=restored(example["error"]),
        example_source=restored(example["source"]),
        example_row=_number(example["row_number"]),
        example_line=_number(example["line"]),
        example_lead_id=_number(example["lead_id"]),
    )


def _number(cell: str) -> int | None:
    return int(cell) if cell.isascii() and cell.isdecimal() else None
