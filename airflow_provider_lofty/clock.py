"""The clock that a run goes by, and permissions that lapse."""

from __future__ import annotations

import time
from collections.abc import Callable


def boot_seconds() -> float:
    """
    Seconds since the machine was started, including those for which it was suspended.

    On Linux, Python's monotonic clock stands still during a suspension: what was allowed for ten seconds would still
    be allowed the next morning. Where there is no other clock, the monotonic one has to do.
    """
    return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)


_BOOT = getattr(time, "CLOCK_BOOTTIME", None)


class Lapse:
    """
    A moment after which something is no longer allowed, by whichever of two clocks has moved further.

    A machine that is stopped from outside and restored, as virtual ones are, wakes with one of them behind.

    :param seconds: from now
    :param clock: seconds, which also pass while the machine is suspended
    :param now: seconds since 1970
    """

    def __init__(self, seconds: float, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._clock, self._until = clock, clock() + seconds
        self._now, self._until_wall = now, now() + seconds

    @property
    def is_over(self) -> bool:
        """Whether that moment has come."""
        return self._clock() >= self._until or self._now() >= self._until_wall
