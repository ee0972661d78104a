"""The profile that first contact writes, and that a sandbox under it answers like the server it was taken from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_lofty.first_contact.command import main
from airflow_provider_lofty.lofty.session import LoftySession
from airflow_provider_lofty.profile.profile import FIELDS, AnswerForm, Profile, profile_in
from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings, settings_like

LEAD = 4711
UNLIMITED = {"requests_per_minute": 600_000, "missing_leads": frozenset({2**63 - 1})}
MEASURED = ("settle_seconds", "least_lag_seconds", "most_lag_seconds")

Learn = Callable[..., Profile]


@pytest.fixture
def learn(lofty: Sandbox, connect: Callable[..., None], tmp_path: Path) -> Learn:
    """Give a function that makes the check with a sandbox of these settings, and returns the profile."""
    connect(lofty)

    def run(settings: SandboxSettings, *, patience: float = 0.0, entries: int = 0, code: int = 0) -> Profile:
        lofty.reset()
        lofty.change(**{item.name: getattr(settings, item.name) for item in fields(settings)})
        for number in range(entries):
            made = {"type": "Browse", "text": "made up", "link": "x", "picture": "x", "created": 1714557600123 + number}
            headers = {"Authorization": f"token {settings.api_key}"}
            requests.post(f"{lofty.url}/v1.0/leads/{LEAD}/activity", json=made, headers=headers, timeout=5)
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        assert main(["--lead-id", str(LEAD), "--yes", "--profile", str(file)], patience=patience) == code
        return profile_in(file.read_text(encoding="utf-8"))

    return run


WORLDS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}, {"account_id": 11, "header_form": "token", "equal_posts": 2, "text_shown": []}),
    "all that is changed": (
        {"trims_text": True, "escapes_text": True, "lowers_type": True, "created_form": "text", "rate_headers": False,
         "truncates_created_to_seconds": True, "accepts_empty_strings": False, "max_text_length": 1000,
         "error_shape": "embedded", "account_id": "a-11"},
        {},
        {"text_shown": ["trimmed", "html"], "created_shown": ["text", "whole_seconds"], "type_shown": ["lower_case"],
         "requests_per_minute": None, "empty_strings": False, "long_text": False, "account_id": "a-11"},
    ),
    "texts": (
        {"shown": {"text": ["without_emoji", "cut_to_100"], "link": ["upper_case"], "created": ["moved_by_-5000"]},
         "rate_reset_reading": "epoch_seconds", "stores_twice": True, "error_shape": "json_string"},
        {},
        {"created_shown": ["moved_by_-5000"], "equal_posts": 4, "reset_unit": "epoch_seconds"},
    ),
    "refused repeats": (
        {"refusals": {"repeat_refusal": AnswerForm(409, 20012, "embedded")}},
        {},
        {"repeat_refusal": AnswerForm(409, 20012, "embedded"), "equal_posts": None, "text_shown": []},
    ),
    "refusals in other forms": (
        {"accepts_empty_strings": False, "max_text_length": 1000, "refusals": {
            "empty_refusal": AnswerForm(200, 20012, "code"), "long_refusal": AnswerForm(422, None, "text")}},
        {},
        {"empty_strings": False, "empty_refusal": AnswerForm(200, 20012, "code"),
         "long_text": False, "long_refusal": AnswerForm(422, None, "text")},
    ),
    "another time": (
        {"shown": {"created": ["another_time"], "text": ["changed"]}, "rate_reset_reading": "epoch_milliseconds",
         "ignores_repeats": True, "error_shape": "html", "list_order": "newest_posted"},
        {},
        {"created_shown": ["another_time"], "text_shown": ["changed"], "equal_posts": 1, "order": "newest_posted"},
    ),
    "a moved hour": (
        {"created_form": "an_hour_later", "rate_reset_reading": "nonsense", "error_shape": "text",
         "list_order": "oldest_created", "shown": {"link": ["empty_as_null"]}},
        {},
        {"created_shown": ["moved_by_3600000"], "reset_unit": "nonsense", "order": "oldest_created"},
    ),
    "headers on some": (
        {"without_rate_headers": {"error", "add_activity"}, "read_requests_per_minute": 300_000, "error_shape": "empty",
         "list_order": "oldest_posted", "shown": {"created": ["fraction"]}},
        {},
        {"requests_per_minute": None, "read_requests_per_minute": 300_000, "order": "oldest_posted",
         "rate_headers": {"get_me": True, "get_lead": True, "list_activities": True, "add_activity": False,
                          "error": False}},
    ),
    "pages": (
        {"page_size": 10, "shown": {"created": ["seconds"]}},
        {"entries": 11},
        {"page_size": 10, "ignores_page": False, "order": "newest_created", "created_shown": ["seconds"]},
    ),
    "pages from 1": (
        {"page_size": 10, "first_page": 1, "list_order": "oldest_created"},
        {"entries": 21},
        {"page_size": 10, "ignores_page": False, "first_page": 1, "order": "oldest_created"},
    ),
    "one page": (
        {"ignores_page": True, "list_order": "mixed"},
        {"entries": 1},
        {"page_size": None, "ignores_page": True, "order": "mixed"},
    ),
    "no reading": ({"read_back_status": 403}, {}, {"text_shown": None, "order": None, "empty_strings": True}),
    "no owner": ({"permission_denied": {"get_me"}}, {}, {"account_id": None, "rate_headers": {
        "error": True, "get_lead": True, "list_activities": True, "add_activity": True}}),
    "no missing lead": ({"missing_leads": frozenset()}, {}, {}),
    "a nameless owner": (
        {"account_id": None, "shown": {"created": ["text", "decimal_seconds"]}},
        {},
        {"account_id": None, "owner": AnswerForm(200), "created_shown": ["text", "decimal_seconds"]},
    ),
    "a lag": ({"read_lag_seconds": 0.5}, {"patience": 2}, {"equal_posts": 2}),
    "a lag beyond its patience": ({"read_lag_seconds": 3600}, {"patience": 1.1}, {"text_shown": None, "order": None}),
}  # fmt: skip


@pytest.mark.parametrize("world", WORLDS)
def test_a_sandbox_under_the_profile_answers_like_the_server_it_was_taken_from(learn: Learn, world: str) -> None:
    switches, check, expected = WORLDS[world]
    first = learn(SandboxSettings(**{**UNLIMITED, **switches}), **check)
    assert {name: getattr(first, name) for name in expected} == expected
    pace = {} if first.requests_per_minute else {"requests_per_minute": 600_000}  # as fast, where nothing states it
    second = learn(settings_like(first.as_json(), **pace), **check)
    for name in FIELDS:
        before, after = getattr(first, name), getattr(second, name)
        assert after == (pytest.approx(before, abs=1.0) if name in MEASURED and before is not None else before), name


def test_an_empty_text_that_was_never_tried_is_as_it_always_is(learn: Learn) -> None:
    settings = settings_like(learn(SandboxSettings(**UNLIMITED, accepts_empty_strings=False)))
    assert (settings.never_empty, settings.accepts_empty_strings) == ({"link", "picture"}, True)


def test_a_lag_is_measured_and_twice_of_it_is_to_settle(learn: Learn) -> None:
    found = learn(SandboxSettings(**UNLIMITED, read_lag_seconds=0.5), patience=2)
    assert found.least_lag_seconds is not None
    assert found.most_lag_seconds is not None
    assert found.least_lag_seconds <= 0.5 <= found.most_lag_seconds + 0.1
    assert found.settle_seconds is not None
    assert 2 * found.most_lag_seconds - 0.2 <= found.settle_seconds <= 2 * found.most_lag_seconds + 1.2


def test_what_was_not_seen_is_null(learn: Learn, lofty: Sandbox) -> None:
    refused = learn(SandboxSettings(**UNLIMITED, scripted_faults=(None, None, "drop_after_storing")))
    assert (refused.long_text, refused.empty_strings, refused.text_shown, refused.link_shown) == (None, None, None, [])
    lost = learn(SandboxSettings(**UNLIMITED, scripted_faults=("drop_before_storing",)))
    open_fields = {name for name in FIELDS if getattr(lost, name) is None}
    assert open_fields >= {"requests_per_minute", "equal_posts", "order", "text_shown", "settle_seconds", "long_text"}


def test_there_is_nothing_personal_in_it(learn: Learn) -> None:
    written = learn(SandboxSettings(**UNLIMITED)).as_json()
    for private in ("agent@example.com", "Practice", "Agent", "made-up-api-key", "Test of the connection", str(LEAD)):
        assert private not in written


def test_an_interrupt_leaves_a_profile_of_what_was_seen(
    lofty: Sandbox, connect: Callable[..., None], tmp_path: Path, interrupt_at: Callable[[int], None]
) -> None:
    connect(lofty)
    lofty.change(missing_leads={2**63 - 1})
    seen: list[set[str]] = []
    for step in range(12):
        interrupt_at(step)
        file = tmp_path / f"{step}.json"
        code = main(["--lead-id", str(LEAD), "--yes", "--profile", str(file)], patience=0)
        assert code == (130 if step < 12 else 0)
        assert file.exists() == (step > 0)
        if step:
            found = json.loads(file.read_text(encoding="utf-8"))
            seen.append({name for name in FIELDS if found[name] not in (None, {})})
    assert all(before <= after for before, after in pairwise(seen))
    assert len(seen[0]) < len(seen[-1])


class TestTheFile:
    def test_no_other_profile_is_overwritten_and_nothing_is_asked(
        self, lofty: Sandbox, connect: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        connect(lofty)
        there = tmp_path / "there.json"
        there.write_text("kept")
        for path, words in ((there, "exists; name a new file"), (tmp_path / "no" / "p.json", "is not a folder")):
            with pytest.raises(SystemExit) as exited:
                main(["--lead-id", str(LEAD), "--yes", "--profile", str(path)])
            assert exited.value.code == 2
            assert words in capsys.readouterr().err
        assert (there.read_text(), lofty.requests) == ("kept", [])

    def test_one_that_cannot_be_written_is_shown(
        self, lofty: Sandbox, connect: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        connect(lofty)
        file = tmp_path / "p.json"
        monkeypatch.setattr(LoftySession, "close", lambda self: file.write_text("somebody else's"))
        assert main(["--lead-id", str(LEAD), "--yes", "--profile", str(file)], patience=0) == 1
        said = capsys.readouterr().out
        assert "could not be written (FileExistsError)" in said
        assert profile_in(said.partition("this is it:")[2]).equal_posts == 2

    def test_of_a_refused_key_there_is_none(
        self, lofty: Sandbox, connect: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        connect(lofty, password="another")
        file = tmp_path / "p.json"
        assert main(["--lead-id", str(LEAD), "--yes", "--profile", str(file)]) == 1
        assert not file.exists()
        assert "No profile was written" in capsys.readouterr().out
