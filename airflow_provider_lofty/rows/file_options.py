"""What a Dag author says of files where their names and bytes do not: ``file_options``, checked."""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

FORMATS = ("csv", "jsonl", "json", "parquet")
QUOTINGS = ("minimal", "none")
DECIMALS = (".", ",")


class FileOptionsError(ValueError):
    """An option is not one of these, or its value breaks the option's rule."""


class Backslash(Enum):
    """What a backslash in a delimited file is."""

    UNDECIDED = "nobody said"
    TEXT = "a character like any other"
    ESCAPE = "takes the meaning from the character behind it"


@dataclass(frozen=True)
class FileOptions:
    """
    What a file is.

    :param format: one of :data:`FORMATS`; None: what its name or its bytes say
    :param encoding: of text; None: what its byte order mark says, else UTF-8
    :param delimiter: one character; None: the one that splits the first line into most cells
    :param has_quotes: whether a quote may enclose a cell; else it is a character like any other
    :param backslash: what a backslash is
    :param skip_rows: how many lines stand before the header, or before the first row of a file without one
    :param decimal: what numbers in the file have before their fraction; None: nobody said
    :param null_values: the texts that stand for no value beside the mark of NULL; (): not even that; None: nobody said
    """

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    has_quotes: bool = True
    backslash: Backslash = Backslash.UNDECIDED
    skip_rows: int = 0
    decimal: str | None = None
    null_values: tuple[str, ...] | None = None

    @property
    def of_delimited_text(self) -> tuple[object, ...]:
        """The options that no other format knows."""
        return self.delimiter, self.has_quotes, self.backslash, self.skip_rows

    @classmethod
    def from_dict(cls, given: Mapping[str, Any] | None) -> FileOptions:
        """
        Check the operator's argument; values may be text that a template rendered to.

        :raises FileOptionsError: naming the option and its rule, for an unknown one the closest
        """
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise FileOptionsError(f"file_options must be a dict, not a value of type {type(given).__name__}")
        options = cls()
        for name, value in given.items():
            check = OPTIONS.get(name)
            if check is None:
                raise FileOptionsError(f"file_options has no {name!r}{_closest(str(name))}")
            if value is not None or name == "escape":
                options = replace(options, **check(value))
        return options

    def of_cells(self) -> FileOptions:
        """What of it holds for the cells of any source, files or not."""
        return FileOptions(decimal=self.decimal, null_values=self.null_values)


NOTHING_SAID = FileOptions()


def _closest(name: str) -> str:
    close = difflib.get_close_matches(name.lower(), OPTIONS, n=1)
    return f"; the closest is {close[0]!r}" if close else f"; it takes {', '.join(OPTIONS)}"


def _wrong(option: str, rule: str) -> FileOptionsError:
    return FileOptionsError(f"file_options[{option!r}] must be {rule}")


def _choice(option: str, words: Sequence[str]) -> Callable[[object], dict[str, Any]]:
    def check(value: object) -> dict[str, Any]:
        word = value.strip().lower() if isinstance(value, str) else value
        if word not in words:
            raise _wrong(option, f"one of {', '.join(map(repr, words))}")
        return {option: word}

    return check


def _encoding(value: object) -> dict[str, Any]:
    name = value.strip() if isinstance(value, str) else ""
    try:
        "a".encode(name)  # a codec that is not of text refuses, too
        return {"encoding": codecs.lookup(name).name}
    except (LookupError, ValueError):
        raise _wrong("encoding", "an encoding that Python knows, such as 'cp1252' or 'utf-16'") from None


def _delimiter(value: object) -> dict[str, Any]:
    if not isinstance(value, str) or len(value) != 1 or value in '"\\\r\n\0':
        raise _wrong("delimiter", "one character, and no quote, backslash or line end (a tab is '\\t')")
    return {"delimiter": value}


def _quoting(value: object) -> dict[str, Any]:
    return {"has_quotes": _choice("quoting", QUOTINGS)(value)["quoting"] == "minimal"}


def _escape(value: object) -> dict[str, Any]:
    if value in (None, "None"):  # what a template makes of None
        return {"backslash": Backslash.TEXT}
    if value != "\\":
        raise _wrong("escape", "'\\\\' (a backslash escapes what follows) or None (a backslash is text)")
    return {"backslash": Backslash.ESCAPE}


def _skip_rows(value: object) -> dict[str, Any]:
    digits = str(value).strip()
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not (digits.isascii() and digits.isdigit()):
        raise _wrong("skip_rows", "the number of lines before the header")
    return {"skip_rows": int(digits)}


def _null_values(value: object) -> dict[str, Any]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(cell, str) for cell in value):
        raise _wrong("null_values", "a list of texts, such as ['NULL']; [] where none of them stands for no value")
    return {"null_values": tuple(value)}


OPTIONS: dict[str, Callable[[object], dict[str, Any]]] = {
    "format": _choice("format", FORMATS),
    "encoding": _encoding,
    "delimiter": _delimiter,
    "quoting": _quoting,
    "escape": _escape,
    "skip_rows": _skip_rows,
    "decimal": _choice("decimal", DECIMALS),
    "null_values": _null_values,
}
