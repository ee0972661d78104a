"""Who may import whom: data flows one way, and what is heavy or foreign is known in one place only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_lofty

PACKAGE = "airflow_provider_lofty"
FOLDER = Path(airflow_provider_lofty.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))

# Each part imports only from the lines above its own. A new module has to find its place here.
LAYERS = (
    (
        "",
        "exceptions",
        "fields",
        "logs",
        "privacy",
        "answers",
        "window",
        "spreadsheet",
        "matching",
        "known",
        "sketch",
        "configured",
        "connection_form",
        "sandbox",
    ),
    ("names", "connections", "limits", "cells", "provider_info", "trouble", "progress", "pacing", "board"),
    ("activity", "spool", "links"),
    ("advice",),
    ("journal", "assets"),
    ("stores", "existing", "settling", "ledger"),
    ("readback",),
    ("hooks", "sources"),
    ("intake", "delivery", "report", "openlineage"),
    ("run",),
    ("operators", "ui"),
    ("decorators",),
)
RANKS = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
PURE = (
    "fields",
    "names",
    "activity",
    "answers",
    "window",
    "pacing",
    "spool",
    "spreadsheet",
    "privacy",
    "matching",
    "sketch",
    "connection_form",
    "provider_info",
    "journal",
    "settling",
    "existing",
    "stores.tail",
    "stores.task_state",
    "stores.sql",
)


def part_of(file: Path) -> str:
    inner = file.relative_to(FOLDER)
    return inner.parts[0].removesuffix(".py").replace("__init__", "")


def imports_in(tree: ast.AST) -> Iterator[str]:
    """Every module or name that is imported, anywhere in the file, by its full path."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written out in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def importers_of(*libraries: str) -> set[str]:
    """The parts of the package that import one of these libraries."""
    return {
        part_of(file)
        for file in FILES
        for name in imports_in(tree_of(file))
        if any(f"{name}.".startswith(f"{library}.") for library in libraries)
    }


def own_imports(file: Path) -> set[str]:
    """The parts of the package that a file imports."""
    names = {name for name in imports_in(tree_of(file)) if f"{name}.".startswith(f"{PACKAGE}.")}
    inner = {[*name.split("."), ""][1] for name in names}
    return {"" if name.startswith("__") else name for name in inner} - {part_of(file)}


def test_every_part_has_its_place() -> None:
    assert {part_of(file) for file in FILES} <= set(RANKS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_data_flows_one_way(file: Path) -> None:
    later = {other for other in own_imports(file) if other and RANKS[other] >= RANKS[part_of(file)]}
    assert later == set()


@pytest.mark.parametrize("part", PURE)
@pytest.mark.program
def test_the_core_knows_neither_airflow_nor_requests(part: str) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('airflow', 'requests', 'urllib3', 'pandas', 'numpy', 'pyarrow'))); "
        f"import {PACKAGE}.{part}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=FOLDER.parent, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("libraries", "parts"),
    [
        (("requests", "urllib3", "authlib", "httpx", "aiohttp", "http.client", "urllib.request"), {"hooks"}),
        (("pyarrow", "fsspec", "airflow.providers.common"), {"sources"}),
        (("airflow.providers",), {"sources", "openlineage"}),
        (("openlineage",), {"openlineage"}),
        (("sqlalchemy",), {"sources", "ui"}),
        (("wtforms",), {"hooks"}),
        (("fastapi", "starlette", "uvicorn", "pydantic"), {"sandbox", "ui"}),
        (("sqlite3",), {"spool", "known", "operators"}),
        (("pandas", "numpy", "polars"), set()),
        # Before Python 3.13 its get() may wait for ever when its time is over just as it begins to wait.
        (("queue.SimpleQueue",), set()),
        # What Airflow may change from one version to the next; its SDK is what it promises to keep.
        (("airflow.settings", "airflow.hooks"), set()),
        (("airflow.utils",), {"decorators"}),
        (("airflow.models", "airflow.api_fastapi", "airflow.plugins_manager"), {"ui"}),
        (("airflow.configuration",), {"configured"}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_library_is_known_in_one_place_only(libraries: tuple[str, ...], parts: set[str]) -> None:
    assert importers_of(*libraries) == parts


def test_only_the_operator_and_the_hooks_themselves_import_the_hook() -> None:
    assert {part_of(file) for file in FILES if "hooks" in own_imports(file)} == {"operators", "run"}


def test_only_the_operator_reads_the_tasks_context() -> None:
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
        for node in ast.walk(tree_of(file)):
            named = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None)
            if named in signs | {"context"} or (isinstance(node, ast.alias) and node.name in signs):
                readers.add(part_of(file))
    assert readers == {"operators", "decorators"}


def test_the_sandbox_stands_alone() -> None:
    assert {name for file in FILES if part_of(file) == "sandbox" for name in own_imports(file)} == set()
    assert "sandbox" not in {name for file in FILES if part_of(file) != "sandbox" for name in own_imports(file)}
    assert "sandbox" not in importers_of("airflow", "requests")


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
