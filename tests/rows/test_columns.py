"""Which column fills which field."""

from __future__ import annotations

from typing import Any

import pytest
from support.activities import ROW, body_of, built, mapping

from airflow_provider_lofty.rows.columns import MappingError


class TestMatchingByName:
    @pytest.mark.parametrize(
        "column",
        ["leadId", "LEADID", "lead_id", "LEAD_ID", "Lead_Id", " lead.id ", "Lead ID", "lead-id", "Lead\u00a0Id"],
    )
    def test_case_and_separators_do_not_count(self, column: str) -> None:
        row = {column: 5, **{name: value for name, value in ROW.items() if name != "leadId"}}
        assert built(row).lead_id == 5

    @pytest.mark.parametrize(
        "column", ["listing.price", "LISTING_PRICE", "listingPrice", "listing_price", "Listing Price"]
    )
    def test_listing_fields_carry_their_prefix(self, column: str) -> None:
        assert body_of({**ROW, column: 5})["listing"] == {"price": 5}

    def test_a_bare_listing_name_does_not_match(self) -> None:
        builder = mapping().builder((*ROW, "price"), table=True)
        assert builder.ignored == ["price"]

    def test_used_and_ignored_columns_are_reported(self) -> None:
        builder = mapping().builder((*ROW, "CRM_NOTE", "lofty_outcome"), table=True)
        assert builder.used == {name: name for name in ROW}
        assert builder.ignored == ["CRM_NOTE"]

    def test_a_tie_is_an_error_that_names_both(self) -> None:
        with pytest.raises(MappingError, match="'leadId' and 'LEAD_ID' both match the field leadId"):
            mapping().builder((*ROW, "LEAD_ID"), table=True)

    @pytest.mark.parametrize("column", ["listing_id", "LISTING_ID", "ListingId", "listingid"])
    def test_listing_id_is_refused_with_both_meanings(self, column: str) -> None:
        with pytest.raises(MappingError, match=r"listing\.id \(the id of an address.*listing\.listingId \(the MLS id"):
            mapping().builder((*ROW, column), table=True)

    @pytest.mark.parametrize(
        ("meaning", "sent"), [("listing.id", {"id": 77}), ("listing.listingId", {"listingId": "77"})]
    )
    def test_mapping_says_what_listing_id_means(self, meaning: str, sent: dict[str, Any]) -> None:
        assert body_of({**ROW, "listing_id": 77}, mapping={meaning: "listing_id"})["listing"] == sent

    def test_a_third_column_named_listing_id_is_ignored_where_both_ids_are_mapped(self) -> None:
        row = {**ROW, "listing_id": 5, "ours": 77, "mls": "M77"}
        ids = {"listing.id": "ours", "listing.listingId": "mls"}
        assert body_of(row, mapping=ids)["listing"] == {"id": 77, "listingId": "M77"}
        assert mapping(mapping=ids).builder(tuple(row), table=True).ignored == ["listing_id"]

    def test_the_full_names_need_no_mapping(self) -> None:
        listing = body_of({**ROW, "listing.id": 77, "listing.listingId": "M77"})["listing"]
        assert listing == {"id": 77, "listingId": "M77"}
