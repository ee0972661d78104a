"""Checks that a built wheel holds the package, whole, and nothing but the package.

    python tools/check_wheel.py dist/airflow_provider_lofty-0.1.0-py3-none-any.whl

A module or a page that the wheel lacks is not noticed in a checkout, where everything lies on the disk; a
top-level ``tests`` that a wheel installs is not noticed by its authors, but by those who have ``tests`` too.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "airflow_provider_lofty"


def main(wheel: str) -> int:
    in_tree = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        entry_points = next((name for name in names if name.endswith(".dist-info/entry_points.txt")), None)
        declared = archive.read(entry_points).decode() if entry_points else ""
    metadata = {name for name in names if name.partition("/")[0].endswith(".dist-info")}

    problems = [f"missing from the wheel: {name}" for name in sorted(in_tree - names)]
    problems += [f"does not belong into the wheel: {name}" for name in sorted(names - in_tree - metadata)]
    if "[apache_airflow_provider]" not in declared:
        problems.append("the entry point by which Airflow finds the provider is not declared")
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{Path(wheel).name}: {len(names - metadata)} files, all of {PACKAGE}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
