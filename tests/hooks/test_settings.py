"""From a connection to settings: what each field means, and what is wrong with one, without its value."""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import Any

import pytest
from airflow.sdk import Connection
from hypothesis import given, strategies as st

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.hooks.settings import clean_secret, settings_from
from airflow_provider_lofty.lofty.settings import LoftySettings

OAUTH = {"client_id": "cid", "client_secret": "csecret", "customer_key": "ckey", "refresh_token": "rtoken"}


def settings(extra: dict[str, Any] | str | None = None, **fields: Any) -> LoftySettings:
    text = extra if isinstance(extra, str) else json.dumps(extra or {})
    return settings_from(Connection(conn_id="crm", conn_type="lofty", extra=text, **{"password": "key", **fields}))


def refusal(extra: dict[str, Any] | str | None = None, **fields: Any) -> str:
    with pytest.raises(LoftyConfigurationError) as caught:
        settings(extra, **fields)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_connection_with_a_password_only_has_safe_defaults() -> None:
    found = settings()
    assert (found.base_url, found.auth_type, found.password) == ("https://api.lofty.com", "api_key", "key")
    assert (found.requests_per_minute, found.max_in_flight) == (None, 16)
    assert (found.timeout_seconds, found.settle_seconds) == (30, 60)


def test_a_connection_with_every_field() -> None:
    extra = {
        **OAUTH, "auth_type": "refresh_token", "token_url": "https://tokens.example.com/t", "requests_per_minute": 100,
        "max_in_flight": 4, "timeout_seconds": 10, "settle_seconds": 20,
        "lead_url": "https://crm.example.com/leads/{lead_id}",
    }  # fmt: skip
    found = settings(extra, host="https://lofty.example.com")
    assert astuple(found) == (
        "crm", "https://lofty.example.com", "refresh_token", "https://tokens.example.com/t", "key", "cid", "csecret", "ckey",
        "rtoken", 100, 4, 10, 20, None, None, "https://crm.example.com/leads/{lead_id}",
    )  # fmt: skip


def test_numbers_may_be_text_as_a_uri_gives_them() -> None:
    extra = {"requests_per_minute": "100", "max_in_flight": "4", "timeout_seconds": "1.5", "settle_seconds": "0"}
    found = settings(extra)
    assert (found.requests_per_minute, found.max_in_flight) == (100, 4)
    assert (found.timeout_seconds, found.settle_seconds) == (1.5, 0)


class TestLeadUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "https://crm.example.com/leads/{lead_id}",
            " https://crm.example.com:8443/leads?id={lead_id}&tab=activity ",
            "HTTPS://crm.example.com/#/leads/{lead_id}/timeline",
            "https://crm.example.com?{lead_id}",
        ],
    )
    def test_a_page_of_one_site_is_taken_as_it_is(self, url: str) -> None:
        assert settings({"lead_url": url}).lead_url == url.strip()

    @pytest.mark.parametrize(
        "url",
        [
            "http://crm.example.com/{lead_id}", "javascript:alert({lead_id})", "//crm.example.com/{lead_id}",
            "https://crm.example.com/", "https://crm.example.com/{lead_id}/{lead_id}", "https://crm.example.com/{id}",
            "https://crm.example.com/{lead_id}/{tab}", "https://{lead_id}.example.com/", "https://crm.{lead_id}/x",
            "https://ada:secret@crm.example.com/{lead_id}", "https://crm.example.com:{lead_id}/",
            "https://crm.example.com\\@evil.example.com/{lead_id}", "https://crm.example.com/ /{lead_id}",
            "https://crm.example.com/\n{lead_id}", "https:///{lead_id}", "https://-/{lead_id}", "https:crm/{lead_id}",
            "https://crm.example.com/" + "x" * 500 + "{lead_id}", "https://crm.example.com/\u202e{lead_id}", 7, ["x"],
        ],
    )  # fmt: skip
    def test_another_is_refused_without_its_text(self, url: Any) -> None:
        said = refusal({"lead_url": url})
        assert "lead_url must" in said
        assert "secret" not in said


def test_an_empty_extra_field_is_as_none() -> None:
    assert settings({"auth_type": "", "timeout_seconds": None, "token_url": ""}) == settings()


