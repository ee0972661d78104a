"""Nothing private is told: no value of a row and no credential, whatever a server makes of them."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from support.practice import row, run, task_instance, write_csv

from airflow_provider_lofty.report.format import FORMAT_MARK

KEY = "eyJ0b3BTZWNyZXRLZXk" + "Q2h1cnJv" * 16
MARKS = {
    "text": "Marigold Quillfeather asked for a viewing at Tumbledown Cottage " * 8,
    "link": "https://homes.example.com/quillfeather?ref=hollyhock",
    "picture": "https://pictures.example.com/periwinkle.jpg",
    "page_name": "Snapdragon form",
    "scheduled_date": "Friday, foxglove o'clock",
    "listing.street_address": "12 Larkspur Lane",
    "listing.note": "Ask Zinnia\nabout the “gate”, code 47110815",
    "listing.price": 654_321_987,
    "agent": "ignored-columbine",
}
PRIVATE = (
    "Marigold", "Quillfeather", "Tumbledown", "hollyhock", "periwinkle", "Snapdragon", "foxglove", "Larkspur",
    "Zinnia", "47110815", "654321987", "columbine", "topSecret", "eyJ0b3B", "Q2h1cnJv", "Q2h1cn",
)  # fmt: skip

Reply = Callable[["_Echo", str], tuple[int, str, str]]


class _Echo(BaseHTTPRequestHandler):
    """Answers with everything it was told."""

    protocol_version = "HTTP/1.1"
    reply: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        status, kind, said = type(self).reply(self, body)
        content = said.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.send_header("x-echo", str(self.headers["authorization"]))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


def _everything(echo: _Echo, body: str) -> str:
    return f"{echo.headers} {body}"


def _values(body: str) -> str:
    activity = json.loads(body)
    found = [*activity.values(), *activity.get("listing", {}).values()]
    return ", ".join(str(value) for value in found if not isinstance(value, dict))


REPLIES: dict[str, Callable[[_Echo, str], str]] = {
    "whole_request": _everything,
    "headers": lambda echo, body: f"Authorization: {echo.headers['authorization']}",
    "cut_header": lambda echo, body: f"bad credential {echo.headers['authorization'][:60]}",
    "values": lambda echo, body: f"cannot store {_values(body)}",
    "shouted_values": lambda echo, body: f"cannot store {_values(body)}".upper(),
    "text": lambda echo, body: f"text is too long: {json.loads(body)['text']}",
    "end_of_text": lambda echo, body: f"text ends with {json.loads(body)['text'][-40:]}",
    "each_value": lambda echo, body: f"{json.loads(body)['listing']} and {json.loads(body)['pageName']}",
    "note_and_price": lambda echo, body: "note {note} price {price}".format(**json.loads(body)["listing"]),
}
SHAPES: dict[str, Callable[[int, str], tuple[int, str, str]]] = {
    "code": lambda status, said: (status, "application/json", json.dumps({"code": 20012, "message": said})),
    "embedded": lambda status, said: (
        status,
        "application/json",
        json.dumps({"message": f"BaseApplicationException:errorCode=20012,errorMsg={said}"}),
    ),
    "json_string": lambda status, said: (status, "application/json", json.dumps(said)),
    "text": lambda status, said: (status, "text/plain", said),
    "html": lambda status, said: (status, "text/html", f"<html><body>{said}</body></html>"),
}


@pytest.fixture
def echo(starts_server: None, connect: Any) -> Iterator[type[_Echo]]:
    handler = type("Handler", (_Echo,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    connect(f"http://127.0.0.1:{server.server_port}", password=KEY)
    yield handler
    server.shutdown()
    server.server_close()


# Times of log lines and ports of servers may hold any digits.
CLOCK = re.compile(r"\d\d:\d\d:\d\d[.,]\d+|127\.0\.0\.1:\d+|\b\d{5}\b")  # a port may stand alone


def private_in(told: str) -> list[str]:
    told = CLOCK.sub("", told).casefold()
    return [mark for mark in PRIVATE if mark.casefold() in told]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[..., str]:
    """Give a function that runs the operator and returns all that was told, anywhere."""
    caplog.set_level(logging.DEBUG)

    def told(**arguments: Any) -> str:
        ti = task_instance()
        ended = run(ti, on_unknown="report", **arguments)  # no proof is waited for
        parts = [
            json.dumps([ended.returned, ti.xcom], ensure_ascii=False),
            *ended.log,
            caplog.text,
            *capsys.readouterr(),
        ]
        if ended.error is not None:
            parts += [repr(ended.error), *traceback.format_exception(ended.error)]
        return "\n".join(parts)

    return told


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("status", [400, 500])
def test_what_a_server_echoes_is_told_nowhere(
    echo: type[_Echo], told: Callable[..., str], status: int, reply: str, shape: str
) -> None:
    echo.reply = staticmethod(lambda request, body: SHAPES[shape](status, REPLIES[reply](request, body)))
    text = told(rows=[row(1, **MARKS)], check_existing="never")
    assert ("rejected" if status == 400 else "unknown") in text
    assert private_in(text) == []


@pytest.mark.parametrize("form", ["percent", "html", "json", "base64"])
@pytest.mark.parametrize("reply", ["headers", "values", "note_and_price"])
def test_nor_in_another_form(echo: type[_Echo], told: Callable[..., str], reply: str, form: str) -> None:
    encode: Callable[[str], str] = {
        "percent": lambda said: quote(said, safe=""),
        "html": lambda said: "".join(f"&#{ord(character)};" for character in said),
        "json": lambda said: json.dumps(said)[1:-1],
        "base64": lambda said: base64.b64encode(said.encode()).decode(),
    }[form]
    echo.reply = staticmethod(lambda request, body: SHAPES["code"](400, encode(REPLIES[reply](request, body))))
    text = told(rows=[row(1, **MARKS)], check_existing="never")
    assert "1 rejected" in text
    assert private_in(text) == []
    assert private_in(unquote(html.unescape(text))) == []


@pytest.mark.parametrize("status", [200, 302, 401, 403, 404, 407, 500])
def test_nor_with_any_other_status(echo: type[_Echo], told: Callable[..., str], status: int) -> None:
    echo.reply = staticmethod(lambda request, body: SHAPES["code"](status, _everything(request, body)))
    assert private_in(told(rows=[row(1, **MARKS)])) == []


@pytest.mark.parametrize("kind", ["rows", "csv", "report"])
def test_no_value_of_an_invalid_row_is_told(
    lofty: Any, connect: Any, told: Callable[..., str], tmp_path: Path, kind: str
) -> None:
    connect(lofty)
    bad = {**row(1), **MARKS, "lead_id": MARKS["text"], "type": MARKS["page_name"], "created": MARKS["link"]}
    bad |= {"listing.price": "Larkspur 654321987", "listing.mail_address": "Zinnia"}
    source: dict[str, Any] = {"rows": [bad]}
    if kind == "csv":
        source = {"path": write_csv(tmp_path / "a.csv", [bad])}
    elif kind == "report":
        fate = {"lofty_outcome": "Marigold", "lofty_fingerprint": FORMAT_MARK}
        source = {"path": write_csv(tmp_path / "a.csv", [{**bad, **fate}])}
    text = told(**source)
    assert "1 invalid" in text
    assert private_in(text) == []


def test_no_value_is_told_of_rows_that_go_well_or_repeat(lofty: Any, connect: Any, told: Callable[..., str]) -> None:
    connect(lofty)
    rows = [row(1, **MARKS), row(1, **MARKS), row(1, **{**MARKS, "page_name": "other"}), row(2, **MARKS)]
    text = told(rows=rows, unique_key=["lead_id", "text"], max_failed_rows=1)
    assert lofty.activities[0].body["text"] == MARKS["text"]
    assert private_in(text) == []


@pytest.mark.parametrize("auth_type", ["api_key", "access_token"])
def test_a_preview_shows_no_credential_and_no_more_than_its_requests(
    lofty: Any, connect: Any, told: Callable[..., str], auth_type: str
) -> None:
    connect(lofty, password=KEY, extra={"auth_type": auth_type})
    text = told(rows=[row(n) for n in range(1, 4)] + [row(4, **MARKS)], preview=True)
    assert f"Authorization: {'token' if auth_type == 'api_key' else 'Bearer'} ***" in text
    assert KEY not in text
    assert private_in(text) == []


@pytest.mark.parametrize("password", [KEY, f"{KEY}\u2028", f"token {KEY}"])
def test_a_credential_that_is_refused_is_not_told(
    lofty: Any, connect: Any, told: Callable[..., str], password: str
) -> None:
    connect(lofty, password=password)
    text = told(rows=[row(1, **MARKS)])
    assert "refused the credential" in text
    assert private_in(text) == []


def test_a_line_that_a_server_makes_up_is_no_line_of_the_log(echo: type[_Echo], told: Callable[..., str]) -> None:
    echo.reply = staticmethod(lambda request, body: SHAPES["code"](400, "bad\n2026-03-01 INFO all is well"))
    assert "\n2026-03-01 INFO all is well" not in told(rows=[row(1)])


COLOURED = "agent \x1b[31mred\x1b[0m\u202e\r"


@pytest.mark.parametrize("said", ["\x1b[2J\x1b[31mall is well", "all\x07 is\u202e well\x00"])
def test_what_a_server_says_colours_and_hides_no_line(echo: type[_Echo], told: Callable[..., str], said: str) -> None:
    echo.reply = staticmethod(lambda request, body: SHAPES["code"](400, said))
    text = told(rows=[row(1)], check_existing="never")
    assert "all" in text
    assert [line for line in text.split("\n") if not printable_but_tabs(line)] == []


@pytest.mark.parametrize("kind", ["rows", "csv"])
@pytest.mark.parametrize("required", ["lead_id", "no_lead"])
def test_nor_does_the_name_of_a_column(
    lofty: Any, connect: Any, told: Callable[..., str], tmp_path: Path, kind: str, required: str
) -> None:
    connect(lofty)
    rows = [{COLOURED: "x", **row(1), "lead_id\x1b[1m": 1}]
    rows[0][required] = rows[0].pop("lead_id")
    text = told(**({"rows": rows} if kind == "rows" else {"path": write_csv(tmp_path / "a\x1b[31m.csv", rows)}))
    assert [line for line in text.split("\n") if not printable_but_tabs(line)] == []


def printable_but_tabs(line: str) -> bool:
    return line.replace("\t", "").isprintable()


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"defaults": {"type": "Browse", "picture": ""}},
        {"mapping": {"text": "Quillfeather's words"}, "unique_key": "crm id"},
        {"mapping": {name: lambda row: row["marigold_quillfeather"] for name in ("leadId", "type", "text", "created", "link", "picture")}},
    ],
    ids=["none", "defaults", "names", "functions"],
)  # fmt: skip
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_no_value_is_told_of_a_file_whose_first_line_is_a_row(
    lofty: Any, connect: Any, told: Callable[..., str], tmp_path: Path, arguments: dict[str, Any], delimiter: str
) -> None:
    connect(lofty)
    cells = [
        "5",
        "Browsed",
        "Marigold-Quillfeather",
        "Linkley Hollyhock",
        "Textor Snapdragon",
        "2026-03-01",
        "Larkspur Lane 12",
    ]
    file = tmp_path / "a.csv"
    file.write_text("\n".join([delimiter.join(cells)] * 3))
    text = told(path=str(file), file_options={"delimiter": delimiter}, **arguments)
    assert "columns=[…]" in text
    marks = ("Marigold-Q", "Browsed", "Hollyhock", "Linkley", "Textor", "Snapdragon", "Larkspur")
    assert [mark for mark in marks if mark.casefold() in text.casefold()] == []
    assert lofty.activities == []
