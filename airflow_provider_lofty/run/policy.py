"""What the author allows: limits on rows, as numbers or as shares of the rows read, and how to deal with doubt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from airflow_provider_lofty.delivery.precheck import MODES
from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.columns import closest
from airflow_provider_lofty.rows.values import plain

ON_UNKNOWN = ("verify", "report", "resend", "assume_delivered")
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
        value = plain(value)
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


@dataclass(frozen=True)
class Policy:
    """
    When a run must not begin, when it stops, and when it has failed.

    :param stop_after_rejections: so many different leads refused alike, before any success, end the run
    :param check_existing: ``sample``, ``always`` or ``never``
    :param on_unknown: ``verify``, ``report``, ``resend`` or ``assume_delivered``
    :param preview: do all but send
    :raises LoftyConfigurationError: when a value makes no sense
    """

    max_failed: Limit
    max_invalid: Limit
    max_rows: Limit
    stop_after_rejections: int
    check_existing: str
    on_unknown: str
    preview: bool
    max_unmatched: Limit = Limit("max_unmatched_rows", 0)  # noqa: RUF009 - it never changes

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("check_existing", self.check_existing, MODES),
            ("on_unknown", self.on_unknown, ON_UNKNOWN),
        ):
            if value not in choices:
                like = closest(value, choices) if isinstance(value, str) else ""
                raise LoftyConfigurationError(f"{name} must be one of {', '.join(choices)}{like}")
        rejections = plain(self.stop_after_rejections)
        if type(rejections) is not int or rejections < 1:
            raise LoftyConfigurationError("stop_after_rejections must be a whole number of at least 1")

    def closed_gate(self, read: int, invalid: int) -> str | None:
        """Say which gate keeps the run from sending anything."""
        if self.max_rows.is_exceeded_by(read, read):
            return f"{read} rows were read, more than max_rows={self.max_rows} allows"
        if self.max_invalid.is_exceeded_by(invalid, read):
            return f"{invalid} of {read} rows are invalid, more than max_invalid_rows={self.max_invalid} allows"
        return None
