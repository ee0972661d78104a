"""The fields held against Lofty's own OpenAPI document, which is not part of this project."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_lofty.lofty.fields import ACTIVITY_TYPES, FIELDS

# Kind → type and format of the schema.
SPECIFIED = {
    "id": ("integer", "int64"),
    "milliseconds": ("integer", "int64"),
    "int64": ("integer", "int64"),
    "int32": ("integer", "int32"),
    "double": ("number", "double"),
    "boolean": ("boolean", None),
    "money": ("integer", "int64"),
    "text": ("string", None),
    "trimmed text": ("string", None),
    "code": ("string", None),
    "zip code": ("string", None),
    "date text": ("string", None),
    "activity type": ("string", None),
}
BODY = [field for field in FIELDS if field.name != "leadId"]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    path = os.environ.get("LOFTY_OPENAPI")
    if not path:
        pytest.skip(
            "NOT COMPARED with Lofty's specification: set LOFTY_OPENAPI to the path of its OpenAPI document (JSON)"
        )
    loaded: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def properties(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    schemas = document["components"]["schemas"]
    own = {name: schema for name, schema in schemas["LeadActivity"]["properties"].items() if name != "listing"}
    nested = schemas["LeadProperty"]["properties"].items()
    return own | {f"listing.{name}": schema for name, schema in nested}


def test_the_fields_are_those_of_the_specification(properties: dict[str, dict[str, Any]]) -> None:
    assert {field.name for field in BODY} == set(properties)


def test_every_kind_is_the_specified_type(properties: dict[str, dict[str, Any]]) -> None:
    specified = {name: (schema["type"], schema.get("format")) for name, schema in properties.items()}
    assert {field.name: SPECIFIED[field.kind] for field in BODY} == specified


def test_the_same_fields_are_required(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {field.name for field in BODY if field.required} == set(schemas["LeadActivity"]["required"])
    assert not schemas["LeadProperty"].get("required")


def test_the_five_types_are_those_of_its_prose(document: dict[str, Any]) -> None:
    prose = json.dumps(document["components"]["schemas"]["LeadActivity"]) + json.dumps(
        document["paths"]["/v1.0/leads/{leadId}/activity"]
    )
    assert [name for name in ACTIVITY_TYPES if name not in prose] == []


def test_the_lead_id_is_a_whole_number_of_64_bits_in_the_path(document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1.0/leads/{leadId}/activity"]
    parameters = [*operation.get("parameters", []), *operation["post"].get("parameters", [])]
    (lead,) = [each["schema"] for each in parameters if each.get("name") == "leadId"]
    assert (lead["type"], lead["format"]) == SPECIFIED["id"]
