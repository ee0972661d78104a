"""First contact with a practice Lofty that fails at one step: nothing is put down to what was not shown to cause it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from airflow_provider_lofty.first_contact.command import main
from airflow_provider_lofty.lofty.session import LoftySession
from airflow_provider_lofty.profile.profile import Profile, profile_in
from airflow_provider_lofty.sandbox import Answer, Sandbox
from tests.first_contact.conftest import CONTACT, LEAD
from tests.first_contact.test_first_contact import learned_in, posted

# The requests of a check in which nothing fails, counted from 0: owner, lead, two pages, five posts, looks …
PAGE, SECOND_PAGE, PLAIN, TWIN, SPECIAL, LONG, EMPTY, LOOK = range(2, 10)

Steps = Mapping[int, Callable[[], object]]


class Outcome(NamedTuple):
    """What a check left."""

    found: dict[str, str]
    profile: Profile
    said: str


@pytest.fixture
def check(
    lofty: Sandbox,
    connect: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Callable[..., Outcome]:
    """Give a function that makes the check, and does something before the requests of these numbers leave."""
    connect(lofty)
    lofty.change(missing_leads={2**63 - 1})
    send = LoftySession.send

    def run(steps: Steps | None = None, *, patience: float = 0.0, code: int = 0) -> Outcome:
        turns = iter(range(1000))

        def sending(*args: Any, **kwargs: Any) -> Any:
            (steps or {}).get(next(turns), lambda: None)()
            return send(*args, **kwargs)

        monkeypatch.setattr(LoftySession, "send", sending)
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        assert main(["--lead-id", str(LEAD), "--yes", "--profile", str(file)], patience=patience) == code
        said = capsys.readouterr().out
        return Outcome(learned_in(said), profile_in(file.read_text(encoding="utf-8")), said)

    return run


@pytest.fixture
def answering(lofty: Sandbox) -> Callable[..., Callable[[], None]]:
    """Give a function that makes the step with which an operation begins to be answered so, or again as it should."""

    def step(name: str, answer: Answer | None = None) -> Callable[[], None]:
        return lambda: lofty.change(canned_answers={name: answer} if answer else {})

    return step


def error(status: int, code: int, message: str) -> Answer:
    return Answer(status, json.dumps({"code": code, "message": message}).encode())


PERMISSION_DENIED = error(400, 20017, "PERMISSION_DENIED")
LEAD_GONE = error(404, 20006, "Lead not exist")
INVALID = error(400, 20012, "INVALID_PARAMETER")
GATEWAY_PAGE = Answer(502, b"<html><body>Bad Gateway</body></html>", "text/html")


class TestRefusedPosts:
    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            (PERMISSION_DENIED, "HTTP 400, PERMISSION_DENIED"),
            (INVALID, "HTTP 400, INVALID_PARAMETER"),
            (error(403, 200100, "No permission"), "HTTP 403, No permission"),
        ],
    )
    def test_where_all_are_refused_nothing_is_put_down_to_what_one_holds(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], lofty: Sandbox, answer: Answer, words: str
    ) -> None:
        found, profile, said = check({PLAIN: answering("add_activity", answer)})
        assert found["posting activities"] == f"refused: {words}"
        assert (found["empty link and picture"], found["a text of 2000 characters"]) == ("", "")
        assert (profile.empty_strings, profile.long_text) == (None, None)
        assert len(posted(lofty)) == 1
        assert f"posting stopped before it ({words})" in said
        assert "0 test activities are at lead" in said

    @pytest.mark.parametrize("answer", [PERMISSION_DENIED, LEAD_GONE, Answer(400, b"<html>no</html>", "text/html")])
    @pytest.mark.parametrize(("step", "left"), [(SPECIAL, 3), (LONG, 4), (EMPTY, 5)])
    def test_a_refusal_of_anything_else_stops_posting_and_leaves_it_open(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], lofty: Sandbox, answer: Answer, step: int,
        left: int,
    ) -> None:  # fmt: skip
        found, profile, _ = check({step: answering("add_activity", answer)})
        assert found["posting activities"] == "permitted"
        assert (found["empty link and picture"], profile.empty_strings) == ("", None)
        assert profile.long_text is (True if step == EMPTY else None)
        assert len(posted(lofty)) == left

    def test_after_a_post_that_was_accepted_a_refusal_is_put_down_to_what_the_next_holds(
        self, check: Callable[..., Outcome], lofty: Sandbox
    ) -> None:
        lofty.change(accepts_empty_strings=False, max_text_length=1000)
        found, profile, _ = check()
        assert (profile.empty_strings, profile.long_text) == (False, False)
        assert found["posting activities"] == "permitted"

    def test_a_gateways_page_refuses_nothing(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], lofty: Sandbox
    ) -> None:
        found, profile, _ = check({PLAIN: answering("add_activity", Answer(403, b"<html>no</html>", "text/html"))})
        assert (found["posting activities"], profile.empty_strings, len(posted(lofty))) == ("", None, 1)


PASSING = [GATEWAY_PAGE, Answer(503), Answer(None), Answer(200, b""), Answer(403, b"<html>no</html>", "text/html")]


class TestReadingThatFails:
    """Only what Lofty itself refuses is refused; whatever may pass is asked again, and open if it does not pass."""

    @pytest.mark.parametrize("answer", PASSING)
    @pytest.mark.parametrize("healed", [PAGE + 1, PAGE + 2])
    def test_once_before_the_posts_what_is_posted_is_looked_for_all_the_same(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], answer: Answer, healed: int
    ) -> None:
        found, profile, said = check(
            {PAGE: answering("list_activities", answer), healed: answering("list_activities")}, patience=4
        )
        assert (found["reading activities back"], found["text, read back"]) == ("permitted", "as sent")
        assert (profile.equal_posts, profile.text_shown) == (2, [])
        assert profile.reading is not None
        assert not profile.reading.is_error
        is_said_first = "cannot be read now" in said.partition("Learned:")[0]
        assert is_said_first == (healed > PAGE + 1)

    @pytest.mark.parametrize("answer", PASSING)
    def test_all_the_time_reading_is_open_and_not_refused(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], answer: Answer
    ) -> None:
        found, profile, said = check({PAGE: answering("list_activities", answer)})
        assert (found["reading activities back"], found["text, read back"], found["time until shown"]) == ("", "", "")
        assert (profile.reading, profile.text_shown, profile.settle_seconds) == (None, None, None)
        assert "not answered: " in said

    @pytest.mark.parametrize("answer", [LEAD_GONE, INVALID, GATEWAY_PAGE])
    def test_at_the_second_page_only_the_page_size_is_open(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], answer: Answer
    ) -> None:
        is_repeated = answer is GATEWAY_PAGE
        found, profile, said = check(
            {SECOND_PAGE: answering("list_activities", answer),
             SECOND_PAGE + 1 + is_repeated: answering("list_activities")}
        )  # fmt: skip
        assert (found["reading activities back"], found["text, read back"]) == ("permitted", "as sent")
        assert (found["page size"], profile.page_size, profile.equal_posts) == ("", None, 2)
        assert f"page size                  HTTP {answer.status}" in said
        assert "cannot be read now" not in said

    @pytest.mark.parametrize("answer", PASSING)
    def test_between_two_looks_looking_goes_on(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], lofty: Sandbox, answer: Answer
    ) -> None:
        lofty.change(read_lag_seconds=0.8)
        steps = {LOOK + 1: answering("list_activities", answer), LOOK + 3: answering("list_activities")}
        found, profile, _ = check(steps, patience=8)
        assert (found["text, read back"], found["two equal posts"]) == ("as sent", "both kept")
        assert profile.most_lag_seconds is not None

    def test_for_good_in_the_middle_it_is_not_asked_on(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], lofty: Sandbox
    ) -> None:
        lofty.change(read_lag_seconds=3600.0)
        found, profile, said = check({LOOK + 1: answering("list_activities", PERMISSION_DENIED)}, patience=30)
        assert (found["reading activities back"], profile.text_shown) == ("permitted", None)
        assert "reading back fails: HTTP 400, PERMISSION_DENIED" in said

    def test_a_gateways_failure_is_not_the_answer_to_a_missing_lead_or_a_wrong_key(
        self, check: Callable[..., Outcome], lofty: Sandbox
    ) -> None:
        def fail() -> None:
            lofty.change(canned_answers={"list_activities": GATEWAY_PAGE, "get_me": GATEWAY_PAGE})

        found, profile, _ = check({LOOK + 1: fail})
        assert (found["answer to a missing lead"], found["answer to a wrong key"]) == ("", "")
        assert (profile.missing_lead, profile.wrong_key) == (None, None)

    def test_a_gateways_page_says_nothing_of_lofty_s_rate_headers_and_owner(
        self, check: Callable[..., Outcome], lofty: Sandbox
    ) -> None:
        def fail() -> None:
            lofty.change(canned_answers={"get_me": GATEWAY_PAGE}, rate_headers=False)

        def heal() -> None:
            lofty.change(canned_answers={}, rate_headers=True)

        lofty.change(permission_denied={"get_me"})
        found, profile, said = check({0: fail, 1: heal})
        assert (found["rate headers"], profile.rate_headers["error"]) == ("on every answer", True)
        assert "this app may not read its owner's profile" in said


class TestTheSecondOfEqualPosts:
    """It is seen when two entries are, and not kept only if it was looked for as long as patience lasts."""

    def test_that_is_shown_late_is_kept_and_is_what_took_longest(
        self, check: Callable[..., Outcome], lofty: Sandbox
    ) -> None:
        def store() -> None:
            url = f"{lofty.url}/v1.0/leads/{LEAD}/activity"
            headers = {"Authorization": f"token {lofty.settings.api_key}", "Content-Type": "application/json"}
            twin = next(request for request in lofty.requests if request.method == "POST").body
            assert requests.post(url, data=twin, headers=headers, timeout=5).status_code == 200

        found, profile, _ = check(
            {TWIN: lambda: lofty.change(ignores_repeats=True),
             SPECIAL: lambda: lofty.change(ignores_repeats=False),
             LOOK + 3: store},
            patience=20,
        )  # fmt: skip
        assert (found["two equal posts"], profile.equal_posts) == ("both kept", 2)
        assert profile.least_lag_seconds is not None
        assert profile.most_lag_seconds is not None
        assert 0.9 <= profile.least_lag_seconds < profile.most_lag_seconds
        assert found["time until shown"].endswith(f" to {profile.most_lag_seconds:.1f} s")

    def test_that_never_comes_is_not_kept_and_holds_up_nothing(
        self, check: Callable[..., Outcome], lofty: Sandbox
    ) -> None:
        lofty.change(ignores_repeats=True)
        found, profile, _ = check(patience=2)
        assert (found["two equal posts"], profile.equal_posts, profile.least_lag_seconds) == ("kept once", 1, 0.0)
        assert profile.most_lag_seconds is not None
        assert profile.most_lag_seconds < 2
        looks = [request for request in lofty.requests[LOOK:] if request.path.endswith(f"/{LEAD}/activities")]
        assert looks[-1].at - looks[0].at >= 1.9

    def test_that_was_not_looked_for_long_enough_leaves_both_open(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], lofty: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        def interrupt() -> None:
            raise KeyboardInterrupt

        lofty.change(ignores_repeats=True)
        outcomes = [
            check({LOOK + 2: interrupt}, patience=20, code=130),
            check({LOOK + 2: answering("list_activities", Answer(503))}, patience=2),
        ]
        lofty.change(canned_answers={})
        monkeypatch.setattr(f"{CONTACT}.TOTAL_SECONDS", 16.0)
        outcomes.append(check(patience=20))
        for found, profile, said in outcomes:
            assert (found["two equal posts"], found["time until shown"]) == ("", "")
            assert (profile.equal_posts, profile.most_lag_seconds, profile.settle_seconds) == (None, None, None)
            assert "one of them is shown; the other was not within " in said
            assert profile.text_shown == []

    def test_whose_answer_was_lost_is_looked_for_too(self, check: Callable[..., Outcome], lofty: Sandbox) -> None:
        lofty.change(scripted_faults=[None, "drop_before_storing"])
        found, profile, _ = check(patience=1)
        assert (found["two equal posts"], profile.equal_posts) == ("", None)
        assert profile.most_lag_seconds is not None


REFUSED_REPEATS = [
    error(409, 20012, "Duplicate activity"),
    INVALID,
    error(200, 20012, "Duplicate activity"),
    Answer(409, b'{"message": "errorCode=20012,errorMsg=Duplicate"}'),
    Answer(409, b'"errorCode=20012,errorMsg=Duplicate"'),
]


class TestARepeatThatIsRefused:
    """Right after the first was accepted nothing but the repeat can be refused: that answers its question."""

    @pytest.mark.parametrize("answer", REFUSED_REPEATS)
    def test_is_an_answer_and_the_others_are_posted(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], lofty: Sandbox, answer: Answer
    ) -> None:
        found, profile, _ = check(
            {TWIN: answering("add_activity", answer), SPECIAL: answering("add_activity")}, patience=2
        )
        assert found["two equal posts"].startswith(f"the second is refused: HTTP {answer.status}, ")
        assert profile.repeat_refusal is not None
        assert (profile.repeat_refusal.status, profile.repeat_refusal.code) == (answer.status, 20012)
        assert (profile.equal_posts, profile.empty_strings, profile.long_text) == (None, True, True)
        assert (profile.text_shown, profile.order, len(posted(lofty))) == ([], "newest_created", 5)
        assert profile.most_lag_seconds is not None

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(409, b"<html>no</html>", "text/html"),
            Answer(409),
            Answer(409, b"{}"),
            Answer(409, b'{"leadId": 4711}'),
            Answer(None),
            GATEWAY_PAGE,
        ],
    )
    def test_by_anything_that_is_no_error_of_lofty_s_is_in_doubt_and_stops_posting(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], lofty: Sandbox, answer: Answer
    ) -> None:
        found, profile, said = check({TWIN: answering("add_activity", answer), SPECIAL: answering("add_activity")})
        assert (found["two equal posts"], profile.repeat_refusal, len(posted(lofty))) == ("", None, 2)
        lost = "its answer was lost" if answer.status is None else "its answer does not say whether it was stored"
        assert f"two equal posts            {lost}" in said

    def test_and_is_shown_all_the_same_is_told_so(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], lofty: Sandbox
    ) -> None:
        def store_and_refuse() -> None:
            lofty.change(stores_twice=False, canned_answers={"add_activity": REFUSED_REPEATS[0]})

        lofty.change(stores_twice=True)
        found, profile, _ = check({TWIN: store_and_refuse, SPECIAL: answering("add_activity")})
        assert found["two equal posts"] == "the second is refused (HTTP 409, Duplicate activity), and shown"
        assert profile.repeat_refusal is None

    def test_a_conflict_of_another_post_is_in_doubt(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], lofty: Sandbox
    ) -> None:
        check({SPECIAL: answering("add_activity", REFUSED_REPEATS[0])})
        assert len(posted(lofty)) == 3


class TestWhatBecomesOfTexts:
    """It is known only from the texts that have what may be changed: blanks, quotes, emoji, brackets, and length."""

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            ("drop_before_storing", "its answer was lost"),
            ("refused", "refused: HTTP 400, INVALID_PARAMETER"),
        ],
    )
    def test_stays_open_without_the_one_that_has_them(
        self, check: Callable[..., Outcome], lofty: Sandbox, fault: str, words: str
    ) -> None:
        lofty.change(scripted_faults=[None, None, fault], trims_text=True, shown={"text": ["html"]})
        found, profile, said = check()
        assert (found["text, read back"], profile.text_shown) == ("", None)
        assert (found["type, read back"], profile.type_shown) == ("as sent", [])
        assert f"text, read back            a text with blanks, quotes, emoji and angle brackets: {words}" in said

    def test_stays_open_where_the_long_one_was_lost(self, check: Callable[..., Outcome], lofty: Sandbox) -> None:
        lofty.change(scripted_faults=[None, None, None, "drop_before_storing"], shown={"text": ["cut_to_1000"]})
        found, profile, said = check()
        assert (found["text, read back"], profile.text_shown) == ("", None)
        assert "text, read back            a text of 2000 characters: its answer was lost" in said

    def test_is_known_where_long_ones_are_refused(self, check: Callable[..., Outcome], lofty: Sandbox) -> None:
        lofty.change(max_text_length=1000, trims_text=True)
        assert check().profile.text_shown == ["trimmed"]


class TestErrorsThatDifferInTheirRateHeaders:
    """Of a kind of which only some have them the profile says nothing, and the words say which."""

    MISSING, WRONG_KEY = LOOK + 1, LOOK + 2

    @pytest.mark.parametrize(
        ("step", "words"),
        [
            (MISSING, "errors with HTTP 401, not with HTTP 404"),
            (WRONG_KEY, "errors with HTTP 404, not with HTTP 401"),
        ],
    )
    def test_where_all_else_has_them(
        self, check: Callable[..., Outcome], lofty: Sandbox, step: int, words: str
    ) -> None:
        found, profile, _ = check(
            {step: lambda: lofty.change(rate_headers=False), step + 1: lambda: lofty.change(rate_headers=True)}
        )
        others = "on GET /v1.0/me, GET of a lead, GET of activities, POST of an activity"
        assert found["rate headers"] == f"{others}; on {words}"
        assert set(profile.rate_headers) == {"get_me", "get_lead", "list_activities", "add_activity"}
        assert all(profile.rate_headers.values())

    def test_where_nothing_else_has_them(self, check: Callable[..., Outcome], lofty: Sandbox) -> None:
        lofty.change(rate_headers=False)
        found, profile, _ = check({self.WRONG_KEY: lambda: lofty.change(rate_headers=True)})
        assert found["rate headers"].endswith("; on errors with HTTP 401, not with HTTP 404")
        assert "error" not in profile.rate_headers

    def test_where_errors_of_one_status_differ(
        self, check: Callable[..., Outcome], answering: Callable[..., Any], lofty: Sandbox
    ) -> None:
        lofty.change(permission_denied={"get_me"})
        found, profile, _ = check(
            {1: lambda: lofty.change(rate_headers=False), self.MISSING: answering("list_activities", error(403, 5, "no")),
             self.WRONG_KEY: lambda: lofty.change(rate_headers=True)}
        )  # fmt: skip
        assert found["rate headers"].endswith("; on some errors")
        assert "error" not in profile.rate_headers


def test_a_long_window_that_is_counted_in_seconds_is_told_by_how_it_falls(
    check: Callable[..., Outcome], lofty: Sandbox
) -> None:
    lofty.change(
        requests_per_minute=1000, window_seconds=3600.0, rate_reset_reading="seconds_left", read_lag_seconds=3600.0
    )
    found, profile, said = check(patience=3)
    assert (found["unit of Reset"], profile.reset_unit) == ("seconds left", "seconds_left")
    assert found["rate limit"] == "60000 a window"
    assert (profile.requests_per_minute, profile.read_requests_per_minute) == (None, None)
    assert "its window is longer than a minute: the profile has no limit" in said


def test_the_check_s_own_waiting_is_no_lag(
    check: Callable[..., Outcome], lofty: Sandbox, connect: Callable[..., None]
) -> None:
    connect(lofty, extra={"requests_per_minute": 60})
    found, profile, said = check()
    assert profile.most_lag_seconds is not None
    assert profile.most_lag_seconds > 0.9
    assert (profile.least_lag_seconds, profile.settle_seconds) == (0.0, None)
    assert found["time until shown"].startswith("at most ")
    assert "set settle_seconds" not in said


def test_what_a_slow_answer_does_not_show_may_have_been_there_when_it_came(
    check: Callable[..., Outcome], lofty: Sandbox
) -> None:
    lofty.change(read_lag_seconds=0.5)
    _, profile, _ = check({LOOK: lambda: lofty.change(latency_seconds=1.5)}, patience=10)
    assert profile.least_lag_seconds is not None
    assert profile.most_lag_seconds is not None
    assert profile.least_lag_seconds <= 0.5 < 2.9 <= profile.most_lag_seconds
