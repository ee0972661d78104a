"""
Show the provider at work on this machine: CSV rows → a real Airflow task → a practice Lofty → a report.

Starts the practice Lofty, runs the example Dag ``dags/lofty_from_files.py`` once on the made-up rows of
``demo/data``, and prints what happened to them. Some rows are bad on purpose. With ``--ui`` the same happens in
Airflow's own pages, slowly enough to watch.
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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_lofty.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.setdefault("AIRFLOW_HOME", str(ROOT / ".work" / "demo")))
FOLDER = HOME / "rows"
DELETED_LEAD = 900199999999999
DAG = "lofty_from_files"
TASK = "send_to_lofty"


def main() -> None:
    """Run the demo; in a terminal, keep the practice Lofty up until Ctrl-C."""
    from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings

    in_pages = "--ui" in sys.argv[1:]
    pace = 300 if in_pages else 3000
    settings = SandboxSettings(requests_per_minute=pace, missing_leads=frozenset((DELETED_LEAD,)))
    with Sandbox(settings) as lofty:
        say(f"a practice Lofty runs at {lofty.url} (open it in a browser to see what arrives)")
        _prepare(lofty.url, lofty.settings.api_key)
        say(f"starting Airflow and running the Dag {DAG!r}, dags/{DAG}.py (about half a minute the first time)")
        if in_pages:
            _show(lofty.url)
        else:
            _run(lofty)


def _run(lofty: Sandbox) -> None:
    with _output_in(HOME / "airflow.log"):
        state, summary = _run_dag()
    _tell(state, summary, len(lofty.activities))
    if sys.stdout.isatty():
        _stay(lofty.url)


def _show(url: str) -> None:
    from demo.pages import airflow

    with airflow(HOME) as running:
        run_id = running.trigger(DAG)
        task = f"{running.url}/dags/{DAG}/runs/{run_id}/tasks/{TASK}"
        say(f"Airflow runs at {running.url}, without a login and for this machine alone")
        say(f'the tab "Lofty rows" of the task {TASK!r}: {task}/plugin/lofty-rows')
        say(f"lofty_default is in the environment; to try a connection's form and its Test: {running.url}/connections")
        _stay(f"{running.url} and {url}", "stay")


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
    }
    os.environ.update(
        AIRFLOW_CONN_LOFTY_DEFAULT=json.dumps(connection),
        AIRFLOW_VAR_LOFTY_FOLDER=str(FOLDER),
        AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__LOFTY__REPORT_FOLDER=str(FOLDER / "reports"),  # where the Dag writes, too: the tab shows it
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
    say(f'the Dag is {DAG!r}; in Airflow, the tab "Lofty rows" of its task {TASK!r} shows this, too: make demo-ui')
    say(
        "the task is red because bad rows must not go unnoticed; the good ones were delivered all the same. "
        "Correct the rows in the report and pass it as path=…: only those are sent"
        if failed
        else "every row was delivered"
    )


_OUTCOMES = (
    "delivered already_delivered duplicate invalid rejected unknown not_attempted unmatched would_send".split()  # noqa: SIM905
)


def _stay(what: str, stays: str = "stays") -> None:
    say(f"{what} {stays} up until Ctrl-C")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
