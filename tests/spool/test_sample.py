"""How much of an input is new, told from a few hundred of its rows."""

from __future__ import annotations

from hashlib import blake2b

import pytest
from hypothesis import given, strategies as st

from airflow_provider_lofty.spool.sample import ROW_KEY_BYTES, SAMPLE_ROWS, InputSample


def sketched(rows: range | set[int], salt: str = "") -> InputSample:
    """Sum up an input whose rows have these numbers."""
    row_keys = sorted(blake2b(f"{salt}{n}".encode(), digest_size=12).digest()[:ROW_KEY_BYTES] for n in rows)
    return InputSample(len(rows), b"".join(row_keys[:SAMPLE_ROWS]))


SIZES = (1, 7, SAMPLE_ROWS - 1, SAMPLE_ROWS, SAMPLE_ROWS + 1, 5_000)


@pytest.mark.parametrize("rows", SIZES)
def test_the_same_input_has_nothing_new(rows: int) -> None:
    assert sketched(range(rows)).unseen_since(sketched(range(rows))) == 0


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("kept", [1, 2, 10])
def test_nor_has_a_part_of_it(rows: int, kept: int) -> None:
    assert sketched(range(0, rows, kept)).unseen_since(sketched(range(rows))) == 0


@pytest.mark.parametrize("before", SIZES)
@pytest.mark.parametrize("rows", SIZES)
def test_of_another_input_all_is_new(rows: int, before: int) -> None:
    assert sketched(range(rows), "other").unseen_since(sketched(range(before))) == rows


@given(before=st.sets(st.integers(0, 300), max_size=SAMPLE_ROWS - 1), now=st.sets(st.integers(0, 300), max_size=199))
def test_of_small_inputs_the_number_is_exact(before: set[int], now: set[int]) -> None:
    assert sketched(now).unseen_since(sketched(before)) == len(now - before)


@pytest.mark.parametrize("rows", [1_000, 30_000])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("grown", [0.5, 1.0, 3.0])
def test_of_large_ones_it_is_near(rows: int, share: float, grown: float) -> None:
    gone = int(rows * share)
    now = range(gone, gone + int(rows * grown))
    unseen = len(set(now).difference(range(rows)))
    error = sketched(now).unseen_since(sketched(range(rows))) - unseen
    assert abs(error) <= 0.15 * len(now)


def test_an_empty_input_has_nothing_new_and_against_one_all_is_new() -> None:
    nothing = InputSample(0, b"")
    assert (nothing.unseen_since(nothing), nothing.unseen_since(sketched(range(9)))) == (0, 0)
    assert sketched(range(900)).unseen_since(nothing) == 900
