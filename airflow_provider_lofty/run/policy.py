"""A limit on rows, as a number or as a share of the rows read."""

from __future__ import annotations

import re
from fractions import Fraction

from airflow_provider_lofty.exceptions import LoftyConfigurationError

_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*", re.ASCII)
_NUMBER = re.compile(r"\s*\d+\s*", re.ASCII)


class Limit:
    """
    How many rows are allowed.

    :param name: the operator's argument, for messages
    :param value: a number, a share such as ``"0.5%"``, or None for no limit
    :raises LoftyConfigurationError: when it is none of these
    """

    def __init__(self, name: str, value: int | str | None) -> None:
        self._value = value
        self._rows: int | None = None
        self._share: Fraction | None = None  # a float's "0.7%" of 1000 rows would be less than 7
        if isinstance(value, str) and (share := _SHARE.fullmatch(value)):
            self._share = Fraction(share[1]) / 100
        elif isinstance(value, str) and _NUMBER.fullmatch(value):
            self._rows = int(value)
        elif type(value) is int and value >= 0:
            self._rows = value
        elif value is not None:
            raise LoftyConfigurationError(f"{name} must be a number of rows or a share such as '0.5%'")

    def __str__(self) -> str:
        return str(self._value)

    def is_exceeded_by(self, count: int, read: int) -> bool:
        """Whether so many of the rows read are too many."""
        if self._share is not None:
            return count > self._share * read
        return self._rows is not None and count > self._rows
