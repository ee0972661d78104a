"""What Lofty's rate headers say: the unit of Reset, and when the window turns."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from airflow_provider_lofty.lofty.window import ResetUnit, Window, number_in

NOW = 1_714_557_600.0


class TestResetUnit:
    @pytest.mark.parametrize(
        ("value", "left"),
        [
            ("21000", 21.0),
            ("121", 0.121),
            (f"{NOW + 30:.0f}", 30.0),
            (f"{(NOW + 30) * 1000:.0f}", 30.0),
            (f"{NOW - 2:.0f}", 0.0),
        ],
    )
    def test_large_values_tell_their_unit(self, value: str, left: float) -> None:
        assert ResetUnit().seconds_left(value, 0.0, NOW) == pytest.approx(left)

    @pytest.mark.parametrize(
        "value",
        [None, "", " ", "soon", "-1", "nan", "inf", "1e400", "1e15", "9" * 5000, "12,5", "0x10", "999999999",
         f"{NOW + 3600:.0f}", f"{NOW - 3600:.0f}"],
    )  # fmt: skip
    def test_what_makes_no_sense_is_ignored(self, value: str | None) -> None:
        assert ResetUnit().seconds_left(value, 0.0, NOW) is None

    def test_a_small_value_may_be_either(self) -> None:
        assert ResetUnit().seconds_left("60", 0.0, NOW) is None

    def test_once_a_large_value_was_seen_small_ones_are_milliseconds(self) -> None:
        unit = ResetUnit()
        unit.seconds_left("59000", 0.0, NOW)
        assert unit.seconds_left("60", 58.0, NOW) == 0.06

    def test_values_that_fall_as_the_clock_does_are_seconds(self) -> None:
        unit = ResetUnit()
        assert [unit.seconds_left(str(60 - second), float(second), NOW) for second in range(3)] == [None, None, 58.0]

    def test_the_shorter_reading_is_tried_and_a_refusal_corrects_it(self) -> None:
        unit = ResetUnit()
        assert unit.seconds_to_wait("40", 0.0, NOW) == 0.04
        assert unit.seconds_to_wait("40", 0.1, NOW) == 40
        assert unit.seconds_left("39", 1.0, NOW) == 39

    @given(st.lists(st.tuples(st.text() | st.floats().map(str) | st.integers().map(str), st.floats(0, 1e6))))
    def test_whatever_it_holds_it_is_within_reason(self, values: list[tuple[str, float]]) -> None:
        unit = ResetUnit()
        for value, sent in values:
            left = unit.seconds_to_wait(value, sent, NOW)
            assert left is None or 0 <= left <= 120


class TestWindow:
    def test_what_has_left_since_an_answer_counts(self) -> None:
        window = Window()
        window.answered(0, 0.0, 100, 99, 60.0, 0)
        assert window.budget(1.0, 1) == 99
        assert window.budget(1.0, 4) == 96

    def test_an_older_answer_that_comes_later_is_ignored(self) -> None:
        window = Window()
        window.answered(3, 3.0, 100, 50, 57.0, 0)
        window.answered(1, 1.0, 100, 52, 59.0, 0)
        assert window.budget(3.0, 4) == 50

    def test_nor_does_an_older_refusal_that_comes_later_take_what_is_left(self) -> None:
        window = Window()
        window.answered(3, 3.0, 100, 50, 57.0, 0)
        window.refused(1, 1.0, 100, 59.0)
        assert window.budget(3.0, 4) == 50
        window.refused(4, 4.0, 100, 56.0)
        assert window.budget(4.0, 5) == 0

    def test_others_are_felt(self) -> None:
        window = Window()
        for number in range(10):
            window.answered(number, number * 1.0, 100, 99 - number * 3, 60.0 - number, 0)
        alone = Window()
        for number in range(10):
            alone.answered(number, number * 1.0, 100, 99 - number, 60.0 - number, 0)
        assert window.interval(9.0, 10) == pytest.approx(3 * 51 / 71, rel=0.1)  # a third of 71 in 51 seconds
        assert alone.interval(9.0, 10) == pytest.approx(51 / 90, rel=0.1)

    def test_it_turns_when_more_is_left_than_before(self) -> None:
        window = Window()
        window.answered(0, 0.0, 100, 40, 30.0, 0)
        window.answered(1, 30.5, 100, 99, 59.5, 0)
        assert (window.ends, window.budget(30.5, 2)) == (pytest.approx(90.0, abs=2), 99)

    def test_when_it_should_have_turned_a_new_one_is_counted(self) -> None:
        window = Window()
        window.answered(0, 0.0, 100, 1, 10.0, 0)
        assert window.interval(0.0, 1) == pytest.approx(10, abs=1)
        assert window.interval(10.5, 2) < 1
        assert window.budget(10.5, 2) == 99


@given(st.text() | st.none())
def test_a_number_is_read_or_not(value: str | None) -> None:
    number = number_in(value)
    assert number is None or 0 <= number < 10**15
