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


LONG_TEXT = 2000  # characters; of this length is the long one that first contact posts
_IS_SPECIAL = re.compile("^\\s|\\s$|[\"'<>&]|[^\\x00-\\x7f]")
_EMOJI = re.compile("[\U00010000-\U0010ffff]")


def is_special(text: str) -> bool:
    """Whether it has what servers often change: blanks around it, quotes, angle brackets, &, not only ASCII."""
    return _IS_SPECIAL.search(text) is not None


def is_long(text: str) -> bool:
    """Whether it is as long as the longest that first contact posts."""
    return len(text) >= LONG_TEXT


def _html_with_numbers(text: str) -> str:
    return escape(text).replace("&#x27;", "&#39;")


def _unlike(text: str) -> str:
    return f"{text} (changed)"


# In the order in which they are made, should there be several; a text is cut after them.
OF_TEXTS: dict[str, Change] = {
    "trimmed": Change("without the blanks around it", str.strip),
    "trimmed_left": Change("without the blanks before it", str.lstrip),
    "trimmed_right": Change("without the blanks behind it", str.rstrip),
    "single_blanks": Change("with single blanks", lambda text: re.sub(r"\s+", " ", text)),
    "without_tags": Change("without what stands in angle brackets", lambda text: re.sub("<[^>]*>", "", text)),
    "html": Change("as HTML writes it", escape),
    "html_with_numbers": Change("as HTML writes it, an apostrophe by its number", _html_with_numbers),
    "html_but_quotes": Change("as HTML writes it, but for quotes", partial(escape, quote=False)),
    "without_query": Change("without what follows a ?", lambda text: text.partition("?")[0]),
    "without_emoji": Change("without emoji", partial(_EMOJI.sub, "")),
    "emoji_as_question_marks": Change("with ? for emoji", partial(_EMOJI.sub, "?")),
    "emoji_as_two_question_marks": Change("with ?? for emoji", partial(_EMOJI.sub, "??")),
    "emoji_as_replacement": Change("with U+FFFD for emoji", partial(_EMOJI.sub, "\N{REPLACEMENT CHARACTER}")),
    "lower_case": Change("in lower case", str.lower),
    "upper_case": Change("in upper case", str.upper),
    "special_changed": Change(
        "changed where it has blanks around it, quotes, emoji or angle brackets",
        lambda text: _unlike(text) if is_special(text) else text,
    ),
    "long_changed": Change("changed where it is long", lambda text: _unlike(text) if is_long(text) else text),
    "changed": Change("changed", _unlike),
    "empty_as_null": Change("null where it is empty", lambda text: text or None, is_harmless=True),
    "not_text": Change("not as text", lambda text: [text]),
    "null": Change("null", lambda text: None),
}
OF_CREATED: dict[str, Change] = {
    "whole_seconds": Change("without its milliseconds", lambda created: created // 1000 * 1000),
    "another_time": Change("another time", lambda created: created - created // 1000),
    "seconds": Change("in seconds", lambda created: created // 1000),
    "decimal_seconds": Change("in seconds, with its milliseconds as a fraction", lambda created: created / 1000),
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
    for name in sorted(set(names), key=_place):
        change = change_named(name)
        if change is not None:
            value = change.make(value)
    return value


_PLACES = {name: place for place, name in enumerate([*OF_TEXTS, *OF_CREATED], 1)}
_CUT_AFTER = _PLACES["upper_case"]  # what comes after it is no text, or is not known


def _place(name: str) -> float:
    """A time is moved before all else; a text is cut when it is written as it will be shown."""
    return _CUT_AFTER + 0.5 if _CUT.fullmatch(name) else _PLACES.get(name, 0)
