"""
How far the next run may go on: what one run knows, laid over what other runs have written down.

Nothing that was held back is let go by a run that has not read it: one that began to read later than what is held, or
before it was held.
"""

from __future__ import annotations

from typing import NamedTuple

from airflow_provider_lofty.journal.cursor import Mark
from airflow_provider_lofty.rows.cursor import CursorValue, Lag


def goes_on_from(mark: Mark) -> CursorValue | None:
    """From where reading goes on, but for the lag; None: from the beginning."""
    return mark.held if mark.is_held else mark.watermark


def next_since(mark: Mark, lag: Lag | None) -> CursorValue | None:
    """
    From where the next run reads: the watermark less the lag, or what is held back where that is lower.

    :raises CursorError: when there is no lag for such values
    """
    watermark = mark.watermark
    since = watermark if watermark is None or lag is None else lag.before(watermark)
    if since is None or mark.held is None or not since.comes_before(mark.held):
        return mark.held if mark.is_held else since
    return since


class Reach(NamedTuple):
    """
    What one run has read.

    :param since: from where
    :param generation: of the mark as it was when the run began to read
    :param is_ordered: rows came in the cursor's order
    """

    since: CursorValue | None
    generation: int
    is_ordered: bool

    def merged(self, before: Mark | None, own: Mark) -> Mark:
        """
        Lay what this run knows over what is known.

        :param own: the highest value that was read, and what this run holds back
        """
        if before is None or before.column != own.column or _differ(before.watermark, own.watermark):
            return self._with_start(own)
        after = own._replace(watermark=self._higher(before.watermark, own.watermark))
        if before.is_held and not self._covers(before, own):
            return after._replace(
                is_held=True,
                held=_lower(before.held, own.held) if own.is_held else before.held,
                held_by=None if own.is_held else before.held_by,
            )
        return self._with_start(after)

    def _with_start(self, after: Mark) -> Mark:
        """Where no row was ever read, the next run begins where this one did."""
        if after.watermark is None and not after.is_held and self.since is not None:
            return after._replace(is_held=True, held=self.since)
        return after

    def _higher(self, before: CursorValue | None, own: CursorValue | None) -> CursorValue | None:
        if own is None or before is None:
            return before if own is None else own
        if self.is_ordered and before == self.since:
            return own  # the last of those that its database puts at the watermark or above
        return own.at_least(before)

    def _covers(self, before: Mark, own: Mark) -> bool:
        """Whether this run has read all that was held back before it began."""
        if before.generation != self.generation:
            return False
        if before.held_by == own.held_by or self.since is None:
            return True
        return before.held is not None and before.held.comes_before(self.since) is False


def _differ(one: CursorValue | None, other: CursorValue | None) -> bool:
    return one is not None and other is not None and one.family != other.family


def _lower(one: CursorValue | None, other: CursorValue | None) -> CursorValue | None:
    """Give the lower one; None, which is the beginning, where only the database knows."""
    if one is None or other is None:
        return None
    is_lower = one.comes_before(other)
    return None if is_lower is None else one if is_lower else other
