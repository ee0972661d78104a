"""What came of the rows, in short: small whatever the input, and without a value of any row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from airflow_provider_lofty.outcomes import OUTCOMES
from airflow_provider_lofty.spool.books import FailureGroup
from airflow_provider_lofty.spool.spool import Spool

SUMMARY_FORMAT = 1  # raised when a key changes its meaning; a reader that knows another one leaves the summary alone
SUMMARY_BYTES = 8000
_ERROR_GROUPS = 5
_MANY_REQUESTS = 50

# Bounds for readers of XComs, which may hold anything; a browser's numbers are exact within them.
Count = Annotated[int, msgspec.Meta(ge=0, lt=10**15)]
Number = Annotated[float, msgspec.Meta(gt=-1e15, lt=1e15)]
LeadId = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class ErrorGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Failed rows that failed alike, with the first of them as the example."""

    count: Count = 0
    outcome: str = ""
    http_status: Count | None = None
    error_code: Count | None = None
    error_field: str | None = None
    error: str | None = None
    example_source: str | None = None
    example_row: Count | None = None
    example_line: Count | None = None
    example_lead_id: LeadId | None = None


class CursorSummary(msgspec.Struct, frozen=True, kw_only=True):
    """
    How far a source that only grows was read.

    :param since: from which value on, that one included; None: from the beginning
    :param to: from which value on the next run reads, less ``cursor_lag``; None: from the beginning
    :param held_back_by: why that is not the highest value that was read
    :param behind: rows of this run that failed for good, and that no later run reads
    """

    column: str = ""
    since: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    held_back_by: str | None = None
    behind: Count = 0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """
    What came of one run.

    :param read: rows read; each has one outcome
    :param carried_over: rows of earlier tries, in doubt then, that are no longer in the input
    :param seconds: how long the run took
    :param requests: HTTP requests made, tokens and look-ups included
    :param throttled: how many of them were refused for their rate
    :param read_backs: how often a lead's activities were read
    :param seconds_in_doubt: for how long at least one row was in doubt, rounded up
    :param quota_share: which part of the requests that Lofty allows in this time were made, from 0 to 1; None where it
        states no limit, and of few requests, which say nothing
    :param learned_limit: what requests_per_minute is worth setting to: close below what Lofty refused, where it states
        no limit; None where it refused nothing
    :param errors: the largest groups of failed and unmatched rows
    :param digest: what the input is known by, whatever the order of its rows; None where it was not read to its end
    :param cursor: left out where there is none
    :param profile_remarks: what the connection's profile says that may keep rows from being settled; left out where
        there is nothing
    :param format: :data:`SUMMARY_FORMAT` of whoever wrote it
    """

    read: Count = 0
    delivered: Count = 0
    already_delivered: Count = 0
    duplicate: Count = 0
    invalid: Count = 0
    rejected: Count = 0
    unknown: Count = 0
    not_attempted: Count = 0
    unmatched: Count = 0
    would_send: Count = 0
    carried_over: Count = 0
    seconds: Number = 0.0
    requests: Count = 0
    throttled: Count = 0
    read_backs: Count = 0
    seconds_in_doubt: Count = 0
    quota_share: Number | None = None
    learned_limit: Count | None = None
    errors: list[ErrorGroup] = []
    report_path: str | None = None
    digest: str | None = None
    cursor: CursorSummary | UnsetType = UNSET
    profile_remarks: list[str] | UnsetType = UNSET
    format: int = SUMMARY_FORMAT

    @property
    def is_readable(self) -> bool:
        """Whether its keys mean what they mean here."""
        return self.format == SUMMARY_FORMAT

    @property
    def outcomes(self) -> dict[str, int]:
        """Rows by outcome, all of them."""
        return {outcome.value: getattr(self, outcome) for outcome in OUTCOMES}


def summary_of(
    spool: Spool,
    *,
    seconds: float,
    requests: int,
    throttled: int,
    report_path: str | None,
    read_backs: int = 0,
    seconds_in_doubt: int = 0,
    limit: float | None = None,
    carried_over: int = 0,
    learned_limit: int | None = None,
    digest: str | None = None,
    cursor: CursorSummary | None = None,
    profile_remarks: Sequence[str] = (),
) -> Summary:
    """
    Sum up a run in less than :data:`SUMMARY_BYTES` bytes of JSON; see :class:`Summary`.

    :param limit: requests a minute that Lofty allows, where it states them
    """
    groups = spool.books.failure_groups(_ERROR_GROUPS)
    for length in (300, 80, 20):
        found = Summary(
            read=spool.read,
            **spool.books.counts(),
            carried_over=carried_over,
            seconds=round(seconds, 1),
            requests=requests,
            throttled=throttled,
            read_backs=read_backs,
            seconds_in_doubt=seconds_in_doubt,
            quota_share=_quota_share(requests, seconds, limit),
            learned_limit=learned_limit,
            errors=[_error_group(group, spool, length) for group in groups],
            report_path=_shortened(report_path, length * 10),
            digest=digest,
            cursor=UNSET if cursor is None else _short_cursor(cursor, length),
            profile_remarks=[_shortened(each, length) or "" for each in profile_remarks] or UNSET,
        )
        if len(json.dumps(msgspec.to_builtins(found))) < SUMMARY_BYTES:
            break
    return found


def _quota_share(requests: int, seconds: float, limit: float | None) -> float | None:
    if not limit or seconds <= 0 or requests < _MANY_REQUESTS:
        return None
    return min(round(requests * 60 / (limit * seconds), 3), 1.0)


def _error_group(group: FailureGroup, spool: Spool, length: int) -> ErrorGroup:
    return ErrorGroup(
        count=group.rows,
        outcome=group.outcome,
        http_status=group.http_status,
        error_code=group.error_code,
        error_field=_shortened(group.error_field, length),
        error=_shortened(group.error, length),
        example_source=_shortened(spool.source(group.source), length),
        example_row=group.row_number,
        example_line=group.line,
        example_lead_id=group.lead_id,
    )


def _short_cursor(cursor: CursorSummary, length: int) -> CursorSummary:
    texts = ("column", "since", "to", "held_back_by")
    return msgspec.structs.replace(cursor, **{name: _shortened(getattr(cursor, name), length) for name in texts})


def _shortened(text: str | None, length: int) -> str | None:
    return text if text is None or len(text) <= length else text[: length - 1] + "…"
