"""
The indexes of reports: made by a process of their own, and kept for a while.

They lie in a folder that only the web server's user can read. Nothing is ever written beside a report.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_lofty import __version__
from airflow_provider_lofty.outcomes import WRONG_OUTCOMES
from airflow_provider_lofty.rows.report_format import REPORT_COLUMNS
from airflow_provider_lofty.ui import indexer
from airflow_provider_lofty.ui.index import Index
from airflow_provider_lofty.ui.reports import OpenedReport, OutOfReachError, ReportFile

KEPT_SECONDS = 3600.0
_INDEX_BYTES = 2**31
_FOLDER_BYTES = 2**32
_READING_SECONDS = 600.0
_MOST_REFUSED = 100


class Indexes:
    """
    The folder of indexes; several processes may share it.

    :param folder: another folder than this user's, for tests
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._refused: dict[str, str] = {}

    def find(self, report: ReportFile) -> Index | None:
        """
        Find the index of a report as it is now.

        :raises OutOfReachError: when the report cannot be opened, or is known to be none
        """
        with report.open() as opened, _disk_errors():
            return self._find(self._path(report, opened))

    def make(self, report: ReportFile) -> Index:
        """
        Find the index of a report, or make it.

        :raises OutOfReachError: when the report cannot be read, or is none
        """
        with report.open() as opened, _disk_errors():
            path = self._path(report, opened)
            return self._find(path) or self._made(opened, path)

    def is_of(self, index: Index, report: ReportFile, opened: OpenedReport) -> bool:
        """Whether an index is one of the report as it was opened."""
        with _disk_errors():
            return self._path(report, opened) == index.path

    def sweep(self) -> None:
        """Remove what was not used for long."""
        with suppress(OSError):  # the next one may do better
            _sweep(self._private_folder())

    def _path(self, report: ReportFile, opened: OpenedReport) -> Path:
        named = repr((__version__, indexer.FORMAT, report.path, opened.version))
        return self._private_folder() / f"{blake2b(named.encode(errors='replace'), digest_size=20).hexdigest()}.index"

    def _find(self, path: Path) -> Index | None:
        if path.name in self._refused:
            raise OutOfReachError(self._refused[path.name])
        try:
            os.utime(path)  # it is in use
        except OSError:
            return None
        return Index(path)

    def _made(self, opened: OpenedReport, path: Path) -> Index:
        _sweep(path.parent, _INDEX_BYTES)
        handle, draft = tempfile.mkstemp(suffix=".draft", dir=path.parent)
        os.close(handle)
        try:
            answer = _run(opened, Path(draft))
            if answer.is_of_the_report:
                self._refuse(path.name, answer.why)
            if answer.why:
                raise OutOfReachError(answer.why)
            if not opened.is_as_opened():
                raise OutOfReachError("the report was changed while it was read")
            Path(draft).replace(path)  # whole or not at all, whoever else makes the same
        finally:
            Path(draft).unlink(missing_ok=True)
        return Index(path)

    def _refuse(self, name: str, why: str) -> None:
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        self._refused[name] = why

    def _private_folder(self) -> Path:
        if self._folder is None or not self._folder.is_dir():
            self._folder = _private_folder()
        return self._folder


def _private_folder() -> Path:
    """Give this user's folder for indexes, or another one where somebody else has made that before us."""
    name = f"airflow-lofty-{os.geteuid()}"
    folder = Path(tempfile.gettempdir(), name)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    is_own = found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & 0o077 == 0
    return folder if stat.S_ISDIR(found.st_mode) and is_own else Path(tempfile.mkdtemp(prefix=f"{name}-"))


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutOfReachError(f"the web server cannot keep an index of it in its temporary folder: {reason}") from None


def _sweep(folder: Path, room: int = 0) -> None:
    """Remove what was not used for long, and of the rest so much that there is room for so many bytes."""
    found = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process sweeps, too
            about = path.stat()
            found.append((about.st_mtime, about.st_size, path))
    total = 0
    for changed, size, path in sorted(found, reverse=True):
        total += size
        if changed < time.time() - KEPT_SECONDS or total > _FOLDER_BYTES - room:
            path.unlink(missing_ok=True)


class _Answer(NamedTuple):
    """
    What came of reading a report.

    :param why: why there is no index; empty when there is one
    :param is_of_the_report: whether that would be so the next time, too
    """

    why: str
    is_of_the_report: bool = False


def _run(opened: OpenedReport, draft: Path) -> _Answer:
    task: indexer.Task = {
        "index": str(draft),
        "index_bytes": min(_INDEX_BYTES, shutil.disk_usage(draft.parent).free // 2),
        "columns": list(REPORT_COLUMNS),
        "failed": [str(outcome) for outcome in WRONG_OUTCOMES],
    }
    command = [sys.executable, "-I", "-S", indexer.__file__, json.dumps(task)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    timer = threading.Timer(_READING_SECONDS, process.kill)
    timer.daemon = True
    timer.start()
    try:
        _feed(process, opened)
    except BaseException:
        process.kill()
        raise
    finally:
        said = process.communicate()[0].decode()
        timer.cancel()
    if process.returncode in (indexer.REFUSED, indexer.NO_ROOM):
        return _Answer(said, process.returncode == indexer.REFUSED)
    return _Answer("" if process.returncode == 0 else "the web server could not read it to the end")


def _feed(process: subprocess.Popen[bytes], opened: OpenedReport) -> None:
    stdin: Any = process.stdin  # it has one
    with suppress(BrokenPipeError):  # it may have seen enough
        while chunk := opened.read():
            stdin.write(chunk)
