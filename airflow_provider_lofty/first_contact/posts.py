"""The activities that are posted, and what Lofty's list shows of them afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from html import escape
from typing import Any, NamedTuple

LONG_TEXT = 2000
AS_TEXT = "as text"
_HOUR_MS = 3_600_000


class Post(NamedTuple):
    """
    One activity.

    :param name: what it is for
    :param token: stands in its text, so that it is known again
    """

    name: str
    token: str
    activity: dict[str, Any]

    @property
    def body(self) -> bytes:
        return json.dumps(self.activity, ensure_ascii=False).encode()


def posts(mark: str, now_ms: int) -> list[Post]:
    """
    Make the five. Each says that it is a test, and is dated now.

    :param mark: of this check; letters and digits, which nothing changes that changes texts
    :param now_ms: milliseconds since 1970
    """
    start = now_ms // 1000 * 1000 - 5000

    def post(name: str, kind: str, seconds: int, ahead: str = "", behind: str = "", **others: str) -> Post:
        token = f"{mark}{name}"
        text = f"{ahead}Test of the connection from Airflow ({token}). Please ignore.{behind}"
        link = f"https://example.com/test?of={token}&from=Airflow"
        made = {"type": kind, "text": text, "link": link, "picture": "https://example.com/test.png", **others}
        return Post(name, token, {**made, "created": start + seconds * 1000 + 123})

    plain = post("plain", "Browse", 4)
    special = post("special", "Favorite", 2, "  ", " \"quotes\" 'apostrophes' <b>angle</b> & café 🏡  ")
    long = post("long", "Browse", 3)
    long.activity["text"] += " x" * ((LONG_TEXT - len(long.activity["text"])) // 2)
    long.activity["text"] = long.activity["text"].ljust(LONG_TEXT, "x")
    # Last: its refusal is the likeliest. A text of its own it has, or nobody would see that it is a test.
    return [plain, plain._replace(name="twin"), special, long, post("empty", "Browse", 1, link="", picture="")]


class Fate(Enum):
    """What the answer to a post said."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "sent, and no trustworthy answer came"
    NOT_SENT = "not sent"


@dataclass
class Posted:
    """
    A post, and what came of it.

    :param answered: by the clock
    :param said: why it was refused, or is unknown
    :param shown: how often it was listed, when that was looked at last
    :param looked: by the clock; the last look that did not show it, and the first that did
    """

    post: Post
    fate: Fate = Fate.NOT_SENT
    answered: float = 0.0
    said: str = ""
    entry: dict[str, Any] | None = None
    shown: int = 0
    looked: list[float] = field(default_factory=lambda: [0.0, 0.0])

    @property
    def lag(self) -> tuple[float, float] | None:
        """Between how many seconds and how many it took to be shown; None when it was not."""
        if self.entry is None:
            return None
        return max(self.looked[0] - self.answered, 0.0), self.looked[1] - self.answered

    def look(self, entries: list[dict[str, Any]], now: float) -> None:
        """Look for it in what is listed now."""
        found = [entry for entry in entries if self.post.token in f"{entry.get('text')} {entry.get('link')}"]
        self.shown = len(found)
        if self.entry is None:
            self.looked[1 if found else 0] = now
            self.entry = found[0] if found else None


def echo_of(name: str, sent: Any, shown: Any) -> str:
    """Say what became of a field; empty when it is shown as it was sent."""
    if type(sent) is type(shown) and sent == shown:
        return ""
    if name == "created":
        return _echo_of_created(sent, shown)
    if not isinstance(shown, str):
        return "null" if shown is None else f"a JSON {type(shown).__name__}"
    for blanks, bare in (("", sent), ("without the blanks around it", sent.strip())):
        for words, change in _CHANGES.items():
            if shown == change(bare):
                return ", ".join(filter(None, (blanks, words)))
    return f"cut to {len(shown)} characters" if sent.startswith(shown) else "changed"


_CHANGES: dict[str, Callable[[str], str]] = {
    "": str,
    "as HTML writes it": escape,
    "as HTML writes it, but for quotes": partial(escape, quote=False),
    "in lower case": str.lower,
    "in upper case": str.upper,
}


def _echo_of_created(sent: int, shown: Any) -> str:
    if isinstance(shown, str) and shown.isascii() and shown.isdigit():
        rest = _echo_of_created(sent, int(shown)) if int(shown) != sent else ""
        return f"{AS_TEXT}, {rest}" if rest else AS_TEXT
    if type(shown) not in (int, float):
        return "not as a number"
    if shown == sent // 1000:
        return "in seconds"
    if shown == sent // 1000 * 1000:
        return "without its milliseconds"
    moved = shown - sent
    return f"moved by {moved / _HOUR_MS:g} h" if moved and moved % _HOUR_MS == 0 else f"moved by {moved:g} ms"
