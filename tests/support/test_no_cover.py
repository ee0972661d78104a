"""The mark "no_cover": lines that run thousands of times are not counted, and take half the time."""

from __future__ import annotations

import pytest
from coverage import Coverage


@pytest.mark.no_cover
def test_no_line_of_this_test_is_counted() -> None:
    assert Coverage.current() is None
