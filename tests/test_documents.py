"""What the README, the chapters in docs/ and CONTRIBUTING promise, checked against the code."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from configparser import ConfigParser
from contextlib import closing
from typing import Any

import pytest
from airflow.exceptions import AirflowException
from support.documents import CHAPTERS, DOCUMENTS, INDEX, README, ROOT, Block, Document, blocks_of, section, table_below

from airflow_provider_lofty import exceptions
from airflow_provider_lofty.hooks.form import AUTH_TYPES, FORM_FIELDS
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.journal.database import _COLUMNS, TABLE
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.provider_info import get_provider_info
from airflow_provider_lofty.report.advice import CODES
from airflow_provider_lofty.report.writer import REPORT_COLUMNS
from airflow_provider_lofty.rows.values import ACTIVITY_TYPES, FIELDS
from airflow_provider_lofty.sandbox import Sandbox, SandboxSettings
from airflow_provider_lofty.spool.spool import OUTCOMES


def names_in(cells: list[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_table_of_arguments_is_complete_and_right() -> None:
    rows = table_below("Operator arguments")
    parameters = inspect.signature(LoftyAddActivityOperator.__init__).parameters
    own = {name: p for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert names_in([row[0] for row in rows]) == set(own)
    for row in rows:
        shown = row[1].strip("`")
        for name in names_in([row[0]]):
            assert shown == ("" if own[name].default is None else str(own[name].default)), name


def test_templated_arguments_are_named() -> None:
    sentence = re.search(r"Templated are (.*?)\.\n", section("Operator arguments"), re.DOTALL)
    assert sentence
    assert set(re.findall(r"`(\w+)`", sentence[1])) == set(LoftyAddActivityOperator.template_fields)


def test_every_argument_is_in_the_docstring_and_marked_when_templated() -> None:
    documented = dict(re.findall(r":param (\w+):\s+(\(templated)?", LoftyAddActivityOperator.__doc__ or ""))
    parameters = inspect.signature(LoftyAddActivityOperator.__init__).parameters
    assert set(documented) == {name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    templated = {name for name, mark in documented.items() if mark}
    assert templated == set(LoftyAddActivityOperator.template_fields)


def test_table_of_connection_fields_is_complete() -> None:
    shown = names_in([row[0] for row in table_below("The connection")])
    assert shown == {"host", "port", "password", "customer_key", *(field.name for field in FORM_FIELDS)}
    assert set(AUTH_TYPES) <= names_in([row[1] for row in table_below("The connection") if row[0] == "`auth_type`"])


def test_table_of_connection_fields_names_the_defaults_of_the_form() -> None:
    meanings = {name: row[1] for row in table_below("The connection") for name in names_in([row[0]])}
    for field in FORM_FIELDS:
        assert field.help
        if field.is_number and field.default is not None:
            assert f"default {field.default}" in meanings[field.name]


def test_table_of_fields_is_complete() -> None:
    rows = table_below("From row to activity")
    shown = names_in([row[0] for row in rows if row[0] != "`listing.…`"])
    listing = names_in([row[2] for row in rows if row[0] == "`listing.…`"])
    assert shown | {f"listing.{name}" for name in listing} == {field.name for field in FIELDS}
    required = names_in([row[0] for row in rows if row[1] == "required"])
    assert required == {field.name for field in FIELDS if field.required}
    assert names_in([row[2] for row in rows if row[0] == "`type`"]) == set(ACTIVITY_TYPES)


def test_table_of_outcomes_is_complete() -> None:
    assert [row[0].strip("`") for row in table_below("Outcomes")] == list(OUTCOMES)


def test_table_of_codes_is_that_of_the_page() -> None:
    rows = table_below("Lofty's error codes")
    assert {int(row[0].strip("`")): (row[1], row[2]) for row in rows} == CODES


def test_table_of_options_is_complete() -> None:
    shown = [row[0].strip("`") for row in table_below("Options in `airflow.cfg`")]
    assert shown == list(get_provider_info()["config"]["lofty"]["options"])


def test_every_picture_is_shown_and_is_one() -> None:
    shown = {picture for document in DOCUMENTS for picture in document.pictures}
    assert {picture for picture in shown if picture.suffix == ".png"} == set((ROOT / "docs").rglob("*.png"))
    assert len(shown) >= 4
    starts = {".png": b"\x89PNG", ".svg": b"<svg"}
    assert [picture for picture in shown if not picture.read_bytes().startswith(starts[picture.suffix])] == []


def test_columns_of_the_journal_are_named() -> None:
    assert set(_COLUMNS) <= set(re.findall(r"`(\w+)`", section("The journal's tables")))


def test_report_columns_are_named() -> None:
    assert re.findall(r"`(lofty_\w+)`", section("The report"))[: len(REPORT_COLUMNS)] == list(REPORT_COLUMNS)


def test_table_of_errors_says_what_airflow_retries() -> None:
    shown = {row[0].strip("`"): row[1] for row in table_below("When the task fails")}
    classes = {
        name: kind
        for name, kind in vars(exceptions).items()
        if isinstance(kind, type) and issubclass(kind, exceptions.LoftyError) and kind is not exceptions.LoftyError
    }
    assert shown == {
        name: "no" if issubclass(kind, exceptions.AirflowFailException) else "yes" for name, kind in classes.items()
    }
    assert issubclass(exceptions.AirflowFailException, AirflowException)


def test_tree_of_errors_names_every_class() -> None:
    drawn = set(re.findall(r"Lofty\w+", exceptions.__doc__ or ""))
    assert drawn == {name for name in vars(exceptions) if name.startswith("Lofty")}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_to_files_and_headings(document: Document) -> None:
    anchors = {other.path: other.anchors for other in DOCUMENTS}
    targets = {link: document.resolve(link) for link in document.links}
    assert [link for link, (path, _) in targets.items() if not path.exists()] == []
    assert [link for link, (path, fragment) in targets.items() if fragment and fragment not in anchors[path]] == []


@pytest.mark.parametrize("index", [README, INDEX], ids=lambda document: document.name)
def test_every_chapter_is_linked(index: Document) -> None:
    linked = {index.resolve(link)[0] for link in index.links}
    assert {chapter.path for chapter in CHAPTERS} <= linked


def test_map_of_the_package_has_one_line_for_each_room() -> None:
    package = ROOT / "airflow_provider_lofty"
    modules = [path.name for path in package.glob("*.py") if path.name != "__init__.py"]
    rooms = [f"{path.parent.name}/" for path in package.glob("*/__init__.py")]
    assert sorted(row[0].strip("`") for row in table_below("Finding your way")) == sorted(modules + rooms)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for document in DOCUMENTS for name in re.findall(r"`make ([a-z-]+)", document.prose)}
    assert named
    assert named - targets == set()
    for block in blocks_of("shell"):
        assert set(re.findall(r"\bmake ([a-z-]+)", block.text)) - targets == set(), block.place


def test_every_block_is_in_a_language_that_is_checked() -> None:
    checked = {"python", "shell", "ini", "sql", "text"}
    assert [block.place for document in DOCUMENTS for block in document.blocks if block.language not in checked] == []


def test_every_package_that_is_installed_is_this_one_with_an_extra_that_exists() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    installed = [
        name for block in blocks_of("shell") for name in re.findall(r"^pip install ([^ \n]+)", block.text, re.M)
    ]
    assert installed
    for name in installed:
        package, extra = re.fullmatch(r"'?([\w-]+)(?:\[(\w+)\]')?", name).groups()  # type: ignore[union-attr]
        assert package == setup["metadata"]["name"]
        assert extra is None or extra in setup["options.extras_require"]


def test_every_connection_is_one_that_the_form_knows() -> None:
    exports = [line for block in blocks_of("shell") for line in block.text.splitlines() if line.startswith("export ")]
    assert exports
    for line in exports:
        name, _, value = shlex.split(line)[1].partition("=")
        connection = json.loads(value)
        assert name.startswith("AIRFLOW_CONN_")
        assert connection["conn_type"] == LoftyHook.conn_type
        assert set(connection["extra"]) <= {field.name for field in FORM_FIELDS}


@pytest.mark.parametrize("block", blocks_of("ini"), ids=lambda block: block.place)
def test_every_block_of_airflow_cfg_sets_options_that_exist(block: Block) -> None:
    config = ConfigParser()
    config.read_string(block.text)
    assert config.sections()
    for name in config.sections():
        assert set(config[name]) <= set(get_provider_info()["config"][name]["options"])


@pytest.mark.parametrize("block", blocks_of("sql"), ids=lambda block: block.place)
def test_every_query_fits_the_table_of_the_journal(block: Block) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"CREATE TABLE {TABLE} ({', '.join(_COLUMNS)})")
        database.executemany(f"INSERT INTO {TABLE} (state) VALUES (?)", [("delivered",), ("rejected",)])
        assert database.execute(block.text).fetchall()


@pytest.mark.parametrize("block", blocks_of("text"), ids=lambda block: block.place)
def test_every_line_of_a_log_is_one_that_the_package_writes(block: Block) -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "airflow_provider_lofty").rglob("*.py"))
    for line in block.text.splitlines():
        assert re.sub(r"\d+(?: \d{3})*", "%s", line) in sources


@pytest.mark.parametrize("block", blocks_of("python"), ids=lambda block: block.place)
def test_every_block_of_python_runs(block: Block, lofty: Sandbox, connect: Callable[..., None]) -> None:
    lofty.add_lead(12, emails=["ada.sample@example.com"])
    connect(lofty)
    names: dict[str, Any] = {"LoftyAddActivityOperator": LoftyAddActivityOperator}
    before = {*names, "__builtins__"}
    exec(compile(block.text, block.place, "exec"), names)
    assert set(names) - before or block.text.startswith("LoftyAddActivityOperator("), "it does nothing"


def test_command_of_the_practice_server_is_understood() -> None:
    (command,) = (
        line for block in blocks_of("shell") for line in block.text.splitlines() if line.startswith("python ")
    )
    done = subprocess.run([sys.executable, *command.split()[1:], "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def block_with(word: str) -> str:
    (block,) = (block.text for block in blocks_of("python") if word in block.text)
    return block


def test_block_of_use_makes_a_dag() -> None:
    names: dict[str, Any] = {}
    exec(block_with("def visits_to_lofty"), names)
    assert names["visits_to_lofty"]().task_ids == ["send_to_lofty"]


def test_block_of_the_decorator_makes_a_dag() -> None:
    names: dict[str, Any] = {}
    exec(block_with("@task.lofty_add_activity"), names)
    (task,) = names["open_houses_to_lofty"]().tasks
    assert next(iter(task.python_callable()))["leadId"] == 4711


def test_block_of_mapping_makes_an_operator() -> None:
    names: dict[str, Any] = {"LoftyAddActivityOperator": LoftyAddActivityOperator}
    exec(f"operator = {block_with('WHAT_HAPPENED')}", names)
    assert names["operator"].mapping["link"]({"HOME": "elm"}) == "https://www.example.com/homes/elm"


def test_block_of_the_hook_delivers(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(SandboxSettings(requests_per_minute=60_000)) as lofty:
        lofty.add_lead(12, emails=["ada.sample@example.com"])
        connection = {"conn_type": "lofty", "host": lofty.url, "password": lofty.settings.api_key}
        monkeypatch.setenv("AIRFLOW_CONN_LOFTY_DEFAULT", json.dumps(connection))
        exec(block_with("LoftyHook("), {})
        assert [activity.lead_id for activity in lofty.activities] == [12]


def test_block_of_the_practice_server_is_a_test_that_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    block = block_with("def test_my_dag").replace("...  # my_dag.test()", "my_dag()")
    activity = {"type": "Browse", "text": "t", "link": "l", "picture": "", "created": 1763290000000}
    names: dict[str, Any] = {"my_dag": lambda: LoftyHook().add_activity(1, activity)}
    exec(block, names)
    names["test_my_dag"](monkeypatch)
    assert "my_dag()" in block
