"""Values that more than one kind of check is tested with."""

from __future__ import annotations

import enum
import re
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_lofty.rows.timestamps import TimestampChecks

NOW = datetime(2024, 6, 1, tzinfo=timezone.utc)
MOMENTS = TimestampChecks(timezone.utc, NOW)
NEW_YORK = TimestampChecks(ZoneInfo("America/New_York"), NOW)
HUGE = pytest.param(10**5000, id="5001 digits")
YEAR_MS = 366 * 24 * 3600 * 1000
OLDEST_MS = 631_152_000_000
NEWEST_MS = int(NOW.timestamp() * 1000) + YEAR_MS


class Colour(str, enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    SEVEN = 7


def shown(value: object) -> str:
    """Name a value in a test's id: the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))[:60]
