"""Why a run ended before its last row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from airflow_provider_lofty.exceptions import LoftyCredentialRefused, LoftyError


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


def stop_for(error: LoftyError) -> Stop:
    """Stop because of what concerns every row: the credential, or what the author has to change."""
    is_credential = isinstance(error, LoftyCredentialRefused)
    return Stop(StopKind.CREDENTIAL if is_credential else StopKind.CONFIGURATION, str(error), error)
