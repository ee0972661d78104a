"""
Lofty's activity fields as data.

The fields and their kinds are those of ``LeadActivity`` and ``LeadProperty`` in Lofty's OpenAPI document
(``POST /v1.0/leads/{leadId}/activity``).
"""

from __future__ import annotations

from dataclasses import dataclass

ACTIVITY_TYPES = ("Search", "Browse", "Favorite", "Request", "Submission")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an activity; ``name`` is its path in Lofty's body, ``leadId`` being part of the URL."""

    name: str
    kind: str
    required: bool = False


FIELDS: tuple[Field, ...] = (
    Field("leadId", "id", required=True),
    Field("type", "activity type", required=True),
    Field("text", "text", required=True),
    Field("link", "trimmed text", required=True),
    Field("picture", "trimmed text", required=True),
    Field("created", "milliseconds", required=True),
    Field("listing.price", "money"),
    Field("listing.state", "trimmed text"),
    Field("listing.city", "text"),
    Field("listing.streetAddress", "text"),
    Field("listing.zipCode", "zip code"),
    Field("listing.county", "text"),
    Field("listing.propertyType", "text"),
    Field("listing.bedrooms", "int32"),
    Field("listing.bathrooms", "double"),
    Field("listing.squareFeet", "int64"),
    Field("listing.lotSize", "double"),
    Field("listing.parkingSpace", "int64"),
    Field("listing.floors", "int32"),
    Field("listing.mailAddress", "boolean"),
    Field("listing.id", "id"),
    Field("listing.leadUserId", "id"),
    Field("listing.listingId", "code"),
    Field("listing.autoListingId", "id"),
    Field("listing.label", "text"),
    Field("listing.note", "text"),
    Field("listing.listingStatus", "text"),
    Field("listing.labelList", "text"),
    Field("listing.pictureUrl", "trimmed text"),
    Field("listing.siteListingUrl", "trimmed text"),
    Field("listing.labelType", "text"),
    Field("listing.priceMax", "money"),
    Field("listing.priceMin", "money"),
    Field("scheduledDate", "date text"),
    Field("pageName", "text"),
)
