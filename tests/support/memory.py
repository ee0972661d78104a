"""The most memory that a process has had."""

from __future__ import annotations

from pathlib import Path


def peak_kilobytes() -> int:
    """
    Of the process that asks. What ``getrusage`` says of it begins with the peak of the process that started it, so that
    under a large pytest no program ever seems to grow.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak)
