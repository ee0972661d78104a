"""Makes an environment for each kind of client, from its pinned requirements, with a Python that they are for."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bench.places import ENVIRONMENTS, FIND_PYTHON, REQUIREMENTS, ROOT, WORK

OWN = "provider"  # this project's own environment
_BOUNDS = re.compile(r"# For Python (\S+) to (\S+):")


class Environments:
    """
    The environments, made when they are first asked for.

    :ivar missing: environment → why it could not be made
    """

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}

    def python(self, name: str) -> Path | None:
        """Give the interpreter of an environment; None when it cannot be made."""
        if name == OWN:
            return Path(sys.executable)
        if name in self.missing:
            return None
        folder = ENVIRONMENTS / name
        if error := _prepare(name, folder):
            self.missing[name] = error
            print(f"==> NOT RUN: what needs {name}: {error}", flush=True)
            return None
        return folder / "bin" / "python"

    def versions(self) -> dict[str, str]:
        """Give the version of what each environment is for, as pinned; and its Python where that is not ours."""
        names = sorted(path.stem for path in REQUIREMENTS.glob("*.txt"))
        return {package: version + _other_python(name) for name in names for package, version in [_pinned(name)]}


def _requirements(name: str) -> Path:
    return REQUIREMENTS / f"{name}.txt"


def _pinned(name: str) -> tuple[str, str]:
    lines = _requirements(name).read_text(encoding="utf-8").splitlines()
    package, _, version = next(line for line in lines if "==" in line).partition("==")
    return package, version


def _bounds(name: str) -> tuple[str, str]:
    found = _BOUNDS.match(_requirements(name).read_text(encoding="utf-8"))
    if not found:
        raise ValueError(f"{_requirements(name)} does not say which Pythons it is for")
    return found[1], found[2]


def _fitting_python(name: str) -> str:
    """Find a Python that the requirements are for: the provider's, if it is one; nothing, when there is none."""
    for asked_for in (sys.executable, ""):
        command = [str(FIND_PYTHON), *_bounds(name), asked_for]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return found.stdout.strip()
    return ""


def _other_python(name: str) -> str:
    configuration = ENVIRONMENTS / name / "pyvenv.cfg"
    found = re.search(r"^version = (.+)$", configuration.read_text(), re.MULTILINE) if configuration.exists() else None
    return f", on Python {found[1]}" if found and found[1] != platform.python_version() else ""


def _made_from(name: str, python: str) -> str:
    requirements = _requirements(name).read_bytes()
    constraints = (ROOT / "constraints.txt").read_bytes() if b"constraints.txt" in requirements else b""
    return f"{python}\n{hashlib.sha256(requirements + constraints).hexdigest()}\n"


def _prepare(name: str, folder: Path) -> str:
    """Make an environment unless it is there; say what went wrong, or nothing."""
    base = _fitting_python(name)
    if not base:
        oldest, newest = _bounds(name)
        return f"its packages are pinned for Python {oldest} to {newest}, and none was found"
    note, made_from = folder / "made-from", _made_from(name, base)
    if note.exists() and note.read_text(encoding="utf-8") == made_from:
        return ""
    error = _make(name, folder, base)
    if not error:
        note.write_text(made_from, encoding="utf-8")
    return error


def _make(name: str, folder: Path, base: str) -> str:
    """Make an environment; say what went wrong, or nothing."""
    print(f"==> making the environment of {name}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
    log = WORK / f"{name}.log"
    python = folder / "bin" / "python"
    commands = (
        [base, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "-qq", "--no-compile", "-r", str(_requirements(name))],
    )
    with log.open("w", encoding="utf-8") as stream:
        for command in commands:
            if subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, check=False, cwd=ROOT).returncode:
                return _last_error(log)
    return ""


def _last_error(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if "error" in line.lower()]
    return f"its packages could not be installed ({(errors or lines or ['no message'])[-1].strip()[:160]})"
