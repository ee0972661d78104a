"""Rows and outcomes on local disk: private, flat in memory, and every row counted once."""

from __future__ import annotations

import enum
import json
import math
import os
import shutil
import stat
import tracemalloc
from collections.abc import Iterator
from datetime import date, datetime, time, timezone
from decimal import Decimal
from ipaddress import ip_address, ip_network
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from airflow_provider_lofty.outcomes import FAILED_OUTCOMES, OUTCOMES, Outcome
from airflow_provider_lofty.rows.builder import InvalidRow
from airflow_provider_lofty.rows.mapping import RowMapping
from airflow_provider_lofty.spool.sample import ROW_KEY_BYTES, SAMPLE_ROWS, InputSample
from airflow_provider_lofty.spool.schema import RowState
from airflow_provider_lofty.spool.spool import Result, Spool, SpoolRow


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(keep_cells=True, folder=str(tmp_path))
    spool.add_source("leads.csv")
    yield spool
    spool.close()


def row(number: int, row_key: bytes = b"", content: bytes = b"", **others: Any) -> SpoolRow:
    row_key = row_key or b"i%d" % number
    waiting = SpoolRow(0, number, ("a",), (number,), number, b"{}", row_key, content or row_key, b"trace")
    return waiting._replace(**others)


def fill(spool: Spool, *rows: SpoolRow) -> Spool:
    for each in rows:
        spool.add(each)
    spool.flush()
    return spool


def outcomes(spool: Spool) -> list[tuple[str, str | None]]:
    return [(found.outcome, found.error) for found in spool.books.rows()]


