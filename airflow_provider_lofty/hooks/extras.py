"""The names of a connection's extra fields: ours, ours misspelt, and what other tools put there."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_lofty.hooks.form import FORM_FIELDS

EXTRAS = (*(field.name for field in FORM_FIELDS), "customer_key", "profile")
_MOST_TYPOS = 2


def refuse_misspelt(names: Iterable[str]) -> None:
    """
    Refuse a name that is one or two letters from ours: what it says would be ignored.

    :raises ValueError: naming it and the one that was meant
    """
    for name in unknown(names):
        typos, closest = min((_typos(name.casefold(), ours), ours) for ours in EXTRAS)
        if typos <= _MOST_TYPOS:
            raise ValueError(f"extra has {name!r}, which is no field of it; the closest is {closest!r}")


def unknown(names: Iterable[str]) -> list[str]:
    """Name what means nothing here."""
    return [name for name in map(str, names) if name not in EXTRAS]


def _typos(written: str, meant: str) -> int:
    """Count the letters that were left out, added or replaced (Levenshtein's distance)."""
    row = list(range(len(meant) + 1))
    for i, letter in enumerate(written, 1):
        left, diagonals = i, row
        row = [i]
        for other, above, diagonal in zip(meant, diagonals[1:], diagonals, strict=False):
            left = min(left + 1, above + 1, diagonal + (letter != other))
            row.append(left)
    return row[-1]
