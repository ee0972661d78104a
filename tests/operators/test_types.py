"""What an editor completes is what the operator takes."""

from __future__ import annotations

from typing import get_args

from airflow_provider_lofty.delivery.precheck import MODES
from airflow_provider_lofty.lofty.fields import FIELDS
from airflow_provider_lofty.lofty.lead_keys import KEY_NAMES
from airflow_provider_lofty.operators import types
from airflow_provider_lofty.rows.file_options import DECIMALS, FORMATS, OPTIONS, QUOTINGS
from airflow_provider_lofty.run.policy import ON_UNKNOWN


def test_choices_are_those_of_the_code() -> None:
    assert get_args(types.CheckExisting) == MODES
    assert get_args(types.MatchBy) == tuple(KEY_NAMES)
    assert get_args(types.OnUnknown) == ON_UNKNOWN


def test_fields_are_loftys() -> None:
    assert list(types.Fields.__annotations__) == [field.name for field in FIELDS]


def test_file_options_are_those_of_the_code() -> None:
    hints = types.FileOptions.__annotations__
    assert list(hints) == list(OPTIONS)
    for name, choices in (("format", FORMATS), ("quoting", QUOTINGS), ("decimal", DECIMALS)):
        assert str(list(choices))[1:-1] in str(hints[name]).replace('"', "'")
