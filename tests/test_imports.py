"""Who may import whom: data flows one way, and what is heavy or foreign is known in one place only."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import airflow_provider_lofty

PACKAGE = "airflow_provider_lofty"
FOLDER = Path(airflow_provider_lofty.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))

# Lowest first: each room imports only from the layers before its own. A new one has to find its place here.
LAYERS = (
    ("printable", "profile"),
    ("", "clock", "exceptions", "outcomes", "log", "task_key", "sandbox"),
    ("assets", "config", "lofty"),
    ("links", "rows"),
    ("hooks", "openlineage", "spool"),
    ("journal", "leads", "provider_info", "report"),
    ("delivery", "metrics"),
    ("run",),
    ("first_contact", "notifications", "operators", "ui"),
    ("decorators",),
)
NOT_YET: set[tuple[str, str]] = set()  # (room, room that it should not import)
RANKS = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
PURE = (
    "printable",
    "profile.changes",
    "profile.profile",
    "clock",
    "lofty.answers",
    "lofty.bodies",
    "lofty.fields",
    "lofty.learned",
    "lofty.window",
    "lofty.pacing",
    "lofty.redaction",
    "lofty.settings",
    "lofty.trace",
    "rows.values",
    "rows.numbers",
    "rows.written",
    "rows.timestamps",
    "rows.timestamp_text",
    "rows.checks",
    "rows.columns",
    "rows.cursor",
    "rows.builder",
    "rows.mapping",
    "rows.file_options",
    "rows.delimited",
    "rows.compression",
    "rows.json_text",
    "rows.habits",
    "rows.kinds",
    "rows.lake",
    "rows.lines",
    "rows.notes",
    "rows.records",
    "rows.strict",
    "rows.report_format",
    "spool.spool",
    "spool.sample",
    "spool.cursor",
    "hooks.form",
    "provider_info",
    "journal.journal",
    "journal.commits",
    "journal.task_state",
    "journal.database",
    "journal.tables",
    "journal.schema",
    "journal.cursor",
    "delivery.matching",
    "delivery.backlog",
    "delivery.breaker",
    "delivery.controls",
    "delivery.matching",
    "delivery.precheck",
    "delivery.progress",
    "delivery.settling",
    "ui.indexer",
)


def module_of(file: Path) -> str:
    inner = file.relative_to(FOLDER.parent).with_suffix("")
    return ".".join(inner.parts).removesuffix(".__init__")


MODULES = {module_of(file): file for file in FILES}


def part_of(file: Path) -> str:
    inner = file.relative_to(FOLDER)
    return inner.parts[0].removesuffix(".py").replace("__init__", "")


@cache
def nodes_of(file: Path) -> tuple[ast.AST, ...]:
    """Parse a file, once for all tests."""
    return tuple(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


@cache
def imports_of(file: Path) -> frozenset[str]:
    """Every module or name that is imported, anywhere in the file, by its full path."""
    names = set()
    for node in nodes_of(file):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written out in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def is_in(name: str, *packages: str) -> bool:
    """Whether a module or name is one of these packages or lies in one."""
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def importers_of(*libraries: str) -> set[str]:
    """The parts of the package that import one of these libraries."""
    return {part_of(file) for file in FILES for name in imports_of(file) if is_in(name, *libraries)}


def own_modules(file: Path) -> set[str]:
    """The package's modules that a file imports, or of which it imports names."""
    names = {name for name in imports_of(file) if is_in(name, PACKAGE)}
    return {name if name in MODULES else name.rpartition(".")[0] for name in names}


def own_imports(file: Path) -> set[str]:
    """The parts of the package that a file imports."""
    return {part_of(MODULES[module]) for module in own_modules(file)} - {part_of(file)}


def test_every_part_has_its_place() -> None:
    assert {part_of(file) for file in FILES} <= set(RANKS)


