"""
Drafts: a report appears whole or not at all.

A writer that is killed cannot remove its draft, so the next one of the same report does. Whoever still writes holds a
lock, which the system releases when the process ends, in whatever way.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

_ENDING = ".draft"
_TRY = re.compile(r"__try_\d+__(?=[0-9a-f]+\.csv$)")  # as report_file writes it


@contextmanager
def drafted(target: Path, settings: dict[str, Any]) -> Iterator[IO[str]]:
    """
    Write a file that appears, or is replaced, when all of it is written.

    :param settings: how to open it
    """
    _remove_leftovers(target)
    handle, draft = _locked_draft(target)
    lock = os.dup(handle)  # held until the draft has its name
    try:
        with os.fdopen(handle, "w", **settings) as stream:
            yield stream
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    finally:
        os.close(lock)


def _locked_draft(target: Path) -> tuple[int, Path]:
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}-", suffix=_ENDING, dir=target.parent)
        _lock(handle)
        with suppress(FileNotFoundError):  # somebody took it for a leftover before it was locked
            if os.path.samestat(os.fstat(handle), Path(name).stat()):
                return handle, Path(name)
        os.close(handle)


def _remove_leftovers(target: Path) -> None:
    """Remove drafts of this report, whichever try they are of, that nobody writes any longer."""
    names = [re.escape(part) for part in _TRY.split(target.name)]
    is_draft = re.compile(rf"\.{'__try_[0-9]+__'.join(names)}-[a-z0-9_]+{re.escape(_ENDING)}").fullmatch
    for path in target.parent.iterdir():
        if is_draft(path.name):
            with suppress(OSError):  # it is another user's, or gone by now: never a reason not to write
                _remove_leftover(path)


def _remove_leftover(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode) and _lock(handle):
            path.unlink()
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Lock a file unless another process has; where the file system knows no locks, nothing counts as left behind."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
