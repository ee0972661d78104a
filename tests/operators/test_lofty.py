"""The operator through ``execute``: every row has one outcome, and what arrived at the server proves it."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.oauth import CLIENT
from support.practice import Run, Store, read_report, row, run, run_operator, task_instance, write_csv

from airflow_provider_lofty.decorators.lofty import LoftyAddActivityDecoratedOperator
from airflow_provider_lofty.delivery import breaker, delivery, progress
from airflow_provider_lofty.exceptions import (
    AirflowFailException,
    AirflowTaskTimeout,
    LoftyConfigurationError,
    LoftyCredentialRefused,
    LoftyDeliveryIncomplete,
    LoftyError,
    LoftyRowsFailed,
    LoftySourceNotReady,
)
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.sandbox import Answer, Sandbox
from airflow_provider_lofty.spool.spool import Spool

MISSING = 404404  # a lead that does not exist


@pytest.fixture(autouse=True)
def connected(lofty: Sandbox, connect: Any) -> Sandbox:
    connect(lofty)
    lofty.change(missing_leads={MISSING})
    return lofty


def arrived(lofty: Sandbox) -> list[int]:
    return [activity.lead_id for activity in lofty.activities]


def posts(lofty: Sandbox) -> list[Any]:
    return [request for request in lofty.requests if request.method == "POST"]


class TestSources:
    """Whatever the source, the same rows end the same way."""

    ROWS = (row(1), row(2), row("x"), row(1), row(MISSING))
    COUNTS = {"delivered": 2, "invalid": 1, "duplicate": 1, "rejected": 1}  # noqa: RUF012

    @staticmethod
    def _source(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        rows = list(TestSources.ROWS)
        if kind == "rows":
            return {"rows": rows}
        if kind == "frame":
            return {"rows": pd.DataFrame(rows)}
        if kind == "csv":
            return {"path": write_csv(folder / "a.csv", rows)}
        if kind == "jsonl":
            path = folder / "a.jsonl"
            path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
            return {"path": [str(path)]}
        if kind == "parquet":
            texts = [{key: str(value) for key, value in each.items()} for each in rows]
            pd.DataFrame(texts).to_parquet(folder / "a.parquet")
            return {"path": str(folder / "a.parquet")}
        import sqlite3

        database = sqlite3.connect(folder / "a.db")
        pd.DataFrame([{key: str(value) for key, value in each.items()} for each in rows]).to_sql(
            "leads", database, index=False
        )
        database.close()
        monkeypatch.setenv("AIRFLOW_CONN_LITE", json.dumps({"conn_type": "sqlite", "host": str(folder / "a.db")}))
        wanted: dict[str, Any] = {"table": "leads"} if kind == "table" else {"sql": "SELECT * FROM leads"}
        return {**wanted, "source_conn_id": "lite"}

    @pytest.mark.parametrize("kind", ["rows", "frame", "csv", "jsonl", "parquet", "table", "sql"])
    def test_the_same_rows_end_the_same_way(
        self, lofty: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        ended = run(max_failed_rows=2, **self._source(kind, tmp_path, monkeypatch))
        assert ended.error is None
        assert ended.summary["read"] == 5
        assert ended.counts == self.COUNTS
        assert sorted(arrived(lofty)) == [1, 2]
        assert lofty.activities[0].body == {
            "type": "Browse",
            "text": "Viewed home 1",
            "link": "https://homes.example.com/7",
            "picture": "https://homes.example.com/7.jpg",
            "created": 1_772_359_200_000,
        }

    def test_requests_are_what_lofty_asks_for(self, lofty: Sandbox) -> None:
        run(rows=[row(7)], check_existing="never")
        (request,) = lofty.requests
        assert (request.method, request.path, request.query) == ("POST", "/v1.0/leads/7/activity", {})
        assert request.headers["authorization"] == f"token {lofty.settings.api_key}"
        assert request.headers["content-type"] == "application/json"

    @pytest.mark.parametrize(
        "given",
        [{}, {"rows": [], "path": "a.csv"}, {"sql": "SELECT 1", "table": "t"}, {"rows": None}],
        ids=["none", "two", "both_of_sql", "upstream_gave_none"],
    )
    def test_exactly_one_source_is_needed(self, lofty: Sandbox, given: dict[str, Any]) -> None:
        ended = run(**given)
        assert isinstance(ended.error, LoftyConfigurationError)
        assert "exactly one source" in str(ended.error)
        assert lofty.requests == []

    def test_rendered_rows_are_not_shown_but_sent(self, lofty: Sandbox) -> None:
        operator = LoftyAddActivityOperator(task_id="send", rows=[row(1, text="marigold")])
        operator.render_template_fields({})  # type: ignore[typeddict-item]
        assert "marigold" not in repr([getattr(operator, name) for name in operator.template_fields])
        assert run_operator(operator).counts == {"delivered": 1}

    def test_a_template_that_rendered_to_text_is_refused(self, lofty: Sandbox) -> None:
        operator = LoftyAddActivityOperator(task_id="send", rows="{{ [{'lead_id': 1}] }}")
        operator.render_template_fields({})  # type: ignore[typeddict-item]
        ended = run_operator(operator)
        assert isinstance(ended.error, LoftyConfigurationError)
        assert "render_template_as_native_obj" in str(ended.error)

    def test_mapping_defaults_and_zone_decide_what_is_sent(self, lofty: Sandbox) -> None:
        ended = run(
            rows=[{"CRM_ID": "0007", "WHEN": datetime(2026, 3, 1, 10), "LIST_PRICE": Decimal("450000.00")}],
            mapping={"leadId": "CRM_ID", "created": "WHEN", "listing.price": "LIST_PRICE", "text": lambda r: "seen"},
            defaults={"type": "browse", "link": "https://homes.example.com", "picture": ""},
            timezone="America/New_York",
        )
        assert ended.counts == {"delivered": 1}
        assert arrived(lofty) == [7]
        assert lofty.activities[0].body == {
            "type": "Browse",
            "text": "seen",
            "link": "https://homes.example.com",
            "picture": "",
            "created": 1_772_377_200_000,
            "listing": {"price": 450_000},
        }

    def test_a_callable_that_raises_makes_its_row_invalid_without_its_words(self, lofty: Sandbox) -> None:
        def broken(values: dict[str, Any]) -> str:
            raise KeyError(f"marigold {values['lead_id']}")

        ended = run(rows=[row(1), row(2)], mapping={"text": lambda r: broken(r) if r["lead_id"] == 1 else "fine"})
        assert ended.counts == {"invalid": 1, "delivered": 1}
        assert ended.summary["errors"][0]["error_field"] == "text"
        assert ended.summary["errors"][0]["error"].endswith("raised KeyError")
        assert "marigold" not in repr(ended)


NOW = datetime.now(timezone.utc)
HOSTILE = [
    *[("lead_id", v, "leadId") for v in (
        None, "", " ", 0, -1, "-1", "+1", "450.000", "1e3", 1.5, 2.0**53, float("inf"), float("nan"), True, False, "0x1",
        "１", "١", 2**63, str(2**63), "9" * 400, 10**400, [1], {"id": 1}, b"1", "1_000", "1,000", Decimal("1.5"),
        Decimal("NaN"), Decimal("Infinity"), NOW, "null", "../../me", "1/activity?x=", object(), pd.NA, pd.NaT, (1,),
    )],
    *[("type", v, "type") for v in (None, "", "Sold", "Browse,Search", 1, True, ["Browse"], "Brοwse", b"Browse")],
    *[(f, v, f) for f in ("text", "link", "picture") for v in (
        None, True, [], ["a"], {}, {"a": 1}, b"a", "a\0b", "\ud800", "x\udcff", float("inf"), {1}, object(), pd.NaT,
    )],
    *[("created", v, "created") for v in (
        None, "", "yesterday", "2026-13-01", "2026-02-30", "10:00", "2026-03-01 13:00 PM", 0, -1, 1_772_359_200,
        "1772359200", 1_772_359_200_000_000, 1_772_359_200_000_000_000, True, 1.5, "1e12", [], {}, b"2026-03-01",
        datetime(1989, 12, 31, tzinfo=timezone.utc), NOW + timedelta(days=400), "9999-12-31T23:59:59-23:59",
        "0001-01-01", float("inf"), 10**30, 2.0**60, datetime.max, datetime.min, pd.Timedelta(1), "2026-03-01T25:00",
    )],
    *[("listing.price", v, "listing.price") for v in ("a lot", "450.000", "€5", 1.5, 2**63, True, [], float("inf"))],
    *[("listing.bedrooms", v, "listing.bedrooms") for v in (2**31, "3.5", "three", True, {})],
    *[("listing.bathrooms", v, "listing.bathrooms") for v in ("two", "1/2", True, float("inf"), "nan", "1e999", [])],
    *[("listing.mailAddress", v, "listing.mailAddress") for v in ("maybe", 2, [], b"1")],
    *[("listing.zipCode", v, "listing.zipCode") for v in (True, ["02134"], {"zip": 1}, "0\0")],
    *[("listing.listingId", v, "listing.listingId") for v in (True, [1], "\udfff")],
    *[("listing", v, "listing") for v in ("not json", "[1]", 5, [1], True, b"{}")],
    *[("listing", v, "listing.price") for v in ({"price": "a lot"}, '{"price": []}', {"PRICE": True})],
    *[("scheduled_date", v, "scheduledDate") for v in (True, [1], {"a": 1}, b"x", "a\0")],
    *[("page_name", v, "pageName") for v in (True, [1], {"a": 1}, b"x", "\ud800")],
]  # fmt: skip


class TestHostileRows:
    """A few hundred rows that cannot be sent: each is invalid with its field named, none is on the wire."""

    @staticmethod
    def _rows() -> list[dict[str, Any]]:
        return [{**row(n, text=f"row {n}"), column: value} for n, (column, value, _) in enumerate(HOSTILE, 1)]

    @staticmethod
    def _check(lofty: Sandbox, report: Path) -> None:
        good = len(HOSTILE) + 1
        assert arrived(lofty) == [good]
        lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
        wrong = [
            (column, value, line["lofty_outcome"], line["lofty_error_field"])
            for line, (column, value, field) in zip(lines, HOSTILE, strict=False)
            if (line["lofty_outcome"], line["lofty_error_field"]) != ("invalid", field)
        ]
        assert wrong == []
        assert len(lines) == good

    def test_as_objects(self, lofty: Sandbox, tmp_path: Path) -> None:
        assert len(HOSTILE) > 150
        good = row(len(HOSTILE) + 1)
        ended = run(rows=[*self._rows(), good], report_path=str(tmp_path / "r.jsonl"))
        assert ended.counts == {"invalid": len(HOSTILE), "delivered": 1}
        self._check(lofty, tmp_path / "r.jsonl")

    @pytest.mark.parametrize("ending", [".csv", ".jsonl"])
    def test_none_of_them_gets_through_by_way_of_its_report(self, lofty: Sandbox, tmp_path: Path, ending: str) -> None:
        report = str(tmp_path / f"r{ending}")
        run(rows=self._rows(), report_path=report)
        again = run(path=report)
        assert again.counts == {"invalid": len(HOSTILE)}
        assert lofty.requests == []

    def test_values_at_the_edge_of_what_is_allowed_arrive_exactly(self, lofty: Sandbox) -> None:
        allowed = [
            ("lead_id", 2**63 - 1), ("lead_id", str(2**63 - 1)), ("lead_id", " 12 "), ("lead_id", 13.0),
            ("lead_id", Decimal("14.00")), ("lead_id", 2.0**53 - 1), ("type", " bROWSE "),
        ]  # fmt: skip
        run(rows=[{**row(n, text=str(n)), column: value} for n, (column, value) in enumerate(allowed, 1)])
        ids = {int(activity.body["text"]): activity.lead_id for activity in lofty.activities}
        assert ids == {1: 2**63 - 1, 2: 2**63 - 1, 3: 12, 4: 13, 5: 14, 6: 2**53 - 1, 7: 7}

    @pytest.mark.parametrize(
        "text", ["", " ", "02134", "=1+1", "a\r\nb", '"', "\\", "\u2028", "🏡", "\x7f", "x" * 300_000, "</script>"]
    )
    def test_a_text_arrives_as_it_is(self, lofty: Sandbox, text: str) -> None:
        run(rows=[row(1, text=text)])
        assert lofty.activities[0].body["text"] == text


class TestPolicy:
    """When nothing is sent, and when the task is red."""

    @pytest.mark.parametrize(
        ("gate", "said"),
        [
            ({"max_rows": 9}, "10 rows were read, more than max_rows=9 allows"),
            ({"max_invalid_rows": 1}, "2 of 10 rows are invalid, more than max_invalid_rows=1 allows"),
            ({"max_invalid_rows": 0}, "max_invalid_rows=0"),
            ({"max_invalid_rows": "19.9%"}, "max_invalid_rows=19.9%"),
        ],
    )
    def test_a_closed_gate_sends_nothing(self, lofty: Sandbox, gate: dict[str, Any], said: str) -> None:
        ended = run(rows=[*map(row, range(1, 9)), row("x"), row(None)], max_failed_rows=10, **gate)
        assert isinstance(ended.error, LoftyRowsFailed)
        assert said in str(ended.error)
        assert ended.counts == {"invalid": 2, "not_attempted": 8}
        assert lofty.requests == []

    @pytest.mark.parametrize("gate", [{"max_rows": 10}, {"max_invalid_rows": 2}, {"max_invalid_rows": "20%"}])
    def test_a_gate_that_is_just_reached_is_open(self, lofty: Sandbox, gate: dict[str, Any]) -> None:
        ended = run(rows=[*map(row, range(1, 9)), row("x"), row(None)], max_failed_rows=2, **gate)
        assert ended.error is None
        assert len(arrived(lofty)) == 8

    @pytest.mark.parametrize(
        ("allowed", "failed", "red"),
        [(0, 0, False), (0, 1, True), (3, 3, False), (3, 4, True), ("3", 4, True), ("0.5%", 1, False),
         ("0.5%", 2, True), ("0%", 1, True), ("100%", 200, False)],
    )  # fmt: skip
    def test_more_failed_rows_than_allowed_are_red_after_all_valid_ones_were_sent(
        self, lofty: Sandbox, allowed: Any, failed: int, red: bool
    ) -> None:
        rows = [row("x" if n <= failed else n) for n in range(1, 201)]
        ended = run(rows=rows, max_failed_rows=allowed)
        assert isinstance(ended.error, LoftyRowsFailed) is red
        assert len(arrived(lofty)) == 200 - failed

    @pytest.mark.parametrize(
        "wrong",
        [
            {"max_failed_rows": "many"}, {"max_failed_rows": -1}, {"max_failed_rows": 0.5}, {"max_failed_rows": True},
            {"max_invalid_rows": "5"*2 + "%%"}, {"max_rows": "all"}, {"stop_after_rejections": 0},
            {"requests_per_minute": 0}, {"requests_per_minute": -5}, {"requests_per_minute": float("nan")},
            {"timezone": "Mars/Olympus"}, {"mapping": {"leed": "x"}}, {"mapping": {"leadId": "no_such_column"}},
            {"defaults": {"type": "Sold"}}, {"unique_key": "no_such_column"}, {"report_path": "report.txt"},
            {"lofty_conn_id": "no_such_connection"},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_wrong_argument_sends_nothing_and_is_not_retried(self, lofty: Sandbox, wrong: dict[str, Any]) -> None:
        ended = run(**{"rows": [row(1)], **wrong})
        assert isinstance(ended.error, LoftyConfigurationError)
        assert lofty.requests == []

    def test_zero_rows_are_green_with_a_warning(self, lofty: Sandbox, tmp_path: Path) -> None:
        ended = run(rows=[], report_path=str(tmp_path / "r.csv"))
        assert ended.error is None
        assert ended.summary["read"] == 0
        assert "the source had no rows; nothing was sent" in ended.log
        assert read_report(tmp_path / "r.csv") == []

    def test_a_duplicate_shares_the_fate_of_its_original(self, lofty: Sandbox) -> None:
        fine = run(rows=[row(1), row(1)])
        assert (fine.error, fine.counts) == (None, {"delivered": 1, "duplicate": 1})
        failed = run(rows=[row(MISSING), row(MISSING)], max_failed_rows=1)
        assert isinstance(failed.error, LoftyRowsFailed)
        assert failed.counts == {"rejected": 1, "duplicate": 1}
        assert "2 of 2 rows failed" in str(failed.error)

    def test_the_same_identity_with_other_content_is_invalid(self, lofty: Sandbox) -> None:
        ended = run(rows=[row(1), row(1, picture="https://homes.example.com/other.jpg")])
        assert ended.counts == {"delivered": 1, "invalid": 1}
        assert ended.summary["errors"][0]["example_row"] == 2

    def test_a_unique_key_tells_rows_apart_that_look_alike(self, lofty: Sandbox) -> None:
        rows = [row(1, event="a"), row(1, event="b"), row(2, event="b"), row(3, event=None)]
        ended = run(rows=rows, unique_key="event")
        assert ended.counts == {"delivered": 2, "invalid": 2}
        assert arrived(lofty) == [1, 1]

    def test_a_preview_makes_no_request_and_needs_no_working_connection(
        self, lofty: Sandbox, connect: Any, tmp_path: Path
    ) -> None:
        connect("http://lofty.example.com")  # would be refused
        report = tmp_path / "r.csv"
        ended = run(rows=[row(1), row("x"), row(1)], preview=True, report_path=str(report), max_failed_rows=1)
        assert ended.error is None
        assert ended.counts == {"would_send": 1, "invalid": 1, "duplicate": 1}
        assert (ended.summary["requests"], lofty.requests) == (0, [])
        assert [line["lofty_outcome"] for line in read_report(report)] == ["would_send", "invalid", "duplicate"]
        connect(lofty)
        assert run(path=str(report), max_failed_rows=1).counts == {"delivered": 1, "invalid": 1, "duplicate": 1}

    def test_a_preview_shows_the_first_requests_and_how_long_all_would_take(self, lofty: Sandbox, connect: Any) -> None:
        connect(lofty, extra={"requests_per_minute": 6})
        ended = run(rows=[row("x"), *(row(n) for n in range(1, 13))], preview=True, max_failed_rows=1)
        assert lofty.requests == []
        groups = [line for line in ended.log if line.startswith("::group::")]
        assert groups == [f"::group::The request for row {n}, as it would be sent to {lofty.url}" for n in (2, 3, 4)]
        assert ended.log.count("::endgroup::") == 3
        assert "POST /v1.0/leads/1/activity HTTP/1.1" in ended.log
        assert "Authorization: token ***" in ended.log
        (body,) = [line for line in ended.log if "Viewed home 3" in line]
        assert json.loads(body)["created"] == 1772359200000
        assert "12 rows to send at 6 requests/min, until Lofty names its limit: about 2 min" in ended.log

    def test_a_preview_without_a_usable_connection_says_why_it_shows_no_request(self, connect: Any) -> None:
        connect("http://lofty.example.com")
        ended = run(rows=[row(1)], preview=True)
        assert ended.counts == {"would_send": 1}
        (told,) = [line for line in ended.log if line.startswith("no request can be shown")]
        assert "https://" in told


class TestAnswers:
    """What an answer means for its row and for the run."""

    @pytest.mark.parametrize(
        "fault",
        ["error_before_storing", "error_after_storing", "drop_before_storing", "drop_after_storing", "slow",
         "html_502", "html_502_after_storing", "empty_200"],
    )  # fmt: skip
    def test_doubt_without_reading_back_is_unknown_and_never_sent_again(
        self, lofty: Sandbox, connect: Any, fault: str
    ) -> None:
        connect(lofty, extra={"timeout_seconds": 0.3, "max_in_flight": 1})  # the faults come in the rows' order
        lofty.change(scripted_faults=[None, fault], slow_seconds=5, read_back_status=403)
        ended = run(rows=[row(1), row(2), row(3)])
        assert isinstance(ended.error, LoftyRowsFailed)
        assert ended.counts == {"delivered": 2, "unknown": 1}
        paths = sorted(request.path for request in posts(lofty))
        assert paths == [f"/v1.0/leads/{n}/activity" for n in (1, 2, 3)]

    @pytest.mark.parametrize("status", [202, 204, 408, 409, 425, 499, 500, 503, 504, 599])
    def test_a_status_that_proves_nothing_is_unknown(self, lofty: Sandbox, status: int) -> None:
        lofty.change(canned_answers={"add_activity": Answer(status, b"")})
        assert run(rows=[row(1)]).counts == {"unknown": 1}
        assert len(posts(lofty)) == 1

    @pytest.mark.parametrize(
        "body", [b'{"leadId":"1"}', b'{"leadId":1.0}', b"[1]", b"1", b'{"leadId":true}', b"<html>"]
    )
    def test_a_200_that_does_not_say_which_lead_is_unknown(self, lofty: Sandbox, body: bytes) -> None:
        lofty.change(canned_answers={"add_activity": Answer(200, body)})
        assert run(rows=[row(1)]).counts == {"unknown": 1}

    def test_an_error_within_a_200_is_a_refusal(self, lofty: Sandbox) -> None:
        lofty.change(scripted_faults=["error_in_200"])
        assert run(rows=[row(1)]).counts == {"rejected": 1}

    @pytest.mark.parametrize("shape", ["code", "embedded", "json_string", "text", "empty"])
    def test_a_refusal_is_understood_in_every_shape(self, lofty: Sandbox, shape: str) -> None:
        lofty.change(error_shape=shape, scripted_faults=[None, "refused"])
        ended = run(rows=[row(1), row(2), row(3)])
        assert ended.counts == {"delivered": 2, "rejected": 1}
        assert ended.summary["errors"][0]["http_status"] == 400
        assert ended.summary["errors"][0]["error_code"] == (20012 if shape in ("code", "embedded") else None)

    def test_rate_refusals_cost_no_attempt(self, lofty: Sandbox, tmp_path: Path) -> None:
        lofty.change(scripted_faults=["rate_limited"] * 3, window_seconds=0.05, rate_reset_reading="epoch_milliseconds")
        ended = run(rows=[row(1), row(2)], report_path=str(tmp_path / "r.csv"))
        assert (ended.error, ended.counts) == (None, {"delivered": 2})
        assert (ended.summary["throttled"], len(posts(lofty))) == (3, 5)
        assert [line["lofty_attempts"] for line in read_report(tmp_path / "r.csv")] == ["1", "1"]

    def test_a_rate_refusal_that_comes_as_a_400_is_one_too(self, lofty: Sandbox) -> None:
        lofty.change(rate_refusal_status=400, scripted_faults=["rate_limited"], window_seconds=0.05,
                     rate_reset_reading="epoch_milliseconds")  # fmt: skip
        assert run(rows=[row(1)]).counts == {"delivered": 1}

    @pytest.mark.parametrize("shape", ["code", "embedded"])
    def test_a_refused_credential_costs_at_most_three_requests(self, lofty: Sandbox, connect: Any, shape: str) -> None:
        connect(lofty, password="another-key")
        lofty.change(error_shape=shape)
        ended = run(rows=[row(n) for n in range(1, 200)])
        assert isinstance(ended.error, LoftyCredentialRefused)
        assert ended.counts == {"not_attempted": 199}
        assert 1 <= len(lofty.requests) <= 3
        assert {request.method for request in lofty.requests} == {"GET"}
        assert not [line for line in ended.log if "rows to send at" in line or "reading back does not work" in line]
        assert "lofty_default" in str(ended.error)

    def test_a_key_that_is_sent_as_a_token_is_explained(self, lofty: Sandbox, connect: Any) -> None:
        connect(lofty, extra={"auth_type": "access_token"})
        ended = run(rows=[row(1)])
        assert isinstance(ended.error, LoftyCredentialRefused)
        assert "auth_type to api_key" in str(ended.error)

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(403, b'{"code":200100,"message":"no permission"}'),
            Answer(404, b'{"message":"The requested API endpoint does not exist"}'),
            Answer(302, b"", headers={"location": "https://elsewhere.example.com/"}),
            Answer(407, b""),
            Answer(401, b"<html>log in</html>", "text/html"),
            Answer(403, b"<!doctype html><p>blocked", "text/html"),
        ],
        ids=["permission", "endpoint", "redirect", "proxy", "html_401", "html_403"],
    )
    def test_a_configuration_error_stops_the_run(self, lofty: Sandbox, answer: Answer) -> None:
        lofty.change(canned_answers={"add_activity": answer})
        ended = run(rows=[row(n) for n in range(1, 100)])
        assert isinstance(ended.error, LoftyConfigurationError)
        assert ended.counts == {"not_attempted": 99}
        assert len(posts(lofty)) == 1

    def test_a_wall_of_equal_rejections_stops_after_twenty_leads(self, lofty: Sandbox) -> None:
        lofty.change(faults={"refused": 1.0})
        ended = run(rows=[row(n) for n in range(1, 100)])
        assert isinstance(ended.error, LoftyRowsFailed)
        assert "20 different leads alike" in str(ended.error)
        assert ended.counts == {"rejected": 20, "not_attempted": 79}
        assert len(posts(lofty)) == 20

    def test_the_height_of_the_wall_can_be_chosen(self, lofty: Sandbox) -> None:
        lofty.change(faults={"refused": 1.0})
        assert run(rows=[row(n) for n in range(1, 10)], stop_after_rejections=3).counts["rejected"] == 3

    def test_one_deleted_lead_costs_one_request_and_stops_nothing(self, lofty: Sandbox) -> None:
        rows = [row(MISSING, text=f"event {n}") for n in range(500)]
        ended = run(rows=[*rows, row(1)])
        assert ended.counts == {"rejected": 500, "delivered": 1}
        assert len(posts(lofty)) == 2


class TestEnds:
    """A retry follows only where it can mend something and sends nothing twice."""

    @pytest.mark.parametrize(
        ("arguments", "settings", "error"),
        [
            ({"rows": [row("x")]}, {}, LoftyRowsFailed),
            ({"rows": [row(MISSING)]}, {}, LoftyRowsFailed),
            ({"rows": [row(1)]}, {"scripted_faults": ["error_before_storing"]}, LoftyRowsFailed),
            ({"rows": [row(1)], "max_rows": 0}, {}, LoftyRowsFailed),
            ({"rows": [row(1)]}, {"api_key": "another"}, LoftyCredentialRefused),
            ({"rows": [row(1)]}, {"permission_denied": {"add_activity"}}, LoftyConfigurationError),
            ({"rows": "text"}, {}, LoftyConfigurationError),
        ],
    )
    def test_what_a_retry_cannot_mend_is_not_retried(
        self, lofty: Sandbox, arguments: dict[str, Any], settings: dict[str, Any], error: type[Exception]
    ) -> None:
        lofty.change(**settings)
        ended = run(**arguments)
        assert type(ended.error) is error
        assert isinstance(ended.error, AirflowFailException)

    def test_a_file_that_is_not_there_yet_is_retryable(self, lofty: Sandbox, tmp_path: Path) -> None:
        ended = run(path=f"{tmp_path}/*.csv")
        assert type(ended.error) is LoftySourceNotReady
        assert not isinstance(ended.error, AirflowFailException)
        assert ended.summary["read"] == 0

    def test_a_server_that_never_answers_is_retryable_while_nothing_was_sent(
        self, connect: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(breaker, "EARLY_OUTAGE_SECONDS", 0.0)
        monkeypatch.setattr(breaker, "TROUBLE_IN_A_ROW", 2)
        connect("http://127.0.0.1:9")
        ended = run(rows=[row(1), row(2)])
        assert type(ended.error) is LoftyDeliveryIncomplete
        assert not isinstance(ended.error, AirflowFailException)
        assert ended.counts == {"not_attempted": 2}

    def test_a_client_that_gets_no_token_sends_nothing_and_is_not_retried(self, lofty: Sandbox, connect: Any) -> None:
        connect(lofty, password="", extra={**CLIENT, "client_secret": "another"})
        ended = run(rows=[row(1), row(2)], check_existing="never")
        assert type(ended.error) is LoftyCredentialRefused
        assert ended.counts == {"not_attempted": 2}
        assert {request.path for request in posts(lofty)} == {"/oauth/token"}

    def test_a_token_endpoint_that_fails_for_a_while_costs_no_row(
        self, lofty: Sandbox, connect: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_lofty.lofty.session.PATIENCE_SECONDS", ())
        connect(lofty, password="", extra=CLIENT)
        lofty.change(canned_answers={"oauth_token": Answer(500)})
        back = threading.Timer(0.3, lambda: lofty.change(canned_answers={}))
        back.start()
        ended = run(rows=[row(n) for n in range(1, 6)], check_existing="never")
        back.join()
        assert ended.error is None
        assert ended.counts == {"delivered": 5}
        assert sorted(arrived(lofty)) == [1, 2, 3, 4, 5]
        assert len([request for request in lofty.requests if request.path == "/oauth/token"]) > 1

    def test_an_outage_after_rows_were_sent_is_retryable(self, lofty: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(breaker, "OUTAGE_SECONDS", 0.0)
        lofty.change(scripted_faults=[None], faults={"error_before_storing": 1.0}, read_back_status=500)
        ended = run(rows=[row(n) for n in range(1, 60)])
        assert type(ended.error) is LoftyDeliveryIncomplete
        assert not isinstance(ended.error, AirflowFailException)
        assert ended.counts["delivered"] == 1
        assert len(posts(lofty)) == ended.counts["delivered"] + ended.counts["unknown"]

    @staticmethod
    def _killed_when(record_failure: Callable[[], bool], **arguments: Any) -> Run:
        operator = LoftyAddActivityOperator(task_id="send", **arguments)

        def kill() -> None:
            for _ in range(1000):
                if record_failure():
                    break
                time.sleep(0.005)
            operator.on_kill()

        killer = threading.Thread(target=kill)
        killer.start()
        ended = run_operator(operator)
        killer.join()
        return ended

    def test_a_kill_stops_sending_and_the_report_says_what_arrived(self, lofty: Sandbox, tmp_path: Path) -> None:
        lofty.change(latency_seconds=0.05)
        ended = self._killed_when(
            lambda: len(lofty.activities) >= 3,
            rows=[row(n) for n in range(1, 1000)], report_path=str(tmp_path / "r.csv"),
        )  # fmt: skip
        assert type(ended.error) is LoftyDeliveryIncomplete
        assert 3 <= len(arrived(lofty)) < 200
        delivered = {
            line["lead_id"] for line in read_report(tmp_path / "r.csv") if line["lofty_outcome"] == "delivered"
        }
        assert delivered == set(map(str, arrived(lofty)))
        lofty.change(latency_seconds=0)
        again = run(path=str(tmp_path / "r.csv"))
        assert again.error is None
        assert sorted(arrived(lofty)) == list(range(1, 1000))

    def test_a_kill_while_nothing_can_be_sent_is_retryable(self, connect: Any) -> None:
        connect("http://127.0.0.1:9")
        started = time.monotonic()
        ended = self._killed_when(lambda: time.monotonic() > started + 0.2, rows=[row(1)])
        assert type(ended.error) is LoftyDeliveryIncomplete
        assert ended.counts == {"not_attempted": 1}

    def test_a_kill_before_the_answer_leaves_doubt_which_a_retry_may_settle(
        self, lofty: Sandbox, connect: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(delivery, "LAST_ANSWERS_SECONDS", 0.1)
        connect(lofty, extra={"timeout_seconds": 2})
        lofty.change(scripted_faults=["slow"], slow_seconds=1)
        ended = self._killed_when(lambda: len(lofty.activities) == 1, rows=[row(1), row(2)])
        assert ended.counts == {"unknown": 1, "not_attempted": 1}
        assert type(ended.error) is LoftyDeliveryIncomplete
        assert not isinstance(ended.error, AirflowFailException)

    def test_on_kill_before_and_after_the_run_does_nothing(self, lofty: Sandbox) -> None:
        operator = LoftyAddActivityOperator(task_id="send", rows=[row(1)])
        operator.on_kill()
        assert run_operator(operator).counts == {"delivered": 1}
        operator.on_kill()
        assert run_operator(operator).counts == {"already_delivered": 1}

    def test_a_time_out_writes_the_report_and_makes_no_call_to_airflow(self, lofty: Sandbox, tmp_path: Path) -> None:
        class TaskTimeout(BaseException):
            """As Airflow's own: raised by a signal handler, whatever the task is doing."""

        def strike(*args: Any) -> None:
            raise TaskTimeout

        def alarm() -> None:
            for _ in range(1000):
                if len(lofty.activities) >= 3:
                    break
                time.sleep(0.005)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)

        lofty.change(latency_seconds=0.05)
        before = signal.signal(signal.SIGALRM, strike)
        alarming = threading.Thread(target=alarm)
        alarming.start()
        ti, path = task_instance(), str(tmp_path / "r.csv")
        try:
            with pytest.raises(TaskTimeout):
                run(ti, rows=[row(n) for n in range(1, 2000)], report_path=path)
        finally:
            alarming.join()
            signal.signal(signal.SIGALRM, before)
        assert "return_value" not in ti.xcom
        assert ti.xcom["lofty_progress"]["phase"] != "ended"
        outcomes = {int(line["lead_id"]): line["lofty_outcome"] for line in read_report(path)}
        assert len(outcomes) == 1999
        assert {lead for lead, outcome in outcomes.items() if outcome in ("delivered", "unknown")} == set(
            arrived(lofty)
        )

    def test_a_disk_that_fails_before_anything_was_sent_is_retryable(
        self, lofty: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(self: Spool) -> None:
            import sqlite3

            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(Spool, "flush", full)
        ended = run(rows=[row(1)])
        assert type(ended.error) is LoftySourceNotReady
        assert "disk is full" in str(ended.error)
        assert lofty.requests == []


class TestReport:
    """The report says what became of every row; given back, it sends only what was not delivered."""

    @pytest.mark.parametrize("ending", [".csv", ".jsonl"])
    def test_given_back_it_sends_the_rest(self, lofty: Sandbox, connect: Any, tmp_path: Path, ending: str) -> None:
        connect(lofty, extra={"max_in_flight": 1})  # the faults come in the rows' order
        first, second = str(tmp_path / f"1{ending}"), str(tmp_path / f"2{ending}")
        lofty.change(scripted_faults=[None, "drop_after_storing", "refused"])
        rows = [
            row(1),
            row(2),
            row(3, text="=HYPERLINK(1)"),
            row(MISSING, text="", link="-1+2"),
            row(1),
            row(5, type="Sold"),
        ]
        lofty.change(read_back_status=403)
        ended = run(rows=rows, report_path=first)
        assert ended.counts == {"delivered": 1, "unknown": 1, "rejected": 2, "duplicate": 1, "invalid": 1}
        lofty.change(missing_leads=frozenset(), scripted_faults=[], read_back_status=None)
        again = run(path=first, report_path=second)
        # The unknown one was found.
        assert again.counts == {"delivered": 2, "already_delivered": 2, "duplicate": 1, "invalid": 1}
        bodies = {activity.lead_id: activity.body for activity in lofty.activities}
        assert sorted(arrived(lofty)) == [1, 2, 3, MISSING]
        assert bodies[3]["text"] == "=HYPERLINK(1)"
        assert (bodies[MISSING]["text"], bodies[MISSING]["link"]) == ("", "-1+2")
        lofty.reset()
        assert run(path=second).counts == {"already_delivered": 4, "duplicate": 1, "invalid": 1}
        assert lofty.requests == []

    @pytest.mark.parametrize("ending", [".csv", ".jsonl"])
    def test_a_row_of_every_kind_of_value_is_the_same_activity_when_it_comes_back(
        self, lofty: Sandbox, tmp_path: Path, ending: str
    ) -> None:
        path = str(tmp_path / f"r{ending}")
        values: dict[str, Any] = {
            "lead_id": Decimal("9007199254740993.00"), "text": Decimal("5.00"), "link": 1e-7, "picture": 12.0,
            "created": datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2))),
            "listing": {"price": 450_000, "zipCode": "02134", "bathrooms": 2.5},
            "scheduled_date": datetime(2026, 3, 2, 9), "page_name": "=page",
        }  # fmt: skip
        first = run(rows=[{**row(), **values}, row(13.0)], report_path=path, timezone="America/New_York")
        assert first.counts == {"delivered": 2}
        bodies = [activity.body for activity in lofty.activities]
        edited = Path(path).read_text(encoding="utf-8").replace("delivered", "not_attempted")
        Path(path).write_text(edited, encoding="utf-8", newline="")
        lofty.reset()
        assert run(path=path, timezone="America/New_York").counts == {"delivered": 2}
        assert [activity.body for activity in lofty.activities] == bodies
        assert arrived(lofty) == [2**53 + 1, 13]

    def test_a_delivered_row_that_was_changed_says_so(self, lofty: Sandbox, tmp_path: Path) -> None:
        path = tmp_path / "r.csv"
        run(rows=[row(1), row(2)], report_path=str(path))
        text = path.read_text(encoding="utf-8").replace("Viewed home 1", "Viewed another home")
        path.write_text(text, encoding="utf-8", newline="")
        assert run(path=str(path), report_path=str(tmp_path / "r2.csv")).counts == {"already_delivered": 2}
        errors = [line["lofty_error"] for line in read_report(tmp_path / "r2.csv")]
        assert errors == ["its content has changed since it was delivered", ""]

    @pytest.mark.parametrize("failure", ["rows", "gate", "credential", "mapping", "source"])
    def test_it_is_written_when_the_task_fails(self, lofty: Sandbox, tmp_path: Path, failure: str) -> None:
        source: dict[str, Any] = {"rows": [row(1), row("x")]}
        if failure == "gate":
            source["max_rows"] = 1
        elif failure == "credential":
            lofty.change(api_key="another")
        elif failure == "mapping":
            source["mapping"] = {"pageName": "no_such_column"}
        elif failure == "source":
            whole = write_csv(tmp_path / "a.csv", [row(1)])
            (tmp_path / "b.csv").write_text('lead_id,type,text,link,picture,created\n1,Browse,"x', encoding="utf-8")
            source = {"path": [whole, str(tmp_path / "b.csv")]}
        ended = run(**source, report_path=str(tmp_path / "r.csv"))
        assert isinstance(ended.error, LoftyError)
        assert len(read_report(tmp_path / "r.csv")) == ended.summary["read"]
        assert ended.summary["report_path"] == str(tmp_path / "r.csv")

    @pytest.mark.parametrize("text", ['lead_id,type,text,link,picture,created\n1,Browse,"x', None])
    def test_a_source_that_could_not_be_read_leaves_the_report_that_is_there(
        self, lofty: Sandbox, tmp_path: Path, text: str | None
    ) -> None:
        report = tmp_path / "r.csv"
        report.write_text("of an earlier try", encoding="utf-8")
        if text is not None:
            (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        ended = run(path=str(tmp_path / "a.csv"), report_path=str(report))
        assert isinstance(ended.error, LoftyError)
        assert ended.summary["report_path"] is None
        assert report.read_text(encoding="utf-8") == "of an earlier try"

    def test_a_source_without_rows_gives_a_report_without_rows(self, lofty: Sandbox, tmp_path: Path) -> None:
        source = write_csv(tmp_path / "a.csv", [row(1)])
        Path(source).write_text(Path(source).read_text(encoding="utf-8").partition("\n")[0] + "\n", encoding="utf-8")
        ended = run(path=source, report_path=str(tmp_path / "r.csv"))
        assert ended.error is None
        assert (
            (tmp_path / "r.csv").read_text(encoding="utf-8").startswith("lead_id,type,text,link,picture,created,lofty_")
        )
        assert read_report(tmp_path / "r.csv") == []

    def test_a_folder_gets_a_file_of_its_own_for_each_try(self, lofty: Sandbox, tmp_path: Path) -> None:
        for attempt in (1, 2):
            ti = task_instance(dag_id="d", run_id="manual__2026-03-01T10:00", map_index=4, try_number=attempt)
            ended = run(ti, rows=[row(1)], report_path=f"{tmp_path}/out/")
            assert ended.summary["report_path"].startswith(
                f"{tmp_path}/out/d__manual__2026-03-01T10-00__send_4__try_{attempt}__"
            )
        assert len(list((tmp_path / "out").iterdir())) == 2

    @pytest.mark.parametrize("wrong", ["nothing", "mapping", "quote", "gate"])
    @pytest.mark.parametrize("glob", [False, True])
    def test_it_never_takes_the_place_of_its_source(
        self, lofty: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, glob: bool
    ) -> None:
        monkeypatch.chdir(tmp_path)
        source = Path(write_csv(tmp_path / "leads.csv", [row(1), row("x")]))
        if wrong == "quote":
            source.write_text(source.read_text(encoding="utf-8") + '2,Browse,"open\n', encoding="utf-8")
        before = source.read_bytes()
        arguments: dict[str, Any] = {"mapping": {"text": "no_such_column"}} if wrong == "mapping" else {}
        if wrong == "gate":
            arguments = {"max_rows": 0}
        ended = run(path=f"{tmp_path}/*.csv" if glob else str(source), report_path="leads.csv", **arguments)
        assert isinstance(ended.error, LoftyConfigurationError)
        assert source.read_bytes() == before
        assert lofty.requests == []

    def test_a_report_that_cannot_be_written_any_more_is_an_error_but_no_row_is_lost(
        self, lofty: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow_provider_lofty.report.writer import Report

        def broken(self: Report, spool: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Report, "write", broken)
        ended = run(rows=[row(1)], report_path=str(tmp_path / "r.csv"))
        assert isinstance(ended.error, LoftyRowsFailed)
        assert "could not be written" in str(ended.error)
        assert ended.counts == {"delivered": 1}
        assert ended.summary["report_path"] is None


class TestTelling:
    """What is told in XCom, logs and errors: enough, and not too much."""

    def test_the_summary_is_returned_and_not_pushed_twice(self, lofty: Sandbox) -> None:
        ended = run(rows=[row(1)])
        assert set(ended.returned or ()) == {
            "read", "delivered", "already_delivered", "duplicate", "invalid", "rejected", "unknown", "not_attempted",
            "would_send", "carried_over", "seconds", "requests", "throttled", "read_backs", "learned_limit", "errors",
            "report_path", "digest", "format", "unmatched", "seconds_in_doubt", "quota_share",
        }  # fmt: skip
        assert "return_value" not in ended.xcom

    @pytest.mark.parametrize(
        "failing", [{"rows": [row("x")]}, {"rows": [row(1)], "max_rows": 0}, {"path": "/nothing/*.csv"}]
    )
    def test_it_is_pushed_before_an_error_unless_xcom_is_not_wanted(
        self, lofty: Sandbox, failing: dict[str, Any]
    ) -> None:
        assert "return_value" in run(**failing).xcom
        assert run(**failing, do_xcom_push=False).xcom == {}

    def test_the_page_is_told_where_a_run_stands(self, lofty: Sandbox, tmp_path: Path) -> None:
        pushed: list[dict[str, Any]] = []
        ti = task_instance(try_number=2)
        ti.xcom_push = lambda key, value: pushed.append({"key": key, "value": value})
        lofty.change(latency_seconds=0.4)
        rows = [*(row(n) for n in range(1, 160)), row("x")]
        ended = run(ti, rows=rows, on_unknown="resend", report_path=f"{tmp_path}/r.csv")
        told = [push["value"] for push in pushed if push["key"] == "lofty_progress"]
        assert [facts["phase"] for facts in told] == ["reading", *["sending"] * (len(told) - 3), "ended", "ended"]
        assert len(told) >= 5
        assert all(facts["try_number"] == 2 and facts["report_path"] == f"{tmp_path}/r.csv" for facts in told)
        first, later = told[1], told[-3]
        assert first["outcomes"]["invalid"] == 1
        known = [(group["count"], group["error_field"], group["example_row"]) for group in first["errors"]]
        assert known == [(1, "leadId", 160)]
        assert first["errors"] == later["errors"]
        assert told[-1]["errors"] == []  # the summary has all of them
        assert later["read"] == 160
        assert sum(later["outcomes"].values()) + later["left"] == 160
        assert later["outcomes"]["delivered"] > 0
        assert (later["limit"], later["throttled"]) == (600_000, 0)
        assert later["seconds_left"] == pytest.approx(later["left"] * 60 / later["rows_per_minute"], rel=0.01)
        assert {"key": "return_value", "value": told[-1]["summary"]} in pushed
        assert told[-1]["error"] == {"type": "LoftyRowsFailed", "text": str(ended.error)}

    def test_an_error_before_the_first_row_is_told_to_the_page(self, connect: Any) -> None:
        connect("http://example.com")
        ended = run(rows=[row(1)])
        assert ended.xcom["lofty_progress"]["error"] == {"type": "LoftyConfigurationError", "text": str(ended.error)}

    def test_an_orphan_stops_sending(self, lofty: Sandbox) -> None:
        def nobody_is_there(key: str, value: Any) -> None:
            if lofty.activities:
                raise EOFError

        ti = task_instance()
        ti.xcom_push = nobody_is_there
        lofty.change(latency_seconds=0.2)
        ended = run(ti, rows=[row(n) for n in range(1, 500)])
        assert isinstance(ended.error, LoftyDeliveryIncomplete)
        assert 0 < len(lofty.activities) < 400

    def test_an_error_of_others_is_told_without_its_words(self, lofty: Sandbox) -> None:
        def rows() -> Any:
            yield row(1)
            raise ValueError("ada.sample@example.com")

        ended = run(rows=rows())
        assert ended.xcom["lofty_progress"]["error"] == {"type": "ValueError", "text": ""}

    def test_what_failed_is_told_even_where_xcoms_cannot_be_written(self, lofty: Sandbox) -> None:
        def refuse(key: str, value: Any) -> None:
            raise RuntimeError("the server is away")

        ti = task_instance()
        ti.xcom_push = refuse
        assert isinstance(run(ti, rows=[row("x")]).error, LoftyRowsFailed)

    def test_progress_knows_the_rows_that_were_in_doubt(self, lofty: Sandbox, tmp_path: Path) -> None:
        lofty.change(scripted_faults=["drop_after_storing"] * 3, read_back_status=403)
        first = run(rows=[row(n) for n in range(1, 4)], on_unknown="report", report_path=str(tmp_path / "r.csv"))
        assert first.counts["unknown"] > 0
        lofty.change(scripted_faults=[], read_back_status=None)
        second = run(path=str(tmp_path / "r.csv"))
        assert second.counts == {"already_delivered": 3}
        told = [line for line in second.log if "rows done" in line]
        assert second.xcom["lofty_progress"]["left"] >= 0
        assert all("-" not in line.partition(" of ")[0] for line in told)

    def test_an_xcom_that_cannot_be_written_stops_no_delivery(self, lofty: Sandbox) -> None:
        def refuse(key: str, value: Any) -> None:
            raise RuntimeError("the server is away")

        ti = task_instance()
        ti.xcom_push = refuse
        ended = run(ti, rows=[row(1)])
        assert ended.returned is not None
        assert ended.counts == {"delivered": 1}
        assert len([line for line in ended.log if "cannot be shown" in line]) == 1

    def test_it_is_small_whatever_the_rows_and_paths(self, lofty: Sandbox, tmp_path: Path) -> None:
        long = tmp_path / ("🏡" * 60)
        rows = [{**row(n), "🏡" * 10_000: None, "key" * 3000: None} for n in range(1, 200)]
        rows += [row("x"), row(None), row(1, type=5), row(1, text=[]), row(1, created="🏡" * 10_000)]
        message = json.dumps({"code": 20012, "message": "🏡" * 10_000}).encode()
        lofty.change(canned_answers={"add_activity": Answer(400, message)})
        ended = run(rows=rows, unique_key="key" * 3000, report_path=f"{long}/r.csv")
        assert len(json.dumps(ended.summary).encode()) < 8192
        assert len(ended.summary["errors"]) == 5

    def test_what_failed_alike_is_one_line(self, lofty: Sandbox) -> None:
        ended = run(rows=[row("x\ny") for _ in range(1200)] + [row(1), row(2, type="Sold"), row(3, link=None)])
        lines = [line for line in ended.log if line.startswith("row ")]
        assert [line.partition(" must ")[0] for line in lines[:2]] == [
            "row 1 and 1 199 more that failed alike: invalid: leadId",
            "row 1202: invalid, lead 2: type",
        ]
        assert lines[2].startswith("row 1203: invalid, lead 3: link is required")
        assert "set report_path to see each row" in ended.log

    def test_fifty_kinds_of_failure_are_logged(self, lofty: Sandbox) -> None:
        ended = run(
            rows=[row(n) for n in range(1, 61)], mapping={"text": lambda each: each[f"column {each['lead_id']}"]}
        )
        lines = [line for line in ended.log if line.startswith("row ")]
        assert len(lines) == 50
        assert "the column 'column 1', which the source lacks" in lines[0]

    def test_rows_of_several_files_are_named_with_their_file(self, lofty: Sandbox, tmp_path: Path) -> None:
        write_csv(tmp_path / "a.csv", [row(1)])
        write_csv(tmp_path / "b.csv", [row(MISSING), row("x")])
        ended = run(path=f"{tmp_path}/*.csv")
        told = "\n".join(ended.log)
        assert f"row 1 (line 2) of {tmp_path}/b.csv: rejected, lead {MISSING}: " in told
        assert f"row 2 (line 3) of {tmp_path}/b.csv: invalid: leadId" in told

    def test_the_error_says_counts_what_to_do_and_where_the_rows_are(self, lofty: Sandbox, tmp_path: Path) -> None:
        ended = run(rows=[row(1), row("x"), row("y")], report_path=str(tmp_path / "r.csv"))
        for part in ("2 of 3 rows failed", "1 delivered, 2 invalid", "clear the task", str(tmp_path / "r.csv")):
            assert part in str(ended.error)

    def test_what_is_invalid_is_logged_once_and_before_the_first_request(
        self, lofty: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(progress, "PROGRESS_SECONDS", 0.0)
        ended = run(rows=[row(1), row("x"), row("y"), row(MISSING)])
        said = [place for place, line in enumerate(ended.log) if "leadId" in line and "row 2" in line]
        sent = [place for place, line in enumerate(ended.log) if "rows done" in line]
        assert len(said) == 1
        assert said[0] < sent[0]
        assert sum("rejected" in line and "row 4" in line for line in ended.log) == 1

    def test_progress_is_told(self, lofty: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(progress, "PROGRESS_SECONDS", 0.0)
        ended = run(rows=[row(1), row(2)])
        assert any(line.startswith("2 of 2 rows done (2 delivered), ") for line in ended.log)


@pytest.fixture
def file_name_that_is_no_text(tmp_path: Path) -> Path:
    """Give a path whose name is not UTF-8."""
    path = tmp_path / "caf\udce9.csv"
    try:
        write_csv(path, [row(1), row("x")])
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system knows no such names")
    return path


def test_a_file_whose_name_is_no_text_is_read_and_reported(
    lofty: Sandbox, tmp_path: Path, file_name_that_is_no_text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_csv(tmp_path / "z.csv", [row(1), row("x")])
    ended = run(path=[str(file_name_that_is_no_text), other], report_path=str(tmp_path / "out" / "r.csv"))
    assert ended.counts == {"delivered": 1, "invalid": 2, "duplicate": 1}


@pytest.mark.parametrize("broken", [b"\xff\xfel\x00e\x00a\x00d\x00", b'leadId,type\n1,"Browse\n'])
def test_the_report_never_replaces_a_file_that_could_not_be_read(tmp_path: Path, broken: bytes) -> None:
    source = tmp_path / "rows.csv"
    source.write_bytes(broken)
    operator = LoftyAddActivityOperator(task_id="t", path=str(source), report_path=str(source), preview=True)
    with pytest.raises(LoftyConfigurationError, match="is a file of the source"):
        operator.execute({})
    assert source.read_bytes() == broken


def test_the_report_never_replaces_a_later_file_when_an_earlier_one_fails(tmp_path: Path) -> None:
    damaged, later = tmp_path / "a.csv", tmp_path / "b.csv"
    damaged.write_bytes(b"\xff\xfel\x00e\x00a\x00d\x00")
    later.write_text("leadId\n1\n")
    operator = LoftyAddActivityOperator(
        task_id="t", path=[str(damaged), str(later)], report_path=str(later), preview=True
    )
    with pytest.raises(LoftyConfigurationError, match="is a file of the source"):
        operator.execute({})
    assert later.read_text() == "leadId\n1\n"


@pytest.mark.parametrize(
    ("argument", "value"),
    [("requests_per_minute", "5"), ("requests_per_minute", 0), ("stop_after_rejections", None), ("unique_key", 5)],
)
def test_a_wrong_argument_is_named(argument: str, value: object) -> None:
    ended = run(rows=[], preview=True, **{argument: value})
    assert isinstance(ended.error, LoftyConfigurationError)
    assert argument in str(ended.error)


@pytest.mark.parametrize("error", [RuntimeError, AirflowTaskTimeout])
def test_an_error_that_nobody_foresaw_ends_the_run_and_is_retried(
    lofty: Sandbox, connect: Any, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    connect(lofty, extra={"max_in_flight": 1})
    settle = Spool.record
    calls = 0

    def settle_twice(spool: Spool, result: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise error
        settle(spool, result)

    monkeypatch.setattr(Spool, "record", settle_twice)
    store, rows = Store(), [row(n) for n in range(1, 6)]
    with pytest.raises(error) if error is AirflowTaskTimeout else nullcontext():
        ended = run(rows=rows, store=store)
        assert type(ended.error) is error
    assert len(posts(lofty)) == 3
    connect(lofty, extra={"timeout_seconds": 0.3})
    again = run(task_instance(try_number=2), rows=rows, store=store)
    assert again.error is None
    assert sorted(arrived(lofty)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("rows", [[row(1)], [row("x")]], ids=["green", "red"])
@pytest.mark.parametrize("is_decorated", [False, True])
def test_a_task_can_be_copied_when_it_has_run(lofty: Sandbox, rows: list[Any], is_decorated: bool) -> None:
    operator: LoftyAddActivityOperator
    if is_decorated:
        operator = LoftyAddActivityDecoratedOperator(task_id="send", python_callable=lambda: rows)
    else:
        operator = LoftyAddActivityOperator(task_id="send", rows=rows, mapping={"text": lambda _: "seen"})
    operator.render_template_fields({})  # type: ignore[typeddict-item]
    before = deepcopy(operator)
    ended = run_operator(operator)
    after = deepcopy(operator)
    assert after.get_openlineage_facets_on_complete(None) == operator.get_openlineage_facets_on_complete(None)
    assert run_operator(before, task_instance(run_id="another")).summary["read"] == ended.summary["read"] == 1
