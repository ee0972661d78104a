"""`python -m airflow_provider_lofty.sandbox`."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import requests
from airflow.sdk import Connection
from support.guard import guarded

from airflow_provider_lofty.hooks.settings import settings_from
from airflow_provider_lofty.sandbox import FAULTS, Sandbox
from airflow_provider_lofty.sandbox.__main__ import main, make_parser

COMMAND = [sys.executable, "-W", "error", "-m", "airflow_provider_lofty.sandbox"]


@contextmanager
def running(*arguments):
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments], stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )
    with guarded("session", process.pid):
        try:
            yield process, process.stdout.readline().split()[2]
        finally:
            process.terminate()
            process.communicate(timeout=10)


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert exited.value.code not in (0, None)
    written = str(exited.value.code) + capsys.readouterr().err
    assert "Traceback" not in written
    return written


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.server
def test_it_says_where_it_is_and_stops_quietly(number):
    with running("--api-key", "my-made-up-key") as (process, url):
        lines = [process.stdout.readline() for _ in range(3)]
        assert "my-made-up-key" in lines[0]
        assert "made-up-access-token" in lines[1]
        headers = {"Authorization": "token my-made-up-key"}
        assert requests.get(f"{url}/v1.0/me", headers=headers, timeout=10).status_code == 200
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.server
def test_it_says_how_airflow_is_connected_with_it(host, monkeypatch):
    with running("--host", host, "--api-key", "it's-made-up") as (process, url):
        (line,) = (line for line in iter(process.stdout.readline, "Press Ctrl+C to stop.\n") if "export" in line)
        export, setting = shlex.split(line)
        monkeypatch.setenv(*setting.split("=", 1))
        settings = settings_from(Connection.get("lofty_default"))
    assert (export, settings.base_url, settings.password) == ("export", url, "it's-made-up")


@pytest.mark.server
def test_options_become_settings(tmp_path):
    leads = tmp_path / "leads.json"
    leads.write_text(json.dumps([{"leadId": 5, "emails": ["ada@example.com"], "phones": []}, {"leadId": 6}]))
    options = [
        *("--known-leads", "listed", "--leads", str(leads), "--missing-leads", "6, 7"),
        *(
            "--requests-per-minute",
            "120",
            "--window-seconds",
            "30",
            "--fault",
            "html_502=1",
            "--no-rate-headers",
        ),
        *("--permission-denied", "get_me", "--rate-refusal-status", "400", "--trims-text"),
    ]
    with running(*options) as (_, url):
        session = requests.Session()
        session.headers["Authorization"] = "token made-up-api-key"
        with session:
            codes = {
                path: session.get(f"{url}/v1.0/{path}", timeout=10).status_code
                for path in ("leads/5", "leads/6", "leads/8", "me")
            }
            settings = session.get(f"{url}/sandbox/state", timeout=10).json()["settings"]
    assert codes == {"leads/5": 200, "leads/6": 404, "leads/8": 404, "me": 403}
    assert settings == {
        "permission_denied": "get_me",
        "requests_per_minute": "120.0",
        "window_seconds": "30.0",
        "rate_headers": "False",
        "rate_refusal_status": "400",
        "known_leads": "listed",
        "missing_leads": "6, 7",
        "faults": "html_502 1.0",
        "trims_text": "True",
    }


def test_help_lists_every_fault_and_switch():
    shown = make_parser().format_help()
    for name, fault in FAULTS.items():
        assert f"  {name} " in shown
        assert fault.description in shown
    for option in ("--read-lag-seconds", "--stores-twice", "--error-shape", "--max-concurrent", "--seed"):
        assert option in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault", "smoke=0.1"], "no fault named 'smoke'"),
        (["--fault", "slow=1.5"], "between 0 and 1"),
        (["--fault", "slow=many"], "NAME=RATE"),
        (["--fault", "slow"], "NAME=RATE"),
        (["--error-shape", "xml"], "invalid choice"),
        (["--missing-leads", "a"], "invalid"),
        (["--permission-denied", "all"], "permission_denied cannot be 'all'"),
        (["--window-seconds", "0"], "window_seconds must be greater than 0"),
        (["--port", "99999"], "cannot listen on 127.0.0.1:99999"),
        (["--leads", "/nowhere/leads.json"], "No such file"),
    ],
)
def test_a_bad_option_is_explained(capsys, arguments, message):
    assert message in refused(capsys, *arguments)


@pytest.mark.parametrize("content", ["{", "{}", "[5]", '[{"leadId": "5"}]', '[{"leadId": true}]', "[{}]"])
def test_a_bad_leads_file_is_explained(capsys, tmp_path, content):
    file = tmp_path / "leads.json"
    file.write_text(content)
    assert str(file) in refused(capsys, "--leads", str(file))


@pytest.mark.server
def test_a_port_in_use_is_explained(capsys):
    with Sandbox() as lofty:
        port = lofty.url.rpartition(":")[2]
        written = refused(capsys, "--port", port)
    assert f"cannot listen on 127.0.0.1:{port}" in written
    assert "in use" in written


@pytest.mark.server
def test_under_a_profile_it_answers_as_that_account_does(tmp_path):
    file = tmp_path / "profile.json"
    profile = {"format": 1, "base_url": "https://lofty.example.com", "account_id": "a-7", "header_form": "Bearer"}
    file.write_text(json.dumps({**profile, "requests_per_minute": 50, "reset_unit": "seconds_left"}))
    with running("--profile", str(file), "--requests-per-minute", "40") as (process, url):
        said = "".join(iter(process.stdout.readline, "Press Ctrl+C to stop.\n"))
        answer = requests.get(f"{url}/v1.0/me", headers={"Authorization": "Bearer made-up-access-token"}, timeout=10)
    assert (answer.json()["id"], answer.headers["x-ratelimit-limit"]) == ("a-7", "40")
    assert answer.headers["x-ratelimit-reset"] == "60"
    assert '"extra": {"auth_type": "access_token"}' in said


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"format": 2}', '{"format": 1, "base_url": "x", "account_id": 1, "y": 1}']
)
def test_a_bad_profile_is_explained(capsys, tmp_path, content):
    file = tmp_path / "profile.json"
    file.write_text(content)
    assert f"--profile {file}: profile" in refused(capsys, "--profile", str(file))
    assert "No such file" in refused(capsys, "--profile", str(tmp_path / "none.json"))
