"""What an earlier run left behind, compared with the rows of this one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.activities import BODY

from airflow_provider_lofty.lofty.trace import trace_of_body
from airflow_provider_lofty.outcomes import Outcome
from airflow_provider_lofty.rows.builder import encode_json
from airflow_provider_lofty.spool.history import (
    CONTENT_HAS_CHANGED,
    FINGERPRINT_BYTES,
    KEY_OF_ANOTHER,
    JournalState,
    PastRow,
)
from airflow_provider_lofty.spool.schema import RowState
from airflow_provider_lofty.spool.spool import Result, Spool, SpoolRow

REMARK = CONTENT_HAS_CHANGED


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(keep_cells=False, folder=str(tmp_path))
    spool.add_source("leads.csv")
    yield spool
    spool.close()


def fill(spool: Spool, *numbers: int, **others: Any) -> None:
    for n in numbers:
        waiting = SpoolRow(0, n, (), (), n, b"{}", b"i%d" % n, b"content %d" % n, b"t%d" % n)
        spool.add(waiting._replace(**others))
    spool.flush()


def known(n: int, state: str = "delivered", **others: Any) -> PastRow:
    fingerprint = (b"content %d" % n)[:FINGERPRINT_BYTES]
    return PastRow(b"i%d" % n, state, fingerprint, b"t%d" % n)._replace(**others)


def outcomes(spool: Spool) -> list[tuple[Any, ...]]:
    return [(row.outcome, row.http_status, row.error_code, row.error, row.attempts) for row in spool.books.rows()]


class TestApplying:
    def test_delivered_rows_are_not_sent_again(self, spool: Spool) -> None:
        fill(spool, 1, 2, 3)
        spool.history.add([known(1), known(3), known(9)])
        spool.history.apply()
        assert [row.row_number for row in spool.pending()] == [2]
        assert outcomes(spool)[0] == (Outcome.ALREADY_DELIVERED, None, None, None, 0)

    @pytest.mark.parametrize(("fingerprint", "remark"), [(b"else", REMARK), (b"", None), (b"cont", None)])
    def test_a_delivered_row_with_another_content_is_told(
        self, spool: Spool, fingerprint: bytes, remark: str | None
    ) -> None:
        fill(spool, 1)
        spool.history.add([known(1, fingerprint=fingerprint)])
        spool.history.apply()
        assert outcomes(spool) == [(Outcome.ALREADY_DELIVERED, None, None, remark, 0)]

    def test_rejected_rows_keep_what_lofty_said(self, spool: Spool) -> None:
        fill(spool, 1)
        spool.history.add([known(1, "rejected", http_status=400, error_code=20012, error="no", attempts=2)])
        spool.history.apply()
        assert outcomes(spool) == [(Outcome.REJECTED, 400, 20012, "no", 2)]

    @pytest.mark.parametrize(("before", "journal", "attempts"), [(0, 2, 2), (3, 1, 3)])
    def test_intended_rows_are_in_doubt_with_the_most_attempts_known(
        self, spool: Spool, before: int, journal: int, attempts: int
    ) -> None:
        fill(spool, 1, 2, attempts=before)
        spool.history.add([known(1, "intended", attempts=journal)])
        spool.history.apply()
        assert [(row.row_number, row.attempts) for row in spool.doubtful()] == [(1, attempts)]
        assert [row.row_number for row in spool.pending()] == [2]

    def test_rows_that_others_hold_wait_like_any(self, spool: Spool) -> None:
        fill(spool, 1)
        spool.history.add([known(1, JournalState.CLAIMED)])
        spool.history.apply()
        assert (spool.count_pending(), spool.doubtful()) == (1, [])

    @pytest.mark.parametrize("state", ["delivered", "rejected", "intended"])
    def test_a_row_with_an_outcome_keeps_it(self, spool: Spool, state: str) -> None:
        fill(spool, 1, outcome=Outcome.INVALID, error="bad")
        spool.history.add([known(1, state)])
        spool.history.apply()
        assert outcomes(spool) == [(Outcome.INVALID, None, None, "bad", 0)]

    def test_a_row_in_doubt_that_was_delivered_is_in_doubt_no_more(self, spool: Spool) -> None:
        fill(spool, 1, state=RowState.IN_DOUBT.value)
        spool.history.add([known(1)])
        spool.history.apply()
        assert spool.doubtful() == []
        spool.books.close(Outcome.UNKNOWN)
        assert spool.books.counts()[Outcome.ALREADY_DELIVERED] == 1

    def test_every_repeat_of_a_row_gets_the_same(self, spool: Spool) -> None:
        fill(spool, 1, 1, 2)
        spool.history.add([known(1)])
        spool.history.apply()
        assert spool.books.counts()[Outcome.ALREADY_DELIVERED] == 2


class TestRowsThatLookForTheirLead:
    """A row has the lead that it was sent to, whichever it would match now."""

    BODY = encode_json(BODY)

    @pytest.mark.parametrize(
        ("state", "outcome"), [("delivered", Outcome.ALREADY_DELIVERED), ("rejected", Outcome.REJECTED)]
    )
    @pytest.mark.parametrize("lead_id", [None, 5])
    def test_what_is_over(self, spool: Spool, state: str, outcome: str, lead_id: int | None) -> None:
        fill(spool, 1, lead_id=lead_id, trace_hash=None, body=self.BODY, email="ada@example.com")
        spool.history.add([known(1, state, lead_id=9)])
        spool.history.apply()
        assert [(row.outcome, row.lead_id) for row in spool.books.rows()] == [(outcome, 9)]

    def test_what_is_in_doubt(self, spool: Spool) -> None:
        fill(spool, 1, lead_id=None, trace_hash=None, body=self.BODY, phone="2025550142")
        spool.history.add([known(1, "intended", lead_id=9)])
        spool.history.apply()
        (row,) = spool.doubtful()
        assert (row.lead_id, row.trace_hash) == (9, trace_of_body(9, self.BODY).trace_hash)
        assert row.may_move
        assert spool.history.has_row(row.row_key, 4711)

    def test_what_others_hold_is_yet_to_be_found(self, spool: Spool) -> None:
        fill(spool, 1, lead_id=None, trace_hash=None, body=self.BODY, email="ada@example.com")
        spool.history.add([known(1, "held", lead_id=9)])
        spool.history.apply()
        assert [row.lead_id for row in spool.books.rows()] == [None]


class TestKeysOfAnotherLead:
    """What was sent under a key that this input has, too."""

    @pytest.mark.parametrize(
        ("state", "outcome"),
        [("delivered", Outcome.INVALID), ("intended", Outcome.INVALID), ("rejected", Outcome.REJECTED), ("held", None)],
    )
    def test_what_may_be_stored_for_another_lead_counts(self, spool: Spool, state: str, outcome: str | None) -> None:
        fill(spool, 1)
        spool.history.add([known(1, state, lead_id=9)])
        spool.history.apply()
        assert outcomes(spool)[0][0] == outcome

    def test_a_row_for_another_lead_is_invalid(self, spool: Spool) -> None:
        fill(spool, 1, 2)
        spool.history.add([known(1, lead_id=9), known(2, lead_id=2)])
        spool.history.apply()
        spool.books.close(Outcome.UNKNOWN)
        found = [(row.outcome, row.error_field, row.error) for row in spool.books.rows()]
        assert found == [(Outcome.INVALID, "unique_key", KEY_OF_ANOTHER), (Outcome.ALREADY_DELIVERED, None, None)]

    def test_a_row_in_doubt_for_another_lead_is_invalid_too(self, spool: Spool) -> None:
        fill(spool, 1, state=RowState.IN_DOUBT.value)
        spool.history.add([known(1, lead_id=9)])
        spool.history.apply()
        assert spool.doubtful() == []
        assert (spool.books.counts()[Outcome.INVALID], spool.books.count_failed()) == (1, 1)

    def test_a_row_with_an_outcome_keeps_it(self, spool: Spool) -> None:
        fill(spool, 1, outcome=Outcome.ALREADY_DELIVERED)
        spool.history.add([known(1, lead_id=9)])
        spool.history.apply()
        assert outcomes(spool) == [(Outcome.ALREADY_DELIVERED, None, None, None, 0)]


class TestCounting:
    def test_what_is_said_later_replaces_what_was_said_before(self, spool: Spool) -> None:
        spool.history.add([known(1, "rejected"), known(2, "rejected")])
        spool.history.add([known(1)])
        assert (spool.history.count("rejected"), spool.history.count("delivered")) == (1, 1)

    def test_what_others_hold_of_a_lead_can_be_forgotten(self, spool: Spool) -> None:
        held = [known(n, JournalState.CLAIMED, lead_id=lead_id) for n, lead_id in ((2, 7), (3, 7), (4, 8))]
        spool.history.add([known(1, lead_id=7), *held])
        spool.history.forget_held(7)
        assert (spool.history.count(JournalState.CLAIMED), spool.history.count("delivered")) == (1, 1)

    def test_what_others_hold_is_found_without_looking_at_all_that_is_known(self, spool: Spool) -> None:
        asked: list[str] = []
        spool.history._db.set_trace_callback(asked.append)
        spool.history.claimed_traces()
        spool.history.forget_held(7)
        spool.history._db.set_trace_callback(None)
        assert len(asked) == 2
        for statement in asked:
            plan = spool.history._db.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            assert "past_rows_claimed" in plan[0][3]

    def test_delivered_rows_that_the_input_has_no_more_are_gone(self, spool: Spool) -> None:
        fill(spool, 1, 2)
        fill(spool, 7, row_key=None, outcome=Outcome.INVALID)
        spool.history.add([known(1), known(3), known(4), known(5, "rejected"), known(6, "intended")])
        assert spool.history.count_gone() == 2

    def test_it_knows_whether_the_input_has_a_row(self, spool: Spool) -> None:
        fill(spool, 1)
        assert [spool.history.has_row(*wanted) for wanted in ((b"i1", 1), (b"i2", 2), (b"i1", 2))] == [
            True,
            False,
            False,
        ]

    def test_leads_that_were_read_are_remembered(self, spool: Spool) -> None:
        spool.history.read_lead(5, 10.0)
        spool.history.read_lead(5, 10.0)
        assert [spool.history.lead_read_at(lead) for lead in (5, 6)] == [10.0, None]


class TestTraces:
    def test_delivered_rows_are_counted_once_whoever_knows_of_them(self, spool: Spool) -> None:
        fill(spool, 1, 2, 3)
        fill(spool, 4, trace_hash=b"t1")
        spool.history.add(
            [known(1), known(8, trace_hash=b"t1"), known(9, trace_hash=b"t3"), known(7, "rejected", trace_hash=b"t1")]
        )
        spool.history.apply()
        spool.record(Result(4, Outcome.DELIVERED))
        spool.record(Result(2, Outcome.REJECTED))
        found = spool.history.delivered_traces([b"t1", b"t2", b"t3", b"t1"])
        assert found == Counter({b"t1": 3, b"t3": 1})

    def test_only_those_that_were_asked_for_are_told(self, spool: Spool) -> None:
        spool.history.add([known(1), known(2)])
        assert spool.history.delivered_traces([b"t2"]) == Counter({b"t2": 1})
        assert spool.history.delivered_traces([]) == Counter()

    def test_any_number_can_be_asked_for(self, spool: Spool) -> None:
        fill(spool, *range(1200))
        for n in range(1, 1201):
            spool.record(Result(n, Outcome.DELIVERED))
        spool.history.add(known(n) for n in range(1200, 2400))
        asked = [b"t%d" % n for n in range(3000)]
        assert spool.history.delivered_traces(asked) == Counter(asked[:2400])

    def test_what_others_send_is_counted_too(self, spool: Spool) -> None:
        spool.history.add([known(1, JournalState.CLAIMED), known(2, JournalState.CLAIMED, trace_hash=b"t1"), known(3)])
        assert spool.history.claimed_traces() == Counter({b"t1": 2})


def test_a_state_is_written_as_its_value_everywhere() -> None:
    stored = {
        "INTENDED": "intended", "DELIVERED": "delivered", "REJECTED": "rejected", "REOPENED": "reopened",
        "DOUBTED": "doubted", "ABANDONED": "abandoned", "WITHDRAWN": "withdrawn", "CLAIMED": "held",
        "KEY_CONFLICT": "foreign",
    }  # fmt: skip
    assert {state.name: state.value for state in JournalState} == stored
    for state in JournalState:
        assert (str(state), f"{state}", format(state), json.dumps(state)) == (*[state.value] * 3, f'"{state.value}"')
