"""Worlds of seeds: nothing lost, nothing twice, the books balance, and every world ends. ``make simulate`` plays more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.worlds import WORLDS

from simulation.invariants import violations
from simulation.known import KNOWN
from simulation.seeds import world_of
from simulation.worlds import play

SEEDS = WORLDS
CHUNKS = WORLDS // 20
TESTS = Path(__file__).parents[1]
# They run each line thousands of times, at twice the time when each is counted; other tests reach these lines, too.
pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_worlds_of_seeds(chunk: int) -> None:
    faults: Counter[str] = Counter()
    for seed in range(chunk, SEEDS, CHUNKS):
        ending = play(world_of(seed))
        wrong = violations(ending, KNOWN)
        history = "\n".join(ending.history.lines())
        assert wrong == [], f"make simulate SEED={seed} shows this again:\n{history}"
        faults += ending.lofty.faults
    assert len(faults) > 5, "these worlds are all the same"


@pytest.mark.once
@pytest.mark.program
def test_the_same_seed_gives_the_same_history_whatever_python_hashes() -> None:
    digests = [play(world_of(seed)).history.digest for seed in range(12)]
    assert [play(world_of(seed)).history.digest for seed in range(12)] == digests
    code = (
        "from simulation.seeds import world_of; from simulation.worlds import play\n"
        "for seed in range(12): print(play(world_of(seed)).history.digest)"
    )
    for hash_seed in ("1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(TESTS)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
        assert done.stdout.split() == digests
