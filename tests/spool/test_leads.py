"""Leads that may be the same lead, and whose an entry is that each of them shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airflow_provider_lofty.lofty.trace import content_of_body, trace_of_body
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.spool.history import CONTENT_BYTES, CONTENT_HAS_CHANGED, JournalState, PastRow
from airflow_provider_lofty.spool.leads import Link
from airflow_provider_lofty.spool.spool import FOUND_BY_READING, Result, Spool, SpoolRow

BODY = msgspec.json.encode({"type": "Browse", "text": "home", "link": "l", "picture": "", "created": 1_772_359_200_000})
OTHER = BODY.replace(b"home", b"hut")
CONTENT = content_of_body(BODY) or b""


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(keep_cells=False, folder=str(tmp_path))
    spool.add_source("leads.csv")
    yield spool
    spool.close()


def fill(spool: Spool, *leads: int, body: bytes = BODY, **others: Any) -> None:
    for lead_id in leads:
        n = spool.read + 1
        row = SpoolRow(0, n, (), (), lead_id, body, b"i%d" % n, b"f%d" % n, trace_of_body(lead_id, body).trace_hash)
        spool.add(row._replace(**others))
    spool.flush()


def answered(spool: Spool, n: int, error: str | None = None, status: int | None = 200) -> None:
    spool.record(Result(n, Outcome.DELIVERED, status, error=error))


def test_what_an_activity_says_is_the_same_for_every_lead() -> None:
    assert {trace_of_body(lead_id, BODY).content for lead_id in (1, 2)} == {CONTENT}
    assert content_of_body(OTHER) not in (CONTENT, None)
    assert content_of_body(None) is content_of_body(b"{}") is None


class TestFamily:
    def test_it_goes_through_any_number_of_leads_both_ways(self, spool: Spool) -> None:
        spool.leads.link([Link(1, 2, True), Link(2, 3, True), Link(4, 3, True), Link(8, 9, True)])
        assert {lead: spool.leads.family(lead, is_certain=True) for lead in (1, 3, 5)} == {
            1: {1, 2, 3, 4}, 3: {1, 2, 3, 4}, 5: {5},
        }  # fmt: skip

    def test_what_may_have_been_another_requests_answer_is_kept_apart(self, spool: Spool) -> None:
        spool.leads.link([Link(1, 2, False)])
        assert spool.leads.is_suspected(1)
        assert (spool.leads.family(2, is_certain=True), spool.leads.family(2, is_certain=False)) == ({2}, {1, 2})
        spool.leads.link([Link(1, 2, True), Link(1, 2, False)])
        assert (spool.leads.family(2, is_certain=True), spool.leads.is_suspected(1)) == ({1, 2}, False)

    def test_a_lead_that_answers_for_itself_was_not_merged(self, spool: Spool) -> None:
        spool.leads.link([Link(1, 2, False), Link(1, 1, True)])
        assert spool.leads.family(1, is_certain=False) == {1}

    @pytest.mark.parametrize(
        ("error", "status", "is_known"), [(None, 200, True), (FOUND_BY_READING, 200, False), (None, None, False)]
    )
    def test_an_answer_with_its_own_id_says_so(
        self, spool: Spool, error: str | None, status: int | None, is_known: bool
    ) -> None:
        fill(spool, 1)
        assert not spool.leads.is_known(1)
        answered(spool, 1, error, status)
        assert spool.leads.is_known(1) is is_known


class TestSharing:
    def test_where_nothing_says_the_same_of_another_lead_nothing_is_shared(self, spool: Spool) -> None:
        fill(spool, 1, 1)
        fill(spool, 2, body=OTHER)
        answered(spool, 2)
        answered(spool, 3)
        assert not spool.leads.may_share(CONTENT, 1)

    @pytest.mark.parametrize(
        ("outcome", "is_shared"),
        [
            (Outcome.DELIVERED, True), (Outcome.ALREADY_DELIVERED, True), (Outcome.UNKNOWN, True),
            (Outcome.REJECTED, False), (Outcome.NOT_ATTEMPTED, False), (None, False),
        ],
    )  # fmt: skip
    def test_what_may_be_at_lofty_may_be_what_is_shown(
        self, spool: Spool, outcome: str | None, is_shared: bool
    ) -> None:
        fill(spool, 1, 2)
        if outcome is not None:
            spool.record(Result(2, outcome))
        assert spool.leads.may_share(CONTENT, 1) is is_shared

    def test_two_leads_that_answer_for_themselves_share_nothing(self, spool: Spool) -> None:
        fill(spool, 1, 2, 2)
        answered(spool, 2)
        assert spool.leads.may_share(CONTENT, 1)
        spool.leads.link([Link(1, 1, True)])
        assert not spool.leads.may_share(CONTENT, 1)

    def test_one_that_no_answer_named_may_be_a_part_of_any(self, spool: Spool) -> None:
        fill(spool, 1, 2)
        spool.leads.link([Link(1, 1, True)])
        spool.leads.add_stray(2, CONTENT, 2)
        assert spool.leads.may_share(CONTENT, 1)
        spool.leads.link([Link(2, 2, True)])
        assert not spool.leads.may_share(CONTENT, 1)

    def test_nor_one_that_proved_not_to_be_stored(self, spool: Spool) -> None:
        spool.leads.link([Link(1, 1, True)])
        spool.leads.add_stray(2, CONTENT, 2)
        spool.leads.drop_stray(2)
        assert not spool.leads.may_share(CONTENT, 1)

    @pytest.mark.parametrize("lead_id", [2, None])
    def test_a_row_of_the_journal_that_the_input_has_no_more_counts_too(
        self, spool: Spool, lead_id: int | None
    ) -> None:
        past = PastRow(b"gone", JournalState.DELIVERED, lead_id=lead_id, content=CONTENT[:CONTENT_BYTES])
        spool.history.add([past])
        assert spool.leads.may_share(CONTENT, 1)
        fill(spool, 2, row_key=b"gone")
        assert not spool.leads.may_share(CONTENT, 1)  # it is in the input, and waits

    def test_what_members_of_a_family_were_sent_is_counted_instead(self, spool: Spool) -> None:
        fill(spool, 1, 2)
        answered(spool, 2, "merged")
        spool.leads.link([Link(1, 2, True)])
        assert not spool.leads.may_share(CONTENT, 1)
        assert spool.leads.delivered_contents([2]) == Counter({CONTENT: 1})


def test_what_was_delivered_is_counted_once_by_spool_or_by_journal(spool: Spool) -> None:
    short = CONTENT[:CONTENT_BYTES]
    fill(spool, 1, 2, 2, 3)
    fill(spool, 2, outcome=Outcome.ALREADY_DELIVERED, error=CONTENT_HAS_CHANGED)
    for n in (1, 2, 4):
        answered(spool, n)
    spool.history.add(
        PastRow(row_key, JournalState.DELIVERED, lead_id=lead_id, content=short)
        for row_key, lead_id in ((b"i1", 1), (b"i5", 2), (b"gone", 2), (b"far", 9), (b"somewhere", None))
    )
    assert spool.leads.delivered_contents([1, 2]) == Counter({CONTENT: 2, short: 3})
    assert spool.leads.delivered_contents(()) == Counter()
