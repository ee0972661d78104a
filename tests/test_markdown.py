"""What every document keeps: links and pictures lead somewhere, and whatever stands in a code block works."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from collections.abc import Callable
from configparser import ConfigParser
from contextlib import closing
from typing import Any

import pytest
from airflow.configuration import conf
from support.documents import CHAPTERS, DOCUMENTS, INDEX, README, ROOT, Block, Document, blocks_of, table_below

from airflow_provider_lofty.hooks.form import FORM_FIELDS
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.journal.cursor import CURSORS
from airflow_provider_lofty.journal.tables import JOURNAL
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.provider_info import get_provider_info
from airflow_provider_lofty.sandbox import Sandbox


def test_every_picture_is_shown_and_is_one() -> None:
    shown = {picture for document in DOCUMENTS for picture in document.pictures}
    assert {picture for picture in shown if picture.suffix == ".png"} == set((ROOT / "docs").rglob("*.png"))
    assert len(shown) >= 4
    starts = {".png": b"\x89PNG", ".svg": b"<svg"}
    assert [picture for picture in shown if not picture.read_bytes().startswith(starts[picture.suffix])] == []


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


def test_map_of_changes_names_what_is_there() -> None:
    package = ROOT / "airflow_provider_lofty"
    rows = table_below("Where a change goes")
    assert len(rows) > 10
    for row in rows:
        marked = {name: "." in name or "/" in name for name in re.findall("`([^`]+)`", " ".join(row))}
        paths = [package / name if (package / name).exists() else ROOT / name for name in marked if marked[name]]
        assert [path for path in paths if not path.exists()] == [], row[0]
        files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py"))]
        words = {word for file in files for word in re.findall(r"\w+", file.read_text(encoding="utf-8"))}
        assert {name for name in marked if not marked[name]} - words == set(), row[0]


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for document in DOCUMENTS for name in re.findall(r"`make ([a-z-]+)", document.prose)}
    assert named
    assert named - targets == set()
    for block in blocks_of("shell"):
        assert set(re.findall(r"\bmake ([a-z-]+)", block.text)) - targets == set(), block.place


def test_every_block_is_in_a_language_that_is_checked() -> None:
    checked = {"python", "shell", "ini", "sql", "text", ""}  # without one: a drawing
    assert [block.place for document in DOCUMENTS for block in document.blocks if block.language not in checked] == []


def test_every_package_that_is_installed_is_this_one_with_an_extra_that_exists() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    installed = [
        name
        for block in blocks_of("shell")
        for name in re.findall(r"^pip install (?:--upgrade |-c constraints\.txt )?([^ \n]+)", block.text, re.M)
    ]
    assert installed
    for name in installed:
        package, extra = re.fullmatch(r"'?([\w-]+|\.)(?:\[(\w+)\]')?", name).groups()  # type: ignore[union-attr]
        assert package in (setup["metadata"]["name"], ".")
        assert extra is None or extra in setup["options.extras_require"]


def test_every_connection_is_one_that_the_form_knows() -> None:
    exports = [
        line
        for block in blocks_of("shell")
        for line in block.text.splitlines()
        if line.startswith("export AIRFLOW_CONN_")
    ]
    assert len(exports) > 1
    for line in exports:
        connection = json.loads(shlex.split(line)[1].partition("=")[2])
        assert connection["conn_type"] == LoftyHook.conn_type
        assert set(connection.get("extra", {})) <= {field.name for field in FORM_FIELDS}


def test_every_other_setting_is_one_of_airflow() -> None:
    text = "".join(block.text for block in blocks_of("shell"))
    settings = re.findall(r"\bAIRFLOW__([A-Z]+)__(\w+)=", text)
    assert settings
    for section, option in settings:
        own = get_provider_info()["config"].get(section.lower(), {"options": {}})["options"]
        assert option.lower() in own or conf.has_option(section.lower(), option.lower())


@pytest.mark.parametrize("block", blocks_of("ini"), ids=lambda block: block.place)
def test_every_block_of_airflow_cfg_sets_options_that_exist(block: Block) -> None:
    config = ConfigParser()
    config.read_string(block.text)
    assert config.sections()
    own = get_provider_info()["config"]
    for name in config.sections():
        assert [each for each in config[name] if each not in own.get(name, {"options": ()})["options"]
                and (name in own or not conf.has_option(name, each))] == []  # fmt: skip


@pytest.mark.parametrize("block", blocks_of("sql"), ids=lambda block: block.place)
def test_every_query_fits_the_tables(block: Block) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        for table in (JOURNAL, CURSORS):
            database.execute(f"CREATE TABLE {table} ({', '.join(table.c.keys())})")
        database.executemany(f"INSERT INTO {JOURNAL} (state) VALUES (?)", [("delivered",), ("rejected",)])
        database.execute(f"INSERT INTO {CURSORS} (watermark) VALUES ('7')")
        database.execute((ROOT / "dags" / "lofty_row_log.sql").read_text(encoding="utf-8"))
        logged = (
            "('one', 1, ?, 'a_dag', 'a_run', '2026-11-24', 'a.csv', 1, 2, ?, 4711, ?, NULL, NULL, NULL, 1, NULL, NULL,"
            " NULL)"
        )
        rows = [(1, "delivered", 200), (2, "rejected", 400)]
        database.executemany(f"INSERT INTO lofty_row_log VALUES {logged}", rows)
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
