"""The index of a report, from which its rows are found at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from airflow_provider_lofty.outcomes import WRONG_OUTCOMES
from airflow_provider_lofty.report.summary import ErrorGroup
from airflow_provider_lofty.rows.report_format import REPORT_COLUMNS, restored
from airflow_provider_lofty.ui.indexer import CELL_MARK, PACKED

PAGE_ROWS = 50
FAILED = "failed"
_STEPS = 10_000  # of SQLite between two looks at whether anybody still waits
_NAMES = [column.removeprefix("lofty_") for column in REPORT_COLUMNS]


class Tally(NamedTuple):
    """
    What a report's rows add up to.

    :param outcomes: rows by outcome
    :param groups: those that failed, by what went wrong, the largest group first
    """

    outcomes: dict[str, int]
    groups: list[ErrorGroup]


class Filter(NamedTuple):
    """
    Which rows to show.

    :param outcome: an outcome, ``failed`` for all that count as failed, or empty for every row
    :param text: what a cell has to contain, in any case
    :param code: Lofty's code, where only its rows are wanted
    :param page: from 1
    """

    outcome: str = FAILED
    text: str = ""
    code: str = ""
    page: int = 1


class LostIndexError(Exception):
    """The index is gone or damaged; the next one who asks has it made again."""


class Index:
    """
    What is known of a report's rows.

    :param path: the file
    """

    def __init__(self, path: Path) -> None:
        self._path = path

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
            # Found once, and then counted and turned over: looking through the texts is what takes time.
            index.execute(*_query(wanted))
            (total,) = index.execute("SELECT count(*) FROM found").fetchone()
            shown = index.execute(
                "SELECT cells FROM shown WHERE id IN (SELECT id FROM found ORDER BY id LIMIT ? OFFSET ?) ORDER BY id",
                (PAGE_ROWS, first),
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
            groups = index.execute(
                "SELECT rows, cells FROM groups JOIN shown ON id = example ORDER BY rows DESC, example"
            )
            return Tally(outcomes, [_group(rows, _fate(_cells(cells))) for rows, cells in groups])

    @contextmanager
    def _opened(self, is_given_up: Callable[[], bool] = lambda: False) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro&immutable=1", uri=True)) as index:
                index.set_progress_handler(is_given_up, _STEPS)
                yield index
        except sqlite3.Error as error:
            if not is_given_up():
                self._path.unlink(missing_ok=True)
            raise LostIndexError from error


def _query(wanted: Filter) -> tuple[str, list[object]]:
    outcomes = WRONG_OUTCOMES if wanted.outcome == FAILED else (wanted.outcome,) if wanted.outcome else ()
    conditions: list[tuple[str, list[object]]] = []
    if outcomes:
        conditions.append((f"outcome IN ({', '.join('?' * len(outcomes))})", [str(one) for one in outcomes]))
    if wanted.code:
        conditions.append(("code = ?", [wanted.code]))
    table = "fates" if conditions or not wanted.text else "texts"
    if wanted.text:
        table = f"{table} JOIN texts USING (id)" if table == "fates" else table
        conditions.append(("instr(folded, ?)", [wanted.text.casefold().encode(errors="replace")]))
    where = " AND ".join(condition for condition, _ in conditions) or "true"
    query = f"CREATE TEMP TABLE found AS SELECT id FROM {table} WHERE {where}"  # noqa: S608 - of words of ours alone
    return query, [value for _, values in conditions for value in values]


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
