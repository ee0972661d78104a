"""What a server says is shown without what was sent to it."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given, strategies as st

from airflow_provider_lofty.lofty.redaction import redact, texts_of

KEY = "eyJ" + "MadeUpKey0123456789" * 8


@pytest.mark.parametrize(
    ("message", "values"),
    [
        ("no user for token made-up-key", ["made-up-key"]),
        ("no user for token MADE-UP-KEY", ["made-up-key"]),
        ("no user for token MUK1", ["muk1"]),
        ("12 Made Up  Lane\nis wrong", ["12 Made Up Lane"]),
        ("12 Made Up Lane is wrong", [" 12 Made\n Up Lane "]),
        ("text a+b(c) is wrong", ["a+b(c)"]),
    ],
)
def test_a_value_is_taken_out_whatever_its_case_blanks_and_marks(message: str, values: list[str]) -> None:
    cleaned = redact(message, values).lower()
    assert not any(" ".join(value.split()).lower() in cleaned for value in values)
    assert "…" in cleaned


@pytest.mark.parametrize("kept", [9, 40, 100, 150])
def test_a_key_that_was_cut_short_is_taken_out_too(kept: int) -> None:
    cleaned = redact(f"no user for token {KEY[:kept]}", [KEY])
    assert cleaned == "no user for token …"


@pytest.mark.parametrize(
    "message",
    [
        "write to ada@example.com",
        "write to ada.b+c@mail.example.com today",
        "call +1 (555) 010-0199",
        "call 555-010-0199",
        "id 5550100199",
        'got {"text": "12 Made Up Lane"}',
        "got [12 Made Up Lane]",
        "got <p>12 Made Up Lane</p>",
    ],
)
def test_addresses_numbers_and_quoted_bodies_are_taken_out(message: str) -> None:
    cleaned = redact(message, [])
    assert not any(private in cleaned for private in ("ada", "example.com", "555", "0199", "Made Up"))


def test_loftys_own_words_stay() -> None:
    message = "INVALID_PARAMETER: limit must be 1 to 100 (code 200100)"
    assert redact(message, ["AZ", "", "x"]) == message


def test_every_text_and_number_of_an_activity_is_private_but_its_type() -> None:
    body = {"type": "Browse", "text": "hello", "created": 5, "listing": {"city": "Phoenix", "price": 450000, "x": True}}
    assert set(texts_of(json.dumps(body).encode())) == {"hello", "5", "Phoenix", "450000"}


@given(
    before=st.text("abc ,:", max_size=20), value=st.text("xyzäß .*", min_size=6), after=st.text("abc ,:", max_size=20)
)
def test_no_part_of_six_characters_is_left(before: str, value: str, after: str) -> None:
    value = " ".join(value.split())
    assume(len(value) >= 6)
    cleaned = redact(f"{before} {value} {after}", [value])
    parts = {value[start : start + 6] for start in range(len(value) - 5)}
    assert not any(part in cleaned for part in parts)
