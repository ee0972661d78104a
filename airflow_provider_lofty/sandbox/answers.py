"""What the sandbox answers, and the five ways in which Lofty writes an error."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from airflow_provider_lofty.profile.profile import AnswerForm, ErrorShape

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One answer.

    :param status: The HTTP status; None drops the connection instead of answering.
    :param body: The body, as bytes.
    :param content_type: The Content-Type header.
    :param note: What people should know about it; never sent.
    :param delay_seconds: How long to wait before answering.
    :param headers: Further headers.
    :param refuses_rate: Whether this is a rate refusal, which says that nothing remains.
    :param interim: The status of an interim answer (1xx) that comes first; None without one.
    :param is_sent_twice: Whether the whole answer comes again, behind itself.
    """

    status: int | None
    body: bytes = b""
    content_type: str = JSON
    note: str = ""
    delay_seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    refuses_rate: bool = False
    interim: int | None = None
    is_sent_twice: bool = False


class Refused(Exception):
    """
    Lofty refuses the request.

    :param status: The HTTP status.
    :param code: Lofty's error code, where it has one.
    :param message: What Lofty says.
    :param note: What Lofty does not say: the field, the header, the reason.
    :param shape: How this one is written; by default as all are.
    """

    def __init__(
        self, status: int, code: int | None, message: str, note: str = "", shape: ErrorShape | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.note = note
        self.shape = shape

    def in_form(self, form: AnswerForm | None) -> Refused:
        """Refuse as an account's Lofty does, if that is known."""
        return self if form is None else Refused(form.status, form.code, self.message, self.note, form.shape)

    def answer(self, usual_shape: ErrorShape) -> Answer:
        """Write the refusal in one of the shapes seen of Lofty, or as a gateway's page."""
        shape, note = self.shape or usual_shape, self.note or self.message
        if shape == "html":
            return Answer(self.status, b"<html><body>Refused</body></html>", HTML, note)
        if shape == "empty":
            return Answer(self.status, b"", TEXT, note)
        if shape == "text":
            return Answer(self.status, self.message.encode(), TEXT, note)
        if shape == "json_string":
            return Answer(self.status, to_json(f"{self.code or ''} {self.message}".strip()), JSON, note)
        body = error_body(self.code, self.message, embedded=shape == "embedded")
        return Answer(self.status, body, JSON, note)


def to_json(value: object) -> bytes:
    """Write a value as compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def error_body(code: int | None, message: str, *, embedded: bool = False) -> bytes:
    """Write an error with its code beside the message, or embedded in it; a 401 has no code."""
    if code is None:
        return to_json({"message": message})
    if embedded:
        return to_json({"message": f"BaseApplicationException:errorCode={code},errorMsg={message}"})
    return to_json({"code": code, "message": message})


def ok(value: object) -> Answer:
    """Answer 200 with JSON."""
    return Answer(200, to_json(value))


def too_many_requests(status: int, note: str) -> Answer:
    """Refuse for the rate limit, with the body of Lofty's rate limit page."""
    return Answer(status, b'{"message":"Too Many Requests"}', note=note, refuses_rate=True)


def no_such_endpoint(method: str, path: str) -> Answer:
    """Answer a path or method that Lofty does not have."""
    return Answer(404, b'{"message":"The requested API endpoint does not exist"}', note=f"no endpoint {method} {path}")


def invalid(note: str) -> Refused:
    """Refuse a parameter; Lofty never says which one, so only the note does."""
    return Refused(400, 20012, "INVALID_PARAMETER", note)


def lead_not_found(lead_id: int) -> Refused:
    """Refuse a lead that does not exist, is in the trash or is not visible to the caller."""
    return Refused(404, 20006, "Lead not exist", f"lead {lead_id} does not exist")
