"""Intake: each row becomes a checked activity or gets its outcome at once, also when its source is a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from support.practice import Log, no_publisher, row

from airflow_provider_lofty.outcomes import OUTCOMES
from airflow_provider_lofty.report.format import FORMAT_MARK
from airflow_provider_lofty.rows.columns import MappingError
from airflow_provider_lofty.rows.mapping import RowMapping
from airflow_provider_lofty.rows.source import Source, SourceRow
from airflow_provider_lofty.run.ingest import Ingest
from airflow_provider_lofty.spool.books import ReportRow
from airflow_provider_lofty.spool.history import CONTENT_HAS_CHANGED
from airflow_provider_lofty.spool.schema import RowState
from airflow_provider_lofty.spool.spool import Result, Spool, SpoolRow


class Taken:
    """Rows that were taken in, in order."""

    def __init__(self, *sources: Source, **mapping: Any) -> None:
        self.log = Log()
        self.spool = Spool(keep_cells=True)
        ingest = Ingest(RowMapping(**mapping), self.spool, self.log, no_publisher(self.log))
        try:
            for source in sources:
                ingest.take(source)
            ingest.finish()
        except BaseException:
            self.spool.close()
            raise

    @property
    def rows(self) -> list[ReportRow]:
        return list(self.spool.books.rows())

    @property
    def outcomes(self) -> list[str | None]:
        return [item.outcome for item in self.rows]

    @property
    def waiting(self) -> list[int]:
        return [item.row_number for item in self.spool.pending()]


Take = Callable[..., Taken]


@pytest.fixture
def take() -> Iterator[Take]:
    """Give a function that takes sources in and closes the spool in the end."""
    taken: list[Taken] = []

    def take(*sources: Source, **mapping: Any) -> Taken:
        taken.append(Taken(*sources, **mapping))
        return taken[-1]

    yield take
    for each in taken:
        each.spool.close()


def objects(*rows: dict[str, Any], name: str = "rows") -> Source:
    """Give rows that are objects of their own."""
    return Source(name, None, (SourceRow(n, tuple(r), tuple(r.values())) for n, r in enumerate(rows, 1)))


def table(*rows: dict[str, Any], name: str = "leads.csv") -> Source:
    """Give rows that share their columns."""
    columns = tuple(rows[0])
    return Source(name, columns, (SourceRow(n, columns, tuple(r.values())) for n, r in enumerate(rows, 1)))


def test_good_rows_wait_and_bad_rows_are_invalid_with_their_field(take: Take) -> None:
    taken = take(objects(row(1), row("x"), row(3, created=None, type="Sold")))
    assert taken.waiting == [1]
    assert [(item.outcome, item.error_field) for item in taken.rows] == [
        (None, None),
        ("invalid", "leadId"),
        ("invalid", "type, created"),
    ]


def test_a_row_that_its_source_calls_broken_is_invalid_whatever_its_values(take: Take) -> None:
    broken = SourceRow(1, (), (), "is not JSON")
    taken = take(Source("a.jsonl", None, iter([broken, SourceRow(2, tuple(row()), tuple(row().values()))])))
    assert [(item.outcome, item.error_field, item.error) for item in taken.rows] == [
        ("invalid", "row", "is not JSON"),
        (None, None, None),
    ]


def test_an_invalid_row_keeps_its_lead_where_that_much_is_right(take: Take) -> None:
    assert take(objects(row(7, type="Sold"))).rows[0].lead_id == 7


def test_no_value_of_a_row_is_in_its_error(take: Take) -> None:
    mark = "marigold"
    taken = take(objects(row(mark, type=mark, created=mark, text=[mark])), unique_key="lead_id")
    assert taken.outcomes == ["invalid"]
    assert mark not in str(taken.rows[0].error)


def test_used_and_ignored_columns_are_told_once(take: Take) -> None:
    taken = take(objects(row(1, agent="x", lofty_error="y"), row(2, other="z")))
    told = [line for line in taken.log.lines if line.startswith("columns used")]
    assert len(told) == 1
    assert "lead_id → leadId" in told[0]
    assert told[0].endswith("ignored: agent")


def test_what_was_noticed_about_values_is_told_once(take: Take) -> None:
    padded = [row(n, link=" https://homes.example.com/7 ", **{"listing.zipCode": "2134"}) for n in range(1, 5)]
    taken = take(objects(*padded))
    assert [line for line in taken.log.lines if "blanks" in line or "ZIP" in line] == [
        "blanks were cut off around links, pictures, states, ZIP codes and MLS ids (4 times)",
        "ZIP codes of three or four digits were sent as they are; leading zeros may be lost (4 times)",
    ]


def test_a_long_reading_says_how_far_it_is() -> None:
    log, seconds = Log(), iter(range(10**6))
    with closing(Spool(keep_cells=False)) as spool:
        ingest = Ingest(RowMapping(), spool, log, no_publisher(log), lambda: float(next(seconds)))
        ingest.take(objects(*(row(n) for n in range(1, 101))))
        told = [line for line in log.lines if line.endswith("rows read and checked so far")]
        counts = [int(line.partition(" ")[0]) for line in told]
        assert len(counts) > 1
        assert counts == sorted(set(counts))
        assert counts[-1] < spool.read == 100


def test_columns_of_a_file_must_suffice_before_its_first_row(take: Take) -> None:
    def never() -> Iterator[SourceRow]:
        raise AssertionError("a row was read")
        yield

    with pytest.raises(MappingError, match="required field leadId"):
        take(Source("a.csv", ("type", "text", "link", "picture", "created"), never()))


def test_a_required_column_that_no_object_has_fails_the_run(take: Take) -> None:
    lead, kind = row(1), row(2)
    del lead["text"], kind["text"]
    with pytest.raises(MappingError, match="required field text"):
        take(objects(lead, kind))


def test_a_required_column_that_some_objects_lack_makes_only_those_invalid(take: Take) -> None:
    lacking = row(1)
    del lacking["text"]
    taken = take(objects(lacking, row(2)))
    assert [(item.outcome, item.error_field) for item in taken.rows] == [("invalid", "text"), (None, None)]


def test_a_source_without_rows_asks_for_no_columns(take: Take) -> None:
    assert take(objects()).rows == []


@pytest.mark.parametrize("key", [None, "lead_id", ["lead_id", "type"]])
def test_the_same_again_is_a_duplicate_that_names_the_first(take: Take, key: Any) -> None:
    taken = take(objects(row(1), row(2), row(1)), unique_key=key)
    assert taken.outcomes == [None, None, "duplicate"]
    assert taken.rows[2].error == "same as row 1"


def test_a_duplicate_in_another_file_names_that_file(take: Take) -> None:
    taken = take(table(row(1), name="a.csv"), table(row(1), name="b.csv"))
    assert taken.rows[1].error == "same as row 1 of a.csv"


@pytest.mark.parametrize(("key", "field"), [(None, "identity"), ("lead_id", "lead_id")])
def test_the_same_identity_with_other_content_is_invalid(take: Take, key: Any, field: str) -> None:
    taken = take(objects(row(1), row(1, picture="other")), unique_key=key)
    assert taken.outcomes == [None, "invalid"]
    assert taken.rows[1].error_field == field


def test_a_missing_part_of_the_unique_key_is_invalid(take: Take) -> None:
    taken = take(objects(row(1, key=None), row(2, key="a")), unique_key="key")
    assert [(item.outcome, item.error_field) for item in taken.rows] == [("invalid", "key"), (None, None)]


def report_row(outcome: Any, lead_id: Any = 1, **values: Any) -> dict[str, Any]:
    """Give a row as a report holds it."""
    return {**row(lead_id), "lofty_outcome": outcome, "lofty_fingerprint": FORMAT_MARK, **values}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("delivered", "already_delivered"),
        ("already_delivered", "already_delivered"),
        ("duplicate", None),
        ("unknown", None),
        ("invalid", None),
        ("rejected", None),
        ("not_attempted", None),
        ("unmatched", None),
        ("would_send", None),
        (None, None),
    ],
)
def test_a_report_decides_what_is_sent_again(take: Take, said: str | None, expected: str | None) -> None:
    taken = take(table(report_row(said)))
    assert taken.outcomes == [expected]


def test_every_outcome_has_its_place_in_the_test_above() -> None:
    assert set(OUTCOMES) == {
        "delivered", "already_delivered", "duplicate", "unknown", "invalid", "rejected", "not_attempted", "unmatched",
        "would_send",
    }  # fmt: skip


@pytest.mark.parametrize("said", ["Delivered", "deliverd", "", 1])
def test_an_outcome_that_is_none_is_invalid_and_not_sent(take: Take, said: Any) -> None:
    taken = take(table(report_row(said)))
    assert [(item.outcome, item.error_field) for item in taken.rows] == [("invalid", "lofty_outcome")]


def test_a_delivered_row_is_not_sent_again_even_if_it_would_be_invalid_now(take: Take) -> None:
    assert take(table(report_row("delivered", lead_id="x"))).outcomes == ["already_delivered"]


def test_a_delivered_row_whose_content_has_changed_says_so(take: Take) -> None:
    first = take(objects(row(1)))
    fingerprint = first.rows[0].fingerprint
    same, changed = (
        take(table(report_row("delivered", lofty_fingerprint=f"{FORMAT_MARK}{f}"))) for f in (fingerprint, "0" * 32)
    )
    assert same.rows[0].error is None
    assert "content has changed" in str(changed.rows[0].error)


def test_that_it_has_changed_is_not_forgotten_where_nobody_knows_what_was_delivered(take: Take) -> None:
    changed = take(table(report_row("already_delivered", lofty_error=CONTENT_HAS_CHANGED)))
    assert [(found.error, found.fingerprint) for found in changed.rows] == [(CONTENT_HAS_CHANGED, None)]


@pytest.mark.parametrize("order", [("delivered", "not_attempted"), ("not_attempted", "delivered")])
def test_a_row_that_a_report_calls_delivered_makes_the_same_row_a_duplicate(take: Take, order: tuple[str, str]) -> None:
    taken = take(table(*map(report_row, order)))
    assert taken.waiting == []
    assert sorted(map(str, taken.outcomes)) == ["already_delivered", "duplicate"]


def test_a_row_that_a_report_calls_unknown_keeps_the_same_row_from_being_sent(take: Take) -> None:
    taken = take(table(report_row("not_attempted"), report_row("unknown")))
    assert taken.waiting == []
    assert [row.row_number for row in taken.spool.doubtful()] == [2]


def test_a_row_that_a_report_calls_unknown_is_in_doubt_with_its_attempts(take: Take) -> None:
    taken = take(table(report_row("unknown", lofty_attempts="2"), report_row("unknown", 2, lofty_attempts=None)))
    assert taken.waiting == []
    assert [row.attempts for row in taken.spool.doubtful()] == [2, 1]


def test_a_row_that_a_report_calls_unknown_and_that_is_invalid_now_is_invalid(take: Take) -> None:
    assert take(table(report_row("unknown", created="never"))).outcomes == ["invalid"]


class TestDuplicatesOfAReport:
    """They are matched by identity to the row they repeat, and share its fate, whatever it will be."""

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    @pytest.mark.parametrize("said", ["rejected", "not_attempted", "would_send", "unknown", "delivered", None])
    def test_they_are_duplicates_again_wherever_the_other_row_stands(
        self, take: Take, said: str | None, order: tuple[int, int]
    ) -> None:
        rows = report_row(said), report_row("duplicate", lofty_error="same as row 77", lofty_row_number="77")
        taken = take(objects(*(rows[n] for n in order)))
        repeated = taken.rows[order.index(1)]
        assert (repeated.outcome, repeated.error) == ("duplicate", f"same as row {order.index(0) + 1}")
        assert len(taken.waiting) + len(taken.spool.doubtful()) == (said != "delivered")

    def test_they_never_repeat_each_other_while_the_row_itself_is_there(self, take: Take) -> None:
        taken = take(table(report_row("duplicate"), report_row("duplicate"), report_row("rejected")))
        assert taken.outcomes == ["duplicate", "duplicate", None]
        assert [found.error for found in taken.rows[:2]] == ["same as row 3"] * 2

    def test_without_that_row_the_first_may_be_stored_and_is_read_back(self, take: Take) -> None:
        taken = take(table(report_row("duplicate", 2), report_row("duplicate"), report_row("duplicate")))
        assert [waiting.row_number for waiting in taken.spool.doubtful()] == [1, 2]
        assert taken.waiting == []
        assert taken.rows[2].error == "same as row 2"

    def test_the_row_may_be_in_another_report(self, take: Take) -> None:
        taken = take(table(report_row("duplicate"), name="b.csv"), table(report_row("rejected"), name="a.csv"))
        assert (taken.rows[0].outcome, taken.rows[0].error) == ("duplicate", "same as row 1 of a.csv")

    def test_a_row_that_was_added_is_repeated_as_well(self, take: Take) -> None:
        taken = take(objects(report_row("duplicate"), row(1)))
        assert taken.outcomes == ["duplicate", None]

    def test_one_whose_content_is_another_by_now_says_so(self, take: Take) -> None:
        rows = report_row("rejected", key="a", picture="mended"), report_row("duplicate", key="a")
        taken = take(table(*rows), unique_key="key")
        assert (taken.rows[1].outcome, taken.rows[1].error) == ("duplicate", "same as row 1, whose content is another")

    def test_one_that_is_invalid_by_now_is_invalid(self, take: Take) -> None:
        assert take(table(report_row("rejected"), report_row("duplicate", created="never"))).outcomes[1] == "invalid"

    @pytest.mark.parametrize(
        ("ends", "error"), [("delivered", "same as row 1"), ("rejected", "same as row 1, which ended rejected")]
    )
    def test_their_fate_is_that_rows_at_the_end(self, take: Take, ends: str, error: str) -> None:
        taken = take(table(report_row("rejected"), report_row("duplicate")))
        taken.spool.record(Result(1, ends))
        assert (taken.rows[1].outcome, taken.rows[1].error) == ("duplicate", error)
        assert taken.spool.books.count_failed() == (2 if ends == "rejected" else 0)

    def test_what_they_repeat_is_not_known_before_all_is_read(self, take: Take) -> None:
        def broken() -> Iterator[SourceRow]:
            said = report_row("duplicate")
            yield SourceRow(1, tuple(said), tuple(said.values()))
            raise OSError("the file ends here")

        with closing(Spool(keep_cells=True)) as spool:
            log = Log()
            with pytest.raises(OSError, match="ends here"):
                Ingest(RowMapping(), spool, log, no_publisher(log)).take(Source("a.csv", None, broken()))
            spool.flush()
            spool.books.close("not_attempted")
            (found,) = spool.books.rows()
        assert (found.outcome, str(found.error)[-16:]) == ("unknown", "it may be stored")


class TestIdentitiesOfReports:
    """Rows of several reports, or of one that was edited, with the same identity."""

    def test_delivered_once_is_delivered(self, take: Take) -> None:
        others = "rejected", "unknown", "not_attempted", "invalid", "duplicate", "already_delivered", "would_send", None
        taken = take(table(*map(report_row, others)), table(report_row("delivered"), name="b.csv"))
        assert set(taken.outcomes) == {"already_delivered", "duplicate"}
        assert (taken.waiting, taken.spool.doubtful(), taken.spool.books.count_failed()) == ([], [], 0)

    @pytest.mark.parametrize("said", ["rejected", "unknown", "not_attempted", "invalid", None])
    def test_delivered_with_other_content_is_delivered_and_says_so(self, take: Take, said: str | None) -> None:
        rows = report_row(said, key="a"), report_row("delivered", key="a", picture="mended")
        taken = take(table(*rows), unique_key="key")
        assert [(found.outcome, found.error) for found in taken.rows] == [
            ("already_delivered", CONTENT_HAS_CHANGED), ("already_delivered", None),
        ]  # fmt: skip
        assert taken.rows[0].fingerprint == taken.rows[1].fingerprint

    def test_unknown_twice_is_one_doubt_with_the_most_attempts(self, take: Take) -> None:
        taken = take(table(*(report_row("unknown", lofty_attempts=n) for n in (1, 3, 2))))
        assert [(waiting.row_number, waiting.attempts) for waiting in taken.spool.doubtful()] == [(1, 3)]
        assert taken.outcomes == [None, "duplicate", "duplicate"]

    def test_unknown_twice_with_other_contents_cannot_be_settled(self, take: Take) -> None:
        rows = [report_row("unknown", key="a", text=text) for text in ("one", "two")]
        taken = take(table(*rows, report_row("rejected", key="a", text="one")), unique_key="key")
        assert (taken.waiting, taken.spool.doubtful()) == ([], [])
        taken.spool.books.close("not_attempted")
        assert taken.outcomes == ["unknown", "duplicate", "duplicate"]
        assert "with different contents" in str(taken.rows[0].error)
        assert taken.spool.books.count_failed() == 3

    @pytest.mark.parametrize("said", ["unknown", "rejected"])
    def test_only_what_may_be_stored_must_not_be_edited(self, take: Take, said: str) -> None:
        fingerprint = take(objects(row(1))).rows[0].fingerprint
        taken = take(table(report_row(said, text="mended", lofty_fingerprint=f"{FORMAT_MARK}{fingerprint}")))
        assert (taken.waiting, taken.spool.doubtful()) == ([1] if said == "rejected" else [], [])
        taken.spool.books.close("not_attempted")
        assert taken.outcomes == ["unknown" if said == "unknown" else "not_attempted"]

    def test_any_number_of_rows_is_compared_in_a_few_statements(self) -> None:
        asked: list[str] = []
        with closing(Spool(keep_cells=False)) as spool:
            spool.add_source("a.csv")
            for n in range(3000):
                spool.add(
                    SpoolRow(0, n, (), (), 1, b"{}", b"%d" % (n // 2), b"same", b"t", state=n % 2 * RowState.REPEATED)
                )
            spool.flush()
            spool._db.set_trace_callback(asked.append)
            spool.find_duplicates("identity")
            spool._db.set_trace_callback(None)
            assert (spool.count_pending(), spool.books.counts()["duplicate"]) == (1500, 1500)
        assert len(asked) < 12


class TestBrokenColumns:
    """Whoever edits a report may write anything into the columns that it added."""

    @pytest.mark.parametrize(
        ("cell", "attempts"),
        [("9" * 20, 1), (10**20, 1), (1001, 1), (1000, 1000), ("9" * 5000, 1), (10**5000, 1), (-3, 1), ("-3", 1), ("many", 1), ("", 1),
         (None, 1), (True, 1), ([2], 1), (float("nan"), 1), (float("inf"), 1), (2.0, 2), ("2.0", 2), ("0", 0), ("٣", 1)],
        ids=range(19),
    )  # fmt: skip
    def test_attempts_are_a_number_within_bounds(self, take: Take, cell: object, attempts: int) -> None:
        taken = take(objects(report_row("unknown", lofty_attempts=cell)))
        assert [waiting.attempts for waiting in taken.spool.doubtful()] == [attempts]

    @pytest.mark.parametrize("digits", ["zz" * 16, "ab", "a" * 31, "ab" * 17, "ab" * 10_000, "AB" * 16, "-1", " "])
    @pytest.mark.parametrize("said", ["delivered", "unknown"])
    def test_a_fingerprint_that_is_none_says_nothing_of_the_content(self, take: Take, said: str, digits: str) -> None:
        taken = take(table(report_row(said, lofty_fingerprint=FORMAT_MARK + digits)))
        assert (taken.outcomes, len(taken.spool.doubtful())) == (
            (["already_delivered"], 0) if said == "delivered" else ([None], 1)
        )
        assert taken.rows[0].fingerprint == take(objects(row(1))).rows[0].fingerprint

    @pytest.mark.parametrize("cell", ["9" * 5000, 10**5000, -1, "x", None, [1], {"a": 1}, True], ids=range(8))
    def test_the_others_are_not_looked_at(self, take: Take, cell: object) -> None:
        columns = (
            "lofty_source", "lofty_row_number", "lofty_lead_id", "lofty_http_status", "lofty_error_code",
            "lofty_error_field", "lofty_error", "lofty_sent_at", "lofty_line", "lofty_new",
        )  # fmt: skip
        taken = take(
            objects(*(report_row(said, n, **dict.fromkeys(columns, cell)) for n, said in enumerate(OUTCOMES, 1)))
        )
        assert [found.error_field for found in taken.rows] == [None] * len(OUTCOMES)

    @pytest.mark.parametrize("said", ["delivered", "unknown", "duplicate", "rejected", None])
    @pytest.mark.parametrize("lead_id", ["9" * 4300, 10**4300, 10**4299, -(10**4400)], ids=range(4))
    def test_an_endless_lead_id_is_invalid(self, take: Take, said: str | None, lead_id: object) -> None:
        taken = take(objects(report_row(said) | {"lead_id": lead_id}))
        assert taken.outcomes == ["already_delivered" if said == "delivered" else "invalid"]


def test_other_columns_of_a_report_are_no_fields(take: Take) -> None:
    values = report_row("not_attempted", lofty_lead_id=99, lofty_text="no", lofty_error="x")
    taken = take(table(values))
    assert taken.spool.pending()[0].lead_id == 1


def test_objects_with_and_without_an_outcome_may_be_mixed(take: Take) -> None:
    taken = take(objects(row(1), report_row("delivered", 2), row(3)))
    assert taken.outcomes == [None, "already_delivered", None]


@pytest.mark.parametrize("outcome", [["delivered"], {"a": 1}, 7, True])
def test_an_outcome_that_is_no_text_is_invalid_and_sent_to_nobody(take: Take, outcome: object) -> None:
    taken = take(objects(report_row(outcome)))
    assert [(item.outcome, item.error_field) for item in taken.rows] == [("invalid", "lofty_outcome")]
    assert taken.waiting == []


def test_a_report_that_comes_back_in_capitals_is_still_one(take: Take) -> None:
    given = {name.upper(): value for name, value in report_row("delivered").items()}
    taken = take(table(given, name="table REPORTS"))
    assert taken.outcomes == ["already_delivered"]
    assert taken.waiting == []


def test_a_second_file_with_other_columns_is_logged(take: Take) -> None:
    taken = take(
        table(row(1, page_name="a"), name="a.csv"),
        table(row(2, note="b"), name="b.csv"),
        table(row(3, note="c"), name="c.csv"),
    )
    assert [line for line in taken.log.lines if "other columns" in line] == ["b.csv has other columns than a.csv"]
    assert sum(line.startswith("columns used") for line in taken.log.lines) == 2
    assert taken.waiting == [1, 1, 1]


@pytest.mark.parametrize("names", [("listing_price", "list_price"), ("list_price", "listing_price")])
def test_a_column_that_has_another_name_in_a_second_file_is_not_left_out_without_a_word(
    take: Take, names: tuple[str, str]
) -> None:
    tables = [table(row(n, **{name: 5}), name=f"{n}.csv") for n, name in enumerate(names, start=1)]
    with pytest.raises(
        MappingError, match=r"2\.csv are not those of 1\.csv: one has 'listing_price' for listing\.price"
    ):
        take(*tables)


@pytest.mark.parametrize(
    ("column", "other"),
    [
        ("listing.price", "price"),
        ("listing.price", "PRICES"),
        ("Listing Street Address", "Street"),
        ("listing_zip_code", "zip"),
        ("page_name", "page"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_column_seems_renamed_by_what_its_field_is_called(
    take: Take, column: str, other: str, *, is_first: bool
) -> None:
    names = (column, other) if is_first else (other, column)
    tables = [table(row(n, **{name: 5}), name=f"{n}.csv") for n, name in enumerate(names, start=1)]
    with pytest.raises(MappingError, match=f"one has '{column}' for .*; the closest name is '{other}'. If they are"):
        take(*tables)


@pytest.mark.parametrize("names", [("listing.price", "LISTING_PRICE"), ("listing.price", "listing.priceMax")])
def test_columns_that_both_fill_a_field_are_not_renamed(take: Take, names: tuple[str, str]) -> None:
    tables = [table(row(n, **{name: 5}), name=f"{n}.csv") for n, name in enumerate(names, start=1)]
    assert take(*tables).waiting == [1, 1]
