"""What holds of the journal in a table holds on a real MariaDB, too, with the driver that Airflow's hook uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from journal.test_database import (  # noqa: F401 - the same tests, with this module's database
    TestAudit,
    TestBlindness,
    TestClaims,
    TestClosing,
    TestDeadOwners,
    TestFailures,
    TestOtherLeads,
    TestRecalling,
    TestSharedKeys,
)
from support.mariadb import MariaDb, maria
from support.shared_journal import Database, Parties


@pytest.fixture
def database(mariadb: MariaDb) -> Iterator[Database]:
    """Give a database without the tables."""
    with closing(maria(mariadb, "MySQLdb")) as database:
        yield database


@pytest.fixture
def parties(database: Database) -> Parties:
    return Parties(database)
