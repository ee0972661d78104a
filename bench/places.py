"""Where things are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIND_PYTHON = ROOT / "tools" / "find_python.sh"
BENCH = ROOT / "bench"
CLIENTS = BENCH / "clients"
REQUIREMENTS = BENCH / "requirements"
WORK = ROOT / ".work" / "bench"  # ignored by git; "make clean" removes it
ENVIRONMENTS = WORK / "environments"
