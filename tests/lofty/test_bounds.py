"""Headers and numbers of a server that is broken or hostile: they may be useless, but must harm nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, strategies as st
from support.raw_server import RawServer, http

from airflow_provider_lofty.lofty.answers import Meaning
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.lofty.pacing import Pacer
from airflow_provider_lofty.lofty.window import ResetUnit

DATES = (
    "", "garbage", "0", "-1", "Thu", "Thu, 99 Foo 9999 99:99:99 GMT", "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +2359", "Mon, 01 Jan 0001 00:00:00 -0000",
    f"Thu, 26 Nov {'9' * 20} 08:00:00 GMT", f"Thu, {'9' * 5000} Nov 2026 08:00:00 GMT",
    f"Thu, 26 Nov 2026 {'9' * 20}:00:00 GMT", f"Thu, 26 Nov 2026 08:00:00 +{'9' * 20}",
    f"Thu, 26 Nov 2026 08:00:00 +{'9' * 5000}", "Thu, 26 Nov 2026 08:00:00 +9999", "1 2 3 4 5 6", ",", "Thu,,,,", "\t",
    "Thu, 26 Nov 2026", "26 Nov 2026 08", "Thu, 26 Nov -2026 08:00:00 GMT", "9" * 20, "9" * 5000,
)  # fmt: skip
NUMBERS = (
    "", "x", "-1", "0", "0.0", "1e400", "-1e400", "1e-400", "NaN", "Infinity", "9" * 15, "9" * 20, "9" * 5000, "1_0",
    "²", "٣", "1,000", "0x10", "1 ", "20, 20", "1e14", "999999999999999",
)  # fmt: skip


@pytest.mark.parametrize("date", DATES, ids=lambda date: repr(date[:40]))
@pytest.mark.parametrize("status", ["200 OK", "429 Too Many Requests"])
def test_no_date_header_keeps_an_answer_from_being_read(
    serve: Callable[..., RawServer], connect: Callable[..., None], client: LoftyClient, date: str, status: str
) -> None:
    limits = ("X-RateLimit-Limit: 20", "X-RateLimit-Remaining: 5", "X-RateLimit-Reset: 1795000000")
    connect(serve(http(b'{"leadId":5}', status, f"Date: {date}", *limits)).url)
    meaning = client.post_activity(5, b"{}").meaning
    assert meaning is (Meaning.DELIVERED if status == "200 OK" else Meaning.RATE_LIMITED)
    assert math.isfinite(client.pacer.delay())


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: repr(number[:20]))
@pytest.mark.parametrize("status", ["200 OK", "429 Too Many Requests"])
def test_no_rate_header_keeps_an_answer_from_being_read(
    serve: Callable[..., RawServer], connect: Callable[..., None], client: LoftyClient, number: str, status: str
) -> None:
    names = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After", "Age")
    said = number.encode().decode("latin-1")
    connect(serve(http(b'{"leadId":5}', status, *(f"{name}: {said}" for name in names))).url)
    meaning = client.post_activity(5, b"{}").meaning
    assert meaning is (Meaning.DELIVERED if status == "200 OK" else Meaning.RATE_LIMITED)
    assert 0 <= max(client.pacer.delay(), 0) < 600


numbers = st.sampled_from(NUMBERS) | st.floats().map(str) | st.integers(-5, 10**16).map(str) | st.text(max_size=4)


@example(answers=[("5", "1e400", "9" * 5000, 1e300, False)] * 3)
@given(
    answers=st.lists(
        st.tuples(numbers, numbers, numbers, st.floats(-1e12, 1e12), st.booleans()), min_size=1, max_size=8
    )
)
def test_whatever_the_headers_say_there_is_a_next_turn(answers: list[tuple[str, str, str, float, bool]]) -> None:
    now = 1000.0
    pacer = Pacer(None, lambda: now, ResetUnit(), lambda: 0.5)
    for limit, remaining, reset, server_time, is_refused in answers:
        now += max(pacer.reserve(), 0.0)
        headers: dict[str, Any] = {
            "x-ratelimit-limit": limit,
            "x-ratelimit-remaining": remaining,
            "x-ratelimit-reset": reset,
        }
        pacer.ended(pacer.begin(), headers, server_time, is_refused=is_refused)
        assert pacer.delay() < 600
    assert pacer.requests_per_minute > 0


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":"' + b"9" * 5000 + b'","message":"no"}',
        b'{"code":' + b"9" * 5000 + b"}",
        b'{"message":"errorCode=' + b"9" * 5000 + b'"}',
        b'{"message":"errorCode=' + "٢٠٠".encode() + b'"}',
        b"errorCode=" + b"0" * 5000 + b"20006",
    ],
    ids=lambda body: repr(body[:25]),
)
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "429 Too Many Requests", "500 Oops"])
def test_a_code_of_many_digits_is_read(
    serve: Callable[..., RawServer], connect: Callable[..., None], client: LoftyClient, body: bytes, status: str
) -> None:
    connect(serve(http(body, status)).url)
    verdict = client.post_activity(5, b"{}")
    assert verdict.meaning is not Meaning.DELIVERED
    assert verdict.code is None or abs(verdict.code) < 10**9
