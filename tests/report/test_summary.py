"""The summary stays small, and tells nothing of any row."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.report.summary import ERRORS_BYTES, SUMMARY_BYTES, errors_so_far, summary_of
from airflow_provider_lofty.spool.spool import Spool, SpoolRow


def small(spool: Spool, report_path: str | None = None) -> dict[str, Any]:
    return msgspec.to_builtins(summary_of(spool, seconds=1.26, requests=3, throttled=1, report_path=report_path))


def test_the_summary_counts_and_gives_the_five_largest_groups(spool: Spool) -> None:
    for group in range(7):
        for number in range(group + 1):
            spool.add(
                SpoolRow(0, number + 1, (), (), 7, outcome=Outcome.INVALID, error_field="text", error=f"rule {group}")
            )
    spool.add(SpoolRow(0, 9, (), (), 7, outcome=Outcome.DELIVERED))
    spool.flush()
    found = small(spool, "r.csv")
    assert (found["read"], found["invalid"], found["delivered"]) == (29, 28, 1)
    assert (found["seconds"], found["requests"], found["throttled"], found["read_backs"]) == (1.3, 3, 1, 0)
    assert (found["carried_over"], found["report_path"]) == (0, "r.csv")
    assert [(group["count"], group["error"]) for group in found["errors"]] == [
        (7, "rule 6"), (6, "rule 5"), (5, "rule 4"), (4, "rule 3"), (3, "rule 2"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["🏡" * 10_000, "\ud800" * 10_000, '"\\' * 5_000, "\x01" * 10_000, "x" * 10_000])
def test_the_summary_is_small_whatever_the_texts(spool: Spool, text: str) -> None:
    spool.sources[0] = text
    kept = text.encode("utf-8", "replace").decode()
    for number in range(6):
        row = SpoolRow(
            0, number, (), (), 2**63 - 1, outcome=Outcome.REJECTED, error_field=kept, error=kept + str(number)
        )
        spool.add(row)
    spool.flush()
    assert len(json.dumps(small(spool, text)).encode()) < SUMMARY_BYTES
    assert len(small(spool)["errors"]) == 5
    assert len(json.dumps(msgspec.to_builtins(errors_so_far(spool))).encode()) < ERRORS_BYTES
