"""`python -m airflow_provider_lofty.sandbox`: a Lofty to practise on, in a process of its own."""

from __future__ import annotations

import argparse
import inspect
import json
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from airflow_provider_lofty.profile.profile import Profile, profile_in
from airflow_provider_lofty.sandbox import FAULTS, Sandbox, SandboxSettings, settings_like
from airflow_provider_lofty.sandbox.settings import FaultName, OperationName

_Arguments = dict[str, Any]  # for argparse


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Serve until interrupted.

    :param arguments: The command line's arguments; those of this process by default.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        profile = _read_profile(options.profile) if options.profile else None
        settings = _settings(options, profile)
        leads = _read_leads(options.leads) if options.leads else []
        sandbox = Sandbox(settings, host=options.host, port=options.port)
        for lead in leads:
            sandbox.add_lead(lead["leadId"], emails=lead.get("emails", ()), phones=lead.get("phones", ()))
    except ValueError as error:
        parser.error(str(error))
    try:
        sandbox.start()
    except (OSError, OverflowError) as error:
        sys.exit(f"error: cannot listen on {options.host}:{options.port}: {error}")
    _greet(sandbox, takes_token=profile is not None and profile.header_form == "Bearer")
    _wait_for_signal()
    sandbox.stop()


def make_parser() -> argparse.ArgumentParser:
    """Make the command line's parser: an option per setting, its help from the setting's documentation."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_lofty.sandbox",
        usage="%(prog)s [options]",
        description="A Lofty to practise on. Nothing that is sent to it leaves this machine.",
        epilog=_epilog(),
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=36),
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on [%(default)s]")
    parser.add_argument("--port", type=int, default=8765, help="0 picks a free one [%(default)s]")
    parser.add_argument("--fault", metavar="NAME=RATE", action="append", default=[], help="see below; may be repeated")
    parser.add_argument(
        "--leads", metavar="FILE", type=Path, help='JSON: [{"leadId": 1, "emails": [], "phones": []}, ...]'
    )
    parser.add_argument(
        "--profile", metavar="FILE", type=Path, help="answer as the account does that first contact wrote this file of"
    )
    switches = parser.add_argument_group("switches")
    helps = setting_docs()
    for name, kind in _kinds().items():
        option = f"--{name.replace('_', '-')}"
        switches.add_argument(option, default=argparse.SUPPRESS, help=helps[name], **kind)
    return parser


def _epilog() -> str:
    lines = ["faults, for POST of an activity (at most one per request; RATE is 0 to 1):"]
    lines += [f"  {name:<24}{fault.description}" for name, fault in FAULTS.items()]
    lines += ["", "operations, for --permission-denied:", f"  {', '.join(get_args(OperationName))}"]
    return "\n".join(lines)


def setting_docs() -> dict[str, str]:
    """Give each setting's help: what its class says of it, and its default."""
    documented = re.findall(r"^:param (\w+): (.+)$", inspect.getdoc(SandboxSettings) or "", re.MULTILINE)
    return {name: text.replace("%", "%%") + _default(name) for name, text in documented}


def _default(name: str) -> str:
    default = getattr(SandboxSettings(), name)
    if isinstance(default, bool):
        return f" [{'on' if default else 'off'}]"
    return f" [{default}]" if isinstance(default, int | float | str) else ""


def _kinds() -> dict[str, _Arguments]:
    # Mappings and sequences have no place on a command line; faults have an option of their own.
    hints = get_type_hints(SandboxSettings)
    kinds = {item.name: _kind(hints[item.name]) for item in fields(SandboxSettings)}
    return {name: kind for name, kind in kinds.items() if kind}


def _kind(hint: object) -> _Arguments:
    arguments = [argument for argument in get_args(hint) if argument is not type(None)]
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_origin(hint) is Literal:
        return {"choices": arguments, "type": type(arguments[0])}
    if hint in (str, int, float):
        return {"type": hint, "metavar": "TEXT" if hint is str else "N"}
    if arguments in ([int], [float]) and type(None) in get_args(hint):
        return {"type": arguments[0], "metavar": "N"}
    if len(arguments) == 1 and get_origin(hint) is not Sequence:
        return {"type": _set_of(int if arguments == [int] else str), "metavar": "A,B"}
    return {}


def _set_of(kind: type[int] | type[str]) -> Callable[[str], frozenset[int | str]]:
    def read(text: str) -> frozenset[int | str]:
        return frozenset(kind(part.strip()) for part in text.split(",") if part.strip())

    read.__name__ = f"comma-separated {kind.__name__}"
    return read


def _read_profile(path: Path) -> Profile:
    try:
        return profile_in(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"--profile {path}: {error}") from None


def _settings(options: argparse.Namespace, profile: Profile | None) -> SandboxSettings:
    chosen = {name: getattr(options, name) for name in _kinds() if hasattr(options, name)}
    chosen["faults"] = dict(_read_fault(text) for text in options.fault)
    return settings_like(profile, **chosen) if profile else SandboxSettings(**chosen)


def _read_fault(text: str) -> tuple[FaultName, float]:
    name, _, rate = text.partition("=")
    try:
        return cast("FaultName", name.strip()), float(rate)  # the settings check the name
    except ValueError:
        raise ValueError(f"--fault wants NAME=RATE, such as slow=0.1, not {text!r}") from None


def _read_leads(path: Path) -> list[dict[str, Any]]:
    try:
        leads = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"--leads {path}: {error}") from None
    if not isinstance(leads, list) or not all(
        isinstance(lead, dict) and type(lead.get("leadId")) is int for lead in leads
    ):
        raise ValueError(f"--leads {path}: expected a list of objects, each with a whole number as leadId")
    return leads


def _greet(sandbox: Sandbox, *, takes_token: bool) -> None:
    lines = [
        f"Lofty sandbox: {sandbox.url}  (open it in a browser to see what arrives)",
        f"API key:       {sandbox.settings.api_key}",
        f"Access token:  {sandbox.settings.access_token}",
        "To connect Airflow with it:",
        f"export AIRFLOW_CONN_LOFTY_DEFAULT={shlex.quote(json.dumps(_connection(sandbox, takes_token)))}",
        "Press Ctrl+C to stop.",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _connection(sandbox: Sandbox, takes_token: bool) -> dict[str, object]:
    # The port by itself: Airflow 3.3's Test button refuses a connection without one.
    host, _, port = sandbox.url.rpartition(":")
    place = {"conn_type": "lofty", "host": host, "port": int(port)}
    if takes_token:
        return {**place, "password": sandbox.settings.access_token, "extra": {"auth_type": "access_token"}}
    return {**place, "password": sandbox.settings.api_key}


def _wait_for_signal() -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()


if __name__ == "__main__":
    main()
