"""Rows from a table or query: exact, in the driver's own style, the database left alone before anything is sent."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg2
import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.sqlite.hooks.sqlite import SqliteHook
from support.practice import Collected, collected, run

from airflow_provider_lofty.exceptions import AirflowFailException, LoftyConfigurationError, LoftySourceNotReady
from airflow_provider_lofty.rows.database import read_sql

EXACT = 2**53 + 1
MARK = "Marigold Sample"


def read(conn_id: str, **wanted: Any) -> Collected:
    return collected(read_sql, conn_id, **wanted)


def ids(found: Collected) -> list[Any]:
    return [item.cells[0] for item in found.rows]


def _no_engine(self: DbApiHook, *args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError


@pytest.fixture(params=["streamed", "fetchmany"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read in both ways: through an engine, and through ``run`` of a hook that has none."""
    if request.param == "fetchmany":
        monkeypatch.setattr(PostgresHook, "get_sqlalchemy_engine", _no_engine)
        monkeypatch.setattr(SqliteHook, "get_sqlalchemy_engine", _no_engine)
    return str(request.param)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("leads", [EXACT, 2, 3]),
        ("public.leads", [EXACT, 2, 3]),
        ('"Leads"', [2]),
        ('public."Leads"', [2]),
        ('"order"', [3]),
        ('"my ""odd"" table"', [2]),
        ('"Mart".leads', [3]),
    ],
)
def test_a_table_is_read_by_its_name(way: str, postgres: str, table: str, expected: list[int]) -> None:
    found = read(postgres, table=table)
    assert ids(found) == expected
    assert found.names == [f"table {table}"]
    assert found.sources[0].columns == ("lead_id", "type", "text", "link", "picture", "created")
    assert [item.row_number for item in found.rows] == list(range(1, len(expected) + 1))


@pytest.mark.parametrize(("table", "expected"), [("Leads", [2]), ("order", [3]), ("Mart.leads", [3])])
def test_mixed_case_and_reserved_words_need_no_quotes_where_the_dialect_knows_them(
    postgres: str, table: str, expected: list[int]
) -> None:
    assert ids(read(postgres, table=table)) == expected


@pytest.mark.parametrize(
    "table",
    ["leads; DROP TABLE leads", "leads WHERE 1=0", "leads--", "(SELECT 1)", "no_such_table", "no_schema.leads"],
)
def test_a_table_name_is_never_run_as_sql(way: str, postgres: str, table: str) -> None:
    with pytest.raises(LoftySourceNotReady, match="nothing was sent"):
        read(postgres, table=table)
    assert ids(read(postgres, table="leads")) == [EXACT, 2, 3]


@pytest.mark.parametrize("table", ["", " ", ".", "leads.", ".leads", "a..b", 'leads"', '"leads', 'le"a"ds', '""'])
def test_anything_that_cannot_be_a_table_name_is_refused(way: str, postgres: str, table: str) -> None:
    with pytest.raises(LoftyConfigurationError, match="is not a table name"):
        read(postgres, table=table)


@pytest.mark.parametrize(
    ("sql", "parameters", "expected"),
    [
        ("SELECT lead_id FROM leads ORDER BY lead_id", None, [2, 3, EXACT]),
        ("SELECT lead_id FROM leads WHERE text LIKE 'a%' ORDER BY 1", None, [2, EXACT]),
        ("SELECT lead_id FROM leads WHERE text LIKE 'a%' ORDER BY 1", [], [2, EXACT]),
        ("SELECT lead_id FROM leads WHERE text = %s AND lead_id = %s", ["a home", 2], [2]),
        ("SELECT lead_id FROM leads WHERE text = %s AND lead_id = %s", ("a home", 2), [2]),
        ("SELECT lead_id FROM leads WHERE text = %(text)s AND lead_id > %(least)s", {"text": "a home", "least": 2}, [EXACT]),
        ("SELECT lead_id FROM leads WHERE text LIKE 'a%%' AND lead_id = %s", [2], [2]),
        ("SELECT lead_id FROM leads WHERE lead_id < 0", None, []),
    ],
)  # fmt: skip
def test_a_statement_keeps_the_drivers_own_parameter_style(
    way: str, postgres: str, sql: str, parameters: Any, expected: list[int]
) -> None:
    assert ids(read(postgres, sql=sql, parameters=parameters)) == expected


