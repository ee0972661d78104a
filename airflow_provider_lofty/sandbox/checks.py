"""What the OpenAPI specification asks of a request, in the sandbox's own words."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from airflow_provider_lofty.profile.profile import AnswerField, AnswerForm
from airflow_provider_lofty.sandbox.answers import Refused, invalid

Body = dict[str, Any]  # of an activity, as JSON

INT32 = 2**31 - 1
INT64 = 2**63 - 1

Int32 = Annotated[int, Field(ge=-INT32 - 1, le=INT32)]
Int64 = Annotated[int, Field(ge=-INT64 - 1, le=INT64)]


class _Part(BaseModel):
    # An optional field may be left out but not be null: nothing is declared nullable.
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Listing(_Part):
    """The property an activity is about."""

    price: Int64 = -1
    priceMax: Int64 = -1
    priceMin: Int64 = -1
    squareFeet: Int64 = -1
    parkingSpace: Int64 = -1
    id: Int64 = -1
    leadUserId: Int64 = -1
    autoListingId: Int64 = -1
    bedrooms: Int32 = -1
    floors: Int32 = -1
    bathrooms: float = -1
    lotSize: float = -1
    mailAddress: bool = False
    state: str = ""
    city: str = ""
    streetAddress: str = ""
    zipCode: str = ""
    county: str = ""
    propertyType: str = ""
    listingId: str = ""
    label: str = ""
    labelType: str = ""
    labelList: str = ""
    note: str = ""
    listingStatus: str = ""
    pictureUrl: str = ""
    siteListingUrl: str = ""


class Activity(_Part):
    """The body of a POST of an activity."""

    type: Literal["Search", "Browse", "Favorite", "Request", "Submission"]
    text: str
    link: str
    picture: str
    created: Int64
    listing: Listing = Listing()
    scheduledDate: str = ""
    pageName: str = ""


REQUIRED_STRINGS = ("text", "link", "picture")
WRITE_ONLY = frozenset({"priceMax", "priceMin"})
LISTING_NUMBERS = tuple(
    name for name, item in Listing.model_fields.items() if item.annotation in (int, float) and name not in WRITE_ONLY
)


def read_activity(
    raw: bytes,
    *,
    accepts_empty_strings: bool,
    max_text_length: int | None,
    never_empty: Container[str] = (),
    refusals: Mapping[AnswerField, AnswerForm] = MappingProxyType({}),
) -> Body:
    """
    Read the body of a POST of an activity, as it was sent.

    :param raw: The body.
    :param accepts_empty_strings: Whether the required strings may be empty.
    :param max_text_length: The longest string accepted, in characters.
    :param never_empty: Required strings that may not be empty, whatever is true of the others.
    :param refusals: How an empty string and a longer one are refused, where that is known.
    :raises Refused: It breaks the specification; the note names each field that does.
    """
    try:
        body: Body = from_json(raw, allow_inf_nan=False)
        Activity.model_validate(body)
    except ValidationError as error:
        raise invalid("; ".join(_problems(error))) from None
    except ValueError as error:
        raise invalid(f"body is not JSON: {error}") from None
    empty = [name for name in REQUIRED_STRINGS if not body[name] and (not accepts_empty_strings or name in never_empty)]
    if empty:
        raise invalid(f"empty: {', '.join(empty)}").in_form(refusals.get("empty_refusal"))
    if max_text_length is not None and (name := _too_long(body, max_text_length)):
        note = f"{name}: longer than {max_text_length} characters"
        raise Refused(400, 20043, "PARAMETER_TOO_LONG", note).in_form(refusals.get("long_refusal"))
    return body


def _problems(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        yield f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}"


def _too_long(body: Body, longest: int) -> str:
    """Name a string that is longer; empty where none is."""
    found = (*body.items(), *body.get("listing", {}).items())
    return next((name for name, value in found if isinstance(value, str) and len(value) > longest), "")


def check_content_type(headers: dict[str, str]) -> None:
    """
    Check that a request says it is JSON.

    :raises Refused: It does not.
    """
    sent = headers.get("content-type", "")
    if sent.partition(";")[0].strip().lower() != "application/json":
        raise Refused(400, 20001, "CONTENT_TYPE_NOT_VALID", f"Content-Type is {sent or 'missing'}")


def read_int(name: str, text: str, *, least: int = -INT64 - 1, most: int = INT64) -> int:
    """
    Read a whole number from a path or query.

    :raises Refused: It is not one, or lies outside the bounds.
    """
    # Stricter than int(), which also takes "+1", "1_000", " 1 " and digits of other scripts.
    if re.fullmatch(r"-?[0-9]{1,19}", text) and least <= int(text) <= most:
        return int(text)
    raise invalid(f"{name} is {text!r}")
