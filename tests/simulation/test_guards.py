"""Small worlds that go well because of one rule each; seeds meet them too rarely to be a guard."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simulation.directed import FILLER, LOST, NORMAL, SWALLOWED, cousin, row, task, twin, unsettled, world
from simulation.invariants import violations
from simulation.lofty import Fate, LoftySettings, Move
from simulation.worlds import Row, Strike, Task, World, play

WORLDS = {
    "a twin waits for a row in doubt, whose entry it would claim": world(
        task(row(0, 100), *FILLER, twin(1, row(0, 100)), is_keyed=True),
        script=(LOST,),
        lofty=LoftySettings(constant_lag=18.0, limit=20),
    ),
    "a row that is not stored goes again, once its control is seen": world(
        task(row(0, 100), *FILLER), script=(SWALLOWED,), lofty=LoftySettings(constant_lag=18.0)
    ),
    "what is stored without an answer is found": world(task(row(0, 100), *FILLER), script=(LOST,)),
    "what is stored a little later than its answer is found": world(
        task(row(0, 100), *FILLER), script=(Fate("late", late=5.0, answer=None),)
    ),
}


WITHIN_RULES = {
    "a request does not begin long after its intent": world(
        task(row(0, 100), *FILLER, journal="sql", strikes=(Strike("freeze", 1, 100.0, 1.0, noted="connects"),))
    ),
    "what is on its way at a stop is in doubt": world(
        task(*FILLER, row(0, 100), strikes=(Strike("term", 4, noted="POST leaves"),), retries=0),
        script=(NORMAL, NORMAL, NORMAL, LOST),
    ),
    "what a report calls unknown is read back": world(
        task(row(0, 100), after=("feed",)),
        script=(LOST,),
        lofty=LoftySettings(constant_lag=30.0),
    ),
}


@pytest.mark.parametrize("world", WITHIN_RULES.values(), ids=WITHIN_RULES)
def test_nothing_is_lost_twice_or_unsaid(world: World) -> None:
    ending = play(world)
    assert violations(ending) == [], "\n".join(ending.history.lines())


def people(*moves: Move, crowd: int = 120, **faults: Any) -> LoftySettings:
    """A Lofty where somebody has each address; a list of all leads has two pages or more."""
    known = tuple((f"p{n}@example.com", 100 + n) for n in range(3))
    return LoftySettings(people=known, crowd=crowd, moves=moves, **faults)


PEOPLE = tuple(row(n, 100 + n, person=f"p{n}@example.com") for n in range(3))
MERGED = Move(2.5, "merged", "p0@example.com", 700)
MATCHED = {
    "a row that was sent to a lead is not sent to the one that this became a part of": world(
        task(*PEOPLE, *FILLER, strikes=(Strike("kill", 1, noted="POST leaves"),), retry_delay=20.0),
        script=(SWALLOWED,), lofty=people(MERGED),
    ),
    "a row in doubt is sought at the lead that it was sent to": world(
        task(*PEOPLE, *FILLER, strikes=(Strike("kill", 1, noted="POST leaves"),), retry_delay=20.0),
        script=(LOST,), lofty=people(Move(2.5, "moves", "p0@example.com", 700)),
    ),
    "what was delivered to a person is delivered, whoever has the address now": world(
        task(*PEOPLE, *FILLER, after=("clear",), retry_delay=30.0),
        lofty=people(Move(20.0, "moves", "p0@example.com", 700), Move(20.0, "goes", "p1@example.com", 0),
                     Move(20.0, "shared", "p2@example.com", 700)),
    ),
    "a list that is broken off in the middle has told nothing": world(
        task(*PEOPLE, *FILLER, strikes=(Strike("kill", 2, noted="GET leaves"), Strike("term", 2, noted="GET leaves"))),
        lofty=people(unreadable=0.5, until=60.0, crowd=250),
    ),
    "another run's claim of a person is waited for, whoever has the address now": world(
        task(*PEOPLE, *FILLER, journal="sql"),
        replace(task(*PEOPLE, journal="sql"), name="u", starts=3.0),
        script=(LOST, LOST), lofty=people(Move(2.5, "moves", "p0@example.com", 700), constant_lag=18.0, limit=20),
    ),
}  # fmt: skip


@pytest.mark.parametrize("world", MATCHED.values(), ids=MATCHED)
def test_rows_of_people_are_delivered_whatever_becomes_of_their_leads(world: World) -> None:
    ending = play(world)
    assert violations(ending) + unsettled(ending) == [], "\n".join(ending.history.lines())


@pytest.mark.parametrize(
    ("on_unknown", "moved"), [("verify", "unknown"), ("report", "unknown"), ("resend", "delivered")]
)
def test_a_person_whose_lead_was_deleted_from_the_journal_is_sent_nothing_unless_the_author_says_so(
    on_unknown: str, moved: str
) -> None:
    task_of_people = task(*PEOPLE, *FILLER, journal="sql", after=("clear",), retry_delay=30.0, on_unknown=on_unknown)
    moves = people(Move(20.0, "moves", "p0@example.com", 700))
    ending = play(world(task_of_people, purges_at=15.0, lofty=moves))
    assert violations(ending) == [], "\n".join(ending.history.lines())
    assert ending.lives[0].last_word is not None
    said = {row["key"]: row["lofty_outcome"] for row in ending.lives[0].last_word.outcomes}
    assert said == {"k0": moved, **dict.fromkeys(("k1", "k2", "k6", "k7", "k8"), "already_delivered")}


ALTERED = ("created in seconds", "created an hour off", "text escaped")


@pytest.mark.parametrize("how", ALTERED)
def test_what_one_lead_shows_altered_is_not_sent_again(how: str) -> None:
    ending = play(world(task(row(0, 100), *FILLER), script=(LOST,), lofty=LoftySettings(alters=((100, how),))))
    assert violations(ending) == [], "\n".join(ending.history.lines())


KINDS = ("Browse", "Browse", "Favorite", "Favorite", "Search", "Search")


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("noted", ["POST leaves", "commits"])
def test_a_try_that_dies_with_its_canary_costs_no_row(noted: str, step: int) -> None:
    rows = (row(n, 100 + n // 2, type=kind) for n, kind in enumerate(KINDS))
    strikes = (Strike("kill", 2, noted="POST leaves"), Strike("kill", step, noted=noted))
    ending = play(world(task(*rows, journal="none", strikes=strikes), lofty=LoftySettings(lag=3.0)))
    assert violations(ending) + unsettled(ending) == [], "\n".join(ending.history.lines())


@pytest.mark.parametrize("lost", [1, 2])
def test_a_canary_that_is_lost_costs_no_row(lost: int) -> None:
    rows = (row(n, 100 + n) for n in range(6))
    strikes = (Strike("kill", 2, noted="POST leaves"),)
    ending = play(world(task(*rows, journal="none", strikes=strikes), script=(NORMAL, SWALLOWED, *[SWALLOWED] * lost)))
    assert violations(ending) + unsettled(ending) == [], "\n".join(ending.history.lines())


def test_a_doubt_that_nothing_can_settle_yet_costs_no_readings() -> None:
    rows = (row(0, 100, type="Favorite"), *(row(n, 100) for n in range(1, 150)))
    ending = play(world(task(*rows), script=(SWALLOWED,), lofty=LoftySettings(limit=None)))
    assert violations(ending) == [], "\n".join(ending.history.lines())
    assert ending.lofty.reads <= 4


MANY = range(100, 104)


@pytest.mark.parametrize(
    ("rows", "script", "limit", "entries", "reads"),
    [
        ((row(0, 100), row(1, 100), *FILLER), (SWALLOWED,), 6, 150, 9),
        (
            (*FILLER, *(row(10 + n, lead_id) for n, lead_id in enumerate((*MANY, *MANY)))), (*[NORMAL] * 3, *[SWALLOWED] * 4),
            12, 250, 40,
        ),
    ],
    ids=["one lead", "several leads"],
)  # fmt: skip
def test_a_row_has_its_turn_between_two_readings_of_many_pages(
    rows: tuple[Row, ...], script: tuple[Fate, ...], limit: int, entries: int, reads: int
) -> None:
    """At so slow a pace one reading takes longer than the pause before the next."""
    lofty = LoftySettings(limit=limit, newer=tuple((lead_id, entries) for lead_id in MANY))
    ending = play(world(task(*rows), script=script, max_in_flight=8, lofty=lofty))
    assert violations(ending) + unsettled(ending) == [], "\n".join(ending.history.lines())
    assert ending.lofty.reads <= reads


A = row(0, 100)
B = cousin(1, A, 101)
C = cousin(2, A, 102)
CALLED = Strike("kill", 3, noted="POST leaves")
JOURNALS = {"state": {}, "shared": {"journal": "sql", "is_keyed": True}}
MERGED = {
    "the lost one comes first": (task(A, B, *FILLER), (SWALLOWED,)),
    "the lost one comes last": (task(B, A, *FILLER), (NORMAL, SWALLOWED)),
    "both are lost, and one is stored": (task(A, B, *FILLER), (SWALLOWED, LOST)),
    "its lead has more": (task(A, B, row(3, 100), *FILLER), (SWALLOWED,)),
    "an earlier try sent the other": (task(B, row(3, 103), A, *FILLER, strikes=(CALLED,)), (NORMAL, NORMAL, SWALLOWED)),
    "nobody knows what was sent": (
        task(B, row(3, 103), A, *FILLER, journal="none", strikes=(CALLED,)),
        (NORMAL, NORMAL, SWALLOWED),
    ),
    "its report is fed back": (task(B, A, after=("feed",)), (NORMAL, SWALLOWED)),
    "three leads are one": (task(C, A, B, *FILLER), (NORMAL, SWALLOWED)),
}


@pytest.mark.once
@pytest.mark.parametrize("merged", [((100, 101),), ((101, 100),), ((100, 101), (101, 102))])
@pytest.mark.parametrize(("tasks", "script"), MERGED.values(), ids=MERGED)
@pytest.mark.parametrize("journal", JOURNALS.values(), ids=JOURNALS)
def test_an_entry_of_one_lead_is_not_taken_for_the_same_of_a_lead_that_was_merged_with_it(
    merged: tuple[tuple[int, int], ...], tasks: Task, script: tuple[Fate, ...], journal: dict[str, Any]
) -> None:
    tasks = tasks if tasks.journal == "none" else replace(tasks, **journal)
    for names_leads in (True, False):
        lofty = LoftySettings(merged=merged, names_leads=names_leads)
        ending = play(world(tasks, script=script, lofty=lofty))
        assert violations(ending) == [], "\n".join(ending.history.lines())


@pytest.mark.once
@pytest.mark.parametrize("into", [{100: 101}, {101: 100}, {100: 900, 101: 900}])
@pytest.mark.parametrize(("tasks", "script"), MERGED.values(), ids=MERGED)
@pytest.mark.parametrize("journal", JOURNALS.values(), ids=JOURNALS)
def test_nor_is_one_of_a_lead_that_was_merged_with_it_after_lofty_had_answered(
    into: dict[int, int], tasks: Task, script: tuple[Fate, ...], journal: dict[str, Any]
) -> None:
    tasks = tasks if tasks.journal == "none" else replace(tasks, **journal)
    merges = tuple((3.0, lead_id, other) for lead_id, other in into.items())
    for names_leads in (True, False):
        ending = play(world(tasks, script=script, lofty=LoftySettings(merges=merges, names_leads=names_leads)))
        assert violations(ending) == [], "\n".join(ending.history.lines())


@pytest.mark.parametrize("names_leads", [True, False])
@pytest.mark.parametrize("at", [0.0, 22.0])
@pytest.mark.parametrize("merged", [(100, 101), (101, 100)])
def test_nor_is_one_that_another_run_sent(merged: tuple[int, int], at: float, names_leads: bool) -> None:
    other = replace(task(B, row(3, 101), journal="sql"), name="u")
    lofty = LoftySettings(merges=((at, *merged),), names_leads=names_leads)
    late = replace(task(A, *FILLER, journal="sql"), starts=20.0)
    ending = play(world(other, late, script=(NORMAL, NORMAL, SWALLOWED), lofty=lofty))
    assert violations(ending) == [], "\n".join(ending.history.lines())


@pytest.mark.parametrize("fate", [LOST, SWALLOWED])
@pytest.mark.parametrize("merges", [((0.0, 100, 101),), ((3.0, 100, 101),), ((3.0, 101, 100),), ()])
def test_where_lofty_says_which_lead_it_is_such_a_row_is_settled(
    merges: tuple[tuple[float, int, int], ...], fate: Fate
) -> None:
    ending = play(world(task(B, A, *FILLER), script=(NORMAL, fate), lofty=LoftySettings(merges=merges)))
    assert violations(ending) + unsettled(ending) == [], "\n".join(ending.history.lines())


@pytest.mark.parametrize(("others", "reads"), [(1, 3), (5, 7), (25, 2)])
def test_whom_lofty_is_asked_about_is_bounded(others: int, reads: int) -> None:
    cousins = (cousin(10 + n, A, 200 + n) for n in range(others))
    ending = play(world(task(*cousins, A, *FILLER), script=(*[NORMAL] * others, LOST)))
    assert violations(ending) + unsettled(ending) == [], "\n".join(ending.history.lines())
    assert ending.lofty.reads == reads


D = row(5, 101)
LATE = {
    "the same of a merged lead": world(
        task(A, row(3, 100), row(4, 101), B, *FILLER), script=(LOST,),
        lofty=LoftySettings(merged=((101, 100),), slow_leads=((101, 45.0),)),
    ),
    **{f"the control, whose like lead {into} shows": world(
        task(D, row(3, 100), cousin(1, D, 100), *FILLER), script=(NORMAL, LOST),
        lofty=LoftySettings(merges=((20.0, lead_id, into),), slow_leads=((100, 45.0),)),
    ) for lead_id, into in ((101, 100), (100, 101))},
}  # fmt: skip


@pytest.mark.parametrize("world", LATE.values(), ids=LATE)
def test_what_is_shown_of_merged_leads_does_not_hide_what_is_shown_late(world: World) -> None:
    ending = play(world)
    assert violations(ending) == [], "\n".join(ending.history.lines())


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_every_row_is_there_once_and_called_so(world: World) -> None:
    ending = play(world)
    assert violations(ending) + unsettled(ending) == [], "\n".join(ending.history.lines())
