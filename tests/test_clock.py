"""What is allowed for a while is allowed no longer, whichever of two clocks has moved."""

from __future__ import annotations

import time

import pytest

from airflow_provider_lofty.clock import Lapse, boot_seconds


class Clocks:
    """Two clocks that a test moves."""

    def __init__(self) -> None:
        self.boot = self.wall = 1000.0

    def lapse(self) -> Lapse:
        return Lapse(10.0, lambda: self.boot, lambda: self.wall)


@pytest.mark.parametrize(
    ("boot", "wall", "is_over"),
    [
        (0, 0, False),
        (9.9, 9.9, False),
        (10, 10, True),
        (0, 10, True),
        (10, 0, True),
        (10, -3600, True),
        (3, 3600, True),
    ],
)
def test_it_is_over_by_whichever_clock_has_moved_more(boot: float, wall: float, is_over: bool) -> None:
    clocks = Clocks()
    lapse = clocks.lapse()
    clocks.boot += boot
    clocks.wall += wall
    assert lapse.is_over is is_over


def test_a_clock_that_was_set_back_before_counts_from_where_it_is() -> None:
    clocks = Clocks()
    clocks.wall -= 3600
    lapse = clocks.lapse()
    clocks.wall += 10
    assert lapse.is_over


def test_the_clock_goes_on_and_is_never_behind_the_monotonic_one() -> None:
    first = boot_seconds()
    assert boot_seconds() >= first
    assert boot_seconds() >= time.monotonic() - 0.001
