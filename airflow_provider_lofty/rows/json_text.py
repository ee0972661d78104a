"""Rows from JSON: lines with an object each, or one array of objects, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from json import JSONDecoder
from typing import Any

from airflow_provider_lofty.rows.columns import FIELDS_BY_NAME, normalise
from airflow_provider_lofty.rows.lines import LONGEST_LINE, Lines, Readable, too_long
from airflow_provider_lofty.rows.source import DamagedFile, RefusedFile, SourceRow
from airflow_provider_lofty.rows.values import kind_of
from airflow_provider_lofty.rows.written import json_number

_HEAD = 2**16  # characters
_NO_LINES = (
    'it is not JSON lines, which are one whole object in each line: say file_options={"format": "json"} where it is an '
    "array, or objects that are written over several lines"
)


def json_line_rows(stream: Readable) -> Iterator[SourceRow]:
    """
    Parse line by line; a line that is not an object is a row with a problem.

    :raises RefusedFile: when the file is an array, or an object spans lines
    """
    head = stream.read(_HEAD)
    opening = head.lstrip("\ufeff \t\r\n").partition("\n")[0]
    if opening.startswith("[") or opening.strip() == "{":
        raise RefusedFile(_NO_LINES)
    return _line_rows(Lines(_PutBack(head, stream)))


def json_rows(stream: Readable) -> Iterator[SourceRow]:
    """
    Parse lines, one array, or objects that are written over several lines, whichever it is.

    :raises RefusedFile: when it is neither an array nor an object
    :raises DamagedFile: while rows are read, when it is not JSON to its end
    """
    head = stream.read(_HEAD)
    text = head.lstrip("\ufeff")
    first = text.lstrip()[:1]
    if first not in ("", "[", "{"):
        raise RefusedFile("it is not JSON: it begins neither with an object nor with an array")
    if first == "{" and _is_object(text.lstrip().partition("\n")[0]):
        return _line_rows(Lines(_PutBack(head, stream)))
    values = _Values(_PutBack(text, stream))
    return _value_rows(values.of_array() if first == "[" else values.one_by_one())


class _PutBack:
    """A stream whose beginning was read and put back."""

    def __init__(self, head: str, stream: Readable) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int) -> str:
        head, self._head = self._head, ""
        return head or self._stream.read(size)


class _Decoder(JSONDecoder):
    """
    A decoder that keeps every digit, and notices a key that is there twice, of which only the last value would be left.

    :ivar repeated: such a key in the value that was decoded last
    """

    def __init__(self) -> None:
        super().__init__(object_pairs_hook=self._object, parse_float=json_number)
        self.repeated: str | None = None

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            keys = [key for key, _ in pairs]
            self.repeated = next(key for key in keys if keys.count(key) > 1)
        return made


def _is_object(line: str) -> bool:
    try:
        return isinstance(_Decoder().decode(line), dict)
    except (ValueError, RecursionError):
        return False


def _line_rows(lines: Lines) -> Iterator[SourceRow]:
    decoder, row_number = _Decoder(), 0
    while line := lines.line():
        text = line.lstrip("\ufeff") if lines.number == 1 else line
        if text.isspace():
            continue
        row_number += 1
        decoder.repeated = None
        try:
            value = decoder.decode(text)
        except (ValueError, RecursionError):
            yield SourceRow(row_number, (), (), "is not JSON", lines.number)
            continue
        if row_number == 1:
            _refuse_wrapper(value)
        yield _row(row_number, value, decoder.repeated, lines.number)


def _row(number: int, value: object, repeated: str | None, line: int) -> SourceRow:
    if not isinstance(value, dict):
        return SourceRow(number, (), (), f"is {kind_of(value)}, not a JSON object", line)
    problem = None if repeated is None else f"has the key {repeated!r} twice in one object"
    return SourceRow(number, tuple(value), tuple(value.values()), problem, line)


def _refuse_wrapper(value: object) -> None:
    """Refuse an object that is not a row itself, but holds the rows."""
    if not isinstance(value, dict) or any(normalise(key) in FIELDS_BY_NAME for key in value):
        return
    for key, held in value.items():
        if isinstance(held, list) and held and all(isinstance(item, dict) for item in held):
            raise RefusedFile(f"its rows lie inside {key!r} of an object; write that list alone into the file")


def _value_rows(values: Iterator[tuple[int, object, str | None]]) -> Iterator[SourceRow]:
    for number, (line, value, repeated) in enumerate(values, start=1):
        if number == 1:
            _refuse_wrapper(value)
        yield _row(number, value, repeated, line)


class _Values:
    """JSON values out of a stream, each with the line where it begins and a key that it has twice."""

    def __init__(self, stream: _PutBack) -> None:
        self._stream = stream
        self._decoder = _Decoder()
        self._text = ""
        self._at = 0
        self._line = 1
        self._is_whole = False

    def of_array(self) -> Iterator[tuple[int, object, str | None]]:
        self._peek()
        self._step()
        if self._peek() == "]":
            self._step()
        else:
            yield self._value()
            while (mark := self._peek()) == ",":
                self._step()
                self._peek()
                yield self._value()
            if mark != "]":
                raise self._damage()
            self._step()
        if self._peek():
            raise self._damage()

    def one_by_one(self) -> Iterator[tuple[int, object, str | None]]:
        while self._peek():
            yield self._value()

    def _peek(self) -> str:
        """Go to the next character that is not a blank."""
        while True:
            blank = self._text[self._at : self._at + 1]
            if blank == "":
                if self._is_whole:
                    return ""
                self._read_on()
            elif blank in " \t\r\n":
                self._step()
            else:
                return blank

    def _step(self) -> None:
        self._line += self._text[self._at] == "\n"
        self._at += 1

    def _value(self) -> tuple[int, object, str | None]:
        while (decoded := self._decoded()) is None:
            self._read_on()
        value, end = decoded
        line = self._line
        self._line += self._text.count("\n", self._at, end)
        self._at = end
        return line, value, self._decoder.repeated

    def _decoded(self) -> tuple[object, int] | None:
        """Decode the value that begins here; None where its end is yet to be read."""
        self._decoder.repeated = None
        try:
            value, end = self._decoder.raw_decode(self._text, self._at)
        except (ValueError, RecursionError):
            if self._is_whole:
                raise self._damage() from None
            return None
        return (value, end) if end < len(self._text) or self._is_whole else None

    def _read_on(self) -> None:
        rest = self._text[self._at :]
        if len(rest) > LONGEST_LINE:
            raise RefusedFile(f"{too_long(self._line, 'object')}, or it is not JSON")
        more = self._stream.read(max(_HEAD, len(rest)))  # a value is tried again at double its length
        self._is_whole = not more
        self._text, self._at = rest + more, 0

    def _damage(self) -> DamagedFile:
        return DamagedFile(f"what begins in line {self._line} is not JSON")
