"""
The check of each kind of field.

Lofty answers a bad value with ``400/20012`` and never says which field it was, so every value is checked before any
request is made. A check takes a value that is not missing and returns what is sent, or raises
:class:`~airflow_provider_lofty.rows.values.InvalidValue`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TypeVar

from airflow_provider_lofty.lofty.lead_keys import KEY_NAMES, NORMAL, KeyKind
from airflow_provider_lofty.rows.file_options import NOTHING_SAID, FileOptions
from airflow_provider_lofty.rows.numbers import finite, identifier, whole
from airflow_provider_lofty.rows.timestamps import TimestampChecks
from airflow_provider_lofty.rows.values import (
    LONGEST_SUSPECT,
    NULL_MARK,
    SUSPECT_STARTS,
    InvalidValue,
    NoValue,
    activity_type,
    any_text,
    boolean,
    code,
    text,
)
from airflow_provider_lofty.rows.written import Decimals

BLANKS_CUT = "blanks were cut off around links, pictures, states, ZIP codes and MLS ids"
SHORT_ZIP_CODE = "ZIP codes of three or four digits were sent as they are; leading zeros may be lost"
_HINTS: Mapping[KeyKind, str] = {"email": "", "phone": " (an extension is not a part of it)"}
_ZIP_DIGITS = 5
_SHORT_ZIP_DIGITS = (3, 4)

Check = Callable[[object], object]
TextCheck = Callable[[object], str]
Checked = TypeVar("Checked")
Remarks = Counter[str]  # what was noticed about values, and how often


def checks(
    timestamps: TimestampChecks, options: FileOptions = NOTHING_SAID, remarks: Remarks | None = None
) -> dict[str, Check]:
    """
    The check of each kind that :data:`~airflow_provider_lofty.lofty.fields.FIELDS` names.

    :param options: how the source writes decimals and what it writes for no value
    :param remarks: gets what is worth a line in the log
    """
    noticed = Remarks() if remarks is None else remarks
    decimals, as_text = decimals_of(options), _text_check(options)
    by_kind: dict[str, Check] = {
        "id": identifier,
        "activity type": activity_type,
        "text": as_text,
        "trimmed text": _trimmed(as_text, noticed),
        "code": _trimmed(partial(code, as_text=as_text), noticed),
        "zip code": _zip_code(_trimmed(partial(code, as_text=as_text), noticed), noticed),
        "milliseconds": timestamps.milliseconds,
        "int64": whole(64, decimals),
        "money": whole(64, decimals, is_money=True),
        "int32": whole(32, decimals),
        "double": finite(decimals),
        "boolean": boolean,
        "date text": partial(timestamps.date_text, as_text=as_text),
    }
    return {kind: _unless_null(check, options) for kind, check in by_kind.items()}


def key_check(options: FileOptions) -> TextCheck:
    """The check of a column of ``unique_key``: ``123``, ``123.0`` and ``"123.0"`` are one key."""
    as_code = partial(code, as_text=_text_check(options))
    return _unless_null(lambda value: str(value) if isinstance(value, bool) else as_code(value), options)


def lead_key_checks(options: FileOptions) -> dict[KeyKind, TextCheck]:
    """The checks of what leads are found by; they give it as it is compared."""
    as_code = key_check(options)
    return {kind: partial(_lead_key, kind, as_code) for kind in KEY_NAMES}


def _lead_key(kind: KeyKind, as_code: TextCheck, value: object) -> str:
    written = as_code(value)
    key = NORMAL[kind](written)
    if not key:
        refusal = InvalidValue if written.strip() else NoValue
        raise refusal(f"is not one {KEY_NAMES[kind]}{_HINTS[kind]}")
    return key


def decimals_of(options: FileOptions) -> Decimals:
    """What the decimals of a source's texts are written behind."""
    if options.decimal is not None:
        return Decimals(options.decimal)
    return Decimals.EITHER if options.delimiter == ";" else Decimals.UNSAID


def _text_check(options: FileOptions) -> TextCheck:
    """Only who lists no text at all has said that words for no value are text."""
    return any_text if options.null_values == () else text


def nulls_of(options: FileOptions) -> frozenset[str]:
    """The texts that stand for no value: those that the author lists, beside the mark that databases write."""
    return frozenset() if options.null_values == () else frozenset((NULL_MARK, *(options.null_values or ())))


def is_null(value: object, nulls: Collection[str]) -> bool:
    """Whether a value is one of these texts, with blanks around it or without."""
    return isinstance(value, str) and (value in nulls or value.strip() in nulls)


def _unless_null(check: Callable[[object], Checked], options: FileOptions) -> Callable[[object], Checked]:
    if not options.null_values:
        return check  # a check of its own finds the mark of NULL, without a look at every value
    nulls = nulls_of(options)

    def checked(value: object) -> Checked:
        if is_null(value, nulls):
            raise NoValue("is one of null_values")
        return check(value)

    return checked


def _trimmed(check: TextCheck, remarks: Remarks) -> TextCheck:
    """Columns of a fixed width (CHAR) pad their values, and people type blanks around them."""

    def trimmed(value: object) -> str:
        # Nearly every value is plain text, and gets no second look; a call of :func:`text` would take as long as this.
        if (
            type(value) is str and value.strip() is value and value.isascii() and "\0" not in value
            and (len(value) > LONGEST_SUSPECT or value[:1] not in SUSPECT_STARTS)
        ):  # fmt: skip
            return value
        if isinstance(value, str):
            cut = value.strip()
            if len(cut) != len(value):
                remarks[BLANKS_CUT] += 1
                value = cut
        return check(value)

    return trimmed


def _zip_code(check: TextCheck, remarks: Remarks) -> TextCheck:
    def zip_code(value: object) -> str:
        if type(value) is str and len(value) == _ZIP_DIGITS and value.isdigit() and value.isascii():
            return value
        digits = check(value)
        if len(digits) in _SHORT_ZIP_DIGITS and digits.isdigit():
            remarks[SHORT_ZIP_CODE] += 1
        return digits

    return zip_code
