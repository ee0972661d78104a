"""
E-mail addresses and phone numbers in the one form in which they are compared.

Addresses are the same whatever their case and the blanks around them and their ``@``, phone numbers when their digits
are, with and without the country's 1 of the United States and Canada, which people often leave out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

KeyKind = Literal["email", "phone"]
KEY_NAMES: Mapping[KeyKind, str] = {"email": "e-mail address", "phone": "phone number"}

# Other blanks stand between two words, of which the last one alone may be the address: "Ada lovelace@example.com".
_ADDRESS = re.compile(r"([^\s@,;<>]+)\s*@\s*([^\s@,;<>]+)")
# Whatever else stands in a number (an extension, a second number) would add digits that are not the person's own.
_NUMBER = re.compile(r"[\d\s+().\-/\u2010-\u2015]+", re.ASCII)
_DECIMAL = re.compile(r"(\d+)\.0+", re.ASCII)
_NOT_DIGITS = re.compile(r"[^0-9]+")
_FEWEST_DIGITS = 7
_MOST_DIGITS = 15  # E.164
_NATIONAL_DIGITS = 10


def normal_email(address: str) -> str:
    """Write an address as it is compared; empty where this is not one address."""
    found = _ADDRESS.fullmatch(address.strip())
    # Not casefold(), which takes some letters of two different addresses for the same.
    return "@".join(found.groups()).lower() if found else ""


def normal_phone(number: str) -> str:
    """
    Write a phone number as it is compared; empty where this is not one number.

    Ten digits behind a plus sign are another country's. Without it they are somebody's in the United States.
    """
    digits = digits_of(number)
    is_foreign = number.lstrip().startswith("+") and len(digits) == _NATIONAL_DIGITS
    return f"+{digits}" if is_foreign else _national(digits)


def digits_of(number: str) -> str:
    """The digits of a phone number; empty where this is not one number."""
    decimal = _DECIMAL.fullmatch(number.strip())  # what a column of floats makes of a number
    number = decimal[1] if decimal else " ".join(number.split())
    digits = _NOT_DIGITS.sub("", number)
    return digits if _NUMBER.fullmatch(number) and _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS else ""


def _national(digits: str) -> str:
    return digits[1:] if len(digits) == _NATIONAL_DIGITS + 1 and digits.startswith("1") else digits


NORMAL: Mapping[KeyKind, Callable[[str], str]] = {"email": normal_email, "phone": normal_phone}


def spellings(kind: KeyKind, key: str) -> tuple[str, ...]:
    """How a key may be stored, each of which a search may want to be asked for by itself."""
    if kind == "phone" and key.startswith("+"):
        return key, key[1:]
    return ("1" + key, key) if kind == "phone" and len(key) == _NATIONAL_DIGITS else (key,)
