"""Compressed files, as their names or their first bytes say."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from io import BufferedReader, RawIOBase
from typing import IO, TYPE_CHECKING, Any, Protocol, cast
from zipfile import BadZipFile, ZipFile, ZipInfo

from airflow_provider_lofty.rows.source import DamagedFile, RefusedFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK = 1 << 16


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Streams(RawIOBase):
    """
    Compressed streams one after another, as parallel compressors and ``cat`` leave them, with zeros between.

    Python's own files take what they cannot read after the first stream for the end: rows would be missing, unsaid.

    :param new: makes what decompresses one stream
    :raises EOFError: when the file ends within a stream
    """

    def __init__(self, file: IO[bytes], new: Callable[[], _Decompressor]) -> None:
        self._file = file
        self._new = new
        self._stream = new()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        into = memoryview(buffer).cast("B")
        while into:
            given = b""
            if self._stream.eof and not (given := self._after_stream()):
                return 0
            if not given and self._stream.needs_input and not (given := self._file.read(_CHUNK)):
                raise EOFError("it ends too early")
            if found := self._stream.decompress(given, len(into)):
                into[: len(found)] = found
                return len(found)
        return 0

    def _after_stream(self) -> bytes:
        """Begin with the next stream, and give its first bytes; none at the end of the file."""
        rest = self._stream.unused_data.lstrip(b"\0")
        while not rest:
            chunk = self._file.read(_CHUNK)
            if not chunk:
                return b""
            rest = chunk.lstrip(b"\0")
        self._stream = self._new()
        return rest


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
    ".bz2": lambda stream: BufferedReader(_Streams(stream, bz2.BZ2Decompressor)),
    ".xz": lambda stream: BufferedReader(_Streams(stream, lzma.LZMADecompressor)),
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
