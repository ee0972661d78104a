"""
What Lofty has already: before a row is sent, its lead's activities may be read.

``sample`` looks at a few rows spread over the input; when Lofty has one of them, something sent them before that nobody
wrote down, and from then on every lead is read before it is sent to. ``always`` does so from the start, ``never`` not
at all. A later try that finds no journal has to read every lead, whatever was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from airflow_provider_lofty.delivery.matching import is_altered
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.spool.spool import PendingRow

SAMPLE_ROWS = 5
MODES = ("sample", "always", "never")


class Reason(Enum):
    """Why leads are read before they are sent to."""

    CHOSEN = "check_existing"
    FOUND = "rows were found there"
    NO_JOURNAL = "an earlier try left no journal"


class Precheck:
    """
    Which leads to read before their rows are sent.

    :param mode: ``sample``, ``always`` or ``never``
    :param has_lost_journal: this is a later try, and nothing says what the earlier ones sent
    :param not_before: when reading may begin: what an earlier try sent last must have had time to show
    """

    def __init__(self, mode: str, *, has_lost_journal: bool, not_before: float) -> None:
        self.reason = Reason.NO_JOURNAL if has_lost_journal else Reason.CHOSEN if mode == "always" else None
        self.not_before = not_before if has_lost_journal else 0.0
        self._samples = mode == "sample" and not has_lost_journal
        self._sampled: set[int] = set()

    @property
    def reads_every_lead(self) -> bool:
        """Whether a lead is read before anything is sent to it."""
        return self.reason is not None

    @property
    def is_strict(self) -> bool:
        """Whether rows may have been sent of which nobody knows."""
        return self.reason is Reason.NO_JOURNAL

    @property
    def is_found(self) -> bool:
        """Whether Lofty had rows that nobody wrote down."""
        return self.reason is Reason.FOUND

    @property
    def is_sampling(self) -> bool:
        """Whether the sample has to be read, or is being read."""
        return self._samples or bool(self._sampled)

    def begin_sample(self, rows: Sequence[PendingRow]) -> None:
        """Take these rows for the sample."""
        self._samples = False
        self._sampled = {row.lead_id for row in rows}

    @property
    def sample_is_due(self) -> bool:
        """Whether the sample has not been taken yet."""
        return self._samples

    def was_read(self, lead_id: int, found: int) -> bool:
        """
        Learn that a lead was read.

        :param found: how many of its rows Lofty had
        :return: whether this is why every lead is read from now on
        """
        self._sampled.discard(lead_id)
        if found and self.reason is None:
            self.reason = Reason.FOUND
            return True
        return False

    def give_up(self) -> None:
        """Reading is not permitted or does not work: go on without."""
        self._samples, self.reason = False, None
        self._sampled.clear()


def looks_like_any(one: Trace, others: Sequence[Trace]) -> bool:
    """Whether one of these may be this activity, altered."""
    return any(is_altered(one, other) for other in others)