class TestHost:
    @pytest.mark.parametrize(
        ("fields", "url"),
        [
            ({"host": None}, "https://api.lofty.com"),
            ({"host": ""}, "https://api.lofty.com"),
            ({"host": " https://lofty.example.com/ "}, "https://lofty.example.com"),
            ({"host": "https://lofty.example.com/v1.0/"}, "https://lofty.example.com"),
            ({"host": "https://lofty.example.com/v2.0"}, "https://lofty.example.com"),
            ({"host": "https://lofty.example.com/gateway"}, "https://lofty.example.com/gateway"),
            ({"host": "lofty.example.com"}, "https://lofty.example.com"),
            ({"host": "lofty.example.com", "port": 8443}, "https://lofty.example.com:8443"),
            ({"host": "lofty.example.com", "port": 443}, "https://lofty.example.com"),
            ({"port": 443}, "https://api.lofty.com"),
            ({"port": 0}, "https://api.lofty.com"),
            ({"host": "https://lofty.example.com:8443", "port": 8443}, "https://lofty.example.com:8443"),
            ({"host": "https://lofty.example.com:8443", "port": 0}, "https://lofty.example.com:8443"),
            ({"host": "127.0.0.1", "schema": "HTTP", "port": 80}, "http://127.0.0.1"),
            ({"host": "127.0.0.1", "schema": "http", "port": 443}, "http://127.0.0.1:443"),
            ({"host": "https://lofty.example.com:443", "port": 443}, "https://lofty.example.com"),
            (
                {"host": "https://lofty.example.com/gateway/v1.0", "port": 8443},
                "https://lofty.example.com:8443/gateway",
            ),
            ({"host": "lofty.example.com.:8443"}, "https://lofty.example.com:8443"),
            ({"host": "[::1]:8765", "schema": "http"}, "http://[::1]:8765"),
            ({"host": "http://localhost:8765"}, "http://localhost:8765"),
            ({"host": "http://[::1]:8765"}, "http://[::1]:8765"),
            ({"host": "http://[::ffff:127.0.0.1]"}, "http://127.0.0.1"),
        ],
    )
    def test_it_is_the_base_url(self, fields: dict[str, Any], url: str) -> None:
        assert settings(**fields).base_url == url

    @pytest.mark.parametrize("host", ["https://lofty.example.com:1", "lofty.example.com:443", "http://[::1]:8765/v1.0"])
    def test_it_names_no_other_port_than_the_port(self, host: str) -> None:
        assert "host names another port than port does; leave one of them empty" in refusal(host=host, port=8443)

    @pytest.mark.parametrize(
        "host",
        ["http://api.lofty.com", "HTTP://api.lofty.com", "http://localhost.example.com", "http://127.0.0.1.example.com",
         "http://10.0.0.1", "http://0.0.0.0", "http://[::2]", "http://[::ffff:10.0.0.1]", "http://localhost.com",
         "http://foo.localhost", "http://127-0-0-1"],
    )  # fmt: skip
    def test_plain_http_is_for_this_machine_only(self, host: str) -> None:
        assert "must begin with https://" in refusal(host=host)

    @pytest.mark.parametrize("token_url", ["http://api.lofty.com/oauth/token", "ftp://api.lofty.com", "oauth/token"])
    def test_the_token_url_is_held_to_the_same(self, token_url: str) -> None:
        said = refusal({**OAUTH, "auth_type": "refresh_token", "token_url": token_url})
        assert said.startswith("the connection 'crm': token_url must")

    @pytest.mark.parametrize(
        "host",
        ["https://", "ftp://lofty.example.com", "https://[::1", "https://lofty.example.com:SECRET", "https:///SECRET",
         "https://user:SECRET@lofty.example.com", "https://lofty.example.com?key=SECRET", "https://a.example.com#SECRET",
         "https://SECRET@localhost", "https://lofty.example.com:99999", "javascript://SECRET", "https://[10.0.0.1]",
         "https://[v1.SECRET]", "https://[::1]SECRET", "https://SECRET[::1]", "https://.SECRET", "https://SECRET .com",
         "https://*.SECRET", "https://SECRET:0", "https://SECRET:-5", "https://SECRET:70000", "https://SECRET:abc",
         "https://a..SECRET", "https://SECRET..", "https://-SECRET", "https://SECRET-.com", "https://a,SECRET", "https://SECRET!",
         "https://$SECRET", "https://SECRET%20.com", "https://SECRET%00", "https://::1SECRET", "::1", "https://SECRET.1",
         "https://10.0.0.300", "https://127.1", "https://2130706433", "https://0x7f.1", "https://SECRET.0x7f", "https:/SECRET",
         "https:SECRET", "https://fe80::SECRET", "https://[fe80::1%25SECRET]", f"https://{'s' * 64}.SECRET",
         "https://" + "SECRET." * 40 + "com", "https://SECRET\\@example.com", "https://a@b@SECRET", "https://\uff21.SECRET", "https://SECRET\u3002com",
         "https://https://SECRET", "https://SECRET\0.com", "\0https://SECRET", "ht\ttps://SECRET", f"https://{'é' * 60}SECRET"],
    )  # fmt: skip
    def test_anything_that_is_not_a_base_url_is_refused_and_not_quoted(self, host: str) -> None:
        said = refusal(host=host)
        assert said.startswith("the connection 'crm': host must")
        assert "SECRET" not in said


