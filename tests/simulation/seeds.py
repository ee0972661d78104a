"""How a seed becomes a world. What is known to break (see ``known``) is not drawn."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from simulation.known import KNOWN
from simulation.lofty import ALTERATIONS, LoftySettings, Move
from simulation.stores import StoreFaults
from simulation.worlds import Row, Strike, Task, World, may_be_blind

SETTLE_SECONDS = 6.0
_SAFE_SHARE = 0.85  # of a settle time: what is later than that is another kind of fault
_TYPES = ("Browse", "Favorite", "Search")
_DAY = 86_400.0


def world_of(seed: int) -> World:
    """Draw a world."""
    world = _with_people(_world(seed), Random(f"people of {seed}"))
    return _with_merges(world, Random(f"merges of {seed}"))


def _world(seed: int) -> World:
    rng = Random(seed)
    tasks = _tasks(rng)
    # What somebody deletes is missed by the task that sent it; others that have the same rows cannot know of it.
    may_purge = any(task.journal == "sql" for task in tasks) and not _share_rows(tasks)
    return World(
        seed, tasks, _lofty(rng, tasks), _store_faults(rng), _store_faults(rng), settle_seconds=SETTLE_SECONDS,
        max_in_flight=rng.choice((1, 2, 4, 4, 8)),
        purges_at=rng.uniform(5, 60) if may_purge and _happens(rng, 0.1, "purged") else None,
    )  # fmt: skip


def _with_people(world: World, rng: Random) -> World:
    """Let the source know some people by their addresses, which may go to other leads while the tasks run."""
    if not _happens(rng, 0.3, "people"):
        return world
    leads = sorted({row.lead_id for task in world.tasks for row in task.all_rows if isinstance(row.lead_id, int)})
    people = {lead_id: f"p-{lead_id}@example.com" for lead_id in leads if rng.random() < 0.7}

    def known(rows: tuple[Row, ...]) -> tuple[Row, ...]:
        return tuple(replace(row, person=people.get(row.lead_id, "")) for row in rows)

    tasks = tuple(
        replace(task, rows=known(task.rows), later=None if task.later is None else known(task.later))
        for task in world.tasks
    )
    lofty = replace(
        world.lofty, people=tuple((person, lead_id) for lead_id, person in people.items()),
        crowd=rng.choice((0, 0, 120, 250)), moves=_moves(rng, world, list(people.values())),
    )  # fmt: skip
    return replace(world, tasks=tasks, lofty=lofty)


def _moves(rng: Random, world: World, people: list[str]) -> tuple[Move, ...]:
    # Without a journal nobody knows to which lead a row was sent before.
    if any(map(may_be_blind, world.tasks)):
        return ()
    kinds = ("moves", "shared", "goes", *(("merged",) if not world.lofty.merged else ()))
    return tuple(
        Move(rng.uniform(0, 60), rng.choice(kinds), person, 700 + n)
        for n, person in enumerate(people)
        if rng.random() < 0.4
    )


def _with_merges(world: World, rng: Random) -> World:
    """Let leads become parts of others while the tasks run."""
    leads = sorted({row.lead_id for task in world.tasks for row in task.all_rows if isinstance(row.lead_id, int)})
    if not leads or not _happens(rng, 0.15, "merges"):
        return world
    merges = tuple((rng.uniform(0, 80), rng.choice(leads), rng.choice((*leads, 900))) for _ in range(rng.randint(1, 3)))
    return replace(world, lofty=replace(world.lofty, merges=merges))


def _share_rows(tasks: tuple[Task, ...]) -> bool:
    keys = [key for task in tasks for key in {row.key for row in task.rows}]
    return len(set(keys)) < len(keys)


def _happens(rng: Random, share: float, kind: str = "") -> bool:
    """Whether something is a part of this world; never when it is of a kind that is known to break."""
    return rng.random() < share and kind not in KNOWN


# Rows and tasks


def _tasks(rng: Random) -> tuple[Task, ...]:
    count = rng.choices((1, 2, 3, 4), (50, 30, 12, 8))[0]
    if count == 1 or not _happens(rng, 0.7):
        return tuple(_task(rng, f"t{n}", 200 + 10 * n) for n in range(count))
    is_keyed = _happens(rng, 0.5)
    common = _rows(rng, "s", 100, is_keyed, has_twins=_happens(rng, 0.3, "twins across runs"))
    if "two contents" in KNOWN:
        common = tuple(row for row in common if not row.version)
    return tuple(_task(rng, f"t{n}", 200 + 10 * n, common, is_keyed) for n in range(count))


def _task(
    rng: Random, name: str, lead_id: int, common: tuple[Row, ...] = (), is_keyed: bool | None = None
) -> Task:  # fmt: skip
    """
    Draw a task.

    :param common: rows that it may share with others, whose journal is one table then
    """
    is_shared = is_keyed is not None
    journal = "sql" if is_shared else rng.choices(("state", "sql", "none"), (45, 35, 20))[0]
    keyed = _happens(rng, 0.5) if is_keyed is None else is_keyed
    wiped_after = rng.choice((1, 2)) if journal == "state" and _happens(rng, 0.15) else 0
    strikes = _strikes(rng, may_wake=journal != "none" and not wiped_after)
    is_beside_itself = any(strike is not None and strike.given_up < strike.seconds for strike in strikes)
    has_twins = _happens(rng, 0.5, "twins across runs" if is_shared or is_beside_itself else "")
    own = _rows(rng, name, 100 if _happens(rng, 0.5) else lead_id, keyed, has_twins=has_twins)
    rows = (*own[: len(own) // 2], *(row for row in common if rng.random() < 0.7), *own[len(own) // 2 :])
    task = Task(
        name, rows, journal, is_keyed=keyed, starts=rng.choice((0.0, rng.uniform(0, 40))),
        check_existing=rng.choices(("sample", "always", "never"), (45, 35, 20))[0],
        on_unknown=rng.choices(("verify", "report", "resend", "assume_delivered"), (82, 8, 5, 5))[0],
        strikes=strikes, wiped_after=wiped_after, retry_delay=rng.choice((1.0, 10.0, 60.0)), after=_after(rng),
        start_seconds=rng.choice((0.002, 0.002, 0.002, 3.0)), report=rng.choice(("csv", "jsonl")),
        later=_later(rng, rows) if _happens(rng, 0.15) else None,
        timeout_seconds=rng.uniform(5, 120) if _happens(rng, 0.1) else None,
    )  # fmt: skip
    may_discard = journal == "state" and "clear" in task.after and not is_beside_itself
    return replace(task, clears_state=may_discard and _happens(rng, 0.5))


def _later(rng: Random, rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The source as later tries find it: some rows are gone."""
    return tuple(row for row in rows if rng.random() < 0.8) or rows[:1]


