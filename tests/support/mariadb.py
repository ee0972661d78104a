"""A real MariaDB or MySQL: one for all tests of a process, started for the first that needs it."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pymysql
import pytest

from support.guard import guarded_folder
from support.shared_journal import Database

# What is committed outlives the server's process, as far as tests go: not the machine.
_QUICK = ["--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync", "--innodb-doublewrite=OFF"]
# Kernels differ in io_uring, and containers in how much of it they allow; no test is about that.
_PORTABLE = ["--skip-innodb-use-native-aio"]
# Of the machine that the server believes to be on: a zone that it knows by an abbreviation only.
MACHINE_ZONE = "America/Phoenix"


class MariaDb:
    """
    A server whose data lie in a folder of its own.

    :param folder: an empty one, which the server's user may enter
    """

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "socket"
        self._log = folder / "log"
        self._as_user = ["--user=mysql"] if os.geteuid() == 0 else []
        self._where = [f"--datadir={folder}/data", f"--socket={self.socket}", f"--pid-file={folder}/pid"]
        self._server: subprocess.Popen[bytes] | None = None
        made = subprocess.run(
            [str(shutil.which("mariadb-install-db")), "--no-defaults", *self._as_user, self._where[0], "--skip-test-db",
             "--auth-root-authentication-method=normal"],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr
        if self._as_user:
            shutil.chown(folder, "mysql")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        how = [*self._as_user, *self._where, *_QUICK, *_PORTABLE, "--skip-networking"]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [str(shutil.which("mariadbd")), "--no-defaults", *how],
                stdout=log, stderr=log, env={**os.environ, "TZ": MACHINE_ZONE},
            )  # fmt: skip
        for _ in range(600):
            self._assert_it_runs()
            if self.socket.exists():
                break
            time.sleep(0.1)
        with closing(pymysql.connect(unix_socket=str(self.socket), user="root")):
            pass

    def stop(self, *, crash: bool = False) -> None:
        """Stop it in order, or as a crash of the machine would."""
        self._assert_it_runs()
        assert self._server is not None
        self._server.kill() if crash else self._server.terminate()
        self._server.wait(60)
        self.socket.unlink(missing_ok=True)

    def _assert_it_runs(self) -> None:
        """Where it has ended by itself, its own log alone can say why."""
        assert self._server is not None
        code = self._server.poll()
        assert code is None, f"MariaDB has ended with {code}: {self._log.read_text(errors='replace')[-5000:]}"


@pytest.fixture(scope="session")
def mariadb(starts_server: None, starts_program: None) -> Iterator[MariaDb]:
    """Start a MariaDB that is installed here; where there is none, the test is skipped."""
    if not shutil.which("mariadbd"):
        pytest.skip("NOTHING WAS TESTED on MySQL or MariaDB: set LOFTY_TEST_MYSQL, or install MariaDB")
    with guarded_folder("mariadb") as folder:
        folder.chmod(0o755)
        server = MariaDb(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def mariadb_url(request: pytest.FixtureRequest, starts_server: None, starts_program: None) -> str:
    """
    Give the URL of a database that may be written to.

    ``LOFTY_TEST_MYSQL=mysql+pymysql://root@/db?unix_socket=/path`` names one to use, in place of a MariaDB that is
    started for the while.
    """
    if named := os.environ.get("LOFTY_TEST_MYSQL"):
        return named
    address = request.getfixturevalue("mariadb").socket
    with closing(pymysql.connect(unix_socket=str(address), user="root")) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS lofty CHARACTER SET utf8mb4")
    return f"mysql+pymysql://root@/lofty?unix_socket={address}"


def maria(server: MariaDb, driver: str = "pymysql", *, character_set: str = "utf8mb4", first: str = "") -> Database:
    """
    Give a database of its own on a MariaDB.

    :param character_set: of the database, perhaps with its collation
    :param first: what each of its connections executes first
    """
    module, name = importlib.import_module(driver), f"d{uuid4().hex}"
    dialect = {"MySQLdb": "mysqldb"}.get(driver, driver)
    address: dict[str, Any] = {"unix_socket": str(server.socket), "user": "root"}
    Database("", lambda: module.connect(**address)).do(f"CREATE DATABASE {name} CHARACTER SET {character_set}")

    def connect() -> Any:
        connection = module.connect(**address, database=name)
        if first:
            with closing(connection.cursor()) as cursor:
                cursor.execute(first)
        return connection

    return Database(f"mysql+{dialect}://", connect)