class TestAuthType:
    @pytest.mark.parametrize("auth_type", ["api_key", " API_KEY ", "Api_Key"])
    def test_its_case_does_not_matter(self, auth_type: str) -> None:
        assert settings({"auth_type": auth_type}).auth_type == "api_key"

    @pytest.mark.parametrize("auth_type", ["bearer", "token", ["api_key"], {"a": 1}, 5, True])
    def test_there_are_four(self, auth_type: Any) -> None:
        assert "must be one of api_key, access_token, client_credentials, refresh_token" in refusal(
            {"auth_type": auth_type}
        )

    @pytest.mark.parametrize(
        ("auth_type", "needed"),
        [
            ("api_key", ("password",)),
            ("access_token", ("password",)),
            ("client_credentials", ("client_id", "client_secret")),
            ("refresh_token", ("client_id", "client_secret", "refresh_token")),
        ],
    )
    def test_each_says_which_field_it_lacks(self, auth_type: str, needed: tuple[str, ...]) -> None:
        for name in needed:
            extra = {**OAUTH, "auth_type": auth_type}
            fields: dict[str, Any] = {"password": " \u2028"} if name == "password" else {"password": "key"}
            if name != "password":
                extra[name] = "\ufeff"
            assert f"auth_type {auth_type!r} needs {name}, which is empty" in refusal(extra, **fields)

    def test_client_credentials_take_the_password_for_the_customer_key(self) -> None:
        extra = {**OAUTH, "auth_type": "client_credentials", "customer_key": None}
        assert settings(extra).customer_key == "key"
        assert "needs customer_key" in refusal(extra, password=None)

    @pytest.mark.parametrize(
        ("auth_type", "host", "url"),
        [
            ("client_credentials", None, "https://api.lofty.com/oauth/token"),
            ("client_credentials", "http://127.0.0.1:1", "http://127.0.0.1:1/oauth/token"),
            ("refresh_token", None, "https://crm.lofty.com/api/user-web/oauth/token"),
            ("refresh_token", "http://127.0.0.1:1", "http://127.0.0.1:1/api/user-web/oauth/token"),
        ],
    )
    def test_each_has_a_token_url_of_its_own(self, auth_type: str, host: str | None, url: str) -> None:
        assert settings({**OAUTH, "auth_type": auth_type}, host=host).token_url == url


class TestNumbers:
    @pytest.mark.parametrize("name", ["requests_per_minute", "max_in_flight", "timeout_seconds", "settle_seconds"])
    @pytest.mark.parametrize("value", ["many", [1], {"a": 1}, "nan", "inf", -1, "1e999", 10**9])
    def test_anything_but_a_number_within_its_bounds_is_refused_by_name(self, name: str, value: Any) -> None:
        assert refusal({name: value}).startswith(f"the connection 'crm': {name} must be ")

    @pytest.mark.parametrize("name", ["requests_per_minute", "max_in_flight", "timeout_seconds"])
    def test_zero_is_too_small(self, name: str) -> None:
        assert name in refusal({name: 0})


