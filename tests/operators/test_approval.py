"""What somebody approved is sent, or nothing is: a preview and the run after it have the same digest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from support.practice import Run, Store, row, run, run_operator, task_instance, write_csv
from support.values import shown

from airflow_provider_lofty.decorators.lofty import LoftyAddActivityDecoratedOperator
from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftyRowsFailed
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.report.format import FORMAT_MARK
from airflow_provider_lofty.sandbox import Sandbox

ROWS = [row(1), row(2), row(3, text="Viewed home 3"), row("x")]


@pytest.fixture(autouse=True)
def connected(lofty: Sandbox, connect: Callable[..., None]) -> None:
    connect(lofty)


def digest_of(rows: Any = None, **arguments: Any) -> str:
    given = {} if rows is None else {"rows": rows}
    found = run(preview=True, max_failed_rows="100%", **given, **arguments).summary["digest"]
    assert isinstance(found, str)
    return found


def refused(ended: Run, lofty: Sandbox, *words: str) -> None:
    assert type(ended.error) is LoftyRowsFailed
    assert "nothing was sent: this is not the input that was approved" in str(ended.error)
    for word in words:
        assert word in str(ended.error)
    assert lofty.activities == []
    assert {*ended.counts} <= {"not_attempted", "invalid", "duplicate"}


class TestDigest:
    def test_a_preview_shows_it_in_log_and_summary_and_a_run_has_the_same(self, lofty: Sandbox) -> None:
        preview = run(rows=ROWS, preview=True, max_failed_rows=1)
        digest = preview.summary["digest"]
        assert f"digest of the rows that are valid: {digest}" in preview.log
        assert any(line.startswith("summary: ") and digest in line for line in preview.log)
        assert preview.xcom["lofty_progress"]["summary"]["digest"] == digest
        assert run(rows=ROWS, max_failed_rows=1).summary["digest"] == digest

    def test_it_names_the_rows_and_not_where_they_came_from(self, tmp_path: Path) -> None:
        digest = digest_of(ROWS)
        assert digest_of(ROWS[::-1]) == digest
        assert digest_of(ROWS[:3]) == digest
        assert digest_of(path=write_csv(tmp_path / "a.csv", ROWS)) == digest
        one, other = write_csv(tmp_path / "1.csv", ROWS[2:]), write_csv(tmp_path / "2.csv", ROWS[:2])
        assert digest_of(path=[one, other]) == digest

    @pytest.mark.parametrize(
        "rows",
        [ROWS[1:], [*ROWS, row(4)], [*ROWS, ROWS[0]], [row(1, picture="p"), *ROWS[1:]], [row(5), *ROWS[1:]], []],
        ids=["gone", "new", "twice", "changed", "other_lead", "none"],
    )
    def test_other_rows_have_another(self, rows: list[dict[str, Any]]) -> None:
        assert digest_of(rows) != digest_of(ROWS)

    def test_so_has_another_lofty(self, lofty: Sandbox, connect: Callable[..., None]) -> None:
        digest = digest_of(ROWS)
        connect(f"{lofty.url}/")
        assert digest_of(ROWS) == digest
        connect(lofty.url.replace("127.0.0.1", "localhost"))
        assert digest_of(ROWS) != digest

    def test_a_lead_that_is_found_does_not_change_it(self, lofty: Sandbox) -> None:
        people = [{**row(n), "lead_id": None, "email": f"ada-{n}@example.com"} for n in (1, 2)]
        before = digest_of(people, match_by="email")
        lofty.add_lead(7, emails=["ada-1@example.com"])
        lofty.add_lead(8, emails=["ada-2@example.com"])
        ended = run(rows=people, match_by="email", expect_digest=before)
        assert (ended.counts, ended.summary["digest"]) == ({"delivered": 2}, before)

    def test_a_source_that_was_not_read_to_its_end_has_none(self) -> None:
        assert run(path="/nothing/*.csv").summary["digest"] is None

    def test_nor_has_a_preview_without_a_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AIRFLOW_CONN_LOFTY_DEFAULT")
        assert run(rows=ROWS[:1], preview=True).summary["digest"] is None


class TestApproval:
    def test_what_was_approved_is_sent(self, lofty: Sandbox) -> None:
        ended = run(rows=ROWS[::-1], expect_digest=digest_of(ROWS), max_failed_rows=1)
        assert (ended.error, ended.counts) == (None, {"delivered": 3, "invalid": 1})

    @pytest.mark.parametrize("dress", [str.upper, "  {}\n".format], ids=["upper_case", "blanks"])
    def test_however_it_is_written(self, dress: Callable[[str], str]) -> None:
        assert run(rows=ROWS[:1], expect_digest=dress(digest_of(ROWS[:1]))).counts == {"delivered": 1}

    def test_of_anything_else_nothing_is_sent(self, lofty: Sandbox, tmp_path: Path) -> None:
        ended = run(rows=[*ROWS, row(4)], expect_digest=digest_of(ROWS), report_path=str(tmp_path / "r.csv"))
        refused(ended, lofty, "the preview's report was not written, or not by a task upstream", "4 not_attempted")
        assert lofty.requests == []

    def test_an_empty_input_can_be_approved_and_is_not_what_comes_later(self, lofty: Sandbox) -> None:
        none = digest_of([])
        assert run(rows=[], expect_digest=none).error is None
        refused(run(rows=ROWS[:1], expect_digest=none), lofty)

    def test_a_later_try_after_half_was_delivered_still_has_what_was_approved(self, lofty: Sandbox) -> None:
        store, digest = Store(), digest_of(ROWS[:3])
        run(store=store, rows=ROWS[:2])
        later = run(task_instance(try_number=2), store, rows=ROWS[:3], expect_digest=digest)
        assert later.counts == {"already_delivered": 2, "delivered": 1}

    def test_a_later_try_that_reads_other_rows_sends_none(self, lofty: Sandbox) -> None:
        store, digest = Store(), digest_of(ROWS[:3])
        run(store=store, rows=ROWS[:2])
        later = run(task_instance(try_number=2), store, rows=[*ROWS[:2], row(4)], expect_digest=digest)
        assert type(later.error) is LoftyRowsFailed
        assert later.counts == {"already_delivered": 2, "not_attempted": 1}
        assert len(lofty.activities) == 2

    def test_a_report_that_says_otherwise_than_it_did_is_another_input(self, lofty: Sandbox, tmp_path: Path) -> None:
        report = tmp_path / "r.csv"
        run(rows=[*ROWS[:2], row("x")], report_path=str(report))
        digest = digest_of(path=str(report))
        sent = len(lofty.activities)
        report.write_text(report.read_text("utf-8").replace(",delivered,", ",,"), "utf-8")  # to be sent once more
        ended = run(path=str(report), expect_digest=digest)
        assert "this is not the input that was approved" in str(ended.error)
        assert len(lofty.activities) == sent

    def test_a_preview_may_expect_one_as_well(self, lofty: Sandbox) -> None:
        refused(run(rows=ROWS[:1], preview=True, expect_digest=digest_of(ROWS)), lofty)

    def test_so_may_a_decorated_function(self, lofty: Sandbox) -> None:
        def rows() -> list[dict[str, Any]]:
            return ROWS[:2]

        def send(digest: str) -> Run:
            operator = LoftyAddActivityDecoratedOperator(
                task_id="send", python_callable=rows, expect_digest=f"{{{{ '{digest}' }}}}"
            )
            operator.render_template_fields({})  # type: ignore[typeddict-item]
            return run_operator(operator)

        refused(send(digest_of(ROWS[:1])), lofty)
        assert send(digest_of(ROWS[:2])).counts == {"delivered": 2}

    def test_with_a_cursor_the_preview_must_begin_where_the_run_does(
        self, lofty: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(tmp_path / "w.db")) as database, database:
            database.execute("CREATE TABLE visits (at, lead_id, type, text, link, picture, created)")
            for n in (1, 2, 3):
                database.execute("INSERT INTO visits VALUES (?,?,?,?,?,?,?)", (n, *row(n).values()))
        monkeypatch.setenv("AIRFLOW_CONN_W", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "w.db")}))
        source = {
            "table": "visits", "source_conn_id": "w", "journal_conn_id": "w", "cursor": "at",
            "report_path": f"{tmp_path}/reports/",
        }  # fmt: skip
        everything = digest_of(**source)
        refused(run(cursor_from=2, expect_digest=everything, **source), lofty, "give both tasks the same cursor_from")
        from_two = digest_of(cursor_from=2, **source)
        ended = run(task_instance(run_id="next"), cursor_from=2, expect_digest=from_two, **source)
        assert ended.counts == {"delivered": 2}


WRONG = [
    "",
    " ",
    "None",
    "null",
    "a" * 63,
    "a" * 65,
    "g" * 64,
    "sha256:" + "a" * 64,
    "é" * 64,
    5,
    True,
    b"a" * 64,
    ["a" * 64],
]


@pytest.mark.parametrize("wrong", WRONG, ids=shown)
def test_what_is_no_digest_approves_nothing(lofty: Sandbox, wrong: Any) -> None:
    with pytest.raises(LoftyConfigurationError, match="expect_digest must be the digest of a preview's summary"):
        LoftyAddActivityOperator(task_id="send", rows=ROWS[:1], expect_digest=wrong)
    operator = LoftyAddActivityOperator(task_id="send", rows=ROWS[:1], expect_digest="{{ later }}")
    operator.expect_digest = wrong
    ended = run_operator(operator)
    assert type(ended.error) is LoftyConfigurationError
    assert lofty.requests == []


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("template", ["{{ params.none }}", "{{ '' }}", "{{ {}.get('digest') }}"])
def test_nor_does_a_template_that_finds_none(lofty: Sandbox, template: str, native: bool) -> None:
    with DAG("a_dag", schedule=None, render_template_as_native_obj=native):
        operator = LoftyAddActivityOperator(task_id="send", rows=ROWS[:1], expect_digest=template)
    operator.render_template_fields({"params": {"none": None}})
    ended = run_operator(operator)
    assert type(ended.error) is LoftyConfigurationError
    assert "expect_digest" in str(ended.error)
    assert lofty.requests == []


def test_nor_does_a_mapped_task_that_gets_none(lofty: Sandbox) -> None:
    with DAG("a_dag", schedule=None):
        mapped = LoftyAddActivityOperator.partial(task_id="send", rows=ROWS[:1]).expand(expect_digest=[None])
    ti = task_instance(map_index=0, task=mapped)
    mapped.render_template_fields({"ti": ti, "dag": mapped.dag, "dag_run": SimpleNamespace(conf={})})
    ended = run_operator(ti.task, ti)
    assert type(ended.error) is LoftyConfigurationError
    assert "expect_digest became None, which approves nothing" in str(ended.error)
    assert lofty.requests == []


class TestDifferences:
    """Where the preview lies upstream and has written its report, the error counts the rows that differ."""

    @staticmethod
    def sent(folder: Path, before: dict[str, Any], now: dict[str, Any], **others: Any) -> Run:
        with DAG("a_dag", schedule=None):
            preview, between, send = (
                LoftyAddActivityOperator(task_id="preview", preview=True, report_path=f"{folder}/", **before, **others),
                LoftyAddActivityOperator(task_id="other", rows=[]),
                LoftyAddActivityOperator(task_id="send", expect_digest="{{ later }}", **now, **others),
            )
            preview >> between >> send
            EmptyOperator(task_id="no_preview") >> send
        summary = run_operator(preview, task_instance(task_id="preview")).summary
        send.expect_digest = summary["digest"]
        ti = task_instance()
        ti.xcom_pull = lambda task_ids: {"preview": summary, "other": None}[task_ids]  # no other task is asked
        return run_operator(send, ti)

    def test_it_counts_new_gone_and_changed_rows(self, lofty: Sandbox, tmp_path: Path) -> None:
        before = [row(n, created=1763290000000 + n, id=n) for n in range(10)]
        now = [*before[2:9], row(3, text="Viewed it twice", id=20), {**before[1], "text": "Other"}]
        ended = self.sent(tmp_path, {"rows": before[1:]}, {"rows": now}, unique_key="id")
        refused(ended, lofty, "rows since the preview: 1 new, 1 gone, 1 changed. Look at a new preview")

    def test_whatever_the_form_of_its_file(self, lofty: Sandbox, tmp_path: Path) -> None:
        def file(name: str, *rows: dict[str, Any]) -> dict[str, Any]:
            return {"path": write_csv(tmp_path / name, rows, delimiter=";")}

        house = {"list_price": "1.850,00", "picture": ""}
        ended = self.sent(
            tmp_path, file("a.csv", row(1, **house), row("x", **house)), file("b.csv", row(1, **house), row(2, **house)),
            file_options={"delimiter": ";", "decimal": ","}, mapping={"listing.price": "list_price"},
            defaults={"picture": ""}, max_failed_rows=1,
        )  # fmt: skip
        refused(ended, lofty, "rows since the preview: 1 new, 0 gone, 0 changed")

    def test_another_host_is_called_so(self, lofty: Sandbox, tmp_path: Path, connect: Callable[..., None]) -> None:
        digests = iter([digest_of(ROWS[:1])])
        connect(lofty.url.replace("127.0.0.1", "localhost"))
        with DAG("a_dag", schedule=None):
            preview = LoftyAddActivityOperator(
                task_id="preview", rows=ROWS[:1], preview=True, report_path=f"{tmp_path}/"
            )
            send = LoftyAddActivityOperator(task_id="send", rows=ROWS[:1], expect_digest=next(digests))
            preview >> send
        summary = run_operator(preview, task_instance(task_id="preview")).summary
        ti = task_instance()
        ti.xcom_pull = lambda task_ids: [{**summary, "digest": send.expect_digest}]
        refused(run_operator(send, ti), lofty, "its rows are the same, but not the host")

    def test_where_rows_are_not_read_as_they_were_none_are_counted(self, lofty: Sandbox, tmp_path: Path) -> None:
        before = [{**row(1), "rooms": {5}}]  # a set, which a report cannot hold
        mapping = {"text": lambda found: f"{len(found['rooms'])} rooms"}
        ended = self.sent(tmp_path, {"rows": before}, {"rows": [*before, {**row(2), "rooms": {6}}]}, mapping=mapping)
        refused(
            ended, lofty, "which rows differ cannot be said, because the preview's report is not read as the source was"
        )

    def test_nor_where_the_report_is_of_another_format(self, lofty: Sandbox, tmp_path: Path) -> None:
        report = tmp_path / "r.csv"
        summary = run(rows=ROWS[:2], preview=True, report_path=str(report)).summary
        report.write_text(report.read_text("utf-8").replace(FORMAT_MARK, "v0.0:"), "utf-8")
        with DAG("a_dag", schedule=None):
            send = LoftyAddActivityOperator(task_id="send", rows=ROWS[:3], expect_digest=summary["digest"])
            LoftyAddActivityOperator(task_id="preview", rows=[], preview=True) >> send
        ti = task_instance()
        ti.xcom_pull = lambda task_ids: summary
        refused(run_operator(send, ti), lofty, "because the preview's report is of another format")

    def test_nor_where_the_report_is_gone(self, lofty: Sandbox, tmp_path: Path) -> None:
        ti = task_instance()
        ti.xcom_pull = lambda task_ids: {"digest": "a" * 64, "report_path": str(tmp_path / "gone.csv")}
        with DAG("a_dag", schedule=None):
            send = LoftyAddActivityOperator(task_id="send", rows=ROWS[:1], expect_digest="a" * 64)
            LoftyAddActivityOperator(task_id="preview", rows=[], preview=True) >> send
        refused(run_operator(send, ti), lofty, "the preview's report cannot be read (LoftySourceNotReady)")
