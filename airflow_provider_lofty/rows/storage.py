"""
Where a file lies: on a local disk, or in object storage.

Files are found and opened through Airflow's ``ObjectStoragePath``, so ``s3://connection_id@bucket/key`` and the like
work wherever the provider package that owns the scheme is installed.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import BadGzipFile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from airflow.sdk import ObjectStoragePath

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftySourceNotReady
from airflow_provider_lofty.rows.source import DamagedFile

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

LOCAL_PROTOCOLS = ("", "file", "local")
_GLOB_MARKS = "*?["
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
    """

    name: str
    fs: AbstractFileSystem
    path: str


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


def matching_files(pattern: str) -> list[StoredFile]:
    """
    Find the file of this name, or the files that a glob matches, in the order of their names.

    :raises LoftySourceNotReady: when there is none, or the storage cannot be read just now
    :raises LoftyConfigurationError: for a folder, or a missing file system package
    """
    root = storage_path(pattern)
    with file_errors(pattern):
        if root.fs.isfile(root.path):
            return [_file(root, root.path)]
        if root.fs.isdir(root.path):
            raise LoftyConfigurationError(
                f"{pattern} is a folder; name its files, for example {pattern.rstrip('/')}/*.csv"
            )
        names = sorted(root.fs.glob(root.path)) if any(mark in pattern for mark in _GLOB_MARKS) else []
        files = [_file(root, name) for name in names if root.fs.isfile(name)]
    if not files:
        raise LoftySourceNotReady(f"no file matches {pattern}; nothing was sent")
    return files


def _file(root: ObjectStoragePath, path: str) -> StoredFile:
    if root.protocol in LOCAL_PROTOCOLS:
        return StoredFile(path, root.fs, path)
    conn_id = getattr(root, "conn_id", None) or root.storage_options.get("conn_id")  # Airflow 3.1 has the latter
    connection = f"{conn_id}@" if conn_id else ""
    return StoredFile(f"{root.protocol}://{connection}{path.lstrip('/')}", root.fs, path)


@contextmanager
def file_errors(name: str) -> Iterator[None]:
    """
    Report errors of finding, opening and reading a file.

    :raises LoftyConfigurationError: when the file is damaged
    :raises LoftySourceNotReady: when it cannot be read just now
    """
    try:
        yield
    except (csv.Error, EOFError, BadGzipFile, zlib.error, DamagedFile) as error:
        raise LoftyConfigurationError(f"{name} is damaged: {error}; nothing was sent") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LoftySourceNotReady(f"{name} cannot be read: {reason}; nothing was sent") from None
