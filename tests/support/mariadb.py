"""A real MariaDB or MySQL: one for all tests of a process, started for the first that needs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pymysql
import pytest

# Of the machine that the server believes to be on: a zone that it knows by an abbreviation only.
MACHINE_ZONE = "America/Phoenix"


@pytest.fixture(scope="session")
def mariadb_url(starts_server: None, starts_program: None) -> Iterator[str]:
    """
    Give the URL of a database that may be written to.

    ``LOFTY_TEST_MYSQL=mysql+pymysql://root@/db?unix_socket=/path`` names one to use. Without it a MariaDB that is
    installed here is started for the while; where there is none, the test is skipped.
    """
    named = os.environ.get("LOFTY_TEST_MYSQL")
    if named:
        yield named
        return
    program, install = shutil.which("mariadbd"), shutil.which("mariadb-install-db")
    if not program:
        pytest.skip("NOTHING WAS TESTED on MySQL or MariaDB: set LOFTY_TEST_MYSQL, or install MariaDB")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    user = ["--user=mysql"] if os.geteuid() == 0 else []
    data, address = f"--datadir={folder}/data", folder / "socket"
    subprocess.run(
        [str(install), "--no-defaults", *user, data, "--auth-root-authentication-method=normal"],
        check=True, capture_output=True,
    )  # fmt: skip
    if user:
        shutil.chown(folder, "mysql")
    server = subprocess.Popen(
        [program, "--no-defaults", *user, data, f"--socket={address}", "--skip-networking"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "TZ": MACHINE_ZONE},
    )  # fmt: skip
    try:
        _wait_for(str(address), server)
        yield f"mysql+pymysql://root@/lofty?unix_socket={address}"
    finally:
        server.terminate()
        server.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, "MariaDB has ended"
        if Path(address).exists():
            break
        time.sleep(0.1)
    with closing(pymysql.connect(unix_socket=address, user="root")) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE lofty CHARACTER SET utf8mb4")
