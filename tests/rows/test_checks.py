"""The check of one value: what is sent, exactly, or one refusal that names the rule and never the value."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from support.values import MOMENTS, NEW_YORK, NEWEST_MS, OLDEST_MS, Colour, Number

from airflow_provider_lofty.lofty.fields import ACTIVITY_TYPES, FIELDS
from airflow_provider_lofty.rows.checks import BLANKS_CUT, SHORT_ZIP_CODE, Remarks, checks, key_check
from airflow_provider_lofty.rows.file_options import FileOptions
from airflow_provider_lofty.rows.values import InvalidValue, NoValue, is_missing, kind_of, plain

CHECKS = checks(MOMENTS)


class TestNumpy:
    @pytest.mark.parametrize(
        "value", [np.timedelta64(5, "ns"), np.datetime64("20000-01-01"), np.datetime64(2**62, "s")]
    )
    @pytest.mark.parametrize("kind", sorted(CHECKS))
    def test_a_time_that_python_cannot_hold_never_passes_for_a_number(self, kind: str, value: Any) -> None:
        with pytest.raises(InvalidValue):
            CHECKS[kind](plain(value))

    @pytest.mark.parametrize("kind", sorted(CHECKS))
    def test_no_field_takes_an_array(self, kind: str) -> None:
        with pytest.raises(InvalidValue):
            CHECKS[kind](plain(np.array([1, 2])))


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(allow_nan=None), st.text(),
    st.text(st.characters(codec=None)), st.binary(), st.dates(), st.datetimes(), st.times(), st.timedeltas(), st.uuids(),
    st.complex_numbers(), st.fractions(), st.datetimes(timezones=st.timezones()), st.integers(-(2**70), 2**70).map(str),
    st.floats().map(repr), st.decimals().map(str), st.dates().map(str), st.datetimes().map(str),
    st.integers(OLDEST_MS - 10**6, NEWEST_MS + 10**6), st.sampled_from(("9" * 5000, 10**300, Colour.RED, Number.SEVEN)),
    st.integers(-(2**63), 2**63 - 1).map(np.int64), st.floats().map(np.float64), st.datetimes().map(np.datetime64),
    st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(pd.Timestamp),
    st.integers(-(2**62), 2**62).map(lambda number: np.datetime64(number, "ns")),
)  # fmt: skip

ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)


def fits(kind: str, sent: Any) -> bool:
    """Whether Lofty's specification allows this value for a field of this kind."""
    return {
        "id": lambda: type(sent) is int and 0 < sent < 2**63,
        "int64": lambda: type(sent) is int and -(2**63) <= sent < 2**63,
        "money": lambda: type(sent) is int and -(2**63) <= sent < 2**63,
        "int32": lambda: type(sent) is int and -(2**31) <= sent < 2**31,
        "milliseconds": lambda: type(sent) is int and OLDEST_MS <= sent <= NEWEST_MS,
        "double": lambda: type(sent) is float and abs(sent) != float("inf") and sent == sent,
        "boolean": lambda: type(sent) is bool,
        "activity type": lambda: sent in ACTIVITY_TYPES,
    }.get(kind, lambda: type(sent) is str and "\0" not in sent and bool(sent.encode() or True))()


@given(value=ANYTHING)
def test_any_value_is_either_sent_as_the_specification_allows_or_refused(value: Any) -> None:
    value = plain(value)
    if is_missing(value):
        return
    for kind, check in (*CHECKS.items(), *checks(NEW_YORK).items()):
        try:
            sent = check(value)
        except InvalidValue as error:
            assert str(error)
        else:
            assert fits(kind, sent), (kind, sent)


MARK = "xq7zw"


