"""First contact with a practice Lofty under its switches: each question answered right, none that was not seen."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_lofty.first_contact.command import main
from airflow_provider_lofty.first_contact.posts import changes_of, posts
from airflow_provider_lofty.lofty.session import LoftySession
from airflow_provider_lofty.profile.changes import changed, words_for
from airflow_provider_lofty.sandbox import Answer, Sandbox
from tests.first_contact.conftest import CONTACT, LEAD

Check = Callable[..., dict[str, str]]


@pytest.fixture
def check(lofty: Sandbox, connect: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> Check:
    """Give a function that makes the check and returns what was learned by question; what is open is there as ''."""
    connect(lofty)

    def run(*, code: int = 0, patience: float = 0.0, **switches: Any) -> dict[str, str]:
        lofty.change(**switches)
        assert main(["--lead-id", str(LEAD), "--yes"], patience=patience) == code
        return learned_in(capsys.readouterr().out)

    return run


def learned_in(text: str) -> dict[str, str]:
    learned, _, still_open = text.partition("Still open:")
    lines = [line for line in learned.partition("Learned:")[2].splitlines() if line.startswith("  ") and line[2] != " "]
    found = {line[2:28].strip(): line[28:].partition("  [")[0].strip() for line in lines}
    return found | {line[2:28].strip(): "" for line in still_open.splitlines() if line.startswith("  ")}


def posted(lofty: Sandbox) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in lofty.requests if request.method == "POST"]


AS_DOCUMENTED = {
    "form of the credential": "api_key: accepted as Authorization: token …",
    "whose it is": "Agent, 11",
    "rate headers": "on every answer",
    "rate limit": "600000 a window",
    "unit of Reset": "milliseconds left",
    "reading activities back": "permitted",
    "posting activities": "permitted",
    "empty link and picture": "accepted",
    "a text of 2000 characters": "accepted",
    "type, read back": "as sent",
    "created, read back": "as sent",
    "text, read back": "as sent",
    "link, read back": "as sent",
    "order of the list": "newest created first",
    "two equal posts": "both kept",
    "answer to a missing lead": "HTTP 404, code 20006",
    "answer to a wrong key": "HTTP 401",
    "page size": "",
}


def test_everything_but_the_page_size_is_learned_from_five_posts(check: Check, lofty: Sandbox) -> None:
    found = check(missing_leads={2**63 - 1})
    assert found.pop("time until shown").startswith("at most ")
    assert found == AS_DOCUMENTED
    assert len(posted(lofty)) == 5
    assert all("Test of the connection" in activity["text"] for activity in posted(lofty))
    paths = {request.path for request in lofty.requests if request.method == "POST"}
    assert paths == {f"/v1.0/leads/{LEAD}/activity"}


SWITCHES: list[tuple[dict[str, Any], dict[str, str]]] = [
    (
        {"trims_text": True, "escapes_text": True, "lowers_type": True, "created_form": "text", "rate_headers": False,
         "accepts_empty_strings": False, "max_text_length": 1000, "truncates_created_to_seconds": True},
        {"type, read back": "in lower case", "created, read back": "as text, without its milliseconds",
         "text, read back": "without the blanks around it, as HTML writes it",
         "link, read back": "as HTML writes it", "rate headers": "none", "rate limit": "", "unit of Reset": "",
         "empty link and picture": "refused: HTTP 400, INVALID_PARAMETER",
         "a text of 2000 characters": "refused: HTTP 400, PARAMETER_TOO_LONG"},
    ),
    ({"created_form": "seconds", "rate_reset_reading": "epoch_seconds"},
     {"created, read back": "in seconds", "unit of Reset": "seconds since 1970"}),
    ({"created_form": "an_hour_later", "rate_reset_reading": "epoch_milliseconds"},
     {"created, read back": "moved by 1 h", "unit of Reset": "milliseconds since 1970"}),
    ({"rate_reset_reading": "nonsense"}, {"unit of Reset": ""}),
    (
        {"read_requests_per_minute": 300_000.0},
        {"rate limit": "300000 for GET /v1.0/me; 300000 for GET of a lead; 300000 for GET of activities; 600000 for "
                       "POST of an activity; 300000 for errors"},
    ),
    ({"stores_twice": True}, {"two equal posts": "shown 4 times"}),
    ({"error_shape": "embedded"}, {"answer to a missing lead": "HTTP 404, code 20006"}),
    (
        {"read_back_status": 403},
        {"reading activities back": "refused: HTTP 403, Sorry, the vendor does not have permission for this API.",
         "text, read back": "", "time until shown": "", "two equal posts": "", "order of the list": "",
         "page size": "", "empty link and picture": "accepted"},
    ),
    ({"permission_denied": {"get_me"}}, {"whose it is": "", "rate headers": "on every answer"}),
    (
        {"read_lag_seconds": 3600.0},
        {"time until shown": "", "text, read back": "", "two equal posts": "", "empty link and picture": "accepted"},
    ),
    # an answer that is lost: nothing is repeated, and nothing more is posted
    (
        {"scripted_faults": [None, None, "drop_after_storing"]},
        {"empty link and picture": "", "a text of 2000 characters": "", "text, read back": "", "type, read back": "as sent"},
    ),
    ({"scripted_faults": ["drop_before_storing"]}, {"text, read back": "", "two equal posts": ""}),
    # without a control, nothing can be told from a refusal
    ({"scripted_faults": ["refused"]},
     {"posting activities": "refused: HTTP 400, INVALID_PARAMETER", "two equal posts": "", "text, read back": ""}),
    (
        {"scripted_faults": [None, "rate_limited"], "window_seconds": 0.05},
        {"two equal posts": "", "a text of 2000 characters": "accepted", "empty link and picture": "accepted"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("switches", "expected"), SWITCHES, ids=lambda value: next(iter(value)))
def test_under_each_switch_what_it_does_is_learned_or_left_open(
    check: Check, lofty: Sandbox, switches: dict[str, Any], expected: dict[str, str]
) -> None:
    found = check(**{"missing_leads": {2**63 - 1}, **switches})
    assert {question: found[question] for question in expected} == expected
    assert len(posted(lofty)) <= 5


def test_a_repeat_that_is_not_kept_is_told_from_one_that_is_late(check: Check) -> None:
    assert check(ignores_repeats=True, patience=4)["two equal posts"] == "kept once"


def test_texts_and_links_in_other_case_are_known_again(check: Check) -> None:
    found = check(shown={"text": ["upper_case"], "link": ["upper_case"]})
    assert (found["text, read back"], found["link, read back"]) == ("in upper case", "in upper case")
    assert found["order of the list"] == "newest created first"


class TestTheUnitOfReset:
    """Only how fast it falls shows it: a window may be longer than a minute."""

    @pytest.mark.parametrize(
        ("reading", "unit"), [("seconds_left", "seconds left"), ("milliseconds_left", "milliseconds left")]
    )
    @pytest.mark.parametrize("window_seconds", [60.0, 3600.0])
    def test_is_waited_for_until_it_shows(
        self, check: Check, monkeypatch: pytest.MonkeyPatch, reading: str, unit: str, window_seconds: float
    ) -> None:
        monkeypatch.setattr(f"{CONTACT}.RESET_SECONDS", 1.5)
        found = check(rate_reset_reading=reading, window_seconds=window_seconds)
        assert found["unit of Reset"] == unit

    def test_stays_open_where_it_did_not_fall_for_long_enough(self, check: Check) -> None:
        assert check(rate_reset_reading="seconds_left", window_seconds=3600.0)["unit of Reset"] == ""

    def test_is_not_waited_for_without_the_header(self, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(f"{CONTACT}.RESET_SECONDS", 3600.0)
        assert check(rate_headers=False)["unit of Reset"] == ""


def test_what_the_pace_leaves_no_time_for_is_not_posted(
    lofty: Sandbox, connect: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{CONTACT}.TOTAL_SECONDS", 1.9)
    connect(lofty, extra={"requests_per_minute": 240})
    assert main(["--lead-id", str(LEAD), "--yes"], patience=0) == 0
    said = capsys.readouterr().out
    assert 0 < len(posted(lofty)) < 5
    assert "the rate limit left no time for it" in said
    assert learned_in(said)["answer to a wrong key"] == ""


def test_the_time_until_shown_is_bounded_on_both_sides(check: Check) -> None:
    found = check(read_lag_seconds=1.5, patience=10)
    least, _, most = found["time until shown"].removesuffix(" s").partition(" to ")
    assert float(least) <= 1.6 <= float(most) + 0.1


def test_a_lead_of_many_activities_shows_the_page_size(check: Check, lofty: Sandbox) -> None:
    activity = {"type": "Browse", "text": "made up", "link": "x", "picture": "x", "created": 1714557600123}
    for number in range(101):
        url = f"{lofty.url}/v1.0/leads/{LEAD}/activity"
        made = {**activity, "created": activity["created"] + number}  # type: ignore[operator]
        requests.post(url, json=made, headers={"Authorization": f"token {lofty.settings.api_key}"}, timeout=5)
    found = check()
    assert (found["page size"], found["order of the list"]) == ("100 entries", "newest created first")


class TestNothingIsPosted:
    def test_without_a_terminal_or_yes_nothing_is_sent_at_all(
        self, lofty: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(lofty)
        monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
        assert main(["--lead-id", str(LEAD)]) == 2
        assert lofty.requests == []

    @pytest.mark.parametrize(("answer", "posts_made"), [("y", 5), ("n", 0), ("", 0)])
    def test_at_a_terminal_it_asks_and_says_what_it_will_do(
        self, lofty: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, answer: str,
        posts_made: int, capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        connect(lofty)
        terminal = io.StringIO(f"{answer}\n")
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", terminal)
        assert main(["--lead-id", str(LEAD)], patience=0) == (0 if posts_made else 2)
        assert len(posted(lofty)) == posts_made
        said = capsys.readouterr().out
        assert "initials are P.L." in said
        for words in ("NOTHING REMOVES THEM", "Smart Plans", "lead of your own"):
            assert words in said

    def test_at_a_terminal_that_is_closed_instead_of_answered(
        self, lofty: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        connect(lofty)
        terminal = io.StringIO("")
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", terminal)
        assert main(["--lead-id", str(LEAD)], patience=0) == 2
        assert "Nothing was posted." in capsys.readouterr().out
        assert posted(lofty) == []

    @pytest.mark.parametrize(
        "switches",
        [{"missing_leads": {LEAD}}, {"merged_leads": {LEAD: 7}}, {"api_key": "another"}, {"permission_denied": {"get_lead"}}],
    )  # fmt: skip
    def test_to_a_lead_that_cannot_be_shown_or_with_a_wrong_key(
        self, check: Check, lofty: Sandbox, switches: dict[str, Any]
    ) -> None:
        check(code=1, **switches)
        assert posted(lofty) == []

    @pytest.mark.parametrize("lead_id", ["0", "-1", "x", str(2**63)])
    def test_to_what_is_no_lead_id(self, lead_id: str) -> None:
        with pytest.raises(SystemExit):
            main(["--lead-id", lead_id, "--yes"])


def test_an_interrupt_at_any_step_leaves_a_table_of_what_was_seen(
    lofty: Sandbox,
    connect: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    interrupt_at: Callable[[int], None],
) -> None:
    connect(lofty)
    lofty.change(missing_leads={2**63 - 1})
    for step in range(11):
        interrupt_at(step)
        code = main(["--lead-id", str(LEAD), "--yes"], patience=0)
        found = learned_in(capsys.readouterr().out)
        assert code == (130 if step < 11 else 0)
        assert {question: answer for question, answer in found.items() if answer}.items() <= {
            **AS_DOCUMENTED, "time until shown": found.get("time until shown"),
            "page size": found.get("page size"),
        }.items(), step  # fmt: skip


def test_no_secret_and_nothing_of_other_activities_is_shown(
    lofty: Sandbox, connect: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    connect(lofty)
    url = f"{lofty.url}/v1.0/leads/{LEAD}/activity"
    activity = {"type": "Browse", "text": "of somebody else", "link": "x", "picture": "x", "created": 1714557600123}
    requests.post(url, json=activity, headers={"Authorization": f"token {lofty.settings.api_key}"}, timeout=5)
    main(["--lead-id", str(LEAD), "--yes"], patience=0)
    said = capsys.readouterr()
    for private in (lofty.settings.api_key, "of somebody else", "agent@example.com"):
        assert private not in said.out + said.err


@pytest.mark.parametrize(
    ("name", "sent", "shown", "changes"),
    [
        ("text", " a ", " a ", []),
        ("text", " a ", "a", ["trimmed"]),
        ("text", "<b> & ", "&lt;b&gt; &amp; ", ["html"]),
        ("text", ' "a" & ', '"a" &amp;', ["trimmed", "html_but_quotes"]),
        ("text", "a <b>b</b>", "a b", ["without_tags"]),
        ("text", "a \N{HOUSE BUILDING} b", "a  b", ["without_emoji"]),
        ("text", "a \N{HOUSE BUILDING} b", "a ? b", ["emoji_as_question_marks"]),
        ("text", "abcdef", "abc", ["cut_to_3"]),
        ("text", "abc", "xyz", ["changed"]),
        ("text", " a ", "a ", ["trimmed_left"]),
        ("text", " a ", " a", ["trimmed_right"]),
        ("text", "'", "&#39;", ["html_with_numbers"]),
        ("text", "a \N{HOUSE BUILDING}", "a ??", ["emoji_as_two_question_marks"]),
        ("text", "a \N{HOUSE BUILDING}", "a \N{REPLACEMENT CHARACTER}", ["emoji_as_replacement"]),
        ("link", "https://a.example/b?c=d", "https://a.example/b", ["without_query"]),
        ("text", "abc", None, ["null"]),
        ("text", "", None, ["empty_as_null"]),
        ("text", "abc", 5, ["not_text"]),
        ("created", 1714557600123, "1714557600123", ["text"]),
        ("created", 1714557600123, "1714557600", ["text", "seconds"]),
        ("created", 1714557600123, 1714557600000, ["whole_seconds"]),
        ("created", 1714557600123, 1714557600124, ["moved_by_1"]),
        ("created", 1714557600123, 1714557600123 - 3_600_000, ["moved_by_-3600000"]),
        ("created", 1714557600123, 1714557600123.0, ["fraction"]),
        ("created", 1714557600123, 1714557600.123, ["decimal_seconds"]),
        ("created", 1714557600123, "1714557600.123", ["text", "decimal_seconds"]),
        ("created", 1714557600123, 1714557600.5, ["not_a_number"]),
        ("created", 1714557600123, None, ["not_a_number"]),
        ("created", 1714557600123, 10**30, ["not_a_number"]),
    ],
)
def test_what_became_of_a_field(name: str, sent: Any, shown: Any, changes: list[str]) -> None:
    assert changes_of(name, [(sent, shown)]) == changes
    assert words_for(changes) if changes else not words_for(changes)


PLAIN, SPECIAL, LONG = "plain", "  'a' <b>b</b> ", "x" * 2000


@pytest.mark.parametrize(
    ("pairs", "changes"),
    [
        # a cut is one only where every longer text is cut, and to the same length
        ([(PLAIN, PLAIN), (SPECIAL, SPECIAL.rstrip()), (LONG, LONG)], ["trimmed_right"]),
        ([(PLAIN, PLAIN), (SPECIAL, SPECIAL.rstrip()), (LONG, LONG[:1000])], ["trimmed_right", "cut_to_1000"]),
        ([(PLAIN, PLAIN), (SPECIAL, SPECIAL[:9]), (LONG, LONG[:9])], ["cut_to_9"]),
        ([(PLAIN, PLAIN), (SPECIAL, SPECIAL[:9]), (LONG, LONG[:10])], ["cut_to_10", "special_changed"]),
        ([(PLAIN, PLAIN[:3]), (SPECIAL, SPECIAL), (LONG, LONG)], ["changed"]),
        # what happens to one kind only is said of that kind
        ([(PLAIN, PLAIN), (SPECIAL, "no"), (LONG, LONG)], ["special_changed"]),
        ([(PLAIN, PLAIN), (SPECIAL, None), (LONG, LONG[:100])], ["cut_to_100", "special_changed"]),
        ([(PLAIN, PLAIN), (SPECIAL, SPECIAL.strip()), (LONG, LONG[:97] + "...")], ["trimmed", "long_changed"]),
        ([(PLAIN, PLAIN), (SPECIAL, "no"), (LONG, LONG[:97] + "...")], ["special_changed", "long_changed"]),
        ([(PLAIN, None), (SPECIAL, None), ("", None)], ["null", "empty_as_null"]),
        ([(PLAIN, PLAIN.upper()), ("", None)], ["upper_case", "empty_as_null"]),
        ([(PLAIN, PLAIN), ("", "none")], ["changed"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value[0], str) else "",
)
def test_what_became_of_texts_has_to_explain_them_all(pairs: list[tuple[str, Any]], changes: list[str]) -> None:
    assert changes_of("text", pairs) == changes
    if "changed" not in "".join(changes):
        assert [changed(sent, changes) for sent, _ in pairs] == [shown for _, shown in pairs]


@pytest.mark.parametrize("name", ["trimmed_left", "trimmed_right", "html_with_numbers"])
def test_what_happens_to_texts_is_not_told_as_a_cut(check: Check, name: str) -> None:
    assert check(shown={"text": [name]})["text, read back"] == words_for([name])


def test_a_link_without_its_query_is_not_told_as_cut(check: Check) -> None:
    assert check(shown={"link": ["without_query"]})["link, read back"] == "without what follows a ?"


def test_the_posts_are_dated_now_and_differ_in_their_dates() -> None:
    made = posts("x1", 1714557600000)
    dates = [post.activity["created"] for post in made]
    assert all(0 <= 1714557600000 - date < 6000 and date % 1000 for date in dates)
    assert (dates[0] == dates[1], len(set(dates)), len({date % 1000 for date in dates})) == (True, 4, 4)
    for refused in (None, 3, 4):  # without a post that may be refused, too
        left = [date for turn, date in enumerate(dates) if turn != refused]
        assert left not in (sorted(left), sorted(left, reverse=True))
    assert len(made[3].activity["text"]) == 2000


@pytest.mark.parametrize(("faults", "made"), [(["drop_after_storing"], 1), ([None, None, "drop_before_storing"], 3)])
def test_after_a_lost_answer_nothing_is_repeated_and_nothing_more_is_posted(
    check: Check, lofty: Sandbox, faults: list[str | None], made: int
) -> None:
    check(scripted_faults=faults)
    assert len(posted(lofty)) == made


@pytest.mark.parametrize("connection", [None, {"host": "http://127.0.0.1:1", "password": "made-up"}])
def test_of_a_lofty_that_cannot_be_asked_nothing_is_learned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], connection: dict[str, str] | None
) -> None:
    if connection is not None:
        monkeypatch.setenv("AIRFLOW_CONN_LOFTY_DEFAULT", json.dumps({"conn_type": "lofty", **connection}))
    assert main(["--lead-id", str(LEAD), "--yes"]) == 1
    said = capsys.readouterr().out
    assert "The check ended early" in said
    assert learned_in(said) == {}


REFUSALS: dict[str, dict[str, Any]] = {
    "the key is withdrawn": {"api_key": "another"},
    "reading is no longer permitted": {"permission_denied": {"list_activities"}},
    "posting is no longer permitted": {"permission_denied": {"add_activity"}},
    "the lead is gone": {"missing_leads": {2**63 - 1, LEAD}},
    "everything fails": {"canned_answers": {name: Answer(500, b"") for name in ("add_activity", "list_activities", "get_me", "get_lead")}},
}  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS)
def test_of_a_server_that_begins_to_refuse_at_any_step_only_what_was_seen_is_told(
    lofty: Sandbox, connect: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    refusal: str,
) -> None:  # fmt: skip
    connect(lofty)
    send, before = LoftySession.send, lofty.settings
    for step in (1, 3, 5, 8, 9, 10):  # before, among and after the posts
        lofty.change(**{**{name: getattr(before, name) for name in REFUSALS[refusal]}, "missing_leads": {2**63 - 1}})
        lofty.reset()
        left = iter(range(step))

        def refusing(*args: Any, left: Any = left, **kwargs: Any) -> Any:
            if next(left, None) is None:
                lofty.change(**REFUSALS[refusal])
            return send(*args, **kwargs)

        monkeypatch.setattr(LoftySession, "send", refusing)
        code = main(["--lead-id", str(LEAD), "--yes"], patience=0)
        found = {question: answer for question, answer in learned_in(capsys.readouterr().out).items() if answer}
        told = [answer for question, answer in found.items() if answer != AS_DOCUMENTED.get(question)]
        assert all("HTTP" in answer or "at most" in answer or "shown" in answer for answer in told), (step, found)
        assert code in (0, 1)
        sent = posted(lofty)
        assert len(sent) <= 5
        assert len({json.dumps(activity) for activity in sent}) >= len(sent) - 1  # but the twin, none is repeated
