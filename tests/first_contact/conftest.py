"""What tests of first contact share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_lofty.lofty.session import LoftySession


@pytest.fixture(autouse=True)
def repeats_come_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for less than a second before a GET is repeated."""
    monkeypatch.setattr("airflow_provider_lofty.first_contact.contact._REPEAT_AFTER_SECONDS", (0.1,))


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
