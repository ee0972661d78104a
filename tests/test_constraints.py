"""What the constraints hold back, so that other providers can be installed beside this one."""

from __future__ import annotations

import configparser
import importlib.util
from itertools import product
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
FILES = ("constraints.txt", "constraints-floor.txt", "constraints-databases.txt")


# What Airflow's own constraint files for 3.1 pin on Python 3.10 to 3.12, the oldest of its releases.
PINNED_BY_AIRFLOW_3_1 = {
    "apache-airflow": "3.1.0",
    "apache-airflow-providers-common-sql": "1.28.1",
    "authlib": "1.3.1",
    "fastapi": "0.117.1",
    "msgspec": "0.19.0",
    "opentelemetry-api": "1.27.0",  # or later: Airflow asks for it as this package does
    "pandas": "2.1.4",
    "pyarrow": "16.1.0",
    "python-dateutil": "2.9.0.post0",
    "requests": "2.32.5",
    "sqlalchemy": "1.4.54",
    "urllib3": "2.6.2",
}


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("renew_constraints", ROOT / "tools" / "renew_constraints.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def held_back() -> dict[str, Requirement]:
    return {bound.name: bound for bound in map(Requirement, tool().HELD_BACK)}


def test_a_python_that_does_not_need_a_package_is_bound_to_no_version_of_it() -> None:
    lines = tool().merged({(3, 10): {"a": "1", "b": "1"}, (3, 11): {"a": "1", "b": "2", "c": "3"}})
    assert list(lines) == [
        "a==1",
        'b==1 ; python_version == "3.10"',
        'b==2 ; python_version >= "3.11"',
        'c==3 ; python_version >= "3.11"',
    ]


@pytest.mark.parametrize(
    ("file", "python"),
    [pair for pair in product(FILES, ("3.10", "3.11", "3.14")) if pair != ("constraints-databases.txt", "3.10")],
)
def test_no_pin_shuts_out_a_provider_that_people_have(file: str, python: str) -> None:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pins = {pin.name: pin for pin in map(Requirement, lines[2:]) if is_for(python, pin)}
    bounds = [bound for bound in held_back().values() if is_for(python, bound)]
    assert {bound.name for bound in bounds} <= set(pins)
    for bound in bounds:
        (version,) = (Version(each.version) for each in pins[bound.name].specifier)
        assert version in bound.specifier, bound


def is_for(python: str, requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"python_version": python})


def test_botocore_is_among_those_that_are_thought_of() -> None:
    assert "3.0.0" not in held_back()["python-dateutil"].specifier
    assert "2.9.0.post0" in held_back()["python-dateutil"].specifier


def test_nothing_that_is_needed_is_shut_out_by_airflows_own_constraints() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = (line.partition("#")[0].strip() for line in setup["options"]["install_requires"].splitlines())
    needed = {each.name: each.specifier for each in map(Requirement, filter(None, lines))}
    assert set(needed) == set(PINNED_BY_AIRFLOW_3_1)
    for name, version in PINNED_BY_AIRFLOW_3_1.items():
        assert version in needed[name], name
