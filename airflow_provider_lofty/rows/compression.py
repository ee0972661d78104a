"""Compressed files, as their names or their first bytes say."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from io import BufferedReader, RawIOBase
from typing import IO, Any, cast
from zipfile import BadZipFile, ZipFile, ZipInfo

from airflow_provider_lofty.rows.source import DamagedFile, RefusedFile


def _zstandard(stream: IO[bytes]) -> IO[bytes]:
    from pyarrow import CompressedInputStream

    return BufferedReader(cast(RawIOBase, CompressedInputStream(stream, "zstd")))


def _zip(stream: IO[bytes]) -> IO[bytes]:
    try:
        archive = ZipFile(stream)
    except BadZipFile as error:
        raise DamagedFile(str(error)) from None
    (member,) = _members(archive)
    return archive.open(member)


def _members(archive: ZipFile) -> list[ZipInfo]:
    members = [each for each in archive.infolist() if not each.is_dir() and not each.filename.startswith("__MACOSX/")]
    if any(each.filename == "[Content_Types].xml" for each in members):
        raise RefusedFile('it is an Excel file; save it as "CSV UTF-8" and name that file')
    if len(members) != 1:
        raise RefusedFile(f"it holds {len(members)} files, and only a zip of exactly one is read; unzip it")
    if members[0].flag_bits & 1:
        raise RefusedFile("it is a zip with a password; unzip it")
    return members


DECOMPRESSORS: dict[str, Callable[[Any], IO[bytes]]] = {
    ".gz": lambda stream: cast(IO[bytes], gzip.GzipFile(fileobj=stream)),
    ".bz2": lambda stream: cast(IO[bytes], bz2.BZ2File(stream)),
    ".xz": lambda stream: cast(IO[bytes], lzma.LZMAFile(stream)),  # noqa: SIM115 - the caller closes what is below
    ".zst": _zstandard,
    ".zip": _zip,
}
_MARKS = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\0": ".xz", b"\x28\xb5\x2f\xfd": ".zst", b"PK\3\4": ".zip"}


def compression_of(head: bytes) -> str | None:
    """Recognise compressed bytes by how they begin."""
    return next((ending for mark, ending in _MARKS.items() if head.startswith(mark)), None)


def name_inside(stream: IO[bytes]) -> str:
    """Give the name of the one file in a zip."""
    try:
        (member,) = _members(ZipFile(stream))
    except BadZipFile as error:
        raise DamagedFile(str(error)) from None
    return member.filename
