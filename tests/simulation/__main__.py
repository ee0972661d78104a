"""
Play many worlds, or show one: ``python -m simulation --seeds 5000``, ``python -m simulation --seed 17``.

``python -m simulation --days 20`` plays thirty days of reading only what is new, twenty times.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from multiprocessing import Pool
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from simulation.days import Days
from simulation.invariants import violations
from simulation.known import KNOWN
from simulation.seeds import world_of
from simulation.worlds import play

_MOST_SHOWN = 20


class Result(NamedTuple):
    """What came of one seed."""

    seed: int
    wrong: list[str]
    digest: str
    counts: Counter[str]


def try_seed(seed: int) -> Result:
    """Play the world of a seed."""
    ending = play(world_of(seed))
    counts: Counter[str] = Counter()
    for one in ending.tries:
        counts.update(
            f"tries {'green' if one.error is None else type(one.error).__name__}" for _ in [0] if one.has_ended
        )
        counts["tries killed"] += not one.has_ended
    for life in ending.lives:
        counts.update(f"rows {said['lofty_outcome']}" for said in (life.last_word.outcomes if life.last_word else ()))
    counts.update({f"POSTs {name or 'as they should be'}": n for name, n in ending.lofty.faults.items()})
    return Result(seed, violations(ending, KNOWN), ending.history.digest, counts)


def show(seed: int) -> int:
    """Show the history of a world."""
    world = world_of(seed)
    print(world)
    ending = play(world)
    print(*ending.history.lines(), sep="\n")
    wrong = violations(ending, KNOWN)
    print(*(f"seed {seed}: {each}" for each in wrong or ["nothing is wrong"]), sep="\n")
    return int(bool(wrong))


def search(first: int, seeds: int, jobs: int) -> int:
    """Play the worlds of many seeds."""
    began, bad, counts = time.monotonic(), [], Counter[str]()
    with Pool(jobs) as pool:
        for result in pool.imap_unordered(try_seed, range(first, first + seeds), chunksize=5):
            counts += result.counts
            if result.wrong:
                bad.append(result)
                if len(bad) <= _MOST_SHOWN:
                    print(f"seed {result.seed}: {'; '.join(result.wrong[:3])}", flush=True)
    seconds = time.monotonic() - began
    print(*(f"{count:9} {name}" for name, count in sorted(counts.items())), sep="\n")
    print(f"{seeds} worlds in {seconds:.0f} s, {seeds / seconds:.1f} a second; {len(bad)} went wrong")
    if bad:
        print(f"Look at one of them with: make simulate SEED={min(result.seed for result in bad)}")
    return int(bool(bad))


def try_days(seed: int) -> tuple[int, list[str]]:
    """Play the thirty days of a seed."""
    with TemporaryDirectory(prefix="lofty-days-") as folder:
        return seed, list(Days(seed, Path(folder)).play().violations())


def search_days(first: int, seeds: int, jobs: int) -> int:
    """Play the thirty days of many seeds."""
    is_bad = False
    with Pool(jobs) as pool:
        for seed, wrong in pool.imap_unordered(try_days, range(first, first + seeds)):
            is_bad |= bool(wrong)
            print(f"seed {seed}: {'; '.join(wrong[:3]) or 'nothing is wrong'}", flush=True)
    return int(is_bad)


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    arguments.add_argument("--seed", type=int, help="show the world of this seed")
    arguments.add_argument("--days", type=int, help="play thirty days so many times")
    arguments.add_argument("--first", type=int, default=0)
    arguments.add_argument("--seeds", type=int, default=1000)
    arguments.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = arguments.parse_args()
    if given.days is not None:
        return search_days(given.first, given.days, given.jobs)
    return show(given.seed) if given.seed is not None else search(given.first, given.seeds, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
