"""The tail of a task's journal: each commit is one line, and its lines alone lead to the same open and closed rows."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_provider_lofty.journal.commits import CommitLog, Records
from airflow_provider_lofty.journal.journal import Closing, Intent
from airflow_provider_lofty.lofty.fields import ACTIVITY_TYPES
from airflow_provider_lofty.lofty.trace import Trace
from airflow_provider_lofty.spool.history import CONTENT_BYTES, JournalState, PastRow

MOST_ATTEMPTS = 15


def made(n: int, attempts: int = 0, *, keyed: bool = False) -> Intent:
    """Make an intent that differs from others in every part."""
    row_key = b"i%011d" % n
    trace_hash = b"t%011d" % n if keyed else row_key
    kind = ACTIVITY_TYPES[n % len(ACTIVITY_TYPES)]
    wanted = Trace(2**63 - 1 - n, trace_hash, kind, 1_772_359_200_000 + n, b"x%02d" % (n % 100), b"l%02d" % (n % 100))
    return Intent(row_key, b"f%03d" % (n % 1000), wanted, attempts)


def closed(intent: Intent, state: str = JournalState.DELIVERED, *said: Any) -> PastRow:
    status, code, error = [*said, None, None, None][:3]
    content = intent.trace.content[:CONTENT_BYTES] if state == JournalState.DELIVERED else b""
    return PastRow(
        intent.row_key, state, intent.fingerprint, intent.trace.trace_hash, status, code, error, intent.attempts + 1,
        intent.trace.lead_id, content,
    )  # fmt: skip


class Written:
    """A tail, and the lines that were written for it."""

    def __init__(self, keyed: bool = False, carried: Sequence[Intent] = ()) -> None:
        self.records = Records(keyed)
        self.carried = carried
        self.tail = CommitLog(self.records, carried)
        self.lines: list[str] = []

    def commit(self, intents: Sequence[Intent] = (), closings: Sequence[Closing] = ()) -> None:
        self.lines.append(self.tail.line(intents, closings))
        self.tail.apply(self.lines[-1])

    @property
    def read_again(self) -> CommitLog:
        tail = CommitLog(self.records, self.carried)
        for line in self.lines:
            tail.apply(line)
        return tail


class TestLine:
    @pytest.mark.parametrize("keyed", [False, True])
    def test_what_is_intended_reads_back_in_every_part(self, keyed: bool) -> None:
        written = Written(keyed)
        intents = [made(n, n, keyed=keyed) for n in range(12)]
        written.commit(intents)
        assert written.tail.open == written.read_again.open == intents

    def test_without_a_key_the_trace_is_not_written_twice(self) -> None:
        lengths = [len(Records(keyed).pack(made(n, keyed=keyed) for n in range(3))) for keyed in (False, True)]
        assert lengths == [37 * 3 * 4 // 3, 49 * 3 * 4 // 3]

    def test_writing_a_line_changes_nothing_until_it_is_taken_in(self) -> None:
        tail = CommitLog(Records(False))
        line = tail.line([made(1)], [])
        assert tail.open == []
        tail.apply(line)
        assert tail.open == [made(1)]

    def test_nothing_is_an_empty_line(self) -> None:
        written = Written()
        written.commit()
        assert (written.lines, written.read_again.open) == ([""], [])

    def test_neighbours_that_end_alike_are_one_range(self) -> None:
        written = Written()
        written.commit([made(n) for n in range(9)])
        written.commit((), [Closing(made(n), JournalState.DELIVERED) for n in (0, 1, 2, 3, 5, 7, 8)])
        assert written.lines[1] == ";0-3,5,7-8"
        assert written.read_again.open == [made(4), made(6)]

    def test_a_refusal_may_have_any_text(self) -> None:
        said = (400, 20012, 'a; "b", [c]];;\n\ud800 é')
        written = Written()
        written.commit([made(1)])
        written.commit((), [Closing(made(1), JournalState.REJECTED, *said)])
        assert written.read_again.closed == [closed(made(1), JournalState.REJECTED, *said)]


class TestStates:
    @pytest.mark.parametrize("keyed", [False, True])
    @pytest.mark.parametrize(
        ("state", "said", "is_open", "is_closed"),
        [
            (JournalState.DELIVERED, (), False, True),
            (JournalState.REJECTED, (404, 20006, "no such lead"), False, True),
            (JournalState.WITHDRAWN, (), False, False),
            (JournalState.DOUBTED, (), True, False),
        ],
    )
    def test_each_end_leaves_what_it_should(
        self, keyed: bool, state: str, said: tuple[Any, ...], is_open: bool, is_closed: bool
    ) -> None:
        one, other = made(1, keyed=keyed), made(2, keyed=keyed)
        written = Written(keyed)
        written.commit([one, other])
        written.commit((), [Closing(one, state, *said)])
        for tail in (written.tail, written.read_again):
            assert tail.open == ([one._replace(attempts=1), other] if is_open else [other])
            assert tail.closed == ([closed(one, state, *said)] if is_closed else [])

    def test_all_of_them_fit_in_one_line_with_new_intents(self) -> None:
        written = Written()
        written.commit([made(n) for n in range(4)])
        written.commit(
            [made(9)],
            [
                Closing(made(0), JournalState.DELIVERED),
                Closing(made(1), JournalState.DOUBTED),
                Closing(made(2), JournalState.WITHDRAWN),
                Closing(made(3), JournalState.REJECTED, 400, None, "no"),
            ],
        )
        again = written.read_again
        assert again.open == [made(1, 1), made(9)]
        assert again.closed == [closed(made(0)), closed(made(3), JournalState.REJECTED, 400, None, "no")]

    def test_a_row_that_was_never_intended_can_be_closed(self) -> None:
        written = Written()
        written.commit(
            (),
            [
                Closing(made(1), JournalState.DELIVERED),
                Closing(made(2), JournalState.REJECTED, 400),
                Closing(made(3), JournalState.WITHDRAWN),
            ],
        )
        assert written.read_again.closed == [closed(made(1)), closed(made(2), JournalState.REJECTED, 400)]
        assert written.read_again.open == []

    def test_a_withdrawn_row_can_be_intended_again(self) -> None:
        written = Written()
        written.commit([made(1)])
        written.commit((), [Closing(made(1), JournalState.WITHDRAWN)])
        written.commit([made(1)])
        written.commit((), [Closing(made(1), JournalState.DELIVERED)])
        assert (written.read_again.open, written.read_again.closed) == ([], [closed(made(1))])


class TestIntendedAnew:
    def test_with_the_same_attempts_it_is_not_written_again(self) -> None:
        written = Written()
        written.commit([made(1)])
        written.commit([made(1)])
        assert written.lines[1] == ""
        assert written.read_again.open == [made(1)]

    def test_with_other_attempts_it_is_open_once_with_the_new_number(self) -> None:
        written = Written()
        written.commit([made(1), made(2)])
        written.commit([made(1, 2)])
        assert written.read_again.open == [made(2), made(1, 2)]
        written.commit((), [Closing(made(1, 2), JournalState.DELIVERED)])
        assert (written.read_again.open, written.read_again.closed) == ([made(2)], [closed(made(1, 2))])

    def test_doubt_and_another_attempt_in_one_commit_count_one_attempt(self) -> None:
        written = Written()
        written.commit([made(1)])
        written.commit([made(1, 1)], [Closing(made(1), JournalState.DOUBTED)])
        assert written.read_again.open == [made(1, 1)]

    def test_doubt_that_was_settled_in_the_same_commit_is_settled(self) -> None:
        written = Written()
        written.commit([made(1)])
        written.commit((), [Closing(made(1), JournalState.DOUBTED), Closing(made(1, 1), JournalState.DELIVERED)])
        assert written.read_again.open == []
        assert [row.state for row in written.read_again.closed] == [JournalState.DELIVERED]

    def test_attempts_beyond_what_is_kept_stay_at_the_most(self) -> None:
        written = Written()
        written.commit([made(1, MOST_ATTEMPTS + 5)])
        written.commit((), [Closing(made(1), JournalState.DOUBTED)])
        assert written.read_again.open == [made(1, MOST_ATTEMPTS)]


@pytest.mark.parametrize("keyed", [False, True])
def test_carried_rows_are_closed_like_others(keyed: bool) -> None:
    carried = [made(n, n, keyed=keyed) for n in range(3)]
    written = Written(keyed, carried)
    assert written.tail.open == carried
    written.commit([made(7, keyed=keyed)], [Closing(carried[1], JournalState.DELIVERED)])
    again = written.read_again
    assert again.open == [carried[0], carried[2], made(7, keyed=keyed)]
    assert again.closed == [closed(carried[1])]


@pytest.mark.parametrize("keyed", [False, True])
def test_what_is_kept_of_delivered_rows_reads_back(keyed: bool) -> None:
    records = Records(keyed)
    rows = [closed(made(n, keyed=keyed)) for n in range(50)]
    found = list(records.unpack_delivered(records.pack_delivered(rows)))
    assert found == [row._replace(attempts=0, lead_id=row.lead_id if keyed else None) for row in rows]


_INTENTS = Records(False).pack([made(1)])


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("!" + _INTENTS, id="no base64"),
        pytest.param(_INTENTS[:-1], id="half a byte short"),
        pytest.param(_INTENTS[:-4], id="three bytes short"),
        pytest.param(b64encode(b"x" * 5).decode().rstrip("="), id="no record"),
        pytest.param(b64encode(bytes(30) + b"\x0f" + bytes(6)).decode().rstrip("="), id="unknown type"),
        pytest.param(";7", id="number of nothing, delivered"),
        pytest.param(";;7", id="number of nothing, doubted"),
        pytest.param(";;;7", id="number of nothing, withdrawn"),
        pytest.param(';;;;[[7,400,null,"no"]]', id="number of nothing, rejected"),
        pytest.param(";0,0", id="closed twice"),
        pytest.param(";0;0", id="delivered and doubted"),
        pytest.param(";0-", id="open range"),
        pytest.param(";a", id="no number"),
        pytest.param(";0-99999999999", id="endless range"),
        pytest.param(";;;;[[0,400", id="half an array"),
        pytest.param(";;;;[[0]]", id="too little said"),
        pytest.param(";;;;[0]", id="nothing said"),
        pytest.param(";;;;7", id="no array"),
        pytest.param(";;;;[[[],1,2,3]]", id="an array for a number"),
    ],
)
def test_a_damaged_line_is_refused(line: str) -> None:
    tail = CommitLog(Records(False), [made(0)])
    with pytest.raises(ValueError, match="."):
        tail.apply(line)


ROWS = 6
ENDS = [JournalState.DELIVERED, JournalState.DOUBTED, JournalState.WITHDRAWN, JournalState.REJECTED]
COMMITS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, ROWS), st.integers(0, MOST_ATTEMPTS)), max_size=5, unique_by=lambda i: i[0]),
        st.lists(st.tuples(st.integers(0, ROWS), st.sampled_from(ENDS)), max_size=5, unique_by=lambda c: c[0]),
    ),
    max_size=12,
)


@given(commits=COMMITS, keyed=st.booleans(), carried=st.integers(0, 3))
def test_lines_read_again_lead_to_what_was_committed(commits: Any, keyed: bool, carried: int) -> None:
    written = Written(keyed, [made(n, keyed=keyed) for n in range(carried)])
    still_open = {intent.row_key: intent for intent in written.carried}
    ended: list[PastRow] = []
    for intended, ends in commits:
        intents = [made(n, attempts, keyed=keyed) for n, attempts in intended]
        anew = {intent.row_key: intent.attempts for intent in intents}
        closings = []
        for n, state in ends:
            intent = made(n, keyed=keyed)
            intent = still_open.get(intent.row_key, intent)
            if intent.row_key in anew and (state != JournalState.DOUBTED or anew[intent.row_key] == intent.attempts):
                continue  # a row is intended anew after doubt only, and then as sent once more
            closings.append(
                Closing(intent, state, 400, None, "no") if state == JournalState.REJECTED else Closing(intent, state)
            )
            if state == JournalState.DOUBTED:
                is_open = intent.row_key in still_open
                attempts = min(intent.attempts + is_open, MOST_ATTEMPTS)
                still_open[intent.row_key] = intent._replace(attempts=attempts)
                continue
            still_open.pop(intent.row_key, None)
            if state != JournalState.WITHDRAWN:
                ended.append(closed(intent, state, *closings[-1][2:]))
        written.commit(intents, closings)
        still_open.update((intent.row_key, intent) for intent in intents)
        for tail in (written.tail, written.read_again):
            assert sorted(tail.open) == sorted(still_open.values())
            assert sorted(tail.closed, key=repr) == sorted(ended, key=repr)
        assert written.tail.open == written.read_again.open
        assert written.tail.closed == written.read_again.closed
