"""A preview shows the first requests as they would leave, sends nothing and tells nothing of the credential."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.practice import Run, row, run

from airflow_provider_lofty.sandbox import Sandbox


@pytest.fixture(autouse=True)
def connected(lofty: Sandbox, connect: Callable[..., None]) -> None:
    connect(lofty, extra={"requests_per_minute": 60})


def preview(count: int, **arguments: object) -> Run:
    return run(rows=[row(n) for n in range(1, count + 1)], preview=True, **arguments)


@pytest.mark.parametrize(("rows", "expected"), [(0, 0), (1, 1), (3, 3), (5, 3)])
def test_it_shows_three_requests_at_most(lofty: Sandbox, rows: int, expected: int) -> None:
    log = preview(rows).log
    assert len([line for line in log if line.startswith("::group::The request for row")]) == expected
    assert len([line for line in log if line == "::endgroup::"]) == expected
    assert lofty.requests == []


def test_a_request_is_shown_as_it_would_leave_but_for_the_credential(lofty: Sandbox) -> None:
    log = preview(1).log
    assert f"::group::The request for row 1, as it would be sent to {lofty.url}" in log
    assert "POST /v1.0/leads/1/activity HTTP/1.1" in log
    assert any('"text":"Viewed home 1"' in line for line in log)
    assert not any(lofty.settings.api_key in line for line in log)


def test_it_says_how_long_all_of_them_take(lofty: Sandbox) -> None:
    assert any(line.startswith("5 rows to send at 60 requests/min") for line in preview(5).log)
    assert not any("rows to send at" in line for line in preview(0).log)


def test_without_a_connection_no_request_is_shown_and_the_rows_are_still_checked(
    lofty: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_LOFTY_DEFAULT")
    ended = preview(2)
    assert ended.counts == {"would_send": 2}
    assert any(line.startswith("no request can be shown") for line in ended.log)
