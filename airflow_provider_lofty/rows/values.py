"""
What a value is, and the checks of texts and words.

A check's refusal names the rule and the kind of value, never the value, which may be personal.
"""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from airflow_provider_lofty.lofty.fields import ACTIVITY_TYPES

_FINE_TIMES = frozenset(f"datetime64[{unit}]" for unit in ("ns", "ps", "fs", "as"))
_YES = frozenset(("true", "t", "yes", "y", "1"))
_NO = frozenset(("false", "f", "no", "n", "0"))
_TYPES_BY_NAME = {name.lower(): name for name in ACTIVITY_TYPES}


class InvalidValue(ValueError):
    """A value breaks its field's rule. The text names the rule and the kind of value only."""


def is_missing(value: object) -> bool:
    """Whether a value stands for no value: None, NaN, NaT and pandas' NA (an empty text is a value)."""
    if value is None:
        return True
    if isinstance(value, float):
        return value != value
    if isinstance(value, Decimal):
        return value.is_nan()
    return type(value).__name__ in ("NAType", "NaTType")


def plain(value: Any) -> Any:
    """Turn a NumPy scalar into the Python value it holds; everything else stays."""
    if type(value).__module__ != "numpy" or not hasattr(value, "item") or getattr(value, "ndim", None):
        return value
    if not type(value).__name__.endswith("64") or not hasattr(value, "dtype") or value.dtype.kind not in "mM":
        return value.item()
    # Of times finer than Python's, and of years beyond it, a bare number would come out.
    moment = value.astype("datetime64[us]") if value.dtype.name in _FINE_TIMES else value
    held = moment.item()
    return value if isinstance(held, int) else held


def kind_of(value: object) -> str:
    """Say what kind of value this is, in a Dag author's words and without the value."""
    for types, words in _KINDS:
        if isinstance(value, types):
            return words
    return f"a value of type {type(value).__name__}"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true/false"),
    (str, "text"),
    (int, "a whole number"),
    ((float, Decimal), "a decimal number"),
    (datetime, "a timestamp"),
    (date, "a date"),
    ((bytes, bytearray, memoryview), "bytes"),
    (dict, "an object"),
    ((list, tuple, set, frozenset), "a list"),
)


def text(value: object) -> str:
    """Text as it is; a number as its plain digits; dates as ISO 8601."""
    if type(value) is str and value.isascii() and "\0" not in value:  # nearly every value: no second look
        return value
    if not isinstance(value, str):
        value = _as_text(value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidValue("holds bytes that are not UTF-8 text (a lone surrogate)") from None
    if "\0" in value:
        raise InvalidValue("holds a NUL character")
    return str.__str__(value)  # of an enum that is text: its value, not its name


def _as_text(value: object) -> str:
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return _plain_digits(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise InvalidValue(f"must be text, got {kind_of(value)}")


def _plain_digits(number: int | float | Decimal) -> str:
    if isinstance(number, int):
        return str(int(number)) if abs(number) < 10**4000 else _too_long()
    exact = Decimal(repr(float(number))) if isinstance(number, float) else number
    if not exact.is_finite():
        raise InvalidValue("must be finite, got infinity")
    if abs(exact.adjusted()) > 400:
        _too_long()
    return str(int(exact)) if exact == exact.to_integral_value() else format(exact, "f").rstrip("0")


def _too_long() -> str:
    raise InvalidValue("must be text, got a number with hundreds of digits")


def boolean(value: object) -> bool:
    """True or false; also 1 and 0, and the usual words."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float, Decimal)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _YES or word in _NO:
            return word in _YES
    raise InvalidValue(f"must be true or false, got {kind_of(value)}")


def activity_type(value: object) -> str:
    """One of the five types, whatever its case."""
    name = _TYPES_BY_NAME.get(value.strip().lower()) if isinstance(value, str) else None
    if name is None:
        raise InvalidValue(f"must be one of {', '.join(ACTIVITY_TYPES)}, got {kind_of(value)}")
    return name
