"""
What an answer means: from (status, headers, body) to one of seven meanings.

Only an answer that can be trusted says "delivered" or "not stored". Whatever else comes back after the request's
first byte has left is *doubt*: Lofty may have stored the activity, and no key exists by which a second request
would be recognised. So is an answer that says two things, and one that names another lead and may be another request's.

Sources: Lofty's pages "Rate limits" and "Authentication", and the answers that Lofty's OpenAPI document declares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple

JsonObject = dict[str, Any]  # of Lofty, as it came: its fields are not promised

LEAD_NOT_FOUND = 20006
PERMISSION_MISSING = 200100
CREDENTIAL_CODES = frozenset((200058, 20004))
KEY_AS_BEARER = 200058

_SUCCESS_CODES = frozenset((None, 0, 200))
_LARGEST_ID = 2**63 - 1
_LONGEST_INT = 40  # digits; Python itself refuses to read a few thousand of them, and with them the whole body
# Refusals of this very request, also where their text echoes a row that says "too many requests".
_ROW_CODES = frozenset((20001, 20012, 20017, 20042, 20043, 200057))
GATEWAY_STATUSES = frozenset((408, 499, 502, 503, 504))
_MAYBE_STORED_STATUSES = frozenset((408, 409, 425, 499))
_RATE_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
_NAMES_CODE = re.compile(r"errorCode\s*=", re.IGNORECASE)
_EMBEDDED = re.compile(r"errorCode\s*=\s*([0-9]+)(?:\s*,\s*errorMsg\s*=\s*(.*))?", re.DOTALL)
_TOO_MANY = "too many requests"
_NO_ENDPOINT = "endpoint does not exist"
_HTML = re.compile(rb"\s*(<!doctype|<html|<head|<body)", re.IGNORECASE)
_MESSAGE_LENGTH = 200
_MOST_CODE_DIGITS = 9


class Meaning(Enum):
    """What to do with a row after this answer."""

    DELIVERED = "delivered"
    REJECTED = "refused; not stored"
    RATE_LIMITED = "refused for the rate; not stored, is retried"
    CREDENTIAL_REFUSED = "the credential is refused; not stored"
    MISCONFIGURED = "not for this app, host or path; not stored"
    NEVER_SENT = "no byte of the request left; is retried"
    DOUBT = "no trustworthy answer; may be stored"


class Posted(NamedTuple):
    """
    An activity that was posted.

    :param lead_id: the lead in the request's path
    :param body: the activity as it was sent
    :param needs_fresh: whether it goes on a connection of its own, where another lead's id is believed
    """

    lead_id: int
    body: bytes
    needs_fresh: bool = False


@dataclass(frozen=True)
class Answer:
    """
    What came back for one request.

    :param status: HTTP status; None when no answer came
    :param headers: names in lower case
    :param body: as it came, at most 4 MiB
    :param sent: whether the request's first byte had left
    :param failure: when no answer came: the kind of failure, such as ``ReadTimeout``
    :param posted: the activity that the request added; None of any other request
    :param is_reused: whether the connection had carried another request before, whose answer this may be
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    sent: bool = True
    failure: str = ""
    posted: Posted | None = field(default=None, repr=False)
    is_reused: bool = False

    @cached_property
    def json(self) -> object:
        """The body as JSON; None when it is not JSON. A name that is there more than once has a list of its values."""
        try:
            return _DECODER.decode(self.body.decode(json.detect_encoding(self.body), "surrogatepass"))
        except (ValueError, RecursionError):
            return None

    @property
    def is_html(self) -> bool:
        """Whether this is a page for people, and so not from Lofty's API."""
        return _HTML.match(self.body) is not None or "text/html" in self.headers.get("content-type", "").lower()

    @cached_property
    def error(self) -> tuple[int | None, str]:
        """
        Code and message of an error body, in any of the five shapes Lofty uses.

        ``{"code", "message"}`` · a message with ``errorCode=…,errorMsg=…`` inside · a JSON string · text · nothing.
        """
        if self.is_html:
            return None, "an HTML page"
        if isinstance(self.json, list):  # data, whose texts may contain anything
            return None, "a JSON array"
        if isinstance(self.json, dict):
            code, embedded, text = _of_object(self.json)
        else:
            text = self.json if isinstance(self.json, str) else self.body.decode("utf-8", "replace")
            code, (embedded, text) = None, _of_text(text)
        return (embedded if code is None and not self.may_echo("errorcode") else code), text

    def may_echo(self, words: str) -> bool:
        """Whether the row brought these words, in lower case: then they are not Lofty's own."""
        return self.posted is not None and words.encode() in self.posted.body.lower()

    @property
    def _object(self) -> JsonObject:
        return self.json if isinstance(self.json, dict) else {}

    @property
    def lead_id(self) -> int | None:
        """The lead's id of a success body; None where it is missing or cannot be an id."""
        found = self._object.get("leadId")
        return found if type(found) is int and 0 < found <= _LARGEST_ID else None

    @property
    def has_lead_id(self) -> bool:
        """Whether the body has anything as a lead's id, even in JSON that cannot be read."""
        return self._object.get("leadId") is not None or (self.json is None and b"leadId" in self.body)

    @property
    def names_error(self) -> bool:
        """Whether the body, an object, says that something went wrong: beside a lead's id that contradicts it."""
        return any(_ERROR_IN[name](value) for name, value in self._object.items() if name in _ERROR_IN)

    @property
    def is_of_another(self) -> bool:
        """Whether it names another lead: the lead was merged, or this is another request's answer."""
        return self.posted is not None and self.lead_id not in (None, self.posted.lead_id)

    @cached_property
    def verdict(self) -> Verdict:
        """What it means as the answer to ``POST /v1.0/leads/{leadId}/activity``."""
        return _verdict_on(self)