@pytest.mark.parametrize(
    "value",
    [MARK, f"{MARK}\0", f"{MARK}\ud800", {MARK: MARK}, [MARK], MARK.encode(), 918273645.5, -918273645, 10**30 + 918273645,
     Decimal("918273645.25"), datetime(1918, 2, 7), date(1918, 2, 7)],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
@pytest.mark.parametrize("kind", sorted(CHECKS))
def test_a_refusal_never_quotes_the_value(kind: str, value: Any) -> None:
    try:
        CHECKS[kind](value)
    except InvalidValue as error:
        assert not any(secret in str(error) for secret in (MARK, "918273645", "1918"))
        assert error.__cause__ is None


@given(value=ANYTHING)
def test_the_kind_of_a_value_is_named_without_it(value: Any) -> None:
    assert kind_of(value) in {
        "true/false", "text", "a whole number", "a decimal number", "a timestamp", "a date", "bytes", "an object", "a list",
    } or kind_of(value).startswith("a value of type ")  # fmt: skip


def test_every_field_has_a_kind_that_is_checked_and_a_name_of_its_own() -> None:
    assert {field.kind for field in FIELDS} == set(CHECKS)
    assert len({field.name for field in FIELDS}) == len(FIELDS)


class TestPadding:
    @pytest.mark.parametrize("kind", ["trimmed text", "code", "zip code"])
    @pytest.mark.parametrize("value", ["AZ   ", " AZ", "\u00a0AZ\u2003", "AZ\r\n", "\tAZ"])
    def test_blanks_around_names_and_links_are_cut_and_counted(self, kind: str, value: str) -> None:
        remarks = Remarks()
        assert checks(MOMENTS, remarks=remarks)[kind](value) == "AZ"
        assert remarks == {BLANKS_CUT: 1}

    def test_prose_keeps_its_blanks(self) -> None:
        remarks = Remarks()
        assert checks(MOMENTS, remarks=remarks)["text"](" hi ") == " hi "
        assert checks(MOMENTS, remarks=remarks)["trimmed text"]("as it is") == "as it is"
        assert not remarks

    @pytest.mark.parametrize(
        ("value", "sent", "count"),
        [("2134", "2134", 1), (2134, "2134", 1), (501, "501", 1), ("2134.0", "2134", 1), ("02134", "02134", 0),
         ("85001-1234", "85001-1234", 0), ("SW1A", "SW1A", 0)],
    )  # fmt: skip
    def test_a_short_zip_code_is_sent_and_counted(self, value: Any, sent: str, count: int) -> None:
        remarks = Remarks()
        assert checks(MOMENTS, remarks=remarks)["zip code"](value) == sent
        assert remarks[SHORT_ZIP_CODE] == count


class TestNullValues:
    @pytest.mark.parametrize("kind", sorted(CHECKS))
    @pytest.mark.parametrize("value", ["n/a", " n/a "])
    def test_what_the_author_lists_is_no_value_for_any_field(self, kind: str, value: str) -> None:
        with pytest.raises(NoValue):
            checks(MOMENTS, FileOptions(null_values=("n/a",)))[kind](value)

    @pytest.mark.parametrize("kind", sorted(CHECKS))
    @pytest.mark.parametrize("value", ["\\N", " \\N "])
    def test_what_the_author_lists_is_no_value_beside_the_mark_of_null(self, kind: str, value: str) -> None:
        with pytest.raises(NoValue):
            checks(MOMENTS, FileOptions(null_values=("n/a",)))[kind](value)
        with pytest.raises(NoValue):
            key_check(FileOptions(null_values=("n/a",)))(value)

    def test_a_listed_text_may_have_blanks_or_be_some(self) -> None:
        check = checks(MOMENTS, FileOptions(null_values=(" n/a", " ")))["text"]
        for value in (" n/a", " "):
            with pytest.raises(NoValue):
                check(value)
        assert [check(value) for value in ("n/a", "", "  ")] == ["n/a", "", "  "]

    @pytest.mark.parametrize("options", [FileOptions(), FileOptions(null_values=("n/a", "null"))])
    def test_a_programs_word_that_nobody_listed_is_still_refused(self, options: FileOptions) -> None:
        for check in (checks(MOMENTS, options)["text"], key_check(options)):
            with pytest.raises(InvalidValue, match=r"null_values.*\[\] says that it is text") as caught:
                check("NULL")
            assert not isinstance(caught.value, NoValue)

    @pytest.mark.parametrize("word", ["NULL", "\\N"])
    def test_whoever_lists_none_says_that_all_of_them_are_text(self, word: str) -> None:
        options = FileOptions(null_values=())
        assert checks(MOMENTS, options)["text"](word) == word
        assert key_check(options)(word) == word


def test_files_of_semicolons_may_have_decimal_commas() -> None:
    for kind in ("int64", "money", "double"):
        with pytest.raises(InvalidValue, match="ambiguous"):
            checks(MOMENTS, FileOptions(delimiter=";"))[kind]("450,000")
        assert checks(MOMENTS, FileOptions(delimiter=";", decimal="."))[kind]("450,000") == 450000
