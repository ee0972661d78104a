"""A statement that asks for newer rows, as each driver wants it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.rows.newer import Style, column_place

PERCENT = "SELECT * FROM t WHERE at >= %(cursor)s"
COLON = "SELECT * FROM t WHERE at >= :cursor"


@pytest.mark.parametrize(
    ("style", "statement"),
    [
        (Style("pyformat"), PERCENT), (Style("format"), PERCENT), (Style("named"), COLON),
        (Style("qmark", knows_names=True), COLON), (Style("named"), f"{COLON}::text -- it's"),
        (Style("pyformat"), "SELECT '%%', * FROM t WHERE at >= %(cursor)s"),
    ],
)  # fmt: skip
def test_the_cursor_is_one_of_the_parameters(style: Style, statement: str) -> None:
    assert style.parameters(statement, {"name": 1}, 7) == {"name": 1, "cursor": 7}
    assert style.parameters(statement, None, 7) == {"cursor": 7}


@pytest.mark.parametrize(
    ("style", "statement"),
    [
        (Style("pyformat"), COLON), (Style("named"), PERCENT), (Style("pyformat"), PERCENT.replace("%", "%%")),
        (Style("pyformat"), "SELECT 1 -- %(cursor)s"), (Style("pyformat"), "SELECT 1 /* \n %(cursor)s */"),
        (Style("named"), "SELECT at::cursor FROM t"), (Style("named"), "SELECT ':cursor'"),
        (Style("named"), 'SELECT ":cursor"'), (Style("named"), "SELECT * FROM t WHERE at >= :cursors"),
    ],
)  # fmt: skip
def test_a_statement_without_its_place(style: Style, statement: str) -> None:
    with pytest.raises(LoftyConfigurationError, match=">="):
        style.parameters(statement, None, 7)


@pytest.mark.parametrize("paramstyle", ["qmark", "numeric"])
def test_a_driver_that_knows_no_names(paramstyle: str) -> None:
    with pytest.raises(LoftyConfigurationError, match="by position"):
        Style(paramstyle).parameters(COLON, None, 7)


@pytest.mark.parametrize(
    ("paramstyle", "condition"),
    [
        ("qmark", ("?", (7,))), ("pyformat", ("%s", (7,))), ("format", ("%s", (7,))), ("numeric", (":1", (7,))),
        ("numeric_dollar", ("$1", (7,))), ("named", (":cursor", {"cursor": 7})),
    ],
)  # fmt: skip
def test_one_condition(paramstyle: str, condition: Any) -> None:
    assert Style(paramstyle).condition(7) == condition


@pytest.mark.parametrize(
    ("columns", "wanted", "place"),
    [
        (["id", "at"], "at", 1), (["ID", "AT"], "at", 1), (["AT", "at"], "at", 1), (["At", "aT"], "at", None),
        (["at", "at"], "at", None), (["id"], "at", None), (['a"t'], '"a""t"', 0), (["UpdatedAt"], '"UpdatedAt"', 0),
    ],
)  # fmt: skip
def test_where_the_cursor_stands(columns: list[str], wanted: str, place: int | None) -> None:
    assert column_place(columns, wanted) == place
