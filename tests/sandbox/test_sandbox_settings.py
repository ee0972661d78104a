"""What can be chosen, and that all of it is documented."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest

from airflow_provider_lofty.sandbox import SandboxSettings
from airflow_provider_lofty.sandbox.__main__ import setting_docs
from airflow_provider_lofty.sandbox.operations import OPERATIONS
from airflow_provider_lofty.sandbox.settings import CREDENTIALS, OperationName


def test_every_setting_is_documented_in_order():
    assert list(setting_docs()) == [item.name for item in fields(SandboxSettings)]


def test_settings_are_frozen():
    with pytest.raises(FrozenInstanceError):
        SandboxSettings().seed = 1


def test_the_operations_are_those_that_settings_may_name():
    assert {operation.name for operation in OPERATIONS} == set(get_args(OperationName))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"faults": {"smoke": 0.1}}, "no fault named 'smoke'; there are refused, "),
        ({"faults": {"slow": 1.1}}, "'slow' must lie between 0 and 1, not 1.1"),
        ({"faults": {"slow": -0.1}}, "between 0 and 1"),
        ({"faults": {"slow": float("nan")}}, "between 0 and 1"),
        ({"faults": {"slow": 0.6, "refused": 0.6}}, "together"),
        ({"scripted_faults": ["smoke"]}, "no fault named 'smoke'"),
        ({"known_leads": "some"}, "known_leads cannot be 'some'; it can be any, listed"),
        ({"error_shape": "xml"}, "error_shape"),
        ({"rate_reset_reading": "days"}, "rate_reset_reading"),
        ({"rate_refusal_status": 503}, "rate_refusal_status"),
        ({"permission_denied": {"add"}}, "permission_denied cannot be 'add'"),
        ({"canned_answers": {"add": None}}, "canned_answers cannot be 'add'"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"window_seconds": 0}, "window_seconds"),
        ({"token_lifetime_seconds": 0}, "token_lifetime_seconds"),
        ({"kept_requests": 0}, "kept_requests"),
        ({"latency_seconds": -1}, "latency_seconds"),
        ({"late_seconds": -1}, "late_seconds"),
        ({"page_size": 0}, "page_size"),
        ({"list_order": "by_name"}, "list_order cannot be 'by_name'"),
        ({"refusals": {"everything": None}}, "refusals cannot be 'everything'"),
        ({"newcomers": -1}, "newcomers"),
        ({"created_form": "days"}, "created_form cannot be 'days'"),
        ({"read_back_status": 200}, "read_back_status"),
    ],
)
def test_an_impossible_setting_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SandboxSettings(**settings)


def test_rates_may_add_up_to_one():
    settings = SandboxSettings(faults={"slow": 0.7, "refused": 0.1, "html_502": 0.1, "empty_200": 0.1})
    assert settings.faults["slow"] == 0.7


def test_changes_name_what_differs_and_no_credential():
    settings = SandboxSettings(api_key="another", seed=3, missing_leads={1})
    assert settings.changes() == {"seed": 3, "missing_leads": {1}}
    assert {item.name for item in fields(SandboxSettings)} >= CREDENTIALS


def test_an_impossible_change_changes_nothing(caller):
    before = caller.lofty.settings
    with pytest.raises(ValueError, match="error_shape"):
        caller.lofty.change(error_shape="xml", seed=5)
    assert caller.lofty.settings is before
    with pytest.raises(TypeError):
        caller.lofty.change(colour="red")
