"""Checks what was built: that nothing is missing, nothing too much, and that it reads well on an index.

    python tools/check_dist.py dist/*.whl dist/*.tar.gz

A module or a page that the wheel lacks is not noticed in a checkout, where everything lies on the disk; a
top-level ``tests`` that a wheel installs is not noticed by its authors, but by those who have ``tests`` too.
"""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "airflow_provider_lofty"
MADE = {"build", "dist", "__pycache__"}  # by the build and by running; beside them folders that begin with a dot


def main(*distributions: str) -> int:
    problems: list[str] = []
    for distribution in map(Path, distributions):
        names, found = check_wheel(distribution) if distribution.suffix == ".whl" else check_sdist(distribution)
        problems += [f"{distribution.name}: {problem}" for problem in found]
        print(f"{distribution.name}: {len(names)} files")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems or not distributions else 0


def check_wheel(wheel: Path) -> tuple[set[str], list[str]]:
    """Look for the package, whole, and nothing but the package."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        about = {name.partition("/")[2]: name for name in names if name.partition("/")[0].endswith(".dist-info")}
        metadata = archive.read(about["METADATA"]).decode()
        declared = archive.read(about["entry_points.txt"]).decode() if "entry_points.txt" in about else ""
    names -= set(about.values())
    problems = list(differences(names, {name for name in tree() if name.startswith(f"{PACKAGE}/")}))
    if "[apache_airflow_provider]" not in declared:
        problems.append("the entry point by which Airflow finds the provider is not declared")
    return names, [*problems, *unreadable(metadata)]


def check_sdist(sdist: Path) -> tuple[set[str], list[str]]:
    """Look for the whole project, less what is for its repository alone."""
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    names = {name for name in names if name != "PKG-INFO" and ".egg-info/" not in name and not name.startswith(".")}
    return names, list(differences(names, set(tree())))


def differences(names: set[str], expected: set[str]) -> Iterator[str]:
    yield from (f"{name} is missing" for name in sorted(expected - names))
    yield from (f"{name} does not belong into it" for name in sorted(names - expected))


def tree() -> Iterator[str]:
    """The project's files, by their names from its root."""
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if path.is_file() and not any(part in MADE or part.startswith(".") or ".egg-info" in part for part in parts):
            yield "/".join(parts)


def unreadable(metadata: str) -> Iterator[str]:
    """What an index cannot show: it knows no folder that a relative link could lead into."""
    description = metadata.partition("\n\n")[2]
    for link in re.findall(r"\]\(((?!https?://|#)[^)]+)\)", description):
        yield f"the package page has the relative link {link}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
