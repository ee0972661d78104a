"""What others wrote (names of columns and files, the words of a server) as any log and terminal can show it."""

from __future__ import annotations


def printable(text: str) -> str:
    """
    Write control characters, and others that are not seen, as JSON does: ``\\u001b``.

    Otherwise they would colour, hide or forge lines of a log.
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
