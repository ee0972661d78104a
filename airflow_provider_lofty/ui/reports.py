"""
Reports as the task's page shows them: found, opened, and read row by row.

Only files under ``[lofty] report_folder`` are opened, under the name that follows from the ids of a task instance.
A link is followed only as long as it stays inside that folder.
"""

from __future__ import annotations

import csv
import os
import stat
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from airflow_provider_lofty import config
from airflow_provider_lofty.exceptions import LoftyError
from airflow_provider_lofty.outcomes import FAILED_OUTCOMES, OUTCOMES, Outcome
from airflow_provider_lofty.report.paths import report_file
from airflow_provider_lofty.report.summary import ErrorGroup
from airflow_provider_lofty.rows.report_format import REPORT_COLUMNS, restored
from airflow_provider_lofty.task_key import TaskKey

PAGE_ROWS = 50
FAILED = "failed"
_EXPLAINED = (*FAILED_OUTCOMES, Outcome.UNMATCHED)
_LONGEST_CELL = 2**31 - 1
_LONGEST_SHOWN = 2000
_MOST_GROUPS = 20
_MOST_TALLIES = 50
_NAMES = [column.removeprefix("lofty_") for column in REPORT_COLUMNS]
_OUTCOME, _STATUS, _CODE, _FIELD, _ERROR = (
    _NAMES.index(name) - len(_NAMES) for name in ("outcome", "http_status", "error_code", "error_field", "error")
)  # counted from the end, for a report's own columns come last

_reading = threading.Semaphore()
_tallies: dict[tuple[str | None, tuple[int, int] | None], Tally] = {}


class Tally(NamedTuple):
    """
    What a report's rows add up to.

    :param outcomes: rows by outcome
    :param groups: those that failed, by what went wrong, the largest group first
    """

    outcomes: dict[str, int]
    groups: list[ErrorGroup]


class OutOfReachError(Exception):
    """The report cannot be opened from here; the text says why, for people."""


class ReportFile:
    """
    The report of one try of a task instance, in the report folder.

    :param key: that try
    """

    def __init__(self, key: TaskKey) -> None:
        folder = config.report_folder()
        self.path = None if folder is None else report_file(folder, key)

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return (self.path or "").rpartition("/")[2]

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """
        Open it for reading.

        :raises OutOfReachError: when there is no report folder, no such file, or it cannot be read, now or later
        """
        if self.path is None:
            raise OutOfReachError("no report folder is configured")
        with _failure_text(), _open_url(self.path) if "://" in self.path else _open_inside(self.path) as stream:
            yield stream

    @contextmanager
    def table(self) -> Iterator[tuple[list[str], Iterator[list[str]]]]:
        """
        Read it: its header, and the cells of one row after the other, as many as the header has.

        :raises OutOfReachError: when it cannot be opened or is no report
        """
        csv.field_size_limit(_LONGEST_CELL)  # it is the whole process's, and other threads may be reading
        # One at a time: reading is work for the processor, which Airflow's other pages need, too.
        with _reading, self.opened() as stream:
            reader = csv.reader(line.decode("utf-8", "replace") for line in stream)
            header = next(reader, [])
            if tuple(header[-len(REPORT_COLUMNS) :]) != REPORT_COLUMNS:
                raise OutOfReachError("the file is no report")
            yield header, _whole(reader, len(header))

    @property
    def version(self) -> tuple[int, int] | None:
        """What changes when a local report does; None where that is unknown."""
        try:
            found = Path(self.path or "").stat()
        except (OSError, ValueError):
            return None
        return found.st_mtime_ns, found.st_size


@contextmanager
def _failure_text() -> Iterator[None]:
    """Say of any error why there are no rows. Others' words are left out: they may hold a path or a key."""
    try:
        yield
    except OutOfReachError:
        raise
    except FileNotFoundError:
        raise OutOfReachError("the web server finds no such file") from None
    except LoftyError as error:
        raise OutOfReachError(f"the web server cannot read it: {error}") from None
    except csv.Error as error:
        raise OutOfReachError(f"the report is damaged: {error}") from None
    except Exception as error:  # each file system fails in its own way
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise OutOfReachError(f"the web server cannot read it: {reason}") from None