def _rows(rng: Random, name: str, lead_id: int, is_keyed: bool, *, has_twins: bool) -> tuple[Row, ...]:
    leads = [lead_id + n for n in range(rng.randint(1, 4))]
    types = _TYPES[: rng.choice((1, 1, 2, 3))]
    has_alike, has_one_text, has_one_link, has_cousins = (_happens(rng, share) for share in (0.15, 0.2, 0.2, 0.15))
    rows: list[Row] = []
    for n in range(rng.randint(1, rng.choice((10, 10, 25)))):
        one = Row(
            f"{name}-{n}", rng.choice(leads), rng.choice(types),
            "Viewed a home" if has_one_text else f"{name} views home {n}",
            "https://homes.example.com/7" if has_alike or has_one_link else f"https://homes.example.com/{name}/{n}",
            _DAY * (n + 1) + rng.randrange(3600) if not has_alike else _DAY + n * 0.7,
        )  # fmt: skip
        if is_keyed and has_twins and rows and rng.random() < 0.6:
            one = replace(rng.choice(rows), key=one.key)
        if has_cousins and rows and rng.random() < 0.4:  # the same of another lead
            one = replace(rng.choice(rows), key=one.key, lead_id=one.lead_id)
        rows.append(one)
    if _happens(rng, 0.25):
        rows += [rng.choice(rows) for _ in range(rng.randint(1, 3))]
    if _happens(rng, 0.1):
        rows.append(replace(rows[0], text=f"{name} says otherwise", version="b") if is_keyed else rows[0])
    if _happens(rng, 0.1):
        rows.append(Row(f"{name}-x", "no number"))
    return tuple(rows)


def _strikes(rng: Random, *, may_wake: bool) -> tuple[Strike | None, ...]:
    """
    Draw what befalls the tries.

    :param may_wake: whether one that was taken for dead may go on beside its retry: without a journal that both use,
        nothing could tell them of each other
    """
    return tuple(_strike(rng, may_wake=may_wake) for _ in range(rng.choices((0, 1, 2, 3), (40, 35, 15, 10))[0]))


def _strike(rng: Random, *, may_wake: bool) -> Strike | None:
    noted = rng.choice(("", "", "commits", "connects", "POST leaves"))
    step = rng.randint(1, 12) if noted else int(2 ** rng.uniform(0, 9.5))
    kind = rng.choices(("kill", "term", "timeout", "freeze", "suspend", ""), (45, 10, 10, 25, 5, 5))[0]
    if kind == "suspend" and "suspended machine" in KNOWN:
        kind = "kill"
    if kind == "freeze":
        seconds = rng.choice((0.5, 5.0, 20.0, 100.0))
        given_up = seconds * rng.uniform(0.05, 1.5)
        return Strike(kind, step, seconds, given_up if may_wake else 1e9, noted)
    return Strike(kind, step, rng.choice((5.0, 60.0)), noted=noted) if kind else None


