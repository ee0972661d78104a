"""Rows and parameters stay out of what lists a task's attributes."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from airflow_provider_lofty.operators.hidden import hidden, shown, unlisted


@pytest.mark.parametrize("value", ["text", 7, 1.5, True, None])
def test_words_and_numbers_are_shown(value: object) -> None:
    assert shown(value) is value


@pytest.mark.parametrize("value", [["marigold"], {"text": "marigold"}, ("marigold",), b"marigold", {"marigold"}])
def test_of_all_else_only_the_kind_is_shown(value: object) -> None:
    assert shown(value) == hidden(value) == f"<{type(value).__name__}, not shown>"
    assert "marigold" not in hidden(value)


@pytest.mark.parametrize("parameters", [{"since": date(2026, 3, 1)}, [date(2026, 3, 1)]], ids=["by name", "in order"])
def test_parameters_are_no_json_but_for_airflows_pages(parameters: Any) -> None:
    kept = unlisted(parameters)
    assert kept == parameters
    with pytest.raises(TypeError):
        json.dumps(kept)
    assert json.dumps(kept.serialize()) == json.dumps(parameters, default=str)
