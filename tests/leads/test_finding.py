"""Which way to whose the keys are, and what ends the search. ``tests/operators/test_matching.py`` counts requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.activities import BODY
from support.practice import Log

from airflow_provider_lofty.exceptions import LoftyDeliveryIncomplete
from airflow_provider_lofty.leads.finding import LeadFinder, keys_text
from airflow_provider_lofty.lofty.client import LoftyClient
from airflow_provider_lofty.log import PROGRESS_SECONDS
from airflow_provider_lofty.rows.builder import encode_json
from airflow_provider_lofty.sandbox import Answer, Sandbox
from airflow_provider_lofty.spool.spool import Spool, SpoolRow


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(keep_cells=False, folder=str(tmp_path))
    spool.add_source("people.csv")
    for n in range(1, 11):
        key, email = b"i%d" % n, f"p-{n}@example.com"
        spool.add(SpoolRow(0, n, (), (), None, encode_json(BODY), key, key, None, email=email))
    spool.flush()
    yield spool
    spool.close()


@pytest.fixture
def people(lofty: Sandbox) -> Sandbox:
    for n in range(250):
        lofty.add_lead(n + 1, emails=[f"p-{n + 1}@example.com"])
    return lofty


def finder(
    spool: Spool, client: LoftyClient, log: Log, before_request: Callable[[], object] = lambda: None, **clock: Any
) -> LeadFinder:
    return LeadFinder(spool.lead_book, client, log, before_request, **{"clock": lambda: 0.0, **clock})


def leads_of(spool: Spool) -> list[int]:
    spool.lead_book.assign(has_gaps=False)
    return [row.lead_id for row in spool.pending()]


@pytest.mark.usefixtures("people")
def test_somebody_is_asked_before_each_request(spool: Spool, lofty: Sandbox, connected_client: LoftyClient) -> None:
    asked: list[int] = []
    finder(spool, connected_client, Log(), lambda: asked.append(len(lofty.requests))).find(("email",))
    assert asked == [0, 1, 2]
    assert leads_of(spool) == list(range(1, 11))


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("at", [0, 2, 5])
def test_and_may_end_the_search(spool: Spool, lofty: Sandbox, connected_client: LoftyClient, at: int) -> None:
    lofty.change(hidden_leads={250})  # so that all are listed, twice, and each is looked up

    def stop() -> None:
        if len(lofty.requests) == at:
            raise LoftyDeliveryIncomplete("told to stop")

    with pytest.raises(LoftyDeliveryIncomplete, match="told to stop"):
        finder(spool, connected_client, Log(), stop).find(("email",))
    assert len(lofty.requests) == at


@pytest.mark.usefixtures("people")
def test_a_long_search_says_how_far_it_is(spool: Spool, connected_client: LoftyClient) -> None:
    log, times = Log(), iter(range(0, 10**6, round(PROGRESS_SECONDS)))
    finder(spool, connected_client, log, clock=lambda: float(next(times))).find(("email",))
    assert log.lines[1:] == ["leads: 100 of 250 listed", "leads: 200 of 250 listed"]


def test_where_lofty_does_not_say_how_many_there_are_each_is_looked_up(
    spool: Spool, lofty: Sandbox, connected_client: LoftyClient
) -> None:
    lofty.change(canned_answers={"find_leads": Answer(200, b'{"leads": []}')})
    log = Log()
    finder(spool, connected_client, log).find(("email",))
    assert log.lines == ["leads: Lofty does not say how many there are; 10 e-mail addresses are looked up"]
    assert len(lofty.requests) == 11
    assert leads_of(spool) == []


def test_nothing_to_find_takes_no_request(tmp_path: Path, lofty: Sandbox, connected_client: LoftyClient) -> None:
    spool = Spool(keep_cells=False, folder=str(tmp_path))
    finder(spool, connected_client, Log()).find(("email", "phone"))
    spool.close()
    assert lofty.requests == []


def test_keys_are_counted_for_people() -> None:
    assert keys_text({"email": 2, "phone": 1}) == "2 e-mail addresses and 1 phone number"
    assert keys_text({"email": 1, "phone": 3}) == "1 e-mail address and 3 phone numbers"
