"""What the constraints hold back, so that other providers can be installed beside this one."""

from __future__ import annotations

import configparser
import importlib.util
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
FILES = ("constraints.txt", "constraints-floor.txt")


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


def held_back() -> dict[str, Requirement]:
    spec = importlib.util.spec_from_file_location("renew_constraints", ROOT / "tools" / "renew_constraints.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return {bound.name: bound for bound in map(Requirement, tool.HELD_BACK)}


@pytest.mark.parametrize("file", FILES)
def test_no_pin_shuts_out_a_provider_that_people_have(file: str) -> None:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    bounds = held_back()
    held = {pin.name: bounds[pin.name] for pin in pins if pin.name in bounds}
    assert held == bounds
    for pin in pins:
        (version,) = (Version(each.version) for each in pin.specifier)
        assert pin.name not in held or version in held[pin.name].specifier, pin


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
