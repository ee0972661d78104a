"""
Where a file lies: on a local disk, or in object storage.

Files are found and opened through Airflow's ``ObjectStoragePath``, so ``s3://connection_id@bucket/key`` and the like
work wherever the provider package that owns the scheme is installed.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from gzip import BadGzipFile
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile

from airflow.sdk import ObjectStoragePath
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftySourceNotReady
from airflow_provider_lofty.rows.columns import MappingError
from airflow_provider_lofty.rows.lake import GLOB_MARKS, HIDDEN_MARKS, Tables, is_hidden, partitions_of
from airflow_provider_lofty.rows.notes import HIDDEN, Notes
from airflow_provider_lofty.rows.source import DamagedFile, RefusedFile

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_BUFFER_BYTES = 2**17
BLOCK_BYTES = 2**23  # what object storage is asked for, or given, at once; s3fs by itself holds 50 MB and more
LOCAL_PROTOCOLS = ("", "file", "local")
_PACKAGES = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "gs": "apache-airflow-providers-google",
    "gcs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
    "abfss": "apache-airflow-providers-microsoft-azure",
    "adl": "apache-airflow-providers-microsoft-azure",
}


class StoredFile(NamedTuple):
    """
    A file that is there.

    :param name: its path or URL, for people
    :param fs: the file system
    :param path: its path as ``fs`` knows it
    :param partitions: columns that its folders stand for
    """

    name: str
    fs: AbstractFileSystem
    path: str
    partitions: Mapping[str, str | None]

    def open(self) -> IO[bytes]:
        """
        Open it as bytes; whatever fails of the storage while it is read is not the file's fault.

        :raises LoftySourceNotReady: now or while it is read, when the storage fails
        """
        with storage_errors(self.name):
            stream = self.fs.open(self.path, mode="rb", block_size=BLOCK_BYTES)
            return BufferedReader(_StoredBytes(self.name, stream), _BUFFER_BYTES)

    @contextmanager
    def reading(self) -> Iterator[IO[bytes]]:
        """
        Open it as bytes, to read it as one and the same file to its end.

        :raises LoftySourceNotReady: as :meth:`open`; in the end, when it was changed meanwhile
        """
        before = self._state()
        with self.open() as stream:
            try:
                yield stream
            except (LoftyConfigurationError, MappingError):
                self._refuse_changed(before)  # what is wrong may be that it is half one file, half another
                raise
        self._refuse_changed(before)

    def _refuse_changed(self, before: tuple[int, int] | None) -> None:
        if self._state() != before:
            raise LoftySourceNotReady(f"{self.name} was changed while it was read; nothing was sent")

    def _state(self) -> tuple[int, int] | None:
        """What changes with a local file; None in object storage, which itself refuses the rest of another object."""
        if not isinstance(self.fs, LocalFileSystem):
            return None
        with storage_errors(self.name):
            found = Path(self.path).stat()
        return found.st_size, found.st_mtime_ns


def storage_path(url: str) -> ObjectStoragePath:
    """
    Make a path of a URL or local path.

    :raises LoftyConfigurationError: when the package for its scheme is missing, naming the package
    """
    try:
        # Some versions of universal_pathlib resolve a relative path from the root.
        path = ObjectStoragePath(url if "://" in url else str(Path(url).absolute()))
        path.fs  # noqa: B018 - only now is the scheme looked up
    except (ValueError, ImportError) as error:
        scheme = url.partition("://")[0]
        package = _PACKAGES.get(scheme, "the Airflow provider package that serves it")
        raise LoftyConfigurationError(
            f"no filesystem for {scheme}:// is installed; install {package} ({type(error).__name__})"
        ) from None
    return path


def matching_files(pattern: str, notes: Notes) -> list[StoredFile]:
    """
    Find the file of this name, or the files that a glob matches, in the order of their names.

    :param notes: gets how many a glob passed over
    :raises LoftySourceNotReady: when there is none, or the storage cannot be read just now
    :raises LoftyConfigurationError: for a folder, a file of a lake's table, or a missing file system package
    """
    root = storage_path(pattern)
    with content_errors(pattern), storage_errors(pattern):
        root.fs.invalidate_cache()  # it may remember a listing in which the files of today are missing
        if root.fs.isfile(root.path):
            return [_file(root, root.path, {})]
        if root.fs.isdir(root.path):
            raise LoftyConfigurationError(
                f"{pattern} is a folder; name its files, for example {_example(root, pattern)}"
            )
        names = sorted(root.fs.glob(root.path)) if any(mark in pattern for mark in GLOB_MARKS) else []
        files = [
            _file(root, name, partitions_of(name, root.path))
            for name in names
            if root.fs.isfile(name) and not _is_passed_over(name, root.path, notes)
        ]
    if not files:
        hidden = ", but files that are drafts or markers by their names" if names else ""
        raise LoftySourceNotReady(f"no file matches {pattern}{hidden}; nothing was sent")
    return files


def _is_passed_over(name: str, pattern: str, notes: Notes) -> bool:
    hidden = is_hidden(name, pattern)
    if hidden:
        notes.add(HIDDEN, name)
    return hidden


def _example(root: ObjectStoragePath, pattern: str) -> str:
    """Write a glob for the files in a folder, or for those in the folders in it."""
    for folder, _, all_names in root.fs.walk(root.path):
        if names := [name for name in all_names if not name.startswith(HIDDEN_MARKS)]:
            below = "" if folder.rstrip("/") == root.path.rstrip("/") else "**/"
            return f"{pattern.rstrip('/')}/{below}*{Path(sorted(names)[-1]).suffix}"
    return f"{pattern.rstrip('/')}/*.csv"


def refuse_tables(files: list[StoredFile]) -> None:
    """
    Refuse files of a lake's table.

    :raises RefusedFile: for the first of them
    """
    tables: dict[int, Tables] = {}
    for file in files:
        with content_errors(file.name), storage_errors(file.name):
            tables.setdefault(id(file.fs), Tables(file.fs)).refuse(file.path)


def _file(root: ObjectStoragePath, path: str, partitions: Mapping[str, str | None]) -> StoredFile:
    if root.protocol in LOCAL_PROTOCOLS:
        return StoredFile(path, root.fs, path, partitions)
    conn_id = getattr(root, "conn_id", None) or root.storage_options.get("conn_id")  # Airflow 3.1 has the latter
    connection = f"{conn_id}@" if conn_id else ""
    return StoredFile(f"{root.protocol}://{connection}{path.lstrip('/')}", root.fs, path, partitions)


class _StoredBytes(RawIOBase):
    """Bytes of a stored file: what fails here is the storage's fault; what fails in whoever reads it is the file's."""

    def __init__(self, name: str, stream: Any) -> None:
        self._name = name
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._stream.seekable())

    def readinto(self, buffer: Any) -> int:
        with storage_errors(self._name):
            data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._stream.seek(offset, whence))  # to where a damaged file points, if it must

    def tell(self) -> int:
        return int(self._stream.tell())

    def close(self) -> None:
        self._stream.close()
        super().close()


@contextmanager
def storage_errors(name: str) -> Iterator[None]:
    """
    Report errors of finding, opening and reading a file.

    :raises LoftySourceNotReady: when it cannot be read just now
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LoftySourceNotReady(f"{name} cannot be read: {reason}; nothing was sent") from None


@contextmanager
def content_errors(name: str) -> Iterator[None]:
    """
    Report errors of what is in a file.

    :raises LoftyConfigurationError: when it is damaged, or may mean two things
    """
    try:
        yield
    except UnicodeError as error:
        reason = f"it is not text in {getattr(error, 'encoding', 'that encoding')}; name its own in file_options"
        raise LoftyConfigurationError(f"{name} is damaged: {reason}; nothing was sent") from None
    except BadGzipFile:  # whose text shows the first bytes
        raise LoftyConfigurationError(
            f"{name} is damaged: it is not gzip, as its name says; nothing was sent"
        ) from None
    # OSError: of a decompressor, which knows no better
    except (EOFError, OSError, zlib.error, lzma.LZMAError, BadZipFile, DamagedFile) as error:
        raise LoftyConfigurationError(f"{name} is damaged: {error}; nothing was sent") from None
    except RefusedFile as error:
        raise LoftyConfigurationError(f"{name}: {error}; nothing was sent") from None
