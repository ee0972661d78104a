"""A report is given back as the source, once or many times: every row keeps its fate until it has another one."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.practice import Run, read_report, row, run, task_instance, write_csv

from airflow_provider_lofty.exceptions import LoftyRowsFailed
from airflow_provider_lofty.outcomes import WRONG_OUTCOMES
from airflow_provider_lofty.rows.report_format import REPORT_COLUMNS
from airflow_provider_lofty.sandbox import Sandbox
from airflow_provider_lofty.spool.history import CONTENT_HAS_CHANGED
from airflow_provider_lofty.ui import indexer
from airflow_provider_lofty.ui.index import Index

SETTLE = 0.2
OTHERS = [row(n) for n in (101, 102, 103)]  # controls


@pytest.fixture(autouse=True)
def connected(lofty: Sandbox, connect: Callable[..., None]) -> None:
    connect(lofty, extra={"timeout_seconds": 0.4, "settle_seconds": SETTLE})


@pytest.fixture(params=["csv", "jsonl"])
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def lines_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        return list(read_report(path))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, lines: list[dict[str, Any]]) -> str:
    if path.suffix == ".csv":
        return write_csv(path, lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return str(path)


class Rounds:
    """A source, and the reports that came of it: each is the source of the next."""

    def __init__(self, folder: Path, ending: str) -> None:
        self.folder = folder
        self.ending = ending
        self.last: Path | None = None
        self.count = 0

    def go(self, **arguments: Any) -> Run:
        if self.last is not None:
            arguments["path"] = str(self.last)
        self.count += 1
        self.last = self.folder / f"{self.count}.{self.ending}"
        ti = task_instance(run_id=f"round {self.count}")
        return run(ti, report_path=str(self.last), check_existing="never", **arguments)

    def name(self, row_number: int) -> str:
        """Name a row of a report that was read: a CSV file has a header."""
        return f"row {row_number} (line {row_number + (self.ending == 'csv')})"

    @property
    def lines(self) -> list[dict[str, Any]]:
        assert self.last is not None
        return lines_of(self.last)

    def edit(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        assert self.last is not None
        write(self.last, change(self.lines))


@pytest.fixture
def rounds(tmp_path: Path, ending: str) -> Rounds:
    return Rounds(tmp_path, ending)


def failed_only(report: Path) -> Path:
    """Write what the task's page gives as "failed rows only"."""
    index, content = report.with_suffix(".index"), report.read_bytes()
    task: indexer.Task = {
        "index": str(index), "index_bytes": 2**20, "columns": list(REPORT_COLUMNS), "failed": list(WRONG_OUTCOMES),
    }  # fmt: skip
    indexer.write_index(io.BytesIO(content), task)
    places = Index(index).places_of_failed()
    file = report.with_suffix(".failed.csv")
    file.write_bytes(b"".join(content[starts:ends] for starts, ends in zip(places[::2], places[1::2], strict=True)))
    return file


def test_failed_rows_alone_are_corrected_and_given_back(lofty: Sandbox, tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, "csv")
    lofty.change(missing_leads={2})
    odd = {**row(4), "text": 'said "hello",\nand left'}
    ended = rounds.go(rows=[row(1), row(2), {**row(3), "created": "soon"}, odd, {**odd, "created": "later"}])
    assert ended.counts == {"delivered": 2, "rejected": 1, "invalid": 2}
    assert rounds.last is not None
    rounds.last = failed_only(rounds.last)
    lofty.change(missing_leads=frozenset())
    rounds.edit(lambda lines: [{**line, "created": row(n)["created"]} for n, line in enumerate(lines, 2)])
    ended = rounds.go()
    assert (ended.error, ended.counts) == (None, {"delivered": 3})
    assert len(lofty.activities) == 5


def test_text_that_only_begins_like_a_list_or_an_object_comes_back_as_text(lofty: Sandbox, rounds: Rounds) -> None:
    texts_sent = ["[new] Viewed a home", "{home} of the week", "[" * 100_000]
    rounds.go(rows=[row(n, text=text, created="soon") for n, text in enumerate(texts_sent, 1)])
    rounds.edit(lambda lines: [{**line, "created": row()["created"]} for line in lines])
    assert rounds.go().counts == {"delivered": 3}
    assert sorted(activity.body["text"] for activity in lofty.activities) == sorted(texts_sent)


