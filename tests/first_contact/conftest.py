"""What tests of first contact share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_lofty.first_contact.contact import Contact
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.lofty.answers import Answer
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.session import LoftySession
from airflow_provider_lofty.sandbox import Sandbox

LEAD = 4711


CONTACT = "airflow_provider_lofty.first_contact.contact"


@pytest.fixture(autouse=True)
def waits_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for less than a second before a GET is repeated, and for no time until a Reset header has fallen."""
    monkeypatch.setattr(f"{CONTACT}._REPEAT_AFTER_SECONDS", (0.1,))
    monkeypatch.setattr(f"{CONTACT}.RESET_SECONDS", 0.0)


@pytest.fixture
def interrupt_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Give a function that lets Ctrl-C come after so many requests."""
    send = LoftySession.send

    def interrupt(step: int) -> None:
        left = iter(range(step))

        def interrupted(*args: Any, **kwargs: Any) -> Any:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return send(*args, **kwargs)

        monkeypatch.setattr(LoftySession, "send", interrupted)

    return interrupt


class Clock:
    """Time that passes at once when somebody waits."""

    def __init__(self) -> None:
        self.waited = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.waited

    def now(self) -> float:
        return time.time() + self.waited

    def sleep(self, seconds: float) -> None:
        self.waited += max(seconds, 0.0)


Start = Callable[..., tuple[Contact, Clock]]


@pytest.fixture
def start(lofty: Sandbox, connect: Callable[..., None]) -> Start:
    """Give a function that prepares a check at a pace, of a server whose answers take so long."""

    def prepare(requests_per_minute: float, answer_seconds: float = 0.0) -> tuple[Contact, Clock]:
        connect(lofty, extra={"requests_per_minute": requests_per_minute})
        settings, clock = LoftyHook("lofty_default").client.settings, Clock()

        class Slow(LoftyClient):
            def send(self, *args: object, **kwargs: object) -> Answer:
                answer = super().send(*args, **kwargs)  # type: ignore[arg-type]
                clock.sleep(answer_seconds)
                return answer

        client = Slow(lambda: settings, mask=lambda _: None, sleep=clock.sleep, clock=clock, now=clock.now)
        return Contact(client, LEAD, "x1", clock=clock, now=clock.now, sleep=clock.sleep), clock

    return prepare


def check_in(contact: Contact, clock: Clock, *, thought: float = 0.0) -> float:
    """Make the check, and give the seconds that it took without those that somebody thought."""
    begun = clock()
    contact.begin()
    clock.sleep(thought)
    contact.post()
    contact.look_back()
    contact.provoke()
    return clock() - begun - thought