class TestSecrets:
    @pytest.mark.parametrize(
        "pasted",
        ["KEY\u2028", "\ufeffKEY", "KEY\n", "KEY\r\n", " KEY ", "K\u200bE\u00adY", "KEY\u2029", "K\tE\vY", "\u202aKEY\u202c",
         "KEY\u00a0", "KEY\0", "token KEY", "Bearer KEY", "TOKEN\u2028KEY", "\ufefftoken KEY"],
    )  # fmt: skip
    def test_what_cannot_be_seen_is_taken_out(self, pasted: str) -> None:
        assert settings(password=pasted).password == "KEY"

    @pytest.mark.parametrize("pasted", ["kéy", "кey", "key…", "key🔑", "ｋｅｙ"])
    @pytest.mark.parametrize("name", ["password", "client_id", "client_secret", "customer_key", "refresh_token"])
    def test_a_character_that_no_header_can_hold_is_refused_by_field(self, name: str, pasted: str) -> None:
        fields = {"password": pasted} if name == "password" else {}
        said = refusal({} if fields else {**OAUTH, name: pasted}, **fields)
        assert (
            said
            == f"the connection 'crm': {name} contains a character that an HTTP header cannot carry; copy it again from Lofty"
        )

    @given(st.text(st.characters(codec=None)) | st.text(" \u2028\ufeff\r\nabc\0é"))
    def test_a_cleaned_secret_can_be_a_header(self, pasted: str) -> None:
        try:
            cleaned = clean_secret("password", pasted)
        except ValueError as error:
            assert "an HTTP header cannot carry" in str(error)
        else:
            assert all("!" <= character <= "~" for character in cleaned)

    def test_none_of_them_is_in_the_repr(self) -> None:
        found = settings({**OAUTH, "auth_type": "client_credentials"})
        assert not any(secret in repr(found) for secret in ("'key'", "cid", "csecret", "ckey", "rtoken"))
        assert set(found.secrets) == {"key", "csecret", "ckey", "rtoken"}


@pytest.mark.parametrize("port", [-5, -1, 65_536, 70_000, "abc", "-5", "0", 1.5, True, [443]])
def test_a_port_that_cannot_be_one_is_refused(port: Any) -> None:
    assert "port must be from 1 to 65535" in refusal(host="lofty.example.com", port=port)
    assert "port must be from 1 to 65535" in refusal(host="https://lofty.example.com:8443", port=port)


def test_a_token_url_is_written_in_one_form_too_but_keeps_its_last_slash() -> None:
    extra = {**OAUTH, "auth_type": "refresh_token", "token_url": "HTTPS://Tokens.example.com.:443//oauth/token/"}
    assert settings(extra).token_url == "https://tokens.example.com/oauth/token/"


@pytest.mark.parametrize("extra", ["[1]", "5", '"text"', "[]", '{"auth_type": "access_token"', "{auth_type}"])
def test_an_extra_that_is_not_an_object_is_refused(extra: str) -> None:
    assert "extra must be a JSON object" in refusal(extra)


