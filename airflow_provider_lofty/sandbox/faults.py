"""What can go wrong with an activity on its way, drawn by chance or written down beforehand."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from airflow_provider_lofty.sandbox.answers import (
    HTML,
    TEXT,
    Answer,
    Refused,
    error_body,
    ok,
    too_many_requests,
)
from airflow_provider_lofty.sandbox.settings import FaultName, SandboxSettings

_BAD_GATEWAY = b"<html><title>502 Bad Gateway</title><body><h1>502 Bad Gateway</h1></body></html>"
_GATEWAY_TIMEOUT = _BAD_GATEWAY.replace(b"502 Bad Gateway", b"504 Gateway Time-out")


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One thing that goes wrong with a POST of an activity that was otherwise in order.

    :param description: What the sender meets, in a line.
    :param stores: Whether the activity is stored all the same.
    :param answer: Makes the faulty answer of the one that was due.
    :param late: Which setting says how many seconds later it is stored, by when the sender may have given up.
    """

    description: str
    stores: bool
    answer: Callable[[Answer, SandboxSettings], Answer]
    late: Literal["slow_seconds", "late_seconds"] | None = None

    def seconds_late(self, settings: SandboxSettings) -> float:
        """How long after its request the activity is stored."""
        seconds: float = getattr(settings, self.late) if self.late else 0.0
        return seconds


def _refuse(due: Answer, settings: SandboxSettings) -> Answer:
    return Refused(400, 20012, "INVALID_PARAMETER").answer(settings.error_shape)


def _rate_limit(due: Answer, settings: SandboxSettings) -> Answer:
    return too_many_requests(settings.rate_refusal_status, "rate refused")


def _internal_error(due: Answer, settings: SandboxSettings) -> Answer:
    return Refused(500, 20005, "INTERNAL_ERROR").answer(settings.error_shape)


def _drop(due: Answer, settings: SandboxSettings) -> Answer:
    return Answer(None, note="connection dropped")


def _slow(due: Answer, settings: SandboxSettings) -> Answer:
    return replace(due, delay_seconds=settings.slow_seconds)


def _bad_gateway(due: Answer, settings: SandboxSettings) -> Answer:
    return Answer(502, _BAD_GATEWAY, HTML)


def _empty(due: Answer, settings: SandboxSettings) -> Answer:
    return replace(due, body=b"", content_type=TEXT)


def _error_in_200(due: Answer, settings: SandboxSettings) -> Answer:
    return Answer(200, error_body(20005, "INTERNAL_ERROR"))


def _error_beside_lead_id(due: Answer, settings: SandboxSettings) -> Answer:
    return ok({"code": 20012, "message": "INVALID_PARAMETER", **json.loads(due.body)})


def _lead_id_zero(due: Answer, settings: SandboxSettings) -> Answer:
    return ok({"leadId": 0})


def _interim_102(due: Answer, settings: SandboxSettings) -> Answer:
    return replace(due, interim=102)


def _interim_103(due: Answer, settings: SandboxSettings) -> Answer:
    return replace(due, interim=103)


def _answer_twice(due: Answer, settings: SandboxSettings) -> Answer:
    return replace(due, is_sent_twice=True)


def _gateway_timeout(due: Answer, settings: SandboxSettings) -> Answer:
    return Answer(504, _GATEWAY_TIMEOUT, HTML)


FAULTS: Mapping[FaultName, Fault] = {
    "refused": Fault("400 with code 20012; not stored", False, _refuse),
    "rate_limited": Fault("429 within the limit; not stored", False, _rate_limit),
    "error_before_storing": Fault("500 with code 20005; not stored", False, _internal_error),
    "error_after_storing": Fault("500 with code 20005; stored all the same", True, _internal_error),
    "drop_before_storing": Fault("connection dropped without an answer; not stored", False, _drop),
    "drop_after_storing": Fault("connection dropped without an answer; stored", True, _drop),
    "slow": Fault("the ordinary answer, after slow_seconds; stored at once", True, _slow),
    "stall": Fault("the ordinary answer, after slow_seconds; stored only then", True, _slow, "slow_seconds"),
    "html_502": Fault("502 with a gateway's HTML page; not stored", False, _bad_gateway),
    "html_502_after_storing": Fault("502 with a gateway's HTML page; stored", True, _bad_gateway),
    "empty_200": Fault("200 with an empty body; stored", True, _empty),
    "error_in_200": Fault("200 whose body is an error with code 20005; not stored", False, _error_in_200),
    "error_beside_lead_id": Fault("200 with code 20012 and the lead's id; not stored", False, _error_beside_lead_id),
    "lead_id_zero": Fault("200 with 0 as the lead's id; not stored", False, _lead_id_zero),
    "interim_102": Fault("102 before the ordinary answer; stored", True, _interim_102),
    "interim_103": Fault("103 before the ordinary answer; stored", True, _interim_103),
    "answered_twice": Fault("the ordinary answer, and the same once more behind it; stored once", True, _answer_twice),
    "late_504": Fault("504 with a gateway's page; stored late_seconds later", True, _gateway_timeout, "late_seconds"),
    "late_drop": Fault("connection dropped; stored late_seconds later", True, _drop, "late_seconds"),
}


class Dice:
    """
    Draws at most one fault for a request; the same seed draws the same faults.

    :param seed: The seed.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable is what it must be
        self._drawn = 0

    def draw(self, scripted: Sequence[FaultName | None], rates: Mapping[FaultName, float]) -> FaultName | None:
        """
        Draw the next request's fault.

        :param scripted: The faults of the first requests, in order; None is none.
        :param rates: Fault name → probability, for the requests after those.
        """
        self._drawn += 1
        if self._drawn <= len(scripted):
            return scripted[self._drawn - 1]
        if not rates:
            return None
        at = self._random.random()
        for name, rate in rates.items():
            if at < rate:
                return name
            at -= rate
        return None
