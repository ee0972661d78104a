"""
What Airflow is configured with: its connections, and what ``airflow.cfg`` says for all tasks.

The section ``[lofty]`` is described in the provider's metadata.
"""

from __future__ import annotations

import os

from airflow.sdk import BaseHook, Connection

from airflow_provider_lofty.exceptions import AirflowException, LoftyConfigurationError

try:
    from airflow.sdk.configuration import conf
except ImportError:  # Airflow before 3.2 has it elsewhere
    from airflow.configuration import conf

SECTION = "lofty"
NUMBERS = ("requests_per_minute", "timeout_seconds")


def numbers() -> dict[str, str]:
    """What stands in for a number that a connection does not give, as text and unchecked."""
    found = {name: conf.get(SECTION, name, fallback="") for name in NUMBERS}
    return {name: value.strip() for name, value in found.items() if value and value.strip()}


def report_folder() -> str | None:
    """
    Where tasks without a ``report_path`` write their reports, and where alone the task's page looks for them.

    :return: a local folder or a URL, ending in ``/``; None when reports are not kept
    """
    folder = (conf.get(SECTION, "report_folder", fallback="") or "").strip()
    return f"{folder.rstrip('/')}/" if folder else None


def base_path() -> str:
    """Where the web server's pages begin: the path of ``[api] base_url``, ending in ``/``."""
    _, _, path = (conf.get("api", "base_url", fallback="") or "").partition("://")[2].partition("/")
    return f"/{path.strip('/')}/".replace("//", "/")


def named_connection(conn_id: str) -> Connection:
    """
    Look a connection up.

    :raises LoftyConfigurationError: when there is none of that name
    """
    try:
        connection: Connection = BaseHook.get_connection(conn_id)
    except AirflowException as error:
        variable = f"AIRFLOW_CONN_{conn_id.upper()}"  # what Airflow cannot read of it, it calls undefined
        is_set = variable in os.environ
        fault = f"{variable} is set, but is neither a URI nor JSON that Airflow understands" if is_set else str(error)
        raise LoftyConfigurationError(f"the connection {conn_id!r} cannot be read: {fault}") from None
    return connection