@pytest.mark.parametrize(
    ("normal", "spelled"),
    [
        ("https://api.lofty.com", "https://api.lofty.com"),
        ("https://api.lofty.com", "HTTPS://API.Lofty.com"),
        ("https://api.lofty.com", "https://api.lofty.com:443"),
        ("https://api.lofty.com", "https://api.lofty.com:0443/"),
        ("https://api.lofty.com", "https://api.lofty.com:"),
        ("https://api.lofty.com", "https://api.lofty.com/"),
        ("https://api.lofty.com", "https://api.lofty.com./"),
        ("https://api.lofty.com", "https://@api.lofty.com"),
        ("https://api.lofty.com", "https://:@api.lofty.com"),
        ("https://api.lofty.com", "https://api%2Elofty.com"),
        ("https://api.lofty.com:80", "https://api.lofty.com:80"),
        ("http://localhost", "http://LOCALHOST:80//"),
        ("http://localhost:443", "http://localhost:443"),
        ("http://127.0.0.1", "http://127.0.0.1:80"),
        ("http://[::1]", "http://[0:0:0:0:0:0:0:1]:80"),
        ("http://[::1]:8765", "http://[::1]:8765"),
        ("https://xn--bcher-kva.example", "https://B\u00dcCHER.example"),
        ("https://crm.example.com/Gateway", "https://crm.example.com/%47ateway/"),
        ("https://crm.example.com/a%2Fb", "https://crm.example.com/a%2fb"),
        ("https://crm.example.com/b", "https://crm.example.com/a/../b"),
        ("https://crm.example.com/b", "https://crm.example.com/a/%2e%2E/b"),
        ("https://crm.example.com/b", "https://crm.example.com/../../b/."),
        ("https://crm.example.com/a/b", "https://crm.example.com//a///b//"),
        ("https://crm.example.com/a", "https://crm.example.com//a/v1.0//"),
        ("https://crm.example.com/a%20b", "https://crm.example.com/a b"),
        ("https://crm.example.com/%C3%A9", "https://crm.example.com/\u00e9"),
        ("https://crm.example.com", "https://crm.example.com/?#"),
        ("https://my_gateway", "https://MY_gateway"),
        ("https://xn--bcher-kva.example", "https://xn--BCHER-kva.example."),
        ("https://xn--zca.example", "https://\u00df.example"),
        ("http://localhost", "http://localhost."),
        ("http://127.0.0.1", "http://127.0.0.1.:80"),
        ("https://10.0.0.1:8443", "https://10.0.0.1:08443"),
        ("https://[fd00::1]", "https://[FD00:0::0001]:443"),
    ],
)
def test_one_lofty_has_one_name_however_its_url_is_written(normal: str, spelled: str) -> None:
    assert settings(host=spelled).base_url == normal


class TestProfile:
    PROFILE: dict[str, Any] = {"format": 1, "base_url": "https://api.lofty.com", "account_id": 11}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("seconds", "extra", "expected"),
        [
            (None, {}, 60),
            (5, {}, 60),
            (90, {}, 90),
            (90, {"settle_seconds": 20}, 20),
            (5, {"settle_seconds": 120}, 120),
        ],
    )
    def test_it_lengthens_the_settle_time_and_never_shortens_it(
        self, seconds: float | None, extra: dict[str, Any], expected: float
    ) -> None:
        assert settings({"profile": {**self.PROFILE, "settle_seconds": seconds}, **extra}).settle_seconds == expected

    @pytest.mark.parametrize(
        ("host", "of_profile"),
        [
            (None, "https://api.lofty.com"),
            ("https://API.lofty.com:443/v1.0/", "https://api.lofty.com"),
            ("https://lofty.example.com", "https://LOFTY.example.com:443//v1.0/"),
        ],
    )
    def test_it_is_of_this_host_however_that_is_written(self, host: str | None, of_profile: str) -> None:
        found = settings({"profile": {**self.PROFILE, "base_url": of_profile}}, host=host)
        assert found.profile is not None
        assert found.profile.account_id == 11

    def test_of_another_host_it_is_refused(self) -> None:
        said = refusal({"profile": self.PROFILE}, host="https://lofty.example.com")
        assert "profile: base_url is another host than https://lofty.example.com" in said

    @pytest.mark.parametrize(
        ("profile", "named"),
        [
            ("marigold", "profile is not JSON"),
            (["marigold"], "profile must be"),
            (7, "profile must be"),
            (True, "profile must be"),
            ({**PROFILE, "marigold": 1}, "'marigold'"),
            ({**PROFILE, "base_url": "https://marigold@api.lofty.com"}, "profile: base_url must not contain a user"),
            ({**PROFILE, "base_url": "http://lofty.example.com"}, "profile: base_url must begin with https"),
            ({**PROFILE, "base_url": "nowhere"}, "profile: base_url must be a URL"),
            ({**PROFILE, "settle_seconds": 1e300}, "profile: settle_seconds"),
            ({**PROFILE, "format": 2}, "profile has another format"),
        ],
    )
    def test_what_is_none_is_refused_by_the_fields_name(self, profile: Any, named: str) -> None:
        assert named in refusal({"profile": profile})

    def test_an_empty_one_is_none(self) -> None:
        assert settings({"profile": ""}) == settings({"profile": None}) == settings()

    def test_a_misspelt_one_is_refused(self) -> None:
        assert "the closest is 'profile'" in refusal({"profil": {}})
