"""A lead's list of activities as it is read: how its pages are counted, how long they are, and whether that was all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

Page = list[Any]


def first_page_of(pages: Sequence[Page]) -> Literal[0, 1] | None:
    """
    Say by which number the first page goes; None where nobody can tell, or each is the first one.

    :param pages: those asked for as 0, 1 and, where these two are the same, 2
    """
    if len(pages) < 2 or not pages[0]:
        return None
    if pages[0] != pages[1]:
        return 0
    return 1 if len(pages) > 2 and pages[2] != pages[0] else None


def ignores_page(pages: Sequence[Page]) -> bool | None:
    """Whether each page is the first one."""
    if len(pages) < 2 or not pages[0]:
        return None
    if first_page_of(pages) is not None:
        return False
    return True if len(pages) > 2 else None


def page_size_of(pages: Sequence[Page]) -> int | None:
    """Say how many entries a page has; None as long as there is none behind the first."""
    first = first_page_of(pages)
    return len(pages[0]) if first is not None and pages[first + 1] else None


def overlap(pages: Sequence[Page], ours: Sequence[Any]) -> bool:
    """Whether an entry is on two pages, but one of ours: the list moved, or is in another order each time."""
    seen: Page = []
    for page in pages:
        others = [entry for entry in page if entry not in ours]
        if any(entry in seen for entry in others):
            return True
        seen += others
    return False


def without_repeats(pages: Sequence[Page]) -> list[Page]:
    """Leave out what is on an earlier page already: of equal entries only those of one page are known to be several."""
    kept: list[Page] = []
    for page in pages:
        kept.append([entry for entry in page if not any(entry in before for before in kept)])
    return kept
