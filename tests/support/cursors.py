"""Values that a cursor keeps exactly."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

UTC = timezone.utc
DENVER = timezone(timedelta(hours=-7))
EXACT = (
    0, -1, 2**63, 10**40, Decimal("1.10"), Decimal("12345678901234567890.123456789"), 0.5, 1772409600.25,
    datetime(2026, 3, 1, 10, 0, 0, 123456), datetime(2026, 3, 1, 10, 0, 0, 123456, UTC),
    datetime(1, 1, 1, tzinfo=DENVER), date(2026, 3, 1), "", "straße ", "a\x00b", "\ud800", "2026-03-01 10:00:00",
)  # fmt: skip