def test_a_time_that_clocks_skip_stays_as_it_was_until_a_zone_has_it(lofty: Sandbox, rounds: Rounds) -> None:
    skipped = rounds.go(rows=[row(1, created=datetime(2026, 3, 8, 2, 30))], timezone="America/New_York")
    assert skipped.counts == {"invalid": 1}
    assert [line["created"] for line in rounds.lines] == ["2026-03-08T02:30:00"]
    assert rounds.go(timezone="America/Phoenix").counts == {"delivered": 1}
    assert [activity.body["created"] for activity in lofty.activities] == [1_772_962_200_000]


def test_among_failed_rows_what_was_delivered_is_not_taken_for_its_twin(lofty: Sandbox, tmp_path: Path) -> None:
    """Two rows of one lead look the same at Lofty, which shows one: given back, the other one is not found there."""
    rounds = Rounds(tmp_path, "csv")
    rounds.go(rows=[{**row(1), "key": 1}], unique_key="key")
    twin = {"key": "2", "lofty_row_number": "2", "lofty_outcome": "unknown"}
    rounds.edit(lambda lines: [*lines, {**lines[0], **twin}])
    assert rounds.last is not None
    rounds.last = failed_only(rounds.last)
    rounds.edit(
        lambda lines: [*lines, *({**dict.fromkeys(lines[0]), **other, "key": other["lead_id"]} for other in OTHERS)]
    )
    ended = rounds.go(unique_key="key")
    stored = texts(lofty).count("Viewed home 1")
    fates = [line["lofty_outcome"] for line in rounds.lines[:2]]
    assert fates in (["already_delivered", "delivered"], ["already_delivered", "unknown"]), ended.error
    assert stored == 1 + (fates[1] == "delivered")


def texts(lofty: Sandbox) -> list[str]:
    return sorted(activity.body["text"] for activity in lofty.activities)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_duplicates_of_a_rejected_row_are_so_until_lofty_takes_it(lofty: Sandbox, rounds: Rounds, times: int) -> None:
    lofty.change(missing_leads={1})
    rounds.go(rows=[row(1), row(1), row(2), row(1)])
    for _ in range(times):
        ended = rounds.go()
        assert (type(ended.error), ended.counts) == (
            LoftyRowsFailed, {"already_delivered": 1, "rejected": 1, "duplicate": 2},
        )  # fmt: skip
        assert "3 of 4 rows failed" in str(ended.error)
        assert [line["lofty_error"] for line in rounds.lines if line["lofty_outcome"] == "duplicate"] == [
            f"same as {rounds.name(1)}, which ended rejected"
        ] * 2
    lofty.change(missing_leads=frozenset())
    ended = rounds.go()
    assert (ended.error, ended.counts) == (None, {"already_delivered": 1, "delivered": 1, "duplicate": 2})
    assert len(lofty.activities) == 2
    ended = rounds.go()
    assert (ended.error, ended.counts) == (None, {"already_delivered": 2, "duplicate": 2})
    assert len(lofty.activities) == 2


def test_the_rows_of_a_report_may_stand_in_any_order(lofty: Sandbox, rounds: Rounds) -> None:
    lofty.change(missing_leads={1})
    rounds.go(rows=[row(1), row(1), row(2)])
    rounds.edit(lambda lines: lines[::-1])
    lofty.change(missing_leads=frozenset())
    assert rounds.go().counts == {"already_delivered": 1, "delivered": 1, "duplicate": 1}
    assert [line["lofty_error"] for line in rounds.lines][1] == f"same as {rounds.name(3)}"


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_report_of_duplicates_alone_is_read_back(lofty: Sandbox, rounds: Rounds, is_stored: bool) -> None:
    lofty.change(missing_leads=set() if is_stored else {1})
    rounds.go(rows=[row(1), row(1), row(1)])
    rounds.edit(lambda lines: [line for line in lines if line["lofty_outcome"] == "duplicate"])
    lofty.change(missing_leads=frozenset())
    rounds.edit(lambda lines: [*lines, *({**dict.fromkeys(lines[0]), **other} for other in OTHERS)])
    ended = rounds.go()
    first = "already_delivered" if is_stored else "delivered"
    assert (ended.error, [line["lofty_outcome"] for line in rounds.lines[:2]]) == (None, [first, "duplicate"])
    assert texts(lofty).count("Viewed home 1") == 1


