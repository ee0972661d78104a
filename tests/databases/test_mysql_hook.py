"""A MariaDB as source, through Airflow's own hook and the driver it brings."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from support.mariadb import MariaDb, maria
from support.practice import run

from airflow_provider_lofty.sandbox import Sandbox

TEN = 1_772_359_200_000  # 2026-03-01 10:00 UTC


@pytest.fixture
def send(
    mariadb: MariaDb, lofty: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Give a function that sends a table of one row, whose columns are given as their type and value."""
    connect(lofty)
    with closing(maria(mariadb, "MySQLdb")) as database:
        ((name,),) = database.do("SELECT DATABASE()")
    extra = json.dumps({"unix_socket": str(mariadb.socket), "charset": "utf8mb4"})
    connection = {"conn_type": "mysql", "login": "root", "host": "localhost", "schema": name, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))

    def send(**columns: str) -> Any:
        given = {
            "lead_id": "BIGINT = 4711", "type": "TEXT = 'Browse'", "text": "TEXT = 'a home'", "link": "TEXT = 'l'",
            "picture": "TEXT = ''", "created": "TEXT = '2026-03-01T10:00:00Z'", **columns,
        }  # fmt: skip
        parts = {column: kind_and_value.partition(" = ") for column, kind_and_value in given.items()}
        kinds = ", ".join(f"{column} {kind}" for column, (kind, _, _) in parts.items())
        database.do("SET GLOBAL sql_mode = ''")  # the date of no day may be written
        database.do(f"CREATE TABLE visits ({kinds})")
        database.do(f"INSERT INTO visits VALUES ({', '.join(value for _, _, value in parts.values())})")
        return run(table="visits", source_conn_id="warehouse")

    return send


@pytest.mark.parametrize(
    ("columns", "arrives"),
    [
        ({"lead_id": "BIGINT UNSIGNED = 9007199254740993"}, ("leadId", 9007199254740993)),
        ({"lead_id": "DECIMAL(20, 2) = 4711.00"}, ("leadId", 4711)),
        ({"created": "DATETIME(6) = '2026-03-01 10:00:00.123456'"}, ("created", TEN + 123)),
        ({"created": "DATE = '2026-03-01'"}, ("created", TEN - 10 * 3_600_000)),
        ({"text": "VARCHAR(9) CHARACTER SET latin1 = 'Müller'"}, ("text", "Müller")),
        ({"text": "TEXT CHARACTER SET utf8mb4 = '顧客 🏠'"}, ("text", "顧客 🏠")),
        ({"text": "FLOAT = 0.1"}, ("text", "0.1")),
        ({"text": "DECIMAL(65, 0) = 12345678901234567890123"}, ("text", "12345678901234567890123")),
        ({"text": "YEAR = 2026"}, ("text", "2026")),
        ({"text": "ENUM('sad', 'ok') = 'ok'"}, ("text", "ok")),
        ({"text": "UUID = '8f1b0d6e-5a3c-4d2b-9c7f-0123456789ab'"}, ("text", "8f1b0d6e-5a3c-4d2b-9c7f-0123456789ab")),
        ({"listing": """JSON = '{"price": 450000, "zipCode": "02134"}'"""}, ("listing", {"price": 450000, "zipCode": "02134"})),
    ],
)  # fmt: skip
def test_a_value_arrives_as_what_it_is(
    send: Callable[..., Any], lofty: Sandbox, columns: dict[str, str], arrives: tuple[str, object]
) -> None:
    ended = send(**columns)
    assert ended.counts == {"delivered": 1}, ended.error
    (activity,) = lofty.activities
    field, expected = arrives
    assert (activity.lead_id if field == "leadId" else activity.body[field]) == expected


@pytest.mark.parametrize(
    "columns",
    [
        {"lead_id": "BIGINT UNSIGNED = 18446744073709551615"},
        {"lead_id": "DOUBLE = 9007199254740993"},
        {"created": "DATETIME = '0000-00-00 00:00:00'"},
        {"created": "TIME = '10:00:00'"},
        {"text": "BLOB = 'ab'"},
        {"text": "BIT(9) = b'101'"},
        {"text": "FLOAT = 16777217"},
        {"text": "TIME = '10:00:00'"},
    ],
    ids=lambda columns: " ".join(columns.values()),
)
def test_a_value_that_cannot_be_meant_is_refused(
    send: Callable[..., Any], lofty: Sandbox, columns: dict[str, str]
) -> None:
    ended = send(**columns)
    assert ended.counts == {"invalid": 1}, lofty.activities
    assert lofty.activities == []