class TestFile:
    def test_it_is_its_owners_alone_and_gone_as_soon_as_it_is_open(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        modes: list[tuple[str, int]] = []

        def look(folder: str) -> None:
            modes.extend(
                (path.name, stat.S_IMODE(path.stat().st_mode)) for path in (Path(folder), *Path(folder).iterdir())
            )
            remove(folder)

        remove = shutil.rmtree
        monkeypatch.setattr("airflow_provider_lofty.spool.spool.shutil.rmtree", look)
        before = os.umask(0)
        try:
            spool = Spool(keep_cells=True, folder=str(tmp_path))
        finally:
            os.umask(before)
        assert [mode for _, mode in modes] == [0o700, 0o600]
        assert list(tmp_path.iterdir()) == []
        fill(spool, *map(row, range(1, 2000)))
        assert list(tmp_path.iterdir()) == []
        assert spool.count_pending() == 1999
        spool.close()

    def test_memory_does_not_grow_with_the_rows(self, spool: Spool) -> None:
        fill(spool, *map(row, range(1, 1000)))
        tracemalloc.start()
        for number in range(1000, 21_000):
            spool.add(row(number, body=b"x" * 1000))
        spool.find_duplicates("identity")
        spool.pending(after=10_000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4_000_000


class TestReading:
    def test_rows_wait_in_the_order_they_were_read_and_a_batch_at_a_time(self, spool: Spool) -> None:
        fill(spool, *map(row, range(1, 1201)))
        found: list[int] = []
        while batch := spool.pending(after=found[-1] if found else 0, limit=500):
            found += [waiting.n for waiting in batch]
        assert (found, spool.read) == (list(range(1, 1201)), 1200)

    def test_a_waiting_row_carries_what_is_sent(self, spool: Spool) -> None:
        fill(spool, row(7, lead_id=2**63 - 1, body=b'{"a":1}'))
        assert spool.pending() == [(1, 7, 2**63 - 1, b'{"a":1}', b"i7", b"i7", b"trace", 0, None, False)]

    def test_long_rows_are_fetched_a_few_at_a_time(self, spool: Spool) -> None:
        fill(spool, *(row(n, body=b"x" * 1_000_000) for n in range(1, 11)))
        found: list[int] = []
        while batch := spool.pending(after=found[-1] if found else 0):
            assert len(batch) <= 5
            found += [waiting.n for waiting in batch]
        assert found == list(range(1, 11))

    def test_a_row_with_an_outcome_does_not_wait(self, spool: Spool) -> None:
        fill(spool, row(1, outcome=Outcome.INVALID, error_field="text", error="text is wrong"), row(2))
        assert [waiting.row_number for waiting in spool.pending()] == [2]
        assert spool.count_pending() == 1

    def test_a_place_names_the_file_where_there_are_several(self, spool: Spool) -> None:
        assert spool.place(0, 5) == "row 5"
        assert spool.place(0, 5, 9) == "row 5 (line 9)"
        spool.add_source("more.csv")
        assert spool.place(1, 5) == "row 5 of more.csv"
        assert spool.place(1, 5, 9) == "row 5 (line 9) of more.csv"


class TestDuplicates:
    def test_the_same_content_again_is_a_duplicate_that_names_the_first_row(self, spool: Spool) -> None:
        fill(spool, row(1, b"same"), row(2), row(3, b"same"), row(4, b"same")).find_duplicates("identity")
        spool.books.close(Outcome.DELIVERED)
        assert outcomes(spool) == [
            (Outcome.DELIVERED, None),
            (Outcome.DELIVERED, None),
            (Outcome.DUPLICATE, "same as row 1"),
            (Outcome.DUPLICATE, "same as row 1"),
        ]

    def test_other_content_with_the_same_identity_is_invalid(self, spool: Spool) -> None:
        fill(spool, row(1, b"same", b"one"), row(2, b"same", b"two")).find_duplicates("event")
        assert [(found.outcome, found.error_field, found.error) for found in spool.books.failure_groups(9)] == [
            (Outcome.INVALID, "event", "event is the same as of row 1, but the content is another")
        ]
        assert spool.count_pending() == 1

    def test_it_is_found_across_files_and_names_the_file(self, spool: Spool) -> None:
        spool.add_source("more.csv")
        fill(spool, row(1, b"same"), row(1, b"same", source=1)).find_duplicates("identity")
        spool.books.close(Outcome.DELIVERED)
        assert outcomes(spool)[1] == (Outcome.DUPLICATE, "same as row 1 of leads.csv")

    def test_a_row_whose_outcome_is_known_stands_before_those_that_wait(self, spool: Spool) -> None:
        fill(spool, row(1, b"same"), row(2, b"same", outcome=Outcome.ALREADY_DELIVERED)).find_duplicates("identity")
        assert spool.count_pending() == 0
        assert outcomes(spool)[0] == (Outcome.DUPLICATE, "same as row 2")

    def test_a_row_in_doubt_stands_before_those_that_wait(self, spool: Spool) -> None:
        fill(spool, row(1, b"same"), row(2, b"same", state=RowState.IN_DOUBT.value), row(3, b"same")).find_duplicates(
            "identity"
        )
        spool.books.close(Outcome.UNKNOWN)
        assert outcomes(spool) == [
            (Outcome.DUPLICATE, "same as row 2, which ended unknown"),
            (Outcome.UNKNOWN, None),
            (Outcome.DUPLICATE, "same as row 2, which ended unknown"),
        ]

    def test_invalid_rows_without_an_identity_are_not_compared(self, spool: Spool) -> None:
        nothing = {"row_key": None, "fingerprint": None, "outcome": Outcome.INVALID}
        fill(spool, row(1)._replace(**nothing), row(2)._replace(**nothing)).find_duplicates("identity")
        assert [outcome for outcome, _ in outcomes(spool)] == [Outcome.INVALID, Outcome.INVALID]

    @pytest.mark.parametrize("outcome", OUTCOMES)
    def test_a_duplicate_fails_when_the_row_it_repeats_does(self, spool: Spool, outcome: str) -> None:
        fill(spool, row(1, b"same"), row(2, b"same")).find_duplicates("identity")
        spool.record(Result(1, outcome))
        assert spool.books.count_failed() == (2 if outcome in FAILED_OUTCOMES else 0)

    def test_many_duplicates_are_all_marked(self, spool: Spool) -> None:
        fill(spool, *(row(number, b"same") for number in range(1, 1502))).find_duplicates("identity")
        assert (spool.books.counts()[Outcome.DUPLICATE], spool.count_pending()) == (1500, 1)


class TestOutcomes:
    def test_every_row_is_counted_once_and_the_counts_add_up(self, spool: Spool) -> None:
        fill(spool, *(row(number) for number in range(1, len(OUTCOMES) + 3)))
        for number, outcome in enumerate(OUTCOMES, start=1):
            spool.record(Result(number, outcome))
        assert spool.books.counts() == dict.fromkeys(OUTCOMES, 1)
        spool.books.close(Outcome.NOT_ATTEMPTED, "the run stopped first")
        assert spool.books.counts()[Outcome.NOT_ATTEMPTED] == 3
        assert sum(spool.books.counts().values()) == spool.read

    def test_what_came_of_a_row_is_kept(self, spool: Spool) -> None:
        fill(spool, row(1))
        spool.record(Result(1, Outcome.REJECTED, 400, 20012, "Lofty refused it", 2, "2024-05-01T10:00:00Z"))
        (found,) = spool.books.rows()
        kept = (found.outcome, found.http_status, found.error_code, found.error, found.attempts, found.sent_at)
        assert kept == (Outcome.REJECTED, 400, 20012, "Lofty refused it", 2, "2024-05-01T10:00:00Z")
        assert (found.lead_id, found.fingerprint) == (1, b"i1".hex())

    def test_it_says_what_was_written_down_before(self, spool: Spool) -> None:
        fill(spool, row(1))
        said = [spool.record(Result(1, outcome)) for outcome in (Outcome.REJECTED, Outcome.DELIVERED)]
        assert said == [None, "rejected"]

    def test_a_missing_lead_rejects_its_waiting_rows_only(self, spool: Spool) -> None:
        fill(spool, row(1, lead_id=5), row(2, lead_id=5), row(3, lead_id=6), row(4, lead_id=5))
        spool.record(Result(1, Outcome.DELIVERED))
        assert spool.reject_lead(5, 404, 20006, "the lead does not exist", ()) == 2
        assert [outcome for outcome, _ in outcomes(spool)[:2]] == [Outcome.DELIVERED, Outcome.REJECTED]
        assert [waiting.lead_id for waiting in spool.pending()] == [6]

    def test_but_none_of_those_that_are_on_their_way(self, spool: Spool) -> None:
        fill(spool, *(row(number, lead_id=5) for number in range(1, 5)))
        assert spool.reject_lead(5, 404, 20006, "the lead does not exist", [2, 3]) == 2
        assert [waiting.n for waiting in spool.pending()] == [2, 3]

    def test_what_no_page_has_ruled_out_may_be_told_apart_when_the_books_are_closed(self, spool: Spool) -> None:
        bodies = {kind: b'{"type":"%b"}' % kind.encode() for kind in ("Browse", "Search")}
        states = RowState.WAITING, RowState.ASIDE, RowState.RESENDING
        fill(spool, *(
            row(n, lead_id=lead_id, body=body, state=state.value)
            for n, (state, lead_id, body) in enumerate(product(states, (5, 6, 7), bodies.values()), 1)
        ))  # fmt: skip
        spool.history.read_lead(5, 10.0)
        spool.history.read_lead(6, 20.0)
        spool.books.close_unread("it may be there", {"Browse": 15.0, "Search": math.inf})
        spool.books.close(Outcome.NOT_ATTEMPTED, "stopped")
        waiting = ["unknown", "unknown", "not_attempted", "unknown", "unknown", "unknown"]
        assert [outcome for outcome, _ in outcomes(spool)] == [*waiting, *waiting, *["not_attempted"] * 6]

    def test_failed_rows_that_failed_alike_are_one_group_with_the_first_as_example(self, spool: Spool) -> None:
        fill(spool, *(row(number) for number in range(1, 7)))
        for number in (2, 4, 5):
            spool.record(Result(number, Outcome.REJECTED, 400, 20012, f"Lofty refused lead {number}"))
        spool.record(Result(1, Outcome.UNKNOWN, 500, None, "no answer"))
        spool.books.close(Outcome.NOT_ATTEMPTED, "stopped")
        groups = spool.books.failure_groups(2)
        assert [(group.rows, group.outcome, group.row_number, group.error) for group in groups] == [
            (3, Outcome.REJECTED, 2, "Lofty refused lead 2"),
            (2, Outcome.NOT_ATTEMPTED, 3, "stopped"),
        ]


class TestDoubt:
    SENT = Result(1, Outcome.UNKNOWN, 502, None, "no answer", 2, "2024-05-01T10:00:00Z")

    def test_a_row_in_doubt_does_not_wait_and_ends_unknown(self, spool: Spool) -> None:
        fill(spool, row(1), row(2)).doubt(self.SENT)
        assert [(found.n, found.attempts) for found in spool.doubtful()] == [(1, 2)]
        assert [waiting.n for waiting in spool.pending()] == [2]
        spool.books.close(Outcome.NOT_ATTEMPTED, "the run stopped first")
        assert outcomes(spool) == [(Outcome.UNKNOWN, "no answer"), (Outcome.NOT_ATTEMPTED, "the run stopped first")]
        assert [found.attempts for found in spool.books.rows()] == [2, 0]

    @pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.REJECTED])
    def test_a_row_whose_outcome_is_known_is_never_in_doubt(self, spool: Spool, outcome: str) -> None:
        fill(spool, row(1)).record(Result(1, outcome, 200, error="as Lofty said", attempts=1))
        spool.doubt(self.SENT)
        spool.books.close(Outcome.NOT_ATTEMPTED)
        assert outcomes(spool) == [(outcome, "as Lofty said")]
        assert spool.doubtful() == []

    def test_without_its_doubt_a_row_is_in_somebodys_hand(self, spool: Spool) -> None:
        fill(spool, row(1)).doubt(self.SENT)
        spool.undoubt(1)
        assert (spool.doubtful(), spool.pending()) == ([], [])
        spool.books.close(Outcome.NOT_ATTEMPTED, "the run stopped first")
        (found,) = spool.books.rows()
        assert (found.outcome, found.error, found.http_status) == (Outcome.NOT_ATTEMPTED, "the run stopped first", None)
        assert found.attempts == 2

    def test_it_may_be_in_doubt_again(self, spool: Spool) -> None:
        fill(spool, row(1)).doubt(self.SENT)
        spool.undoubt(1)
        spool.doubt(self.SENT._replace(attempts=3))
        assert [(found.n, found.attempts) for found in spool.doubtful()] == [(1, 3)]


