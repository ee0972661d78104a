"""What becomes of a row: every row read has exactly one outcome, and the outcomes add up to the rows read."""

from __future__ import annotations

from enum import Enum


class Outcome(str, Enum):
    """One row's outcome, as reports, summaries and the task's page write it."""

    DELIVERED = "delivered"  # Lofty confirmed it, or reading back found it
    ALREADY_DELIVERED = "already_delivered"  # delivered before, as the journal, a report fed back, or Lofty itself says
    DUPLICATE = "duplicate"  # repeats another row of this input, and shares its fate
    INVALID = "invalid"  # cannot become an activity; nothing was sent
    REJECTED = "rejected"  # Lofty refused it, or it was proven not to be stored each time it was sent
    UNKNOWN = "unknown"  # perhaps stored: by this try or an earlier one; reading back could not settle it
    NOT_ATTEMPTED = "not_attempted"  # the run stopped first
    UNMATCHED = "unmatched"  # no lead, or several, have the row's e-mail address or phone number; nothing was sent
    WOULD_SEND = "would_send"  # preview only

    __str__ = str.__str__  # the value, in f-strings too: Pythons differ in what they make of a str that is an Enum


OUTCOMES = tuple(Outcome)
FAILED_OUTCOMES = (Outcome.INVALID, Outcome.REJECTED, Outcome.UNKNOWN, Outcome.NOT_ATTEMPTED)
WRONG_OUTCOMES = (*FAILED_OUTCOMES, Outcome.UNMATCHED)  # of rows that somebody has to look at
