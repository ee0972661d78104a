"""Nothing is lost and nothing twice in thirty days of reading only what is new, and little is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.days import Days


@pytest.mark.parametrize("seed", range(2))
def test_thirty_days(seed: int, tmp_path: Path) -> None:
    days = Days(seed, tmp_path).play()
    assert list(days.violations()) == [], "\n".join(days.history.lines())
