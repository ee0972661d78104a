"""What an answer that is not a success is turned into: the exception, what was stored, and what to do now."""

from __future__ import annotations

import pytest
from airflow.sdk import Connection

from airflow_provider_lofty.exceptions import (
    LoftyAnswerLost,
    LoftyConfigurationError,
    LoftyCredentialRefused,
    LoftyError,
    LoftyRequestRejected,
)
from airflow_provider_lofty.hooks.settings import settings_from
from airflow_provider_lofty.lofty.answers import Answer, Meaning
from airflow_provider_lofty.lofty.errors import advice_on_refusal, error_for, failure_text, origin_of, status_text

SETTINGS = settings_from(Connection(conn_id="crm", conn_type="lofty", host="https://lofty.example.com", password="key"))


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (
            Answer(401, body=b"{}"),
            LoftyCredentialRefused,
            "Lofty refused the credential of 'crm' (HTTP 401): check that the connection's password is a current API key",
        ),
        (
            Answer(403, body=b'{"code":200100}'),
            LoftyConfigurationError,
            "https://lofty.example.com answered HTTP 403, code 200100 to POST activity: the app lacks the permission",
        ),
        (
            Answer(407),
            LoftyConfigurationError,
            "https://lofty.example.com answered HTTP 407 to POST activity: a proxy or gateway on the way refused it",
        ),
        (
            Answer(301),
            LoftyConfigurationError,
            "https://lofty.example.com answered HTTP 301 to POST activity: check the connection's host",
        ),
        (
            Answer(400, body=b'{"code":20012,"message":"INVALID_PARAMETER"}'),
            LoftyRequestRejected,
            "Lofty refused POST activity (HTTP 400, code 20012): INVALID_PARAMETER; nothing was stored",
        ),
        (
            Answer(None, failure="ReadTimeout"),
            LoftyAnswerLost,
            "POST activity was sent to https://lofty.example.com and no trustworthy answer came (no answer: ReadTimeout): ",
        ),
        (
            Answer(502, body=b"bad gateway"),
            LoftyAnswerLost,
            "POST activity was sent to https://lofty.example.com and no trustworthy answer came (HTTP 502: bad gateway): ",
        ),
    ],
    ids=lambda value: f"{value.status}" if isinstance(value, Answer) else "",
)
def test_each_says_what_happened_and_what_to_do(answer: Answer, error: type[LoftyError], message: str) -> None:
    made = error_for(answer.verdict, "POST activity", SETTINGS)
    assert type(made) is error
    assert str(made).startswith(message)
    assert made.code == answer.verdict.code
    is_doubt = answer.verdict.meaning is Meaning.DOUBT
    assert ("may be stored" in str(made)) is is_doubt
    assert "key" not in str(made).replace("API key", "")


def test_a_status_is_written_with_the_code_where_there_is_one() -> None:
    assert (status_text(400, 20012), status_text(502, None)) == ("HTTP 400, code 20012", "HTTP 502")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(500), "HTTP 500, empty answer"),
        (Answer(500, body=b"out of order"), "HTTP 500, out of order"),
        (Answer(None, failure="ReadTimeout"), "no answer: ReadTimeout"),
    ],
    ids=["empty", "text", "none"],
)
def test_a_failure_is_written_with_what_there_is_of_an_answer(answer: Answer, text: str) -> None:
    assert failure_text(answer.verdict) == text


@pytest.mark.parametrize(
    ("auth_type", "code", "advice"),
    [
        ("api_key", None, "current API key"),
        ("api_key", 200058, "current API key"),
        ("access_token", 200058, "set auth_type to api_key"),
        ("access_token", None, "auth_type refresh_token renews it"),
        ("client_credentials", None, "client_id and client_secret"),
        ("refresh_token", 20004, "client_id and client_secret"),
    ],
)
def test_advice_on_a_refused_credential_fits_how_it_was_made(auth_type: str, code: int | None, advice: str) -> None:
    assert advice in advice_on_refusal(auth_type, code)


def test_an_origin_is_a_url_without_what_may_be_private() -> None:
    assert (
        origin_of("https://lofty.example.com:8443/v1.0/leads?email=ada%40example.com")
        == "https://lofty.example.com:8443"
    )
