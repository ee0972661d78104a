"""Who may see the pages, what they are asked for, and what they answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_lofty import ui
from airflow_provider_lofty.ui.index import SORTS

from .conftest import Ran, token

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

ASKED = ("", "/standing", "/groups", "/list", "/report", "/report?rows=failed")

STATIC = sorted(file.name for file in (Path(str(ui.__file__)).parent / "static").iterdir())

pytestmark = [
    # Airflow's own code, which these tests run whole, warns about itself.
    pytest.mark.filterwarnings("default"),
]


class TestAccess:
    """Airflow decides who is there and what that user may read."""

    @pytest.mark.parametrize("asked", ASKED)
    def test_nobody_gets_nothing(self, client: TestClient, ran: Ran, asked: str) -> None:
        answer = client.get(ran.url(asked))
        assert answer.status_code == 401
        assert "lofty_from_task" not in answer.text

    @pytest.mark.parametrize("asked", ASKED)
    @pytest.mark.parametrize("how", ["bearer", "cookie"])
    def test_a_user_without_the_right_to_the_dag_gets_nothing(
        self, client: TestClient, ran: Ran, asked: str, how: str
    ) -> None:
        if how == "bearer":
            client.headers["Authorization"] = f"Bearer {token(None)}"
        else:
            client.cookies.set("_token", token(None))
        assert client.get(ran.url(asked)).status_code == 403

    @pytest.mark.parametrize("asked", ASKED)
    def test_a_token_that_is_none_is_refused(self, client: TestClient, ran: Ran, asked: str) -> None:
        client.headers["Authorization"] = "Bearer made.up.token"
        assert client.get(ran.url(asked)).status_code in (401, 403)

    @pytest.mark.parametrize("asked", ASKED)
    def test_the_cookie_of_airflows_page_is_enough(self, client: TestClient, ran: Ran, asked: str) -> None:
        client.cookies.set("_token", token("VIEWER"))
        assert client.get(ran.url(asked)).status_code == 200

    def test_the_right_that_is_asked_for_is_to_this_dags_xcoms(
        self, viewer: TestClient, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.api_fastapi.app import get_auth_manager

        asked = []

        def is_authorized_dag(*, method: str, access_entity: Any, details: Any, user: Any) -> bool:
            asked.append((method, access_entity.value, details.id))
            return details.id != ran.dag_id

        monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", is_authorized_dag)
        assert [viewer.get(ran.url(path)).status_code for path in ASKED] == [403] * len(ASKED)
        assert set(asked) == {("GET", "XCOM", ran.dag_id)}

    def test_nothing_but_style_and_script_is_for_everybody(self, client: TestClient) -> None:
        assert {"base.css", "rows.css", "rows.js"} <= set(STATIC)
        found = {name: client.get(f"/lofty/static/{name}").status_code for name in STATIC}
        assert found == dict.fromkeys(STATIC, 200)
        for path in ("/lofty/", "/lofty/docs", "/lofty/openapi.json", "/lofty/static/../app.py"):
            assert client.get(path).status_code in (307, 404), path


class TestAsking:
    """What is asked for, rightly or wrongly."""

    def test_the_page_sorts_by_what_it_may_ask_for(self) -> None:
        script = (Path(str(ui.__file__)).parent / "static" / "view.js").read_text(encoding="utf-8")
        sorts = re.findall(r'"(\w+)"', re.findall(r"^const SORTS = (.*);$", script, re.MULTILINE)[0])
        assert {*sorts, *(f"-{name}" for name in sorts)} == SORTS

    @pytest.mark.parametrize(
        "ids",
        [
            {"dag_id": "no_such_dag"},
            {"run_id": "no_such_run"},
            {"task_id": "no_such_task"},
            {"map_index": "7"},
            {"map_index": "0" * 12 + "7"},
            {"map_index": "99999999999999999999"},
            {"map_index": "9" * 5000},
            {"dag_id": "nul\0"},
            {"task_id": "\N{HOUSE BUILDING}<script>"},
            {"run_id": "x" * 5000},
        ],
        ids=lambda ids: "-".join(f"{name}={value[:20]!r}" for name, value in ids.items()),
    )
    @pytest.mark.parametrize("asked", ASKED[1:])
    def test_what_airflow_does_not_know_is_not_found(
        self, viewer: TestClient, ran: Ran, ids: dict[str, str], asked: str
    ) -> None:
        answer = viewer.get(ran.url(asked, **ids))
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/json"

    @pytest.mark.parametrize("number", ["7", "999999999"])
    @pytest.mark.parametrize("asked", ASKED[1:])
    def test_a_try_that_never_was_is_not_found(self, viewer: TestClient, ran: Ran, asked: str, number: str) -> None:
        assert viewer.get(ran.url(f"{asked}{'&' if '?' in asked else '?'}try={number}")).status_code == 404

    @pytest.mark.parametrize(
        "wrong", ["try=-1", "try=x", "try=9999999999999", "page=0", "page=x", "text=name", "group=x", "sort=x"]
    )
    def test_a_parameter_that_is_none_is_refused(self, viewer: TestClient, ran: Ran, wrong: str) -> None:
        assert viewer.get(ran.url(f"/list?{wrong}")).status_code == 422

    def test_pages_are_not_kept_run_or_framed_elsewhere(self, viewer: TestClient, ran: Ran) -> None:
        for asked in ASKED:
            headers = viewer.get(ran.url(asked)).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
            assert "frame-ancestors 'self'" in headers["content-security-policy"]

    def test_the_page_loads_nothing_from_elsewhere(self, viewer: TestClient, ran: Ran) -> None:
        page = viewer.get(ran.url()).text
        for text in (page, *(viewer.get(f"/lofty/static/{name}").text for name in STATIC)):
            assert "//" not in text.replace("// ", "").replace("://", "//") or "http" not in text
