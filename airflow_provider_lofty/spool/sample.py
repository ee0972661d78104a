"""
How many rows of an input were not in an earlier one, estimated from a few hundred rows of each.

Row keys are hashes, so the lowest of them are a fair sample: what lies below a bound in one input and was not among
those below it in the other is new.
"""

from __future__ import annotations

from typing import NamedTuple

SAMPLE_ROWS = 200
ROW_KEY_BYTES = 6  # enough to tell a day's rows apart


class InputSample(NamedTuple):
    """
    An input.

    :param rows: how many different rows it has
    :param lowest: the first :data:`ROW_KEY_BYTES` of its :data:`SAMPLE_ROWS` lowest row keys, joined, ascending
    """

    rows: int
    lowest: bytes

    def unseen_since(self, before: InputSample) -> int:
        """Estimate how many of the rows were not in the input before."""
        mine, theirs = _split(self.lowest), _split(before.lowest)
        bound = min((sample[-1] for sample in (mine, theirs) if len(sample) == SAMPLE_ROWS), default=b"\xff" * 8)
        compared = [row_key for row_key in mine if row_key <= bound]
        unseen = len(set(compared).difference(theirs))
        return round(self.rows * unseen / len(compared)) if compared else 0


def _split(joined: bytes) -> list[bytes]:
    return [joined[start : start + ROW_KEY_BYTES] for start in range(0, len(joined), ROW_KEY_BYTES)]
