"""A row becomes exactly one activity, or is refused with the names of its wrong fields."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from support.activities import BODY, CREATED, ROW, body_of, built, mapping, refusal

from airflow_provider_lofty.lofty.fields import FIELDS
from airflow_provider_lofty.rows.builder import Activity, InvalidRow
from airflow_provider_lofty.rows.columns import MappingError
from airflow_provider_lofty.rows.file_options import FileOptions
from airflow_provider_lofty.sandbox.checks import read_activity


class TestBody:
    def test_a_row_with_the_required_fields_only(self) -> None:
        activity = built(ROW)
        assert activity.lead_id == 9007199254740993
        assert json.loads(activity.body) == BODY

    def test_a_row_with_every_field(self) -> None:
        row = {
            **ROW,
            "listing.price": "450000", "listing.state": "AZ", "listing.city": "Phoenix", "listing.zipCode": "02134",
            "listing.streetAddress": "12 Made Up Lane", "listing.county": "Nowhere", "listing.propertyType": "Condo",
            "listing.bedrooms": 3, "listing.bathrooms": 2.5, "listing.squareFeet": 1200, "listing.lotSize": "0.25",
            "listing.parkingSpace": 1, "listing.floors": 2, "listing.mailAddress": "yes", "listing.id": 5,
            "listing.leadUserId": 6, "listing.listingId": "MLS1", "listing.autoListingId": 7, "listing.label": "a",
            "listing.note": "b", "listing.listingStatus": "Active", "listing.labelList": "c", "listing.labelType": "d",
            "listing.pictureUrl": "e", "listing.siteListingUrl": "f", "listing.priceMax": 2, "listing.priceMin": 1,
            "scheduledDate": date(2024, 5, 2), "pageName": "Contact us",
        }  # fmt: skip
        body = body_of(row)
        assert set(row) == {field.name for field in FIELDS}
        assert body == {
            **BODY,
            "listing": {
                "price": 450000, "state": "AZ", "city": "Phoenix", "zipCode": "02134",
                "streetAddress": "12 Made Up Lane", "county": "Nowhere", "propertyType": "Condo", "bedrooms": 3,
                "bathrooms": 2.5, "squareFeet": 1200, "lotSize": 0.25, "parkingSpace": 1, "floors": 2,
                "mailAddress": True, "id": 5, "leadUserId": 6, "listingId": "MLS1", "autoListingId": 7, "label": "a",
                "note": "b", "listingStatus": "Active", "labelList": "c", "labelType": "d", "pictureUrl": "e",
                "siteListingUrl": "f", "priceMax": 2, "priceMin": 1,
            },
            "scheduledDate": "2024-05-02",
            "pageName": "Contact us",
        }  # fmt: skip

    def test_an_optional_field_without_a_value_is_left_out(self) -> None:
        row = {**ROW, "listing.price": None, "listing.city": float("nan"), "pageName": pd.NaT, "scheduledDate": pd.NA}
        assert body_of(row) == BODY

    def test_an_empty_text_is_a_value(self) -> None:
        assert body_of({**ROW, "pageName": ""})["pageName"] == ""


class TestRequired:
    @pytest.mark.parametrize("field", ["leadId", "type", "text", "link", "picture", "created"])
    @pytest.mark.parametrize("missing", [None, float("nan"), pd.NaT, pd.NA, np.datetime64("NaT", "ns"), Decimal("NaN")])
    def test_a_required_field_without_a_value_is_named(self, field: str, missing: Any) -> None:
        error = refusal({**ROW, field: missing})
        assert error.fields == field
        hint = (
            f'; where it may be empty, say defaults={{"{field}": ""}}' if field in ("text", "link", "picture") else ""
        )
        assert str(error) == f"{field} is required, but has no value and no default{hint}"

    @pytest.mark.parametrize("blank", ["", "  "])
    @pytest.mark.parametrize("field", ["leadId", "type", "created"])
    def test_blank_text_is_no_value_where_text_is_not_wanted(self, field: str, blank: str) -> None:
        assert "is required, but has no value" in str(refusal({**ROW, field: blank}))

    def test_a_field_of_another_kind_without_a_value_is_left_out(self) -> None:
        row = {
            **ROW,
            "listing.price": "",
            "listing.bathrooms": " ",
            "listing.mailAddress": " ",
            "scheduledDate": "0000-00-00",
        }
        assert body_of(row) == BODY

    @pytest.mark.parametrize("options", [FileOptions(), FileOptions(null_values=("n/a",))])
    @pytest.mark.parametrize("field", [*(field.name for field in FIELDS), "listing"])
    def test_the_mark_of_null_is_no_value_in_any_field(self, field: str, options: FileOptions) -> None:
        row = {**ROW, field: "\\N"}
        if field in ROW:
            assert "is required, but has no value" in str(refusal(row, options=options))
        else:
            assert body_of(row, options=options) == BODY

    def test_what_the_author_lists_is_no_listing(self) -> None:
        row = {**ROW, "listing": " n/a ", "listing.price": 5}
        assert body_of(row, options=FileOptions(null_values=("n/a",)))["listing"] == {"price": 5}

    def test_no_value_takes_the_default(self) -> None:
        row = {**ROW, "listing.price": " ", "created": "0000-00-00"}
        body = body_of(row, defaults={"listing.price": 5, "created": CREATED})
        assert (body["listing"], body["created"]) == ({"price": 5}, CREATED)

    @pytest.mark.parametrize("field", ["leadId", "type", "text", "link", "picture", "created"])
    def test_a_required_field_without_a_column_fails_before_any_row(self, field: str) -> None:
        columns = tuple(name for name in ROW if name != field)
        with pytest.raises(MappingError, match=f"required field {field} has neither a column nor a default"):
            mapping().builder(columns, table=True)

    def test_the_closest_column_is_suggested(self) -> None:
        columns = ("leed_id", *(name for name in ROW if name != "leadId"))
        with pytest.raises(MappingError, match="closest name is 'leed_id'"):
            mapping().builder(columns, table=True)

    def test_rows_of_objects_may_lack_a_field_as_long_as_one_has_it(self) -> None:
        wishes = mapping()
        short = {name: value for name, value in ROW.items() if name != "picture"}
        with pytest.raises(InvalidRow) as caught:
            wishes.builder(tuple(short), table=False).build(list(short.values()))
        assert caught.value.fields == "picture"
        with pytest.raises(MappingError, match="picture"):
            wishes.require_columns()
        wishes.builder(tuple(ROW), table=False)
        wishes.require_columns()


LOST = [float(2**53), np.float64(2**60), np.float32(2**24 + 2), Decimal("2.00604E+19"), "2.00604E+19"]


class TestProblems:
    @pytest.mark.parametrize("field", [field.name for field in FIELDS if field.kind not in ("double", "boolean")])
    @pytest.mark.parametrize("lost", LOST, ids=repr)
    def test_no_field_takes_a_number_that_may_have_lost_digits(self, field: str, lost: Any) -> None:
        assert refusal({**ROW, field: lost}).fields == field

    @pytest.mark.parametrize("field", [field.name for field in FIELDS if "text" in field.kind or "code" in field.kind])
    @pytest.mark.parametrize("word", ["NULL", "null", "nan", "NaT", "<NA>", "(null)", "#N/A"])
    def test_no_text_field_takes_a_programs_word_for_no_value(self, field: str, word: str) -> None:
        error = refusal({**ROW, field: word})
        assert error.fields == field
        assert "null_values" in str(error)

    def test_every_wrong_field_is_named_and_the_lead_is_kept(self) -> None:
        error = refusal({**ROW, "type": "Viewed", "created": 1714557600, "listing.price": "cheap", "link": None})
        assert error.fields == "type, link, created, listing.price"
        assert error.lead_id == ROW["leadId"]

    @pytest.mark.parametrize("field", [field.name for field in FIELDS])
    def test_a_list_is_wrong_for_every_field_and_names_it(self, field: str) -> None:
        assert refusal({**ROW, field: ["a", 1]}).fields == field

    def test_a_wrong_lead_id_names_no_lead(self) -> None:
        assert refusal({**ROW, "leadId": 1.5}).lead_id is None

    @pytest.mark.parametrize("field", [field.name for field in FIELDS])
    @pytest.mark.parametrize("value", ["xq7zw\0", b"xq7zw", ["xq7zw"], {"xq7zw": "xq7zw"}])
    def test_no_value_is_quoted(self, field: str, value: Any) -> None:
        assert "xq7zw" not in str(refusal({**ROW, field: value}))


class TestListingObject:
    @pytest.mark.parametrize(
        "given",
        [
            {"price": "5", "City": "Phoenix"},
            '{"PRICE": 5, "city": "Phoenix"}',
            json.dumps('{"price": 5, "city": "Phoenix"}'),
            [("price", 5), ("city", "Phoenix")],
        ],
    )
    def test_an_object_or_json_text_is_taken_apart(self, given: Any) -> None:
        assert body_of({**ROW, "listing": given})["listing"] == {"price": 5, "city": "Phoenix"}

    @pytest.mark.parametrize(
        "given", [None, float("nan"), pd.NA, {}, "{}", "null", " null ", "", " ", {"price": None}, {"colour": "red"}]
    )
    def test_nothing_in_it_leaves_it_out(self, given: Any) -> None:
        assert "listing" not in body_of({**ROW, "listing": given})

    @pytest.mark.parametrize(
        "given",
        [
            "Phoenix",
            "{'price': 5}",
            '[["price", 5]]',
            [{"price": 5}],
            [("price", 5, 6)],
            [("price", 5), "city"],
            "[1]",
            "5",
            "NaN",
            "{",
            "[" * 100_000,
            '{"price": ' + "9" * 5000 + "}",
            5,
            [1],
            True,
            b"{}",
        ],
        ids=lambda v: repr(v)[:20],
    )
    def test_anything_but_an_object_is_refused(self, given: Any) -> None:
        assert refusal({**ROW, "listing": given}).fields == "listing"

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"price": "cheap"}, "listing.price"),
            ({"zip_code": ["02134"]}, "listing.zipCode"),
            ('{"id": 9007199254740993.0}', "listing.id"),
            ('{"lotSize": 1e999}', "listing.lotSize"),
            ('{"bedrooms": 2147483648}', "listing.bedrooms"),
            ('{"note": "\\ud800"}', "listing.note"),
        ],
    )
    def test_a_wrong_value_in_it_is_named_with_its_path(self, given: Any, field: str) -> None:
        assert refusal({**ROW, "listing": given}).fields == field

    @pytest.mark.parametrize(
        "given", ['{"price": 1, "price": 2}', '{"a": {"b": 1, "b": 2}}', [("price", 1), ("price", 2)]]
    )
    def test_a_name_that_comes_twice_in_json_is_refused(self, given: Any) -> None:
        assert "twice" in str(refusal({**ROW, "listing": given}))

    def test_text_that_is_not_json_says_so(self) -> None:
        assert "text that is not JSON" in str(refusal({**ROW, "listing": "{'price': 5}"}))

    def test_a_name_that_comes_twice_is_refused(self) -> None:
        error = refusal({**ROW, "listing": {"price": 1, "PRICE": 2}})
        assert (error.fields, "twice" in str(error)) == ("listing.price", True)

    def test_names_that_match_no_field_are_remembered(self) -> None:
        wishes = mapping()
        wishes.builder((*ROW, "listing"), table=True).build([*ROW.values(), {"colour": "red", "price": 5}])
        assert wishes.nested_ignored == {"listing.colour"}

    def test_a_column_of_its_own_comes_before_the_object_and_the_object_before_a_default(self) -> None:
        row = {**ROW, "listing": {"price": 1, "city": "Phoenix"}, "listing.price": 2, "listing.city": None}
        listing = body_of(row, defaults={"listing.city": "Tucson", "listing.state": "AZ"})["listing"]
        assert listing == {"price": 2, "city": "Phoenix", "state": "AZ"}


class TestKeyAndHashes:
    @pytest.mark.parametrize(
        ("field", "other"),
        [("leadId", 5), ("type", "Search"), ("text", "other"), ("link", "other"), ("created", CREATED + 1)],
    )
    def test_what_reading_back_shows_makes_another_key(self, field: str, other: Any) -> None:
        assert built({**ROW, field: other}).row_key != built(ROW).row_key

    @pytest.mark.parametrize("change", [{"picture": "p"}, {"listing.price": 5}, {"pageName": "x"}])
    def test_what_reading_back_does_not_show_changes_only_the_fingerprint(self, change: dict[str, Any]) -> None:
        one, other = built(ROW), built({**ROW, **change})
        assert one.row_key == other.row_key
        assert one.fingerprint != other.fingerprint

    @pytest.mark.parametrize(
        "same",
        [
            {**ROW, "type": "BROWSE"},
            {**ROW, "leadId": "9007199254740993"},
            {**ROW, "created": "2024-05-01T10:00:00.123Z"},
            dict(reversed(ROW.items())),
            {**ROW, "unused": "column"},
        ],
    )
    def test_the_same_activity_written_differently_is_the_same(self, same: dict[str, Any]) -> None:
        assert built(same)[2:] == built(ROW)[2:]

    @pytest.mark.parametrize(
        "listing",
        [
            {"listing": {"price": 5, "city": "Phoenix", "bathrooms": 2}},
            {"listing": {"bathrooms": 2.0, "city": "Phoenix", "price": "5"}},
            {"listing": '{"CITY": "Phoenix", "price": 5.0, "bathrooms": "2"}'},
            {"listing.bathrooms": "2.0", "listing.city": "Phoenix", "listing": {"price": 5}},
            {"listing_city": "Phoenix", "listing_bathrooms": 2, "listing_price": 5},
        ],
    )
    def test_a_listing_is_the_same_in_any_order_and_form(self, listing: dict[str, Any]) -> None:
        plain = {"listing.price": 5, "listing.city": "Phoenix", "listing.bathrooms": 2}
        assert built({**ROW, **listing}).fingerprint == built({**ROW, **plain}).fingerprint

    def test_a_unique_key_replaces_the_trace_hash_as_the_row_key(self) -> None:
        one = built({**ROW, "event": 1}, unique_key="event")
        assert built({**ROW, "text": "other", "event": "1"}, unique_key=["EVENT"]).row_key == one.row_key
        assert built({**ROW, "event": 2}, unique_key="event").row_key != one.row_key

    def test_the_parts_of_a_unique_key_do_not_run_together(self) -> None:
        keys = [{"a": "x", "b": "yz"}, {"a": "xy", "b": "z"}, {"a": "", "b": "xyz"}]
        assert len({built({**ROW, **key}, unique_key=["a", "b"]).row_key for key in keys}) == 3

    @pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
    def test_a_unique_key_that_is_null_makes_the_row_invalid(self, missing: Any) -> None:
        error = refusal({**ROW, "event": missing}, unique_key="event")
        assert str(error) == "event is NULL, but it is part of unique_key"

    @pytest.mark.parametrize("blank", ["", "  "])
    def test_a_unique_key_of_blanks_is_null(self, blank: str) -> None:
        assert (
            str(refusal({**ROW, "event": blank}, unique_key="event")) == "event is NULL, but it is part of unique_key"
        )
        assert refusal({**ROW, "a": blank, "b": ""}, unique_key=["a", "b"]).fields == "a, b"

    @pytest.mark.parametrize("other", [123.0, "123", "123.0", Decimal("123.00"), np.int64(123), np.float64(123)])
    def test_a_number_is_one_key_whatever_its_clothes(self, other: Any) -> None:
        keys = {built({**ROW, "event": event}, unique_key="event").row_key for event in (123, other)}
        assert len(keys) == 1

    @pytest.mark.parametrize(
        "lost", [1795707900000000001.0, float(2**53), np.float32(2**24), Decimal("1.8E+18"), "1.79571E+18", "1e+22"]
    )
    def test_a_unique_key_that_may_have_lost_digits_is_refused(self, lost: Any) -> None:
        error = refusal({**ROW, "event": lost}, unique_key="event")
        assert error.fields == "event"
        assert "lost" in str(error)

    @pytest.mark.parametrize("options", [FileOptions(), FileOptions(null_values=("n/a",))])
    def test_the_mark_of_null_is_no_key(self, options: FileOptions) -> None:
        assert "is NULL" in str(refusal({**ROW, "event": "\\N"}, unique_key="event", options=options))

    @pytest.mark.parametrize("word", ["NULL", "nan"])
    def test_a_programs_word_for_no_value_is_no_key(self, word: str) -> None:
        assert "null_values" in str(refusal({**ROW, "event": word}, unique_key="event"))
        listed = FileOptions(null_values=(word,))
        assert "is NULL" in str(refusal({**ROW, "event": word}, unique_key="event", options=listed))

    @pytest.mark.parametrize("wrong", [["a"], {"a": 1}, b"a", "\ud800"])
    def test_a_unique_key_that_is_not_text_makes_the_row_invalid(self, wrong: Any) -> None:
        assert refusal({**ROW, "event": wrong}, unique_key="event").fields == "event"

    def test_a_unique_key_without_a_column_fails_before_any_row(self) -> None:
        with pytest.raises(MappingError, match="unique_key names the column 'event', which the source lacks"):
            mapping(unique_key="event").builder(tuple(ROW), table=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)

NAMES = sorted({field.name for field in FIELDS} | {"listing", "event", "other"})

LIKELY = {
    "leadId": st.integers(1, 2**63 - 1),
    "type": st.sampled_from(["Browse", "SEARCH"]),
    "created": st.integers(CREATED - 10**9, CREATED),
    "listing": st.dictionaries(st.sampled_from(["price", "PRICE", "city", "lotSize", "x"]), JSON, max_size=3),
}


@st.composite
def rows(draw: Callable[[Any], Any]) -> dict[str, Any]:
    """Draw a row that is right as a whole, but for a few values that may be anything."""
    row = {name: draw(LIKELY.get(name, st.just(value))) for name, value in ROW.items()}
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True)):
        row[name] = draw(JSON | LIKELY.get(name, JSON))
    return row


@pytest.mark.parametrize(
    "wishes", [{}, {"defaults": {"type": "Browse", "picture": "", "listing.lotSize": 1}}, {"unique_key": "event"}]
)
@given(row=rows())
def test_any_row_becomes_a_valid_activity_or_names_its_wrong_fields(
    wishes: dict[str, Any], row: dict[str, Any]
) -> None:
    try:
        activity = built(row, table=False, **wishes)
    except InvalidRow as error:
        named = error.fields.split(", ")
        assert named
        assert set(named) <= {*(field.name for field in FIELDS), "listing", "event"}
    else:
        assert 0 < activity.lead_id < 2**63
        read_activity(activity.body, accepts_empty_strings=True, max_text_length=None)
        assert (len(activity.row_key), len(activity.fingerprint), len(activity.trace_hash)) == (12, 16, 12)


@given(
    values=st.dictionaries(
        st.sampled_from([field.name for field in FIELDS]), st.text("qxz", min_size=4, max_size=6), min_size=1
    )
)
def test_no_row_is_quoted_in_its_refusal(values: dict[str, str]) -> None:
    error = refusal({**ROW, **{name: [value] for name, value in values.items()}})
    assert set(error.fields.split(", ")) == set(values)
    assert not any(value in str(error) for value in values.values())


class TestMatchBy:
    """A row without a lead id is an activity of whoever has its address or number."""

    ROW: dict[str, Any] = {name: value for name, value in ROW.items() if name != "leadId"}  # noqa: RUF012

    def of(self, match_by: Any = ("email", "phone"), **person: Any) -> Activity:
        return built({**self.ROW, **person}, match_by=match_by)

    @pytest.mark.parametrize("column", ["email", "e_mail", "E-Mail", "EMAIL_ADDRESS", "Email Address", "emailAddr"])
    def test_a_column_of_addresses_by_its_name(self, column: str) -> None:
        assert self.of("email", **{column: "Ada@Example.com"}).email == "ada@example.com"

    @pytest.mark.parametrize("column", ["phone", "PHONE_NUMBER", "phone_no", "Telephone"])
    @pytest.mark.parametrize("number", ["+1 (202) 555-0142", 2025550142, 12025550142.0, Decimal("2025550142.00")])
    def test_a_column_of_numbers_by_its_name(self, column: str, number: Any) -> None:
        assert self.of("phone", **{column: number}).phone == "2025550142"

    def test_a_column_that_the_author_names(self) -> None:
        row = {**self.ROW, "CONTACT": "ada@example.com", "email": 5, "cell": "2025550142"}
        sources = {"email": "CONTACT", "phone": lambda row: row["cell"]}
        found = built(row, match_by=["email", "phone"], mapping=sources)
        assert (found.email, found.phone, found.lead_id, found.trace_hash) == (
            "ada@example.com",
            "2025550142",
            None,
            None,
        )

    def test_two_columns_of_one_kind_are_a_tie(self) -> None:
        with pytest.raises(MappingError, match="both match the field email; say which in mapping"):
            self.of("email", email="a@example.com", e_mail="b@example.com")

    def test_without_match_by_they_are_columns_like_any_other(self) -> None:
        builder = mapping().builder((*ROW, "email", "e_mail"), table=True)
        assert builder.ignored == ["email", "e_mail"]
        with pytest.raises(MappingError, match="no such field; match_by='email' finds leads by it"):
            mapping(mapping={"e_mail": "CONTACT"})

    @pytest.mark.parametrize("lead_id", [None, "", float("nan")])
    def test_a_row_without_its_lead_id(self, lead_id: Any) -> None:
        assert self.of("email", leadId=lead_id, email="ada@example.com").lead_id is None

    def test_a_row_with_its_lead_id_is_what_it_was(self) -> None:
        assert built({**ROW, "email": "ada@example.com"}, match_by="email") == built(ROW)

    def test_a_wrong_lead_id_is_not_made_good_by_an_address(self) -> None:
        assert refusal({**ROW, "leadId": "x", "email": "ada@example.com"}, match_by="email").fields == "leadId"

    @pytest.mark.parametrize(
        ("person", "fields"),
        [
            ({"email": None, "phone": " "}, "leadId, email, phone"),
            ({}, "leadId, email, phone"),
            ({"email": "ada", "phone": "2025550142"}, "email"),
            ({"email": "ada@example.com", "phone": "2025550142 ext 5"}, "phone"),
            ({"email": "NULL", "phone": "2025550142"}, "email"),
            ({"email": True, "phone": ["2025550142"]}, "email, phone"),
            ({"phone": "2.025550142E+09"}, "phone"),
        ],
    )
    def test_what_cannot_be_looked_for(self, person: dict[str, Any], fields: str) -> None:
        error = refusal({**self.ROW, **person}, match_by=["email", "phone"])
        assert error.fields == fields
        private = [value for value in person.values() if isinstance(value, str) and value not in (" ", "NULL")]
        assert not any(value in str(error) for value in private)

    @pytest.mark.parametrize("written", ["n/a", "\\N"])
    def test_null_values_are_no_address(self, written: str) -> None:
        options = FileOptions(null_values=("n/a",))
        row = {**self.ROW, "email": written, "phone": "2025550142"}
        assert built(row, match_by=["email", "phone"], options=options).email is None

    def test_the_key_is_of_all_that_is_given_and_of_what_reading_back_shows(self) -> None:
        ada = {"email": "ada@example.com", "phone": "2025550142"}
        key = self.of(**ada).row_key
        assert self.of(email=" ADA@example.com", phone="+1 202 555 0142").row_key == key
        assert self.of(**ada, picture="another").row_key == key
        others = [
            self.of(email="ada@example.com", phone=None), self.of(email=None, phone="2025550142"),
            self.of(("phone", "email"), **ada), self.of(**{**ada, "phone": "2025550143"}), self.of("email", **ada),
            built({**self.ROW, "text": "another", **ada}, match_by=["email", "phone"]),
            built({**self.ROW, "created": CREATED + 1, **ada}, match_by=["email", "phone"]),
        ]  # fmt: skip
        assert len({key, *(other.row_key for other in others)}) == 1 + len(others)

    def test_with_a_unique_key_that_is_the_key_and_the_content_tells_the_person(self) -> None:
        one, other = (
            built({**self.ROW, "id": 5, "email": email}, match_by="email", unique_key="id")
            for email in ("ada@example.com", "grace@example.com")
        )
        assert one.row_key == other.row_key == built({**ROW, "id": 5}, unique_key="id").row_key
        assert one.fingerprint != other.fingerprint

    def test_a_kind_without_a_column_is_named(self) -> None:
        with pytest.raises(MappingError, match="match_by names phone, for which there is no column; say which"):
            self.of(email="ada@example.com")

    def test_a_default_lead_would_leave_it_unused(self) -> None:
        with pytest.raises(MappingError, match="match_by would never be used"):
            mapping(match_by="email", defaults={"leadId": 5})

    @pytest.mark.parametrize("match_by", ["", "mail", [], ["email", "email"], ["email", "fax"], {"email": 1}, 5])
    def test_match_by_is_one_or_both(self, match_by: Any) -> None:
        with pytest.raises(MappingError, match='match_by must be "email", "phone" or a list of both'):
            mapping(match_by=match_by)
