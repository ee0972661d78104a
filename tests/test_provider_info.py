"""What Airflow reads about this provider."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

from airflow_provider_lofty import __version__
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.provider_info import PACKAGE, get_provider_info

SCHEMAS = Path(airflow.__file__).parent


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    return loaded


def test_it_fits_airflows_schema() -> None:
    validator = jsonschema.Draft7Validator(schema("provider_info.schema.json"))
    assert list(validator.iter_errors(get_provider_info())) == []


def test_its_connection_types_fit_the_stricter_schema() -> None:
    strict = schema("provider.yaml.schema.json")["properties"]["connection-types"]
    assert list(jsonschema.Draft7Validator(strict).iter_errors(get_provider_info()["connection-types"])) == []


def test_it_names_this_version() -> None:
    info = get_provider_info()
    assert (info["package-name"], info["versions"]) == (PACKAGE, [__version__])


def test_the_hook_class_is_there_under_the_name_and_type_it_says() -> None:
    (connection_type,) = get_provider_info()["connection-types"]
    module, _, name = connection_type["hook-class-name"].rpartition(".")
    assert getattr(importlib.import_module(module), name) is LoftyHook
    assert connection_type["connection-type"] == LoftyHook.conn_type
    assert connection_type["hook-name"] == LoftyHook.hook_name


def test_every_module_it_names_is_there() -> None:
    info = get_provider_info()
    modules = [name for part in ("hooks", "operators") for group in info[part] for name in group["python-modules"]]
    assert [importlib.import_module(name).__name__ for name in modules] == modules
    integrations = {each["integration-name"] for each in info["integrations"]}
    assert {group["integration-name"] for part in ("hooks", "operators") for group in info[part]} <= integrations


def test_the_entry_point_is_registered() -> None:
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError:
        pytest.skip(f"{PACKAGE} is not installed here, so it has no entry point to look at; run make test")
    found = {point.group: point.load() for point in installed.entry_points}
    assert found["apache_airflow_provider"] is get_provider_info
