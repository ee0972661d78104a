"""What drivers of warehouses really return: it arrives as what it is, or is refused with the way out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import fakesnow
import pytest
import snowflake.connector
from support.duck import DuckHook
from support.practice import run

from airflow_provider_lofty.exceptions import LoftyConfigurationError, LoftySourceNotReady
from airflow_provider_lofty.rows import database, providers
from airflow_provider_lofty.sandbox import Sandbox

# fakesnow and Snowflake's connector use what Python and Arrow advise against, each on its side of the wire.
pytestmark = pytest.mark.filterwarnings("default")

TEN = 1_772_359_200_000  # 2026-03-01 10:00 UTC
REST = "'Browse' AS type, 'https://homes.example.com/7' AS link, '' AS picture"


@pytest.fixture(scope="session")
def snowflake_server(starts_server: None) -> Iterator[dict[str, Any]]:
    """Start a server that speaks Snowflake's protocol, with a schema."""
    with fakesnow.server() as address:
        with closing(snowflake.connector.connect(**address)) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE mart")
            cursor.execute("CREATE SCHEMA mart.crm")
        yield address


@pytest.fixture
def snow(snowflake_server: dict[str, Any], monkeypatch: pytest.MonkeyPatch, lofty: Sandbox, connect: Any) -> str:
    """Name it in an Airflow connection, which Airflow's own hook opens."""
    connect(lofty)
    address = {"host": snowflake_server["host"], "port": snowflake_server["port"], "account": "fakesnow"}
    session = {"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False}
    extra = {**address, "database": "MART", "warehouse": "w", "role": "r", "session_parameters": session}
    connection = {"conn_type": "snowflake", "login": "fake", "password": "made-up", "schema": "CRM", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    # The hook has no word for a server without TLS.
    monkeypatch.setattr(snowflake.connector, "connect", partial(snowflake.connector.connect, protocol="http"))
    return "snowflake"


@pytest.fixture
def duck(monkeypatch: pytest.MonkeyPatch, lofty: Sandbox, connect: Any) -> str:
    connect(lofty)
    for module in (database, providers):
        monkeypatch.setattr(module, "database_hook", lambda conn_id, hook_params=None: DuckHook())
    return "duckdb"


@pytest.fixture(params=["snow", "duck"])
def warehouse(request: pytest.FixtureRequest, starts_server: None) -> str:
    name: str = request.getfixturevalue(request.param)
    return name


def send(**columns: str) -> Any:
    """Send one row, of which these columns are SQL expressions."""
    given = {"lead_id": "4711", "text": "'a home'", "created": "'2026-03-01T10:00:00Z'", **columns}
    cells = ", ".join(f"{expression} AS {name}" for name, expression in given.items())
    return run(sql=f"SELECT {cells}, {REST}", source_conn_id="warehouse")


@pytest.mark.parametrize(
    ("field", "expression", "arrives"),
    [
        ("leadId", "lead_id: 9007199254740993::DECIMAL(38, 0)", 9007199254740993),
        ("leadId", "lead_id: 4711.00::DECIMAL(20, 2)", 4711),
        ("created", "created: '2026-03-01 10:00:00.123'::TIMESTAMP", TEN + 123),
        ("created", "created: '2026-03-01 12:00:00+02:00'::TIMESTAMPTZ", TEN),
        ("created", "created: '2026-03-01'::DATE", TEN - 10 * 3_600_000),
        ("text", "text: 1.10::DECIMAL(9, 2)", "1.1"),
        ("text", "text: 0.1::DOUBLE", "0.1"),
        ("text", "text: 12345678901234567::BIGINT", "12345678901234567"),
    ],
)
def test_a_value_arrives_as_what_it_is(
    warehouse: str, lofty: Sandbox, field: str, expression: str, arrives: object
) -> None:
    column, _, value = expression.partition(": ")
    if warehouse == "snowflake":
        value = value.replace("TIMESTAMPTZ", "TIMESTAMP_TZ").replace("::TIMESTAMP'", "::TIMESTAMP_NTZ'")
    ended = send(**{column: value})
    assert ended.counts == {"delivered": 1}, ended.summary["errors"]
    (activity,) = lofty.activities
    assert (activity.lead_id if field == "leadId" else activity.body[field]) == arrives


@pytest.mark.parametrize(
    "expression",
    [
        "lead_id: 4711.5::DECIMAL(20, 2)",
        "lead_id: TRUE",
        "lead_id: 9007199254740993::DOUBLE",
        "text: 'inf'::DOUBLE",
        "created: '10:00:00'::TIME",
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(warehouse: str, lofty: Sandbox, expression: str) -> None:
    column, _, value = expression.partition(": ")
    ended = send(**{column: value})
    assert ended.counts == {"invalid": 1}
    (group,) = ended.summary["errors"]
    assert group["error_field"].lower() == {"lead_id": "leadid"}.get(column, column)
    assert lofty.activities == []


@pytest.mark.parametrize(
    ("expression", "listing"),
    [
        ("""PARSE_JSON('{"price": 450000, "zipCode": "02134"}')""", {"price": 450000, "zipCode": "02134"}),
        ("OBJECT_CONSTRUCT('price', 450000)", {"price": 450000}),
    ],
)
def test_snowflakes_variant_is_an_object(snow: str, lofty: Sandbox, expression: str, listing: dict[str, Any]) -> None:
    ended = send(listing=expression)
    assert ended.counts == {"delivered": 1}, ended.summary["errors"]
    assert lofty.activities[0].body["listing"] == listing


@pytest.mark.parametrize(
    ("expression", "arrives"),
    [
        ("0.1::FLOAT", "0.1"),
        ("16777216.0::FLOAT", None),  # or 16777217
        ("170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"),
        ("18446744073709551615::UBIGINT", "18446744073709551615"),
        ("'8f1b0d6e-5a3c-4d2b-9c7f-0123456789ab'::UUID", "8f1b0d6e-5a3c-4d2b-9c7f-0123456789ab"),
        ("'sad'::ENUM('sad', 'ok')", "sad"),
        ("NULL", None), ("[1, 2]", None), ("{'a': 1}", None), ("MAP {'a': 1}", None), ("INTERVAL 3 DAYS", None),
        ("'ab'::BLOB", None), ("[1, 2]::INTEGER[2]", None), ("'nan'::DOUBLE", None),
    ],
)  # fmt: skip
def test_duckdbs_own_types_are_text_where_they_are_one(
    duck: str, lofty: Sandbox, expression: str, arrives: str | None
) -> None:
    ended = send(text=expression)
    assert ended.counts == ({"delivered": 1} if arrives else {"invalid": 1}), ended.summary["errors"]
    assert [activity.body["text"] for activity in lofty.activities] == ([arrives] if arrives else [])


@pytest.mark.parametrize(
    "listing", ["{'price': 20000003::FLOAT}", "MAP {'price': 20000003::FLOAT}", "[('price', 20000003::FLOAT)]"]
)
def test_a_short_float_in_duckdbs_objects_is_refused_as_one_of_a_column(
    duck: str, lofty: Sandbox, listing: str
) -> None:
    ended = send(listing=listing)
    assert ended.counts == {"invalid": 1}
    assert "32-bit float" in ended.summary["errors"][0]["error"]
    assert lofty.activities == []


def test_duckdbs_struct_is_an_object(duck: str, lofty: Sandbox) -> None:
    ended = send(listing="{'price': 450000, 'zipCode': '02134', 'bathrooms': 2.1::FLOAT}")
    assert ended.counts == {"delivered": 1}, ended.summary["errors"]
    assert lofty.activities[0].body["listing"] == {"price": 450000, "zipCode": "02134", "bathrooms": 2.1}


@pytest.mark.parametrize("expression", ["'infinity'::TIMESTAMP", "'-infinity'::TIMESTAMPTZ", "'infinity'::DATE"])
def test_an_instant_without_an_end_is_refused(duck: str, lofty: Sandbox, expression: str) -> None:
    assert send(created=expression).counts == {"invalid": 1}
    assert lofty.activities == []


def test_a_table_and_parameters_are_read(snow: str, snowflake_server: dict[str, Any], lofty: Sandbox) -> None:
    with closing(snowflake.connector.connect(**snowflake_server)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE OR REPLACE TABLE mart.crm.visits AS SELECT 4711 AS lead_id, 'a' AS text, {REST}")
        cursor.execute("ALTER TABLE mart.crm.visits ADD COLUMN created TIMESTAMP_NTZ")
        cursor.execute("UPDATE mart.crm.visits SET created = '2026-03-01 10:00:00'")
    assert run(table="CRM.VISITS", source_conn_id="warehouse").counts == {"delivered": 1}
    ended = run(sql="SELECT * FROM visits WHERE lead_id = %(lead)s", parameters={"lead": 4711}, source_conn_id="warehouse",
                check_existing="never", unique_key="CREATED")  # fmt: skip
    assert ended.counts == {"delivered": 1}, ended.error
    assert [activity.body["created"] for activity in lofty.activities] == [TEN] * 2


def test_a_table_that_is_not_there_is_waited_for(warehouse: str) -> None:
    ended = run(table="nothing", source_conn_id="warehouse")
    assert isinstance(ended.error, LoftySourceNotReady), ended.error


def test_neither_keeps_a_journal(warehouse: str, lofty: Sandbox) -> None:
    row = {"lead_id": 1, "type": "Browse", "text": "a", "link": "l", "picture": "p", "created": TEN}
    ended = run(rows=[row], journal_conn_id="warehouse")
    assert isinstance(ended.error, LoftyConfigurationError)
    if warehouse == "snowflake":
        assert "snowflake, which does not enforce primary keys" in str(ended.error)
    assert lofty.requests == []


READER = """
from support.duck import DuckHook
from support.memory import peak_kilobytes
from airflow_provider_lofty.rows import database
database.database_hook = lambda conn_id, hook_params=None: DuckHook()
def take(source):
    print("READ", sum(1 for _ in source.rows))
SQL = "SELECT range AS lead_id, repeat('x', 1000) AS text FROM range({})"
database.read_sql("warehouse", sql=SQL.format(1000), take=take)
before = peak_kilobytes()
database.read_sql("warehouse", sql=SQL.format(100_000), take=take)
print("READ", (peak_kilobytes() - before) // 1024)
"""


def test_rows_are_streamed(starts_program: None) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[1:3]))}
    said = subprocess.run(
        [sys.executable, "-c", READER], env=environment, capture_output=True, text=True, check=True
    ).stdout
    _, rows, grown = (int(line.removeprefix("READ ")) for line in said.splitlines() if line.startswith("READ"))
    assert rows == 100_000
    assert grown < 60  # of MB, of 100
