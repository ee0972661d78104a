"""Breaks that are known, each in a world of its own. See ``known``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from simulation.directed import FILLER, LOST, NORMAL, SWALLOWED, row, task, twin, unsettled, world
from simulation.invariants import violations
from simulation.known import KNOWN
from simulation.lofty import ALTERATIONS, CONTRADICTIONS, LoftySettings, contradiction, error
from simulation.processes import EPOCH
from simulation.stores import StoreFaults
from simulation.worlds import Ending, Strike, World, play


def tried_again(ending: Ending) -> list[str]:
    return [one.name for one in ending.tries[1:]]


BLIND = {"journal": "none", "strikes": (Strike("kill", 2, noted="POST leaves"),)}


def worlds() -> Iterator[tuple[str, World, Callable[[Ending], list[str]]]]:
    """Name, world, and what must be empty in the end."""
    refused = LoftySettings(rejected=frozenset(("k0",)))
    yield (
        "duplicates fed back",
        world(task(row(0, 100), row(0, 100), after=("feed", "feed")), lofty=refused),
        violations,
    )
    for said in CONTRADICTIONS:
        yield "contradictions", world(task(row(0, 100)), script=(contradiction(said(100)),)), violations
    yield (
        "interim answers",
        world(task(row(0, 100), row(1, 101)), script=(replace(NORMAL, has_interim=True, seconds=2.5), SWALLOWED)),
        violations,
    )
    yield "page shift", world(
        task(row(0, 100), twin(1, row(0, 100)), is_keyed=True), script=(NORMAL, SWALLOWED),
        lofty=LoftySettings(newer=((100, 99),), shifts=1),
    ), violations  # fmt: skip
    yield "phantom near", world(
        task(*(row(n, 100, text="home") for n in range(6)), *FILLER), script=(*[NORMAL] * 5, SWALLOWED),
        lofty=LoftySettings(newer=((100, 95),), shifts=20),
    ), unsettled  # fmt: skip
    yield "twins across runs", world(
        task(row(0, 100), *FILLER, journal="sql", is_keyed=True),
        replace(task(twin(1, row(0, 100)), journal="sql", is_keyed=True), name="u", starts=17.0),
        script=(LOST,), lofty=LoftySettings(constant_lag=18.0),
    ), violations  # fmt: skip
    yield (
        "slow lead",
        world(task(row(0, 100), *FILLER), script=(LOST,), lofty=LoftySettings(slow_leads=((100, 20.0),))),
        violations,
    )
    yield "late store", world(task(row(0, 100), *FILLER), script=(error(504, stores=True, late=15.0),)), violations
    yield (
        "created as text",
        world(task(row(0, 100), *FILLER), script=(LOST,), lofty=LoftySettings(alters=((100, "created as text"),))),
        violations,
    )
    yield (
        "type altered at one lead",
        world(task(row(0, 100), *FILLER), script=(LOST,), lofty=LoftySettings(alters=((100, "type in lower case"),))),
        violations,
    )
    for how in ALTERATIONS:
        rows = (row(0, 100, text="it's home", link="https://homes.example.com/?a&b"), *FILLER)
        yield (
            "altered without journal",
            world(task(*rows, **BLIND), lofty=LoftySettings(alters=tuple((row.lead_id, how) for row in rows))),
            violations,
        )
    yield (
        "blind and lagging",
        world(task(row(0, 100), *FILLER, **BLIND), lofty=LoftySettings(constant_lag=30.0)),
        violations,
    )
    yield (
        "stopped while blind",
        world(
            task(row(0, 100), *FILLER, **BLIND, retries=1, after=("feed",)),
            lofty=LoftySettings(outages=((1.0, 60.0),)),
        ),
        violations,
    )
    yield (
        "held at a stop",
        world(
            task(row(0, 100), *FILLER, journal="sql"),
            replace(
                task(row(0, 100), row(9, 109), journal="sql", timeout_seconds=10.0, retries=0), name="u", starts=1.0
            ),
            script=(LOST,),
            lofty=LoftySettings(constant_lag=40.0),
        ),
        violations,
    )
    yield (
        "suspended machine",
        world(task(row(0, 100), *FILLER, journal="sql", strikes=(Strike("suspend", 1, 100.0, 1.0, noted="connects"),))),
        violations,
    )
    yield (
        "purged",
        world(task(row(0, 100), *FILLER, journal="sql", retry_delay=10.0, after=("clear",)), purges_at=8.0),
        violations,
    )
    yield "two contents", world(
        task(row(0, 100), journal="sql", is_keyed=True),
        replace(task(row(0, 100, text="another", version="b"), journal="sql", is_keyed=True), name="u"),
    ), violations  # fmt: skip
    yield "remark fed back", world(
        task(row(0, 100), journal="sql", is_keyed=True),
        replace(
            task(row(0, 100, text="another", version="b"), journal="sql", is_keyed=True, after=("feed",)),
            name="u", starts=60.0,
        ),
    ), violations  # fmt: skip
    entry = (("created", round((EPOCH - 9 * 86_400) * 1000)), ("text", "another"), ("link", row(0, 100).link))
    yield (
        "same link",
        world(task(row(0, 100), *FILLER), script=(SWALLOWED,), lofty=LoftySettings(foreign=((100, entry),))),
        unsettled,
    )
    yield "store blip", world(task(row(0, 100), *FILLER), state=StoreFaults(outages=((0.2, 3.0),))), tried_again


@pytest.mark.parametrize(
    ("world", "wrong"),
    [
        pytest.param(
            world, wrong, id=f"{name} {n}",
            marks=pytest.mark.xfail(raises=AssertionError, reason=KNOWN[name]) if name in KNOWN else (),
        )
        for n, (name, world, wrong) in enumerate(worlds())
    ],
)  # fmt: skip
def test_known_break(world: World, wrong: Callable[[Ending], list[str]]) -> None:
    ending = play(world)
    assert wrong(ending) == [], "\n".join(ending.history.lines())


def test_each_known_break_has_a_world() -> None:
    assert {name for name, _, _ in worlds()} >= set(KNOWN)
