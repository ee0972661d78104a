"""Installs what was built, each file by itself, and delivers a row with it.

    python tools/check_installed.py FOLDER dist/*.whl dist/*.tar.gz

Only the package is installed, into a folder of its own below FOLDER: what it needs is that of this interpreter.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Runs in FOLDER, where no checkout is found; Airflow takes the connection from the environment.
DELIVER = """
import json, os
from importlib.metadata import distribution
from pathlib import Path

import airflow_provider_lofty
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings

installed = Path(os.environ["PYTHONPATH"])
package = Path(airflow_provider_lofty.__file__).parent
assert package.parent == installed, package
assert (package / "py.typed").is_file()
assert distribution("airflow-provider-lofty").version == airflow_provider_lofty.__version__
points = {point.group: point.load() for point in distribution("airflow-provider-lofty").entry_points}
assert points["apache_airflow_provider"]()["package-name"] == "airflow-provider-lofty"
assert points["airflow.plugins"].name == "lofty"

with Sandbox(SandboxSettings(requests_per_minute=60_000)) as lofty:
    connection = {"conn_type": "lofty", "host": lofty.url, "password": lofty.settings.api_key}
    os.environ["AIRFLOW_CONN_LOFTY_DEFAULT"] = json.dumps(connection)
    row = {"leadId": 4711, "type": "Browse", "text": "t", "link": "l", "picture": "", "created": "2026-11-02T09:30:00Z"}
    summary = LoftyAddActivityOperator(task_id="send", rows=[row]).execute({})
    assert summary["delivered"] == len(lofty.activities) == 1, summary
"""


def main(folder: str, *distributions: str) -> int:
    for distribution in map(Path, distributions):
        target = Path(folder).resolve() / distribution.name
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-compile", "--upgrade"]
        subprocess.run([*pip, "--target", str(target), str(distribution)], check=True)
        home = {"AIRFLOW_HOME": str(target.parent / "airflow"), "PYTHONPATH": str(target)}
        ran = subprocess.run(
            [sys.executable, "-c", DELIVER],
            cwd=target.parent,
            env={**os.environ, **home},
            capture_output=True,
            text=True,
        )
        if ran.returncode:
            print(f"{distribution.name}, installed, does not deliver:\n{ran.stdout}{ran.stderr}", file=sys.stderr)
            return 1
        print(f"{distribution.name}: installed, and delivered a row")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
