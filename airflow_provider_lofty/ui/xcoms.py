"""What tasks have pushed, wherever Airflow's store of XComs keeps it: in its database, or somewhere else."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time.xcom import XCom

from airflow_provider_lofty.report.status import Status
from airflow_provider_lofty.ui.structs import status_from

_MOST_KEPT = 1000


class Stored(NamedTuple):
    """
    A status that a store of XComs keeps in its own way.

    :param text: what it left in Airflow's database, as JSON
    :param at: when
    """

    text: str
    at: datetime

    @property
    def value(self) -> object:
        """What it left; under this name stores look for it."""
        return json.loads(self.text)


def status_or_stored(value: object, at: datetime) -> Status | Stored | None:
    """Read a status that lies in Airflow's database itself; else say where it is kept."""
    is_plain = isinstance(value, dict) and "try_number" in value  # as it was pushed
    return status_from(value) if is_plain or XCom is BaseXCom else Stored(json.dumps(value), at)


def read_status(found: Status | Stored | None) -> Status | None:
    """Read a status wherever it is kept, which may take a while."""
    if not isinstance(found, Stored):
        return found
    try:
        return _kept(found)
    except Exception:  # noqa: BLE001 - each store fails in its own way, and what it says may hold a path or a key
        return None


@lru_cache(_MOST_KEPT)  # a mapped task has many of them, and the page looks every few seconds
def _kept(stored: Stored) -> Status | None:
    return status_from(XCom.deserialize_value(stored))
