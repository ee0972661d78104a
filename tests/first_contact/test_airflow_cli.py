"""The command as one of Airflow's own, where the release asks providers for commands."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from airflow import providers_manager

from airflow_provider_lofty.first_contact.airflow_cli import commands
from airflow_provider_lofty.first_contact.arguments import ARGUMENTS, DEFAULT_CONN_ID
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.provider_info import get_provider_info
from airflow_provider_lofty.sandbox import Sandbox

HAS_COMMANDS = hasattr(providers_manager.ProvidersManager, "cli_command_functions")


def test_the_provider_names_it() -> None:
    (name,) = get_provider_info()["cli"]
    assert name == f"{commands.__module__}.{commands.__qualname__}"
    assert LoftyHook.default_conn_name == DEFAULT_CONN_ID
    (group,) = commands()
    (command,) = group.subcommands
    assert [arg.flags for arg in command.args] == [(flag,) for flag in ARGUMENTS]


def test_it_does_what_the_module_does(
    lofty: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(lofty)
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # as it sets it, to be set back
    (group,) = commands()
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))  # no terminal
    options = {"conn_id": DEFAULT_CONN_ID, "lead_id": 4711, "profile": None, "yes": False}
    with pytest.raises(SystemExit) as exited:
        group.subcommands[0].func(type("Options", (), options)())
    assert (exited.value.code, lofty.requests) == (2, [])
    assert "Nothing was sent" in capsys.readouterr().out


@pytest.mark.program
@pytest.mark.skipif(not HAS_COMMANDS, reason="Airflow before 3.2 does not ask providers for commands")
def test_airflow_has_it() -> None:
    code = (
        "import json; from airflow.cli.cli_parser import get_parser; "
        "found = get_parser().parse_args(['lofty', 'first-contact', '--lead-id', '4711', '--yes']); "
        "print(json.dumps([found.conn_id, found.lead_id, found.profile, found.yes]))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [DEFAULT_CONN_ID, 4711, None, True]
