"""
Measure this provider against what people use instead, in pairs on the same work.

    python -m bench                    all of it (below 20 minutes); writes bench/RESULTS.md and bench/results.svg
    python -m bench --quick            a look at whether it works (below 3 minutes); writes into .work/bench/quick
    python -m bench --only quota waste only these measures; the others stay as they were last measured
    python -m bench --only             measures nothing, writes the two files anew
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench import chart, machine, report
from bench.measures import faults, incremental, matching, memory, quota, speed, waste
from bench.places import BENCH, WORK
from bench.plan import FULL, PLANS, QUICK, Plan
from bench.processes import Runner

MEASURES: dict[str, Callable[[Plan, Runner], dict[str, Any]]] = {
    "quota": quota.measure,
    "waste": waste.measure,
    "faults": faults.measure,
    "speed": speed.measure,
    "memory": memory.measure,
    "matching": matching.measure,
    "incremental": incremental.measure,
}


def main() -> None:
    """Measure, and write down what came of it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=_Raw)
    parser.add_argument("--quick", action="store_true", help="few rows and cases")
    parser.add_argument("--only", nargs="*", choices=MEASURES, default=list(MEASURES), metavar="MEASURE")
    given = parser.parse_args()
    plan = QUICK if given.quick else FULL
    folder = BENCH if plan is FULL else WORK / plan.name
    results = _measure(plan, given.only, WORK / plan.name)
    (folder / "RESULTS.md").write_text(report.write(results, PLANS[results["plan"]]), encoding="utf-8")
    (folder / "results.svg").write_text(chart.draw(results["measures"]), encoding="utf-8")
    print(f"==> see {(folder / 'RESULTS.md').relative_to(BENCH.parent)}")


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


def _measure(plan: Plan, names: list[str], folder: Path) -> dict[str, Any]:
    """Measure what is asked for, beside what was measured before."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "results.json"
    results = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {"measures": {}}
    results["plan"] = plan.name
    for name in names:
        started = time.monotonic()
        print(f"==> measuring {name}", flush=True)
        with Runner(folder / name) as runner:
            measured = MEASURES[name](plan, runner)
        seconds = time.monotonic() - started
        today = f"{datetime.now(timezone.utc):%Y-%m-%d}"
        results["measures"][name] = {"date": today, "seconds": round(seconds), "values": measured}
        kept.write_text(json.dumps(results, indent=1), encoding="utf-8")
        print(report.section(name, results["measures"][name], plan), f"\n({seconds:.0f} s)\n", flush=True)
    results["machine"] = machine.describe()
    return results


if __name__ == "__main__":
    main()
