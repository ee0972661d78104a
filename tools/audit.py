"""Asks the package registry which known vulnerabilities the packages have that this provider names itself.

    python tools/audit.py

The versions are those of this environment, which is what the tests run on. What those packages need in turn is
Airflow's to choose. Where the registry does not answer, nothing is known: that is said, and fails nothing.
"""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 60


def main() -> int:
    packages = named_packages()
    answers = ask(packages)
    audited = [answer for answer in answers if "skip_reason" not in answer]
    silent = sorted(set(packages) - {answer["name"] for answer in audited})
    if silent:
        print(f"==> SKIPPED: the registry says nothing about {', '.join(silent)}. THESE WERE NOT AUDITED.")
    found = [(answer, flaw) for answer in audited for flaw in answer["vulns"]]
    for answer, flaw in found:
        fixed = ", ".join(flaw["fix_versions"]) or "no version yet"
        print(f"{answer['name']} {answer['version']}: {flaw['id']}, fixed in {fixed}", file=sys.stderr)
    return 1 if found else 0


def named_packages() -> dict[str, str]:
    """What setup.cfg asks for at run time, and the version that is installed here."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = config["options.extras_require"]
    lines = "\n".join([config["options"]["install_requires"], extras["sandbox"], extras["openlineage"]])
    packages = {}
    for name in re.findall(r"^([\w-]+)", lines, re.MULTILINE):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue  # another Python needs it
    return packages


def ask(packages: dict[str, str]) -> list[dict[str, Any]]:
    """What pip-audit says of each package; nothing when it got no answer in time."""
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder, "requirements.txt")
        asked.write_text("".join(f"{name}=={number}\n" for name, number in packages.items()), encoding="utf-8")
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--timeout", "10"]
        command = [sys.executable, "-m", "pip_audit", *options, "-r", str(asked)]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
            answers: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
        except (subprocess.TimeoutExpired, ValueError):
            return []
    return answers


if __name__ == "__main__":
    sys.exit(main())