def _whole(reader: Iterator[list[str]], width: int) -> Iterator[list[str]]:
    for cells in reader:
        if len(cells) != width:
            raise OutOfReachError("the report is damaged: a row has too few or too many cells")
        yield cells


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
    from airflow_provider_lofty.rows.storage import LOCAL_PROTOCOLS, storage_path  # knows every file system

    target = storage_path(url)
    if target.protocol in LOCAL_PROTOCOLS:
        return _open_inside(target.path)
    stream: IO[bytes] = target.fs.open(target.path, "rb")
    return stream


def page_of(report: ReportFile, outcome: str, text: str, page: int, code: str = "") -> dict[str, object]:
    """
    Give one page of a report's rows.

    :param outcome: an outcome, ``failed`` for all that failed or are unmatched, or empty for every row
    :param text: what a cell has to contain, in any case
    :param page: from 1
    :param code: Lofty's code, where only its rows are wanted
    :return: ``total`` rows that fit, ``pages``, ``page`` and its ``rows``: the report's columns without ``lofty_``, and
        the row's own as ``columns``. Long cells are cut
    :raises OutOfReachError: as :meth:`ReportFile.table`
    """
    wanted = _EXPLAINED if outcome == FAILED else (outcome,) if outcome else OUTCOMES
    trace_of_body, first = text.casefold(), (page - 1) * PAGE_ROWS
    total, rows = 0, []
    with report.table() as (header, table):
        for cells in table:
            if cells[_OUTCOME] not in wanted or (code and cells[_CODE] != code):
                continue
            if trace_of_body and not any(trace_of_body in cell.casefold() for cell in cells):
                continue
            if first <= total < first + PAGE_ROWS:
                rows.append(_shown(header, cells))
            total += 1
    return {"total": total, "page": page, "pages": max(-(-total // PAGE_ROWS), 1), "rows": rows}


def _shown(header: list[str], cells: list[str]) -> dict[str, object]:
    cells = [_cut(cell) for cell in cells]
    fate, own = _fate(cells), len(header) - len(_NAMES)
    return {**fate, "error": restored(fate["error"]), "columns": list(zip(header[:own], cells, strict=False))}


def _cut(cell: str) -> str:
    return cell if len(cell) <= _LONGEST_SHOWN else f"{cell[:_LONGEST_SHOWN]}…"


def _fate(cells: list[str]) -> dict[str, str]:
    return dict(zip(_NAMES, cells[-len(_NAMES) :], strict=True))


def tally(report: ReportFile) -> Tally:
    """
    Count a report's rows by outcome, and those that failed or are unmatched by what went wrong, the largest first.

    :return: the counts, and groups as in a run's summary
    :raises OutOfReachError: as :meth:`ReportFile.table`
    """
    version = report.version
    key = (report.path, version)
    if version is not None and key in _tallies:
        return _tallies[key]
    found = _tally(report)
    if len(_tallies) >= _MOST_TALLIES:
        _tallies.clear()
    _tallies[key] = found
    return found


def _tally(report: ReportFile) -> Tally:
    outcomes: Counter[str] = Counter()
    counts: Counter[tuple[str, ...]] = Counter()
    examples: dict[tuple[str, ...], dict[str, str]] = {}
    with report.table() as (_, table):
        for cells in table:
            outcomes[cells[_OUTCOME]] += 1
            if cells[_OUTCOME] in _EXPLAINED:
                alike = _kind_of_failure(cells)
                counts[alike] += 1
                if alike not in examples:
                    examples[alike] = _fate([_cut(cell) for cell in cells])
    return Tally(dict(outcomes), [_group(count, examples[alike]) for alike, count in counts.most_common(_MOST_GROUPS)])


def _kind_of_failure(cells: list[str]) -> tuple[str, ...]:
    error = cells[_ERROR].partition(":")[0] if cells[_OUTCOME] == Outcome.UNMATCHED else cells[_ERROR]
    return cells[_OUTCOME], cells[_STATUS], cells[_CODE], cells[_FIELD], cells[_CODE] or error


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
