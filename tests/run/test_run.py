"""A run owns its sequence: whatever ends it, the books are closed and the summary is pushed before anything is raised."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.practice import Log, read_report, row

from airflow_provider_lofty.exceptions import (
    AirflowTaskTimeout,
    LoftyConfigurationError,
    LoftyDeliveryIncomplete,
    LoftyError,
    LoftyRowsFailed,
    LoftySourceNotReady,
)
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.journal.journal import JournalError, NoJournal
from airflow_provider_lofty.report.status import XCOM_KEY, Status
from airflow_provider_lofty.report.writer import Report
from airflow_provider_lofty.rows.mapping import RowMapping
from airflow_provider_lofty.rows.source import Source, SourceRow, Take
from airflow_provider_lofty.run.policy import Limit, Policy
from airflow_provider_lofty.run.publisher import StatusPublisher
from airflow_provider_lofty.run.run import Run
from airflow_provider_lofty.sandbox import Sandbox


class Played:
    """A run, what it pushed and what it wrote."""

    def __init__(self, folder: Path, *, preview: bool = False, max_rows: int | None = None, **others: Any) -> None:
        self.log = Log()
        self.xcom: dict[str, Any] = {}
        self.report = folder / "r.csv"
        policy = Policy(
            Limit("max_failed_rows", 0), Limit("max_invalid_rows", None), Limit("max_rows", max_rows), 20, "never",
            "verify", preview,
        )  # fmt: skip
        given = {"journal": NoJournal(), **others}
        self.run = Run(
            policy, LoftyHook().client, given.pop("journal"), Report(str(self.report)), self.log,
            StatusPublisher(self.xcom.__setitem__, self.log, Status(try_number=1)), **given,
        )  # fmt: skip

    def execute(self, read: Callable[[Take], None]) -> dict[str, int]:
        summary = self.run.execute(read, RowMapping(), threading.Event())
        return {name: count for name, count in summary.outcomes.items() if count}

    @property
    def outcomes(self) -> list[str]:
        return [line["lofty_outcome"] for line in read_report(self.report)]


@pytest.fixture(autouse=True)
def connected(lofty: Sandbox, connect: Callable[..., None]) -> None:
    connect(lofty)


def source(*rows: dict[str, Any], then: BaseException | None = None) -> Callable[[Take], None]:
    """Give these rows, and then perhaps fail."""

    def read(take: Take) -> None:
        take(Source("leads", None, spooled()))

    def spooled() -> Iterator[SourceRow]:
        for number, each in enumerate(rows, 1):
            yield SourceRow(number, tuple(each), tuple(each.values()))
        if then is not None:
            raise then

    return read


def test_a_run_that_goes_well_returns_its_summary_and_pushes_none(lofty: Sandbox, tmp_path: Path) -> None:
    played = Played(tmp_path)
    assert played.execute(source(row(1), row(2))) == {"delivered": 2}
    assert played.outcomes == ["delivered", "delivered"]
    assert played.run.sources == ["leads"]
    assert set(played.xcom) == {XCOM_KEY}
    assert played.xcom[XCOM_KEY]["phase"] == "ended"
    assert played.xcom[XCOM_KEY]["summary"]["delivered"] == 2


def test_failed_rows_raise_when_all_is_written(lofty: Sandbox, tmp_path: Path) -> None:
    played = Played(tmp_path)
    with pytest.raises(LoftyRowsFailed, match="1 of 2 rows failed"):
        played.execute(source(row(1), row("x")))
    assert played.outcomes == ["delivered", "invalid"]
    assert (played.xcom["return_value"]["delivered"], played.xcom["return_value"]["invalid"]) == (1, 1)


def test_a_source_that_fails_midway_sends_nothing_and_accounts_for_what_was_read(
    lofty: Sandbox, tmp_path: Path
) -> None:
    played = Played(tmp_path)
    with pytest.raises(LoftySourceNotReady, match="gone"):
        played.execute(source(row(1), row(2), then=LoftySourceNotReady("gone")))
    assert lofty.requests == []
    assert played.outcomes == ["not_attempted"] * 2
    assert played.xcom["return_value"]["not_attempted"] == 2


def test_a_time_out_writes_the_report_and_pushes_nothing_more(lofty: Sandbox, tmp_path: Path) -> None:
    played = Played(tmp_path)
    with pytest.raises(AirflowTaskTimeout):
        played.execute(source(row(1), then=AirflowTaskTimeout("too long")))
    assert played.outcomes == ["not_attempted"]
    assert "return_value" not in played.xcom


def test_columns_that_do_not_fit_are_a_matter_of_configuration(lofty: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(LoftyConfigurationError, match="required field text.*nothing was sent"):
        Played(tmp_path).execute(source({name: value for name, value in row(1).items() if name != "text"}))


def test_the_page_learns_which_column_fills_a_field_and_where_leads_are(
    lofty: Sandbox, connect: Callable[..., None], tmp_path: Path
) -> None:
    connect(lofty, extra={"lead_url": "https://crm.example.com/leads/{lead_id}"})
    played = Played(tmp_path)
    rows = [{"crm": 7, **{name: value for name, value in row(1).items() if name != "lead_id"}}]
    played.run.execute(source(*rows), RowMapping({"leadId": "crm"}), threading.Event())
    told = played.xcom[XCOM_KEY]
    assert (told["lead_url"], told["columns"]) == ("https://crm.example.com/leads/{lead_id}", {"leadId": "crm"})


def test_a_closed_gate_sends_nothing(lofty: Sandbox, tmp_path: Path) -> None:
    played = Played(tmp_path, max_rows=1)
    with pytest.raises(LoftyRowsFailed, match="nothing was sent: 2 rows were read"):
        played.execute(source(row(1), row(2)))
    assert (lofty.requests, played.outcomes) == ([], ["not_attempted"] * 2)


def test_a_preview_opens_no_journal_and_sends_nothing(lofty: Sandbox, tmp_path: Path) -> None:
    class Closed(NoJournal):
        """No run may open it."""

        def begin(self, *, is_later_try: bool) -> bool:
            raise AssertionError("it was opened")

    played = Played(tmp_path, preview=True, journal=Closed(), is_later_try=True)
    assert played.execute(source(row(1))) == {"would_send": 1}
    assert (lofty.requests, played.outcomes) == ([], ["would_send"])


def test_a_journal_that_cannot_be_opened_ends_the_run_before_anything_is_read(lofty: Sandbox, tmp_path: Path) -> None:
    class Down(NoJournal):
        """Its server is away."""

        def begin(self, *, is_later_try: bool) -> bool:
            raise JournalError("no connection")

    def never(take: Take) -> None:
        raise AssertionError("the source was opened")

    with pytest.raises(LoftyDeliveryIncomplete, match="a retry is safe"):
        Played(tmp_path, journal=Down()).execute(never)
    assert lofty.requests == []


def test_a_later_try_that_ends_before_it_knows_what_was_delivered_writes_no_report(
    lofty: Sandbox, tmp_path: Path
) -> None:
    played = Played(tmp_path, is_later_try=True)
    with pytest.raises(LoftyError):
        played.execute(source(row(1), then=LoftySourceNotReady("gone")))
    assert not played.report.exists()
    assert played.xcom["return_value"]["report_path"] is None
    assert any(line.startswith("no report was written") for line in played.log.lines)


def test_a_source_without_rows_is_green_and_says_so(lofty: Sandbox, tmp_path: Path) -> None:
    played = Played(tmp_path)
    assert played.execute(source()) == {}
    assert "the source had no rows; nothing was sent" in played.log.lines


def test_the_report_never_takes_the_place_of_a_file_that_is_read(lofty: Sandbox, tmp_path: Path) -> None:
    played = Played(tmp_path)
    with pytest.raises(LoftyConfigurationError, match="is a file of the source"):
        played.execute(lambda take: played.run.refuse_overwriting([str(played.report)]))
    assert not played.report.exists()


def test_the_summary_is_logged_as_json(lofty: Sandbox, tmp_path: Path) -> None:
    played = Played(tmp_path)
    played.execute(source(row(1)))
    (logged,) = [line for line in played.log.lines if line.startswith("summary: ")]
    assert json.loads(logged.removeprefix("summary: "))["delivered"] == 1
