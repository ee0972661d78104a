"""The connection form: the same fields in Airflow's own answer to its page, whichever way that version reads them."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.sdk import Connection

from airflow_provider_lofty.hooks.form import FORM_FIELDS, conn_fields
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.hooks.settings import AUTH_TYPES, settings_from
from airflow_provider_lofty.provider_info import PACKAGE

try:
    from airflow._shared.secrets_masker import should_hide_value_for_key
except ImportError:  # kept elsewhere by other versions
    from airflow.sdk._shared.secrets_masker import should_hide_value_for_key

# In a process of its own: before Airflow 3.2 it puts stand-ins for WTForms among the modules.
ASK_AIRFLOW = """
import json
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
(shown,) = (meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == "lofty")
print(json.dumps(shown.model_dump(), default=dict))
"""


@pytest.fixture(scope="module")
def shown(starts_program: None) -> dict[str, Any]:
    """What Airflow shows on its connection page about this type."""
    try:
        distribution(PACKAGE)
    except PackageNotFoundError:
        pytest.skip(f"{PACKAGE} is not installed here, so Airflow does not know of it; run make test")
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-W", "ignore", "-c", ASK_AIRFLOW]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    described: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return described


def test_airflow_shows_every_field_with_its_help(shown: dict[str, Any]) -> None:
    fields = shown["extra_fields"]
    described = {name: (field["schema"]["title"], field["description"]) for name, field in fields.items()}
    assert described == {field.name: (field.label, field.description) for field in FORM_FIELDS}
    assert list(fields) == [field.name for field in FORM_FIELDS]


def test_secrets_are_typed_unseen(shown: dict[str, Any]) -> None:
    unseen = {name for name, field in shown["extra_fields"].items() if field["schema"].get("format") == "password"}
    assert unseen == {"client_secret", "refresh_token"}


def test_numbers_are_numbers_and_the_auth_type_is_a_drop_down(shown: dict[str, Any]) -> None:
    schemas = {name: field["schema"] for name, field in shown["extra_fields"].items()}
    assert {name for name, schema in schemas.items() if {"integer", "number"} & set(schema["type"])} == {
        "requests_per_minute", "max_in_flight", "timeout_seconds", "settle_seconds",
    }  # fmt: skip
    assert {name: schema["enum"] for name, schema in schemas.items() if "enum" in schema} == {
        "auth_type": list(AUTH_TYPES)
    }


def test_only_the_auth_type_is_filled_in(shown: dict[str, Any]) -> None:
    assert {name: field["value"] for name, field in shown["extra_fields"].items() if field["value"] is not None} == {
        "auth_type": "api_key"
    }


def test_the_other_fields_are_renamed_or_hidden(shown: dict[str, Any]) -> None:
    standard = shown["standard_fields"]
    assert {name for name, field in standard.items() if field and field["hidden"]} == {"url_schema", "login"}
    assert {name: field["title"] for name, field in standard.items() if field and not field["hidden"]} == {
        "host": "Base URL", "port": None, "password": "API key or access token",
    }  # fmt: skip
    assert standard["host"]["placeholder"] == "https://api.lofty.com"


def test_what_the_hook_says_of_the_other_fields_fits_airflows_schema() -> None:
    path = Path(airflow.__file__).parent / "customized_form_field_behaviours.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    assert list(jsonschema.Draft7Validator(schema).iter_errors(LoftyHook.get_ui_field_behaviour())) == []


def test_each_schema_is_one() -> None:
    for field in conn_fields().values():
        jsonschema.Draft202012Validator.check_schema(field["schema"])


def test_airflows_rest_api_hides_the_secrets_by_their_names() -> None:
    assert all(should_hide_value_for_key(field.name) for field in FORM_FIELDS if field.is_secret)
    assert not should_hide_value_for_key("customer_key")  # so it has no field, and goes into the password
    assert "customer_key" not in conn_fields()


def test_the_help_says_for_which_auth_type_a_field_is_needed() -> None:
    for field in FORM_FIELDS:
        if field.name.startswith(("client_", "refresh_", "token_")):
            named = {auth_type for auth_type in AUTH_TYPES if auth_type in field.help}
            assert named
            assert named <= {"client_credentials", "refresh_token"}


@pytest.mark.parametrize("blank", ["", None])
def test_fields_left_empty_mean_what_their_help_says(blank: str | None) -> None:
    extra = json.dumps({field.name: blank for field in FORM_FIELDS})
    found = settings_from(Connection(conn_id="crm", conn_type="lofty", host=blank, password="key", extra=extra))
    assert found == settings_from(Connection(conn_id="crm", conn_type="lofty", password="key"))
    for field in FORM_FIELDS:
        if field.default is not None:
            assert getattr(found, field.name) == field.default
            assert field.choices or f"Empty: {field.default}." in field.description


@pytest.mark.parametrize("end", ["smallest", "largest"])
def test_numbers_are_taken_up_to_the_bounds_of_the_form(end: str) -> None:
    extra = {field.name: getattr(field, end) for field in FORM_FIELDS if field.is_number}
    found = settings_from(Connection(conn_id="crm", conn_type="lofty", password="key", extra=json.dumps(extra)))
    assert {name: getattr(found, name) for name in extra} == extra
