"""Nothing is lost and nothing twice in thirty days of reading only what is new, and little is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.days import Days

pytestmark = [pytest.mark.no_cover, pytest.mark.once]


@pytest.mark.parametrize("seed", [8])
def test_thirty_days(seed: int, tmp_path: Path) -> None:
    days = Days(seed, tmp_path).play()
    assert list(days.violations()) == [], "\n".join(days.history.lines())
    assert any(one.cursor and one.cursor["held_back_by"] for one in days.tries), "nothing was held back"
