"""
A profile: what one account's Lofty was seen to do, as a JSON object without personal data.

What is null was not seen. It is bound to the host and the account that it was learned from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from airflow_provider_lofty.profile.changes import OF_CREATED, OF_TEXTS

PROFILE_FORMAT = 1

AnswerKind = Literal["add_activity", "list_activities", "get_lead", "get_me", "error", "rate_refusal"]
HeaderForm = Literal["token", "Bearer"]
ResetReading = Literal["milliseconds_left", "seconds_left", "epoch_seconds", "epoch_milliseconds", "nonsense"]
ListOrder = Literal["newest_created", "oldest_created", "newest_posted", "oldest_posted", "mixed"]
AnswerField = Literal[
    "owner", "reading", "missing_lead", "wrong_key", "empty_refusal", "long_refusal", "repeat_refusal"
]
ErrorShape = Literal["code", "embedded", "json_string", "text", "empty", "html"]

_LONGEST_TEXT = 300
_Seconds = Annotated[float, Meta(ge=0, le=86_400)]
_Pace = Annotated[float, Meta(ge=0.01, le=10**6)]
_Count = Annotated[int, Meta(ge=1, le=1000)]
_Url = Annotated[str, Meta(min_length=1, max_length=_LONGEST_TEXT)]
_Id = Annotated[int, Meta(ge=0, le=2**63 - 1)] | Annotated[str, Meta(min_length=1, max_length=40)]
_TextChange = Annotated[str, Meta(pattern=f"^({'|'.join(OF_TEXTS)}|cut_to_[0-9]{{1,6}})$")]
_CreatedChange = Annotated[str, Meta(pattern=f"^({'|'.join(OF_CREATED)}|moved_by_-?[0-9]{{1,15}})$")]
_TextChanges = Annotated[list[_TextChange], Meta(max_length=20)]
_CreatedChanges = Annotated[list[_CreatedChange], Meta(max_length=20)]


class AnswerForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    How a question is answered.

    :param status: the HTTP status
    :param code: Lofty's error code, where it gives one
    :param shape: how the error is written; None where it is no error
    """

    status: Annotated[int, Meta(ge=100, le=599)]
    code: Annotated[int, Meta(ge=-(10**9), le=10**9)] | None = None
    shape: ErrorShape | None = None

    @property
    def is_error(self) -> bool:
        """Whether it refuses what was asked for."""
        return self.status >= 400 or self.shape is not None


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What an account's Lofty does; None is what was not seen.

    :param format: :data:`PROFILE_FORMAT`
    :param base_url: the host that it was learned from
    :param account_id: ``id`` in ``GET /v1.0/me``: a number that names nobody outside Lofty; None where it is hidden
    :param header_form: what stands before the key or token that was accepted
    :param settle_seconds: what settle_seconds should at least be
    :param requests_per_minute: the limit that answers to posts state, where a run begins
    :param read_requests_per_minute: the limit that answers to reading activities state
    :param rate_headers: kind of answer → whether it has the rate headers
    :param reset_unit: what X-RateLimit-Reset means
    :param owner: the answer to ``GET /v1.0/me``
    :param reading: the answer to reading a lead's activities
    :param missing_lead: the answer for a lead that does not exist
    :param wrong_key: the answer to a key with one letter changed
    :param empty_strings: whether link and picture may be empty
    :param empty_refusal: the answer to a post in which they are, if they may not be
    :param long_text: whether a text of 2 000 characters is accepted
    :param long_refusal: the answer to one, if it is not
    :param type_shown: how ``type`` is changed when it is read back; an empty list: not at all
    :param created_shown: the same of ``created``
    :param text_shown: the same of ``text``
    :param link_shown: the same of ``link``
    :param least_lag_seconds: for so long at least something that was posted was not shown
    :param most_lag_seconds: after so long all that was posted was shown; None where that was not seen
    :param order: of a lead's activities
    :param page_size: entries on a page of a lead's activities
    :param first_page: the number of the first page
    :param ignores_page: whether every page of a lead's activities is the first one
    :param equal_posts: how often an activity is shown that was posted twice
    :param repeat_refusal: the answer to an activity that was accepted just before, if that refuses it
    """

    format: Literal[1] = 1
    base_url: _Url
    account_id: _Id | None
    header_form: HeaderForm | None = None
    settle_seconds: _Seconds | None = None
    requests_per_minute: _Pace | None = None
    read_requests_per_minute: _Pace | None = None
    rate_headers: dict[AnswerKind, bool] = {}
    reset_unit: ResetReading | None = None
    owner: AnswerForm | None = None
    reading: AnswerForm | None = None
    missing_lead: AnswerForm | None = None
    wrong_key: AnswerForm | None = None
    empty_strings: bool | None = None
    empty_refusal: AnswerForm | None = None
    long_text: bool | None = None
    long_refusal: AnswerForm | None = None
    type_shown: _TextChanges | None = None
    created_shown: _CreatedChanges | None = None
    text_shown: _TextChanges | None = None
    link_shown: _TextChanges | None = None
    least_lag_seconds: _Seconds | None = None
    most_lag_seconds: _Seconds | None = None
    order: ListOrder | None = None
    page_size: _Count | None = None
    first_page: Literal[0, 1] | None = None
    ignores_page: bool | None = None
    equal_posts: _Count | None = None
    repeat_refusal: AnswerForm | None = None

    def is_of(self, account_id: object) -> bool:
        """Whether this is the account; Lofty has made text of other ids that were numbers."""
        return self.account_id is None or str(self.account_id) == str(account_id)

    def shown(self, name: str) -> list[str] | None:
        """By which changes a field is shown; None where that was not seen."""
        found: list[str] | None = getattr(self, f"{name}_shown")
        return found

    def as_json(self) -> str:
        """Write it for people and programs."""
        return json.dumps(msgspec.to_builtins(self), indent=2) + "\n"


FIELDS = Profile.__struct_fields__
SHOWN = ("type", "created", "text", "link")
ANSWERS: tuple[str, ...] = get_args(AnswerField)
_HINTS = get_type_hints(Profile, include_extras=True)
_EXPECTED = {
    **{
        name: f"null or one of {', '.join(get_args(choices))}"
        for name, choices in (("header_form", HeaderForm), ("reset_unit", ResetReading), ("order", ListOrder))
    },
    **dict.fromkeys(ANSWERS, "null or an object of status, code and shape"),
    **{f"{name}_shown": "null or a list of changes by name" for name in SHOWN},
    "first_page": "null, 0 or 1",
    "rate_headers": f"an object of true and false by {', '.join(get_args(AnswerKind))}",
}


def profile_in(given: object) -> Profile:
    """
    Read a profile.

    :param given: the JSON object, or its text
    :raises ValueError: naming the field and what is wrong with it, never its value
    """
    if isinstance(given, str | bytes):
        given = _json_in(given)
    if not isinstance(given, Mapping):
        raise ValueError("profile must be the JSON object that first contact writes")
    if given.get("format") != PROFILE_FORMAT or isinstance(given["format"], bool):
        raise ValueError(f"profile has another format than {PROFILE_FORMAT}: make a new one with first contact")
    for name in given:
        if name not in FIELDS:
            raise ValueError(f"profile has a field {str(name)[:40]!r}, which none has")
    for name in ("base_url", "account_id"):
        if name not in given:
            raise ValueError(f"profile lacks {name}")
    return Profile(**{name: _checked(name, value) for name, value in given.items()})


def readable(profile: Profile) -> Profile:
    """
    Give a profile as its reader takes it: what none can hold becomes None, as what was not seen.

    :raises ValueError: what it is bound to is out of range
    """
    found = msgspec.to_builtins(profile)
    return profile_in({name: value for name, value in found.items() if is_possible(name, value)})


def is_possible(name: str, value: object) -> bool:
    """Whether a profile can hold this value in that field."""
    try:
        _checked(name, value)
    except ValueError:
        return False
    return True


def _json_in(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("profile is not JSON") from None


def _checked(name: str, value: object) -> Any:
    try:
        return msgspec.convert(value, _HINTS[name])
    except (msgspec.ValidationError, RecursionError) as error:
        # Where choices are compared, the library's own words quote the value.
        wrong = f" must be {_EXPECTED[name]}" if name in _EXPECTED else f": {error}"
        raise ValueError(f"profile: {name}{wrong}") from None
