"""What goes wrong on purpose, and how errors are written."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from typing import get_args

import pytest
import requests

from airflow_provider_lofty.sandbox import FAULTS, Answer
from airflow_provider_lofty.sandbox.faults import Dice
from airflow_provider_lofty.sandbox.settings import FaultName


@pytest.mark.parametrize(
    ("name", "status", "body", "stored"),
    [
        ("refused", 400, b'{"code":20012,"message":"INVALID_PARAMETER"}', 0),
        ("rate_limited", 429, b'{"message":"Too Many Requests"}', 0),
        ("error_before_storing", 500, b'{"code":20005,"message":"INTERNAL_ERROR"}', 0),
        ("error_after_storing", 500, b'{"code":20005,"message":"INTERNAL_ERROR"}', 1),
        ("drop_before_storing", None, None, 0),
        ("drop_after_storing", None, None, 1),
        ("slow", 200, b'{"leadId":1}', 1),
        ("html_502", 502, None, 0),
        ("html_502_after_storing", 502, None, 1),
        ("stall", 200, b'{"leadId":1}', 1),
        ("empty_200", 200, b"", 1),
        ("error_in_200", 200, b'{"code":20005,"message":"INTERNAL_ERROR"}', 0),
        ("error_beside_lead_id", 200, b'{"code":20012,"message":"INVALID_PARAMETER","leadId":1}', 0),
        ("lead_id_zero", 200, b'{"leadId":0}', 0),
        ("interim_102", 102, b"", 1),
        ("interim_103", 103, b"", 1),
        ("answered_twice", 200, b'{"leadId":1}', 1),
        ("late_504", 504, None, 1),
        ("late_drop", None, None, 1),
    ],
)
def test_each_fault(start, name, status, body, stored):
    caller = start(faults={name: 1}, slow_seconds=0.1)
    if status is None:
        with pytest.raises(requests.ConnectionError):
            caller.add()
    else:
        answer = caller.add()
        assert answer.status_code == status
        assert body is None or answer.content == body
    assert len(caller.lofty.activities) == stored
    (request,) = caller.lofty.requests
    assert request.status == (200 if status in (102, 103) else status)  # requests takes them for the answer
    assert request.note == f"fault {name}: {FAULTS[name].description}"


def test_the_table_above_has_every_fault():
    (mark,) = test_each_fault.pytestmark
    assert {row[0] for row in mark.args[1]} == FAULTS.keys() == set(get_args(FaultName))


def test_a_gateway_answers_with_html(start):
    answer = start(faults={"html_502": 1}).add()
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.text.startswith("<html>")


def test_a_rate_refusal_by_chance_says_that_nothing_remains(start):
    assert start(faults={"rate_limited": 1}).add().headers["X-RateLimit-Remaining"] == "0"


def test_what_stalls_is_shown_only_when_its_answer_is_due(start, until):
    caller = start(faults={"stall": 1}, slow_seconds=0.4)
    sender = threading.Thread(target=caller.add)
    sender.start()
    until(lambda: caller.lofty.requests)
    with requests.Session() as other:
        caller.session = other
        assert caller.read() == []
        sender.join()
        assert len(caller.read()) == 1


@pytest.mark.parametrize("fault", ["late_504", "late_drop"])
def test_what_is_stored_late_is_shown_late(start, fault, until):
    caller = start(faults={fault: 1}, late_seconds=0.4)
    with contextlib.suppress(requests.ConnectionError):
        caller.add()
    assert caller.read() == []
    until(caller.read)


def raw_answers(lofty, posts, parts):
    """Post without a library between, one after the other; give what came, of which each brings so many parts."""
    body = json.dumps({"type": "Browse", "text": "a", "link": "", "picture": "", "created": 1}).encode()
    head = (
        f"POST /v1.0/leads/1/activity HTTP/1.1\r\nHost: localhost\r\nAuthorization: token {lofty.settings.api_key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    received, found = b"", []
    with socket.create_connection(("127.0.0.1", int(lofty.url.rpartition(":")[2])), timeout=10) as connection:
        for number in range(1, posts + 1):
            connection.sendall(head + body)
            while len(found) < number * parts:
                received += connection.recv(65536)
                found = re.findall(rb"HTTP/1.1 \d+|{.*?}", received)
    return found


@pytest.mark.parametrize(
    ("fault", "first", "then"),
    [
        ("interim_102", [b"HTTP/1.1 102"], []),
        ("interim_103", [b"HTTP/1.1 103"], []),
        ("answered_twice", [], [b"HTTP/1.1 200", b'{"leadId":1}']),
    ],
)
def test_what_comes_beside_an_answer(start, fault, first, then):
    lofty = start(faults={fault: 1}).lofty
    one = [*first, b"HTTP/1.1 200", b'{"leadId":1}', *then]
    assert raw_answers(lofty, 2, len(one)) == one * 2


def test_a_slow_answer_is_stored_at_once(start, until):
    caller = start(faults={"slow": 1}, slow_seconds=60)
    with pytest.raises(requests.ReadTimeout):
        caller.session.post(
            f"{caller.lofty.url}/v1.0/leads/1/activity",
            data=json.dumps({"type": "Browse", "text": "a", "link": "", "picture": "", "created": 1}),
            headers=caller.headers({}),
            timeout=0.2,
        )
    until(lambda: len(caller.lofty.activities) == 1)
    assert caller.lofty.requests[0].status == 200


def test_after_a_drop_the_next_request_is_served(start):
    caller = start(scripted_faults=["drop_before_storing", "drop_after_storing"])
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            caller.add()
    assert caller.add().status_code == 200


def test_faults_concern_good_posts_only(start):
    caller = start(faults={"html_502": 1}, missing_leads={7})
    assert caller.get("/v1.0/me").status_code == 200
    assert caller.read() == []
    assert caller.add(text=5).status_code == 400
    assert caller.add(7).status_code == 404
    assert caller.add(headers={"Authorization": None}).status_code == 401


def test_scripted_faults_come_first_and_in_order(start):
    caller = start(scripted_faults=["html_502", None, "refused"], faults={"empty_200": 1})
    answers = [caller.add() for _ in range(5)]
    assert [(answer.status_code, bool(answer.content)) for answer in answers] == [
        (502, True),
        (200, True),
        (400, True),
        (200, False),
        (200, False),
    ]


def drawn(seed, rates, count=2000):
    dice = Dice(seed)
    return [dice.draw((), rates) for _ in range(count)]


def test_the_same_seed_draws_the_same_faults():
    rates = {"slow": 0.2, "refused": 0.1}
    assert drawn(1, rates) == drawn(1, rates)
    assert drawn(1, rates) != drawn(2, rates)


def test_faults_come_at_their_rates():
    names = drawn(3, {"slow": 0.3, "refused": 0.1})
    assert names.count("slow") == pytest.approx(600, abs=80)
    assert names.count("refused") == pytest.approx(200, abs=60)
    assert set(drawn(3, {"slow": 0, "refused": 1})) == {"refused"}
    assert set(drawn(3, {})) == {None}


def test_faults_start_anew_with_reset_and_when_they_change(start):
    caller = start(faults={"refused": 0.5}, seed=4)

    def codes():
        return [caller.add().status_code for _ in range(20)]

    first = codes()
    assert codes() != first
    caller.lofty.reset()
    assert codes() == first
    caller.lofty.change(seed=4)
    assert codes() == first
    caller.lofty.change(faults={})
    assert set(codes()) == {200}


SHAPES = {
    "code": ("application/json", b'{"code":20006,"message":"Lead not exist"}'),
    "embedded": (
        "application/json",
        b'{"message":"BaseApplicationException:errorCode=20006,errorMsg=Lead not exist"}',
    ),
    "json_string": ("application/json", b'"20006 Lead not exist"'),
    "text": ("text/plain; charset=utf-8", b"Lead not exist"),
    "empty": ("text/plain; charset=utf-8", b""),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shapes_of_an_error(start, shape):
    answer = start(error_shape=shape, missing_leads={1}).add()
    assert answer.status_code == 404
    assert (answer.headers["Content-Type"], answer.content) == SHAPES[shape]


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("code", b'{"message":"BAD_CREDENTIALS"}'),
        ("embedded", b'{"message":"BAD_CREDENTIALS"}'),
        ("json_string", b'"BAD_CREDENTIALS"'),
        ("text", b"BAD_CREDENTIALS"),
    ],
)
def test_the_shapes_of_an_error_without_a_code(start, shape, body):
    assert start(error_shape=shape).get("/v1.0/me", {"Authorization": None}).content == body


def test_what_the_gateway_says_has_one_shape(start):
    caller = start(error_shape="empty", requests_per_minute=1)
    nowhere = {"message": "The requested API endpoint does not exist"}
    assert caller.get("/v1.0/nowhere").json() == nowhere
    assert caller.get("/v1.0/nowhere").json() == {"message": "Too Many Requests"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1.0/nowhere"),
        ("GET", "/v2.0/leads/1/activities"),
        ("GET", "/v1.0/leads/1/activity"),
        ("DELETE", "/v1.0/leads/1"),
        ("GET", "/v1.0/leads/"),
        ("GET", "/v1.0/leads/1/"),
        ("GET", "/v1x0/me"),
        ("GET", "/sandbox"),
    ],
)
def test_an_unknown_endpoint(caller, method, path):
    answer = caller.send(method, path, {"Authorization": None})
    assert answer.status_code == 404
    assert answer.json() == {"message": "The requested API endpoint does not exist"}


def test_a_canned_answer_is_given_whatever_is_asked(start):
    redirect = Answer(302, b"<html>", "text/html", headers={"Location": "/login"})
    caller = start(canned_answers={"add_activity": redirect})
    answer = caller.session.post(f"{caller.lofty.url}/v1.0/leads/1/activity", allow_redirects=False, timeout=10)
    assert (answer.status_code, answer.headers["Location"], answer.content) == (302, "/login", b"<html>")
    assert caller.lofty.activities == []
    assert caller.get("/v1.0/me").status_code == 200


def test_get_can_want_a_content_type(start):
    caller = start(get_needs_content_type=True)
    assert caller.get("/v1.0/me").status_code == 200
    answer = caller.get("/v1.0/me", {"Content-Type": None})
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
