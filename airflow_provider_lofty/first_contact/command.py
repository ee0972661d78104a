"""
`python -m airflow_provider_lofty.first_contact --conn-id lofty_default --lead-id N`: what this account's Lofty does.
Airflow's own command line has it as `airflow lofty first-contact`.

It ends with 0 when the check was made, whatever is still open; with 1 when Lofty could not be asked, or the profile not
be written; with 2 when nothing was posted because nobody confirmed, or nobody reads what it says; with 130 when it was
interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from airflow_provider_lofty.clock import boot_seconds
from airflow_provider_lofty.exceptions import LoftyError
from airflow_provider_lofty.first_contact.arguments import ARGUMENTS, SUMMARY
from airflow_provider_lofty.first_contact.contact import PATIENCE_SECONDS, TOTAL_SECONDS, Contact
from airflow_provider_lofty.first_contact.findings import findings_of, table
from airflow_provider_lofty.first_contact.learned import profile_of
from airflow_provider_lofty.first_contact.output import complain, is_at_terminal, say
from airflow_provider_lofty.first_contact.posts import Fate
from airflow_provider_lofty.hooks.lofty import LoftyHook
from airflow_provider_lofty.printable import printable

DONE, FAILED, UNCONFIRMED, INTERRUPTED = 0, 1, 2, 130

_WILL_DO = """\
This check posts at most five activities to lead {lead_id} of {host}, and reads.
- Each says in its text that it is a test, and is dated now. Agents see them, and NOTHING REMOVES THEM.
- Smart Plans that react to what a lead does may send this lead e-mails or texts. Agents may be notified.
- So it should be a lead of your own that you made for tests.
Nothing goes to any other lead. A missing lead and a wrong key are asked for by reading only."""

_BOUND_TO_HOST = """\
It is bound to the host alone: Lofty did not say whose the credential is. A connection of another account there would
take it, too, so mind yourself where you put it."""


def main(arguments: Sequence[str] | None = None, *, patience: float = PATIENCE_SECONDS) -> int:
    """
    Make the check.

    :param arguments: the command line's; those of this process by default
    :param patience: seconds to wait for what was posted to be shown
    :return: the exit code
    """
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_lofty.first_contact",
        description=f"{SUMMARY}: at most five posts and {TOTAL_SECONDS:.0f} seconds.",
    )
    for flag, settings in ARGUMENTS.items():
        parser.add_argument(flag, **settings)
    return _make_contact(parser.parse_args(arguments), patience)


def run(options: argparse.Namespace) -> None:
    """Make the check for Airflow's own command line, which takes a process's exit code only in this way."""
    find_connections()
    sys.exit(_make_contact(options, PATIENCE_SECONDS))


def find_connections() -> None:
    """Let this process find connections in Airflow's database, as `airflow connections test` does."""
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


def _make_contact(options: argparse.Namespace, patience: float) -> int:
    if not options.yes and not is_at_terminal():
        say("Nothing was sent: there is no terminal to confirm at. Add --yes if the lead is one for tests.")
        return UNCONFIRMED
    logging.getLogger("airflow_provider_lofty").setLevel(logging.WARNING)
    hook = LoftyHook(options.conn_id)
    clock, now = boot_seconds, time.time
    contact = Contact(
        hook.client, options.lead_id, f"x{secrets.token_hex(4)}",
        clock=clock, now=now, sleep=time.sleep, patience=patience,
    )  # fmt: skip
    try:
        code = _check(contact, options.yes)
    finally:
        hook.close()
    return code if code == UNCONFIRMED else _tell(contact, code, options.profile)


def _check(contact: Contact, is_confirmed: bool) -> int:
    code = DONE
    try:
        initials = contact.begin()
        if not say(_before_posting(contact, initials)):
            complain("Nothing was posted: nobody reads what this command says.")
            return UNCONFIRMED
        if not is_confirmed and not _is_confirmed_by(input):
            say("Nothing was posted.")
            return UNCONFIRMED
        contact.post()
        contact.look_back()
        contact.provoke()
    except KeyboardInterrupt:
        say("Interrupted.")
        code = INTERRUPTED
    except LoftyError as error:
        say(f"The check ended early: {error}")
        code = FAILED
    return code


def _before_posting(contact: Contact, initials: str) -> str:
    lines = [
        _WILL_DO.format(lead_id=contact.lead_id, host=contact.client.host),
        f"The lead's initials are {printable(initials) or '(it has no name)'}",
    ]
    if contact.reading_failure:
        why = printable(contact.reading_failure)
        lines.append(f"Its activities cannot be read now ({why}): what is posted may not be seen again")
    return "\n".join(lines)


def _tell(contact: Contact, code: int, path: Path | None) -> int:
    """Keep the profile first: what was posted for it cannot be posted again, and a table may find no reader."""
    is_kept, words = (True, "") if path is None else _keep_profile(contact, path)
    if contact.heard:
        say(f"\n{table(findings_of(contact))}\n\n{_left_behind(contact)}")
    if words:
        say(words)
    return code if is_kept else code or FAILED


def _keep_profile(contact: Contact, path: Path) -> tuple[bool, str]:
    """
    Write it, if there is one.

    :return: whether nothing is lost, and what to say of it
    """
    profile = profile_of(contact)
    if profile is None:
        return True, "No profile was written: nothing showed that Lofty accepts the credential."
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(profile.as_json())
    except OSError as error:
        return False, f"The profile could not be written ({type(error).__name__}); this is it:\n{profile.as_json()}"
    words = f"The profile is in {printable(str(path))}."
    return True, words if profile.account_id is not None else f"{words}\n{_BOUND_TO_HOST}"


def _is_confirmed_by(ask: Callable[[str], str]) -> bool:
    try:
        return ask("Post to this lead? [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, OSError, UnicodeError):  # it was closed, or what came is no text
        return False


def _left_behind(contact: Contact) -> str:
    accepted, unknown = (sum(each.fate is fate for each in contact.posted) for fate in (Fate.ACCEPTED, Fate.UNKNOWN))
    perhaps = f", and {unknown} more may be" if unknown else ""
    return f"{accepted} test activities are at lead {contact.lead_id} now{perhaps}."
