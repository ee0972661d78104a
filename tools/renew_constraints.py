"""Renews the constraints files: what this project is tested with, to the exact version.

    make constraints
    python tools/renew_constraints.py [PYTHON ...]       e.g. python3.10 /opt/python3.13/bin/python
    make neighbours
    python tools/renew_constraints.py --neighbours [PYTHON ...]

Each interpreter (by default one of each version that tools/find_python.sh finds) is asked, in a throw-away
environment, what a current pip would install for this project with all extras: once for the newest Airflow, once
for the oldest that is supported, and once with what "make test-databases" needs besides; this takes the headers of
MySQL's client (Debian: libmariadb-dev). Nothing is installed: pip only resolves. The answers are then merged: one line
where all of them agree, else one line for each version, marked with the Pythons it is for. Python 3.10, for one,
gets an older pandas than the others, because pandas 3 left it behind.

With --neighbours nothing is renewed: pip is asked whether the providers that many people have beside this one can
be installed with constraints.txt, too. Where one cannot, what it shuts out goes into HELD_BACK.

The files hold names and versions only, whatever index, mirror or find-links pip is configured with here.
"""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "airflow-provider-lofty"

# What people have beside this provider. The bounds keep pip from falling back on a release of years ago.
NEIGHBOURS = (
    "apache-airflow-providers-amazon>=9.30",
    "apache-airflow-providers-google>=20",
    "apache-airflow-providers-microsoft-azure>=14",
    "apache-airflow-providers-postgres>=6.3",
    "apache-airflow-providers-mysql>=6.3",
    "apache-airflow-providers-snowflake>=6.10",
    "apache-airflow-providers-openlineage>=2.10",
)
# The newest of these would shut some of them out. A line can go once its reason has gone.
HELD_BACK = (
    "filelock<4 ; python_version == '3.10'",  # snowflake-connector-python, of which Python 3.10 gets an older release
    "protobuf<7",  # snowflake-snowpark-python, google-cloud-*
    "python-dateutil<3",  # botocore
    "tenacity<9.2",  # google-genai
    "websockets<17",  # google-genai
)


# The extra that has a constraints file to itself: what it needs would bind people who want none of it.
APART = "databases"


class Target:
    """
    One constraints file.

    :param pythons: the oldest and the newest that it is resolved for
    :param extra: further requirements
    :param is_apart: it is the one of the extra that has a file to itself
    """

    def __init__(
        self,
        file: str,
        title: str,
        pythons: tuple[tuple[int, int], tuple[int, int]],
        extra: tuple[str, ...] = (),
        *,
        is_apart: bool = False,
    ) -> None:
        self.file = ROOT / file
        self.title = title
        self.pythons = pythons
        self.extra = extra
        self.is_apart = is_apart


TARGETS = (
    Target("constraints.txt", "the current Airflow release", ((3, 10), (3, 14))),
    Target(
        "constraints-floor.txt",
        "the oldest supported Airflow, 3.1",
        ((3, 10), (3, 13)),
        ("apache-airflow==3.1.*", "sqlalchemy==1.4.*"),  # Airflow 3.1 goes with both 1.4 and 2, and pins 1.4 itself
    ),
    Target("constraints-databases.txt", "real databases and object storage", ((3, 11), (3, 14)), is_apart=True),
)


def declared_requirements(*, is_apart: bool) -> list[str]:
    """
    Everything setup.cfg asks for, extras included, without this project's references to itself; and pip.

    :param is_apart: with the extra that has a constraints file to itself
    """
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = {name: block for name, block in config["options.extras_require"].items() if is_apart or name != APART}
    blocks = [config["options"]["install_requires"], *extras.values()]
    lines = (line.strip() for block in blocks for line in block.splitlines())
    return ["pip", *(line for line in lines if line and not line.startswith((PROJECT, "#")))]


def found_pythons() -> list[str]:
    command = [str(ROOT / "tools" / "find_python.sh"), "--each", "3.10", "3.14"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.partition(" ")[2] for line in lines]


def version_of(python: str) -> tuple[int, int] | None:
    """The interpreter's (major, minor), or None when it does not run."""
    probe = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    try:
        ran = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    major, minor = ran.stdout.split()
    return int(major), int(minor)


def resolve(pip: list[str], requirements: Iterable[str], report: Path) -> dict[str, str]:
    """Package → version, as pip would install them."""
    command = [*pip, "install", "--quiet", "--dry-run", "--ignore-installed", "--report", str(report), *requirements]
    subprocess.run(command, check=True)
    packages = json.loads(report.read_text(encoding="utf-8"))["install"]
    found = (package["metadata"] for package in packages)
    # Without a local part ("+cpu"): that names one machine's build, not a release that everybody can get.
    return {normalised(found_one["name"]): found_one["version"].partition("+")[0] for found_one in found}