@pytest.mark.parametrize(
    ("sql", "parameters", "expected"),
    [
        ("SELECT lead_id FROM leads WHERE text LIKE 'a%'", None, [EXACT, 2]),
        ("SELECT lead_id FROM leads WHERE text = ? AND lead_id > ?", ["a home", 5], [EXACT]),
        ("SELECT lead_id FROM leads WHERE text = :text", {"text": "b home"}, [3]),
    ],
)
def test_sqlite_keeps_its_own_style(way: str, sqlite: Any, sql: str, parameters: Any, expected: list[int]) -> None:
    assert ids(read(sqlite[0], sql=sql, parameters=parameters)) == expected
    assert ids(read(sqlite[0], table="leads")) == [EXACT, 2, 3]


def test_more_rows_than_one_batch_come_once_each_and_in_order(way: str, postgres: str) -> None:
    found = read(postgres, sql="SELECT n AS lead_id FROM generate_series(1, 3500) AS n ORDER BY n")
    assert ids(found) == list(range(1, 3501))
    assert [item.row_number for item in found.rows] == list(range(1, 3501))


def test_every_kind_of_value_arrives_exactly(way: str, postgres: str, lofty: Any, connect: Any) -> None:
    connect(lofty)
    ended = run(table="kinds", source_conn_id=postgres, timezone="America/New_York")
    assert ended.counts == {"delivered": 1}
    (arrived,) = lofty.activities
    assert arrived.lead_id == EXACT
    assert arrived.body == {
        "type": "Request",
        "text": "a",
        "link": "l",
        "picture": "",
        "created": 1_772_377_200_123,  # 10:00:00.123 in New York
        "listing": {"price": 450_000, "zipCode": "02134", "bathrooms": 2.5},
    }


def test_what_postgres_has_of_its_own_means_the_same(way: str, postgres: str, lofty: Any, connect: Any) -> None:
    connect(lofty)
    sql = (
        "SELECT 7::numeric(20, 4) AS lead_id, 'Browse' AS type, gen_random_uuid() AS text, 'l'::char(9) AS link, '' AS picture,"
        " '2026-03-01 10:00+00'::timestamptz AS created, {listing} AS listing, 'AZ'::char(5) AS \"listing.state\""
    )
    for listing in (
        "'null'::jsonb",
        "'null'",
        "NULL::jsonb",
        """'{"price": "$450,000.00", "zip_code": null}'::jsonb""",
    ):
        assert run(sql=sql.format(listing=listing), source_conn_id=postgres).counts == {"delivered": 1}
    bodies = [activity.body for activity in lofty.activities]
    assert [body["created"] for body in bodies] == [1_772_359_200_000] * 4
    assert [len(body["text"]) for body in bodies] == [36] * 4
    assert [body["link"] for body in bodies] == ["l"] * 4
    assert [body["listing"] for body in bodies] == [{"state": "AZ"}] * 3 + [{"price": 450_000, "state": "AZ"}]


