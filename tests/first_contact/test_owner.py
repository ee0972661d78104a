"""What shows that the credential is accepted and whose it is, and what a profile is bound to when nothing shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_lofty.first_contact.command import main
from airflow_provider_lofty.profile.profile import profile_in
from airflow_provider_lofty.sandbox import Answer, Sandbox

LEAD = 4711
SIGN_IN = Answer(200, b"<!doctype html><html><body>Sign in</body></html>", "text/html")

Told = tuple[dict[str, str], dict[str, str], str]
Check = Callable[..., Told]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "p.json"


@pytest.fixture
def check(lofty: Sandbox, connect: Callable[..., None], capsys: pytest.CaptureFixture[str], file: Path) -> Check:
    """Give a function that makes the check of a Lofty that answers GET /v1.0/me so: what is learned, open and said."""
    connect(lofty)

    def run(me: Answer, *, code: int = 0, **answers: Answer) -> Told:
        lofty.change(canned_answers={"get_me": me, **answers})
        assert main(["--lead-id", str(LEAD), "--yes", "--profile", str(file)], patience=0) == code
        said = capsys.readouterr().out
        learned, _, still_open = said.partition("Still open:")
        return lines_of(learned.partition("Learned:")[2]), lines_of(still_open), said

    return run


def lines_of(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line.startswith("  ") and line[2] != " "]
    return {line[2:28].strip(): line[28:].strip() for line in lines}


NAMES_NOBODY = [
    SIGN_IN,
    Answer(200, b"Welcome", "text/plain"),
    Answer(200, b""),
    Answer(200, b"null"),
    Answer(200, b"[]"),
    Answer(200, b'{"code": 20005, "message": "no"}'),
    Answer(302, b""),
    Answer(400, b'{"code": 20012, "message": "INVALID_PARAMETER"}'),
    Answer(403, b""),
    Answer(403, SIGN_IN.body, "text/html"),
    Answer(404, b'{"message": "no"}'),
    Answer(500, b'{"code": 20005, "message": "no"}'),
    Answer(502, b""),
]


def id_of(answer: Answer) -> str:
    return f"{answer.status} {answer.body[:20]!r}"


@pytest.mark.parametrize("me", NAMES_NOBODY, ids=id_of)
def test_where_the_owner_is_not_named_the_lead_accepts_the_credential(
    check: Check, lofty: Sandbox, me: Answer, file: Path
) -> None:
    learned, still_open, said = check(me)
    assert still_open["whose it is"].startswith(f"GET /v1.0/me: HTTP {me.status}, ")
    assert "lead's id" not in said
    assert learned["form of the credential"].endswith("[GET of the lead]")
    assert (learned["two equal posts"].partition("  ")[0], "bound to the host alone" in said) == ("both kept", True)
    assert profile_in(file.read_text()).account_id is None
    assert len([request for request in lofty.requests if request.method == "POST"]) == 5


@pytest.mark.parametrize("me", NAMES_NOBODY, ids=id_of)
def test_only_an_answer_of_lofty_accepts_the_credential(check: Check, lofty: Sandbox, me: Answer, file: Path) -> None:
    learned, still_open, said = check(me, code=1, get_lead=SIGN_IN)
    assert "The check ended early: GET /v1.0/leads/4711 gave no usable answer: HTTP 200, but not what was asked" in said
    assert "form of the credential" not in learned
    assert still_open["form of the credential"] == "Lofty accepted no request"
    assert "No profile was written" in said
    assert (file.exists(), [request for request in lofty.requests if request.method == "POST"]) == (False, [])


@pytest.mark.parametrize(
    "me",
    [Answer(401, b'{"message": "no"}'), Answer(200, b'{"code": 200058, "message": "no"}'), Answer(None)],
    ids=id_of,
)
def test_a_refusal_of_the_credential_ends_the_check(check: Check, lofty: Sandbox, me: Answer, file: Path) -> None:
    _, _, said = check(me, code=1)
    assert "The check ended early" in said
    assert not [request for request in lofty.requests if request.path != "/v1.0/me"]
    assert not file.exists()


@pytest.mark.parametrize(
    "me", [SIGN_IN, Answer(200, b"Welcome", "text/plain"), Answer(403, SIGN_IN.body, "text/html"), Answer(502)]
)
def test_nothing_of_the_rate_is_learned_from_what_is_not_loftys(check: Check, me: Answer) -> None:
    learned, still_open, _ = check(me, code=1, get_lead=me)
    assert learned == {}
    assert still_open["rate headers"] == "no answer was Lofty's"
    assert {"rate limit", "unit of Reset"} <= still_open.keys()


def test_an_error_that_is_loftys_own_shows_its_rate(check: Check) -> None:
    learned, _, _ = check(Answer(200, b'{"code": 200058, "message": "no"}'), code=1)
    assert learned.keys() == {"rate headers", "rate limit"}  # one number does not tell its unit


@pytest.mark.parametrize(
    "owner",
    [
        {},
        {"data": {"id": 11, "roleName": "Agent"}},
        *({"id": found, "roleName": "Agent"} for found in (None, 11.0, 1.5, -1, 2**63, True, "", "x" * 41, [11])),
    ],
    ids=str,
)  # fmt: skip
def test_an_owner_without_a_usable_id_is_open_and_the_profile_says_what_it_is_bound_to(
    check: Check, file: Path, owner: dict[str, object]
) -> None:
    learned, still_open, said = check(Answer(200, json.dumps(owner).encode()))
    assert still_open["whose it is"] == "GET /v1.0/me names no usable id"
    assert learned["form of the credential"].endswith("[GET of the lead]")
    assert "bound to the host alone" in said
    assert profile_in(file.read_text()).account_id is None


def test_an_answer_that_names_nobody_does_not_accept_the_credential_by_itself(check: Check, file: Path) -> None:
    learned, _, said = check(Answer(200, b"{}"), code=1, get_lead=Answer(200, b"{}"))
    assert "form of the credential" not in learned
    assert "No profile was written" in said
    assert not file.exists()


def test_where_the_app_may_not_read_the_owner_the_profile_says_so_too(
    lofty: Sandbox, connect: Callable[..., None], capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    connect(lofty)
    lofty.change(permission_denied={"get_me"})
    assert main(["--lead-id", str(LEAD), "--yes", "--profile", str(file)], patience=0) == 0
    said = capsys.readouterr().out
    assert "accepted as Authorization: token …  [GET /v1.0/me]" in said
    assert "bound to the host alone" in said


@pytest.mark.parametrize("account_id", [11, "a-11"])
def test_a_profile_of_a_named_account_needs_no_such_words(check: Check, file: Path, account_id: int | str) -> None:
    _, _, said = check(Answer(200, json.dumps({"id": account_id}).encode()))
    assert "bound to the host alone" not in said
    assert profile_in(file.read_text()).account_id == account_id
