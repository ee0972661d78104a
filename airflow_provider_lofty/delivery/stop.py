"""Why a run ended before its last row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from airflow_provider_lofty.exceptions import LoftyError


class StopKind(Enum):
    """Why a run ended before its last row."""

    KILLED = "killed"
    TIME = "time"
    OUTAGE = "outage"
    JOURNAL = "journal"
    CREDENTIAL = "credential"
    CONFIGURATION = "configuration"
    REJECTIONS = "rejections"


@dataclass(frozen=True)
class Stop:
    """
    Why a run ended before its last row.

    :param reason: for people, with what to do now
    :param error: what to raise, where the cause has an exception of its own
    """

    kind: StopKind
    reason: str
    error: LoftyError | None = None
