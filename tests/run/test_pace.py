"""What a try learned of Lofty's limit, in log and summary and for the next try."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from support.practice import Log, Store, row, run

from airflow_provider_lofty.lofty.pacing import Pacer
from airflow_provider_lofty.run.pace import KEY, LearnedPace
from airflow_provider_lofty.sandbox import Sandbox

HOST = "https://api.example.com"


class Try:
    """One try of a task: its clock, its client and what it keeps."""

    def __init__(self, store: Any, host: str = HOST) -> None:
        self.now = 0.0
        self.pacer = Pacer(None, lambda: self.now)
        self.client: Any = SimpleNamespace(host=host, pacer=self.pacer)
        self.log = Log()
        self.pace = LearnedPace(store, self.log, lambda: self.now)

    def learn(self, limit: float) -> None:
        self.pacer.recall(limit)


def test_the_next_try_begins_where_this_one_ended() -> None:
    store = Store()
    first, second = Try(store), Try(store)
    first.learn(300)
    first.pace.keep(first.client, now=True)
    second.pace.recall(second.client)
    assert second.pacer.learned_limit == 300
    assert "an earlier try was refused above about 300 requests a minute" in second.log.lines


def test_a_try_that_is_killed_has_written_it_before_the_end() -> None:
    store = Store()
    this = Try(store)
    this.learn(300)
    this.pace.keep(this.client)
    assert KEY not in store.values
    this.now = 61.0
    for limit in (300, 310, 290):  # what changes little is written once
        this.learn(limit)
        this.pace.keep(this.client, now=True)
    assert [key for key, _ in store.written] == [KEY]


@pytest.mark.parametrize(
    "kept",
    [
        {"format": 2, "host": HOST, "requests_per_minute": 300}, {"format": 1, "host": HOST}, "300", None,
        {"format": 1, "host": "https://other.example.com", "requests_per_minute": 300},
        {"format": 1, "host": HOST, "requests_per_minute": 0},
    ],
)  # fmt: skip
def test_what_is_not_about_this_lofty_or_makes_no_sense_is_left_alone(kept: object) -> None:
    store = Store()
    store.set(KEY, kept)
    this = Try(store)
    this.pace.recall(this.client)
    assert (this.pacer.learned_limit, this.pacer.requests_per_minute) == (None, 60)


@pytest.mark.parametrize("store", [None, SimpleNamespace()])
def test_without_a_store_nothing_is_kept_and_nothing_fails(store: Any) -> None:
    this = Try(store)
    this.learn(300)
    this.pace.keep(this.client, now=True)
    this.pace.recall(this.client)
    assert this.pacer.learned_limit == 300


def test_log_and_summary_say_what_was_learned(lofty: Sandbox, connect: Callable[..., None]) -> None:
    connect(lofty)
    lofty.change(rate_headers=False)
    store = Store()
    store.set(KEY, {"format": 1, "host": lofty.url, "requests_per_minute": 300.5})
    ended = run(rows=[row(1)], store=store)
    assert ended.summary["learned_limit"] == 285
    assert any("above about 300 a minute: set requests_per_minute to about 285," in line for line in ended.log)


def test_a_lofty_that_states_its_limit_teaches_nothing(lofty: Sandbox, connect: Callable[..., None]) -> None:
    connect(lofty)
    store = Store()
    assert run(rows=[row(1)], store=store).summary["learned_limit"] is None
    assert KEY not in store.values
