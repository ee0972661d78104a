"""What happened in a world, in order: virtual time, who, what."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any


class History:
    """
    Lines of what happened.

    Texts are put together only when somebody reads them: nearly every world ends well and is never looked at.

    :param folder: a path that differs each time, and is left out
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lines: list[tuple[float, str, str, tuple[Any, ...]]] = []

    def note(self, now: float, who: str, what: str, *values: Any) -> None:
        """Keep one line; ``values`` go into ``what`` as logging does it."""
        self._lines.append((now, who, what, values))

    def lines(self) -> list[str]:
        return [
            f"{now:10.3f}  {who:<10} {what % values if values else what}".replace(self._folder, "")
            for now, who, what, values in self._lines
        ]

    @property
    def digest(self) -> str:
        """Tells two histories apart."""
        return blake2b("\n".join(self.lines()).encode(), digest_size=8).hexdigest()