class TestTwins:
    """A doubt is told by its trace where the row has another identity now."""

    def test_the_first_waiting_row_with_the_trace_is_put_into_doubt(self, spool: Spool) -> None:
        fill(spool, row(1, trace_hash=b"other"), row(2), row(3), row(4))
        spool.record(Result(2, Outcome.DELIVERED))
        twin = spool.take_twin(b"trace", 2)
        assert twin is not None
        assert (twin.n, twin.row_key, twin.attempts) == (3, b"i3", 2)
        assert spool.doubtful() == [twin]
        assert [waiting.n for waiting in spool.pending()] == [1, 4]

    def test_each_of_several_doubts_takes_a_row_of_its_own(self, spool: Spool) -> None:
        fill(spool, row(1), row(2), row(3, outcome=Outcome.DUPLICATE))
        taken = [spool.take_twin(b"trace", 1) for _ in range(3)]
        assert [twin and twin.n for twin in taken] == [1, 2, None]

    def test_without_such_a_row_nothing_changes(self, spool: Spool) -> None:
        fill(spool, row(1))
        assert spool.take_twin(b"another", 1) is None
        assert (spool.count_pending(), spool.doubtful()) == (1, [])


class TestSketch:
    def test_it_counts_the_rows_and_keeps_the_lowest_identities(self, spool: Spool) -> None:
        row_keys = [b"%012d" % (n * 7919 % 1009) for n in range(1000)]
        fill(spool, *(row(number, row_key) for number, row_key in enumerate(row_keys, 1)))
        lowest = b"".join(row_key[:ROW_KEY_BYTES] for row_key in sorted(row_keys)[:SAMPLE_ROWS])
        assert spool.input_sample() == InputSample(1000, lowest)

    def test_the_order_of_the_rows_and_what_came_of_them_does_not_matter(self, spool: Spool, tmp_path: Path) -> None:
        fill(spool, row(1), row(2), row(3), row(4))
        spool.record(Result(1, Outcome.ALREADY_DELIVERED))
        spool.record(Result(2, Outcome.REJECTED))
        spool.doubt(Result(3, Outcome.UNKNOWN))
        other = Spool(keep_cells=True, folder=str(tmp_path))
        other.add_source("x")
        assert fill(other, row(4), row(3), row(2), row(1)).input_sample() == spool.input_sample()
        other.close()

    def test_invalid_rows_and_repeats_are_not_counted(self, spool: Spool) -> None:
        fill(
            spool,
            row(1, b"same00"),
            row(2, b"same00"),
            row(3, b"bad000", outcome=Outcome.INVALID),
            row(4, row_key=None),
        )
        spool.add(row(5)._replace(row_key=None, outcome=Outcome.INVALID))
        spool.find_duplicates("identity")
        assert spool.input_sample() == InputSample(2, b"i4same00")

    def test_no_rows_are_none(self, spool: Spool) -> None:
        assert spool.input_sample() == InputSample(0, b"")


