"""The running server: what it records, and how it starts and stops."""

from __future__ import annotations

import socket
import threading
import time

import pytest
import requests

from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings


@pytest.mark.server
def test_without_arguments():
    with Sandbox() as lofty:
        assert lofty.url.startswith("http://127.0.0.1:")
        assert lofty.settings == SandboxSettings()
        assert (lofty.activities, lofty.requests) == ([], [])


def test_a_request_is_recorded_as_it_arrived(caller):
    before = time.monotonic()
    caller.send("POST", "/v1.0/leads/1/activity", {"X-Thing": "a"}, params={"b": "c d"}, data=b"{]")
    (request,) = caller.lofty.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1.0/leads/1/activity", {"b": "c d"})
    assert request.headers["x-thing"] == "a"
    assert request.headers["authorization"] == "token made-up-api-key"
    assert (request.body, request.status) == (b"{]", 400)
    assert before <= request.at <= time.monotonic()


def test_a_request_in_pieces_is_put_together(caller):
    answer = caller.send("POST", "/v1.0/leads/1/activity", data=iter([b'{"type":', b'"Browse"}']))
    assert answer.status_code == 400
    assert caller.lofty.requests[0].body == b'{"type":"Browse"}'


def test_a_request_whose_sender_leaves_is_recorded(caller, until):
    host, port = caller.lofty.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /v1.0/leads/1/activity HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        time.sleep(0.05)
    until(lambda: caller.lofty.requests)
    (request,) = caller.lofty.requests
    assert (request.status, request.note) == (None, "the sender left before the body was complete")
    assert caller.lofty.activities == []


def test_old_requests_are_forgotten(start):
    caller = start(kept_requests=3)
    for created in range(5):
        caller.add(created=created)
    assert len(caller.lofty.requests) == 3
    assert len(caller.lofty.activities) == 5


def test_reset_forgets_what_arrived_and_keeps_what_was_set_up(start):
    caller = start(known_leads="listed")
    caller.lofty.add_lead(1)
    caller.add()
    caller.lofty.reset()
    assert (caller.lofty.activities, caller.lofty.requests) == ([], [])
    assert caller.read() == []
    assert caller.add().status_code == 200
    assert caller.lofty.activities[0].duplicate is False


@pytest.mark.server
def test_what_arrived_can_be_read_after_the_end():
    with Sandbox() as lofty:
        requests.get(f"{lofty.url}/v1.0/me", timeout=10)
    assert len(lofty.requests) == 1
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{lofty.url}/v1.0/me", timeout=10)


@pytest.mark.server
def test_it_can_start_again_where_it_was():
    lofty = Sandbox()
    urls = []
    for _ in range(2):
        with lofty:
            urls.append(lofty.url)
            requests.get(f"{lofty.url}/v1.0/me", timeout=10)
    assert urls[0] == urls[1]
    assert len(lofty.requests) == 2


def test_stopping_leaves_no_thread_and_waits_for_no_answer(start, until):
    before = set(threading.enumerate())
    caller = start(latency_seconds=60)
    errors = []

    def wait_for_an_answer():
        try:
            caller.add()
        except requests.ConnectionError as error:
            errors.append(error)

    waiting = threading.Thread(target=wait_for_an_answer)
    waiting.start()
    until(lambda: caller.lofty.requests)
    with socket.create_connection(("127.0.0.1", int(caller.lofty.url.rpartition(":")[2]))) as half_sent:
        half_sent.sendall(b"POST /v1.0/leads/1/activity HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        caller.lofty.stop()
    waiting.join(timeout=5)
    assert errors
    assert set(threading.enumerate()) == before


def test_stopping_twice_is_once(caller):
    url = caller.lofty.url
    caller.lofty.stop()
    caller.lofty.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


def test_a_port_in_use_is_an_error_at_once(caller):
    port = int(caller.lofty.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=port).start()


def test_an_idle_connection_is_closed(start):
    caller = start(keep_alive_seconds=0.1)
    with socket.create_connection(("127.0.0.1", int(caller.lofty.url.rpartition(":")[2]))) as connection:
        connection.settimeout(5)
        connection.sendall(b"GET /v1.0/nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = [connection.recv(65536)]
        while received[-1]:
            received.append(connection.recv(65536))
    assert received[0].startswith(b"HTTP/1.1 404")


@pytest.mark.server
def test_it_serves_an_ipv6_address():
    try:
        sandbox = Sandbox(host="::1").start()
    except OSError:
        pytest.skip("no IPv6 here")
    with_brackets = sandbox.url
    try:
        assert with_brackets.startswith("http://[::1]:")
        assert requests.get(f"{with_brackets}/v1.0/nowhere", timeout=10).status_code == 404
    finally:
        sandbox.stop()


def test_many_threads_at_once(caller):
    def send(lead_id):
        for created in range(50):
            assert caller.add(lead_id, created=created).status_code == 200

    threads = [threading.Thread(target=send, args=(lead_id,)) for lead_id in range(1, 5)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert len(caller.lofty.activities) <= 200
    assert len(caller.lofty.activities) == len(caller.lofty.requests) == 200
    assert not any(stored.duplicate for stored in caller.lofty.activities)