@pytest.fixture(params=["postgresql+psycopg2", "postgresql+psycopg", "fetchmany"])
def driver(request: pytest.FixtureRequest, postgres: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read PostgreSQL by each of its drivers, if it is installed, and without an engine."""
    if request.param == "fetchmany":
        monkeypatch.setattr(PostgresHook, "get_sqlalchemy_engine", _no_engine)
        return postgres
    pytest.importorskip(request.param.partition("+")[2])
    connection = {**json.loads(os.environ["AIRFLOW_CONN_WAREHOUSE"]), "extra": {"sqlalchemy_scheme": request.param}}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    return postgres


OF_JSON = (
    "SELECT 7 AS lead_id, 'Browse' AS type, {text} AS text, 'l' AS link, '' AS picture, now() AS created,"
    " {listing} AS listing"
)


@pytest.mark.parametrize("kind", ["json", "jsonb"])
def test_a_number_inside_json_keeps_its_digits(driver: str, lofty: Any, connect: Any, kind: str) -> None:
    connect(lofty)
    listing = f"""'{{"price": 9007199254740993.00, "note": 0.12345678901234567890, "lotSize": 0.1}}'::{kind}"""
    ended = run(sql=OF_JSON.format(listing=listing, text=f"'1234567890.12345678901'::{kind}"), source_conn_id=driver)
    assert ended.counts == {"invalid": 1}
    assert ended.summary["errors"][0]["error_field"] == "listing.price"
    listing = listing.replace("9007199254740993.00", "5.0")
    ended = run(sql=OF_JSON.format(listing=listing, text=f"'1234567890.12345678901'::{kind}"), source_conn_id=driver)
    assert ended.counts == {"delivered": 1}
    (activity,) = lofty.activities
    assert activity.body["text"] == "1234567890.12345678901"
    assert activity.body["listing"] == {"price": 5, "note": "0.1234567890123456789", "lotSize": 0.1}


@pytest.mark.parametrize("listing", ['{"price": 1, "price": 2}', '{"a": {"b": 1, "b": 2}}', '[{"a": 1, "a": 2}]'])
def test_json_that_has_a_name_twice_is_refused_where_it_is_used(
    driver: str, lofty: Any, connect: Any, tmp_path: Any, listing: str
) -> None:
    connect(lofty)
    sql, report = OF_JSON.format(listing=f"'{listing}'::json", text="'t'"), str(tmp_path / "r.csv")
    ended = run(sql=sql, source_conn_id=driver, report_path=report)
    assert ended.counts == {"invalid": 1}
    assert "JSON that has a name twice in one object" in ended.summary["errors"][0]["error"]
    assert run(path=report).counts == {"invalid": 1}
    assert run(sql=OF_JSON.format(listing="NULL", text=f"'{listing}'::json"), source_conn_id=driver).counts == {
        "invalid": 1
    }
    assert run(sql=sql.replace("AS listing", "AS unused"), source_conn_id=driver).counts == {"delivered": 1}


def test_json_that_python_cannot_read_is_refused_where_it_is_used(
    driver: str, lofty: Any, connect: Any, tmp_path: Any
) -> None:
    connect(lofty)
    sql = OF_JSON.format(listing=f"""'{{"price": {"9" * 5000}}}'::jsonb""", text="'t'")
    report = str(tmp_path / "r.csv")
    ended = run(sql=sql, source_conn_id=driver, report_path=report)
    assert ended.counts == {"invalid": 1}
    assert "JSON that cannot be read" in ended.summary["errors"][0]["error"]
    assert run(path=report).counts == {"invalid": 1}
    assert run(sql=sql.replace("AS listing", "AS unused"), source_conn_id=driver).counts == {"delivered": 1}


def test_json_of_other_connections_is_read_as_before(driver: str, postgres_uri: str) -> None:
    read(driver, sql="""SELECT '{"a": 0.12345678901234567890}'::json""")
    with closing(psycopg2.connect(postgres_uri)) as connection, connection.cursor() as cursor:
        cursor.execute("""SELECT '{"a": 0.12345678901234567890}'::json""")
        assert cursor.fetchone() == ({"a": 0.12345678901234568},)


def test_a_timestamp_with_a_zone_means_that_moment(way: str, postgres: str, lofty: Any, connect: Any) -> None:
    connect(lofty)
    run(sql="SELECT * FROM leads WHERE lead_id = 2", source_conn_id=postgres, timezone="America/New_York")
    assert [activity.body["created"] for activity in lofty.activities] == [1_772_352_000_000]  # 08:00:00 UTC


class _Watched(BaseHTTPRequestHandler):
    """Accepts every activity, and looks around when the first one comes."""

    protocol_version = "HTTP/1.1"
    look: Callable[[], Any]
    seen: list[Any]

    def do_POST(self) -> None:
        if not self.seen:
            self.seen.append(type(self).look())
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"leadId": int(self.path.split("/")[3])}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def watched_lofty(starts_server: None, connect: Any) -> Iterator[type[_Watched]]:
    handler = type("Handler", (_Watched,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    connect(f"http://127.0.0.1:{server.server_port}")
    yield handler
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("source", [{"table": "leads"}, {"sql": "SELECT * FROM leads"}], ids=["table", "sql"])
def test_the_database_is_closed_before_the_first_row_is_sent(
    way: str, postgres: str, postgres_uri: str, watched_lofty: type[_Watched], source: dict[str, str]
) -> None:
    with closing(psycopg2.connect(postgres_uri)) as observer:

        def others() -> int:
            for _ in range(50):  # a server process needs a moment to end
                with observer, observer.cursor() as cursor:
                    cursor.execute(
                        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                        " AND pid <> pg_backend_pid()"
                    )
                    count = int(cursor.fetchone()[0])
                if not count:
                    break
                time.sleep(0.02)
            return count

        watched_lofty.look = others  # type: ignore[assignment]
        assert run(source_conn_id=postgres, **source).counts == {"delivered": 3}
    assert watched_lofty.seen == [0]


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT * FROM leads WHERE text = %s AND", [MARK]),
        ("SELECT * FROM leads WHERE lead_id = %s::int", [MARK]),
        ("SELECT * FROM leads WHERE no_column = %s", [MARK]),
        ("SELECT * FROM leads LIMIT 1 %s", [MARK]),
        ("SELECT * FROM leads WHERE text = %s", [MARK, MARK]),
        ("SELECT * FROM leads WHERE text = %s AND link = %s", [MARK]),
        ("SELECT * FROM leads WHERE text = %(text)s", {"other": MARK}),
        ("SELECT text::int AS lead_id FROM leads WHERE text <> %s", [MARK]),
        ("SELECT 1 / (lead_id - 2) AS lead_id FROM leads WHERE text <> %s", [MARK]),
    ],
)
def test_a_refused_statement_is_reported_without_its_parameters(
    way: str, postgres: str, lofty: Any, connect: Any, sql: str, parameters: Any
) -> None:
    connect(lofty)
    ended = run(sql=sql, parameters=parameters, source_conn_id=postgres)
    assert isinstance(ended.error, (LoftySourceNotReady, LoftyConfigurationError))
    assert "nothing was sent" in str(ended.error)
    assert not set(MARK.split()) & set("".join(c if c.isalpha() else " " for c in str(ended.error)).split())
    assert "a home" not in str(ended.error)
    assert MARK not in "".join(ended.log)
    assert lofty.requests == []


@pytest.mark.parametrize(("sql", "parameters"), [("SELECT %(text)s", [MARK]), ("SELECT %s", {"text": MARK})])
def test_named_parameters_for_places_and_the_other_way_round_are_configuration(
    postgres: str, lofty: Any, connect: Any, sql: str, parameters: Any
) -> None:
    connect(lofty)
    ended = run(sql=sql, parameters=parameters, source_conn_id=postgres)
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "the query and its parameters do not fit together" in str(ended.error)
    assert MARK not in "".join(ended.log)
    assert lofty.requests == []


@pytest.mark.parametrize("parameter", ["\ud800", 2**70])
def test_a_parameter_that_a_driver_cannot_write_is_configuration(
    way: str, sqlite: Any, lofty: Any, connect: Any, parameter: Any
) -> None:
    connect(lofty)
    ended = run(sql="SELECT * FROM leads WHERE text = ?", parameters=[parameter], source_conn_id=sqlite[0])
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "do not fit together" in str(ended.error)
    assert "nothing was sent" in str(ended.error)
    assert lofty.requests == []


def test_a_statement_that_fails_among_its_rows_is_retryable_and_sends_none_of_them(
    way: str, sqlite: Any, lofty: Any, connect: Any
) -> None:
    connect(lofty)
    name, database = sqlite
    database.execute(f"UPDATE leads SET link = '[]', picture = CASE lead_id WHEN 3 THEN '{MARK}' ELSE '[]' END")
    sql = "SELECT lead_id, type, text, link, json(picture) AS picture, created FROM leads"
    ended = run(sql=sql, source_conn_id=name)
    assert isinstance(ended.error, LoftySourceNotReady)
    assert "the database aborted the query: OperationalError; nothing was sent" in str(ended.error)
    assert MARK not in "".join([str(ended.error), *ended.log])
    assert lofty.requests == []


def test_parameters_are_not_logged(way: str, postgres: str, lofty: Any, connect: Any) -> None:
    connect(lofty)
    ended = run(sql="SELECT * FROM leads WHERE text <> %s", parameters=[MARK], source_conn_id=postgres)
    assert ended.counts == {"delivered": 3}
    assert MARK not in "".join(ended.log)


def test_a_value_that_a_driver_cannot_read_is_not_quoted(way: str, sqlite: Any, lofty: Any, connect: Any) -> None:
    connect(lofty)
    name, database = sqlite
    database.execute("UPDATE leads SET text = CAST(x'4D617269676F6C64E9' AS TEXT) WHERE lead_id = 3")
    ended = run(table="leads", source_conn_id=name)
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "Cast it to text" in str(ended.error)
    assert "Marigold" not in "".join([str(ended.error), *ended.log])
    assert lofty.requests == []


UNREADABLE = (
    "'infinity'::timestamptz",
    "'-infinity'::timestamp",
    "'-infinity'::date",
    "'0044-03-15 BC'::date",
    "'10000-01-01'::timestamp",
    "1 / (g - g)",
    "('x' || g)::int",
)


@pytest.mark.parametrize("value", UNREADABLE)
@pytest.mark.parametrize("rows", [1, 3000])
def test_a_value_that_python_cannot_hold_is_configuration_even_where_nobody_uses_it(
    way: str, postgres: str, value: str, rows: int, lofty: Any, connect: Any
) -> None:
    connect(lofty)
    sql = (
        "SELECT g AS lead_id, 'Browse' AS type, 't' AS text, 'l' AS link, '' AS picture, now() AS created,"
        f" CASE WHEN g = {rows} THEN {value} END AS unused FROM generate_series(1, {rows}) g"
    )
    ended = run(sql=sql, source_conn_id=postgres)
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "Cast it to text in the statement" in str(ended.error)
    assert lofty.requests == []


def test_the_last_and_the_first_day_that_python_knows_are_days_as_any_other(
    way: str, postgres: str, lofty: Any, connect: Any
) -> None:
    connect(lofty)
    sql = (
        "SELECT 1 AS lead_id, 'Browse' AS type, d::text AS text, 'l' AS link, '' AS picture, now() AS created,"
        " d AS scheduled_date, t AS unused, NULL::date AS nothing, now()::timestamptz AS now FROM (VALUES"
        " ('9999-12-31'::date, '9999-12-31 23:59:59.999999'::timestamp), ('0001-01-01', '0001-01-01')) v (d, t)"
    )
    assert run(sql=sql, source_conn_id=postgres).counts == {"delivered": 2}
    assert {a.body["text"]: a.body["scheduledDate"][:10] for a in lofty.activities} == {
        "9999-12-31": "9999-12-31", "0001-01-01": "0001-01-01"
    }  # fmt: skip


def test_a_column_of_32_bit_floats_is_no_more_exact_than_it_was(
    way: str, postgres: str, lofty: Any, connect: Any, tmp_path: Any
) -> None:
    connect(lofty)
    sql = (
        "SELECT n::real AS lead_id, 'Browse' AS type, 't' AS text, 'l' AS link, '' AS picture, now() AS created,"
        " (n / 10.0)::real AS listing_lot_size FROM unnest(ARRAY[16777217, 3, 20000000]) n"
    )
    report = str(tmp_path / "r.csv")
    ended = run(sql=sql, source_conn_id=postgres, report_path=report)
    assert ended.counts == {"invalid": 2, "delivered": 1}
    assert "32-bit float" in ended.summary["errors"][0]["error"]
    assert run(path=report).counts == {"invalid": 2, "already_delivered": 1}
    assert [(a.lead_id, a.body["listing"]) for a in lofty.activities] == [(3, {"lotSize": 0.3})]


def test_a_far_date_in_a_table_sends_nothing(way: str, postgres: str, lofty: Any, connect: Any) -> None:
    connect(lofty)
    ended = run(table="far", source_conn_id=postgres)
    assert isinstance(ended.error, LoftyConfigurationError)
    assert lofty.requests == []


@pytest.mark.parametrize(
    "sql", ["CREATE TEMP TABLE nothing (a int)", "UPDATE leads SET text = text", "SET work_mem = 64"]
)
def test_a_statement_without_rows_is_refused(way: str, postgres: str, sql: str) -> None:
    with pytest.raises((LoftyConfigurationError, LoftySourceNotReady), match="nothing was sent"):
        read(postgres, sql=sql)


def test_a_statement_without_rows_is_named_as_such(way: str, sqlite: Any) -> None:
    with pytest.raises(LoftyConfigurationError, match="must be one SELECT statement"):
        read(sqlite[0], sql="CREATE TABLE other (a)")


def test_a_table_that_is_not_there_yet_is_retryable(way: str, postgres: str) -> None:
    with pytest.raises(LoftySourceNotReady, match="no_such_table") as raised:
        read(postgres, table="no_such_table")
    assert not isinstance(raised.value, AirflowFailException)


def test_an_unreachable_database_is_retryable_and_its_password_is_not_reported(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "login": "someone", "password": MARK}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    with pytest.raises(LoftySourceNotReady) as raised:
        read("warehouse", table="leads")
    assert MARK not in str(raised.value)


def test_an_unknown_connection_is_configuration() -> None:
    with pytest.raises(LoftyConfigurationError, match="'no_such_connection'"):
        read("no_such_connection", table="leads")


def test_a_column_that_comes_twice_is_not_guessed_at(way: str, postgres: str, lofty: Any, connect: Any) -> None:
    connect(lofty)
    ended = run(sql="SELECT a.*, b.lead_id FROM leads a JOIN leads b USING (text)", source_conn_id=postgres)
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "both match the field leadId" in str(ended.error)


def test_hook_parameters_reach_the_hook(postgres: str) -> None:
    with pytest.raises(LoftySourceNotReady, match="no_such_database"):
        read(postgres, table="leads", hook_params={"database": "no_such_database"})


def test_sql_needs_a_source_connection() -> None:
    ended = run(sql="SELECT 1")
    assert isinstance(ended.error, LoftyConfigurationError)
    assert "source_conn_id" in str(ended.error)
