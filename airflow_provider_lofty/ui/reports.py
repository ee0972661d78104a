"""
Reports as the task's page shows them: found, opened, and read row by row.

Only files under ``[lofty] report_folder`` are opened, under the name that follows from the ids of a task instance.
A link is followed only as long as it stays inside that folder.
"""

from __future__ import annotations

import csv
import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from airflow_provider_lofty import configured
from airflow_provider_lofty.exceptions import LoftyError
from airflow_provider_lofty.report import REPORT_COLUMNS, report_file
from airflow_provider_lofty.spool import FAILED_OUTCOMES, OUTCOMES
from airflow_provider_lofty.spreadsheet import restored

PAGE_ROWS = 50
FAILED = "failed"
_LONGEST_CELL = 2**31 - 1
_PREFIX = "lofty_"


class OutOfReachError(Exception):
    """The report cannot be opened from here; the text says why, for people."""


class ReportFile:
    """
    The report of one try of a task instance, in the report folder.

    :param dag_id, run_id, task_id, map_index, try_number: of the task instance
    """

    def __init__(self, dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int) -> None:
        folder = configured.report_folder()
        self.path = None if folder is None else report_file(folder, dag_id, run_id, task_id, map_index, try_number)

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return (self.path or "").rpartition("/")[2]

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """
        Open it for reading.

        :raises OutOfReachError: when there is no report folder, no such file, or it cannot be read
        """
        if self.path is None:
            raise OutOfReachError("no report folder is configured")
        try:
            stream = _open_url(self.path) if "://" in self.path else _open_inside(self.path)
        except FileNotFoundError:
            raise OutOfReachError("the web server finds no such file") from None
        except (OSError, RuntimeError, LoftyError) as error:  # RuntimeError: links that lead in a circle
            raise OutOfReachError(f"the web server cannot read it: {_reason(error)}") from None
        with stream:
            yield stream

    def rows(self) -> Iterator[dict[str, Any]]:
        """
        Read it: ``columns`` holds the row's own cells, the other keys are the report's columns without ``lofty_``.

        :raises OutOfReachError: when it cannot be opened or is no report
        """
        csv.field_size_limit(_LONGEST_CELL)  # it is the whole process's, and other threads may be reading
        with self.opened() as stream:
            lines = (line.decode("utf-8", "replace") for line in stream)
            try:
                yield from _rows(csv.reader(lines))
            except (csv.Error, OSError) as error:
                raise OutOfReachError(f"the report is damaged: {_reason(error)}") from None


def _open_inside(path: str) -> IO[bytes]:
    folder = Path(path).parent.resolve()
    target = (folder / Path(path).name).resolve()
    if not target.is_relative_to(folder):
        raise OutOfReachError("a link leads out of the report folder")
    # What is no plain file might never end, and what is a link by now was none when it was looked at.
    handle = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OutOfReachError("it is no plain file")
    return os.fdopen(handle, "rb")


def _open_url(url: str) -> IO[bytes]:
    from airflow_provider_lofty.sources.files import LOCAL_PROTOCOLS, storage_path  # knows every file system

    target = storage_path(url)
    if target.protocol in LOCAL_PROTOCOLS:
        return _open_inside(target.path)
    stream: IO[bytes] = target.fs.open(target.path, "rb")
    return stream


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)


def _rows(reader: Iterator[list[str]]) -> Iterator[dict[str, Any]]:
    header = next(reader, [])
    own = header[: -len(REPORT_COLUMNS)]
    if tuple(header[len(own) :]) != REPORT_COLUMNS:
        raise OutOfReachError("the file is no report")
    names = [column.removeprefix(_PREFIX) for column in REPORT_COLUMNS]
    for cells in reader:
        if len(cells) != len(header):
            raise OutOfReachError("the report is damaged: a row has too few or too many cells")
        fate = dict(zip(names, cells[len(own) :], strict=True))
        yield {**fate, "columns": dict(zip(own, cells, strict=False))}


def page_of(report: ReportFile, outcome: str, text: str, page: int) -> dict[str, Any]:
    """
    Give one page of a report's rows.

    :param outcome: an outcome, ``failed`` for all that count as failed, or empty for every row
    :param text: what a cell has to contain, in any case
    :param page: from 1
    :return: ``total`` rows that fit, ``pages``, ``page`` and its ``rows``
    :raises OutOfReachError: as :meth:`ReportFile.rows`
    """
    wanted = FAILED_OUTCOMES if outcome == FAILED else (outcome,) if outcome else OUTCOMES
    sought, first = text.casefold(), (page - 1) * PAGE_ROWS
    total, rows = 0, []
    for row in report.rows():
        if row["outcome"] not in wanted or (sought and not _contains(row, sought)):
            continue
        if first <= total < first + PAGE_ROWS:
            rows.append({**row, "error": restored(row["error"]), "columns": list(row["columns"].items())})
        total += 1
    return {"total": total, "page": page, "pages": max(-(-total // PAGE_ROWS), 1), "rows": rows}


def _contains(row: dict[str, Any], text: str) -> bool:
    cells = (*row["columns"].values(), *(value for name, value in row.items() if name != "columns"))
    return any(text in cell.casefold() for cell in cells)


def tally(report: ReportFile) -> tuple[Counter[str], list[dict[str, Any]]]:
    """
    Count a report's rows by outcome, and those that failed by what went wrong, the largest group first.

    :return: the counts, and groups as a run's summary has them
    :raises OutOfReachError: as :meth:`ReportFile.rows`
    """
    outcomes: Counter[str] = Counter()
    counts: Counter[tuple[str, ...]] = Counter()
    examples: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in report.rows():
        outcomes[row["outcome"]] += 1
        if row["outcome"] in FAILED_OUTCOMES:
            words = "" if row["error_code"] else row["error"]
            alike = (row["outcome"], row["http_status"], row["error_code"], row["error_field"], words)
            counts[alike] += 1
            examples.setdefault(alike, row)
    return outcomes, [_group(count, examples[alike]) for alike, count in counts.most_common()]


def _group(count: int, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "count": count,
        "outcome": example["outcome"],
        "http_status": _number(example["http_status"]),
        "error_code": _number(example["error_code"]),
        "error_field": example["error_field"] or None,
        "error": restored(example["error"]),
        "example_source": restored(example["source"]),
        "example_row": _number(example["row_number"]),
        "example_lead_id": example["lead_id"] or None,
    }


def _number(cell: str) -> int | None:
    return int(cell) if cell.isascii() and cell.isdecimal() else None
