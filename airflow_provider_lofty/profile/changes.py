"""What may become of an activity's fields until they are read back: a name for each change, and how it is made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from html import escape
from typing import Any, NamedTuple

HOUR_MILLISECONDS = 3_600_000


class Change(NamedTuple):
    """
    One change.

    :param words: for people
    :param make: gives what is shown of what was sent
    :param is_harmless: whether a row that is shown so is still found again
    """

    words: str
    make: Callable[[Any], Any]
    is_harmless: bool = False


# In the order in which they are made, should there be several.
OF_TEXTS: dict[str, Change] = {
    "trimmed": Change("without the blanks around it", str.strip),
    "single_blanks": Change("with single blanks", lambda text: re.sub(r"\s+", " ", text)),
    "without_tags": Change("without what stands in angle brackets", lambda text: re.sub("<[^>]*>", "", text)),
    "html": Change("as HTML writes it", escape),
    "html_but_quotes": Change("as HTML writes it, but for quotes", partial(escape, quote=False)),
    "without_emoji": Change("without emoji", lambda text: re.sub("[\U00010000-\U0010ffff]", "", text)),
    "emoji_as_question_marks": Change("with ? for emoji", lambda text: re.sub("[\U00010000-\U0010ffff]", "?", text)),
    "lower_case": Change("in lower case", str.lower),
    "upper_case": Change("in upper case", str.upper),
    "changed": Change("changed", lambda text: f"{text} (changed)"),
    "empty_as_null": Change("null where it is empty", lambda text: text or None, is_harmless=True),
    "not_text": Change("not as text", lambda text: [text]),
    "null": Change("null", lambda text: None),
}
OF_CREATED: dict[str, Change] = {
    "whole_seconds": Change("without its milliseconds", lambda created: created // 1000 * 1000),
    "another_time": Change("another time", lambda created: created - created // 1000),
    "seconds": Change("in seconds", lambda created: created // 1000),
    "fraction": Change("as a decimal fraction", float),
    "text": Change("as text", str, is_harmless=True),
    "not_a_number": Change("not as a number", lambda created: None),
}
_CUT, _MOVED = re.compile(r"cut_to_([0-9]{1,6})"), re.compile(r"moved_by_(-?[0-9]{1,15})")


def change_named(name: str) -> Change | None:
    """Give the change of that name; None where there is none."""
    if match := _CUT.fullmatch(name):
        length = int(match[1])
        return Change(f"cut to {length} characters", lambda text: text[:length])
    if match := _MOVED.fullmatch(name):
        return _moved_by(int(match[1]))
    return OF_TEXTS.get(name) or OF_CREATED.get(name)


def _moved_by(milliseconds: int) -> Change:
    hours = milliseconds % HOUR_MILLISECONDS == 0
    words = f"{milliseconds / HOUR_MILLISECONDS:g} h" if hours else f"{milliseconds} ms"
    return Change(f"moved by {words}", lambda created: created + milliseconds)


def words_for(names: Iterable[str]) -> str:
    """Say in words what these changes are, by name."""
    return ", ".join(change.words for name in names if (change := change_named(name)))


def matter(names: Iterable[str]) -> bool:
    """Whether a row that is shown so is not recognised as the one that was sent."""
    return any(not change.is_harmless for name in names if (change := change_named(name)))


def changed(value: Any, names: Iterable[str]) -> Any:
    """Make these changes, by name, in the order in which they make sense."""
    order = [*OF_TEXTS, *OF_CREATED]
    numbered = [name for name in names if name not in order]
    for name in (*numbered, *sorted(set(names) - set(numbered), key=order.index)):
        change = change_named(name)
        if change is not None:
            value = change.make(value)
    return value
