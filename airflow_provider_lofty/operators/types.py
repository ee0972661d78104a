"""What an editor completes in a Dag: choices, what files can be, and the names of Lofty's fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict

CheckExisting = Literal["sample", "always", "never"]
MatchBy = Literal["email", "phone"]
OnUnknown = Literal["verify", "report", "resend", "assume_delivered"]


class FileOptions(TypedDict, total=False):
    """What files are where their names and bytes do not say."""

    format: Literal["csv", "jsonl", "json", "parquet"]
    encoding: str
    delimiter: str
    quoting: Literal["minimal", "none"]
    escape: Literal["\\"] | None
    skip_rows: int
    decimal: Literal[".", ","]
    null_values: Sequence[str]


# Written out, since type checkers do not read a name that is made while a program runs.
Fields = TypedDict(
    "Fields",
    {
        "leadId": Any,
        "type": Any,
        "text": Any,
        "link": Any,
        "picture": Any,
        "created": Any,
        "listing.price": Any,
        "listing.state": Any,
        "listing.city": Any,
        "listing.streetAddress": Any,
        "listing.zipCode": Any,
        "listing.county": Any,
        "listing.propertyType": Any,
        "listing.bedrooms": Any,
        "listing.bathrooms": Any,
        "listing.squareFeet": Any,
        "listing.lotSize": Any,
        "listing.parkingSpace": Any,
        "listing.floors": Any,
        "listing.mailAddress": Any,
        "listing.id": Any,
        "listing.leadUserId": Any,
        "listing.listingId": Any,
        "listing.autoListingId": Any,
        "listing.label": Any,
        "listing.note": Any,
        "listing.listingStatus": Any,
        "listing.labelList": Any,
        "listing.pictureUrl": Any,
        "listing.siteListingUrl": Any,
        "listing.labelType": Any,
        "listing.priceMax": Any,
        "listing.priceMin": Any,
        "scheduledDate": Any,
        "pageName": Any,
    },
    total=False,
)
