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
from airflow_provider_lofty.spool.history import (
    CONTENT_BYTES,
    CONTENT_HAS_CHANGED,
    KEY_OF_ANOTHER,
    JournalState,
    OfAnother,
    PastRow,
)
from airflow_provider_lofty.spool.leads import MOST_ALIKE, Link
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


class TestAlike:
    """Leads that have the same row as another one."""

    def test_what_says_something_else_is_not_the_same(self, spool: Spool) -> None:
        fill(spool, 1, 1)
        fill(spool, 2, body=OTHER)
        answered(spool, 2)
        answered(spool, 3)
        assert spool.leads.alike(CONTENT, 1) == set()

    @pytest.mark.parametrize(
        ("outcome", "found"),
        [
            (Outcome.DELIVERED, {2}), (Outcome.ALREADY_DELIVERED, {2}), (Outcome.UNKNOWN, {2}),
            (Outcome.REJECTED, set()), (Outcome.NOT_ATTEMPTED, set()), (None, set()),
        ],
    )  # fmt: skip
    def test_what_may_be_at_lofty_counts(self, spool: Spool, outcome: str | None, found: set[int | None]) -> None:
        fill(spool, 1, 2)
        if outcome is not None:
            spool.record(Result(2, outcome))
        assert spool.leads.alike(CONTENT, 1) == found

    def test_whatever_answers_have_said_of_these_leads(self, spool: Spool) -> None:
        fill(spool, 1, 2)
        answered(spool, 1)
        answered(spool, 2)
        spool.leads.link([Link(1, 1, True), Link(2, 2, True)])
        assert spool.leads.alike(CONTENT, 1) == {2}

    def test_of_what_is_not_in_the_input_each_that_may_be_stored(self, spool: Spool) -> None:
        spool.leads.add_stray(2, CONTENT, 2)
        spool.leads.add_stray(None, CONTENT, 3)
        assert (spool.leads.alike(CONTENT, 1), spool.leads.unnamed(CONTENT, 1)) == ({2, 3}, {2, 3})
        spool.leads.drop_stray(2)
        spool.leads.link([Link(3, 3, True)])
        assert (spool.leads.alike(CONTENT, 1), spool.leads.unnamed(CONTENT, 1)) == ({3}, set())

    @pytest.mark.parametrize("lead_id", [2, None])
    def test_a_row_of_the_journal_that_the_input_has_no_more_counts_too(
        self, spool: Spool, lead_id: int | None
    ) -> None:
        past = PastRow(b"gone", JournalState.DELIVERED, lead_id=lead_id, content=CONTENT[:CONTENT_BYTES])
        spool.history.add([past])
        assert spool.leads.alike(CONTENT, 1) == {lead_id}

    def test_so_does_one_that_waits_here_and_that_another_run_has_delivered_meanwhile(self, spool: Spool) -> None:
        fill(spool, 2, row_key=b"same")
        spool.history.add([PastRow(b"same", JournalState.DELIVERED, lead_id=2, content=CONTENT[:CONTENT_BYTES])])
        assert spool.leads.alike(CONTENT, 1) == {2}
        assert spool.leads.delivered_contents([2], is_certain=True) == Counter({CONTENT[:CONTENT_BYTES]: 1})
        spool.record(Result(1, Outcome.ALREADY_DELIVERED))
        assert spool.leads.delivered_contents([2], is_certain=True) == Counter({CONTENT: 1})

    @pytest.mark.parametrize("error", [CONTENT_HAS_CHANGED, KEY_OF_ANOTHER])
    def test_so_does_one_that_the_input_has_otherwise_now(self, spool: Spool, error: str) -> None:
        fill(spool, 3, row_key=b"same", outcome=Outcome.INVALID, error=error)
        spool.history.add([PastRow(b"same", JournalState.DELIVERED, lead_id=2, content=CONTENT[:CONTENT_BYTES])])
        assert spool.leads.alike(CONTENT, 1) == {2}
        assert spool.leads.delivered_contents([2], is_certain=True) == Counter({CONTENT[:CONTENT_BYTES]: 1})

    def test_what_members_of_a_family_were_sent_is_counted_instead(self, spool: Spool) -> None:
        fill(spool, 1, 2)
        answered(spool, 2, "merged")
        spool.leads.link([Link(1, 2, True)])
        assert spool.leads.alike(CONTENT, 1) == set()
        assert spool.leads.delivered_contents([2], is_certain=True) == Counter({CONTENT: 1})

    def test_no_more_are_looked_for_than_lofty_is_asked_about(self, spool: Spool) -> None:
        fill(spool, *range(1, 3 * MOST_ALIKE))
        for n in range(1, 3 * MOST_ALIKE):
            answered(spool, n)
        assert len(spool.leads.alike(CONTENT, 1)) == MOST_ALIKE + 1


def test_rows_that_say_the_same_are_found_without_looking_at_all(spool: Spool) -> None:
    spool.find_duplicates("lead id")  # as when a source was read
    asked: list[str] = []
    for _ in range(2):  # the first time makes the indexes
        spool._db.set_trace_callback(asked.append)
        spool.leads.alike(CONTENT, 1)
        spool.leads.has_delivered(CONTENT, [2], "2026")
        spool._db.set_trace_callback(None)
    plans = [
        step for statement in asked if statement.startswith("SELECT") and "content" in statement
        for *_, step in spool._db.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    ]  # fmt: skip
    assert {"strays_by_content", "rows_by_content", "past_rows_by_content"} <= {
        word for step in plans for word in step.split()
    }
    assert [step for step in plans if step.startswith("SCAN")] == []


@pytest.mark.parametrize(("since", "expected"), [("2026-03-01T10", True), ("2026-03-01T12", False)])
class TestDeliveredSince:
    def test_this_run_says_when_it_sent(self, spool: Spool, since: str, expected: bool) -> None:
        fill(spool, 1, 2, 2)
        spool.record(Result(2, Outcome.DELIVERED, sent_at="2026-03-01T11:00:00"))
        spool.record(Result(3, Outcome.UNKNOWN, sent_at="2026-03-01T13:00:00"))
        assert spool.leads.has_delivered(CONTENT, [2, 3], since) is expected
        assert not spool.leads.has_delivered(CONTENT, [1, 3], since)

    def test_other_runs_say_when_they_had_the_answer(self, spool: Spool, since: str, expected: bool) -> None:
        past = PastRow(b"theirs", JournalState.DELIVERED, lead_id=2, content=CONTENT[:CONTENT_BYTES])
        spool.history.add([past])
        spool.history.add_of_others([OfAnother(b"theirs", 2, b"", 0, "2026-03-01T11:00:00")])
        assert spool.leads.has_delivered(CONTENT, [2, 3], since) is expected
        assert not spool.leads.has_delivered(CONTENT, [1, 3], since)


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
    spool.history.add([PastRow(b"on its way", JournalState.CLAIMED, lead_id=2, content=short)])
    assert spool.leads.delivered_contents([1, 2], is_certain=False) == Counter({CONTENT: 2, short: 4})
    assert spool.leads.delivered_contents([1, 2], is_certain=True) == Counter({CONTENT: 2, short: 2})
    assert spool.leads.delivered_contents((), is_certain=True) == Counter()
