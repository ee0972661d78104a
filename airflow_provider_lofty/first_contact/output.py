"""
Saying something to whoever may have left, on what may not know all letters.

That never fails: after the posts, what was learned from them must not be lost with a line that nobody reads.
"""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress
from typing import TextIO


def say(text: str) -> bool:
    """
    Say a line, or several.

    :return: whether it has left, and somebody may still be reading
    """
    return _write(sys.stdout, text)


def complain(text: str) -> None:
    """Say a line where errors go."""
    _write(sys.stderr, text)


def is_at_terminal() -> bool:
    """Whether somebody can be asked. Of a process that began with its input closed there is none at all."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def _write(stream: TextIO | None, text: str) -> bool:
    if stream is None:
        return False
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(f"{text.encode(encoding, 'backslashreplace').decode(encoding)}\n")
        stream.flush()
    except (OSError, ValueError):
        _abandon(stream)
        return False
    return _has_reader(stream)


def _abandon(stream: TextIO) -> None:
    """Let what is left in it go nowhere: Python would write it at its end, fail again, and change the exit code."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), stream.fileno())


def _has_reader(stream: TextIO) -> bool:
    """Whether nobody has closed the other end of a pipe, or hung up; True where that cannot be known."""
    with suppress(OSError, ValueError, AttributeError):  # no file of the system, or a system without poll
        ends = select.poll()
        ends.register(stream.fileno(), 0)
        return not ends.poll(0)
    return True
