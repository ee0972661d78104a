"""What came of the rows, in short: small whatever the input, and without a value of any row."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_lofty.spool.spool import ErrorGroup, Spool

SUMMARY_BYTES = 8000
_ERROR_GROUPS = 5


def summary(
    spool: Spool,
    *,
    seconds: float,
    requests: int,
    throttled: int,
    report_path: str | None,
    read_backs: int = 0,
    carried_over: int = 0,
) -> dict[str, Any]:
    """
    Sum up a run in less than :data:`SUMMARY_BYTES` bytes of JSON.

    :param seconds: how long the run took
    :param requests: HTTP requests made, tokens and look-ups included
    :param throttled: how many of them were refused for their rate
    :param read_backs: how often a lead's activities were read
    :param carried_over: rows of earlier tries, in doubt then, that the input has no more
    """
    groups = spool.error_groups(_ERROR_GROUPS)
    for length in (300, 80, 20):
        found = {
            "read": spool.read,
            **spool.counts(),
            "carried_over": carried_over,
            "seconds": round(seconds, 1),
            "requests": requests,
            "throttled": throttled,
            "read_backs": read_backs,
            "errors": [_group(group, spool, length) for group in groups],
            "report_path": _shortened(report_path, length * 10),
        }
        if len(json.dumps(found)) < SUMMARY_BYTES:
            break
    return found


def _group(group: ErrorGroup, spool: Spool, length: int) -> dict[str, Any]:
    return {
        "count": group.rows,
        "outcome": group.outcome,
        "http_status": group.http_status,
        "error_code": group.error_code,
        "error_field": _shortened(group.error_field, length),
        "error": _shortened(group.error, length),
        "example_source": _shortened(spool.source(group.source), length),
        "example_row": group.row_number,
        "example_lead_id": group.lead_id,
    }


def _shortened(text: str | None, length: int) -> str | None:
    return text if text is None or len(text) <= length else text[: length - 1] + "…"
