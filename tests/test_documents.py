"""What the README and the chapters in docs/ promise, checked against the code."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, get_args

import pytest
from airflow.exceptions import AirflowException
from support.documents import README, blocks_of, section, table_below
from support.guard import guarded
from support.practice import run, task_instance
from support.standalone import free_port

from airflow_provider_lofty import exceptions
from airflow_provider_lofty.hooks.form import FORM_FIELDS
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.journal.tables import JOURNAL
from airflow_provider_lofty.lofty.fields import ACTIVITY_TYPES, FIELDS
from airflow_provider_lofty.lofty.settings import ABSENCE, AUTH_TYPES, PATIENCE
from airflow_provider_lofty.operators.lofty import LoftyAddActivityOperator
from airflow_provider_lofty.outcomes import OUTCOMES
from airflow_provider_lofty.profile.changes import OF_CREATED, OF_TEXTS, words_for
from airflow_provider_lofty.profile.profile import (
    FIELDS as PROFILE_FIELDS,
    AnswerKind,
    ErrorShape,
    ListOrder,
    ResetReading,
)
from airflow_provider_lofty.provider_info import get_provider_info
from airflow_provider_lofty.report.advice import CODES
from airflow_provider_lofty.rows.checks import checks
from airflow_provider_lofty.rows.file_options import DECIMALS, FORMATS, OPTIONS, QUOTINGS
from airflow_provider_lofty.rows.report_format import REPORT_COLUMNS
from airflow_provider_lofty.rows.timestamps import TimestampChecks
from airflow_provider_lofty.rows.values import InvalidValue, text
from airflow_provider_lofty.sandbox import FAULTS, Sandbox, SandboxSettings

NOW = datetime(2026, 11, 20, tzinfo=timezone.utc)


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


def test_example_of_the_docstring_makes_an_operator() -> None:
    documented = inspect.getdoc(LoftyAddActivityOperator) or ""
    example = re.search(r"^\.\. code-block:: python\n\n((?:    .*\n)+)", documented, re.MULTILINE)
    assert example
    names: dict[str, Any] = {"LoftyAddActivityOperator": LoftyAddActivityOperator}
    exec(f"operator = {textwrap.dedent(example[1])}", names)
    assert names["operator"].defaults == {"picture": ""}


def test_tables_of_faults_and_settings_of_the_practice_lofty() -> None:
    text = section("What can go wrong")
    assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE)).items() >= {
        (name, fault.description) for name, fault in FAULTS.items()
    }
    named = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) - set(FAULTS)
    assert named == {item.name for item in fields(SandboxSettings)} & named
    assert len(named) > 5


def test_table_of_connection_fields_is_complete() -> None:
    shown = names_in([row[0] for row in table_below("The connection")])
    assert shown == {"host", "port", "password", "customer_key", "profile", *(field.name for field in FORM_FIELDS)}
    assert set(AUTH_TYPES) <= names_in([row[1] for row in table_below("The connection") if row[0] == "`auth_type`"])


def test_table_of_connection_fields_names_the_defaults_of_the_form() -> None:
    meanings = {name: row[1] for row in table_below("The connection") for name in names_in([row[0]])}
    for field in FORM_FIELDS:
        assert field.help
        if field.is_number and field.default is not None:
            assert f"default {field.default}" in meanings[field.name]


def test_tables_of_the_profile_are_complete() -> None:
    rows, changes = (
        {row[0].strip("`"): row[1] for row in table_below(heading)} for heading in ("The profile", "Changes of a field")
    )
    assert tuple(rows) == PROFILE_FIELDS
    choices = {"rate_headers": AnswerKind, "reset_unit": ResetReading, "order": ListOrder, "owner": ErrorShape}
    for name, kind in choices.items():
        assert names_in([rows[name]]) >= set(get_args(kind)), name
    assert {name for name in changes if not re.search("[0-9]", name)} == {*OF_TEXTS, *OF_CREATED}
    for name, words in changes.items():
        assert words_for([name]) == words


def test_table_of_fields_is_complete() -> None:
    rows = table_below("From row to activity")
    shown = names_in([row[0] for row in rows if row[0] != "`listing.…`"])
    listing = names_in([row[2] for row in rows if row[0] == "`listing.…`"])
    assert shown | {f"listing.{name}" for name in listing} == {field.name for field in FIELDS}
    required = names_in([row[0] for row in rows if row[1] == "required"])
    assert required == {field.name for field in FIELDS if field.required}
    assert names_in([row[2] for row in rows if row[0] == "`type`"]) == set(ACTIVITY_TYPES)


def test_table_of_file_options_is_complete() -> None:
    rows = {row[0].strip("`"): names_in([row[1]]) for row in table_below("Files")}
    assert list(rows) == list(OPTIONS)
    assert (rows["format"], rows["quoting"], rows["decimal"]) == (set(FORMATS), set(QUOTINGS), set(DECIMALS))


def test_table_of_outcomes_is_complete() -> None:
    assert [row[0].strip("`") for row in table_below("Outcomes")] == list(OUTCOMES)


def test_table_of_codes_is_that_of_the_page() -> None:
    rows = table_below("Lofty's error codes")
    assert {int(row[0].strip("`")): (row[1], row[2]) for row in rows} == CODES


def test_table_of_options_is_complete() -> None:
    shown = [row[0].strip("`") for row in table_below("Options in `airflow.cfg`")]
    assert shown == list(get_provider_info()["config"]["lofty"]["options"])


def test_waits_for_a_proof_are_those_of_the_code() -> None:
    numbers = {"five": 5, "ten": 10}
    said = re.findall(r"(\w+) times\s+`settle_seconds`", section("Exactly-once delivery"))
    assert {numbers[word.lower()] for word in said} == {ABSENCE, PATIENCE}


def test_columns_of_the_journal_are_named() -> None:
    assert set(JOURNAL.c.keys()) <= set(re.findall(r"`(\w+)`", section("The journal's tables")))


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


@pytest.mark.program
def test_commands_are_understood() -> None:
    commands = [
        line for block in blocks_of("shell") for line in block.text.splitlines() if line.startswith("python -m")
    ]
    assert len(commands) == 6
    for command in commands:
        arguments = [part for part in command.split()[1:] if part != "&"]
        done = subprocess.run([sys.executable, *arguments, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.server
def test_quick_start_delivers_as_pasted(tmp_path: Path) -> None:
    port = str(free_port())
    shell = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    shell["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), shell["PATH"]))
    paste: dict[str, Any] = {"cwd": tmp_path, "env": shell, "text": True, "start_new_session": True}
    server, quick_start = (
        next(block.text for block in README.blocks if word in block.text).replace("8765", port)
        for word in ("airflow_provider_lofty.sandbox", "airflow dags test")
    )
    command = server.replace("&", "").split()
    with subprocess.Popen(command, stdout=subprocess.PIPE, **paste) as lofty, guarded("session", lofty.pid):
        try:
            assert lofty.stdout is not None
            printed = list(iter(lofty.stdout.readline, "Press Ctrl+C to stop.\n"))
            ran = subprocess.run(["/bin/bash", "-ec", quick_start], capture_output=True, check=False, **paste)
        finally:
            lofty.terminate()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert '"read": 3, "delivered": 3' in ran.stdout + ran.stderr
    (report,) = (tmp_path / ".work" / "quickstart" / "airflow" / "reports").iterdir()
    assert report.read_text(encoding="utf-8").count(",delivered,") == 3
    assert {line for line in quick_start.splitlines(keepends=True) if line.startswith("export AIRFLOW_CONN")} <= set(
        printed
    )


@pytest.mark.server
@pytest.mark.parametrize("reports", ["the last", "*.csv"])
def test_first_steps_fail_and_mend_as_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reports: str) -> None:
    quick_start = next(block.text for block in README.blocks if "visits.csv" in block.text)
    rows = quick_start.partition('visits.csv" <<END\n')[2].partition("END\n")[0]
    (adding,) = (block.text for block in blocks_of("shell") if "cat >> " in block.text)
    added = adding.partition("<<END\n")[2].partition("END\n")[0]
    path, folder = tmp_path / "visits.csv", tmp_path / "reports"

    def run_of(run_id: str, path: Path) -> dict[str, int]:
        ti = task_instance(run_id=run_id)
        return run(ti, path=str(path), defaults={"picture": ""}, report_path=f"{folder}/").counts

    with Sandbox(SandboxSettings(requests_per_minute=60_000)) as lofty:
        connection = {"conn_type": "lofty", "host": lofty.url, "password": lofty.settings.api_key}
        monkeypatch.setenv("AIRFLOW_CONN_LOFTY_DEFAULT", json.dumps(connection))
        path.write_text(rows, encoding="utf-8")
        assert run_of("1", path) == {"delivered": 3}
        assert run_of("2", path) == {"already_delivered": 3}
        path.write_text(rows + added, encoding="utf-8")
        assert run_of("3", path) == {"delivered": 1, "already_delivered": 3, "invalid": 1}
        (report,) = (each for each in folder.iterdir() if "Called" in each.read_text(encoding="utf-8"))
        report.write_text(report.read_text(encoding="utf-8").replace("Called", "Request"), encoding="utf-8")
        again = run_of("4", report if reports == "the last" else folder / reports)
        assert again == {"delivered": 1, "already_delivered": 4 if reports == "the last" else 10}
        assert [activity.body["type"] for activity in lofty.activities[3:]] == ["Browse", "Request"]


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


@pytest.mark.server
def test_block_of_an_address_delivers_to_the_practice_lofty_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(SandboxSettings(requests_per_minute=60_000)) as lofty:
        connection = {"conn_type": "lofty", "host": lofty.url, "password": lofty.settings.api_key}
        monkeypatch.setenv("AIRFLOW_CONN_LOFTY_DEFAULT", json.dumps(connection))
        names: dict[str, Any] = {"LoftyAddActivityOperator": LoftyAddActivityOperator}
        exec(f"operator = {block_with('ada.sample@example.com' + chr(34) + ',')}", names)
        assert names["operator"].execute({})["delivered"] == 1
        assert [activity.lead_id for activity in lofty.activities] == [101]


def test_block_of_match_by_makes_an_operator() -> None:
    names: dict[str, Any] = {"LoftyAddActivityOperator": LoftyAddActivityOperator}
    exec(f"operator = {block_with('visits_by_email_or_phone')}", names)
    assert names["operator"].match_by == ["email", "phone"]


@pytest.mark.server
def test_block_of_the_hook_delivers(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(SandboxSettings(requests_per_minute=60_000)) as lofty:
        lofty.add_lead(12, emails=["ada.sample@example.com"])
        connection = {"conn_type": "lofty", "host": lofty.url, "password": lofty.settings.api_key}
        monkeypatch.setenv("AIRFLOW_CONN_LOFTY_DEFAULT", json.dumps(connection))
        exec(block_with("LoftyHook("), {})
        assert [activity.lead_id for activity in lofty.activities] == [12]


@pytest.mark.server
def test_block_of_the_practice_server_is_a_test_that_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    block = block_with("def test_my_dag").replace("...  # my_dag.test()", "my_dag()")
    activity = {"type": "Browse", "text": "t", "link": "l", "picture": "", "created": 1763290000000}
    names: dict[str, Any] = {"my_dag": lambda: LoftyHook().add_activity(1, activity)}
    exec(block, names)
    names["test_my_dag"](monkeypatch)
    assert "my_dag()" in block


def test_numbers_are_read_as_the_table_says() -> None:
    read_as = {row[0].strip("`"): row[1] for row in table_below("Numbers")}
    prices = checks(TimestampChecks(timezone.utc, NOW))["money"]
    for written, expected in read_as.items():
        if expected:
            assert str(prices(written)) == expected, written
        else:
            with pytest.raises(InvalidValue):
                prices(written)


def test_times_are_read_as_the_table_says() -> None:
    moments = TimestampChecks(timezone.utc, NOW)
    rows = table_below("Times")
    assert {row[1].partition(":")[0] for row in rows} == {"read", "refused"}
    for row in rows:
        for written in names_in([row[0]]):
            if row[1] == "read":
                assert moments.milliseconds(written) // 86_400_000 in (20758, 20759), written
            else:
                with pytest.raises(InvalidValue):
                    moments.milliseconds(written)


def test_words_for_no_value_are_what_the_chapter_says() -> None:
    refused = re.search(r"only programs write for no value \((.*?)\)", section("No value"), re.DOTALL)
    kept = re.search(r"(`None` and `N/A`) in a text are text", section("No value"))
    assert refused
    assert kept
    for word in names_in([refused[1]]):
        with pytest.raises(InvalidValue):
            text(word)
    for word in names_in([kept[1]]):
        assert text(word) == word
