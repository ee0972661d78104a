"""First contact with a practice Lofty that fails at one step: nothing is put down to what was not shown to cause it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from airflow_provider_lofty.first_contact.command import main
from airflow_provider_lofty.lofty.session import LoftySession
from airflow_provider_lofty.profile.profile import Profile, profile_in
from airflow_provider_lofty.sandbox import Answer, Sandbox
from tests.first_contact.test_first_contact import LEAD, learned_in, posted

# The requests of a check in which nothing fails, counted from 0: owner, lead, two pages, five posts, looks …
PAGE, SECOND_PAGE, PLAIN, SPECIAL, LONG, EMPTY, LOOK = 2, 3, 4, 6, 7, 8, 9

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
        file = tmp_path / "p.json"
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
