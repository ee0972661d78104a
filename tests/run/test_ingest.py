"""Intake: each row becomes a checked activity or gets its outcome at once, also when its source is a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from airflow_provider_lofty.spool.spool import Spool


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
        ("duplicate", "already_delivered"),
        ("unknown", None),
        ("invalid", None),
        ("rejected", None),
        ("not_attempted", None),
        ("would_send", None),
        (None, None),
    ],
)
def test_a_report_decides_what_is_sent_again(take: Take, said: str | None, expected: str | None) -> None:
    taken = take(table(report_row(said)))
    assert taken.outcomes == [expected]


def test_every_outcome_has_its_place_in_the_test_above() -> None:
    assert set(OUTCOMES) == {
        "delivered", "already_delivered", "duplicate", "unknown", "invalid", "rejected", "not_attempted", "would_send",
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


def test_a_duplicate_of_a_report_does_not_stand_for_the_row_that_failed(take: Take) -> None:
    taken = take(table(report_row("rejected"), report_row("duplicate")))
    assert taken.waiting == [1]


def test_an_empty_text_of_a_row_that_passed_the_checks_is_the_empty_text_again(take: Take) -> None:
    taken = take(table(report_row("not_attempted", picture=None), report_row("invalid", 2, picture=None)))
    assert taken.waiting == [1]
    assert b'"picture":""' in taken.spool.pending()[0].body
    assert taken.rows[1].error_field == "picture"


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