def _object_of(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    all_values: dict[str, list[Any]] = {}
    for name, value in pairs:
        all_values.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in all_values.items()}


def _int_of(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INT else float(digits)


_DECODER = json.JSONDecoder(object_pairs_hook=_object_of, parse_int=_int_of)  # json.loads would make one each time


def _is_no_error_code(value: object) -> bool:
    """Whether it is null, empty, 0 or 200, as a number or as digits."""
    if isinstance(value, str):
        return not value or (_is_digits(value) and value.lstrip("0") in ("", "200"))
    return value is None or value in ([], {}) or (type(value) in (int, float) and value in (0, 200))


def _is_failure(success: object) -> bool:
    return success is not None and success is not True


def _names_code(message: object) -> bool:
    return isinstance(message, str) and _NAMES_CODE.search(message) is not None


# What of an object may say that something went wrong, and when its value does.
_ERROR_IN: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(("code", "errorCode"), lambda value: not _is_no_error_code(value)),
    **dict.fromkeys(("error", "errors", "errorMsg"), bool),
    "success": _is_failure,
    "message": _names_code,
}


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _code_of(digits: str) -> int:
    return int(digits.lstrip("0")[:_MOST_CODE_DIGITS] or "0")


def _of_object(body: JsonObject) -> tuple[int | None, int | None, str]:
    code = body.get("code")
    messages = (body.get("message"), body.get("error"))
    embedded, text = _of_text(next((message for message in messages if isinstance(message, str)), ""))
    if isinstance(code, str) and _is_digits(code):
        code = _code_of(code)
    return (code if type(code) is int and abs(code) < 10**_MOST_CODE_DIGITS else None), embedded, text


def _of_text(text: str) -> tuple[int | None, str]:
    text = text.encode("utf-8", "replace").decode()  # JSON may hold half a character
    embedded = _EMBEDDED.search(text)
    if embedded:
        return _code_of(embedded[1]), (embedded[2] or "").strip()[:_MESSAGE_LENGTH]
    return None, text.strip()[:_MESSAGE_LENGTH]


@dataclass(frozen=True)
class Verdict:
    """
    The meaning of one answer to a POST.

    :param lead_id: when delivered: the id Lofty answered with. In doubt: the id of another lead, where that and only
        that is the reason: the activity may be at either
    :param message: Lofty's own words, or what was wrong with the answer
    :param was_handled: of a doubt: Lofty's own answer shows that it was done with this very request
    """

    meaning: Meaning
    status: int | None = None
    code: int | None = None
    message: str = ""
    lead_id: int | None = None
    was_handled: bool = False


