"""The rate limit and its headers."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest

from airflow_provider_lofty.sandbox.rate import FixedWindow

NAMES = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def numbers(answer):
    return tuple(int(answer.headers[name]) for name in NAMES)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_window_opens_with_its_first_request_and_holds_the_limit():
    clock = Clock()
    window = FixedWindow(clock)
    readings = [window.take(2, 60) for _ in range(3)]
    assert [(each.limit, each.remaining, each.refused) for each in readings] == [
        (2, 1, False),
        (2, 0, False),
        (2, 0, True),
    ]
    clock.now += 59.5
    assert window.take(2, 60).left_seconds == 0.5
    clock.now += 0.5
    assert (window.take(2, 60).refused, window.take(2, 60).left_seconds) == (False, 60)


def test_a_fresh_window_never_lasts_longer_than_a_window():
    clock = Clock()
    for _ in range(1000):
        clock.now += 60.123457
        reading = FixedWindow(clock).take(500, 60)
        assert reading.headers("milliseconds_left", 0)["x-ratelimit-reset"] == "60000"


@pytest.mark.parametrize(("per_minute", "seconds", "limit"), [(500, 60, 500), (600, 1, 10), (90, 1, 1), (10, 1, 1)])
def test_the_limit_is_scaled_to_the_window(per_minute, seconds, limit):
    assert FixedWindow().take(per_minute, seconds).limit == limit


def test_a_limit_lowered_within_a_window_holds_at_once():
    window = FixedWindow()
    for _ in range(5):
        window.take(10, 60)
    reading = window.take(3, 60)
    assert (reading.remaining, reading.refused) == (0, True)


def test_over_the_limit_nothing_is_stored(start):
    caller = start(requests_per_minute=3, window_seconds=60)
    answers = [caller.add() for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].json() == {"message": "Too Many Requests"}
    assert [numbers(answer)[:2] for answer in answers] == [(3, 2), (3, 1), (3, 0), (3, 0), (3, 0)]
    assert 59_000 < numbers(answers[-1])[2] <= 60_000
    assert len(caller.lofty.activities) == 3


def test_a_new_window_lets_requests_in_again(start):
    caller = start(requests_per_minute=120, window_seconds=0.5)
    assert [caller.add().status_code for _ in range(2)] == [200, 429]
    time.sleep(0.5)
    assert caller.add().status_code == 200


@pytest.mark.parametrize("path", ["/v1.0/me", "/v1.0/leads/x", "/v1.0/nowhere", "/v1.0/leads/1/activities"])
def test_every_answer_carries_the_headers(caller, path):
    assert numbers(caller.get(path))[0] == 600_000


def test_every_request_counts(start):
    caller = start(requests_per_minute=4)
    caller.get("/v1.0/me", {"Authorization": None})
    caller.get("/v1.0/nowhere")
    caller.send("POST", "/oauth/token")
    assert numbers(caller.add())[1] == 0


def test_the_headers_can_be_hidden(start):
    caller = start(rate_headers=False, requests_per_minute=1)
    for answer in (caller.add(), caller.add()):
        assert not set(NAMES) & set(answer.headers)
    assert answer.status_code == 429


@pytest.mark.parametrize(
    ("reading", "least", "most"),
    [
        ("milliseconds_left", 59_000, 60_000),
        ("seconds_left", 59, 60),
        ("epoch_seconds", time.time(), time.time() + 7200),
        ("epoch_milliseconds", time.time() * 1000, (time.time() + 7200) * 1000),
    ],
    ids=["milliseconds left", "seconds left", "epoch seconds", "epoch milliseconds"],  # the same in each process
)
def test_the_readings_of_reset(start, reading, least, most):
    assert least <= numbers(start(rate_reset_reading=reading).add())[2] <= most


def test_a_reset_that_means_nothing(start):
    assert start(rate_reset_reading="nonsense").add().headers["X-RateLimit-Reset"] == "soon"


def test_a_rate_refusal_can_be_a_400(start):
    caller = start(requests_per_minute=1, rate_refusal_status=400)
    caller.add()
    answer = caller.add()
    assert (answer.status_code, answer.json()) == (400, {"message": "Too Many Requests"})


def test_reads_can_have_a_limit_of_their_own(start):
    caller = start(requests_per_minute=5, read_requests_per_minute=2)
    assert [caller.get("/v1.0/me").status_code for _ in range(3)] == [200, 200, 429]
    assert numbers(caller.get("/v1.0/me"))[0] == 2
    assert [caller.add().status_code for _ in range(6)] == [200] * 5 + [429]


def test_too_many_at_once(start, until):
    caller = start(max_concurrent=2, latency_seconds=0.5)

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(caller.add) for _ in range(2)]
        until(lambda: len(caller.lofty.requests) == 2)
        answer = caller.add()
        codes = [each.result().status_code for each in waiting]
    assert (codes, answer.status_code) == ([200, 200], 429)
    assert caller.lofty.requests[-1].note == "3 requests in flight"
    assert len(caller.lofty.activities) == 2
    assert caller.add().status_code == 200


def test_the_clock_may_be_wrong(start):
    caller = start(clock_offset_seconds=7200, rate_reset_reading="epoch_seconds")
    answer = caller.add()
    assert parsedate_to_datetime(answer.headers["Date"]).timestamp() == pytest.approx(time.time() + 7200, abs=5)
    assert numbers(answer)[2] == pytest.approx(time.time() + 7260, abs=5)


def test_reset_opens_a_new_window(start):
    caller = start(requests_per_minute=1)
    caller.add()
    caller.lofty.reset()
    assert caller.add().status_code == 200