class TestTypes:
    """Rows of one type are found without looking at all others: a lead, and an input, may have very many."""

    @pytest.fixture
    def mixed(self, spool: Spool) -> Spool:
        kinds = ("Browse", "Search", "Browse", "Search", "Browse")
        return fill(
            spool, *(row(n, lead_id=7, body=b'{"type":"%s"}' % kind.encode()) for n, kind in enumerate(kinds, 1))
        )

    def test_they_come_in_input_order(self, mixed: Spool) -> None:
        assert [found.n for found in mixed.of_type(7, "Browse", after=1)] == [3, 5]
        assert [found.n for found in mixed.of_type(7, "Favorite", after=0)] == []
        assert mixed.last_of_each_type() == {4, 5}

    def test_those_that_were_set_aside_come_back_or_are_refused(self, mixed: Spool) -> None:
        for n in range(1, 6):
            mixed.set_aside(n)
        last = mixed.last_aside("Browse")
        assert last is not None
        assert last.n == 5
        assert [found.n for found in mixed.bring_back("Browse", 1)] == [1]
        assert mixed.refuse_aside("Search", "perhaps sent") == 2
        assert [found.n for found in mixed.bring_back("Browse")] == [3]

    def test_an_index_finds_them(self, mixed: Spool) -> None:
        asked: list[str] = []
        mixed.set_aside(1)
        mixed._db.set_trace_callback(asked.append)
        list(mixed.of_type(7, "Search", after=0))
        mixed.bring_back("Search")
        mixed.last_aside("Search")
        mixed.refuse_aside("Search", "perhaps sent")
        mixed._db.set_trace_callback(None)
        looked = [statement for statement in asked if statement.startswith(("SELECT", "UPDATE"))]
        plans = [mixed._db.execute(f"EXPLAIN QUERY PLAN {statement}").fetchone()[3] for statement in looked]
        assert ["SEARCH" in plan for plan in plans] == [True] * 4, plans
        assert ["<expr>=?" in plan for plan in plans] == [True] * 4, plans