def _is_delivered(answer: Answer) -> bool:
    return _names_a_lead(answer) and not (answer.is_of_another and answer.is_reused)


def _names_a_lead(answer: Answer) -> bool:
    return answer.status == 200 and answer.lead_id is not None and not answer.names_error


def _is_rate_refusal(answer: Answer) -> bool:
    if answer.status == 429:
        return not answer.has_lead_id or any(name in answer.headers for name in _RATE_HEADERS)
    return answer.status == 400 and answer.error[0] not in _ROW_CODES and _says_too_many(answer)


def _says_too_many(answer: Answer) -> bool:
    """Whether these are Lofty's words for it, and all that it says."""
    return answer.error[1].casefold().rstrip(".!") == _TOO_MANY and not answer.may_echo(_TOO_MANY)


def _is_credential_refusal(answer: Answer) -> bool:
    if answer.status == 401:
        return not answer.is_html
    return _is_refusal(answer) and answer.error[0] in CREDENTIAL_CODES


def _is_misconfigured(answer: Answer) -> bool:
    status, (code, message) = answer.status or 0, answer.error
    return (
        300 <= status < 400
        or status == 407
        or (status in (401, 403) and answer.is_html)
        or (_is_refusal(answer) and code == PERMISSION_MISSING)
        or (status == 404 and _NO_ENDPOINT in message.casefold() and not answer.may_echo(_NO_ENDPOINT))
    )


def _is_refusal(answer: Answer) -> bool:
    """An answer that says "no": a known error body inside a 200, or any 4xx that speaks of this request."""
    status = answer.status or 0
    if status == 200:
        return not answer.has_lead_id and answer.error[0] not in _SUCCESS_CODES
    return 400 <= status < 500 and status not in _MAYBE_STORED_STATUSES and status != 429


# Read from the top; the first line that fits decides.
_TABLE: tuple[tuple[Callable[[Answer], bool], Meaning], ...] = (
    (lambda answer: not answer.sent, Meaning.NEVER_SENT),
    (lambda answer: answer.status is None, Meaning.DOUBT),
    (_is_delivered, Meaning.DELIVERED),
    (_is_rate_refusal, Meaning.RATE_LIMITED),
    (_is_credential_refusal, Meaning.CREDENTIAL_REFUSED),
    (_is_misconfigured, Meaning.MISCONFIGURED),
    (_is_refusal, Meaning.REJECTED),
    (lambda answer: True, Meaning.DOUBT),
)


def _verdict_on(answer: Answer) -> Verdict:
    meaning = next(meaning for fits, meaning in _TABLE if fits(answer))
    if meaning is Meaning.DELIVERED:
        return Verdict(meaning, answer.status, lead_id=answer.lead_id)
    if meaning is Meaning.DOUBT and _names_a_lead(answer):
        return Verdict(meaning, answer.status, message=_another_lead(answer), lead_id=answer.lead_id)
    message = _message_of(answer, meaning)
    return Verdict(meaning, answer.status, answer.error[0], message, was_handled=_was_handled(answer))


def _message_of(answer: Answer, meaning: Meaning) -> str:
    if answer.status is None:
        return f"no answer: {answer.failure}"
    if meaning is not Meaning.DOUBT or answer.status >= 300:
        return answer.error[1]
    return (
        "an error beside the lead's id" if answer.lead_id and answer.names_error else "an answer without the lead's id"
    )


def _was_handled(answer: Answer) -> bool:
    """Whether Lofty itself answers, not a gateway before it that may have given up waiting."""
    is_lofty = isinstance(answer.json, dict) and (answer.error[0] is not None or "leadId" in answer.json)
    return is_lofty and answer.status not in GATEWAY_STATUSES


def _another_lead(answer: Answer) -> str:
    asked = answer.posted.lead_id if answer.posted else None
    return f"the id of lead {answer.lead_id} for lead {asked}, on a connection that had other requests before"


def names_missing_lead(verdict: Verdict) -> bool:
    """Whether Lofty said that the lead does not exist, is in the trash or is not visible to the caller."""
    return verdict.meaning is Meaning.REJECTED and verdict.code == LEAD_NOT_FOUND
