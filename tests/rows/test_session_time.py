"""MySQL's TIMESTAMP is an instant, in whatever zone a session shows it; on a real MariaDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pymysql
import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from support.practice import run, task_instance
from support.values import MOMENTS

from airflow_provider_lofty.rows import database, providers, session_time
from airflow_provider_lofty.rows.values import InvalidValue, SessionTime, text
from airflow_provider_lofty.spool.codec import decode_cells, encode_cells

pytestmark = [pytest.mark.server, pytest.mark.program]
TEN = 1_793_527_200_000  # 2026-11-01, 10:00 UTC
SQL = "SELECT 1 AS lead_id, 'Browse' AS type, 't' AS text, 'l' AS link, '' AS picture, {} AS created FROM moments"

SetZone = Callable[[str], None]


@pytest.fixture
def session_zone(mariadb_url: str, monkeypatch: pytest.MonkeyPatch, lofty: Any, connect: Any) -> Iterator[SetZone]:
    """Give a function that sets the time zone of new sessions; both columns of ``moments`` hold ten o'clock UTC."""
    connect(lofty)
    address = make_url(mariadb_url)
    given = {**address.translate_connect_args(username="user"), **address.query}

    class MySqlHook(DbApiHook):
        conn_name_attr = "mysql_conn_id"

        def get_sqlalchemy_engine(self, engine_kwargs: dict[str, Any] | None = None) -> Any:
            return create_engine(mariadb_url)

    # Airflow's provider for MySQL needs a C library, which a machine may lack.
    monkeypatch.setattr(database, "database_hook", lambda conn_id, hook_params=None: MySqlHook())
    with closing(pymysql.connect(**given, autocommit=True)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@global.time_zone")
        before = cursor.fetchone()
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute("CREATE OR REPLACE TABLE moments (instant TIMESTAMP(3), wall DATETIME(3))")
        cursor.execute("INSERT INTO moments VALUES ('2026-11-01 10:00', '2026-11-01 10:00')")
        yield lambda zone: cursor.execute("SET GLOBAL time_zone = %s", (zone,)) and None
        cursor.execute("SET GLOBAL time_zone = %s", before)
        cursor.execute("DROP TABLE moments")


@pytest.mark.parametrize(
    ("zone", "timezone"),
    [("+00:00", "UTC"), ("+02:00", "UTC"), ("-05:30", "Asia/Tokyo"), ("SYSTEM", "America/Phoenix")],
)
def test_a_timestamp_is_the_instant_that_it_is(session_zone: SetZone, lofty: Any, zone: str, timezone: str) -> None:
    session_zone(zone)
    ended = run(sql=SQL.format("instant"), source_conn_id="warehouse", timezone=timezone)
    assert ended.counts == {"delivered": 1}, ended.error
    assert lofty.activities[0].body["created"] == TEN


def test_a_datetime_is_a_time_of_the_zone_that_is_named(session_zone: SetZone, lofty: Any) -> None:
    session_zone("+02:00")
    run(sql=SQL.format("wall"), source_conn_id="warehouse", timezone="Asia/Tokyo")
    assert lofty.activities[0].body["created"] == TEN - 9 * 3_600_000


def test_where_only_the_machine_knows_its_zone_a_timestamp_is_refused(
    session_zone: SetZone, lofty: Any, tmp_path: Any
) -> None:
    session_zone("SYSTEM")
    report = str(tmp_path / "r.csv")
    ended = run(sql=SQL.format("instant"), source_conn_id="warehouse", timezone="UTC", report_path=report)
    assert ended.counts == {"invalid": 1}
    assert "name the machine's zone as timezone" in ended.summary["errors"][0]["error"]
    assert run(path=report).counts == {"invalid": 1}
    assert lofty.activities == []


@pytest.mark.parametrize("zone", ["America/New_York", "SYSTEM"])
def test_of_an_hour_that_clocks_show_twice_no_instant_is_guessed(
    session_zone: SetZone, mariadb_url: str, lofty: Any, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    # This server has no tables of named zones: the session's is said to be the named one.
    monkeypatch.setattr(session_time, "_ZONES", f"SELECT '{zone}', 'EST', %s" % _offset("America/New_York"))
    with create_engine(mariadb_url).begin() as connection:
        connection.exec_driver_sql("SET time_zone = '-04:00'")
        connection.exec_driver_sql(
            "INSERT INTO moments VALUES ('2026-11-01 01:30', NOW()), ('2026-11-01 00:59', NOW())"
        )
    session_zone("-04:00")
    ended = run(
        sql=SQL.format("instant") + " WHERE instant < '2026-11-01 02:00'", source_conn_id="warehouse",
        timezone="America/New_York",
    )  # fmt: skip
    assert ended.counts == {"invalid": 1, "delivered": 1}
    assert "show twice" in ended.summary["errors"][0]["error"]
    assert [a.body["created"] for a in lofty.activities] == [TEN - (5 * 60 + 1) * 60_000]


def _offset(zone: str) -> int:
    offset = datetime.now(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())


def test_what_has_no_instant_is_neither_a_time_nor_a_text() -> None:
    shown = SessionTime.of(datetime(2026, 11, 1, 3, 0, 0, 5))
    assert shown - datetime(2026, 11, 1, 3) == timedelta(microseconds=5)
    for check in (MOMENTS.milliseconds, MOMENTS.date_text, text):
        with pytest.raises(InvalidValue, match="time zone of its machine"):
            check(shown)
    with pytest.raises(InvalidValue):
        MOMENTS.milliseconds(decode_cells(encode_cells([shown]))[0])


def test_a_cursor_goes_on_from_the_instant_in_whatever_zone_it_is_shown(
    session_zone: SetZone, mariadb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "database_hook", database.database_hook)  # the journal lies there, too
    sql = SQL.format("instant") + " WHERE instant >= %(cursor)s ORDER BY instant"
    given: dict[str, Any] = {
        "source_conn_id": "db", "journal_conn_id": "db", "report_path": f"{tmp_path}/", "cursor": "created",
        "check_existing": "never",
    }  # fmt: skip
    session_zone("+02:00")
    first = run(task_instance(run_id="first"), sql=sql, cursor_from="2026-11-01 11:00", **given)
    assert first.counts == {"delivered": 1}
    session_zone("-05:30")
    with create_engine(mariadb_url).begin() as connection:
        connection.exec_driver_sql("INSERT INTO moments VALUES ('2026-11-01 04:30:00.5', NOW())")
        connection.exec_driver_sql("INSERT INTO moments VALUES ('2026-11-01 04:29:59.9', NOW())")
    second = run(task_instance(run_id="second"), sql=sql, **given)
    assert second.counts == {"already_delivered": 1, "delivered": 1}
    assert second.summary["cursor"]["to"] == "2026-11-01 04:30:00.500000-05:30"