def test_one_that_cannot_be_settled_is_unknown_and_its_duplicates_fail_with_it(lofty: Sandbox, rounds: Rounds) -> None:
    lofty.change(missing_leads={1})
    rounds.go(rows=[row(1), row(1), row(1)])
    rounds.edit(lambda lines: [line for line in lines if line["lofty_outcome"] == "duplicate"])
    lofty.change(missing_leads=frozenset(), read_back_status=403)
    for _ in range(2):
        ended = rounds.go()
        assert ended.counts == {"unknown": 1, "duplicate": 1}
        assert "2 of 2 rows failed" in str(ended.error)
    assert lofty.activities == []


def test_reports_of_several_rounds_are_one_source(lofty: Sandbox, rounds: Rounds) -> None:
    lofty.change(missing_leads={1})
    rounds.go(rows=[row(1), row(1), row(2)])
    lofty.change(missing_leads=frozenset())
    rounds.go()
    paths = [str(rounds.folder / f"{n}.{rounds.ending}") for n in (1, 2)]
    for order in (paths, paths[::-1]):
        ended = run(path=order, check_existing="never")
        assert (ended.error, ended.counts) == (None, {"already_delivered": 3, "duplicate": 3})
    assert texts(lofty) == ["Viewed home 1", "Viewed home 2"]


def test_a_delivered_row_whose_content_has_changed_says_so_in_every_round(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = json.dumps({"conn_type": "sqlite", "host": str(rounds.folder / "journal.db")})
    monkeypatch.setenv("AIRFLOW_CONN_JOURNAL", journal)
    shared = {"unique_key": "key", "journal_conn_id": "journal"}
    run(rows=[row(1, key="a")], **shared)
    for _ in range(3):
        ended = rounds.go(**shared, **({} if rounds.count else {"rows": [row(1, key="a", text="another")]}))
        assert (ended.error, ended.counts) == (None, {"already_delivered": 1})
        assert rounds.lines[0]["lofty_error"] == CONTENT_HAS_CHANGED
    assert rounds.go(unique_key="key").counts == {"already_delivered": 1}
    assert rounds.lines[0]["lofty_error"] == CONTENT_HAS_CHANGED
    rounds.edit(lambda lines: [{**line, "text": "Viewed home 1"} for line in lines])
    rounds.go(unique_key="key")
    assert not rounds.lines[0]["lofty_error"]  # it is again what was delivered


def test_a_row_in_doubt_is_not_looked_for_by_another_content(lofty: Sandbox, rounds: Rounds) -> None:
    lofty.change(scripted_faults=["drop_after_storing"], read_back_status=403)
    rounds.go(rows=[row(1)])
    lofty.change(scripted_faults=[], read_back_status=None)
    rounds.edit(lambda lines: [{**line, "text": "mended"} for line in lines])
    for _ in range(2):
        ended = rounds.go()
        assert (type(ended.error), ended.counts) == (LoftyRowsFailed, {"unknown": 1})
        assert "its content has changed since" in ended.summary["errors"][0]["error"]
    rounds.edit(lambda lines: [{**line, "text": "Viewed home 1"} for line in lines])
    assert rounds.go().counts == {"already_delivered": 1}
    assert texts(lofty) == ["Viewed home 1"]


def test_a_lead_id_without_end_and_broken_columns_make_no_trouble(rounds: Rounds) -> None:
    rounds.go(rows=[row("9" * 4300), row(2), row(3), row(3)])
    broken = {"lofty_attempts": "9" * 20, "lofty_row_number": "x", "lofty_http_status": "9" * 5000, "lofty_lead_id": -1}
    for outcome in ("delivered", "unknown"):
        rounds.edit(lambda lines, said=outcome: [
            {**line, **broken, "lofty_outcome": "unknown" if line["lofty_outcome"] == "delivered" else line["lofty_outcome"]}
            for line in lines
        ])  # fmt: skip
        ended = rounds.go()
        assert ended.counts == {"invalid": 1, "already_delivered": 2, "duplicate": 1}, outcome
