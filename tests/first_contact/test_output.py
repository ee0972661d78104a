"""What becomes of the table where it cannot be written, and of the profile then; and what a server's words may do to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from airflow_provider_lofty.first_contact.command import main
from airflow_provider_lofty.profile.profile import profile_in
from airflow_provider_lofty.sandbox import Answer, Sandbox

LEAD = 4711
COMMAND = [sys.executable, "-W", "ignore", "-m", "airflow_provider_lofty.first_contact", "--lead-id", str(LEAD)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "p.json"


@pytest.fixture
def check(lofty: Sandbox, connect: Callable[..., None], file: Path) -> Callable[[], int]:
    """Give a function that makes the check with a profile, confirmed beforehand."""
    connect(lofty)
    return lambda: main(["--lead-id", str(LEAD), "--yes", "--profile", str(file)], patience=0)


def posts_to(lofty: Sandbox) -> int:
    return sum(request.method == "POST" for request in lofty.requests)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-16"])
def test_what_the_terminal_cannot_write_costs_neither_table_nor_profile(
    check: Callable[[], int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: Path, encoding: str
) -> None:
    terminal = tmp_path / "terminal"
    with terminal.open("w", encoding=encoding) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert check() == 0
    said = terminal.read_text(encoding=encoding)
    assert "Learned:" in said
    assert ("\\u2026" in said) == (encoding in ("ascii", "latin-1"))
    assert "The profile is in" in said
    assert profile_in(file.read_text()).equal_posts == 2


class TestAReaderWhoIsGone:
    def test_before_the_posts_nothing_is_posted(
        self, check: Callable[[], int], lofty: Sandbox, monkeypatch: pytest.MonkeyPatch, file: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w", encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            assert check() == 2
        assert (posts_to(lofty), file.exists()) == (0, False)
        assert "Nothing was posted: nobody reads" in capsys.readouterr().err

    def test_who_leaves_after_the_last_words_is_seen_too(
        self, check: Callable[[], int], lofty: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reading, writing = os.pipe()

        class Last(type(sys.stdout)):  # type: ignore[misc]
            def flush(self) -> None:
                super().flush()
                with suppress(OSError):
                    if b"initials" in os.read(reading, 4096):
                        os.close(reading)

        with Last(os.fdopen(writing, "wb"), encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            assert check() == 2
        assert posts_to(lofty) == 0

    def test_without_any_output_nothing_is_posted(
        self, check: Callable[[], int], lofty: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdout", None)
        assert check() == 2
        assert posts_to(lofty) == 0

    @pytest.mark.program
    def test_after_the_first_post_costs_neither_the_profile_nor_the_exit_code(
        self, check: Callable[[], int], lofty: Sandbox, file: Path
    ) -> None:
        lofty.change(latency_seconds=0.3)
        pipe = subprocess.PIPE
        with subprocess.Popen([*COMMAND, "--yes", "--profile", str(file)], stdout=pipe, stderr=pipe) as command:
            assert command.stdout is not None
            assert command.stderr is not None
            while not posts_to(lofty) and command.poll() is None:
                time.sleep(0.02)
            command.stdout.close()
            complaints = command.stderr.read().decode()
        assert command.returncode == 0, complaints
        assert "BrokenPipe" not in complaints
        assert (posts_to(lofty), profile_in(file.read_text()).long_text) == (5, True)


@pytest.mark.program
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_before_a_disk_that_is_full_nothing_is_posted(check: Callable[[], int], lofty: Sandbox) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, "--yes"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, posts_to(lofty)) == (2, 0), done.stderr
    assert b"Traceback" not in done.stderr


class TestWithoutATerminal:
    @pytest.mark.program
    def test_that_is_closed_nothing_is_sent(self, check: Callable[[], int], lofty: Sandbox) -> None:
        done = subprocess.run(
            ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *COMMAND], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2, done.stderr
        assert "Nothing was sent" in done.stdout
        assert lofty.requests == []

    @pytest.mark.parametrize("is_there", [True, False])
    def test_whose_stream_is_closed_nothing_is_sent(
        self, check: Callable[[], int], lofty: Sandbox, monkeypatch: pytest.MonkeyPatch, is_there: bool
    ) -> None:
        with Path(os.devnull).open() as stream:
            pass
        monkeypatch.setattr(sys, "stdin", stream if is_there else None)
        assert main(["--lead-id", str(LEAD)]) == 2
        assert lofty.requests == []


FORGED = "Agent\n  rate limit                 9 a window  [forged]\x1b[2J\u202e\ud800"


class TestTheWordsOfAServer:
    @pytest.mark.parametrize(
        ("name", "shown"),
        [("roleName", "Agent\\u000a  rate limit"), ("message", "Agent rate limit"), ("read", "Agent rate limit")],
    )
    def test_forge_no_line_and_reach_no_terminal(
        self,
        check: Callable[[], int],
        lofty: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        name: str,
        shown: str,
    ) -> None:
        refused = Answer(400, json.dumps({"code": 20012, "message": FORGED}).encode())
        answers = {
            "roleName": {"get_me": Answer(200, json.dumps({"id": 11, "roleName": FORGED}).encode())},
            "message": {"add_activity": refused},
            "read": {"list_activities": refused},
        }
        lofty.change(canned_answers=answers[name])
        terminal = tmp_path / "terminal"
        with terminal.open("w", encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            assert check() == 0
        said = terminal.read_text(encoding="utf-8")
        assert shown in said
        assert all(character.isprintable() for character in said.replace("\n", ""))
        assert not any(line.startswith("  rate limit  ") and "forged" in line for line in said.splitlines())

    def test_are_cut_where_they_are_long(
        self, check: Callable[[], int], lofty: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        me = Answer(200, json.dumps({"id": 11, "roleName": "x" * 100_000}).encode())
        lofty.change(canned_answers={"get_me": me})
        assert check() == 0
        assert len(capsys.readouterr().out) < 10_000

    def test_are_no_initials_as_they_are(
        self, check: Callable[[], int], lofty: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lead = {"lead": {"leadId": LEAD, "firstName": "\x1b[2J", "lastName": "\ud800"}}
        lofty.change(canned_answers={"get_lead": Answer(200, json.dumps(lead).encode())})
        assert check() == 0
        assert "initials are \\u001b.\\ud800.\n" in capsys.readouterr().out
