"""The activities that are posted, and what Lofty's list shows of them afterwards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from airflow_provider_lofty.first_contact import texts
from airflow_provider_lofty.lofty.answers import Answer
from airflow_provider_lofty.profile.changes import LONG_TEXT, changed

_MOST_DIGITS = 19
_MOST_MOVED = 10**15


class Post(NamedTuple):
    """
    One activity.

    :param name: what it is for
    :param token: stands in its text, so that it is known again
    :param turn: it is shown when so many with this token are listed: the second of two equal ones with the second
    :param is_spare: it tells less than others do, and makes way where refusals for the rate leave too few posts
    """

    name: str
    token: str
    activity: dict[str, Any]
    turn: int = 1
    is_spare: bool = False

    @property
    def body(self) -> bytes:
        return json.dumps(self.activity, ensure_ascii=False).encode()

    def is_in(self, entry: dict[str, Any]) -> bool:
        """
        Whether an entry has its token, in whatever case, or its time to the millisecond.

        :param entry: one that was not there before the posts
        """
        return self.token.casefold() in f"{entry.get('text')} {entry.get('link')}".casefold() or (
            str(entry.get("created")) == str(self.activity["created"])
            and str(entry.get("type")).casefold() == self.activity["type"].casefold()
        )

    def is_among(self, entries: Sequence[dict[str, Any]]) -> bool:
        """Whether it is one of them; the second of two equal ones is if both are."""
        return sum(map(self.is_in, entries)) >= self.turn


def posts(mark: str, now_ms: int) -> list[Post]:
    """
    Make the five. Each says that it is a test, and is dated now.

    :param mark: of this check; letters and digits, which nothing changes that changes texts
    :param now_ms: milliseconds since 1970
    """
    start = now_ms // 1000 * 1000 - 5000

    def post(name: str, kind: str, after: int, ahead: str = "", behind: str = "", **others: str) -> Post:
        token = f"{mark}{name}"
        text = f"{ahead}Test of the connection from Airflow ({token}). Please ignore.{behind}"
        # Its name makes their paths differ in length: what is without its query is told from what is cut.
        link = f"https://example.com/test/{token}?from=Airflow&is=test"
        made = {"type": kind, "text": text, "link": link, "picture": "https://example.com/test.png", **others}
        return Post(name, token, {**made, "created": start + after})

    # No three of them are dated in the order in which they are posted, or in the opposite one.
    # Their milliseconds differ, so that cutting, rounding and moving them are told apart.
    plain = post("plain", "Browse", 2123)
    special = post("special", "Favorite", 4678, "  ", " \"quotes\" 'apostrophes' <b>angle</b> & café 🏡  ")
    long = post("long", "Browse", 1987)._replace(is_spare=True)
    long.activity["text"] += " x" * ((LONG_TEXT - len(long.activity["text"])) // 2)
    long.activity["text"] = long.activity["text"].ljust(LONG_TEXT, "x")
    # Last: its refusal is the likeliest. A text of its own it has, or nobody would see that it is a test.
    return [
        plain,
        plain._replace(name="twin", turn=2, is_spare=True),
        special,
        long,
        post("empty", "Browse", 3456, link="", picture=""),
    ]


class Fate(Enum):
    """What the answer to a post said."""

    ACCEPTED = "accepted"
    REFUSED = "refused for what it holds"
    UNKNOWN = "sent, and no trustworthy answer came"
    NOT_STORED = "not sent, or refused whatever it holds"
    LEFT_OUT = "made way for another"


@dataclass
class Posted:
    """
    A post, and what came of it.

    :param answer: the last one to it
    :param answered: when it came, by the clock
    :param said: why it was refused, or is unknown
    :param is_refused: whether Lofty itself refused it, for whatever reason
    :param shown: how many with its token were listed, at most
    :param looked: by the clock; when the last look at the whole list that did not show it was asked for, and when the
        first that did was answered
    :param sought: by the clock; when the last look that did not show it was asked for, whatever it read
    """

    post: Post
    fate: Fate = Fate.NOT_STORED
    answer: Answer | None = None
    answered: float = 0.0
    said: str = ""
    is_refused: bool = False
    entry: dict[str, Any] | None = None
    shown: int = 0
    looked: list[float] = field(default_factory=lambda: [0.0, 0.0])
    sought: float = 0.0

    @property
    def sought_seconds(self) -> float:
        """For how long it was looked for in vain."""
        return max(self.sought - self.answered, 0.0)

    @property
    def missed_seconds(self) -> float:
        """For how long at least it was not shown."""
        return max(self.looked[0] - self.answered, 0.0)

    @property
    def shown_seconds(self) -> float | None:
        """After how long it was shown; None when it was not."""
        return None if self.entry is None else self.looked[1] - self.answered

    def look(self, entries: list[dict[str, Any]], asked: float, answered: float, *, is_whole: bool) -> None:
        """
        Look for it in what is listed.

        :param asked: by the clock; later it may have been there
        :param answered: by the clock; earlier it may not have been there
        :param is_whole: whether these are all; it may be elsewhere if not
        """
        found = [entry for entry in entries if self.post.is_in(entry)]
        self.shown = max(self.shown, len(found))
        if self.entry is not None:
            return
        if len(found) >= self.post.turn:
            self.entry, self.looked[1] = found[self.post.turn - 1], answered
            return
        self.sought = asked
        if is_whole:
            self.looked[0] = asked

    def forget_looks(self) -> None:
        """Where it was missing, it may have been on a page that was not read."""
        self.looked[0] = 0.0


def changes_of(name: str, pairs: Sequence[tuple[Any, Any]]) -> list[str]:
    """
    Name what became of a field; nothing where it is shown as it was sent.

    :param pairs: what was sent, and what is shown of it
    """
    if name != "created":
        return texts.changes_of(pairs)
    found = [change for sent, shown in pairs for change in _changes_of_created(sent, shown)]
    moves = {change for change in found if change.startswith("moved_by")}
    if len(moves) > 1:
        found = ["another_time", *(change for change in found if change not in moves)]
    return list(dict.fromkeys(found))


def _changes_of_created(sent: int, shown: Any) -> list[str]:
    if type(shown) is int and shown == sent:
        return []
    if isinstance(shown, str) and shown.isascii() and shown.isdigit() and len(shown) <= _MOST_DIGITS:
        return ["text", *(_changes_of_created(sent, int(shown)) if int(shown) != sent else ())]
    if isinstance(shown, str) and shown == str(changed(sent, ["decimal_seconds"])):
        return ["text", "decimal_seconds"]
    if type(shown) is float and shown == changed(sent, ["decimal_seconds"]):
        return ["decimal_seconds"]
    if type(shown) is float and shown.is_integer():
        return ["fraction", *(_changes_of_created(sent, int(shown)) if int(shown) != sent else ())]
    if type(shown) is not int:
        return ["not_a_number"]
    if shown in (whole := {changed(sent, [name]): name for name in ("seconds", "whole_seconds")}):
        return [whole[shown]]
    moved = shown - sent
    return [f"moved_by_{moved}"] if abs(moved) < _MOST_MOVED else ["not_a_number"]
