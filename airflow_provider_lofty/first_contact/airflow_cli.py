"""``airflow lofty first-contact``, on Airflow 3.2 and later: earlier ones do not ask providers for commands."""

from __future__ import annotations

from typing import Any

from airflow_provider_lofty.first_contact.arguments import ARGUMENTS, SUMMARY


def commands() -> list[Any]:
    """Give Airflow the commands of this provider; it asks on every start of its command line."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

    argument: Any = Arg  # which Airflow has left without types
    first_contact = ActionCommand(
        name="first-contact",
        help=SUMMARY,
        func=lazy_load_command("airflow_provider_lofty.first_contact.command.run"),
        args=[argument((flag,), **settings) for flag, settings in ARGUMENTS.items()],
    )
    return [GroupCommand(name="lofty", help="Find out about Lofty", subcommands=[first_contact])]
