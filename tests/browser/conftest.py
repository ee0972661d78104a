"""
A whole Airflow, a practice Lofty, and Debian's Chromium to walk through both.

Skipped, and said so, where there is no Chromium or no playwright. Pictures of what was seen are kept under
``.work/screenshots``; those that the README shows go to ``LOFTY_PICTURES`` too, where that is set.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.standalone import Standalone

from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURES = REPOSITORY / ".work" / "screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Without these it looks for servers of its maker's, which a closed network refuses one by one.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

DAG = """
from datetime import timedelta
from airflow.sdk import DAG, Asset
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator

with DAG("visits_to_lofty", schedule=None, tags=["lofty"]):
    LoftyAddActivityOperator(
        task_id="send_to_lofty",
        path={visits!r},
        defaults={{"type": "Browse", "picture": ""}},
    )

with DAG("shards_to_lofty", schedule=None):
    LoftyAddActivityOperator.partial(
        task_id="shard", defaults={{"type": "Browse", "picture": ""}}, check_existing="never",
        outlets=[Asset("lofty://activities")],
    ).expand(path=[{shard!r}, {broken!r}])

with DAG("visits_in_tries", schedule=None):
    LoftyAddActivityOperator(
        task_id="send_to_lofty",
        lofty_conn_id="lofty_slow",
        path={slow!r},
        defaults={{"type": "Browse", "picture": ""}},
        check_existing="never",
        execution_timeout=timedelta(seconds=6),
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
"""


def csv_of(numbers: range) -> str:
    """Rows of which some are wrong, and whose texts are what a page must not run."""
    lines = ["lead_id,text,link,created,agent"]
    for n in numbers:
        lead = "unknown" if n % 40 == 7 else 9000 + n
        created = "yesterday" if n % 50 == 9 else 1763290000000 + n
        text = f"Viewed home {n} <script>document.title='run'</script><img src=x onerror=document.title='run'>"
        lines.append(f"{lead},{text},https://www.example.com/homes/{n},{created},Sample Agent {n % 5}")
    return "\n".join(lines)


@pytest.fixture(scope="session")
def practice(starts_server: None) -> Iterator[Sandbox]:
    """A Lofty of 400 requests a minute that misses three leads."""
    settings = SandboxSettings(
        requests_per_minute=400, missing_leads=frozenset({9003, 9025, 9100}), latency_seconds=0.05
    )
    with Sandbox(settings) as lofty:
        yield lofty


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Where rows and reports lie; the pictures show its name."""
    with tempfile.TemporaryDirectory(prefix="lofty-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def reports(folder: Path) -> Path:
    return folder / "reports"


@pytest.fixture(scope="session")
def airflow(
    chromium: Any, practice: Sandbox, folder: Path, reports: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standalone]:
    home = tmp_path_factory.mktemp("airflow")
    files = {"visits": range(1, 161), "shard": range(211, 221), "broken": range(7, 8), "slow": range(301, 341)}
    for name, numbers in files.items():
        (folder / f"{name}.csv").write_text(csv_of(numbers), encoding="utf-8")
    slow = {"conn_type": "lofty", "host": practice.url, "password": practice.settings.api_key}
    slow["extra"] = json.dumps({"requests_per_minute": 60})
    environment = {
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__LOFTY__REPORT_FOLDER": str(reports),
        "AIRFLOW__LOFTY__SEND_REPORT_DAG_ID": "lofty_send_report",
        "AIRFLOW_CONN_LOFTY_SLOW": json.dumps(slow),
    }
    with Standalone(home, environment) as standalone:
        dag = DAG.format(**{name: str(folder / f"{name}.csv") for name in files})
        (standalone.dags / "walk.py").write_text(dag, encoding="utf-8")
        yield standalone


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="NOT SEEN IN A BROWSER: playwright is not installed")
    if CHROMIUM is None:
        pytest.skip(
            "NOT SEEN IN A BROWSER: there is no Chromium (Debian: apt-get install chromium; then make test-browser)"
        )
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> Any:
    """What a page is to people who do not see or do not use a mouse, as far as a program can tell."""
    found = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="NOT SEEN BY AXE: axe-playwright-python is not installed"
    )
    return found.Axe()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Give a function that opens a window; whatever its console calls an error fails the test."""
    contexts, errors = [], []

    def watch(message: Any) -> None:
        # Airflow's own page looks for what is not there yet.
        if message.type == "error" and "/lofty/" in str(message.location):
            errors.append(message.text)

    def open_window(width: int = 1280, height: int = 900, **settings: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.on("console", watch)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield open_window
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture(scope="session")
def keep() -> Callable[..., None]:
    """Give a function that keeps a picture of a page."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for_readme = os.environ.get("LOFTY_PICTURES")

    def shot(page: Any, name: str, *, readme: bool = False, **settings: Any) -> None:
        page.screenshot(path=PICTURES / f"{name}.png", **settings)
        if readme and for_readme:
            shutil.copy(PICTURES / f"{name}.png", Path(for_readme) / f"{name}.png")

    return shot
