"""What a file is: what its author says, what its name says, and else what its bytes say where that is certain."""

from __future__ import annotations

import codecs
from io import TextIOWrapper
from pathlib import PurePosixPath
from typing import IO, Any, NamedTuple, cast

from airflow_provider_lofty.rows.compression import DECOMPRESSORS, compression_of, name_inside
from airflow_provider_lofty.rows.delimited import DELIMITERS
from airflow_provider_lofty.rows.file_options import FileOptions
from airflow_provider_lofty.rows.source import RefusedFile


class Kind(NamedTuple):
    """
    What a file is.

    :param format: ``csv``, ``jsonl``, ``json`` or ``parquet``
    :param delimiter: of cells, where the name says it
    :param compression: the ending that names it
    """

    format: str
    delimiter: str | None = None
    compression: str | None = None


_KINDS = {
    ".csv": Kind("csv"),
    ".txt": Kind("csv"),
    ".tsv": Kind("csv", "\t"),
    ".tab": Kind("csv", "\t"),
    ".psv": Kind("csv", "|"),
    ".jsonl": Kind("jsonl"),
    ".ndjson": Kind("jsonl"),
    ".json": Kind("json"),
    ".parquet": Kind("parquet"),
}
ENDINGS = ", ".join(_KINDS)
_SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
_OLD_SPREADSHEET = b"\xd0\xcf\x11\xe0"
_MARKS = (  # the longer first: one mark begins like another
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8"),
)
_HEAD_BYTES = 2**12


def kind_by_name(name: str, options: FileOptions) -> Kind | None:
    """
    Say what a file is without looking into it; None where its name does not say.

    :raises RefusedFile: for a spreadsheet, or compressed Parquet
    """
    path = PurePosixPath(name.lower())
    compression = path.suffix if path.suffix in DECOMPRESSORS else None
    ending = path.with_suffix("").suffix if compression else path.suffix
    if ending in _SPREADSHEETS:
        raise RefusedFile(f'it is a spreadsheet ({ending}); save it as "CSV UTF-8" and name that file')
    kind = _KINDS.get(ending)
    if options.format is not None:
        kind = Kind(options.format, kind.delimiter if kind else None)
    if kind is None:
        return None
    if kind.format == "parquet" and compression:
        raise RefusedFile(f"it is Parquet inside {compression}; unpack it: Parquet is read in parts, from its end")
    return kind._replace(compression=compression)


def kind_by_content(name: str, stream: IO[bytes], options: FileOptions) -> Kind:
    """
    Look what a file is whose name does not say so.

    :raises RefusedFile: where its first bytes do not, either
    """
    suffix = PurePosixPath(name.lower()).suffix
    compression = suffix if suffix in DECOMPRESSORS else compression_of(_head(stream))
    if compression == ".zip":
        inside = kind_by_name(name_inside(stream), options)
        stream.seek(0)
        if inside is not None:
            return inside._replace(compression=".zip")
    if compression:
        stream = DECOMPRESSORS[compression](stream)
    kind = _kind_of_bytes(_head(stream), options)
    if kind is None:
        raise RefusedFile(
            f"neither its ending (known are {ENDINGS}; all but the last also with {', '.join(DECOMPRESSORS)}) nor its "
            'first bytes say what it is; say file_options={"format": "csv"}, or jsonl, json or parquet'
        )
    return kind._replace(compression=compression)


def _kind_of_bytes(head: bytes, options: FileOptions) -> Kind | None:
    if head.startswith(b"PAR1"):
        return Kind("parquet")
    if head.startswith(_OLD_SPREADSHEET):
        raise RefusedFile('it is a spreadsheet; save it as "CSV UTF-8" and name that file')
    encoding = _encoding_by_mark(head) or options.encoding or "utf-8"
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head).lstrip("\ufeff \t\r\n")
    if "\0" in text:
        return None
    if text[:1] in ("{", "["):
        return Kind("json")
    line = next(iter(text.splitlines()), "")
    return Kind("csv") if any(mark in line for mark in options.delimiter or DELIMITERS) else None


def _head(stream: IO[bytes]) -> bytes:
    return cast(bytes, cast(Any, stream).peek(_HEAD_BYTES)[:_HEAD_BYTES])


def _encoding_by_mark(head: bytes) -> str | None:
    return next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)


def unpacked(stream: IO[bytes], kind: Kind) -> IO[bytes]:
    """Open what is inside a compressed file, also one that its name does not call so."""
    compression = kind.compression or (None if kind.format == "parquet" else compression_of(_head(stream)))
    return DECOMPRESSORS[compression](stream) if compression else stream


def decoded(stream: IO[bytes], options: FileOptions) -> IO[str]:
    """
    Open as text: in the encoding of its byte order mark, in that which the author names, or in UTF-8.

    :raises RefusedFile: when the mark and the author disagree
    """
    marked = _encoding_by_mark(_head(stream))
    if marked and options.encoding and not options.encoding.startswith(marked):
        raise RefusedFile(f"it begins with the mark of {marked}, but file_options says {options.encoding}")
    encoding = marked or options.encoding or "utf-8"
    # Bytes that are no text become lone surrogates, so that only the rows that hold them are invalid.
    return TextIOWrapper(cast(Any, stream), encoding, errors="surrogateescape", newline="")