def normalised(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def merged(by_python: dict[tuple[int, int], dict[str, str]]) -> Iterator[str]:
    """The lines of a constraints file.

    A version that only some Pythons get is marked for these; the newest Python's goes to every later one too.
    """
    resolved = sorted(by_python)
    for name in sorted(set().union(*by_python.values())):
        pythons_of: dict[str, list[tuple[int, int]]] = {}
        for python in resolved:
            if name in by_python[python]:
                pythons_of.setdefault(by_python[python][name], []).append(python)
        if list(pythons_of.values()) == [resolved]:
            yield f"{name}=={next(iter(pythons_of))}"
            continue
        # A Python that does not need the package may not have this release at all, and something else may ask for it.
        for version, pythons in pythons_of.items():
            yield f"{name}=={version} ; {marker(pythons, resolved)}"


def marker(pythons: list[tuple[int, int]], resolved: list[tuple[int, int]]) -> str:
    """The condition under which a version is meant, for instance ``python_version >= "3.11"``."""
    runs: list[list[tuple[int, int]]] = [[]]
    for python in resolved:
        if python in pythons:
            runs[-1].append(python)
        else:
            runs.append([])
    return " or ".join(condition(run[0], run[-1], resolved[-1]) for run in runs if run)


def condition(first: tuple[int, int], last: tuple[int, int], newest: tuple[int, int]) -> str:
    if last == newest:
        return f'python_version >= "{dotted(first)}"'
    if first == last:
        return f'python_version == "{dotted(first)}"'
    return f'python_version >= "{dotted(first)}" and python_version <= "{dotted(last)}"'


def dotted(python: tuple[int, int]) -> str:
    return ".".join(map(str, python))


def header(target: Target, pythons: Iterable[tuple[int, int]]) -> str:
    resolved = ", ".join(map(dotted, sorted(pythons)))
    text = (
        f"What this project is tested with on {target.title}: resolved for Python {resolved}. "
        "Written by tools/renew_constraints.py (make constraints); do not edit by hand."
    )
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, 108))


def main(arguments: list[str]) -> int:
    only_neighbours = arguments[:1] == ["--neighbours"]
    arguments = arguments[only_neighbours:]
    interpreters = {version_of(python): python for python in arguments or found_pythons()}
    missing = interpreters.pop(None, None)
    if arguments and missing:
        sys.exit(f"{missing} does not run, or has no venv or ensurepip.")
    if not interpreters:
        sys.exit("No Python found. Name the interpreters to resolve for: tools/renew_constraints.py PYTHON ...")

    if only_neighbours:
        return check_neighbours(interpreters)
    renew(interpreters)
    return 0


@contextmanager
def current_pip(python: str) -> Iterator[tuple[list[str], Path]]:
    """A current pip in a throw-away environment, and a folder for its answers."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [str(Path(folder, "bin", "python")), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", "--upgrade", "pip"], check=True)
        yield pip, Path(folder)


def check_neighbours(interpreters: dict[tuple[int, int], str]) -> int:
    """Say which neighbours constraints.txt shuts out; nothing is installed."""
    shut_out = []
    for version, python in sorted(interpreters.items()):
        with current_pip(python) as (pip, folder):
            print(f"==> Python {dotted(version)}", flush=True)
            if not fits(pip, NEIGHBOURS, folder):
                alone = [name for name in NEIGHBOURS if not fits(pip, (name,), folder)]
                shut_out.append(f"Python {dotted(version)}: {', '.join(alone) or 'all of them together'}")
    for line in shut_out:
        print(f"SHUT OUT on {line}")
    return 1 if shut_out else 0


def fits(pip: list[str], neighbours: tuple[str, ...], folder: Path) -> bool:
    try:
        resolve(pip, ["--constraint", str(TARGETS[0].file), str(ROOT), *neighbours], folder / "report.json")
    except subprocess.CalledProcessError:
        return False
    return True


def renew(interpreters: dict[tuple[int, int], str]) -> None:
    """Resolve with every interpreter, and write both files."""
    answers: dict[str, dict[tuple[int, int], dict[str, str]]] = {target.title: {} for target in TARGETS}
    for version, python in sorted(interpreters.items()):
        with current_pip(python) as (pip, folder):
            for target in TARGETS:
                if target.pythons[0] <= version <= target.pythons[1]:
                    print(f"==> Python {dotted(version)}, {target.title}", flush=True)
                    requirements = [*declared_requirements(is_apart=target.is_apart), *HELD_BACK, *target.extra]
                    answers[target.title][version] = resolve(pip, requirements, folder / "report.json")

    for target in TARGETS:
        by_python = answers[target.title]
        if by_python:
            lines = "\n".join(merged(by_python))
            target.file.write_text(f"{header(target, by_python)}{lines}\n", encoding="utf-8")
            print(f"==> wrote {target.file.name}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