def test_the_rows_of_a_lead_that_were_delivered_as_they_are_now(spool: Spool) -> None:
    fill(spool, *(row(number, lead_id=5 + (number == 4)) for number in range(1, 7)))
    spool.record(Result(1, Outcome.DELIVERED, 200))
    spool.record(Result(2, Outcome.ALREADY_DELIVERED))
    spool.record(Result(3, Outcome.ALREADY_DELIVERED, error="its content has changed since it was delivered"))
    spool.record(Result(4, Outcome.DELIVERED, 200))
    spool.record(Result(5, Outcome.REJECTED, 400))
    assert [found.n for found in spool.delivered_to_lead(5)] == [1, 2]
    assert [found.n for found in spool.delivered_to_lead(6)] == [4]


class Colour(str, enum.Enum):
    RED = "red"


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


class TestCells:
    def test_columns_are_kept_with_each_row_whatever_its_shape(self, spool: Spool) -> None:
        fill(spool, row(1), row(2, columns=("b", "a"), cells=(1, 2)), row(3))
        spool.books.close(Outcome.DELIVERED)
        assert [(found.columns, found.cells) for found in spool.books.rows()] == [
            (("a",), [1]),
            (("b", "a"), [1, 2]),
            (("a",), [3]),
        ]
        assert spool.books.columns() == ["a", "b"]

    def test_shapes_without_end_are_not_all_remembered(self, spool: Spool) -> None:
        fill(spool, *(row(number, columns=(f"c{number}",)) for number in range(1, 1300)))
        spool.books.close(Outcome.DELIVERED)
        assert len(spool._layout_ids) <= 501
        assert [found.columns for found in spool.books.rows()] == [(f"c{number}",) for number in range(1, 1300)]

    def test_without_a_report_they_are_not_kept(self, tmp_path: Path) -> None:
        spool = Spool(keep_cells=False, folder=str(tmp_path))
        spool.add_source("x")
        fill(spool, row(1)).books.close(Outcome.DELIVERED)
        assert [(found.columns, found.cells) for found in spool.books.rows()] == [((), [])]
        spool.close()

    @pytest.mark.parametrize(
        ("cell", "kept"),
        [
            (None, None),
            (float("nan"), None),
            (Decimal("NaN"), None),
            (pd.NaT, None),
            (pd.NA, None),
            (np.datetime64("NaT", "ns"), None),
            ("", ""),
            (True, True),
            (2**70, 2**70),
            (np.int64(2**62 + 1), 2**62 + 1),
            (np.float64(1.5), 1.5),
            (np.datetime64("2024-05-01T10:00:00.5", "ns"), "2024-05-01T10:00:00.500000"),
            (Decimal("9007199254740993"), "9007199254740993"),
            (Decimal("5.00"), "5"),
            (datetime(2024, 5, 1, tzinfo=timezone.utc), "2024-05-01T00:00:00+00:00"),
            (date(2024, 5, 1), "2024-05-01"),
            (time(10), "10:00:00"),
            (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            (ip_address("192.0.2.1"), "192.0.2.1"),
            (ip_network("2001:db8::/32"), "2001:db8::/32"),
            (Colour.RED, "red"),
            ("half \ud800", "half \ud800"),
            ({"a": [1, None, Decimal(2)]}, {"a": [1, None, "2"]}),
        ],
    )
    def test_a_cell_is_kept_as_it_is(self, spool: Spool, cell: Any, kept: Any) -> None:
        fill(spool, row(1, cells=(cell,))).books.close(Outcome.DELIVERED)
        (found,) = spool.books.rows()
        assert (found.cells, type(found.cells[0])) == ([kept], type(kept))

    @pytest.mark.parametrize(
        "cell",
        [pytest.param(10**5000, id="huge"), ENDLESS, {1: {2: {3}}}, {("a",): 1}, object(), 1j, b"\xff", {"a": "\ud800"},
         float("inf"), np.array([1, 2]), np.timedelta64(5, "ns"), {"a": float("nan")}, "\0", Decimal("1E+99999")],
        ids=lambda cell: type(cell).__name__,
    )  # fmt: skip
    def test_a_cell_that_json_cannot_hold_harms_nobody(self, spool: Spool, cell: Any) -> None:
        fill(spool, row(1, columns=("a", "b"), cells=(cell, "02134"))).books.close(Outcome.INVALID)
        (found,) = spool.books.rows()
        assert found.cells[1] == "02134"
        json.dumps(found.cells)


ROW = {"leadId": 5, "type": "Browse", "text": "t", "link": "l", "picture": "p", "created": 1714557600123}
KINDS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(allow_nan=False), st.text(), st.binary(max_size=5),
    st.dates(), st.datetimes(), st.uuids(), st.lists(st.integers(), max_size=2), st.timedeltas(),
    st.integers(1, 2**53).map(float), st.integers(0, 10**6).map(lambda cents: Decimal(cents) / 100),
)  # fmt: skip


@given(cells=st.fixed_dictionaries({**{name: st.just(value) for name, value in ROW.items()}, "listing.zipCode": KINDS, "listing.price": KINDS, "listing.lotSize": KINDS})
       | st.fixed_dictionaries({name: st.just(value) | KINDS for name, value in ROW.items()}))  # fmt: skip
def test_what_a_report_keeps_leads_to_the_same_activity_again(cells: dict[str, Any]) -> None:
    builder = RowMapping(now=datetime(2024, 6, 1, tzinfo=timezone.utc)).builder(tuple(cells), table=True)
    spool = Spool(keep_cells=True)
    spool.add_source("x")
    fill(spool, row(1, columns=builder.columns, cells=tuple(cells.values()))).books.close(Outcome.DELIVERED)
    (found,) = spool.books.rows()
    spool.close()
    again = json.loads(json.dumps(found.cells))

    def built(values: Any) -> Any:
        try:
            return builder.build(values)
        except InvalidRow as error:
            return error.fields

    assert built(again) == built(list(cells.values()))
