"""Makes an environment for each kind of client, from its pinned requirements."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from bench.places import ENVIRONMENTS, REQUIREMENTS, ROOT, WORK

OWN = "provider"  # this project's own environment


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
        python = folder / "bin" / "python"
        note, made_from = folder / "made-from", _made_from(name)
        if not (note.exists() and note.read_text(encoding="utf-8") == made_from):
            error = _make(name, folder)
            if error:
                self.missing[name] = error
                return None
            note.write_text(made_from, encoding="utf-8")
        return python

    def versions(self) -> dict[str, str]:
        """Give the version of what each environment is for, as its requirements pin it."""
        names = sorted(path.stem for path in REQUIREMENTS.glob("*.txt"))
        return dict(_pinned(name) for name in names)


def _requirements(name: str) -> Path:
    return REQUIREMENTS / f"{name}.txt"


def _pinned(name: str) -> tuple[str, str]:
    lines = _requirements(name).read_text(encoding="utf-8").splitlines()
    package, _, version = next(line for line in lines if "==" in line).partition("==")
    return package, version


def _made_from(name: str) -> str:
    requirements = _requirements(name).read_bytes()
    constraints = (ROOT / "constraints.txt").read_bytes() if b"constraints.txt" in requirements else b""
    return f"{sys.version}\n{hashlib.sha256(requirements + constraints).hexdigest()}\n"


def _make(name: str, folder: Path) -> str:
    """Make an environment; say what went wrong, or nothing."""
    print(f"==> making the environment of {name}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
    log = WORK / f"{name}.log"
    python = folder / "bin" / "python"
    commands = (
        [sys.executable, "-m", "venv", str(folder)],
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
