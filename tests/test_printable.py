"""What others wrote reaches a log as characters that can be seen."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.log import PrintableLog
from airflow_provider_lofty.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lead id, café, 房子 🏡", "lead id, café, 房子 🏡"),
        ("\x1b[31mred", r"\u001b[31mred"),
        ("a\nb\r\tc\0", r"a\u000ab\u000d\u0009c\u0000"),
        ("\x9b1m\x7f", r"\u009b1m\u007f"),
        ("a\u202eb\u2028c\ufeff", r"a\u202eb\u2028c\ufeff"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_cannot_be_seen_is_written_as_json_writes_it(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(codec=None)))
def test_anything_becomes_one_line_that_can_be_encoded(text: str) -> None:
    assert printable(text).isprintable()
    printable(text).encode()


def test_errors_are_printable() -> None:
    assert str(LoftyConfigurationError("the column \x1b[2J")) == r"the column \u001b[2J"


class _Lines:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, message: str, *args: object) -> None:
        self.lines.append(message % args)

    warning = error = info


def test_a_log_gets_numbers_as_they_are_and_all_else_printable() -> None:
    lines = _Lines()
    log = PrintableLog(lines)
    log.info("%d of %.1f: %s", 3, 4.5, "a\nb")
    log.warning("%s", ValueError("\x1b"))
    log.error("nothing")
    assert lines.lines == [r"3 of 4.5: a\u000ab", r"\u001b", "nothing"]
