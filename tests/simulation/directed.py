"""What small worlds with a fixed course are made of: the fates of the first POSTs are given, nothing else goes wrong."""

from __future__ import annotations

from typing import Any

from simulation.invariants import STORED
from simulation.lofty import Fate, LoftySettings
from simulation.worlds import Ending, Row, Task, World

LOST = Fate("lost", answer=None)
SWALLOWED = Fate("swallowed", stores=False, answer=None)
NORMAL = Fate()


def row(n: int, lead_id: int, **values: Any) -> Row:
    """A row that looks like no other."""
    usual = {"text": f"home {n}", "link": f"https://homes.example.com/{n}", "created": 86_400.0 * (n + 1)}
    return Row(f"k{n}", lead_id, **{**usual, **values})


def twin(n: int, of: Row) -> Row:
    """A row that only its key tells from another."""
    return row(n, of.lead_id, text=of.text, link=of.link, created=of.created)


def cousin(n: int, of: Row, lead_id: int) -> Row:
    """A row that only its lead, and its key, tell from another."""
    return row(n, lead_id, text=of.text, link=of.link, created=of.created)


FILLER = (row(6, 106), row(7, 107), row(8, 108))  # controls, and what keeps a run going


def task(*rows: Row, **values: Any) -> Task:
    return Task("t", rows, **{"check_existing": "never", **values})


def world(*tasks: Task, script: tuple[Fate, ...] = (), lofty: LoftySettings | None = None, **values: Any) -> World:
    return World(0, tasks, lofty or LoftySettings(), script=script, **{"max_in_flight": 1, **values})


def unsettled(ending: Ending) -> list[str]:
    """Rows that could have been settled, and were not."""
    return [
        f"{life.task.name}: {said['key']} stays {said['lofty_outcome']}"
        for life in ending.lives
        for said in (life.last_word.outcomes if life.last_word else ())
        if said["lofty_outcome"] not in STORED
    ]
