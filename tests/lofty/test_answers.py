"""What an answer means, as a table; and bodies that no sane server would send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_provider_lofty.lofty.answers import Answer, Meaning, Posted, names_missing_lead

DELIVERED, REJECTED, DOUBT = Meaning.DELIVERED, Meaning.REJECTED, Meaning.DOUBT
RATE, CREDENTIAL, CONFIGURATION = Meaning.RATE_LIMITED, Meaning.CREDENTIAL_REFUSED, Meaning.MISCONFIGURED

PAGE = b"<html><title>Bad Gateway</title></html>"
TOO_MANY = b'{"message":"Too Many Requests"}'
NO_ENDPOINT = b'{"message":"The requested API endpoint does not exist"}'
NO_PERMISSION = b'{"code":200100,"message":"Sorry, the vendor does not have permission for this API."}'
LIMITS = {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "21000"}


def verdict(status: int | None, body: bytes | str = b"", **headers: str) -> Any:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, headers, body.encode() if isinstance(body, str) else body).verdict


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        # 200: only an object with a whole number as leadId is a success.
        (200, b'{"leadId":5}', DELIVERED),
        (200, b' {"leadId": 9223372036854775807, "more": []} ', DELIVERED),
        (200, b'\xef\xbb\xbf{"leadId":5}', DELIVERED),
        (200, b'{"leadId":"5"}', DOUBT),
        (200, b'{"leadId":5.0}', DOUBT),
        (200, b'{"leadId":true}', DOUBT),
        (200, b'{"leadId":null}', DOUBT),
        (200, b'{"leadId":[5]}', DOUBT),
        (200, b'[{"leadId":5}]', DOUBT),
        (200, b'{"data":{"leadId":5}}', DOUBT),
        (200, b"5", DOUBT),
        (200, b'"5"', DOUBT),
        (200, b"null", DOUBT),
        (200, b"[]", DOUBT),
        (200, b"{}", DOUBT),
        (200, b"", DOUBT),
        (200, b"OK", DOUBT),
        (200, PAGE, DOUBT),
        (200, b'{"leadId":5', DOUBT),
        (200, b'{"code":0,"message":"success"}', DOUBT),
        (200, b'{"code":200,"message":"success"}', DOUBT),
        (200, b'{"code":"200"}', DOUBT),
        # 200 with an id that cannot be one.
        (200, b'{"leadId":0}', DOUBT),
        (200, b'{"leadId":-1}', DOUBT),
        (200, b'{"leadId":-9223372036854775808}', DOUBT),
        (200, b'{"leadId":9223372036854775808}', DOUBT),
        (200, b'{"leadId":99999999999999999999999999999999999999999}', DOUBT),
        (200, b'{"leadId":5e0}', DOUBT),
        (200, b'{"leadId":NaN}', DOUBT),
        (200, b'{"leadId":{"leadId":5}}', DOUBT),
        (200, b'{"leadId":false}', DOUBT),
        (200, b'{"leadId":""}', DOUBT),
        (200, b'{"leadid":5}', DOUBT),
        (200, b'{"code":200,"message":"ok","data":{"leadId":5}}', DOUBT),
        # 200 that says two things.
        (200, b'{"leadId":5,"leadId":6}', DOUBT),
        (200, b'{"leadId":6,"leadId":5}', DOUBT),
        (200, b'{"leadId":true,"leadId":1}', DOUBT),
        (200, b'{"code":20012,"code":0,"leadId":5}', DOUBT),
        (200, b'{"code":0,"code":20012,"leadId":5}', DOUBT),
        (200, b'{"code":20012,"code":0}', DOUBT),
        (200, b'{"code":20006,"leadId":0}', DOUBT),
        (200, b'{"code":20006,"leadId":"5"}', DOUBT),
        (200, b'{"code":200058,"leadId":5}', DOUBT),
        (200, b'{"code":200100,"leadId":5}', DOUBT),
        (200, b'{"code":20006,"leadId":null}', REJECTED),
        (200, b'{"leadId":5,"message":"errorCode=20006"', DOUBT),
        (200, b'{"leadId":' + b"9" * 5000 + b',"message":"errorCode=20006"}', DOUBT),
        # 200 with a known error inside.
        (200, b'{"code":20005,"message":"INTERNAL_ERROR"}', REJECTED),
        (200, b'{"code":"20012","message":"INVALID_PARAMETER"}', REJECTED),
        (200, b'{"message":"BaseApplicationException:errorCode=20006,errorMsg=Lead not exist"}', REJECTED),
        (200, b'"errorCode=20006,errorMsg=Lead not exist"', REJECTED),
        (200, b"errorCode=20006,errorMsg=Lead not exist", REJECTED),
        (200, b'[{"text":"errorCode=20006,errorMsg=mine"}]', DOUBT),
        (200, b'{"code":200058,"message":"User in token does not exist."}', CREDENTIAL),
        # Any other 2xx is no success that Lofty documents.
        (201, b'{"leadId":5}', DOUBT),
        (202, b"", DOUBT),
        (204, b"", DOUBT),
        (206, b'{"leadId":5}', DOUBT),
        # The row's own fault.
        (400, b'{"code":20012,"message":"INVALID_PARAMETER"}', REJECTED),
        (400, b"", REJECTED),
        (400, PAGE, REJECTED),
        (404, b'{"code":20006,"message":"Lead not exist"}', REJECTED),
        (404, b"", REJECTED),
        (403, b'{"code":20017,"message":"PERMISSION_DENIED"}', REJECTED),
        (405, b"", REJECTED),
        (413, b"", REJECTED),
        (415, b"", REJECTED),
        (422, b"", REJECTED),
        # Refused for its rate.
        (429, TOO_MANY, RATE),
        (429, b'"Too Many Requests"', RATE),
        (429, b"Rate limit exceeded", RATE),
        (429, b"", RATE),
        (429, PAGE, RATE),
        (429, b'{"code":429}', RATE),
        (429, b'{"leadId":5}', DOUBT),
        (429, b'{"leadId":0}', DOUBT),
        # A 400 only in Lofty's words, which must be all it says: a row may bring them, too.
        (400, TOO_MANY, RATE),
        (400, b'"Too Many Requests"', RATE),
        (400, b"Too many requests.", RATE),
        (400, b'{"message":"text: Too Many Requests"}', REJECTED),
        (400, b'{"message":"cannot read: our rate limit is 6 percent"}', REJECTED),
        (400, b'"rate limit"', REJECTED),
        (400, b"request limit", REJECTED),
        (400, b'{"code":20012,"message":"INVALID_PARAMETER: too many requests"}', REJECTED),
        (503, TOO_MANY, DOUBT),
        # The credential.
        (401, b'{"message":"BAD_CREDENTIALS"}', CREDENTIAL),
        (401, b"", CREDENTIAL),
        (400, b'{"code":200058,"message":"User in token does not exist."}', CREDENTIAL),
        (400, b'{"code":"200058"}', CREDENTIAL),
        (400, b'{"code":20004}', CREDENTIAL),
        (400, b'{"message":"errorCode=20004,errorMsg=token expired"}', CREDENTIAL),
        # Something between, or a wrong address.
        (401, PAGE, CONFIGURATION),
        (403, PAGE, CONFIGURATION),
        (403, NO_PERMISSION, CONFIGURATION),
        (407, b"", CONFIGURATION),
        (404, NO_ENDPOINT, CONFIGURATION),
        (301, b"", CONFIGURATION),
        (302, PAGE, CONFIGURATION),
        (304, b"", CONFIGURATION),
        (307, b'{"leadId":5}', CONFIGURATION),
        (308, b"", CONFIGURATION),
        # May be stored.
        (408, b"", DOUBT),
        (409, b'{"code":20012,"message":"INVALID_PARAMETER"}', DOUBT),
        (425, b"", DOUBT),
        (499, b"", DOUBT),
        (500, b'{"code":20005,"message":"INTERNAL_ERROR"}', DOUBT),
        (500, b'{"leadId":5}', DOUBT),
        (502, PAGE, DOUBT),
        (503, b"", DOUBT),
        (504, PAGE, DOUBT),
        (599, b"", DOUBT),
        (101, b"", DOUBT),
        (600, b"", DOUBT),
        (999, b"", DOUBT),
        (None, b"", DOUBT),
    ],
)
def test_what_an_answer_means(status: int | None, body: bytes, meaning: Meaning) -> None:
    assert verdict(status, body).meaning is meaning


@pytest.mark.parametrize(
    "beside",
    [
        '"code":20012', '"code":"20012"', '"code":-1', '"code":1', '"code":"0x0"', '"code":true', '"code":false',
        '"code":NaN', '"code":Infinity', '"code":[20012]', '"code":"OK"', '"code":"00020012"', '"code":201',
        '"code":"000000000000000020012"', '"code":"\u0662\u0660\u0660"', '"code":1e999',
        f'"code":{"9" * 5000}', f'"code":"{"9" * 5000}"', '"errorCode":20012', '"errorCode":"20012"',
        '"success":false', '"success":"true"', '"success":1', '"success":0', '"success":"false"', '"success":[]',
        '"error":"Bad Request"', '"error":true', '"error":1', '"error":{"code":5}', '"errors":["x"]', '"errors":{"a":1}',
        '"errorMsg":"Lead not exist"', '"errors":[null]', '"error":" "',
        '"message":"BaseApplicationException:errorCode=20006,errorMsg=Lead not exist"', '"message":"errorCode = 20006"',
        '"message":"errorCode=","code":0', '"message":"ERRORCODE=x"',
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", ['{%s,"leadId":5}', '{"leadId":5,%s}'])
def test_an_error_beside_the_leads_id_is_doubt(beside: str, order: str) -> None:
    found = verdict(200, order % beside)
    assert (found.meaning, found.lead_id, found.message) == (DOUBT, None, "an error beside the lead's id")


@pytest.mark.parametrize(
    "beside",
    [
        '"code":0', '"code":200', '"code":"0"', '"code":"200"', '"code":""', '"code":null', '"code":200.0', '"code":"000"',
        '"errorCode":0', '"errorCode":""', '"errorCode":null', '"success":true', '"success":null', '"error":null',
        '"error":false', '"error":0', '"error":""', '"errors":[]', '"errors":{}', '"errorMsg":""', '"errorMsg":null',
        '"message":"too many requests"', '"message":"INVALID_PARAMETER"', '"message":"an error"', '"msg":"error"',
        '"data":{"code":20012,"leadId":6}', '"data":{"a":1,"a":2}', '"status":"failed"', f'"more":{"9" * 5000}',
        '"message":"ok","code":200', '"message":["errorCode=1"]', '"errorcode":20012',
    ],
)  # fmt: skip
def test_nothing_else_speaks_against_the_leads_id(beside: str) -> None:
    found = verdict(200, f'{{"leadId":5,{beside}}}')
    assert (found.meaning, found.lead_id) == (DELIVERED, 5)


class TestAnotherLead:
    @staticmethod
    def answered(lead_id: int, *, is_reused: bool, beside: str = "") -> Any:
        body = f'{{"leadId":{lead_id}{beside}}}'.encode()
        return Answer(200, body=body, posted=Posted(5, b"{}"), is_reused=is_reused).verdict

    @pytest.mark.parametrize(
        ("lead_id", "is_reused", "meaning"),
        [(5, False, DELIVERED), (5, True, DELIVERED), (7, False, DELIVERED), (7, True, DOUBT)],
    )
    def test_is_believed_on_a_fresh_connection_only(self, lead_id: int, is_reused: bool, meaning: Meaning) -> None:
        found = self.answered(lead_id, is_reused=is_reused)
        assert (found.meaning, found.lead_id) == (meaning, lead_id)

    def test_beside_an_error_it_is_not_looked_for(self) -> None:
        found = self.answered(7, is_reused=True, beside=',"code":20012')
        assert (found.meaning, found.lead_id, found.code) == (DOUBT, None, 20012)

    def test_the_message_names_both(self) -> None:
        assert "lead 7 for lead 5" in self.answered(7, is_reused=True).message


@pytest.mark.parametrize("text", ["Too Many Requests", "we had too many requests", "TOO MANY REQUESTS!"])
def test_words_that_the_row_brought_are_no_rate_refusal(text: str) -> None:
    posted = Posted(5, json.dumps({"text": text}).encode())
    assert Answer(400, body=TOO_MANY, posted=posted).verdict.meaning is REJECTED
    assert Answer(429, body=TOO_MANY, posted=posted).verdict.meaning is RATE
    assert Answer(400, body=TOO_MANY, posted=Posted(5, b'{"text":"a home"}')).verdict.meaning is RATE


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("body", [b"", PAGE, b'{"leadId":5}'])
def test_a_429_with_one_of_loftys_headers_is_a_rate_refusal(name: str, body: bytes) -> None:
    assert Answer(429, {name: LIMITS[name]}, body).verdict.meaning is RATE


@pytest.mark.parametrize("status", [200, 201, 400, 404, 500, 503])
def test_rate_headers_alone_make_no_rate_refusal_of_another_status(status: int) -> None:
    assert Answer(status, LIMITS, b"").verdict.meaning is not RATE


@pytest.mark.parametrize("status", [401, 403])
def test_html_is_known_by_its_content_type_too(status: int) -> None:
    assert verdict(status, b"Sign in", content_type="Text/HTML; charset=utf-8").meaning is CONFIGURATION


@pytest.mark.parametrize("body", [b"  \n<!DOCTYPE html><p>", b"<HTML>", b"<head>", b"<body>"])
def test_a_page_is_never_quoted(body: bytes) -> None:
    assert verdict(502, body + b"12 Made Up Lane").message == "an HTML page"


@pytest.mark.parametrize("status", [None, 200, 400, 429, 500])
def test_what_never_left_is_never_in_doubt(status: int | None) -> None:
    assert Answer(status, sent=False, body=b'{"leadId":5}').verdict.meaning is Meaning.NEVER_SENT


@pytest.mark.parametrize(
    ("status", "said", "by_row", "by_lofty"),
    [
        (400, "errorCode=200058,errorMsg=x", REJECTED, CREDENTIAL),
        (404, "errorCode = 20006,errorMsg=x", REJECTED, REJECTED),
        (404, "The requested API endpoint does not exist", REJECTED, CONFIGURATION),
        (403, "errorCode=200100", REJECTED, CONFIGURATION),
        (200, "errorCode=20012", DOUBT, REJECTED),
    ],
)
@pytest.mark.parametrize("shape", ['{"message":"text: %s"}', '"%s"', "%s"])
def test_words_that_the_row_brought_say_nothing_of_it(
    status: int, said: str, by_row: Meaning, by_lofty: Meaning, shape: str
) -> None:
    for text, meaning in ((said, by_row), ("a home", by_lofty)):
        found = Answer(status, body=(shape % said).encode(), posted=Posted(5, json.dumps({"text": text}).encode()))
        assert found.verdict.meaning is meaning
        assert not (text == said and found.verdict.code)


def test_a_code_of_its_own_is_loftys_whatever_the_row_says() -> None:
    posted = Posted(5, b'{"text":"errorCode=20006"}')
    assert Answer(400, body=b'{"code":20012,"message":"errorCode=20006"}', posted=posted).verdict.code == 20012


class TestErrorBodies:
    @pytest.mark.parametrize(
        ("body", "code", "message"),
        [
            ('{"code":20012,"message":"INVALID_PARAMETER"}', 20012, "INVALID_PARAMETER"),
            ('{"code":"20012","message":"INVALID_PARAMETER"}', 20012, "INVALID_PARAMETER"),
            (
                '{"message":"BaseApplicationException:errorCode=20006,errorMsg=Lead not exist"}',
                20006,
                "Lead not exist",
            ),
            ('{"message":"errorCode = 20006 , errorMsg = Lead not exist "}', 20006, "Lead not exist"),
            ('{"message":"errorCode=20006"}', 20006, ""),
            ('"INVALID_PARAMETER"', None, "INVALID_PARAMETER"),
            ('"errorCode=20006,errorMsg=Lead not exist"', 20006, "Lead not exist"),
            ("INVALID_PARAMETER", None, "INVALID_PARAMETER"),
            ("errorCode=20006,errorMsg=Lead not exist", 20006, "Lead not exist"),
            ("", None, ""),
            ('{"timestamp":1,"status":400,"error":"Bad Request"}', None, "Bad Request"),
            ('{"code":20012}', 20012, ""),
            ('{"code":-1,"message":"no"}', -1, "no"),
        ],
    )
    def test_all_five_shapes_are_read(self, body: str, code: int | None, message: str) -> None:
        found = verdict(400, body)
        assert (found.code, found.message) == (code, message)

    def test_a_long_message_is_cut(self) -> None:
        assert len(verdict(400, json.dumps({"message": "x" * 10**6})).message) == 200

    def test_half_a_character_becomes_one_that_can_be_written(self) -> None:
        assert verdict(400, '{"message":"bad \\ud800"}').message.encode()

    def test_a_missing_lead_is_distinguished_from_other_rejections(self) -> None:
        assert names_missing_lead(verdict(404, '{"code":20006}'))
        assert names_missing_lead(verdict(404, '{"message":"errorCode=20006,errorMsg=Lead not exist"}'))
        assert not names_missing_lead(verdict(404, ""))
        assert not names_missing_lead(verdict(400, '{"code":20012}'))
        assert not names_missing_lead(verdict(500, '{"code":20006}'))


class TestVerdict:
    def test_it_names_the_lead_that_lofty_answered_with(self) -> None:
        assert verdict(200, '{"leadId":7}').lead_id == 7

    def test_no_answer_is_reported_by_the_kind_of_failure(self) -> None:
        assert Answer(None, failure="ReadTimeout").verdict.message == "no answer: ReadTimeout"

    def test_a_success_without_an_id_says_what_is_missing(self) -> None:
        assert verdict(200, "{}").message == "an answer without the lead's id"


NINES = b"9" * 5000


@pytest.mark.parametrize(
    ("body", "on_200"),
    [
        (b'{"leadId":' + NINES + b"}", DOUBT),
        (b'{"code":' + NINES + b"}", DOUBT),
        (b'{"code":' + b"9" * 40 + b"}", DOUBT),
        (b'{"code":1e999}', DOUBT),
        (b'{"code":NaN}', DOUBT),
        (b'{"code":20012.0}', DOUBT),
        (b'{"code":true}', DOUBT),
        (b'{"code":[20012]}', DOUBT),
        (b'{"code":"E20012"}', DOUBT),
        (b'{"code":""}', DOUBT),
        ('{"code":"²"}'.encode(), DOUBT),
        (b'{"code":null,"message":null,"error":null}', DOUBT),
        (b'{"message":["errorCode=20006"]}', DOUBT),
        (b'{"message":{"errorCode":20006}}', DOUBT),
        (b'{"error":' + b"[" * 900 + b"]" * 900 + b"}", DOUBT),
        (b"[" * 100_000, DOUBT),
        (b'{"a":' * 100_000, DOUBT),
        (b"\xff\xfe\xfd", DOUBT),
        (b'{"leadId":5,"text":"\xff"}', DOUBT),
        (b"\x00" * 10, DOUBT),
        (b'\xff\xfe{\x00"', DOUBT),
        (b"{'leadId': 5}", DOUBT),
        (b"Infinity", DOUBT),
        (b'{"leadId":5}{"leadId":5}', DOUBT),
        (b'{"code":"' + NINES + b'"}', REJECTED),
        (b'{"message":"errorCode=' + NINES + b'"}', REJECTED),
    ],
    ids=lambda value: repr(value)[:25] if isinstance(value, bytes) else None,
)
def test_a_hostile_body_is_read_without_harm(body: bytes, on_200: Meaning) -> None:
    found = verdict(200, body)
    assert found.meaning is on_200
    assert verdict(500, body).meaning is DOUBT
    assert verdict(422, body).meaning is REJECTED
    assert found.code is None or abs(found.code) < 2**63


@given(
    status=st.none() | st.integers(100, 999),
    body=st.binary(max_size=30)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["leadId", "code", "message", "error", "success"]), inner, max_size=3)
        ),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode()),
    headers=st.dictionaries(st.sampled_from([*LIMITS, "content-type"]), st.text(max_size=5), max_size=2),
)
def test_any_answer_has_a_meaning_and_none_but_a_200_is_a_success(
    status: int | None, body: bytes, headers: dict[str, str]
) -> None:
    found = Answer(status, headers, body).verdict
    found.message.encode()
    assert found.meaning is not Meaning.NEVER_SENT
    assert found.meaning is not DELIVERED or (status == 200 and 0 < json.loads(body)["leadId"] < 2**63)
    if status is None or status >= 500 or 100 <= status < 200 or 200 < status < 300:
        assert found.meaning is DOUBT
