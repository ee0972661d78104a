"""Time: the clock that a run goes by, and when what was allowed is allowed no longer."""

from __future__ import annotations

import time
from collections.abc import Callable


def boot_seconds() -> float:
    """
    Seconds since the machine was started, those included in which it was suspended.

    Python's monotonic clock stands still meanwhile on Linux, which would make a wait too short and what was allowed
    for ten seconds be allowed the next morning. Where there is no such clock, the monotonic one has to do.
    """
    return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)


_BOOT = getattr(time, "CLOCK_BOOTTIME", None)


class Lapse:
    """
    A moment from which on something is allowed no longer, by whichever of two clocks has moved more.

    A machine that is stopped from outside and restored, as virtual ones are, wakes with one of them behind.

    :param seconds: from now
    :param clock: seconds, those included in which the machine was suspended
    :param now: seconds since 1970
    """

    def __init__(self, seconds: float, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._clock, self._until = clock, clock() + seconds
        self._now, self._until_wall = now, now() + seconds

    @property
    def is_over(self) -> bool:
        """Whether that moment has come."""
        return self._clock() >= self._until or self._now() >= self._until_wall
