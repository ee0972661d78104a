"""
Reports as the task's page finds and opens them.

Only files under ``[lofty] report_folder`` are opened, under the name that follows from the ids of a task instance, and
never through a link: whoever may write there could show another Dag's rows to people who may not see them.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from airflow_provider_lofty import config
from airflow_provider_lofty.exceptions import LoftyError
from airflow_provider_lofty.report.paths import report_file
from airflow_provider_lofty.task_key import TaskKey

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_CHUNK_BYTES = 2**18
_BLOCK_BYTES = 2**22  # what object storage is asked for at once; some would read far ahead

Version: TypeAlias = tuple[object, ...]


class OutOfReachError(Exception):
    """The report cannot be opened from here; the text says why, for people."""


class MissingReportError(OutOfReachError):
    """There is no such file."""


class OpenedReport:
    """
    A report that is open for reading, up to where it ended when it was opened.

    :param stream: the file
    :param size: how many bytes of it there are
    :param look: gives what changes when the file does
    """

    def __init__(self, stream: IO[bytes], size: int, look: Callable[[], Version]) -> None:
        self._stream = stream
        self._left = size
        self._look = look
        self.version = look()

    def __enter__(self) -> OpenedReport:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def read(self) -> bytes:
        """
        Read on.

        :return: nothing at the end
        :raises OutOfReachError: when it cannot be read
        """
        with _failure_text():
            chunk = self._stream.read(min(self._left, _CHUNK_BYTES))
        self._left -= len(chunk)
        return chunk

    def read_at(self, place: int, length: int) -> bytes:
        """
        Read so many bytes somewhere.

        :raises OutOfReachError: when they cannot be read
        """
        with _failure_text():
            self._stream.seek(place)
            return self._stream.read(length)

    def is_as_opened(self) -> bool:
        """Whether nobody has written to it since, as far as its file system tells."""
        with _failure_text():
            return self._look() == self.version

    def close(self) -> None:
        """Close it; an error of that says nothing about what was read."""
        with _failure_text():
            self._stream.close()


class Excerpt:
    """
    Stretches of a report, one after the other.

    :param opened: the report
    :param places: where each begins and ends, in bytes
    """

    def __init__(self, opened: OpenedReport, places: array[int]) -> None:
        self._opened = opened
        self._places = places
        self._next = 0
        self.close = opened.close

    def read(self) -> bytes:
        """
        Read on.

        :return: nothing at the end
        :raises OutOfReachError: when it cannot be read
        """
        chunk = bytearray()
        while len(chunk) < _CHUNK_BYTES and self._next < len(self._places):
            starts, ends = self._places[self._next : self._next + 2]
            length = min(ends - starts, _CHUNK_BYTES - len(chunk))
            chunk += self._opened.read_at(starts, length)
            self._places[self._next] += length
            if starts + length == ends:
                self._next += 2
        return bytes(chunk)


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

    def open(self) -> OpenedReport:
        """
        Open it for reading.

        :raises OutOfReachError: when there is no report folder, no such file, or it cannot be read
        """
        if self.path is None:
            raise OutOfReachError("no report folder is configured")
        with _failure_text():
            return _open_url(self.path) if "://" in self.path else _open_inside(self.path)


@contextmanager
def _failure_text() -> Iterator[None]:
    """Say of any error why there are no rows. Others' words are left out: they may hold a path or a key."""
    try:
        yield
    except OutOfReachError:
        raise
    except FileNotFoundError:
        raise MissingReportError("the web server finds no such file") from None
    except LoftyError as error:
        raise OutOfReachError(f"the web server cannot read it: {error}") from None
    except Exception as error:  # each file system fails in its own way
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise OutOfReachError(f"the web server cannot read it: {reason}") from None


def _open_inside(path: str) -> OpenedReport:
    """Open a plain file and nothing else; the folder itself may be reached through links, as its owner likes."""
    folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Looked at before it is opened, for opening a device or a pipe may do something; and after, for it may be
        # another file by then.
        _refuse_what_is_no_file(path, os.stat(Path(path).name, dir_fd=folder, follow_symlinks=False))
        handle = os.open(Path(path).name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        found = os.fstat(handle)
        _refuse_what_is_no_file(path, found)
        return OpenedReport(os.fdopen(handle, "rb"), found.st_size, partial(_local_version, handle))
    except BaseException:
        os.close(handle)
        raise


def _refuse_what_is_no_file(path: str, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        is_inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(Path(path).parent))
        where = "a link to another file is not followed" if is_inside else "a link leads out of the report folder"
        raise OutOfReachError(where)
    if not stat.S_ISREG(found.st_mode):
        raise OutOfReachError("it is no plain file")


def _local_version(handle: int) -> Version:
    found = os.fstat(handle)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _open_url(url: str) -> OpenedReport:
    from airflow_provider_lofty.rows.storage import LOCAL_PROTOCOLS, storage_path  # knows every file system

    target = storage_path(url)
    if target.protocol in LOCAL_PROTOCOLS:
        return _open_inside(target.path)
    stream: IO[bytes] = target.fs.open(target.path, "rb", block_size=_BLOCK_BYTES)
    return OpenedReport(stream, target.fs.size(target.path), partial(_stored_version, target))


def _stored_version(target: ObjectStoragePath) -> Version:
    found = target.fs.info(target.path)
    try:
        changed: object = target.fs.modified(target.path)
    except NotImplementedError:
        changed = target.fs.ukey(target.path)
    return (found.get("size"), found.get("ETag"), str(changed))
