"""What a server says is shown without what was sent to it."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, strategies as st

from airflow_provider_lofty.lofty.redaction import redact, texts_of, without_echo

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


def in_json(value: str) -> str:
    return json.dumps(value)[1:-1]


def in_base64(value: str) -> str:
    return base64.b64encode(f"made-up-client:{value}".encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda value: quote(value, safe=""),
    "percent of all": lambda value: "".join(f"%{octet:02x}" for octet in value.encode()),
    "percent, upper case": lambda value: quote(value).upper(),
    "percent of latin-1": lambda value: quote(value, encoding="latin-1", errors="xmlcharrefreplace"),
    "percent of utf-16": lambda value: "".join(f"%u{ord(c):04x}" if ord(c) > 127 else quote(c) for c in value),
    "form": quote_plus,
    "percent twice": lambda value: quote(quote(value, safe=""), safe=""),
    "json": in_json,
    "json twice": lambda value: in_json(in_json(value)),
    "json with solidus": lambda value: in_json(value).replace("/", r"\/"),
    "python": lambda value: ascii(value)[1:-1],
    "html": html.escape,
    "html by number": lambda value: "".join(f"&#{ord(c)};" for c in value),
    "html by hexadecimal": lambda value: "".join(f"&#x{ord(c):X};" for c in value),
    "json in html": lambda value: html.escape(in_json(value)),
    "percent in json": lambda value: in_json(quote(value)),
    "base64": in_base64,
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(f"made-up-client:{value}".encode()).decode(),
    "base64 without its end": lambda value: in_base64(value).rstrip("="),
    "base64 in a path": lambda value: f"/basic/{in_base64(value)}",
    "base64 in percent": lambda value: quote(in_base64(value), safe=""),
}
VALUES = (
    "made-up+secret/with=marks", "12 Main St", "Zo\u00eb <Li>", 'Ask "Zinnia" & Co\'s', "caf\u00e9\u2019s", "a/b?c=d&e=f", "100%25 sure",
    r"C:\new\table", "ada@example.com", "+1 555 010 0199", "\U0001f3e1 garden", "%41%42%43", "&amp;&lt;",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_taken_out_in_whatever_form_a_server_quotes_it(value: str, form: str) -> None:
    assert remains_of(value, without_echo(f"cannot take {FORMS[form](value)} today", [value])) == set()


def remains_of(value: str, said: str) -> set[str]:
    """Pieces of three characters that are still there, in any case."""
    assert said.startswith("cannot take")
    said = said.removeprefix("cannot take").removesuffix("today").casefold()
    return {value[at : at + 3] for at in range(len(value) - 2) if value[at : at + 3].casefold() in said}


@pytest.mark.parametrize(
    "message",
    [
        "INVALID_PARAMETER: limit must be 1 to 100 (code 200100)",
        "the field scheduledDate must be a string",
        "50% of your quota is used; see docs/limits-and-errors",
        "A&B is not a type, use Browse",
    ],
)
def test_loftys_own_words_stay_where_nothing_is_quoted(message: str) -> None:
    assert without_echo(message, ["made-up-secret", "12 Main St", "AZ"]) == message


@pytest.mark.parametrize("mark", ["{", "[", "<"])
def test_a_value_is_taken_out_before_what_looks_like_json_is_cut_off(mark: str) -> None:
    assert without_echo(f"no Zoe {mark}Li", [f"Zoe {mark}Li"]) == "no …"


@given(value=st.text(min_size=6, max_size=30), form=st.sampled_from(sorted(FORMS)))
def test_whatever_the_value_no_long_part_of_it_is_left(value: str, form: str) -> None:
    try:
        quoted = FORMS[form](value)
    except UnicodeEncodeError:  # half a character, which no form can carry
        return
    cleaned = without_echo(f"cannot take {quoted} today", [value]).removeprefix("cannot take").removesuffix("today")
    value = " ".join(value.split())
    assert not any(value[start : start + 6] in cleaned for start in range(len(value) - 5))
