"""What became of texts until they were read back: the fewest changes that explain all that is shown, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, combinations, product
from typing import Any

from airflow_provider_lofty.profile.changes import changed, is_long, is_special

Pair = tuple[str, Any]  # what was sent, and what is shown of it

# Of each group at most one is made.
_GROUPS = (
    ("trimmed", "trimmed_left", "trimmed_right"),
    ("single_blanks",),
    ("without_tags",),
    ("html", "html_with_numbers", "html_but_quotes"),
    ("without_query",),
    ("without_emoji", "emoji_as_question_marks", "emoji_as_two_question_marks", "emoji_as_replacement"),
    ("lower_case", "upper_case"),
)
_MOST_TOGETHER = 4
_CUT = "cut_to_"
_TOO_LONG = 10**6  # characters: a change that cuts to so many has no name
_KINDS: dict[str, Callable[[str], bool]] = {"special_changed": is_special, "long_changed": is_long}


def changes_of(pairs: Sequence[Pair]) -> list[str]:
    """Name the changes that explain every pair; what none explain is changed."""
    empty_ones = [shown for sent, shown in pairs if not sent]
    empty = ["empty_as_null"] if None in empty_ones else []
    others = [pair for pair in pairs if pair[0] or pair[1] is not None]
    return [*_changes_of_all([pair for pair in others if pair[0]], others), *empty]


def _changes_of_all(filled: Sequence[Pair], pairs: Sequence[Pair]) -> list[str]:
    for name, is_so in (("null", _is_null), ("not_text", _is_no_text)):
        if filled and all(is_so(shown) for _, shown in filled):
            return [name]
    found = _explaining(pairs)
    return found if found is not None else _changes_of_part(pairs)


def _changes_of_part(pairs: Sequence[Pair]) -> list[str]:
    """Name the kinds of text that alone are changed beyond what is known, as few as can be."""
    for kinds in chain(*(combinations(_KINDS, count) for count in (1, 2))):
        others = [pair for pair in pairs if not _is_of(kinds, pair)]
        found = _explaining(others) if any(sent for sent, _ in others) else None
        if found is not None and not _are_contradicted(found, [pair for pair in pairs if _is_of(kinds, pair)]):
            return [*found, *kinds]
    return ["changed"]


def _is_of(kinds: Sequence[str], pair: Pair) -> bool:
    return any(_KINDS[kind](pair[0]) for kind in kinds)


def _are_contradicted(names: list[str], pairs: Sequence[Pair]) -> bool:
    """Whether one of these is longer than what they cut others to."""
    lengths = [int(name.removeprefix(_CUT)) for name in names if name.startswith(_CUT)]
    return any(isinstance(shown, str) and len(shown) > length for length in lengths for _, shown in pairs)


def _explaining(pairs: Sequence[Pair]) -> list[str] | None:
    """Give the fewest changes that explain all of them; one that cuts as the last resort."""
    if any(not isinstance(shown, str) for _, shown in pairs):
        return None
    telling = sorted(pairs, key=lambda pair: not is_special(pair[0]))  # the first one rules most out
    for add_cut in (None, _with_cut):
        for names in _combinations():
            tried = add_cut(names, telling) if add_cut else names
            if tried is not None and _explain(tried, telling):
                return tried
    return None


def _combinations() -> Iterator[list[str]]:
    for count in range(_MOST_TOGETHER + 1):
        for groups in combinations(_GROUPS, count):
            yield from map(list, product(*groups))


def _explain(names: list[str], pairs: Sequence[Pair]) -> bool:
    return all(changed(sent, names) == shown for sent, shown in pairs)


def _with_cut(names: list[str], pairs: Sequence[Pair]) -> list[str] | None:
    """Add the only length to which all that is shown otherwise may have been cut."""
    length = max((len(shown) for sent, shown in pairs if changed(sent, names) != shown), default=_TOO_LONG)
    return [*names, f"{_CUT}{length}"] if length < _TOO_LONG else None


def _is_null(shown: object) -> bool:
    return shown is None


def _is_no_text(shown: object) -> bool:
    return shown is not None and not isinstance(shown, str)
