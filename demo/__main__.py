"""
Show the provider at work on this machine: CSV rows → a real Airflow task → a practice Lofty → a report.

Starts the practice Lofty, runs the example Dag ``dags/lofty_from_files.py`` once on the made-up rows of
``demo/data``, and prints what happened to them. Some rows are bad on purpose.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.setdefault("AIRFLOW_HOME", str(ROOT / ".work" / "demo")))
FOLDER = HOME / "rows"
DELETED_LEAD = 900199999999999


def main() -> None:
    """Run the demo; in a terminal, keep the practice Lofty up until Ctrl-C."""
    from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings

    settings = SandboxSettings(requests_per_minute=3000, missing_leads=frozenset((DELETED_LEAD,)))
    with Sandbox(settings) as lofty:
        say(f"a practice Lofty runs at {lofty.url} (open it in a browser to see what arrives)")
        _prepare(lofty.url, lofty.settings.api_key)
        say("starting Airflow and running the Dag lofty_from_files (about half a minute the first time)")
        with _output_in(HOME / "airflow.log"):
            state, summary = _run_dag()
        _tell(state, summary, len(lofty.activities))
        _stay(lofty.url)


def say(text: str) -> None:
    """Print a line of progress at once."""
    print(f"==> {text}", flush=True)


def _prepare(url: str, api_key: str) -> None:
    """Set up rows, connection and configuration; Airflow reads the last two from the environment."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.copytree(ROOT / "demo" / "data", FOLDER)
    connection = {
        "conn_type": "lofty",
        "host": url,
        "password": api_key,
        "extra": {"requests_per_minute": 3000},
    }
    os.environ.update(
        AIRFLOW_CONN_LOFTY_DEFAULT=json.dumps(connection),
        AIRFLOW_VAR_LOFTY_FOLDER=str(FOLDER),
        AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
    )


@contextmanager
def _output_in(path: Path) -> Iterator[None]:
    """Keep Airflow's own output, long tracebacks included, in a file; on an error say where it is."""
    sys.stdout.flush()
    before = os.dup(1), os.dup(2)
    with path.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    try:
        yield
    except BaseException:
        os.write(before[1], f"==> the Dag could not be run; Airflow's output is in {path}\n".encode())
        raise
    finally:
        sys.stdout.flush()
        for saved, number in zip(before, (1, 2), strict=True):
            os.dup2(saved, number)
            os.close(saved)


def _run_dag() -> tuple[str, dict[str, Any]]:
    from airflow.utils.db import initdb

    initdb()
    sys.path.insert(0, str(ROOT / "dags"))
    from lofty_from_files import lofty_from_files

    run = lofty_from_files().test()
    task = run.get_task_instances()[0]
    return str(run.state.value), task.xcom_pull(task_ids=task.task_id)


def _tell(state: str, summary: dict[str, Any], arrived: int) -> None:
    print()
    say(f"the task ended as {state!r}; Lofty now holds {arrived} activities")
    outcomes = {name: count for name, count in summary.items() if isinstance(count, int) and name in _OUTCOMES}
    print(f"    {'rows read':<20}{summary['read']:>5}")
    for name, count in outcomes.items():
        if count:
            print(f"    {name:<20}{count:>5}")
    report = Path(summary["report_path"])
    with report.open(encoding="utf-8", newline="") as stream:
        failed = [row for row in csv.DictReader(stream) if row["lofty_outcome"] in ("invalid", "rejected")]
    print("\n    what was wrong, by field and rule:")
    for error, count in Counter(row["lofty_error"] for row in failed).most_common():
        print(f"    {count:>5} × {error}")
    print(f"\n    all rows, with their outcomes: {report}\n    the task's log:                {HOME / 'airflow.log'}")
    say(
        "the task is red because bad rows must not go unnoticed; the good ones were delivered all the same. "
        "Correct the rows in the report and pass it as path=…: only those are sent"
        if failed
        else "every row was delivered"
    )


_OUTCOMES = (
    "delivered already_delivered duplicate invalid rejected unknown not_attempted unmatched would_send".split()  # noqa: SIM905
)


def _stay(url: str) -> None:
    if not sys.stdout.isatty():
        return
    say(f"{url} stays up until Ctrl-C")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