def _after(rng: Random) -> tuple[str, ...]:
    return tuple(what for what in ("clear", "feed", "feed", "clear") if _happens(rng, 0.2))


# Weather


def _lofty(rng: Random, tasks: tuple[Task, ...]) -> LoftySettings:
    rows = [row for task in tasks for row in task.rows]
    is_blind = any(map(may_be_blind, tasks))
    leads = sorted({row.lead_id for row in rows if isinstance(row.lead_id, int)})
    keys = sorted({row.key for row in rows})
    share = rng.choice((0.0, 0.05, 0.15, 0.4))
    shifts = _happens(rng, 0.15, "page shift")
    return LoftySettings(
        latency=rng.choice((0.01, 0.05, 0.5)), **_delays(rng, leads, is_blind=is_blind),
        lost=rng.random() * share, swallowed=rng.random() * share, errors=rng.random() * share,
        nonsense=rng.random() * share / 3, refused=rng.random() * share, unreadable=rng.random() * share,
        contradictions=0.1 if _happens(rng, 0.1, "contradictions") else 0.0,
        interim=0.1 if _happens(rng, 0.1, "interim answers") else 0.0,
        outages=_outages(rng), until=rng.uniform(20, 300),
        limit=rng.choices((600, None, rng.randint(10, 60)), (60, 20, 20))[0],
        rejected=frozenset(rng.sample(keys, min(len(keys), rng.randint(1, 3)))) if _happens(rng, 0.15) else frozenset(),
        missing=frozenset((rng.choice(leads),)) if leads and _happens(rng, 0.1) else frozenset(),
        merged=_merged(rng, leads) if _happens(rng, 0.25) else (), names_leads=_happens(rng, 0.5),
        others=tuple((lead, rng.choice((5, 60, 130))) for lead in leads if rng.random() < 0.2),
        newer=tuple((lead, rng.choice((rng.randint(90, 105), rng.randint(90, 250)))) for lead in leads) if shifts else (),
        shifts=rng.choice((3, 10, 40)) if shifts else 0,
        alters=_alterations(rng, leads, is_blind=is_blind),
    )  # fmt: skip


def _merged(rng: Random, leads: list[int]) -> tuple[tuple[int, int], ...]:
    """Leads that became a part of another one, which may have become a part of a third."""
    order = rng.sample(leads, len(leads))
    into = order[1:] if _happens(rng, 0.7) else [900]
    return tuple(zip(order, into, strict=False))[: rng.randint(1, 2)]


def _delays(rng: Random, leads: list[int], *, is_blind: bool) -> dict[str, Any]:
    """When an activity is stored and shown: within a settle time, each in its own, or all after the same long time."""
    room = SETTLE_SECONDS * _SAFE_SHARE
    kind = rng.choices(("none", "each", "constant"), (30, 40, 30))[0]
    if kind == "each":
        lag = rng.uniform(0, room)
        late = rng.uniform(0, 4 * SETTLE_SECONDS if _happens(rng, 0.3, "late store") else room - lag)
        return {"lag": lag, "late": late, "replicas": rng.choice((1, 2, 3))}
    if kind == "constant" and not (is_blind and "blind and lagging" in KNOWN):
        slow = ((rng.choice(leads), rng.uniform(0, 20)),) if leads and _happens(rng, 0.3, "slow lead") else ()
        return {"constant_lag": rng.uniform(0.5, 3) * SETTLE_SECONDS, "slow_leads": slow}
    return {}


def _alterations(rng: Random, leads: list[int], *, is_blind: bool) -> tuple[tuple[int, str], ...]:
    """Lofty may show everything otherwise than it was sent; nothing can be proved then."""
    how = rng.choice(ALTERATIONS)
    kinds = {"created as text"} if how == "created as text" else set()
    kinds |= {"altered without journal"} if is_blind else set()
    if not _happens(rng, 0.1) or kinds & set(KNOWN):
        return ()
    is_everywhere = _happens(rng, 0.5) or (how == "type in lower case" and "type altered at one lead" in KNOWN)
    return tuple((lead, how) for lead in leads if is_everywhere or rng.random() < 0.5)


def _outages(rng: Random) -> tuple[tuple[float, float], ...]:
    if not _happens(rng, 0.15):
        return ()
    begin = rng.uniform(0, 40)
    return ((begin, begin + rng.choice((3.0, 30.0, 120.0, 700.0))),)


def _store_faults(rng: Random) -> StoreFaults:
    if not _happens(rng, 0.5):
        return StoreFaults()
    share = rng.choice((0.005, 0.02, 0.08))
    return StoreFaults(
        latency=rng.choice((0.004, 0.05, 1.0)), lost=rng.random() * share, unacknowledged=rng.random() * share,
        unreadable=rng.random() * share, outages=_outages(rng), until=rng.uniform(10, 200),
    )  # fmt: skip
