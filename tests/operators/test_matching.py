"""Rows that know people by e-mail address or phone number: to the right lead, once, with few requests."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.practice import Run, Store, read_report, row, run, task_instance, write_csv

from airflow_provider_lofty.exceptions import (
    LoftyConfigurationError,
    LoftyCredentialRefused,
    LoftyDeliveryIncomplete,
    LoftyRowsFailed,
    LoftyUnreachable,
)
from airflow_provider_lofty.leads import finding
from airflow_provider_lofty.sandbox import Answer, Sandbox


@pytest.fixture(autouse=True)
def people(lofty: Sandbox, connect: Any) -> Sandbox:
    connect(lofty)
    lofty.add_lead(1, emails=["ada@example.com", "ada.work@example.com"], phones=["202-555-0101"])
    lofty.add_lead(2, emails=["Grace@Example.com"], phones=["+1 (202) 555-0102"])
    lofty.add_lead(3, emails=["home@example.com"], phones=["202-555-0103"])
    lofty.add_lead(4, emails=["home@example.com"], phones=["202-555-0104"])
    return lofty


def visit(n: int = 1, **person: Any) -> dict[str, Any]:
    """Make a row without a lead id."""
    return {**{name: value for name, value in row(n).items() if name != "lead_id"}, **person}


def arrived(lofty: Sandbox) -> list[tuple[int, str]]:
    return [(activity.lead_id, activity.body["text"]) for activity in lofty.activities]


def searches(lofty: Sandbox) -> list[dict[str, str]]:
    return [request.query for request in lofty.requests if request.path == "/v1.0/leads"]


def crowd(lofty: Sandbox, count: int) -> None:
    """Let so many others be there."""
    for n in range(count):
        lofty.add_lead(1000 + n, emails=[f"somebody-{n}@example.com"], phones=[f"303-555-{n:04}"])


class TestOutcomes:
    def test_every_row_goes_to_the_lead_that_has_its_address(self, lofty: Sandbox, tmp_path: Path) -> None:
        rows = [
            visit(1, EMAIL="ADA@example.com "),
            visit(2, EMAIL="grace@example.com"),
            visit(3, EMAIL="ada.work@example.com"),
        ]
        ended = run(rows=rows, match_by="email", report_path=str(tmp_path / "r.csv"))
        assert ended.error is None
        assert ended.counts == {"delivered": 3}
        assert arrived(lofty) == [(1, "Viewed home 1"), (2, "Viewed home 2"), (1, "Viewed home 3")]
        report = read_report(tmp_path / "r.csv")
        assert [(said["lofty_lead_id"], said["lofty_matched_by"]) for said in report] == [
            ("1", "email"), ("2", "email"), ("1", "email")
        ]  # fmt: skip

    def test_nobody_and_several_are_unmatched_and_say_which(self, lofty: Sandbox, tmp_path: Path) -> None:
        rows = [
            visit(1, email="nobody@example.com", phone=None), visit(2, email="home@example.com", phone="202-555-0103"),
            visit(3, email=None, phone="202-555-0199"), visit(4, email="nobody@example.com", phone="202-555-0199"),
            visit(2, email="Home@example.com", phone="2025550103"),
        ]  # fmt: skip
        ended = run(rows=rows, match_by=["email", "phone"], report_path=str(tmp_path / "r.csv"))
        assert isinstance(ended.error, LoftyRowsFailed)
        assert "5 of 5 rows found no lead, more than max_unmatched_rows=0 allows" in str(ended.error)
        assert ended.counts == {"unmatched": 5}
        assert [(said["lofty_error_field"], said["lofty_error"]) for said in read_report(tmp_path / "r.csv")] == [
            ("email", "no lead has this e-mail address"),
            ("email", "2 leads have this e-mail address: 3, 4"),
            ("phone", "no lead has this phone number"),
            ("email, phone", "no lead has this e-mail address or phone number"),
            ("email", "2 leads have this e-mail address: 3, 4"),
        ]
        assert lofty.activities == []

    @pytest.mark.parametrize("count", [0, 300])
    def test_a_number_of_another_country_is_nobodys_in_the_united_states(self, lofty: Sandbox, count: int) -> None:
        lofty.add_lead(5, phones=["(656) 223-4567"])
        crowd(lofty, count)
        foreign, own = visit(1, phone="+65 6223 4567"), visit(2, phone="6562234567")
        ended = run(rows=[foreign, own], match_by="phone", max_unmatched_rows=1)
        assert ended.counts == {"unmatched": 1, "delivered": 1}
        lofty.add_lead(6, phones=["+65-6223-4567"])
        ended = run(task_instance(run_id="later"), rows=[foreign], match_by="phone")
        assert ended.counts == {"delivered": 1}
        assert arrived(lofty) == [(5, "Viewed home 2"), (6, "Viewed home 1")]

    def test_what_is_invalid_is_shown_before_any_lead_is_looked_for(self, lofty: Sandbox) -> None:
        shown: list[tuple[str, int]] = []  # what is wrong, and how many requests had been made
        ti = task_instance()
        ti.xcom_push = lambda key, value: shown.extend(
            (group["outcome"], len(lofty.requests)) for group in value.get("errors", ()) if key == "lofty_progress"
        )
        run(ti, rows=[visit(1, email="ada@example.com"), visit(2, email="grace@example.com", created="soon")],
            match_by="email")  # fmt: skip
        assert shown[0] == ("invalid", 0)

    def test_a_duplicate_of_a_matched_row_says_where_that_went(self, lofty: Sandbox, tmp_path: Path) -> None:
        rows = [visit(1, email="ada@example.com"), visit(1, email=" ADA@EXAMPLE.COM")]
        assert run(rows=rows, match_by="email", report_path=str(tmp_path / "r.csv")).counts == {
            "delivered": 1, "duplicate": 1,
        }  # fmt: skip
        assert [said["lofty_lead_id"] for said in read_report(tmp_path / "r.csv")] == ["1", "1"]

    def test_the_second_key_serves_where_nobody_has_the_first(self, lofty: Sandbox, tmp_path: Path) -> None:
        rows = [
            visit(1, email="nobody@example.com", phone="2025550102"),
            visit(2, email="ada@example.com", phone="2025550102"),
        ]
        ended = run(rows=rows, match_by=["email", "phone"], report_path=str(tmp_path / "r.csv"))
        assert ended.counts == {"delivered": 2}
        assert arrived(lofty) == [(2, "Viewed home 1"), (1, "Viewed home 2")]
        assert [said["lofty_matched_by"] for said in read_report(tmp_path / "r.csv")] == ["phone", "email"]

    def test_a_lead_id_of_its_own_goes_before_an_address(self, lofty: Sandbox, tmp_path: Path) -> None:
        rows = [{**visit(1, email="ada@example.com"), "lead_id": 7}, {**visit(2, email="no address"), "lead_id": 7}]
        ended = run(rows=rows, match_by="email", report_path=str(tmp_path / "r.csv"))
        assert ended.counts == {"delivered": 2}
        assert {lead_id for lead_id, _ in arrived(lofty)} == {7}
        assert [said["lofty_matched_by"] for said in read_report(tmp_path / "r.csv")] == ["", ""]
        assert searches(lofty) == []

    def test_a_row_with_neither_names_both(self, lofty: Sandbox, tmp_path: Path) -> None:
        rows = [{**visit(1, email=" ", phone=None), "lead_id": None}, visit(2, email="none", phone="1")]
        ended = run(rows=rows, match_by=["email", "phone"], report_path=str(tmp_path / "r.csv"))
        assert ended.counts == {"invalid": 2}
        first, second = read_report(tmp_path / "r.csv")
        assert first["lofty_error_field"] == "leadId, email, phone"
        assert (second["lofty_error_field"], second["lofty_error"]) == (
            "email, phone",
            "email is not one e-mail address; phone is not one phone number (an extension is not a part of it)",
        )
        assert lofty.requests == []

    @pytest.mark.parametrize(
        ("allowed", "is_green"), [(0, False), (1, True), ("50%", True), ("49%", False), (None, True)]
    )
    def test_max_unmatched_rows_decides(self, allowed: Any, is_green: bool) -> None:
        rows = [visit(1, email="ada@example.com"), visit(2, email="nobody@example.com")]
        ended = run(rows=rows, match_by="email", max_unmatched_rows=allowed)
        assert (ended.error is None) is is_green
        assert ended.counts == {"delivered": 1, "unmatched": 1}

    def test_a_limit_that_is_none_is_refused(self) -> None:
        error = run(rows=[visit(email="ada@example.com")], match_by="email", max_unmatched_rows="few").error
        assert isinstance(error, LoftyConfigurationError)
        assert "max_unmatched_rows must be a number of rows" in str(error)

    def test_an_address_is_in_no_log_no_error_and_no_xcom(self, lofty: Sandbox) -> None:
        ended = run(rows=[visit(1, email="marigold@example.com"), visit(2, email="home@example.com")], match_by="email")
        said = "\n".join((*ended.log, str(ended.error), str(ended.xcom)))
        assert "2 leads have this e-mail address: 3, 4" in said
        assert "marigold" not in said
        assert "home@" not in said


class TestRequests:
    def test_few_keys_are_looked_up_once_each(self, lofty: Sandbox) -> None:
        crowd(lofty, 500)
        rows = [visit(n, email=email) for email in ("ada@example.com", "grace@example.com") for n in range(5)]
        ended = run(rows=rows, match_by="email")
        assert ended.counts == {"delivered": 10}
        assert [search.get("email") for search in searches(lofty)] == [None, "ada@example.com", "grace@example.com"]
        assert (
            "leads: looking up 2 e-mail addresses takes 2 requests, listing all 504 leads takes 6: each is looked up"
            in ended.log
        )

    def test_one_key_is_looked_up_without_a_question(self, lofty: Sandbox) -> None:
        crowd(lofty, 500)
        assert run(rows=[visit(email="ada@example.com")], match_by="email").counts == {"delivered": 1}
        assert len(searches(lofty)) == 1

    def test_many_keys_are_found_in_the_list_of_all_leads(self, lofty: Sandbox) -> None:
        crowd(lofty, 246)
        rows = [visit(n, email=f"somebody-{n}@example.com") for n in range(100)]
        ended = run(rows=rows, match_by="email")
        assert ended.counts == {"delivered": 100}
        assert arrived(lofty)[-1] == (1099, "Viewed home 99")
        assert [sorted(search) for search in searches(lofty)] == [
            ["limit"],
            ["limit", "scrollId"],
            ["limit", "scrollId"],
        ]
        assert any("takes 100 requests, listing all 250 leads takes 3: they are listed" in line for line in ended.log)

    def test_a_second_kind_is_asked_about_only_where_it_is_needed(self, lofty: Sandbox) -> None:
        crowd(lofty, 996)
        rows = [
            visit(1, email="ada@example.com", phone="202-555-0102"), visit(2, email="no@example.com", phone="2025550104"),
            visit(3, email="home@example.com", phone="202-555-0103"),
        ]  # fmt: skip
        ended = run(rows=rows, match_by=["email", "phone"], max_unmatched_rows=1)
        assert ended.counts == {"delivered": 2, "unmatched": 1}
        assert [search.get("phone") for search in searches(lofty)] == [None] * 4 + ["12025550104"]

    def test_what_the_journal_knows_is_not_looked_up(self, lofty: Sandbox) -> None:
        store, ti = Store(), task_instance()
        run(ti, store, rows=[visit(email="ada@example.com")], match_by="email")
        lofty.reset()
        again = run(task_instance(try_number=2), store, rows=[visit(email="ada@example.com")], match_by="email")
        assert again.counts == {"already_delivered": 1}
        assert lofty.requests == []

    def test_a_list_that_changes_is_read_again_and_then_every_key_is_looked_up(self, lofty: Sandbox) -> None:
        crowd(lofty, 246)
        lofty.change(lead_newcomers=3)
        rows = [visit(n, email=f"somebody-{n}@example.com") for n in range(20)]
        ended = run(rows=rows, match_by="email")
        assert ended.counts == {"delivered": 20}
        assert sum("nothing of it is used" in line for line in ended.log) == 2
        assert len([search for search in searches(lofty) if "email" in search]) == 20
        assert sorted(lead_id for lead_id, _ in arrived(lofty)) == [*range(1000, 1020)]

    def test_a_list_that_changes_once_is_read_again(self, lofty: Sandbox) -> None:
        crowd(lofty, 246)
        lofty.change(lead_newcomers=1)
        ended = run(rows=[visit(n, email=f"somebody-{n}@example.com") for n in range(20)], match_by="email")
        assert ended.counts == {"delivered": 20}
        assert not any("email" in search for search in searches(lofty))

    @pytest.mark.parametrize(
        "change", [{"scroll_pages": 1}, {"hidden_leads": {1200}}, {"ignored_lead_parameters": {"scrollId"}}]
    )
    def test_a_list_that_is_not_complete_proves_nothing(self, lofty: Sandbox, change: dict[str, Any]) -> None:
        crowd(lofty, 246)
        lofty.add_lead(5000, emails=["somebody-3@example.com"])  # on the last page
        lofty.change(**change)
        rows = [visit(n, email=f"somebody-{n}@example.com") for n in range(20)]
        ended = run(rows=rows, match_by="email", max_unmatched_rows=1)
        assert ended.counts == {"delivered": 19, "unmatched": 1}
        assert 1003 not in {lead_id for lead_id, _ in arrived(lofty)}

    def test_a_page_that_comes_again_and_again_proves_nothing(self, lofty: Sandbox) -> None:
        leads = [{"leadId": n + 1, "emails": [f"p-{n}@example.com"]} for n in range(100)]
        said = json.dumps({"_metadata": {"total": 150}, "leads": leads}).encode()
        lofty.change(canned_answers={"find_leads": Answer(200, said)})
        ended = run(rows=[visit(n, email=f"p-{n}@example.com") for n in range(2)], match_by="email")
        assert [sorted(search) for search in searches(lofty)[:2]] == [["limit"], ["limit", "offset"]]
        assert isinstance(ended.error, LoftyDeliveryIncomplete)
        assert "a search with other leads" in str(ended.error)
        assert lofty.activities == []

    def test_where_lofty_ignores_a_search_all_leads_are_listed(self, lofty: Sandbox) -> None:
        crowd(lofty, 500)
        lofty.change(ignored_lead_parameters={"email"})
        ended = run(rows=[visit(1, email="grace@example.com"), visit(2, email="home@example.com")], match_by="email",
                    max_unmatched_rows=1)  # fmt: skip
        assert ended.counts == {"delivered": 1, "unmatched": 1}
        assert arrived(lofty) == [(2, "Viewed home 1")]

    def test_a_page_that_fails_is_asked_for_again(self, lofty: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(finding, "_PATIENCE_SECONDS", (0.01,) * 3)
        lofty.change(canned_answers={"find_leads": Answer(500)})
        ended = run(rows=[visit(email="ada@example.com")], match_by="email")
        assert isinstance(ended.error, LoftyUnreachable)
        assert ended.error.is_retryable
        assert len(searches(lofty)) == 4
        assert ended.counts == {"not_attempted": 1}

    def test_a_key_that_lofty_refuses_is_unmatched(self, lofty: Sandbox) -> None:
        lofty.change(canned_answers={"find_leads": Answer(400, b'{"code": 20012, "message": "INVALID_PARAMETER"}')})
        ended = run(rows=[visit(email="ada@example.com")], match_by="email")
        assert isinstance(ended.error, LoftyRowsFailed)
        assert "Lofty refused to look this e-mail address up (code 20012)" in "\n".join(ended.log)

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"permission_denied": {"find_leads"}}, LoftyConfigurationError),
            (
                {"canned_answers": {"find_leads": Answer(400, b'{"code": 20017, "message": "no"}')}},
                LoftyConfigurationError,
            ),
            (
                {"canned_answers": {"find_leads": Answer(401, b'{"message": "BAD_CREDENTIALS"}')}},
                LoftyCredentialRefused,
            ),
        ],
    )
    def test_looking_up_that_is_not_permitted_stops_before_anything_is_sent(
        self, lofty: Sandbox, change: dict[str, Any], error: type[Exception]
    ) -> None:
        lofty.change(**change)
        ended = run(rows=[visit(1, email="ada@example.com"), {**visit(2, email=None), "lead_id": 7}], match_by="email")
        assert type(ended.error) is error
        assert lofty.activities == []

    def test_a_task_that_is_told_to_stop_sends_nothing(self, lofty: Sandbox) -> None:
        ended = run(rows=[visit(email="ada@example.com")], match_by="email", execution_timeout=timedelta(seconds=0))
        assert isinstance(ended.error, LoftyDeliveryIncomplete)
        assert "stopped while looking leads up: execution_timeout is near" in str(ended.error)
        assert ended.counts == {"not_attempted": 1}
        assert lofty.requests == []


def tries(store: Store | None, *, rows: list[dict[str, Any]], number: int, **arguments: Any) -> Run:
    return run(task_instance(try_number=number), store, rows=rows, match_by=["email", "phone"], **arguments)


class TestExactlyOnce:
    """A row stays the same row whatever its lead becomes."""

    ROW = visit(1, email="ada@example.com", phone="202-555-0102")

    def test_a_delivered_row_whose_lead_was_merged_is_not_sent_again(self, lofty: Sandbox, tmp_path: Path) -> None:
        store = Store()
        assert tries(store, rows=[self.ROW], number=1).counts == {"delivered": 1}
        lofty.change(merged_leads={1: 2})
        again = tries(store, rows=[self.ROW], number=2, report_path=str(tmp_path / "r.csv"))
        assert again.counts == {"already_delivered": 1}
        assert [said["lofty_lead_id"] for said in read_report(tmp_path / "r.csv")] == ["1"]

    def test_a_delivered_row_that_would_match_by_its_other_key_now_is_not_sent_again(self, lofty: Sandbox) -> None:
        store = Store()
        assert tries(store, rows=[self.ROW], number=1).counts == {"delivered": 1}
        lofty.remove_lead(1)
        assert tries(store, rows=[self.ROW], number=2).counts == {"already_delivered": 1}
        assert len(lofty.activities) == 1

    def test_a_row_in_doubt_is_sought_at_the_lead_that_it_was_sent_to(self, lofty: Sandbox, tmp_path: Path) -> None:
        store = Store()
        lofty.change(scripted_faults=["drop_after_storing"], read_back_status=403)
        assert tries(store, rows=[self.ROW], number=1, check_existing="never").counts == {"unknown": 1}
        lofty.change(read_back_status=None)
        lofty.add_lead(1, phones=["202-555-0101"])  # the address is another lead's now
        lofty.add_lead(9, emails=["ada@example.com"])
        again = tries(store, rows=[self.ROW], number=2, report_path=str(tmp_path / "r.csv"))
        assert again.counts == {"already_delivered": 1}
        assert [said["lofty_lead_id"] for said in read_report(tmp_path / "r.csv")] == ["1"]
        assert arrived(lofty) == [(1, "Viewed home 1")]

    def test_other_contents_under_one_key_are_other_rows(self, lofty: Sandbox) -> None:
        rows = [self.ROW, {**self.ROW, "text": "Viewed another home"}]
        assert tries(None, rows=rows, number=1).counts == {"delivered": 2}

    def test_equal_contents_that_reach_one_lead_by_two_ways_are_two_rows(self, lofty: Sandbox) -> None:
        rows = [visit(1, email="ada@example.com", phone=None), visit(1, email=None, phone="202-555-0101")]
        store = Store()
        assert tries(store, rows=rows, number=1).counts == {"delivered": 2}
        assert arrived(lofty) == [(1, "Viewed home 1")] * 2
        assert tries(store, rows=rows, number=2).counts == {"already_delivered": 2}

    def test_with_a_unique_key_the_lead_may_change_too(self, lofty: Sandbox) -> None:
        store = Store()
        rows = [{**self.ROW, "id": 5}]
        assert tries(store, rows=rows, number=1, unique_key="id").counts == {"delivered": 1}
        lofty.remove_lead(1)
        assert tries(store, rows=rows, number=2, unique_key="id").counts == {"already_delivered": 1}

    def test_other_match_columns_have_every_lead_read(self, lofty: Sandbox) -> None:
        store = Store()
        assert run(task_instance(), store, rows=[self.ROW], match_by="email").counts == {"delivered": 1}
        again = run(task_instance(try_number=2), store, rows=[self.ROW], match_by=["email", "phone"])
        assert again.counts == {"already_delivered": 1}

    def test_without_a_journal_an_unmatched_row_may_have_been_sent(self, lofty: Sandbox, tmp_path: Path) -> None:
        assert tries(None, rows=[self.ROW], number=1).counts == {"delivered": 1}
        lofty.remove_lead(1)
        lofty.remove_lead(2)
        again = tries(None, rows=[self.ROW], number=2, report_path=str(tmp_path / "r.csv"))
        assert again.counts == {"unknown": 1}
        assert "perhaps sent by an earlier try" in read_report(tmp_path / "r.csv")[0]["lofty_error"]


class TestGivenBack:
    def given_back(self, tmp_path: Path, **changes: Any) -> Run:
        again = {"match_by": ["email", "phone"], "report_path": str(tmp_path / "again.csv"), **changes}
        return run(path=str(tmp_path / "r.csv"), **again)

    def first(self, tmp_path: Path, *rows: dict[str, Any], **arguments: Any) -> Run:
        return run(rows=list(rows), match_by=["email", "phone"], report_path=str(tmp_path / "r.csv"), **arguments)

    def test_unmatched_rows_and_their_repeats_are_tried_again(self, lofty: Sandbox, tmp_path: Path) -> None:
        new, old = (
            visit(1, email="new@example.com", phone="(202) 555-0177"),
            visit(2, email="ada@example.com", phone=None),
        )
        assert self.first(tmp_path, new, old, new).counts == {"delivered": 1, "unmatched": 2}
        lofty.add_lead(8, phones=["202-555-0177"])
        assert self.given_back(tmp_path).counts == {"delivered": 1, "already_delivered": 1, "duplicate": 1}
        assert arrived(lofty) == [(1, "Viewed home 2"), (8, "Viewed home 1")]

    def test_a_delivered_row_is_not_looked_up_again(self, lofty: Sandbox, tmp_path: Path) -> None:
        self.first(tmp_path, visit(1, email="ada@example.com", phone=None))
        lofty.change(merged_leads={1: 2})
        before = len(searches(lofty))
        assert self.given_back(tmp_path).counts == {"already_delivered": 1}
        assert read_report(tmp_path / "again.csv")[0]["lofty_lead_id"] == "1"
        assert len(searches(lofty)) == before

    def test_an_unknown_row_is_sought_where_it_was_sent(self, lofty: Sandbox, tmp_path: Path) -> None:
        lofty.change(scripted_faults=["drop_after_storing"], read_back_status=403)
        first = self.first(tmp_path, visit(1, email="ada@example.com", phone=None), check_existing="never")
        assert first.counts == {"unknown": 1}
        lofty.change(read_back_status=None)
        lofty.add_lead(1)
        lofty.add_lead(9, emails=["ada@example.com"])
        assert self.given_back(tmp_path).counts == {"already_delivered": 1}
        assert arrived(lofty) == [(1, "Viewed home 1")]

    @pytest.mark.parametrize("lead", ["", "the one from Mesa", "-1"])
    def test_an_unknown_row_without_its_lead_stays_unknown(self, lofty: Sandbox, tmp_path: Path, lead: str) -> None:
        lofty.change(scripted_faults=["drop_after_storing"], read_back_status=403)
        self.first(tmp_path, visit(1, email="ada@example.com", phone=None), check_existing="never")
        lofty.change(read_back_status=None)
        write_csv(tmp_path / "r.csv", [{**said, "lofty_lead_id": lead} for said in read_report(tmp_path / "r.csv")])
        again = self.given_back(tmp_path)
        assert again.counts == {"unknown": 1}
        assert "which lead it may have been sent to" in "\n".join(again.log)
        assert len(lofty.activities) == 1


class TestPreview:
    def test_no_request_is_made_and_the_ways_are_told(self, lofty: Sandbox) -> None:
        rows = [visit(n, email=f"p-{n % 2}@example.com", phone=None) for n in range(5)]
        ended = run(rows=rows, match_by=["email", "phone"], preview=True)
        assert ended.counts == {"would_send": 5}
        assert lofty.requests == []
        said = "leads: 2 e-mail addresses would be looked up in 2 requests; where Lofty has 200 leads or fewer, all are listed"
        assert any(line.startswith(said) for line in ended.log)
        assert "POST /v1.0/leads/LEAD_ID/activity HTTP/1.1" in ended.log

    def test_of_one_key(self) -> None:
        ended = run(rows=[visit(phone="202-555-0101")], match_by="phone", preview=True)
        assert "leads: 1 phone number would be looked up, in 1 request" in ended.log
