"""Desks for the tests of the rooms of a delivery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.desk import Desk, MakeDesk


@pytest.fixture
def make_desk() -> Iterator[MakeDesk]:
    """Give a function that makes a :class:`Desk` with the rows of these leads waiting."""
    made: list[Desk] = []

    def make_desk(*leads: int, **settings: Any) -> Desk:
        made.append(Desk(*leads, **settings))
        return made[-1]

    yield make_desk
    for desk in made:
        desk.spool.close()
