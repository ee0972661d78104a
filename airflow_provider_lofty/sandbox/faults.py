"""What can go wrong with an activity on its way, drawn by chance or written down beforehand."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_provider_lofty.sandbox.answers import HTML, TEXT, Answer, Refused, error_body, too_many_requests
from airflow_provider_lofty.sandbox.settings import FaultName, SandboxSettings

_BAD_GATEWAY = b"<html><title>502 Bad Gateway</title><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One thing that goes wrong with a POST of an activity that was otherwise in order.

    :param description: What the sender meets, in a line.
    :param stores: Whether the activity is stored all the same.
    :param is_late: Whether it is stored only when the answer is due, by when the sender may have given up.
    :param answer: Makes the faulty answer of the one that was due.
    """

    description: str
    stores: bool
    answer: Callable[[Answer, SandboxSettings], Answer]
    is_late: bool = False


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


FAULTS: Mapping[FaultName, Fault] = {
    "refused": Fault("400 with code 20012; not stored", False, _refuse),
    "rate_limited": Fault("429 within the limit; not stored", False, _rate_limit),
    "error_before_storing": Fault("500 with code 20005; not stored", False, _internal_error),
    "error_after_storing": Fault("500 with code 20005; stored all the same", True, _internal_error),
    "drop_before_storing": Fault("connection dropped without an answer; not stored", False, _drop),
    "drop_after_storing": Fault("connection dropped without an answer; stored", True, _drop),
    "slow": Fault("the ordinary answer, after slow_seconds; stored at once", True, _slow),
    "stall": Fault("the ordinary answer, after slow_seconds; stored only then", True, _slow, is_late=True),
    "html_502": Fault("502 with a gateway's HTML page; not stored", False, _bad_gateway),
    "html_502_after_storing": Fault("502 with a gateway's HTML page; stored", True, _bad_gateway),
    "empty_200": Fault("200 with an empty body; stored", True, _empty),
    "error_in_200": Fault("200 whose body is an error with code 20005; not stored", False, _error_in_200),
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
