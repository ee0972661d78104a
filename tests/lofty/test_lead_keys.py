"""Addresses and numbers in the form in which they are compared."""

from __future__ import annotations

import pytest

from airflow_provider_lofty.lofty.lead_keys import normal_email, normal_phone, spellings


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        (" ada@example.com\n", "ada@example.com"),
        ("ada @example.com", "ada@example.com"),
        ("ada\u00a0@ example.com", "ada@example.com"),
        ("straße@example.com", "straße@example.com"),
    ],
)
def test_an_address_whatever_its_case_and_blanks(address: str, normal: str) -> None:
    assert normal_email(address) == normal


@pytest.mark.parametrize(
    "text",
    ["", " ", "none", "@example.com", "ada@", "a@example.com b@example.com", "a@example.com;b@example.com",
     "a@example.com, Ada", "Ada <ada@example.com>", "Ada lovelace@example.com", "ada@example. com", "a b @example.com",
     "mail\u00a0ada@example.com", "ada@example.com home"],
)  # fmt: skip
def test_what_is_not_one_address(text: str) -> None:
    assert normal_email(text) == ""


@pytest.mark.parametrize(
    "number",
    ["2025550142", "+1 (202) 555-0142", "1-202-555-0142", "202.555.0142", "12025550142", "202\u2011555\u20110142",
     "202\u00a0555 0142", "2025550142.0", "12025550142.00"],
)  # fmt: skip
def test_a_number_by_its_digits_with_and_without_the_countrys_1(number: str) -> None:
    assert normal_phone(number) == "2025550142"


def test_other_numbers_keep_all_their_digits() -> None:
    assert normal_phone("+44 20 7946 0958") == "442079460958"
    assert normal_phone("+49 30 1234567") == "49301234567"
    assert normal_phone("555-0142") == "5550142"


@pytest.mark.parametrize("number", ["+65 6223 4567", " +656-223-4567", "+6562234567"])
def test_ten_digits_of_another_country_are_nobodys_in_the_united_states(number: str) -> None:
    assert normal_phone(number) == "+6562234567"
    assert normal_phone("(656) 223-4567") == normal_phone("+1 656 223 4567") == "6562234567"


@pytest.mark.parametrize(
    "text",
    ["", "n/a", "0", "123456", "555-0142 ext. 123", "5550142x123", "202-555-0142, 202-555-0143", "1-800-FLOWERS",
     "2025550142;", "1234567890123456", "2.02555E+09", "٢٠٢٥٥٥٠١٤٢"],
)  # fmt: skip
def test_what_is_not_one_number(text: str) -> None:
    """Digits of an extension would make the number of somebody else."""
    assert normal_phone(text) == ""


def test_a_number_may_be_stored_with_the_1_or_without() -> None:
    assert spellings("phone", "2025550142") == ("12025550142", "2025550142")
    assert spellings("phone", "442079460958") == ("442079460958",)
    assert spellings("phone", "+6562234567") == ("+6562234567", "6562234567")
    assert spellings("email", "1234567890") == ("1234567890",)
