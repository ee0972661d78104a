"""Delivery: from waiting rows to outcomes, against a real server; what arrived there is what counts."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.practice import Log, no_publisher, row

from airflow_provider_lofty.delivery import delivery, progress
from airflow_provider_lofty.delivery.delivery import Delivery
from airflow_provider_lofty.delivery.stop import Stop, StopKind
from airflow_provider_lofty.delivery.workers import Came, Workers
from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyCredentialRefused
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.journal.journal import NoJournal
from airflow_provider_lofty.rows.mapping import RowMapping
from airflow_provider_lofty.rows.source import Source, SourceRow
from airflow_provider_lofty.run.ingest import Ingest
from airflow_provider_lofty.sandbox import Answer, Sandbox, SandboxSettings
from airflow_provider_lofty.spool.books import ReportRow
from airflow_provider_lofty.spool.spool import Spool


class Sent:
    """Rows, a client and a delivery that may be run."""

    def __init__(
        self,
        lead_ids: list[int],
        clock: Callable[[], float] = time.monotonic,
        workers: Callable[[int], Workers[Came]] = Workers,
    ) -> None:
        self.log, self.stop = Log(), threading.Event()
        self.spool, self.client = Spool(keep_cells=False), LoftyHook().client
        rows = [row(lead_id, text=f"row {n}") for n, lead_id in enumerate(lead_ids, 1)]
        ingest = Ingest(RowMapping(), self.spool, self.log, no_publisher(self.log))
        ingest.take(Source("rows", None, (SourceRow(n, tuple(r), tuple(r.values())) for n, r in enumerate(rows, 1))))
        ingest.finish()
        self.delivery = Delivery(
            self.spool, self.client, NoJournal(), self.log, self.stop,
            check_existing="never", on_unknown="verify", stop_after_rejections=20, has_gaps=False,
            began=clock(), deadline=math.inf, show=lambda progress: None, clock=clock, now=time.time, workers=workers,
        )  # fmt: skip

    def run(self) -> Stop | None:
        stop = self.delivery.run()
        self.spool.books.close("not_attempted")
        return stop

    @property
    def rows(self) -> list[ReportRow]:
        return list(self.spool.books.rows())

    @property
    def outcomes(self) -> list[str | None]:
        return [item.outcome for item in self.rows]


Prepare = Callable[..., Sent]


@pytest.fixture
def prepare(lofty: Sandbox, connect: Any) -> Iterator[Prepare]:
    """
    Give a function that puts rows for these leads into a spool, ready to be sent.

    ``server`` takes the place of the practice Lofty; ``max_in_flight`` and ``settle_seconds`` are the connection's.
    """
    made: list[Sent] = []

    def prepare(
        lead_ids: Any, *, server: Any = lofty, max_in_flight: int = 4, settle_seconds: float = 0.2, **machine: Any
    ) -> Sent:
        connect(server, extra={"max_in_flight": max_in_flight, "settle_seconds": settle_seconds})
        made.append(Sent(list(lead_ids), **machine))
        return made[-1]

    yield prepare
    for each in made:
        each.client.close()
        each.spool.close()


_SHORT_WINDOW: dict[str, Any] = {
    "window_seconds": 0.05, "requests_per_minute": 10**7, "rate_reset_reading": "epoch_milliseconds",
}  # fmt: skip


def hurried(factor: float = 400.0) -> Callable[[], float]:
    """Give a clock on which a second takes a few milliseconds."""
    return lambda: time.monotonic() * factor


def posts(lofty: Sandbox) -> list[Any]:
    return [request for request in lofty.requests if request.method == "POST"]


def test_every_row_arrives_once_and_is_delivered(lofty: Sandbox, prepare: Prepare) -> None:
    sent = prepare(range(1, 1203))  # more than two batches of the spool
    assert sent.run() is None
    assert set(sent.outcomes) == {"delivered"}
    assert sorted(activity.lead_id for activity in lofty.activities) == list(range(1, 1203))
    assert sent.delivery.sent == 1202


def test_a_delivered_row_says_when_it_was_sent_and_how_often(lofty: Sandbox, prepare: Prepare) -> None:
    sent = prepare([1])
    sent.run()
    (found,) = sent.rows
    assert (found.http_status, found.attempts, found.error) == (200, 1, None)
    assert str(found.sent_at).endswith("+00:00")


def test_a_merged_lead_is_delivered_with_a_remark(lofty: Sandbox, prepare: Prepare) -> None:
    lofty.change(merged_leads={1: 2})
    sent = prepare([1])
    sent.run()
    assert (sent.outcomes, sent.rows[0].error) == (["delivered"], "Lofty answered with lead 2: the lead was merged")


def test_rows_go_one_at_a_time_until_one_is_delivered(lofty: Sandbox, prepare: Prepare) -> None:
    # Were more than one in flight, the server would refuse it for its rate.
    lofty.change(max_concurrent=1, latency_seconds=0.02, missing_leads={1, 2, 3, 4, 5}, **_SHORT_WINDOW)
    sent = prepare([1, 2, 3, 4, 5])
    sent.run()
    assert [request.status for request in posts(lofty)] == [404] * 5


def test_then_several_are_in_flight_but_never_more_than_allowed(lofty: Sandbox, prepare: Prepare) -> None:
    lofty.change(max_concurrent=3, latency_seconds=0.02, **_SHORT_WINDOW)
    sent = prepare(range(1, 30), max_in_flight=3)
    sent.run()
    assert [request.status for request in posts(lofty)] == [200] * 29
    threads = {thread.name for thread in threading.enumerate() if thread.name.startswith("lofty_")}
    assert len(threads) <= 3


def test_a_rate_refusal_goes_again_and_is_no_attempt(lofty: Sandbox, prepare: Prepare) -> None:
    lofty.change(
        scripted_faults=["rate_limited", None, "rate_limited", "rate_limited"], rate_reset_reading="epoch_milliseconds"
    )
    lofty.change(window_seconds=0.05, requests_per_minute=10**6)
    sent = prepare([1, 2, 3])
    assert sent.run() is None
    assert sent.outcomes == ["delivered"] * 3
    assert [item.attempts for item in sent.rows] == [1, 1, 1]
    assert sent.client.times_throttled == 3
    assert len(lofty.activities) == 3


def test_a_lead_that_does_not_exist_costs_one_request(lofty: Sandbox, prepare: Prepare) -> None:
    lofty.change(missing_leads={7})
    sent = prepare([7] * 700 + [8])
    assert sent.run() is None
    assert sent.outcomes == ["rejected"] * 700 + ["delivered"]
    assert len(posts(lofty)) == 2
    assert (sent.rows[0].attempts, sent.rows[699].attempts) == (1, 0)
    assert sent.rows[699].error == "the lead does not exist, as Lofty said of row 1; not sent"
    assert sent.rows[699].error_code == 20006


def test_rejections_alike_of_many_leads_before_any_success_stop_the_run(lofty: Sandbox, prepare: Prepare) -> None:
    lofty.change(faults={"refused": 1.0})
    sent = prepare(range(1, 60))
    stop = sent.run()
    assert stop is not None
    assert stop.kind is StopKind.REJECTIONS
    assert len(posts(lofty)) == 20
    assert sent.outcomes == ["rejected"] * 20 + ["not_attempted"] * 39


def test_rejections_of_one_lead_are_no_wall(lofty: Sandbox, prepare: Prepare) -> None:
    lofty.change(scripted_faults=["refused"] * 30)
    sent = prepare([7] * 30 + [8])
    assert sent.run() is None
    assert sent.outcomes == ["rejected"] * 30 + ["delivered"]


def test_after_a_success_no_number_of_rejections_stops_the_run(lofty: Sandbox, prepare: Prepare) -> None:
    lofty.change(missing_leads=frozenset(range(2, 60)))
    sent = prepare(range(1, 60))
    assert sent.run() is None
    assert len(posts(lofty)) == 59


@pytest.mark.parametrize(
    ("wrong", "kind", "error"),
    [
        ({"api_key": "another"}, StopKind.CREDENTIAL, LoftyCredentialRefused),
        ({"permission_denied": {"add_activity"}}, StopKind.CONFIGURATION, LoftyConfigurationError),
    ],
)
def test_what_concerns_every_row_stops_at_the_first(
    lofty: Sandbox, prepare: Prepare, wrong: dict[str, Any], kind: StopKind, error: type[Exception]
) -> None:
    sent = prepare(range(1, 50))
    lofty.change(**wrong)
    stop = sent.run()
    assert stop is not None
    assert (stop.kind, type(stop.error)) == (kind, error)
    assert len(posts(lofty)) == 1
    assert set(sent.outcomes) == {"not_attempted"}
    assert sent.delivery.sent == 0


def test_a_server_that_is_not_there_yet_loses_no_row(prepare: Prepare) -> None:
    with Sandbox(SandboxSettings(requests_per_minute=600_000)) as found:
        port = int(found.url.rpartition(":")[2])
    sent = prepare([1, 2, 3], server=found.url, clock=hurried(5))  # nobody listens there now
    later = Sandbox(SandboxSettings(requests_per_minute=600_000), port=port)
    starts = threading.Timer(0.1, later.start)
    starts.start()
    try:
        assert sent.run() is None
        assert sent.outcomes == ["delivered"] * 3
        assert [item.attempts for item in sent.rows] == [1, 1, 1]
        assert sorted(activity.lead_id for activity in later.activities) == [1, 2, 3]
    finally:
        starts.join()
        later.stop()


def test_a_server_that_stays_away_is_an_outage_and_nothing_counts_as_sent(prepare: Prepare) -> None:
    sent = prepare([1, 2], server="http://127.0.0.1:9", clock=hurried())
    stop = sent.run()
    assert stop is not None
    assert stop.kind is StopKind.OUTAGE
    assert sent.outcomes == ["not_attempted"] * 2
    assert sent.delivery.sent == 0


def test_five_doubts_in_a_row_suspend_posting_until_a_read_is_answered(lofty: Sandbox, prepare: Prepare) -> None:
    lofty.change(scripted_faults=["error_before_storing"] * 5)
    sent = prepare(range(1, 9), clock=hurried(50), settle_seconds=20.0)
    assert sent.run() is None
    assert sent.outcomes == ["delivered"] * 8  # what proved not to be stored went again
    assert [request.method for request in lofty.requests][:7] == ["POST"] * 5 + ["GET", "POST"]


def test_while_reads_fail_nothing_is_posted_until_the_outage_ends_the_run(lofty: Sandbox, prepare: Prepare) -> None:
    lofty.change(faults={"drop_before_storing": 1.0}, read_back_status=503)
    sent = prepare(range(1, 50), clock=hurried(200), settle_seconds=60.0)
    stop = sent.run()
    assert stop is not None
    assert stop.kind is StopKind.OUTAGE
    assert sent.outcomes == ["unknown"] * 5 + ["not_attempted"] * 44
    assert len(posts(lofty)) == 5


def test_one_failed_try_after_an_outage_suspends_again(lofty: Sandbox, prepare: Prepare) -> None:
    lofty.change(scripted_faults=["error_before_storing"] * 6)
    sent = prepare(range(1, 9), clock=hurried(50), settle_seconds=20.0)
    assert sent.run() is None
    methods = [request.method for request in lofty.requests]
    assert methods[:9] == ["POST"] * 5 + ["GET", "POST", "GET", "POST"]
    assert sent.outcomes == ["delivered"] * 8


def test_a_stop_sends_nothing_new_and_waits_for_what_is_on_its_way(lofty: Sandbox, prepare: Prepare) -> None:
    lofty.change(latency_seconds=0.1)
    sent = prepare(range(1, 500), max_in_flight=2)
    watcher = threading.Thread(target=lambda: (_wait_for(lambda: len(lofty.activities) > 3), sent.stop.set()))
    watcher.start()
    stop = sent.run()
    watcher.join()
    assert stop is not None
    assert stop.kind is StopKind.KILLED
    arrived = len(posts(lofty))
    assert arrived < 20
    assert sent.outcomes == ["delivered"] * arrived + ["not_attempted"] * (499 - arrived)


def test_a_row_that_no_thread_had_taken_up_when_the_stop_came_was_not_sent(lofty: Sandbox, prepare: Prepare) -> None:
    lofty.change(latency_seconds=0.1)
    sent = prepare(range(1, 41), max_in_flight=4, workers=lambda most: Workers(1))
    watcher = threading.Thread(target=lambda: (_wait_for(lambda: len(lofty.activities) == 2), sent.stop.set()))
    watcher.start()
    sent.run()
    watcher.join()
    arrived = len(posts(lofty))
    assert 2 <= arrived < 40
    assert sent.outcomes == ["delivered"] * arrived + ["not_attempted"] * (40 - arrived)


def _wait_for(happened: Callable[[], bool]) -> None:
    for _ in range(1000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


def test_an_answer_that_does_not_come_after_a_stop_leaves_its_row_unknown(
    lofty: Sandbox, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LAST_ANSWERS_SECONDS", 0.1)
    lofty.change(scripted_faults=["slow"], slow_seconds=30)
    sent = prepare([1, 2])
    watcher = threading.Thread(target=lambda: (_wait_for(lambda: len(lofty.activities) == 1), sent.stop.set()))
    watcher.start()
    stop = sent.run()
    watcher.join()
    assert stop is not None
    assert sent.outcomes == ["unknown", "not_attempted"]
    assert sent.delivery.sent == 1
    lofty.stop()  # frees the worker thread


def test_a_failure_that_nobody_expects_after_a_stop_leaves_no_row_without_its_outcome(
    lofty: Sandbox, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = prepare([1, 2, 3])
    post = sent.client.post_activity

    def fails_at_the_second(lead_id: int, *arguments: Any, **options: Any) -> Any:
        if lead_id != 2:
            return post(lead_id, *arguments, **options)
        sent.stop.set()
        time.sleep(0.5)
        raise RuntimeError("nobody expects it")

    monkeypatch.setattr(sent.client, "post_activity", fails_at_the_second)
    with pytest.raises(RuntimeError, match="nobody expects it"):
        sent.run()
    sent.spool.books.close("not_attempted")
    assert (sent.outcomes[:2], len(sent.outcomes)) == (["delivered", "unknown"], 3)
    assert "unexpected failure (RuntimeError)" in str(sent.rows[1].error)


def test_a_stop_before_the_first_row_sends_nothing(lofty: Sandbox, prepare: Prepare) -> None:
    sent = prepare([1, 2])
    sent.stop.set()
    assert sent.run() is not None
    assert lofty.requests == []


def test_counts_rate_and_time_left_are_logged(
    lofty: Sandbox, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PROGRESS_SECONDS", 0.0)
    lofty.change(missing_leads={2})
    sent = prepare([1, 2, 3], max_in_flight=1)
    sent.run()
    last = [line for line in sent.log.lines if "rows done" in line][-1]
    assert last.startswith("3 of 3 rows done (2 delivered, 1 rejected), ")
    assert " rows/min, about 0 s left" in last


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":20012,"message":"half \\ud83d of a character"}',
        b'{"code":%d,"message":"m"}' % 10**30,
        b'{"code":"%d","message":"m"}' % 10**4000,
        b'{"message":"BaseApplicationException:errorCode=%d,errorMsg=m"}' % 10**30,
        b'{"code":null,"message":null}',
        b'{"code":true,"message":["m"]}',
        b"[" * 50_000,
        b"\xff\xfe\x00",
        b"",
    ],
    ids=range(9),
)
def test_no_refusal_however_odd_ends_the_run(lofty: Sandbox, prepare: Prepare, body: bytes) -> None:
    sent = prepare([1])
    lofty.change(canned_answers={"add_activity": Answer(400, body)})
    assert sent.run() is None
    assert sent.outcomes == ["rejected"]