def test_data_flows_one_way() -> None:
    arrows = {(part_of(file), other) for file in FILES for other in own_imports(file)}
    upwards = {(part, other) for part, other in arrows if other and RANKS[other] >= RANKS[part]}
    assert upwards == NOT_YET


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module: own_modules(file) - {module} for module, file in MODULES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.program
def test_the_core_knows_neither_airflow_nor_requests() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('airflow', 'requests', 'urllib3', 'pandas', 'numpy', 'pyarrow'))); "
        f"import {', '.join(f'{PACKAGE}.{part}' for part in PURE)}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=FOLDER.parent, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("libraries", "parts"),
    [
        (("requests", "urllib3", "authlib", "httpx", "aiohttp", "http.client", "urllib.request"), {"hooks", "lofty"}),
        (("pyarrow", "fsspec", "airflow.providers.common"), {"rows"}),
        (("airflow.providers",), {"rows", "openlineage"}),
        (("openlineage",), {"openlineage"}),
        (("sqlalchemy",), {"journal", "rows", "ui"}),
        (("wtforms",), {"hooks"}),
        (("fastapi", "starlette", "uvicorn", "pydantic"), {"sandbox", "ui"}),
        (("sqlite3",), {"spool", "run", "ui"}),
        (("pandas", "numpy", "polars"), set()),
        # Before Python 3.13 its get() may wait for ever when its time is over just as it begins to wait.
        (("queue.SimpleQueue",), set()),
        # What Airflow may change from one version to the next; its SDK is what it promises to keep.
        (("airflow.settings", "airflow.hooks"), set()),
        (("airflow.utils",), {"decorators", "ui"}),
        (("airflow.models", "airflow.api_fastapi", "airflow.plugins_manager"), {"ui"}),
        (("airflow.configuration",), {"config"}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_library_is_known_in_one_place_only(libraries: tuple[str, ...], parts: set[str]) -> None:
    assert importers_of(*libraries) == parts


def imports_the_hook(file: Path) -> bool:
    return part_of(file) != "hooks" and f"{PACKAGE}.hooks.lofty" in own_modules(file)


def test_only_the_operator_and_the_command_import_the_hook() -> None:
    assert {part_of(file) for file in FILES if imports_the_hook(file)} == {"operators", "first_contact"}


def test_only_operator_and_notifier_read_the_tasks_context() -> None:
    signs = {
        "get_current_context",
        "get_parsing_context",
        "Context",
        "xcom_push",
        "xcom_pull",
        "task_instance",
        "dag_run",
    }
    readers = set()
    for file in FILES:
        for node in nodes_of(file):
            named = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None)
            if named in signs | {"context"} or (isinstance(node, ast.alias) and node.name in signs):
                readers.add(part_of(file))
    assert readers == {"operators", "decorators", "notifications"}


def test_what_proves_a_delivery_knows_no_profile() -> None:
    """What was seen once is no proof of what is so now: canary, controls and settling see for themselves."""
    knowing = {part_of(file) for file in FILES if "profile" in own_imports(file)}
    assert knowing == {"first_contact", "hooks", "lofty", "run", "sandbox"}
    assert {module_of(file) for file in FILES if part_of(file) == "lofty" and "profile" in own_imports(file)} == {
        f"{PACKAGE}.lofty.settings"
    }


def test_the_sandbox_stands_alone() -> None:
    assert {name for file in FILES if part_of(file) == "sandbox" for name in own_imports(file)} == {"profile"}
    assert "sandbox" not in {name for file in FILES if part_of(file) != "sandbox" for name in own_imports(file)}
    assert "sandbox" not in importers_of("airflow", "requests")


def test_the_api_knows_no_airflow() -> None:
    assert "lofty" not in importers_of("airflow")


@pytest.mark.program
def test_importing_the_operator_costs_no_pandas_no_pyarrow_and_no_server() -> None:
    code = (
        f"import sys, {PACKAGE}.operators.lofty; "
        "print(*({'pandas', 'pyarrow', 'fastapi', 'uvicorn'} & set(sys.modules) - before))"
    )
    # What Airflow itself brings along is not ours.
    before = "import sys, airflow.sdk; from airflow.sdk import BaseOperator, BaseHook, ObjectStoragePath; before = set(sys.modules); "
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", before + code],
        capture_output=True,
        text=True,
        cwd=FOLDER.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2:] == ["", ""]
