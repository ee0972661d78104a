"""
What an answer means: from (status, headers, body) to one of seven meanings.

Only an answer that can be trusted says "delivered" or "not stored". Whatever else comes back after the request's
first byte has left is *doubt*: Lofty may have stored the activity, and no key exists by which a second request
would be recognised.

Sources: Lofty's pages "Rate limits" and "Authentication", and the answers that Lofty's OpenAPI document declares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

JsonObject = dict[str, Any]  # of Lofty, as it came: its fields are not promised

LEAD_NOT_FOUND = 20006
PERMISSION_MISSING = 200100
CREDENTIAL_CODES = frozenset((200058, 20004))
KEY_AS_BEARER = 200058

_SUCCESS_CODES = frozenset((None, 0, 200))
_ROW_CODES = frozenset((20001, 20012, 20017, 20042, 20043, 200057))  # about this request, whatever it echoes
_GATEWAY_STATUSES = frozenset((408, 499, 502, 503, 504))
_MAYBE_STORED_STATUSES = frozenset((408, 409, 425, 499))
_RATE_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
_EMBEDDED = re.compile(r"errorCode\s*=\s*(\d+)(?:\s*,\s*errorMsg\s*=\s*(.*))?", re.DOTALL)
_RATE_WORDS = re.compile(r"too many requests|rate limit|request limit", re.IGNORECASE)
_ENDPOINT_WORDS = re.compile(r"endpoint does not exist", re.IGNORECASE)
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


@dataclass(frozen=True)
class Answer:
    """
    What came back for one request.

    :param status: HTTP status; None when no answer came
    :param headers: names in lower case
    :param body: as it came, at most 4 MiB
    :param sent: whether the request's first byte had left
    :param failure: when no answer came: the kind of failure, such as ``ReadTimeout``
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    sent: bool = True
    failure: str = ""

    @cached_property
    def json(self) -> object:
        """The body as JSON; None when it is not JSON."""
        try:
            return json.loads(self.body)
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
        if isinstance(self.json, dict):
            return _of_object(self.json)
        if isinstance(self.json, list):  # data, whose texts may contain anything
            return None, "a JSON array"
        return _of_text(self.json if isinstance(self.json, str) else self.body.decode("utf-8", "replace"))

    @property
    def lead_id(self) -> int | None:
        """The lead's id of a success body."""
        found = self.json.get("leadId") if isinstance(self.json, dict) else None
        return found if type(found) is int else None

    @cached_property
    def verdict(self) -> Verdict:
        """What it means as the answer to ``POST /v1.0/leads/{leadId}/activity``."""
        return _verdict_on(self)


def _of_object(body: JsonObject) -> tuple[int | None, str]:
    code = body.get("code")
    messages = (body.get("message"), body.get("error"))
    embedded, text = _of_text(next((message for message in messages if isinstance(message, str)), ""))
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code[:_MOST_CODE_DIGITS])
    return (code if type(code) is int and abs(code) < 10**_MOST_CODE_DIGITS else embedded), text


def _of_text(text: str) -> tuple[int | None, str]:
    text = text.encode("utf-8", "replace").decode()  # JSON may hold half a character
    embedded = _EMBEDDED.search(text)
    if embedded:
        return int(embedded[1][:_MOST_CODE_DIGITS]), (embedded[2] or "").strip()[:_MESSAGE_LENGTH]
    return None, text.strip()[:_MESSAGE_LENGTH]


@dataclass(frozen=True)
class Verdict:
    """
    The meaning of one answer to a POST.

    :param lead_id: when delivered: the id Lofty answered with
    :param message: Lofty's own words, or what was wrong with the answer
    :param was_handled: of a doubt: Lofty's own answer shows that it was done with this very request
    """

    meaning: Meaning
    status: int | None = None
    code: int | None = None
    message: str = ""
    lead_id: int | None = None
    was_handled: bool = False


def _is_rate_refusal(answer: Answer) -> bool:
    says_so = _RATE_WORDS.search(answer.error[1]) is not None and not answer.is_html
    if answer.status == 429:
        return says_so or any(name in answer.headers for name in _RATE_HEADERS)
    return answer.status == 400 and says_so and answer.error[0] not in _ROW_CODES


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
        or (status == 404 and _ENDPOINT_WORDS.search(message) is not None)
    )


def _is_refusal(answer: Answer) -> bool:
    """An answer that says "no": a known error body inside a 200, or any 4xx that speaks of this request."""
    status = answer.status or 0
    if status == 200:
        return answer.lead_id is None and answer.error[0] not in _SUCCESS_CODES
    return 400 <= status < 500 and status not in _MAYBE_STORED_STATUSES and status != 429


# Read from the top; the first line that fits decides.
_TABLE: tuple[tuple[Callable[[Answer], bool], Meaning], ...] = (
    (lambda answer: not answer.sent, Meaning.NEVER_SENT),
    (lambda answer: answer.status is None, Meaning.DOUBT),
    (lambda answer: answer.status == 200 and answer.lead_id is not None, Meaning.DELIVERED),
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
    code, message = answer.error
    if answer.status is None:
        message = f"no answer: {answer.failure}"
    elif meaning is Meaning.DOUBT and answer.status < 300:
        message = "an answer without the lead's id"
    return Verdict(meaning, answer.status, code, message, was_handled=_was_handled(answer))


def _was_handled(answer: Answer) -> bool:
    """Whether Lofty itself answers, not a gateway before it that may have given up waiting."""
    is_lofty = isinstance(answer.json, dict) and (answer.error[0] is not None or "leadId" in answer.json)
    return is_lofty and answer.status not in _GATEWAY_STATUSES


def names_missing_lead(verdict: Verdict) -> bool:
    """Whether Lofty said that the lead does not exist, is in the trash or is not visible to the caller."""
    return verdict.meaning is Meaning.REJECTED and verdict.code == LEAD_NOT_FOUND
