"""How far a run is, as the task's page is shown it: a small JSON object in an XCom."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from airflow_provider_lofty.report.summary import Count, Number, Summary

XCOM_KEY = "lofty_progress"

Phase = Literal["reading", "sending", "ended"]


class Failure(msgspec.Struct, frozen=True):
    """Why a run raised: an exception's type, and its text where that is this provider's own."""

    type: str = ""
    text: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """
    Facts about a run: numbers, outcomes, error texts and paths; never a value of a row. What is unset is left out.

    :param at: when it was written, in ISO 8601
    :param report_path: where the report will lie
    :param outcomes: rows by outcome; those that did not occur are left out
    :param left: rows that are still to be sent or settled
    :param seconds_left: how long sending takes; None while that is unknown
    :param limit: requests a minute that Lofty allows; None until it names them
    :param cap: requests a minute that the author or the connection allows
    :param profile_remarks: what the connection's profile says that may keep rows from being settled
    """

    try_number: Count | UnsetType = UNSET
    preview: bool | UnsetType = UNSET
    report_path: str | UnsetType | None = UNSET
    phase: Phase | UnsetType = UNSET
    at: str | UnsetType = UNSET
    read: Count | UnsetType = UNSET
    outcomes: dict[str, Count] | UnsetType = UNSET
    left: Count | UnsetType = UNSET
    in_doubt: Count | UnsetType = UNSET
    rows_per_minute: Number | UnsetType = UNSET
    seconds_left: Number | UnsetType | None = UNSET
    requests: Count | UnsetType = UNSET
    throttled: Count | UnsetType = UNSET
    limit: Number | UnsetType | None = UNSET
    cap: Number | UnsetType | None = UNSET
    profile_remarks: list[str] | UnsetType = UNSET
    summary: Summary | UnsetType = UNSET
    error: Failure | UnsetType = UNSET
