"""How many rows are too many."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.run.policy import Limit


@pytest.mark.parametrize(
    ("value", "count", "read", "exceeded"),
    [
        (0, 0, 100, False),
        (0, 1, 100, True),
        (5, 5, 100, False),
        (5, 6, 100, True),
        ("5", 5, 100, False),
        (" 5 ", 6, 100, True),
        (None, 10**9, 10**9, False),
        ("0%", 0, 0, False),
        ("0%", 1, 10**9, True),
        ("0.5%", 1, 200, False),
        ("0.5%", 2, 200, True),
        ("0.7%", 7, 1000, False),
        ("0.7%", 8, 1000, True),
        (" 50 % ", 50, 100, False),
        ("100%", 100, 100, False),
        ("150%", 100, 100, False),
    ],
)
def test_a_limit_is_exceeded_by_more_rows_than_it_says(value: Any, count: int, read: int, exceeded: bool) -> None:
    assert Limit("max_failed_rows", value).is_exceeded_by(count, read) is exceeded


@pytest.mark.parametrize(
    "value",
    ["", "many", "-1", "-1%", "1.5", "%", "1%%", "0,5%", "½%", "１", "1e3", -1, 1.5, 0.0, True, False, [], {}, b"1"],
)
def test_what_is_no_limit_is_refused_with_the_arguments_name(value: Any) -> None:
    with pytest.raises(LoftyConfigurationError, match=r"^max_rows must be a number of rows or a share such as '0.5%'$"):
        Limit("max_rows", value)


@pytest.mark.parametrize(("value", "said"), [(5, "5"), ("0.5%", "0.5%"), (None, "None")])
def test_it_is_shown_as_the_author_wrote_it(value: Any, said: str) -> None:
    assert str(Limit("max_rows", value)) == said


@given(st.decimals(0, 200, places=3), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_share_is_exact(share: Any, count: int, read: int) -> None:
    exceeded = Limit("max_failed_rows", f"{share}%").is_exceeded_by(count, read)
    assert exceeded is (Fraction(count) * 100 > Fraction(str(share)) * read)
